//! Reading `meta/`: from the files of an earlier life to what it knew. Pure; what becomes of it is
//! decided in [`crate::restart`].
//!
//! An absent or empty file is what a crash leaves and means "never happened". A file with damaged
//! content is an error: it stops the start when recovery is strict, else it is counted and that part
//! is left out. The last record of `task.updates` may be torn; what is before it counts.

mod tree;

use bytes::Bytes;
use meseta_model::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::resources::{InvalidResources, Resources};
use meseta_model::upid::Upid;
use meseta_proto::mesos::internal::{self, StatusUpdate, StatusUpdateRecord, status_update_record};
use meseta_proto::mesos::v1::{self, executor};
use meseta_proto::{Wire, decode};

use crate::checkpoint;
use crate::event::MetaEntry;
use crate::format;
use crate::limits;
use tree::Node;

/// What was damaged, with its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecoveryError {
    #[error("Failed to read {what} from '{path}': {reason}")]
    Damaged {
        what: &'static str,
        path: String,
        reason: String,
    },
    #[error(
        "'{path}' says that these checkpoints are of format {found}; this version of Meseta understands {}",
        checkpoint::FORMAT_VERSION
    )]
    Newer { path: &'static str, found: String },
}

/// All that `meta/` says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Recovered {
    /// The host was started since: no process of the earlier life is left, its pids mean others.
    pub(crate) rebooted: bool,
    pub(crate) epoch: Option<u64>,
    pub(crate) checkpointed: Resources,
    pub(crate) agent: Option<RecoveredAgent>,
    /// Agents that this host was before.
    pub(crate) old_agents: Vec<AgentId>,
    /// Damage that was left out.
    pub(crate) errors: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RecoveredAgent {
    pub(crate) id: AgentId,
    pub(crate) info: v1::AgentInfo,
    pub(crate) frameworks: Vec<RecoveredFramework>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RecoveredFramework {
    pub(crate) id: FrameworkId,
    /// `None`: nothing of it can be taken up.
    pub(crate) info: Option<v1::FrameworkInfo>,
    pub(crate) pid: Option<Upid>,
    pub(crate) executors: Vec<RecoveredExecutor>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RecoveredExecutor {
    pub(crate) id: ExecutorId,
    pub(crate) info: Option<v1::ExecutorInfo>,
    pub(crate) generated: bool,
    /// The run that counts.
    pub(crate) latest: Option<ContainerId>,
    pub(crate) runs: Vec<RecoveredRun>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RecoveredRun {
    pub(crate) id: ContainerId,
    /// It was over and all acknowledged.
    pub(crate) completed: bool,
    /// Something was written as its pid, so its program may have run.
    pub(crate) released: bool,
    pub(crate) forked_pid: Option<u32>,
    /// Its executor subscribed once. It may have even if this says no: the marker is not waited for.
    pub(crate) subscribed: bool,
    /// The host was started anew since.
    pub(crate) rebooted: bool,
    pub(crate) tasks: Vec<RecoveredTask>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RecoveredTask {
    pub(crate) id: TaskId,
    pub(crate) task: v1::Task,
    pub(crate) updates: Vec<StatusUpdate>,
    /// Of those, and of earlier ones that the file does not hold any more, oldest first.
    pub(crate) acks: Vec<Bytes>,
    /// How long their file is.
    pub(crate) updates_bytes: usize,
    /// A torn record follows them there: nothing may be added behind it.
    pub(crate) torn: bool,
    /// Nothing was ever written of what became of it.
    pub(crate) untold: bool,
    /// How its executor is given it, or the group whose first it is. Agents of Mesos do not write it.
    pub(crate) launch: Option<executor::Event>,
}

/// Reads everything.
pub(crate) fn read(
    entries: &[MetaEntry],
    boot_id: &str,
    strict: bool,
) -> Result<Recovered, RecoveryError> {
    let root = Node::tree(entries);
    check_format(&root)?;
    let mut reader = Reader { strict, errors: 0 };
    let rebooted = root
        .text(checkpoint::BOOT_ID)
        .is_some_and(|old| old != boot_id.trim());
    let epoch = match root.text(checkpoint::EPOCH) {
        None => None,
        Some(text) => reader.number(checkpoint::EPOCH, "leader epoch", &text)?,
    };
    let checkpointed = reader.resources(&root)?;
    let agents = root.dirs("slaves");
    let latest = root.link_name(checkpoint::LATEST_AGENT);
    let mut recovered = Recovered {
        rebooted,
        epoch,
        checkpointed,
        ..Recovered::default()
    };
    for (name, dir) in agents {
        let id = AgentId::from(name);
        if latest.as_deref() == Some(name) {
            recovered.agent = reader.agent(&id, dir)?;
        } else {
            recovered.old_agents.push(id);
        }
    }
    recovered.errors = reader.errors;
    Ok(recovered)
}

fn check_format(root: &Node) -> Result<(), RecoveryError> {
    match root.text(checkpoint::FORMAT) {
        None => Ok(()),
        Some(text) if text.is_empty() || text == checkpoint::FORMAT_VERSION => Ok(()),
        Some(found) => Err(RecoveryError::Newer {
            path: checkpoint::FORMAT,
            found,
        }),
    }
}

struct Reader {
    strict: bool,
    errors: u64,
}

impl Reader {
    /// Damage: fatal, or counted and left out.
    fn damaged<T>(
        &mut self,
        what: &'static str,
        path: &str,
        reason: impl ToString,
    ) -> Result<Option<T>, RecoveryError> {
        if self.strict {
            return Err(RecoveryError::Damaged {
                what,
                path: path.to_owned(),
                reason: reason.to_string(),
            });
        }
        self.errors += 1;
        Ok(None)
    }

    fn number<N: std::str::FromStr<Err: ToString>>(
        &mut self,
        path: &str,
        what: &'static str,
        text: &str,
    ) -> Result<Option<N>, RecoveryError> {
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(error) => self.damaged(what, path, error),
        }
    }

    /// A file that holds one message; absent and empty alike are `None`.
    fn message<M: Wire>(
        &mut self,
        dir: &Node,
        path: &str,
        full_path: &str,
        what: &'static str,
    ) -> Result<Option<M>, RecoveryError> {
        let Some(bytes) = dir.file(path).filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        match Records(bytes.clone()).next() {
            Some(Record::Whole(body)) => match decode(&body) {
                Ok(message) => Ok(Some(message)),
                Err(error) => self.damaged(what, full_path, error),
            },
            Some(Record::Torn) | None => self.damaged(what, full_path, "it ends too early"),
        }
    }

    fn upgraded<M>(
        &mut self,
        result: Result<M, InvalidResources>,
        path: &str,
        what: &'static str,
    ) -> Result<Option<M>, RecoveryError> {
        match result {
            Ok(message) => Ok(Some(message)),
            Err(error) => self.damaged(what, path, error),
        }
    }

    fn resources(&mut self, root: &Node) -> Result<Resources, RecoveryError> {
        let path = checkpoint::RESOURCES;
        let Some(bytes) = root.file(path) else {
            return Ok(Resources::new());
        };
        let mut wire = Vec::new();
        for record in Records(bytes.clone()) {
            let Record::Whole(body) = record else {
                let none = self.damaged("resources", path, "it ends too early")?;
                return Ok(none.unwrap_or_default());
            };
            match decode::<v1::Resource>(&body) {
                Ok(resource) => wire.push(resource),
                Err(error) => {
                    let none = self.damaged("resources", path, error)?;
                    return Ok(none.unwrap_or_default());
                }
            }
        }
        let resources = Resources::from_wire(&wire);
        Ok(self
            .upgraded(resources, path, "resources")?
            .unwrap_or_default())
    }

    fn agent(&mut self, id: &AgentId, dir: &Node) -> Result<Option<RecoveredAgent>, RecoveryError> {
        let path = checkpoint::agent_info(id);
        let what = "agent info";
        let info: Option<internal::SlaveInfo> = self.message(dir, "slave.info", &path, what)?;
        let Some(info) = info else {
            return Ok(None);
        };
        let Some(info) = self.upgraded(format::agent_info(info), &path, what)? else {
            return Ok(None);
        };
        let mut frameworks = Vec::new();
        for (name, framework) in dir.dirs("frameworks") {
            frameworks.push(self.framework(id, FrameworkId::from(name), framework)?);
        }
        Ok(Some(RecoveredAgent {
            id: id.clone(),
            info,
            frameworks,
        }))
    }

    fn framework(
        &mut self,
        agent: &AgentId,
        id: FrameworkId,
        dir: &Node,
    ) -> Result<RecoveredFramework, RecoveryError> {
        let base = checkpoint::framework_dir(agent, &id);
        let path = format!("{base}/framework.info");
        let info: Option<v1::FrameworkInfo> =
            self.message(dir, "framework.info", &path, "framework info")?;
        let info = info.map(|mut info| {
            info.id.get_or_insert_with(|| id.to_wire());
            info
        });
        let mut executors = Vec::new();
        if info.is_some() {
            for (name, executor) in dir.dirs("executors") {
                executors.push(self.executor(&base, ExecutorId::from(name), executor)?);
            }
        }
        Ok(RecoveredFramework {
            id,
            info,
            pid: dir.text("framework.pid").and_then(|pid| pid.parse().ok()),
            executors,
        })
    }

    fn executor(
        &mut self,
        base: &str,
        id: ExecutorId,
        dir: &Node,
    ) -> Result<RecoveredExecutor, RecoveryError> {
        let base = format!("{base}/executors/{id}");
        let path = format!("{base}/executor.info");
        let what = "executor info";
        let info: Option<v1::ExecutorInfo> = self.message(dir, "executor.info", &path, what)?;
        let info = match info {
            None => None,
            Some(mut info) => {
                let result = format::upgrade(&mut info.resources).map(|()| info);
                self.upgraded(result, &path, what)?
            }
        };
        let generated = match dir.text("executor_generated_for_command_task") {
            Some(text) => text == "1",
            // compat: state.cpp guesses the same way for files of older agents.
            None => info.as_ref().is_some_and(looks_generated),
        };
        let mut runs = Vec::new();
        for (name, run) in dir.dirs("runs") {
            runs.push(self.run(&base, ContainerId::root(name), run)?);
        }
        let latest = dir.link_name("runs/latest").map(ContainerId::root);
        Ok(RecoveredExecutor {
            id,
            info,
            generated,
            latest: latest.filter(|latest| runs.iter().any(|run| run.id == *latest)),
            runs,
        })
    }

    fn run(
        &mut self,
        base: &str,
        id: ContainerId,
        dir: &Node,
    ) -> Result<RecoveredRun, RecoveryError> {
        let base = format!("{base}/runs/{}", id.value());
        let mut tasks = Vec::new();
        for (name, task) in dir.dirs("tasks") {
            tasks.extend(self.task(&base, TaskId::from(name), task)?);
        }
        let path = checkpoint::pid_file(&base);
        let pid = dir.text("pids/forked.pid").unwrap_or_default();
        Ok(RecoveredRun {
            id,
            completed: dir.file("executor.sentinel").is_some(),
            released: !pid.is_empty(),
            forked_pid: self.number(&path, "executor forked pid", &pid)?,
            subscribed: dir.file("http.marker").is_some(),
            rebooted: dir.file(checkpoint::REBOOTED).is_some(),
            tasks,
        })
    }

    fn task(
        &mut self,
        base: &str,
        id: TaskId,
        dir: &Node,
    ) -> Result<Option<RecoveredTask>, RecoveryError> {
        let base = checkpoint::task_dir(base, &id);
        let path = format!("{base}/task.info");
        let what = "task info";
        let task: Option<v1::Task> = self.message(dir, "task.info", &path, what)?;
        let Some(mut task) = task else {
            return Ok(None);
        };
        let result = format::upgrade(&mut task.resources).map(|()| task);
        let Some(task) = self.upgraded(result, &path, what)? else {
            return Ok(None);
        };
        let updates = dir.file("task.updates").filter(|file| !file.is_empty());
        let mut recovered = RecoveredTask {
            id,
            task,
            updates: Vec::new(),
            acks: Vec::new(),
            updates_bytes: updates.map_or(0, Bytes::len),
            torn: false,
            untold: updates.is_none(),
            launch: self.launch(dir, &path)?,
        };
        if let Some(bytes) = updates {
            self.updates(&format!("{base}/task.updates"), bytes, &mut recovered)?;
        }
        Ok(Some(recovered))
    }

    /// What follows the task in `task.info`.
    fn launch(&mut self, dir: &Node, path: &str) -> Result<Option<executor::Event>, RecoveryError> {
        let Some(bytes) = dir.file("task.info") else {
            return Ok(None);
        };
        match Records(bytes.clone()).nth(1) {
            None => Ok(None),
            Some(Record::Whole(body)) => match decode(&body) {
                Ok(event) => Ok(Some(event)),
                Err(error) => self.damaged("task launch", path, error),
            },
            Some(Record::Torn) => self.damaged("task launch", path, "it ends too early"),
        }
    }

    fn updates(
        &mut self,
        path: &str,
        bytes: &Bytes,
        task: &mut RecoveredTask,
    ) -> Result<(), RecoveryError> {
        for record in Records(bytes.clone()) {
            let Record::Whole(body) = record else {
                task.torn = true;
                return Ok(());
            };
            let record: StatusUpdateRecord = match decode(&body) {
                Ok(record) => record,
                Err(error) => {
                    let _: Option<()> = self.damaged("status updates", path, error)?;
                    task.torn = true;
                    return Ok(());
                }
            };
            if record.r#type() == status_update_record::Type::Update {
                task.updates.extend(record.update);
            } else {
                task.acks.extend(record.uuid);
            }
        }
        Ok(())
    }
}

fn looks_generated(info: &v1::ExecutorInfo) -> bool {
    let command = info.command.as_ref().map(|command| command.value());
    command.is_some_and(|value| value.ends_with("mesos-executor"))
        && info.name().starts_with("Command Executor")
}

/// A row of messages, each after its length.
struct Records(Bytes);

enum Record {
    Whole(Bytes),
    /// The rest is no whole record.
    Torn,
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.0.is_empty() {
            return None;
        }
        let length = self
            .0
            .first_chunk::<4>()
            .map(|four| u32::from_le_bytes(*four));
        let length = length.and_then(|length| usize::try_from(length).ok());
        match length {
            Some(length) if length <= limits::RECORD_BYTES && self.0.len() >= 4 + length => {
                let mut record = self.0.split_to(4 + length);
                Some(Record::Whole(record.split_off(4)))
            }
            _ => {
                self.0.clear();
                Some(Record::Torn)
            }
        }
    }
}

#[cfg(test)]
mod tests;
