//! What is read, and how leniently.

use super::*;
use crate::mesos::v1::{self, master, scheduler};

#[test]
fn numbers_and_booleans_may_be_strings() {
    for text in ["1.5", "\"1.5\"", "\" 1.5 \"", "15e-1", "\"15e-1\""] {
        assert_eq!(weight(text), Ok(1.5), "{text}");
    }
    assert_eq!(weight("3"), Ok(3.0));
    assert_eq!(weight("-3"), Ok(-3.0));
    assert_eq!(weight("\"Infinity\""), Ok(f64::INFINITY));
    assert_eq!(weight("\"-Infinity\""), Ok(f64::NEG_INFINITY));
    let nanoseconds = |text: &str| {
        read::<v1::TimeInfo>(&format!(r#"{{"nanoseconds":{text}}}"#)).map(|time| time.nanoseconds)
    };
    assert_eq!(nanoseconds("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(nanoseconds("\"9223372036854775807\""), Ok(i64::MAX));
    assert_eq!(nanoseconds("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(nanoseconds("1.5e9"), Ok(1_500_000_000));
    // Fractions are cut off, as in Mesos.
    assert_eq!(nanoseconds("1.9"), Ok(1));
    assert_eq!(nanoseconds("-1.9"), Ok(-1));
    let checkpoint = |text: &str| {
        let text = format!(r#"{{"user":"","name":"","checkpoint":{text}}}"#);
        read::<v1::FrameworkInfo>(&text).map(|info| info.checkpoint)
    };
    assert_eq!(checkpoint("true"), Ok(Some(true)));
    assert_eq!(checkpoint("\"true\""), Ok(Some(true)));
    assert_eq!(checkpoint("\"false\""), Ok(Some(false)));
    let expected = "Failed to parse 'True' as a JSON boolean for field 'checkpoint'";
    assert_eq!(checkpoint("\"True\""), Err(expected.to_owned()));
    let expected = "Not expecting a JSON number for field 'checkpoint'";
    assert_eq!(checkpoint("1"), Err(expected.to_owned()));
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let port = |text: &str| {
        read::<v1::Address>(&format!(r#"{{"port":{text}}}"#)).map(|address| address.port)
    };
    assert_eq!(port("2147483647"), Ok(i32::MAX));
    assert_eq!(port("-2147483648"), Ok(i32::MIN));
    for text in [
        "2147483648",
        "-2147483649",
        "1e30",
        "-1e300",
        "99999999999999999999999",
        "\"4294967296\"",
    ] {
        assert_eq!(
            port(text),
            Err("Number out of range for field 'port'".to_owned()),
            "{text}"
        );
    }
    let size = |text: &str| {
        read::<v1::FileInfo>(&format!(r#"{{"path":"","size":{text}}}"#)).map(|info| info.size)
    };
    assert_eq!(size("18446744073709551615"), Ok(Some(u64::MAX)));
    for text in ["-1", "18446744073709551616"] {
        assert_eq!(
            size(text),
            Err("Number out of range for field 'size'".to_owned()),
            "{text}"
        );
    }
    for text in [
        "\"NaN\"", "\"inf\"", "\"\"", "\"-\"", "\".5\"", "\"+1\"", "\"3x\"", "\"0x10\"", "\"1 2\"",
    ] {
        let inner = text.trim_matches('"');
        let expected = format!("Failed to parse '{inner}' as a JSON number for field 'weight'");
        assert_eq!(weight(text), Err(expected), "{text}");
    }
    assert_eq!(
        weight("\"1e999\""),
        Err("Number out of range for field 'weight'".to_owned())
    );
    assert_eq!(
        size("\"Infinity\""),
        Err("Failed to parse 'Infinity' as a JSON number for field 'size'".to_owned())
    );
}

#[test]
fn numbers_survive_the_form_they_have_with_arbitrary_precision() {
    // What serde_json hands over for 1.5 when the feature is on.
    assert_eq!(weight(r#"{"$serde_json::private::Number":"1.5"}"#), Ok(1.5));
    assert_eq!(
        weight(r#"{"$serde_json::private::Number":"12345678901234567890"}"#),
        Ok(12_345_678_901_234_567_890.0)
    );
    let expected = "Not expecting a JSON object for field 'weight'";
    assert_eq!(
        weight(r#"{"$serde_json::private::Number":"x"}"#),
        Err(expected.to_owned())
    );
    let type_refusal =
        refusal::<scheduler::Call>(r#"{"type":{"$serde_json::private::Number":"1"}}"#);
    assert_eq!(type_refusal, "Not expecting a JSON number for field 'type'");
    assert_eq!(
        refusal::<scheduler::Call>(r#"{"$serde_json::private::Number":"1"}"#),
        "Expecting a JSON object"
    );
    assert_eq!(refusal::<scheduler::Call>("5"), "Expecting a JSON object");
}

#[test]
fn null_is_unset_and_unknown_fields_are_nothing() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(
        r#"{{"type":null,"no":{{"such":[1,{{}}]}},"deep":{deep},"framework_id":null,"subscribe":null}}"#
    );
    assert_eq!(read(&text), Ok(scheduler::Call::default()));
    let text = r#"{"offer_ids":[null,{"value":"a"},null]}"#;
    let decline: scheduler::call::Decline = read(text).expect("readable");
    assert_eq!(
        decline.offer_ids,
        [v1::OfferId {
            value: "a".to_owned()
        }]
    );
    assert_eq!(
        refusal::<v1::OfferId>(r#"{"value":null}"#),
        "Missing required fields: value"
    );
    let quantities =
        read::<v1::offer_filters::ResourceQuantities>(r#"{"quantities":{"cpus":null}}"#);
    assert_eq!(
        quantities,
        Ok(v1::offer_filters::ResourceQuantities::default())
    );
}

#[test]
fn one_value_is_a_list_of_one() {
    let decline: scheduler::call::Decline =
        read(r#"{"offer_ids":{"value":"a"}}"#).expect("readable");
    assert_eq!(
        decline.offer_ids,
        [v1::OfferId {
            value: "a".to_owned()
        }]
    );
    let revive: scheduler::call::Revive = read(r#"{"roles":"a"}"#).expect("readable");
    assert_eq!(revive.roles, ["a"]);
    let info: v1::CapabilityInfo = read(r#"{"capabilities":"CHOWN"}"#).expect("readable");
    assert_eq!(info.capabilities, [1000]);
    assert_eq!(
        refusal::<scheduler::call::Decline>(r#"{"offer_ids":[[{"value":"a"}]]}"#),
        "Not expecting a JSON array for field 'offer_ids[0]'"
    );
}

#[test]
fn enums_go_by_name() {
    let type_of = |text: &str| {
        read::<scheduler::Call>(&format!(r#"{{"type":{text}}}"#)).map(|call| call.r#type)
    };
    assert_eq!(
        type_of("\"SUBSCRIBE\""),
        Ok(Some(scheduler::call::Type::Subscribe as i32))
    );
    for unknown in ["\"NO_SUCH_TYPE\"", "\"subscribe\"", "\"1\"", "\"\""] {
        assert_eq!(type_of(unknown), Ok(None), "{unknown}");
    }
    assert_eq!(
        type_of("1"),
        Err("Not expecting a JSON number for field 'type'".to_owned())
    );
    let info: v1::CapabilityInfo =
        read(r#"{"capabilities":["CHOWN","FLY","FOWNER"]}"#).expect("readable");
    assert_eq!(info.capabilities, [1000, 1003]);
    let text = r#"{"task_id":{"value":"t"},"state":"TASK_FLYING"}"#;
    assert_eq!(
        refusal::<v1::TaskStatus>(text),
        "Failed to find enum for 'TASK_FLYING' for field 'state'"
    );
}

#[test]
fn the_last_of_several_values_counts() {
    let text = r#"{"offer_ids":[{"value":"a"}],"offer_ids":{"value":"b"},"filters":{"refuse_seconds":1},"filters":{}}"#;
    let decline: scheduler::call::Decline = read(text).expect("readable");
    assert_eq!(
        decline.offer_ids,
        [v1::OfferId {
            value: "b".to_owned()
        }]
    );
    assert_eq!(
        decline.filters,
        Some(v1::Filters {
            refuse_seconds: None
        })
    );
    assert_eq!(
        refusal::<v1::OfferId>(r#"{"value":"a","value":null}"#),
        "Missing required fields: value"
    );
    let kill = r#"{"task_id":{"value":"a"},"task_id":{}}"#;
    assert_eq!(
        refusal::<scheduler::call::Kill>(kill),
        "Missing required fields: task_id.value"
    );
    let type_of = |text: &str| read::<scheduler::Call>(text).map(|call| call.r#type);
    assert_eq!(type_of(r#"{"type":"KILL","type":"NO"}"#), Ok(None));
}

#[test]
fn base64_is_read_as_leniently_as_mesos_does() {
    let uuid = |text: &str| {
        read::<v1::Uuid>(&format!(r#"{{"value":"{text}"}}"#)).map(|uuid| uuid.value.to_vec())
    };
    let sixteen = uuid("FYutpoaMQg2B6UchNDaynw==").expect("readable");
    assert_eq!(sixteen.len(), 16);
    for text in [
        "FYutpoaMQg2B6UchNDaynw",
        "FYutpoaMQg2B6UchNDaynw=",
        "FYut poaM\\nQg2B6UchNDaynw==",
    ] {
        assert_eq!(uuid(text).as_ref(), Ok(&sixteen), "{text}");
    }
    assert_eq!(uuid("QR=="), Ok(b"A".to_vec()));
    assert_eq!(uuid(""), Ok(Vec::new()));
    let refused = |reason: &str| {
        Err(format!(
            "Failed to base64 decode bytes field 'value': {reason}"
        ))
    };
    assert_eq!(uuid("!!"), refused("Invalid character '!'"));
    assert_eq!(uuid("-_=="), refused("Invalid character '-'"));
    assert!(uuid("Q").is_err());
}

#[test]
fn a_protobuf_duration_is_an_object_or_a_text() {
    type Drain = master::call::DrainAgent;
    let period = |text: &str| {
        let text = format!(r#"{{"agent_id":{{"value":"a"}},"max_grace_period":{text}}}"#);
        read::<Drain>(&text).map(|drain| {
            drain
                .max_grace_period
                .map(|period| (period.seconds, period.nanos))
        })
    };
    assert_eq!(period(r#"{"seconds":600}"#), Ok(Some((600, 0))));
    assert_eq!(period(r#"{"seconds":"1","nanos":5}"#), Ok(Some((1, 5))));
    assert_eq!(period("{}"), Ok(Some((0, 0))));
    assert_eq!(period("null"), Ok(None));
    assert_eq!(period("\"10mins\""), Ok(Some((600, 0))));
    assert_eq!(period("\"1.5secs\""), Ok(Some((1, 500_000_000))));
    assert_eq!(period("\"0ns\""), Ok(Some((0, 0))));
    assert_eq!(period("\"2weeks\""), Ok(Some((1_209_600, 0))));
    let refused = Err("Not expecting a JSON string for field 'max_grace_period'".to_owned());
    for text in [
        "\"10\"",
        "\"mins\"",
        "\"\"",
        "\"10 mins\"",
        "\"10m\"",
        "\"1e300weeks\"",
        "\"NaNsecs\"",
        "\"20000weeks\"",
    ] {
        assert_eq!(period(text), refused, "{text}");
    }
    let drain = Drain {
        max_grace_period: Some(prost_types::Duration {
            seconds: 600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let expected =
        r#"{"agent_id":{"value":""},"max_grace_period":{"seconds":600},"mark_gone":false}"#;
    assert_eq!(show(&drain), expected);
}

#[test]
fn maps_are_objects() {
    let text = r#"{"quantities":{"mem":{"value":1.0},"cpus":{"value":"Infinity"}}}"#;
    let quantities: v1::offer_filters::ResourceQuantities = read(text).expect("readable");
    assert_eq!(
        show(&quantities),
        r#"{"quantities":{"cpus":{"value":"Infinity"},"mem":{"value":1.0}}}"#
    );
    // A bare number is shown in some of Mesos's documents, and refused by it as well.
    type Quantities = v1::offer_filters::ResourceQuantities;
    assert_eq!(
        refusal::<Quantities>(r#"{"quantities":{"cpus":1}}"#),
        "Not expecting a JSON number for field 'quantities[cpus]'"
    );
    assert_eq!(
        refusal::<Quantities>(r#"{"quantities":{"cpus":{}}}"#),
        "Missing required fields: quantities[cpus].value"
    );
    assert_eq!(
        refusal::<Quantities>(r#"{"quantities":[]}"#),
        "Not expecting a JSON array for field 'quantities'"
    );
}
