//! What goes to disk, where, and what follows once it is there.
//!
//! The layout below `meta/` is Mesos's (design decision 15): a protobuf file is its length in four
//! bytes and then the message, `task.updates` is a row of those, pids are plain text. What is ours
//! lies beside it in files of names that Mesos never reads, or, where it must share a flush with a file
//! of Mesos's that holds one message, behind that message: Mesos reads the first and closes the file.
//! `task.info` is followed by the event that gives the task to its executor.

use bytes::{BufMut, Bytes, BytesMut};
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::step::{Seq, Write};
use meseta_proto::mesos::v1::{self, executor};
use meseta_proto::{Wire, encode};

use crate::agent::Agent;
use crate::event::Effect;
use crate::executor::{Container, Executor, State};
use crate::format;
use crate::framework::Framework;
use crate::outbox::Outbox;
use crate::task::Verdict;

/// The boot id of the host at the last recovery.
pub(crate) const BOOT_ID: &str = "boot_id";
/// The link to the directory of the present agent id.
pub(crate) const LATEST_AGENT: &str = "slaves/latest";
/// Reservations and volumes, as Mesos writes them.
pub(crate) const RESOURCES: &str = "resources/resources.info";
/// The same and operations, in a newer form of Mesos that this agent does not write.
pub(crate) const RESOURCES_NEWER: &str = "resources/resources_and_operations.state";
/// Ours: the version of what lies beside Mesos's files.
pub(crate) const FORMAT: &str = "meseta.format";
/// The content of [`FORMAT`] that this code writes and understands.
pub(crate) const FORMAT_VERSION: &str = "1";
/// Ours: the highest leader epoch obeyed, in decimal.
pub(crate) const EPOCH: &str = "meseta.epoch";

/// Ours, in a run's directory: the host was started anew since, so that no `forked.pid` does not mean
/// that nothing ever ran.
pub(crate) const REBOOTED: &str = "meseta.rebooted";

/// `framework.pid` of a scheduler that has none.
const NO_PID: &str = "@0.0.0.0:0";

pub(crate) fn agent_dir(agent: &AgentId) -> String {
    format!("slaves/{agent}")
}

pub(crate) fn agent_info(agent: &AgentId) -> String {
    format!("slaves/{agent}/slave.info")
}

pub(crate) fn framework_dir(agent: &AgentId, framework: &FrameworkId) -> String {
    format!("slaves/{agent}/frameworks/{framework}")
}

pub(crate) fn executor_dir(
    agent: &AgentId,
    framework: &FrameworkId,
    executor: &ExecutorId,
) -> String {
    format!("slaves/{agent}/frameworks/{framework}/executors/{executor}")
}

/// Also the path of the sandbox, below the work directory.
pub(crate) fn run_dir(
    agent: &AgentId,
    framework: &FrameworkId,
    executor: &ExecutorId,
    run: &ContainerId,
) -> String {
    format!(
        "{}/runs/{}",
        executor_dir(agent, framework, executor),
        run.value()
    )
}

pub(crate) fn task_dir(run_dir: &str, task: &TaskId) -> String {
    format!("{run_dir}/tasks/{task}")
}

pub(crate) fn updates_file(run_dir: &str, task: &TaskId) -> String {
    format!("{}/task.updates", task_dir(run_dir, task))
}

/// A message as Mesos checkpoints it: its length in four bytes, then itself.
pub(crate) fn record(message: &impl Wire) -> Bytes {
    let body = encode(message);
    let mut bytes = BytesMut::with_capacity(4 + body.len());
    bytes.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&body);
    bytes.freeze()
}

pub(crate) fn put(path: String, bytes: impl Into<Bytes>) -> Write {
    Write::Put {
        path,
        bytes: bytes.into(),
    }
}

pub(crate) fn agent_writes(agent: &AgentId, info: &v1::AgentInfo) -> Vec<Write> {
    vec![
        put(agent_info(agent), record(&format::slave_info(info))),
        Write::Symlink {
            path: LATEST_AGENT.to_owned(),
            target: agent.to_string(),
        },
    ]
}

