use proptest::prelude::*;

use super::samples::{any_resources, parse, volume};
use crate::resources::{Resource, ResourceName, Resources, Scalar, Value};
use crate::roles::Role;

fn sum(a: &Resources, b: &Resources) -> Resources {
    a.clone() + b
}

/// `b` without the numbers and items that `a` has too: those exist once and cannot be added twice.
fn apart(a: &Resources, b: &Resources) -> Resources {
    b.saturating_sub(&a.filter(|entry| entry.quantity().is_none()))
}

fn well_formed(all: &Resources) -> bool {
    let whole_gpus = |entry: &Resource| {
        *entry.name() != ResourceName::Gpus || entry.quantity().is_some_and(Scalar::is_whole)
    };
    let sorted = all.iter().collect::<Vec<_>>();
    sorted
        .windows(2)
        .all(|pair| pair[0].cmp_key(pair[1]).is_lt())
        && all
            .iter()
            .all(|e| !e.value().is_empty() && e.count() > 0 && whole_gpus(e))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn adding_then_subtracting_is_identity(a in any_resources(), b in any_resources()) {
        let b = apart(&a, &b);
        let both = sum(&a, &b);
        prop_assert_eq!(both.checked_sub(&b), Some(a.clone()));
        prop_assert_eq!(both.saturating_sub(&b), a.clone());
        prop_assert!(both.contains(&a) && both.contains(&b));
    }

    #[test]
    fn taking_away_says_whether_all_was_there(a in any_resources(), b in any_resources()) {
        for other in [b.clone(), sum(&a, &b), a.saturating_sub(&b)] {
            let mut left = a.clone();
            prop_assert_eq!(left.take_away(&other), a.contains(&other));
            prop_assert_eq!(left, a.saturating_sub(&other));
        }
    }

    #[test]
    fn adding_is_commutative_and_associative(
        a in any_resources(), b in any_resources(), c in any_resources(),
    ) {
        prop_assert_eq!(sum(&a, &b), sum(&b, &a));
        prop_assert_eq!(sum(&sum(&a, &b), &c), sum(&a, &sum(&b, &c)));
        prop_assert_eq!([&a, &b, &c].into_iter().sum::<Resources>(), sum(&sum(&a, &b), &c));
    }

    #[test]
    fn contains_is_a_partial_order(
        a in any_resources(), b in any_resources(), c in any_resources(),
    ) {
        prop_assert!(a.contains(&a));
        prop_assert_eq!(a.contains(&b) && b.contains(&a), a == b);
        let (more, most) = (sum(&a, &b), sum(&sum(&a, &b), &c));
        prop_assert!(most.contains(&more) && more.contains(&a) && most.contains(&a));
        if a.contains(&b) && b.contains(&c) {
            prop_assert!(a.contains(&c));
        }
        prop_assert_eq!(a.contains(&b), a.checked_sub(&b).is_some());
        let (less, least) = (a.saturating_sub(&b), a.saturating_sub(&b).saturating_sub(&c));
        prop_assert!(a.contains(&less) && less.contains(&least));
    }

    #[test]
    fn nothing_is_ever_negative_or_out_of_order(a in any_resources(), b in any_resources()) {
        let role = Role::from("a");
        let all = [
            sum(&a, &b), a.saturating_sub(&b), a.allocated_to(&role), sum(&a, &b).unallocated(),
            a.to_unreserved(), a.pop_reservation(), a.reserved(), a.allocatable_to(&role),
            a.at_most(&ResourceName::Cpus, Scalar::from_thousandths(700)),
        ];
        for resources in &all {
            prop_assert!(well_formed(resources), "{resources}");
        }
        for group in a.reservations().values().chain(a.allocations().values()) {
            prop_assert!(well_formed(group) && a.contains(group));
        }
    }

    #[test]
    fn what_is_known_of_a_kind_is_true_of_it(a in any_resources(), b in any_resources()) {
        let role = Role::from("a");
        for all in [sum(&a, &b), a.saturating_sub(&b), a.to_unreserved(), a.allocated_to(&role)] {
            for entry in &all {
                let kind = entry.kind();
                prop_assert_eq!(entry.is_unreserved(), kind.reservations.is_empty());
                prop_assert_eq!(entry.has_refined_reservations(), kind.reservations.len() > 1);
                prop_assert_eq!(entry.has_disk(), kind.disk.is_some());
                prop_assert_eq!(entry.is_revocable(), kind.revocable);
                prop_assert_eq!(entry.is_shared(), kind.shared);
                prop_assert_eq!(entry.is_indivisible(), kind.is_indivisible());
            }
        }
    }

    #[test]
    fn a_change_leaves_clones_alone(a in any_resources(), b in any_resources()) {
        let before: Vec<Resource> = a.iter().cloned().collect();
        let (mut more, mut less) = (a.clone(), a.clone());
        more += &b;
        let _ = less.take_away(&b);
        let mut one_more = a.clone();
        one_more.extend(b.iter().cloned());
        prop_assert_eq!(&one_more, &more);
        prop_assert!(a.iter().eq(&before));
    }

    #[test]
    fn selections_split_without_loss(a in any_resources()) {
        prop_assert_eq!(sum(&a.reserved(), &a.unreserved()), a.clone());
        prop_assert_eq!(sum(&a.revocable(), &a.non_revocable()), a.clone());
        prop_assert_eq!(sum(&a.shared(), &a.non_shared()), a.clone());
        prop_assert_eq!(a.reservations().values().sum::<Resources>(), a.reserved());
        let allocated = a.filter(|entry| entry.allocation_role().is_some());
        prop_assert_eq!(a.allocations().values().sum::<Resources>(), allocated);
    }

    #[test]
    fn relabelling_keeps_quantities(a in any_resources()) {
        // Shared volumes of different roles become one when unallocated, and count once.
        let a = a.non_shared();
        let role = Role::from("x/y");
        prop_assert_eq!(a.allocated_to(&role).quantities(), a.quantities());
        prop_assert_eq!(a.unallocated().quantities(), a.quantities());
        prop_assert_eq!(a.to_unreserved().quantities(), a.quantities());
        prop_assert!(a.contains_quantities(&a.quantities()));
    }
}

