use meseta_proto::mesos::v1;
use proptest::prelude::*;

use super::samples::{any_resources, parse, volume};
use crate::resources::{Resource, ResourceFormat, Resources, parse_list};
use crate::roles::Role;

proptest! {
    #[test]
    fn what_the_flag_can_say_comes_back_the_same(all in any_resources()) {
        let all = all.unallocated().filter(|entry| {
            Resources::from(entry.clone()).to_flag_text().is_some()
        });
        let text = all.to_flag_text();
        prop_assert!(text.is_some());
        prop_assert_eq!(Resources::parse(&text.unwrap_or_default(), &Role::default()), Ok(all));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}", list in "[a-c:;(){},\\[\\]0-9 -]{0,24}") {
        for text in [text, list] {
            let _ = Resources::parse(&text, &Role::default());
            let _ = crate::attributes::parse(&text);
        }
    }
}

#[test]
fn the_flag_is_read_as_mesos_reads_it() {
    let all = parse(
        " cpus : 4 ; mem:1024;ports:[31000-32000, 5-6,6-9]; disk(role):100;sets:{a, b};gpus:0;",
    );
    assert_eq!(
        all.to_string(),
        "cpus:4; mem:1024; ports:[5-9, 31000-32000]; sets:{a, b}; \
         disk(reservations: [(STATIC,role)]):100"
    );
    assert_eq!(
        all.to_flag_text().as_deref(),
        Some("cpus:4;mem:1024;ports:[5-9,31000-32000];sets:{a,b};disk(role):100")
    );
    let with_default = Resources::parse("cpus:1;mem(*):2;disk(b):3", &"a".into());
    assert_eq!(with_default, Ok(parse("cpus(a):1;mem:2;disk(b):3")));
}

#[test]
fn empty_entries_are_reported_by_the_list_only() {
    let list = parse_list("gpus:0;cpus:1", &Role::default()).unwrap_or_default();
    let names: Vec<&str> = list.iter().map(|entry| entry.name().as_str()).collect();
    assert_eq!(names, ["gpus", "cpus"]);
    assert_eq!(parse("gpus:0;ports:[];cpus:1").len(), 1);
}

#[test]
fn bad_flags_are_refused() {
    let cases = [
        (
            "cpus",
            "Bad value for resources, missing or extra ':' in cpus",
        ),
        (
            "cpus:1:2",
            "Bad value for resources, missing or extra ':' in cpus:1:2",
        ),
        (
            "cpus(a:1",
            "Bad value for resources, mismatched parentheses in cpus(a:1",
        ),
        ("cpus:-1", "Bad type for resource cpus value -1 type TEXT"),
        (
            "cpus:lots",
            "Bad type for resource cpus value lots type TEXT",
        ),
        (
            "ports:[1-2",
            "Failed to parse resource ports value [1-2 error Mismatched brackets",
        ),
        ("ports:[9-2]", "Invalid ranges resource: begin > end"),
        (
            "cpus(-a):1",
            "Role component '-a' is invalid because it starts with a dash",
        ),
        ("cpus():1", "Role names cannot be the empty string"),
        (
            "gpus:1.5",
            "The 'gpus' resource must be an unsigned integer",
        ),
        ("(a):1", "Empty resource name"),
        (
            "cpus:1e300",
            "Invalid scalar resource: value is out of range",
        ),
        (
            "x:1;x:{a}",
            "Resources with the same name ('x') but different types are not allowed",
        ),
    ];
    for (text, wanted) in cases {
        let got = Resources::parse(text, &Role::default()).map_err(|bad| bad.to_string());
        assert_eq!(got, Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn the_flag_may_be_json() {
    let json = r#" [{"name":"cpus","type":"SCALAR","scalar":{"value":2}},
        {"name":"disk","type":"SCALAR","scalar":{"value":5},"role":"b",
         "disk":{"source":{"type":"PATH","path":{"root":"/d"}}}}]"#;
    let shown = Resources::parse(json, &"a".into()).map(|all| all.to_string());
    let wanted = "cpus(reservations: [(STATIC,a)]):2; disk(reservations: [(STATIC,b)])[PATH:/d]:5";
    assert_eq!(shown, Ok(wanted.to_owned()));
    for bad in ["[{", "[1]", r#"[{"name":"cpus"}]"#, r#"[],"x":[]"#] {
        let refused = Resources::parse(bad, &Role::default()).map_err(|bad| bad.to_string());
        let prefix = "Some JSON resources were not formatted properly: ";
        assert!(
            refused.as_ref().is_err_and(|text| text.starts_with(prefix)),
            "{bad}: {refused:?}"
        );
    }
}

#[test]
fn json_flags_take_both_formats_and_nothing_dynamic() {
    let plain = |all: &Resources, format| all.to_wire(format);
    let all = parse("cpus:1;mem(b):2");
    let post = plain(&all, ResourceFormat::PostRefinement);
    let taken = |wire: &[v1::Resource]| {
        Resources::from_flag_json(wire, &"d".into()).map(|list| list.into_iter().collect())
    };
    assert_eq!(
        taken(&post),
        Ok(parse("cpus(d):1;mem(b):2")),
        "default role where none is stated"
    );
    assert_eq!(taken(&plain(&all, ResourceFormat::PreRefinement)), Ok(all));

    let refused = |resource: Resource| {
        let wire = resource.to_wire(ResourceFormat::PostRefinement);
        Resources::from_flag_json(&[wire], &Role::default())
            .map_err(|bad| bad.to_string())
            .err()
    };
    let one = volume("v", 1, "a", false);
    let bare = one.without_volume();
    assert_eq!(
        refused(one).as_deref(),
        Some("Persistent volumes cannot be specified at the command line")
    );
    assert_eq!(
        refused(bare.clone()).as_deref(),
        Some(
            "Dynamic reservations cannot be specified at the command line; do not include a reservation with DYNAMIC type in the resources JSON"
        )
    );
    let revocable = bare.with_kind(|kind| {
        kind.reservations.clear();
        kind.revocable = true;
    });
    assert_eq!(
        refused(revocable).as_deref(),
        Some(
            "Revocable resources cannot be specified at the command line; do not include a 'revocable' key in the resources JSON"
        )
    );
}

#[test]
fn legacy_documents_show_totals() {
    let all = parse("disk:10000;mem:16384;cpus:7;cpus(ops):1;ports:[31000-32000];z:{a,b}");
    let revocable = parse("cpus:0.5")
        .iter()
        .next()
        .cloned()
        .map(|entry| entry.with_kind(|kind| kind.revocable = true));
    let all: Resources = all.into_iter().chain(revocable).collect();
    let text = |all: &Resources| serde_json::to_string(&all.document()).unwrap_or_default();
    assert_eq!(
        text(&all),
        r#"{"disk":10000.0,"mem":16384.0,"gpus":0.0,"cpus":8.0,"ports":"[31000-32000]","z":"{a, b}","cpus_revocable":0.5}"#
    );
    assert_eq!(
        text(&Resources::new()),
        r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}"#
    );
    let quantities = serde_json::to_string(&parse("mem:128;cpus:1;ports:[1-2]").quantities());
    assert_eq!(
        quantities.unwrap_or_default(),
        r#"{"cpus":1.0,"mem":128.0}"#
    );
}
