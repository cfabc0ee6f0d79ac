//! What agents do.

use std::collections::BTreeSet;

use meseta_master::event::Event;
use meseta_model::caller::Caller;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::task_state::is_terminal;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::TaskState;
use meseta_proto::mesos::{internal, v1};

use super::{Cluster, Running, TaskKey};

pub(super) fn pid(agent: usize) -> Upid {
    format!("slave(1)@10.0.1.{}:5051", agent + 1)
        .parse()
        .unwrap()
}

/// The last scheduler is a v0 driver.
pub(super) fn driver() -> Upid {
    "scheduler-d@10.0.2.1:9000".parse().unwrap()
}

fn total() -> Vec<v1::Resource> {
    configured().to_wire(ResourceFormat::PreRefinement)
}

pub(super) fn configured() -> Resources {
    let text = "cpus:4;mem:1024;disk:1024;ports:[31000-31009]";
    Resources::parse(text, &Default::default()).unwrap()
}

/// The last agent is told of operations; the others only what to write down.
fn applies(agent: usize) -> bool {
    agent == 2
}

impl Cluster {
    pub fn register(&mut self, agent: usize) {
        let known = &self.agents[agent];
        if known.id.is_some() || known.dead {
            return;
        }
        let message = internal::RegisterSlaveMessage {
            slave: slave_info(None),
            version: Some("1.11.0".to_owned()),
            agent_capabilities: capabilities(agent),
            resource_version_uuid: applies(agent).then(v1::Uuid::default),
            checkpointed_resources: known.checkpointed.to_wire(ResourceFormat::PostRefinement),
        };
        self.agent_sends(agent, message);
    }

