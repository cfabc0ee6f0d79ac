//! Which changes of an agent's configuration its id survives.

use std::fmt::Display;

use meseta_model::resources::{Resource, Resources, Value};
use meseta_proto::mesos::v1;

use crate::config::ReconfigurationPolicy;

/// Why the agent cannot go on under its old id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Incompatible {
    #[error(
        "Incompatible agent info detected.\n{rule}\nOld agent info:\n{old}\n{rule}\nNew agent info:\n{new}\n{rule}",
        rule = "------------------------------------------------------------"
    )]
    Changed { old: String, new: String },
    #[error("Configuration change not permitted under 'additive' policy: {0}")]
    NotAdditive(String),
}

pub(crate) fn check(
    policy: ReconfigurationPolicy,
    old: &v1::AgentInfo,
    new: &v1::AgentInfo,
) -> Result<(), Incompatible> {
    match policy {
        ReconfigurationPolicy::Equal => check_equal(old, new),
        ReconfigurationPolicy::Additive => check_additive(old, new),
    }
}

fn resources(info: &v1::AgentInfo) -> Resources {
    Resources::from_wire(&info.resources).unwrap_or_default()
}

fn check_equal(old: &v1::AgentInfo, new: &v1::AgentInfo) -> Result<(), Incompatible> {
    let same = old.hostname == new.hostname
        && old.port() == new.port()
        && old.domain == new.domain
        && old.attributes == new.attributes
        && resources(old) == resources(new);
    if same {
        return Ok(());
    }
    Err(Incompatible::Changed {
        old: describe(old),
        new: describe(new),
    })
}

/// The parts that count, one a line.
fn describe(info: &v1::AgentInfo) -> String {
    let attributes: Vec<String> = info.attributes.iter().map(describe_attribute).collect();
    let domain = match &info.domain {
        Some(domain) => format!("\ndomain: {domain:?}"),
        None => String::new(),
    };
    format!(
        "hostname: {}\nport: {}\nresources: {}\nattributes: {}{domain}",
        info.hostname,
        info.port(),
        resources(info),
        attributes.join(";"),
    )
}

fn describe_attribute(attribute: &v1::Attribute) -> String {
    let value = match &attribute.scalar {
        Some(scalar) => scalar.value.to_string(),
        None => meseta_model::attributes::text_value(attribute).unwrap_or_default(),
    };
    format!("{}:{value}", attribute.name)
}

fn check_additive(old: &v1::AgentInfo, new: &v1::AgentInfo) -> Result<(), Incompatible> {
    unchanged("Hostname", &old.hostname, &new.hostname)?;
    unchanged("Port", &old.port(), &new.port())?;
    if old.domain.is_some() && old.domain != new.domain {
        return refuse("Domain changed".to_owned());
    }
    let have = resources(new);
    for resource in &resources(old) {
        check_resource(resource, &have)?;
    }
    for attribute in &old.attributes {
        check_attribute(attribute, &new.attributes)?;
    }
    Ok(())
}

fn refuse(reason: String) -> Result<(), Incompatible> {
    Err(Incompatible::NotAdditive(reason))
}

fn unchanged<T: PartialEq + Display>(what: &str, old: &T, new: &T) -> Result<(), Incompatible> {
    if old == new {
        return Ok(());
    }
    refuse(format!("{what} changed from {old} to {new}"))
}

/// The same kind must be there, and not less of it.
fn check_resource(old: &Resource, have: &Resources) -> Result<(), Incompatible> {
    let same_kind = |new: &&Resource| new.name() == old.name() && new.kind() == old.kind();
    let Some(new) = have.iter().find(same_kind) else {
        return refuse(format!("Resource not found: {old}"));
    };
    let name = old.name().as_str();
    if new.value().contains(old.value()) {
        return Ok(());
    }
    refuse(match (old.value(), new.value()) {
        (Value::Scalar(was), Value::Scalar(is)) => {
            format!("Value of scalar resource '{name}' decreased from {was} to {is}")
        }
        (Value::Ranges(was), Value::Ranges(is)) => format!(
            "Previous value of range resource '{name}' ({was}) not included in current {is}"
        ),
        _ => format!("Previous value of resource '{name}' ({old}) not included in current {new}"),
    })
}

/// Attributes may be added; an old one keeps its type and value, ranges may grow.
fn check_attribute(old: &v1::Attribute, have: &[v1::Attribute]) -> Result<(), Incompatible> {
    let name = &old.name;
    let Some(new) = have.iter().find(|attribute| attribute.name == *name) else {
        return refuse(format!(
            "Couldn't find attribute {}",
            describe_attribute(old)
        ));
    };
    if new.r#type != old.r#type {
        return refuse(format!("Type of attribute '{name}' changed"));
    }
    let grown = match (&old.ranges, &new.ranges) {
        (Some(was), Some(is)) => is_within(was, is),
        _ => old == new,
    };
    if grown {
        return Ok(());
    }
    let (was, is) = (describe_attribute(old), describe_attribute(new));
    refuse(format!(
        "Value of attribute '{name}' changed from {was} to {is}"
    ))
}

