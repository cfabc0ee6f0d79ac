//! An agent's description in its two forms: `SlaveInfo` between masters, agents and v0 drivers,
//! `AgentInfo` in the v1 API. They differ in one field, `checkpoint`.
use crate::mesos::internal::SlaveInfo;
use crate::mesos::v1::AgentInfo;

/// The form that travels between processes. `checkpoint` tells old masters that the agent keeps its state
/// on disk; every agent since 0.22 does.
pub fn to_slave_info(info: AgentInfo, checkpoint: bool) -> SlaveInfo {
    SlaveInfo {
        hostname: info.hostname,
        resources: info.resources,
        attributes: info.attributes,
        id: info.id,
        checkpoint: Some(checkpoint),
        port: info.port,
        domain: info.domain,
    }
}

/// The form of the v1 API, which does not tell `checkpoint`.
pub fn to_agent_info(info: SlaveInfo) -> AgentInfo {
    AgentInfo {
        checkpoint: None,
        ..shown_by_master(info)
    }
}

/// The form in a master's answers to operators.
///
/// compat: a master writes these straight from the `SlaveInfo` that it holds, so that `checkpoint` is seen
/// there, although the v1 table has no such field.
pub fn shown_by_master(info: SlaveInfo) -> AgentInfo {
    AgentInfo {
        hostname: info.hostname,
        port: info.port,
        resources: info.resources,
        attributes: info.attributes,
        id: info.id,
        checkpoint: info.checkpoint,
        domain: info.domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode, to_json};

    #[test]
    fn the_forms_differ_in_checkpoint_only() {
        let slave = SlaveInfo {
            hostname: "h".to_owned(),
            checkpoint: Some(true),
            port: Some(5051),
            ..Default::default()
        };
        assert_eq!(to_slave_info(to_agent_info(slave.clone()), true), slave);
        assert_eq!(encode(&shown_by_master(slave.clone())), encode(&slave));
        let text = |info: AgentInfo| String::from_utf8_lossy(&to_json(&info)).into_owned();
        assert_eq!(
            text(to_agent_info(slave.clone())),
            r#"{"hostname":"h","port":5051}"#
        );
        assert_eq!(
            text(shown_by_master(slave)),
            r#"{"hostname":"h","port":5051,"checkpoint":true}"#
        );
    }
}
