#![allow(deprecated)]

use std::collections::BTreeMap;

use meseta_proto::mesos::v1;
use v1::framework_info::capability::Type;

use super::said;
use crate::capabilities::FrameworkCapabilities;
use crate::limits::{CONSTRAINTS_PER_FRAMEWORK, MINIMUMS_PER_ROLE, ROLES_PER_FRAMEWORK};
use crate::roles::Role;
use crate::validation::{
    check_offer_constraint_count, check_offer_constraint_roles, check_suppressed_roles,
    check_update, framework, keep_immutable_fields, roles,
};

fn info(fill: impl FnOnce(&mut v1::FrameworkInfo)) -> v1::FrameworkInfo {
    let mut info = v1::FrameworkInfo {
        user: "u".into(),
        name: "n".into(),
        ..Default::default()
    };
    fill(&mut info);
    info
}

fn multi_role(roles: &[&str]) -> v1::FrameworkInfo {
    info(|info| {
        info.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        info.capabilities = FrameworkCapabilities::NONE.with(Type::MultiRole).to_wire();
    })
}

#[test]
fn roles_go_into_the_field_that_the_capability_names() {
    let single = |role: Option<&str>| info(|info| info.role = role.map(str::to_owned));
    let cases = [
        (single(None), "ok"),
        (single(Some("a/b")), "ok"),
        (
            single(Some("a b")),
            "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it \
             contains backspace or whitespace",
        ),
        (
            info(|info| info.roles = vec!["a".into()]),
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
        ),
        (multi_role(&[]), "ok"),
        (multi_role(&["a", "*"]), "ok"),
        (
            v1::FrameworkInfo {
                role: Some("a".into()),
                ..multi_role(&[])
            },
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            multi_role(&["a", "b", "a", "b", "c"]),
            "'FrameworkInfo.roles' contains duplicate items: { a, b }",
        ),
        (
            multi_role(&["a", "/b"]),
            "'FrameworkInfo.roles' contains invalid role: Role '/b' cannot start with a slash",
        ),
    ];
    for (info, wanted) in cases {
        assert_eq!(said(framework(&info)), wanted, "{info:?}");
    }
    let names: Vec<String> = (0..=ROLES_PER_FRAMEWORK).map(|i| format!("r{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(said(framework(&multi_role(&names[1..]))), "ok");
    assert_eq!(
        said(framework(&multi_role(&names))),
        "'FrameworkInfo.roles' contains more than 1000 roles"
    );
}

#[test]
fn subscribed_roles() {
    let all = |info: &v1::FrameworkInfo| {
        roles(info)
            .iter()
            .map(|role| role.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(all(&info(|_| ())), ["*"]);
    assert_eq!(all(&info(|info| info.role = Some("a".into()))), ["a"]);
    assert_eq!(all(&multi_role(&["b", "a"])), ["a", "b"]);
    assert!(roles(&multi_role(&[])).is_empty());
}

#[test]
fn ids_filters_and_timeouts() {
    let with_id = |value: &str| {
        info(|info| {
            info.id = Some(v1::FrameworkId {
                value: value.into(),
            })
        })
    };
    assert_eq!(said(framework(&with_id(""))), "ok", "an empty id is none");
    assert_eq!(
        said(framework(&with_id("a/b"))),
        "'a/b' contains invalid characters"
    );

    let timeout = |secs| said(framework(&info(|info| info.failover_timeout = Some(secs))));
    assert_eq!(timeout(604_800.0), "ok");
    assert_eq!(
        timeout(1e300),
        "The framework failover_timeout (1e300) is invalid"
    );
    assert_eq!(
        timeout(f64::NAN),
        "The framework failover_timeout (NaN) is invalid"
    );

    let filter = |quantities: &[(&str, f64)]| {
        let quantities: BTreeMap<_, _> = quantities
            .iter()
            .map(|(name, value)| ((*name).to_owned(), v1::value::Scalar { value: *value }))
            .collect();
        let quantities = vec![v1::offer_filters::ResourceQuantities { quantities }];
        let minimum = v1::offer_filters::MinAllocatableResources { quantities };
        let filters = v1::OfferFilters {
            min_allocatable_resources: Some(minimum),
        };
        said(framework(&info(|info| {
            info.offer_filters = [("a".to_owned(), filters)].into()
        })))
    };
    assert_eq!(
        filter(&[]),
        "Resource quantities must contain at least one quantity"
    );
    assert_eq!(filter(&[("cpus", 1.0)]), "ok");
    assert_eq!(filter(&[("cpus", 0.0)]), "ok");
    for (value, reason) in [
        (-1.0, "Negative values not supported"),
        (f64::NAN, "NaN not supported"),
        (f64::INFINITY, "Infinite values not supported"),
        (1e-320, "Subnormal values not supported"),
        (1e300, "Value out of range"),
    ] {
        let wanted = format!("Invalid resource quantity for 'cpus': {reason}");
        assert_eq!(filter(&[("cpus", value)]), wanted);
    }
}

#[test]
fn what_may_not_change() {
    let old = info(|info| info.principal = Some("p".into()));
    let changed = |change: &dyn Fn(&mut v1::FrameworkInfo)| {
        let mut new = old.clone();
        change(&mut new);
        new
    };
    let says = |new: &v1::FrameworkInfo, again| said(check_update(&old, new, again));
    let principal = changed(&|new| new.principal = None);
    let user = changed(&|new| new.user = "root".into());
    let checkpoint = changed(&|new| new.checkpoint = Some(true));
    let refused = "Changing framework's principal is not allowed.";
    assert_eq!(says(&principal, true), refused);
    assert_eq!(says(&principal, false), refused);
    assert_eq!(
        says(&user, false),
        "Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'u' to 'root'"
    );
    assert_eq!(
        says(&checkpoint, false),
        "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'false' to \
         'true'"
    );
    assert_eq!(
        (says(&user, true), says(&checkpoint, true)),
        ("ok".into(), "ok".into())
    );
    assert_eq!(
        says(&changed(&|new| new.name = "other".into()), false),
        "ok"
    );
    let said_aloud = changed(&|new| new.checkpoint = Some(false));
    assert_eq!(says(&said_aloud, false), "ok", "the default is no change");

    for mut new in [user, checkpoint, said_aloud] {
        keep_immutable_fields(&old, &mut new);
        assert_eq!((&new.user, new.checkpoint()), (&old.user, old.checkpoint()));
    }
}

#[test]
fn suppressed_and_constrained_roles_are_its_own() {
    let own = [Role::from("a"), Role::from("b")].into();
    assert_eq!(said(check_suppressed_roles(&own, ["a"])), "ok");
    assert_eq!(
        said(check_suppressed_roles(&own, ["c", "a", "d"])),
        "Suppressed roles { c, d } are not contained in the set of roles"
    );
    let constraints = |role: &str| v1::scheduler::OfferConstraints {
        role_constraints: [(role.to_owned(), Default::default())].into(),
    };
    assert_eq!(
        said(check_offer_constraint_roles(&own, &constraints("b"))),
        "ok"
    );
    assert_eq!(
        said(check_offer_constraint_roles(&own, &constraints("c"))),
        "Offer constraints specify `role_constraints` for a role 'c'not contained in the set of \
         roles"
    );
}

#[test]
fn constraints_are_bounded_over_all_roles_and_groups() {
    use v1::scheduler::offer_constraints::{RoleConstraints, role_constraints::Group};
    let group = |constraints: usize| Group {
        attribute_constraints: vec![Default::default(); constraints],
    };
    let of = |groups: [Vec<Group>; 2]| v1::scheduler::OfferConstraints {
        role_constraints: ["a", "b"]
            .map(String::from)
            .into_iter()
            .zip(groups.map(|groups| RoleConstraints { groups }))
            .collect(),
    };
    let check = |groups| said(check_offer_constraint_count(&of(groups)));
    let too_many = "Offer constraints contain more than 1000 attribute constraints";
    let most = CONSTRAINTS_PER_FRAMEWORK;
    assert_eq!(check([vec![group(most)], vec![]]), "ok");
    assert_eq!(check([vec![group(most + 1)], vec![]]), too_many);
    assert_eq!(
        check([vec![group(1), group(2)], vec![group(most - 3)]]),
        "ok"
    );
    assert_eq!(
        check([vec![group(1), group(2)], vec![group(most - 2)]]),
        too_many
    );
    assert_eq!(check([vec![], vec![group(0); most]]), "ok");
    assert_eq!(check([vec![group(1)], vec![group(0); most]]), too_many);
}

#[test]
fn minimums_are_bounded_by_role() {
    let alternative = |quantities: usize| v1::offer_filters::ResourceQuantities {
        quantities: (0..quantities)
            .map(|i| (format!("r{i}"), v1::value::Scalar { value: 1.0 }))
            .collect(),
    };
    let with = |counts: &[usize]| {
        let filters = v1::OfferFilters {
            min_allocatable_resources: Some(v1::offer_filters::MinAllocatableResources {
                quantities: counts.iter().copied().map(alternative).collect(),
            }),
        };
        let roles = ["a", "b"].map(|role| (role.to_owned(), filters.clone()));
        said(framework(&v1::FrameworkInfo {
            offer_filters: roles.into(),
            ..multi_role(&["a", "b"])
        }))
    };
    let too_many =
        "'FrameworkInfo.offer_filters' contains more than 100 resource quantities for role 'a'";
    assert_eq!(with(&[MINIMUMS_PER_ROLE]), "ok");
    assert_eq!(with(&[MINIMUMS_PER_ROLE + 1]), too_many);
    assert_eq!(with(&[1; MINIMUMS_PER_ROLE]), "ok");
    assert_eq!(with(&[1; MINIMUMS_PER_ROLE + 1]), too_many);
}
