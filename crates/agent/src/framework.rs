//! A framework, as far as this agent has to do with it.

use std::collections::{BTreeMap, VecDeque};

use meseta_model::capabilities::FrameworkCapabilities;
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use meseta_model::task_state::told;
use meseta_model::upid::Upid;
use meseta_proto::mesos::v1;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::executor::Executor;
use crate::gc::Garbage;
use crate::limits;
use crate::outbox::Outbox;
use crate::view::Delta;

/// One framework with something of it here.
#[derive(Debug)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) info: v1::FrameworkInfo,
    /// Where its v0 driver listens; `None` for a scheduler on the HTTP API.
    pub(crate) pid: Option<Upid>,
    /// Its infos are not on disk, or on no way there.
    pub(crate) unsaved: bool,
    /// Told to shut down: no update of it is taken or sent any more.
    pub(crate) terminating: bool,
    pub(crate) executors: BTreeMap<ExecutorId, Executor>,
    /// Which executor has each task that is not acknowledged as over.
    pub(crate) tasks: BTreeMap<TaskId, ExecutorId>,
    /// Ended runs, oldest first.
    pub(crate) completed: VecDeque<CompletedExecutor>,
}

/// A run that is over: what re-registration and the views still tell of it.
#[derive(Debug)]
pub(crate) struct CompletedExecutor {
    pub(crate) id: ExecutorId,
    pub(crate) container_id: ContainerId,
    pub(crate) tasks: VecDeque<v1::Task>,
}

impl Framework {
    pub(crate) fn new(info: v1::FrameworkInfo, pid: Option<Upid>) -> Self {
        Self {
            id: FrameworkId::from(&info.id.clone().unwrap_or_default()),
            info,
            pid,
            unsaved: true,
            terminating: false,
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            completed: VecDeque::new(),
        }
    }

    pub(crate) fn checkpoints(&self) -> bool {
        self.info.checkpoint()
    }

    pub(crate) fn is_partition_aware(&self) -> bool {
        capabilities(&self.info).is_partition_aware()
    }

    /// The state of a task that never started here: older frameworks know only LOST.
    pub(crate) fn dropped_state(&self) -> v1::TaskState {
        told(v1::TaskState::TaskDropped, self.is_partition_aware())
    }

    /// The state of a task that started here and is no more.
    pub(crate) fn gone_state(&self) -> v1::TaskState {
        told(v1::TaskState::TaskGone, self.is_partition_aware())
    }
}

pub(crate) fn capabilities(info: &v1::FrameworkInfo) -> FrameworkCapabilities {
    FrameworkCapabilities::from_wire(&info.capabilities)
}

impl Agent {
    /// Makes sure the framework is known; answers whether it is new here.
    pub(crate) fn add_framework(
        &mut self,
        out: &mut Outbox<'_>,
        info: &v1::FrameworkInfo,
        pid: Option<Upid>,
    ) -> bool {
        let mut framework = Framework::new(info.clone(), pid);
        let id = framework.id.clone();
        if self.frameworks.contains_key(&id) {
            return false;
        }
        let known = self
            .completed_frameworks
            .iter()
            .position(|old| old.id == id);
        if let Some(old) = known.and_then(|index| self.completed_frameworks.remove(index)) {
            framework.completed = old.completed;
        }
        self.gc.unschedule(&Garbage::Framework(id.clone()));
        out.changed(Delta::Framework(Box::new(framework.info.clone())));
        self.frameworks.insert(id, framework);
        true
    }

    /// UpdateFramework: a new description, a new driver, or both.
    pub(crate) fn update_framework(
        &mut self,
        out: &mut Outbox<'_>,
        id: &FrameworkId,
        pid: Option<Upid>,
        info: Option<v1::FrameworkInfo>,
    ) {
        let Some(agent_id) = self.id.clone() else {
            return;
        };
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        if framework.terminating {
            return;
        }
        if let Some(mut info) = info {
            // Whether a framework checkpoints cannot change while something of it runs.
            info.checkpoint = framework.info.checkpoint;
            framework.info = info;
        }
        framework.pid = pid;
        let writes = match framework.checkpoints() {
            true => checkpoint::framework_writes(&agent_id, framework),
            false => Vec::new(),
        };
        out.changed(Delta::Framework(Box::new(framework.info.clone())));
        if !writes.is_empty() {
            self.persist(out, writes, Then::Nothing);
        }
        self.resend_framework_heads(out, id);
    }

    /// Forgets the framework once nothing of it is left.
    pub(crate) fn remove_framework_if_idle(&mut self, out: &mut Outbox<'_>, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        let owes_updates = !framework.terminating && self.updates.has_framework(id);
        if !framework.executors.is_empty() || owes_updates {
            return;
        }
        let Some(framework) = self.frameworks.remove(id) else {
            return;
        };
        self.drop_framework_streams(out, id);
        self.collect(out, Garbage::Framework(id.clone()));
        out.changed(Delta::FrameworkCompleted(id.clone()));
        self.completed_frameworks.push_back(framework);
        if self.completed_frameworks.len() > limits::COMPLETED_FRAMEWORKS
            && let Some(oldest) = self.completed_frameworks.pop_front()
        {
            out.changed(Delta::FrameworkForgotten(oldest.id));
        }
        if self.phase == Phase::Terminating && self.frameworks.is_empty() {
            self.finish_shutdown(out);
        }
    }
}
