//! What is shown of a message.

use serde_json::json;

use super::*;
use crate::mesos::v1::{self, master, scheduler};

#[test]
fn explicit_defaults_are_shown_unless_deprecated() {
    let info = v1::FrameworkInfo {
        user: "u".to_owned(),
        name: "n".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        show(&info),
        r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#
    );
    assert_eq!(show(&v1::Filters::default()), r#"{"refuse_seconds":5.0}"#);
    // A string and an enum; `Environment.Variable.value` has none and stays away.
    let variable = v1::environment::Variable {
        name: "A".to_owned(),
        ..Default::default()
    };
    assert_eq!(show(&variable), r#"{"name":"A","type":"VALUE"}"#);
    assert_eq!(
        show(&v1::FileInfo {
            path: "/".to_owned(),
            ..Default::default()
        }),
        r#"{"path":"/"}"#
    );
}

#[test]
fn empty_lists_and_maps_stay_away_where_mesos_leaves_them_away() {
    assert_eq!(show(&scheduler::call::Decline::default()), "{}");
    assert_eq!(
        show(&v1::offer_filters::ResourceQuantities::default()),
        "{}"
    );
    assert_eq!(
        show(&master::response::GetAgents::default()),
        r#"{"agents":[],"recovered_agents":[]}"#
    );
    assert_eq!(show(&master::response::GetOperations::default()), "{}");
}

#[test]
#[allow(deprecated)]
fn set_fields_are_shown_even_when_deprecated_or_zero() {
    let resource = v1::Resource {
        name: "cpus".to_owned(),
        role: Some("*".to_owned()),
        scalar: Some(v1::value::Scalar { value: 0.0 }),
        ..Default::default()
    };
    assert_eq!(
        show(&resource),
        r#"{"name":"cpus","type":"SCALAR","scalar":{"value":0.0},"role":"*"}"#
    );
}

#[test]
fn numbers_look_as_mesos_prints_them() {
    // Recorded from a genuine master's weights.
    let cases = [
        (12_345_678_901_234_567_890.0, "12345678901234567000.0"),
        (1e-6, "0.000001"),
        (1.000_000_000_000_000_1e23, "1.0000000000000001e23"),
        (2.0, "2.0"),
        (1e22, "1e22"),
        (f64::INFINITY, "\"Infinity\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
        (1e300, "1e300"),
        (1e17, "100000000000000000.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e-9, "1.5e-9"),
        (1e-7, "1e-7"),
        (1e-5, "0.00001"),
        (0.1, "0.1"),
        (123_456_789.123_456_79, "123456789.12345679"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (-15.0, "-15.0"),
    ];
    for (value, expected) in cases {
        let mut out = String::new();
        append_double(&mut out, value);
        assert_eq!(out, expected);
    }
    // Mesos prints a bare NaN, which no client can read.
    let info = v1::WeightInfo {
        weight: f64::NAN,
        role: None,
    };
    assert_eq!(show(&info), r#"{"weight":"NaN"}"#);
    let time = v1::TimeInfo {
        nanoseconds: i64::MIN,
    };
    assert_eq!(show(&time), r#"{"nanoseconds":-9223372036854775808}"#);
}

#[test]
fn text_and_bytes_are_escaped() {
    let id = v1::TaskId {
        value: "\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{7f}é😀</script>".to_owned(),
    };
    assert_eq!(
        show(&id),
        "{\"value\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001F\u{7f}é😀</script>\"}"
    );
    assert_eq!(read::<v1::TaskId>(&show(&id)), Ok(id));
    let uuid = v1::Uuid {
        value: vec![0xfb, 0xff, 0].into(),
    };
    assert_eq!(show(&uuid), r#"{"value":"+/8A"}"#);
}

#[test]
fn unknown_enum_numbers_are_not_shown() {
    let status = v1::TaskStatus {
        reason: Some(4711),
        ..Default::default()
    };
    assert_eq!(
        show(&status),
        r#"{"task_id":{"value":""},"state":"TASK_STAGING"}"#
    );
    let info = v1::CapabilityInfo {
        capabilities: vec![7, 1000, 8],
    };
    assert_eq!(show(&info), r#"{"capabilities":["CHOWN"]}"#);
    // As if unset: the default.
    let address = v1::network_info::IpAddress {
        protocol: Some(9),
        ip_address: None,
    };
    assert_eq!(show(&address), r#"{"protocol":"IPv4"}"#);
}

#[test]
fn messages_can_be_part_of_other_documents() {
    let labels = v1::Labels {
        labels: vec![v1::Label {
            key: "k".to_owned(),
            value: None,
        }],
    };
    let document = json!({ "labels": Json(&labels), "n": 1 });
    assert_eq!(
        document,
        json!({ "labels": { "labels": [{ "key": "k" }] }, "n": 1 })
    );
    let text = serde_json::to_string(&[Json(&v1::Filters::default())]).expect("JSON");
    assert_eq!(text, r#"[{"refuse_seconds":5.0}]"#);
    let mut text = "[".to_owned();
    append_json(&mut text, &labels);
    assert_eq!(text, r#"[{"labels":[{"key":"k"}]}"#);
}
