#![allow(clippy::expect_used)]
use prost::Message as _;

use super::*;
use crate::limits::{MAX_ELEMENT_BYTES, MAX_MESSAGE_BYTES, MAX_MISSING_LISTED};
use crate::mesos::scheduler as v0;
use crate::mesos::v1::{self, scheduler};

/// A field of bytes, text or a message.
fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn varint(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    prost::encoding::encode_varint(value, &mut out);
    out
}

fn refusal<M: Wire + std::fmt::Debug>(bytes: &[u8]) -> String {
    decode::<M>(bytes).expect_err("refused").to_string()
}

#[test]
fn missing_required_fields_are_named_as_mesos_names_them() {
    // A SUBSCRIBE without framework_info, and with an empty one.
    assert_eq!(
        refusal::<scheduler::Call>(&[varint(2, 1), part(3, b"")].concat()),
        "Missing required fields: subscribe.framework_info"
    );
    assert_eq!(
        refusal::<scheduler::Call>(&part(3, &part(1, b""))),
        "Missing required fields: subscribe.framework_info.user, subscribe.framework_info.name"
    );
    // In lists; what a message itself lacks comes before what its parts lack.
    let tasks = [
        part(1, &[part(2, b""), part(1, b"x")].concat()),
        part(1, b""),
    ]
    .concat();
    assert_eq!(
        refusal::<v1::TaskGroupInfo>(&tasks),
        "Missing required fields: tasks[0].agent_id, tasks[0].task_id.value, \
         tasks[1].name, tasks[1].task_id, tasks[1].agent_id"
    );
}

#[test]
fn a_field_in_several_parts_is_one() {
    // protobuf merges them: the user is in one part, the name in the other.
    let info = [part(1, &part(1, b"me")), part(1, &part(2, b"it"))].concat();
    let subscribe: scheduler::call::Subscribe = decode(&info).expect("complete");
    assert_eq!(
        (
            subscribe.framework_info.user.as_str(),
            subscribe.framework_info.name.as_str()
        ),
        ("me", "it")
    );
}

#[test]
fn maps_need_what_their_values_need() {
    let entry = |value: &[u8]| part(1, &[part(1, b"cpus"), value.to_vec()].concat());
    assert_eq!(
        refusal::<v1::offer_filters::ResourceQuantities>(&entry(&part(2, b""))),
        "Missing required fields: quantities[cpus].value"
    );
    // prost leaves out values that equal their default; we write them, and read both.
    let zero = v1::offer_filters::ResourceQuantities {
        quantities: [("cpus".to_owned(), v1::value::Scalar { value: 0.0 })].into(),
    };
    assert_eq!(
        encode(&zero),
        entry(&part(2, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]))
    );
    assert_eq!(zero.encode_to_vec(), entry(b""));
    assert_eq!(decode(&entry(b"")), Ok(zero));
}

