//! The event that a line stands for.

use bytes::Bytes;
use meseta_agent::event::Event;
use meseta_model::caller::Caller;
use meseta_model::container::{ContainerReport, Limitation, Termination};
use meseta_model::edge::{RequestId, StreamId};
use meseta_model::ids::ContainerId;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::executor::call;
use meseta_proto::mesos::{internal, v1};

use super::super::world::scalar;
use super::line::Line;
use super::{AGENT_ID, Script};

impl Script {
    pub(super) fn event(&mut self, line: &Line) -> Event {
        match line.word(0) {
            "detect" => {
                if let Some(text) = line.words.get(1) {
                    self.master = text.parse().unwrap();
                }
                Event::MasterDetected(self.master.clone())
            }
            "lost" => Event::MasterLost,
            "operator-ends" => Event::ShutdownRequested,
            "broken" => Event::LinkBroken {
                peer: self.master.clone(),
            },
            "container" => Event::Container(self.container_report(line)),
            "orphans" => {
                let names = line.words[1..].iter();
                let containers = names.map(ContainerId::root).collect();
                Event::Container(ContainerReport::OrphansFound { containers })
            }
            "closed" => Event::StreamClosed {
                stream: StreamId::new(line.word(1)),
            },
            "disk-used" => Event::DiskMeasured {
                used: line.word(1).parse().unwrap(),
            },
            "subscribe" => Event::ExecutorSubscribed {
                stream: StreamId::new(line.option("stream").unwrap_or("s1")),
                caller: Caller::default(),
                call: Box::new(self.subscribe(line)),
            },
            "update" => self.executor_call(line, self.update_call(line)),
            "message" => self.executor_call(line, message_call(line)),
            "heartbeat" => self.executor_call(line, call_of(call::Type::Heartbeat)),
            "unknown-call" => self.executor_call(line, call_of(call::Type::Unknown)),
            verb => {
                let message = self.message(verb, line);
                let from = line.option("from").map(|text| text.parse().unwrap());
                Event::MessageReceived {
                    from: from.unwrap_or_else(|| self.master.clone()),
                    to: "slave(1)".to_owned(),
                    epoch: line.option("epoch").map(|text| text.parse().unwrap()),
                    message,
                }
            }
        }
    }

    fn message(&mut self, verb: &str, line: &Line) -> Message {
        match verb {
            "registered" => registered(line).into(),
            "reregistered" => reregistered(line, self).into(),
            "ping" => internal::PingSlaveMessage {
                connected: !line.has("disconnected"),
            }
            .into(),
            "run-task" => self.run_task(line).into(),
            "run-group" => self.run_group(line).into(),
            "kill" => internal::KillTaskMessage {
                framework_id: framework_id(line.word(1)),
                task_id: task_id(line.word(2)),
                kill_policy: None,
            }
            .into(),
            "ack" => internal::StatusUpdateAcknowledgementMessage {
                slave_id: agent_id(),
                framework_id: framework_id(line.word(1)),
                task_id: task_id(line.word(2)),
                uuid: match line.words.get(3) {
                    Some(name) => self.uuid(name),
                    None => self.sent[&(line.word(1).to_owned(), line.word(2).to_owned())].clone(),
                },
            }
            .into(),
            "shutdown-executor" => internal::ShutdownExecutorMessage {
                framework_id: Some(framework_id(line.word(1))),
                executor_id: Some(executor_id(line.word(2))),
            }
            .into(),
            "shutdown-framework" => internal::ShutdownFrameworkMessage {
                framework_id: framework_id(line.word(1)),
            }
            .into(),
            "shutdown" => internal::ShutdownMessage {
                message: line.words.get(1).cloned(),
            }
            .into(),
            "update-framework" => internal::UpdateFrameworkMessage {
                framework_id: framework_id(line.word(1)),
                pid: line.option("pid").map(str::to_owned),
                framework_info: Some(self.framework(line.word(1))),
            }
            .into(),
            "register-executor" => internal::RegisterExecutorMessage {
                framework_id: framework_id(line.word(1)),
                executor_id: executor_id(line.word(2)),
            }
            .into(),
            "reconcile" => self.reconcile_message(line, 1).into(),
            "checkpoint-resources" => internal::CheckpointResourcesMessage {
                resources: reserved(
                    line.option("role").unwrap(),
                    line.option("cpus").unwrap_or("2").parse().unwrap(),
                ),
            }
            .into(),
            "framework-message" => internal::FrameworkToExecutorMessage {
                slave_id: agent_id(),
                framework_id: framework_id(line.word(1)),
                executor_id: executor_id(line.word(2)),
                data: Bytes::from_static(b"data"),
            }
            .into(),
            other => panic!("no such verb: {other}"),
        }
    }