pub(crate) fn framework_writes(agent: &AgentId, framework: &Framework) -> Vec<Write> {
    let dir = framework_dir(agent, &framework.id);
    let pid = framework.pid.as_ref().map(ToString::to_string);
    vec![
        put(format!("{dir}/framework.info"), record(&framework.info)),
        put(
            format!("{dir}/framework.pid"),
            pid.unwrap_or_else(|| NO_PID.to_owned()),
        ),
    ]
}

pub(crate) fn executor_writes(agent: &AgentId, executor: &Executor) -> Vec<Write> {
    let dir = executor_dir(agent, &executor.framework, &executor.id);
    let generated = if executor.generated { "1" } else { "0" };
    vec![
        put(
            format!("{dir}/executor.info"),
            record(&format::old_executor(&executor.info)),
        ),
        put(
            format!("{dir}/executor_generated_for_command_task"),
            generated,
        ),
        Write::Symlink {
            path: format!("{dir}/runs/latest"),
            target: executor.container_id.value().to_owned(),
        },
    ]
}

/// A task, and how its executor is given it: until the executor has it, a restarted agent can do what
/// this one did not get to. A group is described with its first task.
pub(crate) fn task_write(
    run_dir: &str,
    task: &v1::Task,
    launch: Option<&executor::Event>,
) -> Write {
    let id = TaskId::from(&task.task_id);
    let path = format!("{}/task.info", task_dir(run_dir, &id));
    let mut bytes = BytesMut::from(record(&format::old_task(task)));
    if let Some(launch) = launch {
        bytes.extend_from_slice(&record(launch));
    }
    put(path, bytes)
}

/// The pid of a run's container.
pub(crate) fn pid_file(run_dir: &str) -> String {
    format!("{run_dir}/pids/forked.pid")
}

/// See [`REBOOTED`].
pub(crate) fn reboot_marker(run_dir: &str) -> String {
    format!("{run_dir}/{REBOOTED}")
}

/// What follows a write. The write's effects are emitted when it is done, not before, so that
/// nothing can overtake them (a KILL the LAUNCH, a destroy the launch of its container).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// A failure costs nothing that is not made good elsewhere.
    Nothing,
    /// The agent's id; tried again until it succeeds.
    AgentInfo,
    /// Tasks may be given to their executor; its container is launched first if it is not yet.
    Tasks {
        framework: FrameworkId,
        executor: ExecutorId,
        run: ContainerId,
        tasks: Vec<TaskId>,
    },
    /// The container's program may run: its pid is known.
    Release(ContainerId),
    /// The updates of this task may go out.
    Updates(FrameworkId, TaskId),
    /// The highest epoch; tried again with the next message under it.
    Epoch,
    /// Reservations and volumes; tried again until it succeeds.
    Resources,
    /// The process may end.
    Exit,
}

impl Agent {
    /// The directory of a run, relative to `meta/` or to the work directory alike.
    pub(crate) fn run_dir_of(&self, executor: &Executor) -> String {
        let agent = self.id.clone().unwrap_or_else(|| AgentId::from(""));
        run_dir(
            &agent,
            &executor.framework,
            &executor.id,
            &executor.container_id,
        )
    }

    pub(crate) fn write_done(&mut self, out: &mut Outbox<'_>, seq: Seq) {
        match self.writes.remove(&seq) {
            None | Some(Then::Nothing | Then::Epoch | Then::Resources) => {}
            Some(Then::AgentInfo) => self.registration.unsaved = false,
            Some(Then::Exit) => self.exit_now(out),
            Some(Then::Tasks {
                framework,
                executor,
                run,
                tasks,
            }) => self.tasks_persisted(out, &framework, &executor, &run, &tasks),
            Some(Then::Release(run)) => self.release(out, &run),
            Some(Then::Updates(framework, task)) => {
                self.updates_persisted(out, &framework, &task, seq);
            }
        }
    }

