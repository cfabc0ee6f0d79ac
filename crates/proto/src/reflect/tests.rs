//! The tables, and both codecs over every message type there is.
use proptest::prelude::*;

use super::sample::Draw;
use super::tables::ALL;
use super::{AnyRecord, Kind, Table};
use crate::{DecodeError, append_json};

#[test]
fn tables_find_their_fields() {
    assert!(ALL.len() > 500, "{}", ALL.len());
    for table in ALL {
        assert!(table.fields.len() <= 128, "{}", table.name);
        for (slot, field) in table.fields.iter().enumerate() {
            assert_eq!(
                table.slot_named(field.name()),
                Some(slot),
                "{}.{}",
                table.name,
                field.name()
            );
            assert_eq!(
                table.slot_numbered(field.number),
                Some(slot),
                "{}.{}",
                table.name,
                field.name()
            );
            if let Kind::Enum(values) = field.kind {
                for (number, name) in values.by_number {
                    assert_eq!(values.number(name), Some(*number));
                }
                for (name, number) in values.by_name {
                    assert!(values.name(*number).is_some(), "{name}");
                }
            }
        }
        assert_eq!(
            (table.slot_named("no such field"), table.slot_numbered(0)),
            (None, None)
        );
    }
}

/// The types that half of all samples are of.
const COMMON: [&str; 8] = [
    "mesos.v1.Offer",
    "mesos.v1.TaskInfo",
    "mesos.v1.FrameworkInfo",
    "mesos.v1.scheduler.Call",
    "mesos.v1.scheduler.Event",
    "mesos.scheduler.Call",
    "mesos.internal.StatusUpdate",
    "mesos.internal.ReregisterSlaveMessage",
];

/// A message type and a filled message of it.
fn sample(bytes: &[u8]) -> (&'static Table, Box<dyn AnyRecord>) {
    let mut draw = Draw::new(bytes);
    let common = COMMON.get(draw.below(2 * COMMON.len()));
    let any = (draw.below(256) * 256 + draw.below(256)) % ALL.len();
    let named = ALL.iter().find(|table| common == Some(&table.name));
    assert_eq!(named.is_some(), common.is_some(), "{common:?}");
    let table = named.unwrap_or(&ALL[any]);
    let mut message = (table.new)();
    draw.fill(message.record_mut());
    (table, message)
}

fn entropy() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 2..600)
}

fn json(message: &dyn AnyRecord) -> String {
    let mut out = String::new();
    append_json(&mut out, message.record());
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn binary_round_trip(bytes in entropy()) {
        let (table, message) = sample(&bytes);
        let encoded = message.to_bytes();
        let mut again = (table.new)();
        prop_assert_eq!(again.read_bytes(&encoded), Ok(()), "{}", table.name);
        prop_assert_eq!(again.to_bytes(), encoded, "{}", table.name);
    }

    #[test]
    fn json_round_trip(bytes in entropy()) {
        let (table, message) = sample(&bytes);
        let text = json(&*message);
        let mut again = (table.new)();
        prop_assert_eq!(again.read_json(text.as_bytes()), Ok(()), "{}: {}", table.name, text);
        prop_assert_eq!(json(&*again), text, "{}", table.name);
        // What JSON shows beyond what is set are defaults, which reading sets: nothing else may differ.
        let mut third = (table.new)();
        prop_assert_eq!(third.read_bytes(&again.to_bytes()), Ok(()));
        prop_assert_eq!(third.to_bytes(), again.to_bytes());
    }

    #[test]
    fn json_is_what_other_parsers_read(bytes in entropy()) {
        let (table, message) = sample(&bytes);
        let text = json(&*message);
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert!(parsed.is_ok_and(|value| value.is_object()), "{}: {}", table.name, text);
    }

    #[test]
    fn damaged_protobuf_is_refused_or_read(bytes in entropy(), cut in any::<usize>(), at in any::<usize>(), with in any::<u8>()) {
        let (table, message) = sample(&bytes);
        let mut encoded = message.to_bytes();
        encoded.truncate(cut % (encoded.len() + 1));
        if !encoded.is_empty() {
            let at = at % encoded.len();
            encoded[at] = with;
        }
        never_surprised(table, &encoded)?;
    }

    #[test]
    fn random_protobuf_is_refused_or_read(which in any::<usize>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        never_surprised(ALL[which % ALL.len()], &bytes)?;
    }

    #[test]
    fn damaged_json_is_refused_or_read(bytes in entropy(), cut in any::<usize>(), at in any::<usize>(), with in any::<u8>()) {
        let (table, message) = sample(&bytes);
        let mut text = json(&*message).into_bytes();
        let mut again = (table.new)();
        let at = at % text.len();
        text[at] = with;
        let _ = again.read_json(&text);
        text.truncate(cut % text.len());
        prop_assert!(again.read_json(&text).is_err());
    }

    #[test]
    fn random_json_is_refused_or_read(which in any::<usize>(), text in "[\\[\\]{}\":,a-z0-9.\\\\ _-]{0,80}") {
        let mut message = (ALL[which % ALL.len()].new)();
        let _ = message.read_json(text.as_bytes());
    }
}

/// Whatever our check lets pass, prost can read, and it encodes to something that passes again.
fn never_surprised(table: &'static Table, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut message = (table.new)();
    match message.read_bytes(bytes) {
        Ok(()) => {
            let mut again = (table.new)();
            prop_assert_eq!(again.read_bytes(&message.to_bytes()), Ok(()));
        }
        Err(DecodeError::Malformed { reason, .. }) => prop_assert_ne!(reason, "malformed protobuf"),
        Err(_) => {}
    }
    Ok(())
}
