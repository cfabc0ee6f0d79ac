//! What a framework may say of itself.

use std::collections::BTreeMap;

use meseta_allocator::{Constraint, Pattern, PatternLimits, Predicate, RoleConstraints, Selector};
use meseta_model::resources::{Quantities, ResourceName, Resources, Scalar};
use meseta_model::roles::Role;
use meseta_model::validation;
use meseta_proto::mesos::v1;
use v1::scheduler::attribute_constraint::selector::PseudoattributeType;
use v1::scheduler::{AttributeConstraint, OfferConstraints, attribute_constraint};

use crate::subscribe::Wishes;

/// Checks a description and what comes with it.
pub(crate) fn wishes(
    info: v1::FrameworkInfo,
    suppressed: &[String],
    constraints: &OfferConstraints,
    limits: PatternLimits,
) -> Result<Wishes, String> {
    validation::framework(&info).map_err(|why| why.to_string())?;
    let own = validation::roles(&info);
    let named = suppressed.iter().map(String::as_str);
    validation::check_suppressed_roles(&own, named).map_err(|why| why.to_string())?;
    validation::check_offer_constraint_roles(&own, constraints).map_err(|why| why.to_string())?;
    validation::check_offer_constraint_count(constraints).map_err(|why| why.to_string())?;
    let mut by_role = BTreeMap::new();
    for (role, wanted) in &constraints.role_constraints {
        let groups = wanted
            .groups
            .iter()
            .map(|group| {
                let rules = group.attribute_constraints.iter();
                rules.map(|rule| constraint(rule, limits)).collect()
            })
            .collect::<Result<Vec<Vec<_>>, String>>()
            .map_err(|why| format!("A role {role} has an invalid 'AttributeConstraint': {why}"))?;
        by_role.insert(Role::from(role.as_str()), RoleConstraints { groups });
    }
    Ok(Wishes {
        info,
        suppressed: suppressed
            .iter()
            .map(|role| Role::from(role.as_str()))
            .collect(),
        constraints: by_role,
    })
}

/// `FrameworkInfo.offer_filters`, as the allocator takes them.
pub(crate) fn minimums(info: &v1::FrameworkInfo) -> BTreeMap<Role, Vec<Quantities>> {
    info.offer_filters
        .iter()
        .filter_map(|(role, filters)| {
            let least = filters.min_allocatable_resources.as_ref()?;
            let quantities = least.quantities.iter().map(|one| {
                one.quantities
                    .iter()
                    .filter_map(|(name, value)| {
                        let quantity = Scalar::try_from_f64(value.value).ok()?;
                        Some((ResourceName::new(name), quantity))
                    })
                    .collect()
            });
            Some((Role::from(role.as_str()), quantities.collect()))
        })
        .collect()
}

/// What a framework waits for, by the first of its requests; nothing in particular without one.
pub(crate) fn request(requests: &[v1::Request]) -> Option<Quantities> {
    let resources = Resources::from_wire(&requests.first()?.resources).ok()?;
    Some(resources.quantities())
}

fn constraint(wire: &AttributeConstraint, limits: PatternLimits) -> Result<Constraint, String> {
    Ok(Constraint {
        selector: selector(&wire.selector)?,
        predicate: predicate(&wire.predicate, limits)?,
    })
}

fn selector(wire: &attribute_constraint::Selector) -> Result<Selector, String> {
    match (wire.pseudoattribute_type, &wire.attribute_name) {
        (None, Some(name)) => Ok(Selector::Attribute(name.clone())),
        (Some(_), None) => match wire.pseudoattribute_type() {
            PseudoattributeType::Hostname => Ok(Selector::Hostname),
            PseudoattributeType::Region => Ok(Selector::Region),
            PseudoattributeType::Zone => Ok(Selector::Zone),
            PseudoattributeType::Unknown => Err("Unknown pseudoattribute type".to_owned()),
        },
        _ => Err("Exactly one of 'AttributeConstraint::Selector::name' or \
                  'AttributeConstraint::Selector::pseudoattribute_type' must be set"
            .to_owned()),
    }
}

fn predicate(
    wire: &attribute_constraint::Predicate,
    limits: PatternLimits,
) -> Result<Predicate, String> {
    let compile = |expression: &str| {
        Pattern::compile(expression, limits).map_err(|refused| refused.to_string())
    };
    let set = [
        wire.exists.map(|_| Ok(Predicate::Exists)),
        wire.not_exists.map(|_| Ok(Predicate::NotExists)),
        wire.text_equals
            .as_ref()
            .map(|p| Ok(Predicate::TextEquals(p.value.clone()))),
        wire.text_not_equals
            .as_ref()
            .map(|p| Ok(Predicate::TextNotEquals(p.value.clone()))),
        wire.text_matches
            .as_ref()
            .map(|p| compile(&p.regex).map(Predicate::TextMatches)),
        wire.text_not_matches
            .as_ref()
            .map(|p| compile(&p.regex).map(Predicate::TextNotMatches)),
    ];
    let mut set = set.into_iter().flatten();
    match (set.next(), set.next()) {
        (Some(predicate), None) => predicate,
        _ => Err("Unknown predicate type".to_owned()),
    }
}