#[test]
fn unknown_enum_numbers_count_as_absent() {
    // Optional: unset. Mesos answers "Expecting 'type' to be present" to both of these.
    let call: scheduler::Call = decode(&varint(2, 99)).expect("an unknown type is no type");
    assert_eq!(call, scheduler::Call::default());
    // Required: missing.
    assert_eq!(
        refusal::<v1::TaskStatus>(&[part(1, &part(1, b"t")), varint(2, 99)].concat()),
        "Missing required fields: state"
    );
    // Repeated: not there, packed or not; the others stay.
    let unpacked = [varint(1, 1000), varint(1, 4096), varint(1, 1001)].concat();
    let packed = part(1, &[0xe8, 0x07, 0x80, 0x20, 0xe9, 0x07]);
    for bytes in [unpacked, packed] {
        let info: v1::CapabilityInfo = decode(&bytes).expect("readable");
        assert_eq!(info.capabilities, [1000, 1001]);
    }
    // Far inside.
    let variable = v1::environment::Variable {
        name: "A".to_owned(),
        r#type: Some(77),
        ..Default::default()
    };
    let command = v1::CommandInfo {
        environment: Some(v1::Environment {
            variables: vec![variable],
        }),
        ..Default::default()
    };
    let again: v1::CommandInfo = decode(&command.encode_to_vec()).expect("readable");
    assert_eq!(again.environment.expect("there").variables[0].r#type, None);
}

#[test]
fn v0_calls_are_read_by_their_own_numbers() {
    let subscribe = v0::call::Subscribe {
        framework_info: v1::FrameworkInfo {
            user: "u".to_owned(),
            name: "n".to_owned(),
            ..Default::default()
        },
        force: Some(true),
        suppressed_roles: vec!["a".to_owned()],
        offer_constraints: None,
    };
    let bytes = encode(&subscribe);
    assert_eq!(bytes[bytes.len() - 5..], [2 << 3, 1, 3 << 3 | 2, 1, b'a']);
    assert_eq!(decode::<v0::call::Subscribe>(&bytes), Ok(subscribe));
    // The v1 type has other fields under these numbers.
    assert_eq!(
        refusal::<scheduler::call::Subscribe>(&bytes),
        "wrong wire type at suppressed_roles"
    );
}

#[test]
fn faults_are_named_with_their_place() {
    assert_eq!(
        refusal::<scheduler::Call>(b"\xff\xff"),
        "truncated number at the outermost message"
    );
    assert_eq!(
        refusal::<scheduler::Call>(b"\x0a"),
        "truncated number at framework_id"
    );
    assert_eq!(
        refusal::<scheduler::Call>(b"\x0a\x7f"),
        "truncated value at framework_id"
    );
    assert_eq!(
        refusal::<scheduler::Call>(&part(1, &part(1, b"\xff"))),
        "text that is not UTF-8 at framework_id.value"
    );
    assert_eq!(
        refusal::<scheduler::Call>(&part(1, &varint(1, 1))),
        "wrong wire type at framework_id.value"
    );
    assert_eq!(
        refusal::<scheduler::Call>(&[0, 0]),
        "field number 0 at the outermost message"
    );
    assert_eq!(
        refusal::<scheduler::Call>(&[0x0f]),
        "unknown wire type at the outermost message"
    );
    let long = [&[0x10][..], &[0xff; 9], &[0x7f]].concat();
    assert_eq!(
        refusal::<scheduler::Call>(&long),
        "number of more than 64 bits at type"
    );
    // Unknown fields of every layout are skipped, groups with what is in them.
    let unknown = [
        &varint(15, 1)[..],
        &[0x7b, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4, 0x7c],
        &part(14, b"?"),
    ]
    .concat();
    assert_eq!(
        decode::<v1::TimeInfo>(&[varint(1, 5), unknown].concat()),
        Ok(v1::TimeInfo { nanoseconds: 5 })
    );
    assert_eq!(
        refusal::<v1::TimeInfo>(&[0x7c]),
        "end of a group that was not begun at the outermost message"
    );
    assert_eq!(
        refusal::<v1::TimeInfo>(&[0x7b, 0x74]),
        "end of a group that was not begun at the outermost message"
    );
}

fn nested_container_id(levels: usize) -> v1::ContainerId {
    let mut id = v1::ContainerId {
        value: "c".to_owned(),
        parent: None,
    };
    for _ in 1..levels {
        id = v1::ContainerId {
            value: "c".to_owned(),
            parent: Some(Box::new(id)),
        };
    }
    id
}

#[test]
fn nesting_ends_at_the_limit() {
    let deepest = nested_container_id(MAX_DEPTH);
    assert_eq!(decode(&encode(&deepest)), Ok(deepest));
    let path = vec!["parent"; MAX_DEPTH].join(".");
    assert_eq!(
        decode::<v1::ContainerId>(&encode(&nested_container_id(MAX_DEPTH + 1))),
        Err(DecodeError::TooDeep { path })
    );
    let groups = vec![0x7b; MAX_DEPTH];
    assert_eq!(
        refusal::<v1::Filters>(&groups),
        "groups too deep at the outermost message"
    );
}

#[test]
fn size_ends_at_the_limit() {
    let mut bytes = part(15, &vec![0; MAX_MESSAGE_BYTES - 5]);
    assert_eq!(bytes.len(), MAX_MESSAGE_BYTES);
    assert_eq!(decode::<v1::Filters>(&bytes), Ok(v1::Filters::default()));
    bytes.push(0);
    assert_eq!(
        decode::<v1::Filters>(&bytes),
        Err(DecodeError::TooLarge {
            len: MAX_MESSAGE_BYTES + 1,
            limit: MAX_MESSAGE_BYTES
        })
    );
}

#[test]
fn small_bodies_cannot_fill_the_memory() {
    let fits = MAX_ELEMENT_BYTES / size_of::<v1::offer::Operation>();
    let bytes = [2 << 3 | 2, 0].repeat(fits + 1);
    assert!(bytes.len() < MAX_MESSAGE_BYTES / 100);
    assert_eq!(
        decode::<scheduler::call::Accept>(&bytes),
        Err(DecodeError::TooMany {
            path: "operations".to_owned(),
            limit: MAX_ELEMENT_BYTES
        })
    );
    let limits = Limits {
        element_bytes: 3 * size_of::<v1::offer::Operation>(),
        ..Limits::default()
    };
    assert!(decode_within::<scheduler::call::Accept>(&bytes[..6], &limits).is_ok());
    assert!(decode_within::<scheduler::call::Accept>(&bytes[..8], &limits).is_err());
}

#[test]
fn an_error_lists_so_many_missing_fields() {
    let missing = |count: usize| match decode::<v1::TaskGroupInfo>(&[1 << 3 | 2, 0].repeat(count)) {
        Err(DecodeError::Missing(missing)) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        missing(MAX_MISSING_LISTED / 3).paths().len(),
        MAX_MISSING_LISTED / 3 * 3
    );
    let cut = missing(MAX_MISSING_LISTED);
    assert_eq!(cut.paths().len(), MAX_MISSING_LISTED);
    assert!(cut.to_string().ends_with(", and more"), "{cut}");
}
