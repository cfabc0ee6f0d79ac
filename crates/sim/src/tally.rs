//! How often each kind of fault fired, each situation came about and each kind of check was made.

use std::collections::BTreeMap;
use std::fmt;

use meseta_proto::mesos::v1::TaskState;

macro_rules! kinds {
    ($(#[$of:meta])+ $kind:ident: $($(#[$doc:meta])+ $name:ident => $text:literal),+ $(,)?) => {
        $(#[$of])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[$doc])+ $name),+
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

kinds! {
    /// A kind of fault. Each must fire within [`crate::limits::SEEDS_FOR_ALL_KINDS`] seeds.
    Fault:
    /// A connection between daemons broke, and both ends learnt it soon.
    LinkBroken => "link broken",
    /// A connection between daemons broke, and its owner learnt it late.
    LinkHalfOpen => "link half open",
    /// A message that was on its way when its connection broke.
    MessageLost => "message lost",
    /// A message that came much later than others.
    MessageDelayed => "message delayed",
    /// A message that arrived over a new connection before what was left of an earlier one. On one
    /// connection none overtakes another: the kernel sees to that.
    MessageReordered => "message reordered",
    /// A connection on which everything took seconds for a while.
    LinkSlow => "link slow",
    /// An event stream of a scheduler broke, and both ends learnt it soon.
    StreamBroken => "stream broken",
    /// An event stream of a scheduler broke, and one end learnt it late.
    StreamHalfOpen => "stream half open",
    /// A call that never arrived; its caller saw the connection break.
    CallLost => "call lost",
    /// A call that was carried out, and whose answer never arrived.
    AnswerLost => "answer lost",
    /// A call that arrived twice: its caller had no answer and tried again.
    CallDuplicated => "call duplicated",
    /// A call that overtook an earlier one on another connection.
    CallReordered => "call reordered",
    /// Two hosts could not reach each other for a while.
    Partition => "partition",
    /// A master's process died.
    MasterCrashed => "master crashed",
    /// A master's process died while the registry was being written for it.
    MasterCrashedInCommit => "master crashed in a commit",
    /// A master lost the lead, and what it had proposed may be committed or not.
    OutcomeUnknown => "outcome of a proposal unknown",
    /// A master's process stood still.
    MasterPaused => "master paused",
    /// A master woke up and acted as a leader although another one led.
    OldLeaderWoke => "old leader woke",
    /// The registry refused a proposal.
    ProposalRefused => "proposal refused",
    /// An agent's process died; executors lived on.
    AgentCrashed => "agent crashed",
    /// An agent's process died while a flush was under way.
    AgentCrashedInFlush => "agent crashed in flush",
    /// An agent's process died between the launch of a container and its release.
    AgentCrashedInLaunch => "agent crashed in launch",
    /// An agent's host was taken away, and a new one with an empty disk listens at its address.
    AgentReplaced => "agent replaced",
    /// An agent came back with other resources than it had.
    AgentReconfigured => "agent reconfigured",
    /// An operator ended an agent and all that ran there.
    AgentShutDown => "agent shut down",
    /// An agent came back only to end what its earlier life had left.
    AgentCleanedUp => "agent cleaned up",
    /// An agent's process stood still.
    AgentPaused => "agent paused",
    /// An agent's host lost power, and the disk lost all that was not flushed.
    PowerLostWithTail => "power lost, tail lost",
    /// An agent's host lost power, and the disk kept parts of what was not flushed.
    PowerLostTornTail => "power lost, tail torn",
    /// An agent's host lost power, and the disk kept everything all the same.
    PowerLostTailKept => "power lost, tail kept",
    /// A flush failed.
    FlushFailed => "flush failed",
    /// A write failed, perhaps in part: the disk was full.
    WriteFailed => "write failed",
    /// A flush that took much longer than others.
    FlushSlow => "flush slow",
    /// The wall clock of a host jumped.
    ClockJumped => "wall clock jumped",
    /// A container could not be started.
    LaunchFailed => "launch failed",
    /// An executor died.
    ExecutorCrashed => "executor crashed",
    /// An executor died after it had said something, and before it was acknowledged.
    ExecutorCrashedUnacknowledged => "executor crashed unheard",
    /// An executor started and never subscribed.
    ExecutorMute => "executor mute",
    /// The stream between an executor and its agent broke.
    ExecutorStreamBroken => "executor stream broken",
    /// A scheduler's process died and came back with what it had on disk.
    SchedulerCrashed => "scheduler crashed",
    /// A second instance of a scheduler took over from a first that still ran.
    SchedulerFailedOver => "scheduler failed over",
    /// A scheduler's process died and stayed away for longer than its framework may.
    SchedulerStayedAway => "scheduler stayed away",
    /// A framework was torn down while one of its agents could not be reached.
    TornDownPartitioned => "torn down in a partition",
    /// A scheduler's process stood still.
    SchedulerPaused => "scheduler paused",
    /// An operator declared an agent gone.
    AgentMarkedGone => "agent marked gone",
    /// An operator killed a task.
    TaskKilledByOperator => "task killed by operator",
    /// A scheduler accepted one offer twice.
    OfferAcceptedTwice => "offer accepted twice",
    /// A scheduler called with the id of an earlier stream.
    StaleStreamUsed => "stale stream used",
    /// A scheduler accepted an offer after it was taken back.
    RescindedOfferAccepted => "rescinded offer accepted",
    /// A scheduler did not read its events until it was cut off.
    NeverRead => "never read",
    /// A scheduler used the id of a live task again.
    TaskIdReused => "task id reused",
    /// A scheduler acknowledged what it never got, or twice, or for another.
    WrongAcknowledgement => "wrong acknowledgement",
    /// A scheduler declined with a filter of zero seconds.
    DeclinedWithZero => "declined with zero",
    /// A scheduler launched a task that makes no sense.
    GarbageTask => "garbage task",
    /// A scheduler answered an offer that never was, or is another's.
    UnknownOfferUsed => "unknown offer used",
    /// A scheduler accepted offers of several agents together.
    OffersMixed => "offers mixed",
    /// A scheduler meddled with the tasks and executors of another.
    ForeignTaskTouched => "foreign task touched",
    /// A scheduler called in the name of another framework.
    ForeignFrameworkNamed => "foreign framework named",
    /// A scheduler wanted a filter for longer than there is time, or for none that makes sense.
    SenselessFilter => "senseless filter",
    /// A scheduler named roles that it does not have.
    ForeignRoleNamed => "foreign role named",
}

kinds! {
    /// Something that is no fault, and that runs must come to see all the same. Each must happen within
    /// [`crate::limits::SEEDS_FOR_ALL_KINDS`] seeds.
    Situation:
    /// Several offers went into one ACCEPT.
    OffersTogether => "several offers accepted together",
    /// A framework changed its roles while it was subscribed.
    RolesChanged => "roles changed",
    /// A framework wanted no offers for a while.
    Suppressed => "offers suppressed",
    /// A framework wanted offers again.
    Revived => "offers revived",
    /// A task that ignored SIGTERM was ended by SIGKILL.
    KilledAfterGrace => "task killed after its grace",
    /// A framework was removed because it stayed away.
    FailoverExpired => "failover timeout ran out",
    /// The same, while another master led than the one that it had been subscribed to.
    FailoverExpiredElsewhere => "… under another master",
    /// A host came back with another boot id, and its agent under its old id.
    AgentRebooted => "agent rebooted",
    /// An agent that was unreachable came back.
    AgentReturned => "unreachable agent returned",
    /// A framework was told so.
    ToldStarting => "told TASK_STARTING",
    /// A framework was told so.
    ToldRunning => "told TASK_RUNNING",
    /// A framework was told so.
    ToldKilling => "told TASK_KILLING",
    /// A framework was told so.
    ToldFinished => "told TASK_FINISHED",
    /// A framework was told so.
    ToldFailed => "told TASK_FAILED",
    /// A framework was told so.
    ToldKilled => "told TASK_KILLED",
    /// A framework was told so.
    ToldError => "told TASK_ERROR",
    /// A framework that is not aware of partitions was told so.
    ToldLost => "told TASK_LOST",
    /// A framework that is aware of partitions was told so.
    ToldUnreachable => "told TASK_UNREACHABLE",
    /// A framework that is aware of partitions was told so.
    ToldDropped => "told TASK_DROPPED",
    /// A framework that is aware of partitions was told so.
    ToldGone => "told TASK_GONE",
    /// A framework that is aware of partitions was told so.
    ToldGoneByOperator => "told TASK_GONE_BY_OPERATOR",
    /// A framework that is aware of partitions was told so.
    ToldUnknown => "told TASK_UNKNOWN",
}

impl Situation {
    /// The one in which a framework is told this state.
    pub(crate) fn told(state: TaskState) -> Option<Self> {
        Some(match state {
            TaskState::TaskStarting => Self::ToldStarting,
            TaskState::TaskRunning => Self::ToldRunning,
            TaskState::TaskKilling => Self::ToldKilling,
            TaskState::TaskFinished => Self::ToldFinished,
            TaskState::TaskFailed => Self::ToldFailed,
            TaskState::TaskKilled => Self::ToldKilled,
            TaskState::TaskError => Self::ToldError,
            TaskState::TaskLost => Self::ToldLost,
            TaskState::TaskUnreachable => Self::ToldUnreachable,
            TaskState::TaskDropped => Self::ToldDropped,
            TaskState::TaskGone => Self::ToldGone,
            TaskState::TaskGoneByOperator => Self::ToldGoneByOperator,
            TaskState::TaskUnknown => Self::ToldUnknown,
            TaskState::TaskStaging => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts by kind, of one run or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults that fired.
    pub faults: BTreeMap<Fault, u64>,
    /// What came about besides.
    pub situations: BTreeMap<Situation, u64>,
    /// Events that each invariant checked, by what it checked them for.
    pub checks: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn fired(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn met(&mut self, situation: Situation) {
        *self.situations.entry(situation).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (situation, count) in &other.situations {
            *self.situations.entry(*situation).or_default() += count;
        }
        for (check, count) in &other.checks {
            *self.checks.entry(check).or_default() += count;
        }
    }

    /// The faults that never fired, the situations that never came about and the checks that were never
    /// made.
    #[must_use]
    pub fn never(&self) -> Vec<&'static str> {
        let faults = Fault::ALL
            .iter()
            .filter(|fault| !self.faults.contains_key(fault))
            .map(|fault| fault.name());
        let situations = Situation::ALL
            .iter()
            .filter(|situation| !self.situations.contains_key(situation))
            .map(|situation| situation.name());
        let checks = self.checks.iter().filter(|(_, count)| **count == 0);
        let checks = checks.map(|(check, _)| *check);
        faults.chain(situations).chain(checks).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults fired:")?;
        for fault in Fault::ALL {
            let count = self.faults.get(fault).copied().unwrap_or(0);
            writeln!(f, "  {:<34} {count:>9}", fault.name())?;
        }
        writeln!(f, "situations met:")?;
        for situation in Situation::ALL {
            let count = self.situations.get(situation).copied().unwrap_or(0);
            writeln!(f, "  {:<34} {count:>9}", situation.name())?;
        }
        writeln!(f, "events checked:")?;
        for (check, count) in &self.checks {
            writeln!(f, "  {check:<44} {count:>9}")?;
        }
        Ok(())
    }
}