    fn reconcile_message(&self, line: &Line, from: usize) -> internal::ReconcileTasksMessage {
        let framework = line.word(from);
        let tasks = &line.words[from + 1..];
        internal::ReconcileTasksMessage {
            framework_id: framework_id(framework),
            framework: self.frameworks.get(framework).cloned(),
            statuses: tasks
                .iter()
                .map(|task| v1::TaskStatus {
                    task_id: task_id(task),
                    ..Default::default()
                })
                .collect(),
        }
    }

    /// The bytes behind a printed name like `u3`, or sixteen bytes made of a number.
    fn uuid(&self, name: &str) -> Bytes {
        match self.names.text(name) {
            Some(debug) => unescape(debug),
            None => uuid(name.parse().unwrap_or_else(|_| panic!("no uuid {name}"))),
        }
    }

    fn task(&self, line: &Line, id: &str) -> v1::TaskInfo {
        let mut resources = vec![
            scalar("cpus", line.option("cpus").unwrap_or("1").parse().unwrap()),
            scalar("mem", 64.0),
        ];
        if let Some(role) = line.option("reserved") {
            resources.extend(reserved(role, 1.0));
        }
        v1::TaskInfo {
            name: id.to_owned(),
            task_id: task_id(id),
            agent_id: line
                .option("agent")
                .map_or_else(agent_id, |id| v1::AgentId {
                    value: id.to_owned(),
                }),
            resources,
            ..Default::default()
        }
    }

    fn executor_info(line: &Line, id: &str) -> v1::ExecutorInfo {
        let default = line.has("default");
        let kind = if default {
            v1::executor_info::Type::Default
        } else {
            v1::executor_info::Type::Custom
        };
        v1::ExecutorInfo {
            r#type: Some(kind.into()),
            executor_id: executor_id(id),
            framework_id: Some(framework_id(line.word(1))),
            command: Some(v1::CommandInfo {
                value: Some(line.option("command").unwrap_or("./executor").to_owned()),
                ..Default::default()
            }),
            resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
            shutdown_grace_period: line.option("grace").map(|text| v1::DurationInfo {
                nanoseconds: text
                    .parse::<meseta_model::units::Duration>()
                    .unwrap()
                    .as_nanos(),
            }),
            ..Default::default()
        }
    }

    fn run_task(&self, line: &Line) -> internal::RunTaskMessage {
        let mut task = self.task(line, line.word(2));
        match line.option("executor") {
            Some(id) => task.executor = Some(Self::executor_info(line, id)),
            None => {
                task.command = Some(v1::CommandInfo {
                    value: Some(line.option("sh").unwrap_or("true").to_owned()),
                    user: line.option("user").map(str::to_owned),
                    ..Default::default()
                });
            }
        }
        internal::RunTaskMessage {
            framework: self.framework(line.word(1)),
            task,
            pid: Some("@0.0.0.0:0".to_owned()),
            launch_executor: line.option("launch_executor").map(|text| text == "true"),
            ..Default::default()
        }
    }

    fn run_group(&self, line: &Line) -> internal::RunTaskGroupMessage {
        let executor = Self::executor_info(line, line.option("executor").unwrap());
        let ids = line.word(2).split(',');
        let tasks = ids.map(|id| v1::TaskInfo {
            executor: Some(executor.clone()),
            ..self.task(line, id)
        });
        internal::RunTaskGroupMessage {
            framework: self.framework(line.word(1)),
            task_group: v1::TaskGroupInfo {
                tasks: tasks.collect(),
            },
            executor,
            launch_executor: line.option("launch_executor").map(|text| text == "true"),
            ..Default::default()
        }
    }

    fn container_report(&self, line: &Line) -> ContainerReport {
        let name = line.word(2);
        let known = self.names.text(name).unwrap_or(name);
        let container_id = ContainerId::root(known);
        match line.word(1) {
            "launched" => ContainerReport::Launched {
                container_id,
                pid: line.option("pid").unwrap_or("77").parse().unwrap(),
            },
            "failed" => ContainerReport::LaunchFailed {
                container_id,
                message: "no such file".to_owned(),
            },
            "never-released" => ContainerReport::NeverReleased { container_id },
            "terminated" => ContainerReport::Terminated {
                container_id,
                termination: Termination {
                    wait_status: line.option("status").map(|text| text.parse().unwrap()),
                    limitation: line.has("memory").then(|| Limitation {
                        reason: v1::task_status::Reason::ContainerLimitationMemory,
                        resources: vec![scalar("mem", 96.0)],
                        message: "Memory limit exceeded".to_owned(),
                    }),
                    message: String::new(),
                },
            },
            other => panic!("no such report: {other}"),
        }
    }