    pub(crate) fn write_failed(&mut self, out: &mut Outbox<'_>, seq: Seq, error: &str) {
        match self.writes.remove(&seq) {
            None | Some(Then::Nothing) => {}
            Some(Then::AgentInfo) => self.agent_info_not_saved(out),
            Some(Then::Exit) => self.exit_now(out),
            Some(Then::Epoch) => self.registration.saved_epoch = None,
            Some(Then::Resources) => self.resources_unsaved = true,
            Some(Then::Tasks {
                framework,
                executor,
                run,
                tasks,
            }) => self.tasks_not_persisted(out, &framework, &executor, &run, &tasks, error),
            Some(Then::Release(run)) => self.pid_not_persisted(out, &run, error),
            Some(Then::Updates(framework, task)) => {
                self.updates_not_persisted(out, &framework, &task, seq, error);
            }
        }
    }

    fn tasks_persisted(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        run: &ContainerId,
        tasks: &[TaskId],
    ) {
        if self.save_framework_first(out, framework, executor, run, tasks) {
            return;
        }
        let Some(found) = self.executor_mut(framework, executor) else {
            return;
        };
        if found.container_id != *run {
            return;
        }
        for id in tasks {
            if let Some(task) = found.tasks.get_mut(id) {
                task.durable = true;
            }
        }
        if matches!(found.container, Container::Preparing(_)) {
            // That of an earlier start is off the disk.
            found.pid = None;
            self.launch_container(out, framework, executor);
        } else {
            found.deliver(out);
        }
    }

    /// Recovery begins with the agent's own info, and goes on with the framework's. If an earlier write
    /// that held them failed, they are written before anything of the framework goes on.
    fn save_framework_first(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        run: &ContainerId,
        tasks: &[TaskId],
    ) -> bool {
        let (Some(found), Some(agent)) = (self.frameworks.get_mut(framework), &self.id) else {
            return false;
        };
        let own = std::mem::take(&mut self.registration.unsaved);
        if !std::mem::take(&mut found.unsaved) && !own {
            return false;
        }
        self.registration.saved_with_tasks |= own;
        let mut writes = if own {
            agent_writes(agent, &self.info)
        } else {
            Vec::new()
        };
        writes.extend(framework_writes(agent, found));
        let then = Then::Tasks {
            framework: framework.clone(),
            executor: executor.clone(),
            run: run.clone(),
            tasks: tasks.to_vec(),
        };
        self.persist(out, writes, then);
        true
    }

    /// What could not be written is not started: a restart would forget it.
    fn tasks_not_persisted(
        &mut self,
        out: &mut Outbox<'_>,
        framework: &FrameworkId,
        executor: &ExecutorId,
        run: &ContainerId,
        tasks: &[TaskId],
        error: &str,
    ) {
        // What failed may have been the agent's own info.
        self.registration.unsaved |= self.registration.saved_with_tasks;
        if let Some(found) = self.frameworks.get_mut(framework) {
            found.unsaved = true;
        }
        let Some(found) = self.executor_mut(framework, executor) else {
            return;
        };
        if found.container_id != *run {
            return;
        }
        let message = format!("Failed to checkpoint the task: {error}");
        if matches!(found.container, Container::Preparing(_)) {
            found.ending.get_or_insert(launch_failed(message));
            self.executor_terminated(out, framework, executor, None);
            return;
        }
        self.drop_queued(out, framework, tasks, &message);
    }

    fn pid_not_persisted(&mut self, out: &mut Outbox<'_>, run: &ContainerId, error: &str) {
        let Some((framework, executor)) = self.by_container(run) else {
            return;
        };
        if let Some(executor) = self.executor_mut(&framework, &executor) {
            if executor.state == State::Terminated {
                // It did not wait for its pid; its end was told, and is not told again.
                return;
            }
            executor.state = State::Terminating;
            let message = format!("Failed to checkpoint the executor's pid: {error}");
            executor.ending.get_or_insert(launch_failed(message));
        }
        out.push(Effect::DestroyContainer(run.clone()));
    }
}

fn launch_failed(message: String) -> Verdict {
    Verdict::new(
        v1::TaskState::TaskFailed,
        v1::task_status::Reason::ContainerLaunchFailed,
        message,
    )
}

/// Whether an id can be a directory's name: Mesos's rule for ids that frameworks choose.
pub(crate) fn is_path_component(id: &str) -> bool {
    let is_harmless = |c: char| c != '/' && c != '\\' && !c.is_control();
    !id.is_empty() && id.len() <= 255 && id != "." && id != ".." && id.chars().all(is_harmless)
}
