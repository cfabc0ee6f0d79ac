//! How often each kind of fault fired and each kind of check was made.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])+ $name:ident => $text:literal),+ $(,)?) => {
        /// A kind of fault. Each must fire within [`crate::limits::SEEDS_FOR_ALL_KINDS`] seeds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])+ $name),+
        }

        impl Fault {
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

faults! {
    /// A connection between daemons broke, and both ends learnt it soon.
    LinkBroken => "link broken",
    /// A connection between daemons broke, and its owner learnt it late.
    LinkHalfOpen => "link half open",
    /// A message that was on its way when its connection broke.
    MessageLost => "message lost",
    /// A message that came much later than others.
    MessageDelayed => "message delayed",
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
    /// The stream between an executor and its agent broke.
    ExecutorStreamBroken => "executor stream broken",
    /// A scheduler's process died and came back with what it had on disk.
    SchedulerCrashed => "scheduler crashed",
    /// A second instance of a scheduler took over from a first that still ran.
    SchedulerFailedOver => "scheduler failed over",
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
    /// Events that each invariant checked, by what it checked them for.
    pub checks: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn fired(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (check, count) in &other.checks {
            *self.checks.entry(check).or_default() += count;
        }
    }

    /// The faults that never fired and the checks that were never made.
    #[must_use]
    pub fn never(&self) -> Vec<&'static str> {
        let faults = Fault::ALL
            .iter()
            .filter(|fault| self.faults.get(fault).is_none_or(|count| *count == 0));
        let checks = self.checks.iter().filter(|(_, count)| **count == 0);
        faults
            .map(|fault| fault.name())
            .chain(checks.map(|(check, _)| *check))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults fired:")?;
        for fault in Fault::ALL {
            let count = self.faults.get(fault).copied().unwrap_or(0);
            writeln!(f, "  {:<28} {count:>9}", fault.name())?;
        }
        writeln!(f, "events checked:")?;
        for (check, count) in &self.checks {
            writeln!(f, "  {check:<44} {count:>9}")?;
        }
        Ok(())
    }
}