fn is_within(was: &v1::value::Ranges, is: &v1::value::Ranges) -> bool {
    let within = |old: &v1::value::Range| {
        let mut wider = is.range.iter();
        wider.any(|new| new.begin <= old.begin && old.end <= new.end)
    };
    was.range.iter().all(within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meseta_model::resources::ResourceFormat;
    use meseta_model::roles::Role;

    fn info(resources: &str, attributes: &str) -> v1::AgentInfo {
        let resources = Resources::parse(resources, &Role::new("*")).unwrap();
        v1::AgentInfo {
            hostname: "h".to_owned(),
            resources: resources.to_wire(ResourceFormat::PostRefinement),
            attributes: meseta_model::attributes::parse(attributes).unwrap(),
            ..Default::default()
        }
    }

    fn additive(old: &v1::AgentInfo, new: &v1::AgentInfo) -> String {
        let result = check(ReconfigurationPolicy::Additive, old, new);
        match result {
            Ok(()) => "fine".to_owned(),
            Err(refused) => {
                let text = refused.to_string();
                let prefix = "Configuration change not permitted under 'additive' policy: ";
                text.strip_prefix(prefix).unwrap().to_owned()
            }
        }
    }

    #[test]
    fn equal_names_both_sides() {
        let policy = ReconfigurationPolicy::Equal;
        let old = info("cpus:4;ports:[1-9]", "rack:r1");
        assert_eq!(check(policy, &old, &old), Ok(()));
        let reordered = info("ports:[1-9];cpus:4", "rack:r1");
        assert_eq!(check(policy, &old, &reordered), Ok(()));
        let refused = check(policy, &old, &info("cpus:5;ports:[1-9]", "rack:r1")).unwrap_err();
        let rule = "-".repeat(60);
        let side = |cpus| {
            format!(
                "hostname: h\nport: 5051\nresources: cpus:{cpus}; ports:[1-9]\nattributes: rack:r1"
            )
        };
        assert_eq!(
            refused.to_string(),
            format!(
                "Incompatible agent info detected.\n{rule}\nOld agent info:\n{}\n{rule}\nNew agent \
                 info:\n{}\n{rule}",
                side(4),
                side(5)
            )
        );
    }

    #[test]
    fn additive_lets_everything_grow() {
        let old = info("cpus:4;ports:[5-9];tags:{a}", "rack:r1;slots:[1-3]");
        let new = info(
            "cpus:8;ports:[1-9];tags:{a,b};disk:5",
            "rack:r1;slots:[1-4];x:y",
        );
        assert_eq!(additive(&old, &new), "fine");
        assert_eq!(additive(&old, &old), "fine");
    }

    #[test]
    fn additive_refuses_the_rest() {
        let old = info("cpus:4;ports:[5-9];tags:{a}", "rack:r1;slots:[1-3]");
        let change = |change: fn(&mut v1::AgentInfo)| {
            let mut new = old.clone();
            change(&mut new);
            additive(&old, &new)
        };
        assert_eq!(
            change(|new| new.hostname = "i".to_owned()),
            "Hostname changed from h to i"
        );
        assert_eq!(
            change(|new| new.port = Some(7)),
            "Port changed from 5051 to 7"
        );
        assert_eq!(
            change(|new| new.resources = info("cpus:3;ports:[5-9];tags:{a}", "").resources),
            "Value of scalar resource 'cpus' decreased from 4 to 3"
        );
        assert_eq!(
            change(|new| new.resources = info("cpus:4;tags:{a}", "").resources),
            "Resource not found: ports:[5-9]"
        );
        assert_eq!(
            change(|new| new.resources = info("cpus:4;ports:[6-9];tags:{a}", "").resources),
            "Previous value of range resource 'ports' ([5-9]) not included in current [6-9]"
        );
        assert_eq!(
            change(|new| new.resources = info("cpus:4;ports:[5-9];tags:{b}", "").resources),
            "Previous value of resource 'tags' (tags:{a}) not included in current tags:{b}"
        );
        assert_eq!(
            change(|new| new.attributes = info("", "rack:r2;slots:[1-3]").attributes),
            "Value of attribute 'rack' changed from rack:r1 to rack:r2"
        );
        assert_eq!(
            change(|new| new.attributes = info("", "rack:r1;slots:[2-3]").attributes),
            "Value of attribute 'slots' changed from slots:[1-3] to slots:[2-3]"
        );
        assert_eq!(
            change(|new| new.attributes = info("", "rack:3;slots:[1-3]").attributes),
            "Type of attribute 'rack' changed"
        );
        assert_eq!(
            change(|new| new.attributes.truncate(1)),
            "Couldn't find attribute slots:[1-3]"
        );
    }

    #[test]
    fn a_domain_may_be_added_but_not_changed() {
        let old = info("cpus:4", "");
        let mut new = old.clone();
        new.domain = Some(v1::DomainInfo::default());
        assert_eq!(additive(&old, &new), "fine");
        assert_eq!(additive(&new, &old), "Domain changed");
    }
}
