//! What is refused, in which words, and where reading ends.

use super::*;
use crate::limits::{
    MAX_DEPTH, MAX_ELEMENT_BYTES, MAX_MESSAGE_BYTES, MAX_MISSING_LISTED, MAX_QUOTED_CHARS,
};
use crate::mesos::v1::{self, scheduler};

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
