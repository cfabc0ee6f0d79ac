//! What an agent tells the master of itself: resources stated and detected, attributes.

use std::net::SocketAddr;
use std::path::Path;

use meseta_model::attributes;
use meseta_model::resources::{Resource, ResourceFormat, Resources, parse_list};
use meseta_model::roles::{self, Role};
use meseta_proto::mesos::v1;

use crate::agent::Config;
use crate::detect::Machine;
use crate::start::StartError;

/// The agent's description, without an id.
pub(crate) fn agent_info(config: &Config, own: SocketAddr) -> Result<v1::AgentInfo, StartError> {
    let bad = |flag: &'static str, value: &str, why: String| StartError::Flag {
        flag,
        value: value.to_owned(),
        why,
    };
    roles::validate(&config.default_role)
        .map_err(|error| bad("--default_role", &config.default_role, error.to_string()))?;
    let role = Role::new(config.default_role.as_str());
    let text = config.resources.as_deref().unwrap_or_default();
    let resources = resources(text, &role, Path::new(&config.core.work_dir))
        .map_err(|why| bad("--resources", text, why))?;
    let attributes = attributes::parse(&config.attributes)
        .map_err(|error| bad("--attributes", &config.attributes, error.to_string()))?;
    Ok(v1::AgentInfo {
        hostname: config.hostname.clone(),
        port: Some(i32::from(own.port())),
        resources: resources.to_wire(ResourceFormat::PostRefinement),
        attributes,
        ..Default::default()
    })
}

/// What the flag states, in either form, and what this machine has of cpus, mem, disk and ports where
/// the flag is silent.
fn resources(text: &str, role: &Role, work_dir: &Path) -> Result<Resources, String> {
    let mut stated = parse_list(text, role).map_err(|error| error.to_string())?;
    let machine = Machine::detect(work_dir)
        .map_err(|error| format!("cannot see what this machine has: {error}"))?;
    let detected = parse_list(&machine.text(), role).map_err(|error| error.to_string())?;
    for resource in detected {
        let is_stated = |known: &Resource| known.name() == resource.name();
        if !stated.iter().any(is_stated) {
            stated.push(resource);
        }
    }
    Ok(stated.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::resources;
    use meseta_model::roles::Role;
    use std::path::Path;

    fn text(flag: &str) -> Result<String, String> {
        let role = Role::new("*");
        resources(flag, &role, Path::new("/"))
            .map(|all| all.to_flag_text().expect("nothing refined in it"))
    }

    #[test]
    fn what_is_stated_is_not_detected() {
        let all = text("cpus:4;mem:1024;disk:10;ports:[1-2]").expect("valid");
        assert_eq!(all, "cpus:4;mem:1024;disk:10;ports:[1-2]");
        let all = text("cpus:4;disk:10").expect("valid");
        assert!(
            all.starts_with("cpus:4;mem:") && all.ends_with(";disk:10;ports:[31000-32000]"),
            "{all}"
        );
    }

    #[test]
    fn the_json_form_is_read_too() {
        let all = text(
            r#" [{"name":"cpus","type":"SCALAR","scalar":{"value":2}},{"name":"mem","type":"SCALAR","scalar":{"value":1}},{"name":"disk","type":"SCALAR","scalar":{"value":1}}]"#,
        );
        assert_eq!(
            all.expect("valid"),
            "cpus:2;mem:1;disk:1;ports:[31000-32000]"
        );
        assert!(text("[{").is_err());
    }
}