    pub fn reregister(&mut self, agent: usize) {
        let known = &self.agents[agent];
        let Some(id) = known.id.clone().filter(|_| !known.dead) else {
            return;
        };
        let tasks = known.tasks.iter().map(|((framework, _), running)| {
            let mut task =
                meseta_model::task::task(&running.info, &framework.as_str().into(), running.state);
            if let Some((state, uuid)) = &running.unacknowledged {
                task.status_update_state = Some(*state as i32);
                task.status_update_uuid = Some(uuid.clone());
            }
            task
        });
        let frameworks: BTreeSet<&String> = known.tasks.keys().map(|(id, _)| id).collect();
        let message = internal::ReregisterSlaveMessage {
            slave: slave_info(Some(&id)),
            version: Some("1.11.0".to_owned()),
            agent_capabilities: capabilities(agent),
            resource_version_uuid: applies(agent).then(v1::Uuid::default),
            checkpointed_resources: known.checkpointed.to_wire(ResourceFormat::PostRefinement),
            tasks: tasks.collect(),
            executor_infos: known.executors.values().cloned().collect(),
            frameworks: frameworks
                .into_iter()
                .map(|id| v1::FrameworkInfo {
                    id: Some(FrameworkId::from(id.as_str()).to_wire()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        self.agent_sends(agent, message);
        if applies(agent) && !self.agents[agent].deaf {
            self.report_operations(agent);
        }
    }

    /// The agent turns out to have tasks of a framework that nobody launched; they have a port in common.
    pub fn bring(&mut self, agent: usize, scheduler: usize) {
        let Some(framework) = self.schedulers[scheduler].id.clone() else {
            return;
        };
        let Some(id) = self.agents[agent].id.clone() else {
            return;
        };
        for ports in ["ports:[31003-31005]", "ports:[31005-31006]"] {
            let name = format!("w{}", self.number());
            let resources = Resources::parse(ports, &Default::default()).unwrap();
            let info = v1::TaskInfo {
                name: name.clone(),
                task_id: v1::TaskId {
                    value: name.clone(),
                },
                agent_id: AgentId::from(id.as_str()).to_wire(),
                resources: resources.to_wire(ResourceFormat::PostRefinement),
                command: Some(Default::default()),
                ..Default::default()
            };
            let running = Running {
                info,
                state: TaskState::TaskRunning,
                unacknowledged: None,
            };
            let tasks = &mut self.agents[agent].tasks;
            tasks.insert((framework.clone(), name), running);
        }
        self.reregister(agent);
    }

    fn report_operations(&mut self, agent: usize) {
        let known = &self.agents[agent];
        let Some(id) = known.id.clone() else {
            return;
        };
        let operations = known.operations.values().cloned().collect();
        let message = internal::UpdateSlaveMessage {
            slave_id: AgentId::from(id).to_wire(),
            operations: Some(internal::update_slave_message::Operations { operations }),
            ..Default::default()
        };
        self.agent_sends(agent, message);
    }

    /// The agent says again what became of its operations.
    pub fn operation_statuses(&mut self, agent: usize) {
        let operations = self.agents[agent].operations.clone();
        for operation in operations.into_values() {
            let message = internal::UpdateOperationStatusMessage {
                framework_id: operation.framework_id,
                slave_id: operation.agent_id,
                status: operation.latest_status,
                latest_status: None,
                operation_uuid: Some(operation.uuid),
            };
            self.agent_sends(agent, message);
        }
    }

    pub fn break_link(&mut self, agent: usize) {
        self.agents[agent].deaf = false;
        self.step(Event::LinkBroken { peer: pid(agent) });
    }

    /// The agent says `state` of its n-th task, unless that is over.
    pub fn progress(&mut self, agent: usize, task: usize, state: TaskState) {
        let uuid = self.uuid();
        let running = &mut self.agents[agent].tasks;
        let Some(key) = running.keys().nth(task % running.len().max(1)).cloned() else {
            return;
        };
        let running = running.get_mut(&key).unwrap();
        if is_terminal(running.state) || running.unacknowledged.is_some() {
            return self.resend(agent, task);
        }
        running.state = state;
        running.unacknowledged = Some((state, uuid));
        self.send_update(agent, &key);
    }

    /// The agent repeats what was not acknowledged.
    pub fn resend(&mut self, agent: usize, task: usize) {
        let tasks = &self.agents[agent].tasks;
        if let Some(key) = tasks.keys().nth(task % tasks.len().max(1)).cloned() {
            self.send_update(agent, &key);
        }
    }

    fn send_update(&mut self, agent: usize, key: &TaskKey) {
        let known = &self.agents[agent];
        let (Some(id), Some(running)) = (known.id.clone(), known.tasks.get(key)) else {
            return;
        };
        let Some((state, uuid)) = running.unacknowledged.clone() else {
            return;
        };
        let update = internal::StatusUpdate {
            framework_id: FrameworkId::from(key.0.as_str()).to_wire(),
            executor_id: None,
            slave_id: Some(AgentId::from(id).to_wire()),
            status: v1::TaskStatus {
                task_id: running.info.task_id.clone(),
                state: state as i32,
                uuid: Some(uuid.clone()),
                ..Default::default()
            },
            timestamp: 1.0,
            uuid: Some(uuid),
            latest_state: Some(running.state as i32),
        };
        let pid = Some(pid(agent).to_string());
        self.agent_sends(agent, internal::StatusUpdateMessage { update, pid });
    }

    /// One of the agent's executors ends, and its tasks fail.
    pub fn executor_exits(&mut self, agent: usize) {
        let known = &mut self.agents[agent];
        let (Some(id), Some(key)) = (known.id.clone(), known.executors.keys().next().cloned())
        else {
            return;
        };
        let executor = known.executors.remove(&key).unwrap();
        let message = internal::ExitedExecutorMessage {
            slave_id: AgentId::from(id).to_wire(),
            framework_id: FrameworkId::from(key.0.as_str()).to_wire(),
            executor_id: executor.executor_id,
            status: 256,
        };
        self.agent_sends(agent, message);
    }

    pub fn unregister(&mut self, agent: usize) {
        if let Some(id) = self.agents[agent].id.take() {
            self.agents[agent].tasks.clear();
            self.agents[agent].executors.clear();
            self.agents[agent].operations.clear();
            self.agents[agent].checkpointed = Resources::new();
            let slave_id = AgentId::from(id).to_wire();
            self.agent_sends(agent, internal::UnregisterSlaveMessage { slave_id });
        }
    }

    pub fn agent_sends(&mut self, agent: usize, message: impl Into<Message>) {
        self.step(Event::MessageReceived {
            caller: Caller::default(),
            from: pid(agent),
            to: "master".to_owned(),
            message: message.into(),
        });
    }
}

fn slave_info(id: Option<&str>) -> internal::SlaveInfo {
    internal::SlaveInfo {
        hostname: "h".to_owned(),
        resources: total(),
        id: id.map(|id| AgentId::from(id).to_wire()),
        ..Default::default()
    }
}

fn capabilities(agent: usize) -> Vec<v1::agent_info::Capability> {
    use v1::agent_info::capability::Type;
    let all = meseta_model::capabilities::AgentCapabilities::ALL;
    let some = all
        .without(Type::ResourceProvider)
        .without(Type::AgentOperationFeedback);
    if applies(agent) { all } else { some }.to_wire()
}