/// Entries of one kind share it, but not where equals may differ: who made a volume is kept.
#[test]
fn sharing_kinds_loses_nothing() {
    let all = parse("cpus(a):1;mem(a):1;ports(a):[1-2,5-9]");
    let kinds: Vec<_> = all.iter().map(Resource::kind).collect();
    assert!(kinds.windows(2).all(|pair| std::ptr::eq(pair[0], pair[1])));
    let by = |principal: &str, size| {
        volume("v", size, "a", false).with_kind(|kind| {
            if let Some(persistence) = kind.disk.as_mut().and_then(|it| it.persistence.as_mut()) {
                persistence.principal = Some(principal.to_owned());
            }
        })
    };
    let volumes: Resources = [by("one", 1), by("other", 2)].into_iter().collect();
    let of = |entry: &Resource| entry.disk()?.persistence.as_ref()?.principal.clone();
    let makers: Vec<_> = volumes.iter().filter_map(of).collect();
    assert_eq!(makers, ["one", "other"]);
}

#[test]
fn different_kinds_do_not_mix() {
    let all = parse("cpus:1;cpus(a):2;cpus(b):3;mem:5");
    assert_eq!(all.len(), 4);
    assert!(all.contains(&parse("cpus(a):2;mem:4.5")));
    assert!(!all.contains(&parse("cpus:2")));
    assert!(!all.contains(&parse("cpus(c):1")));
    assert_eq!(all.total(&ResourceName::Cpus), Scalar::from_whole(6));
    let mut rest = all.clone();
    assert!(
        !rest.try_sub_assign(&parse("cpus:1;mem:6")),
        "all or nothing"
    );
    assert_eq!(rest, all);
    assert!(rest.try_sub_assign(&parse("cpus:1;mem:5")));
    assert_eq!(rest, parse("cpus(a):2;cpus(b):3"));
}

