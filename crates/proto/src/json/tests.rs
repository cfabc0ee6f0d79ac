#![allow(clippy::expect_used)]
use serde_json::json;

use super::*;
use crate::limits::{
    MAX_DEPTH, MAX_ELEMENT_BYTES, MAX_MESSAGE_BYTES, MAX_MISSING_LISTED, MAX_QUOTED_CHARS,
};
use crate::mesos::v1::{self, master, scheduler};

fn read<M: Wire>(text: &str) -> Result<M, String> {
    from_json(text.as_bytes()).map_err(|error| error.to_string())
}

fn refusal<M: Wire + std::fmt::Debug>(text: &str) -> String {
    read::<M>(text).expect_err("refused")
}

fn show<M: Wire>(message: &M) -> String {
    String::from_utf8(to_json(message)).expect("UTF-8")
}

fn weight(text: &str) -> Result<f64, String> {
    read::<v1::WeightInfo>(&format!(r#"{{"weight":{text}}}"#)).map(|info| info.weight)
}

// Output.

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

// Input.

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

#[test]
fn refusals_are_in_the_words_of_mesos() {
    let cases = [
        (r#"[1]"#, "Expecting a JSON object"),
        (r#""x""#, "Expecting a JSON object"),
        (r#"null"#, "Expecting a JSON object"),
        (
            r#"{"type":5}"#,
            "Not expecting a JSON number for field 'type'",
        ),
        (
            r#"{"type":true}"#,
            "Not expecting a JSON boolean for field 'type'",
        ),
        (
            r#"{"type":["SUBSCRIBE"]}"#,
            "Not expecting a JSON array for field 'type'",
        ),
        (
            r#"{"type":{}}"#,
            "Not expecting a JSON object for field 'type'",
        ),
        (
            r#"{"subscribe":[]}"#,
            "Not expecting a JSON array for field 'subscribe'",
        ),
        (
            r#"{"framework_id":"abc"}"#,
            "Not expecting a JSON string for field 'framework_id'",
        ),
        (
            r#"{"framework_id":{"value":5}}"#,
            "Not expecting a JSON number for field 'framework_id.value'",
        ),
        (
            r#"{"subscribe":{}}"#,
            "Missing required fields: subscribe.framework_info",
        ),
        (
            r#"{"subscribe":{"framework_info":{}}}"#,
            "Missing required fields: subscribe.framework_info.user, subscribe.framework_info.name",
        ),
        (
            r#"{"accept":{"offer_ids":[{"value":"a"},{}],"operations":[{"launch":{"task_infos":[{"name":"x"},{"task_id":{}}]}}]}}"#,
            "Missing required fields: accept.offer_ids[1].value, \
             accept.operations[0].launch.task_infos[0].task_id, accept.operations[0].launch.task_infos[0].agent_id, \
             accept.operations[0].launch.task_infos[1].name, accept.operations[0].launch.task_infos[1].agent_id, \
             accept.operations[0].launch.task_infos[1].task_id.value",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal::<scheduler::Call>(text), expected, "{text}");
        assert!(
            !from_json::<scheduler::Call>(text.as_bytes())
                .expect_err("refused")
                .is_syntax(),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_json_is_refused_in_the_words_of_mesos() {
    let cases = [
        ("", "syntax error at line 1 near: "),
        ("{bad", "syntax error at line 1 near: bad"),
        (
            r#"{"type":"SUBSCRIBE" "x"}"#,
            r#"syntax error at line 1 near: "x"}"#,
        ),
        (
            r#"{"type":Infinity}"#,
            "syntax error at line 1 near: Infinity}",
        ),
        (r#"{"type":'x'}"#, "syntax error at line 1 near: 'x'}"),
        (r#"{"type":"x","#, "syntax error at line 1 near: "),
        (
            "{\n\"type\": \"x\",\n?\n}",
            "syntax error at line 3 near: ?",
        ),
        (
            "{} x",
            "Parsed JSON included non-whitespace trailing characters: x",
        ),
        // Syntax comes before meaning.
        (r#"{"type":5,?"#, "syntax error at line 1 near: ?"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal::<scheduler::Call>(text), expected, "{text}");
        assert!(
            from_json::<scheduler::Call>(text.as_bytes())
                .expect_err("refused")
                .is_syntax(),
            "{text}"
        );
    }
    for text in [
        &br#"{"framework_id":{"value":"\ud800"}}"#[..],
        b"{\"framework_id\":{\"value\":\"\xff\"}}",
        b"{\"framework_id\":{\"value\":\"\x01\"}}",
    ] {
        let error = from_json::<scheduler::Call>(text).expect_err("refused");
        assert!(error.is_syntax(), "{error}");
    }
}

// Limits.

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |levels: usize| {
        let mut text = r#"{"value":"c"}"#.to_owned();
        for _ in 1..levels {
            text = format!(r#"{{"value":"c","parent":{text}}}"#);
        }
        from_json::<v1::ContainerId>(text.as_bytes())
    };
    assert!(nested(MAX_DEPTH).is_ok());
    let path = vec!["parent"; MAX_DEPTH].join(".");
    assert_eq!(nested(MAX_DEPTH + 1), Err(JsonError::TooDeep { path }));
}

#[test]
fn size_ends_at_the_limit() {
    let mut text = b"{}".to_vec();
    text.resize(MAX_MESSAGE_BYTES, b' ');
    assert_eq!(from_json(&text), Ok(v1::Filters::default()));
    text.push(b' ');
    let refused = JsonError::TooLarge {
        len: MAX_MESSAGE_BYTES + 1,
        limit: MAX_MESSAGE_BYTES,
    };
    assert_eq!(from_json::<v1::Filters>(&text), Err(refused));
}

#[test]
fn small_bodies_cannot_fill_the_memory() {
    let operation = size_of::<v1::offer::Operation>();
    let accept = |count: usize, limits: &Limits| {
        let text = format!(r#"{{"operations":[{}]}}"#, vec!["{}"; count].join(","));
        from_json_within::<scheduler::call::Accept>(text.as_bytes(), limits)
    };
    let limits = Limits {
        element_bytes: 3 * operation,
        ..Limits::default()
    };
    assert!(accept(3, &limits).is_ok());
    let path = "operations[3]".to_owned();
    assert_eq!(
        accept(4, &limits),
        Err(JsonError::TooMany {
            path,
            limit: 3 * operation
        })
    );
    let path = format!("operations[{}]", MAX_ELEMENT_BYTES / operation);
    let refused = accept(MAX_ELEMENT_BYTES / operation + 1, &Limits::default());
    assert_eq!(
        refused,
        Err(JsonError::TooMany {
            path,
            limit: MAX_ELEMENT_BYTES
        })
    );

    let entries = r#"{"quantities":{"a":{"value":1},"b":{"value":1}}}"#;
    let limits = Limits {
        element_bytes: 1,
        ..Limits::default()
    };
    let refused =
        from_json_within::<v1::offer_filters::ResourceQuantities>(entries.as_bytes(), &limits);
    assert!(
        matches!(refused, Err(JsonError::TooMany { .. })),
        "{refused:?}"
    );
}

#[test]
fn errors_are_of_bounded_length() {
    let long = "x".repeat(10 * MAX_QUOTED_CHARS);
    let expected = format!(
        "Failed to parse '{}' as a JSON number for field 'weight'",
        &long[..MAX_QUOTED_CHARS]
    );
    assert_eq!(weight(&format!("\"{long}\"")), Err(expected));
    let expected = format!("syntax error at line 1 near: {}", &long[..MAX_QUOTED_CHARS]);
    assert_eq!(refusal::<v1::Filters>(&format!("{{{long}")), expected);
    let text = format!(
        r#"{{"tasks":[{}]}}"#,
        vec!["{}"; MAX_MISSING_LISTED].join(",")
    );
    match from_json::<v1::TaskGroupInfo>(text.as_bytes()) {
        Err(JsonError::Missing(missing)) => {
            assert_eq!(missing.paths().len(), MAX_MISSING_LISTED);
            assert_eq!(
                missing.paths()[..4],
                [
                    "tasks[0].name",
                    "tasks[0].task_id",
                    "tasks[0].agent_id",
                    "tasks[1].name"
                ]
            );
            assert!(missing.to_string().ends_with(", and more"), "{missing}");
        }
        other => panic!("{other:?}"),
    }
}