    fn subscribe(&self, line: &Line) -> v1::executor::Call {
        let mut subscribe = call::Subscribe::default();
        // `updates=t1:TASK_RUNNING:7,…`, `tasks=t1,t2`
        for update in line.option("updates").unwrap_or_default().split(',') {
            if let [task, state, number] = update.split(':').collect::<Vec<_>>()[..] {
                let status = self.status(task, state, self.uuid(number));
                subscribe
                    .unacknowledged_updates
                    .push(call::Update { status });
            }
        }
        for task in line.option("tasks").unwrap_or_default().split(',') {
            if !task.is_empty() {
                subscribe.unacknowledged_tasks.push(self.task(line, task));
            }
        }
        v1::executor::Call {
            subscribe: Some(subscribe),
            ..addressed(line, call_of(call::Type::Subscribe))
        }
    }

    fn status(&self, task: &str, state: &str, uuid: Bytes) -> v1::TaskStatus {
        let state = v1::TaskState::from_str_name(state).unwrap_or_else(|| panic!("state {state}"));
        v1::TaskStatus {
            task_id: task_id(task),
            state: state.into(),
            source: Some(v1::task_status::Source::Executor.into()),
            uuid: Some(uuid),
            timestamp: Some(1.0),
            ..Default::default()
        }
    }

    /// `update f e task STATE number`, with `data=` so many bytes
    fn update_call(&self, line: &Line) -> v1::executor::Call {
        let mut status = self.status(line.word(3), line.word(4), self.uuid(line.word(5)));
        let data = line
            .option("data")
            .map(|bytes| vec![0; bytes.parse().unwrap()]);
        status.data = data.map(Bytes::from);
        v1::executor::Call {
            update: Some(call::Update { status }),
            ..call_of(call::Type::Update)
        }
    }

    fn executor_call(&mut self, line: &Line, call: v1::executor::Call) -> Event {
        self.requests += 1;
        let mut caller = Caller::default();
        if let Some(claimed) = line.option("claim") {
            caller.claims.insert("eid".to_owned(), claimed.to_owned());
            caller
                .claims
                .insert("fid".to_owned(), line.word(1).to_owned());
        }
        Event::ExecutorCalled {
            request: RequestId(self.requests),
            caller,
            call: Box::new(addressed(line, call)),
        }
    }
}

fn registered(line: &Line) -> internal::SlaveRegisteredMessage {
    internal::SlaveRegisteredMessage {
        slave_id: line.option("id").map_or_else(agent_id, |id| v1::AgentId {
            value: id.to_owned(),
        }),
        connection: Some(internal::MasterSlaveConnection {
            total_ping_timeout_seconds: Some(75.0),
        }),
    }
}

fn reregistered(line: &Line, script: &Script) -> internal::SlaveReregisteredMessage {
    internal::SlaveReregisteredMessage {
        slave_id: agent_id(),
        reconciliations: match line.words.len() {
            1 => Vec::new(),
            _ => vec![script.reconcile_message(line, 1)],
        },
        connection: None,
    }
}

fn reserved(role: &str, cpus: f64) -> Vec<v1::Resource> {
    vec![v1::Resource {
        reservations: vec![v1::resource::ReservationInfo {
            role: Some(role.to_owned()),
            r#type: Some(v1::resource::reservation_info::Type::Dynamic.into()),
            ..Default::default()
        }],
        ..scalar("cpus", cpus)
    }]
}

fn call_of(kind: call::Type) -> v1::executor::Call {
    v1::executor::Call {
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

fn message_call(_line: &Line) -> v1::executor::Call {
    v1::executor::Call {
        message: Some(call::Message {
            data: Bytes::from_static(b"data"),
        }),
        ..call_of(call::Type::Message)
    }
}

fn addressed(line: &Line, call: v1::executor::Call) -> v1::executor::Call {
    v1::executor::Call {
        framework_id: framework_id(line.word(1)),
        executor_id: executor_id(line.word(2)),
        ..call
    }
}

/// Sixteen bytes that print as themselves.
pub fn uuid(number: u64) -> Bytes {
    Bytes::from(format!("{number:016}"))
}

fn unescape(debug: &str) -> Bytes {
    let inner = &debug[2..debug.len() - 1];
    let mut bytes = Vec::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.push(c as u8);
            continue;
        }
        match rest.next().unwrap() {
            'x' => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            c => bytes.push(c as u8),
        }
    }
    Bytes::from(bytes)
}

pub(super) fn agent_id() -> v1::AgentId {
    v1::AgentId {
        value: AGENT_ID.to_owned(),
    }
}

pub fn framework_id(id: &str) -> v1::FrameworkId {
    v1::FrameworkId {
        value: id.to_owned(),
    }
}

pub fn executor_id(id: &str) -> v1::ExecutorId {
    v1::ExecutorId {
        value: id.to_owned(),
    }
}

pub fn task_id(id: &str) -> v1::TaskId {
    v1::TaskId {
        value: id.to_owned(),
    }
}