#[test]
fn entries_are_listed_as_an_agent_lists_them() {
    let all = parse("zone:{b,a};ports:[1-2];disk:1;mem:1;gpus:1;cpus:1;cpus(a):1;alpha:1");
    let names: Vec<String> = all
        .iter()
        .map(|entry| format!("{}@{}", entry.name(), entry.shown_role()))
        .collect();
    let wanted = [
        "cpus@*", "gpus@*", "mem@*", "disk@*", "ports@*", "alpha@*", "zone@*", "cpus@a",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn reservations_reach_the_roles_below() {
    let all = parse("cpus:1;cpus(a):2;cpus(a/b):4;cpus(c):8");
    let seen = |role: &str| all.allocatable_to(&role.into()).total(&ResourceName::Cpus);
    assert_eq!(seen("a"), Scalar::from_whole(3));
    assert_eq!(seen("a/b"), Scalar::from_whole(7));
    assert_eq!(seen("a/b/x"), Scalar::from_whole(7));
    assert_eq!(seen("a/c"), Scalar::from_whole(3));
    assert_eq!(seen("*"), Scalar::from_whole(1));
    assert_eq!(all.reserved_to(&"a".into()), parse("cpus(a):2"));
    assert_eq!(
        all.reserved_to_role_or_above(&"a/b".into()),
        parse("cpus(a):2;cpus(a/b):4")
    );
}

#[test]
fn shared_volumes_are_counted_not_added() {
    let one = Resources::from(volume("v", 10, "a", true));
    let two = one.clone() + &one;
    assert_eq!(
        (two.len(), two.iter().next().map(Resource::count)),
        (1, Some(2))
    );
    assert!(two.contains(&one) && !one.contains(&two));
    assert_eq!(two.checked_sub(&one), Some(one.clone()));
    assert_eq!(two.quantities(), one.quantities(), "the space exists once");
    assert_eq!(one.checked_sub(&two), None);
}

#[test]
fn volumes_and_mounts_are_all_or_nothing() {
    let ten = Resources::from(volume("v", 10, "a", false));
    let five = Resources::from(volume("v", 5, "a", false));
    assert!(!ten.contains(&five));
    assert_eq!(ten.saturating_sub(&five), ten);
    assert_eq!((ten.clone() + &five).len(), 2);
    let used = |path: &str| {
        let mut other =
            volume("v", 10, "a", false).to_wire(crate::resources::ResourceFormat::Endpoint);
        if let Some(volume) = other.disk.as_mut().and_then(|disk| disk.volume.as_mut()) {
            volume.container_path = path.to_owned();
        }
        Resources::from_wire(&[other])
    };
    assert_eq!(
        used("elsewhere"),
        Ok(ten),
        "how it is mounted is no part of what it is"
    );
}

#[test]
fn splitting_for_the_allocator() {
    let all = parse("cpus:4;cpus(a):2;mem:8");
    let cpus = ResourceName::Cpus;
    assert_eq!(
        all.at_most(&cpus, Scalar::from_whole(5)),
        parse("cpus:4;cpus(a):1;mem:8")
    );
    assert_eq!(
        all.at_most(&cpus, Scalar::from_thousandths(500)),
        parse("cpus:0.5;mem:8")
    );
    assert_eq!(all.at_most(&cpus, Scalar::ZERO), parse("mem:8"));
    assert_eq!(all.at_most(&cpus, Scalar::from_whole(99)), all);
    let volumes = Resources::from(volume("v", 10, "a", false)) + &parse("disk:3");
    let disk = ResourceName::Disk;
    assert_eq!(
        volumes.at_most(&disk, Scalar::from_whole(5)),
        parse("disk:3")
    );
}

#[test]
fn sums_stay_in_range() {
    let huge = Resource::scalar(ResourceName::Mem, Scalar::from_thousandths(i64::MAX));
    let all: Resources = [huge.clone(), huge.clone()].into_iter().collect();
    assert_eq!(all, Resources::from(huge.clone()));
    let negative = huge.with_value(Value::Scalar(Scalar::from_thousandths(-5)));
    assert_eq!(all.clone() + &Resources::from(negative), all);
}

#[test]
fn containment_of_quantities_counts_numbers_and_items() {
    let all = parse("cpus:1;cpus(a):1;ports:[1-10];zones:{a,b}");
    let wants = |name: &str, amount: i64| {
        let wanted = [(ResourceName::new(name), Scalar::from_whole(amount))]
            .into_iter()
            .collect();
        all.contains_quantities(&wanted)
    };
    assert!(wants("cpus", 2) && !wants("cpus", 3));
    assert!(wants("ports", 10) && !wants("ports", 11));
    assert!(wants("zones", 2) && !wants("zones", 3));
    assert!(!wants("mem", 1) && wants("mem", 0));
}
