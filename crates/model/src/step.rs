//! The contract between a core and what drives it (ARCHITECTURE.md, "A core and its driver").
//!
//! A core is a plain struct with one method, [`Core::step`]. It reads no clock and does nothing
//! itself: everything it wants done is pushed into [`Effects`], in order. The driver
//! (`meseta-runtime`) owns timers, holds back effects that must wait for the disk, and hands the
//! rest to whoever performs them; the simulator drives the same cores through the same driver.

use bytes::Bytes;

/// The time of one step, given by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Microseconds of a monotonic clock whose zero is arbitrary. Timers use this one.
    pub mono_us: u64,
    /// Nanoseconds since the Unix epoch. Durable records and what users see use this one; it may jump.
    pub wall_ns: u64,
}

impl Now {
    /// Wall time as fractional seconds since the Unix epoch, the form Mesos's timestamps have.
    #[must_use]
    pub fn wall_seconds(&self) -> f64 {
        self.wall_ns as f64 / 1e9
    }
}

/// Names one durable write (agent) or one registry proposal (master). Grows by one; never reused
/// within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One change to the files below the agent's `meta/` directory. Paths are relative to it, with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Replaces the file as a whole: temporary file, fsync, rename, fsync of the directory.
    Put {
        /// Relative path.
        path: String,
        /// The whole new content.
        bytes: Bytes,
    },
    /// Adds to the end of the file, creating it if needed, then fsync.
    Append {
        /// Relative path.
        path: String,
        /// What is added.
        bytes: Bytes,
    },
    /// Makes (or replaces) a symbolic link, as Mesos's `latest` entries are.
    Symlink {
        /// Relative path of the link itself.
        path: String,
        /// What it points to, written as it is.
        target: String,
    },
    /// Removes the file, link or whole directory; absent is fine.
    Delete {
        /// Relative path.
        path: String,
    },
}

/// One wish of a core.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<T, X> {
    /// Wake me with this key at this monotonic time; setting a key again moves it.
    SetTimer {
        /// Comes back in the timer event.
        key: T,
        /// Monotonic microseconds, as [`Now::mono_us`].
        at_us: u64,
    },
    /// Forget the timer; unknown keys are fine.
    CancelTimer {
        /// The key it was set with.
        key: T,
    },
    /// Make these writes durable, all or none visible to `after` waiters, then report the number.
    Persist {
        /// The number of this write.
        seq: Seq,
        /// In order.
        writes: Vec<Write>,
    },
    /// Propose this registry op; `Committed`, `Refused` or `Unknown` comes back with the number.
    Propose {
        /// The number of this proposal.
        seq: Seq,
        /// The encoded op.
        op: Bytes,
    },
    /// Do this; if `after` is set, only once that write is durable, and never if it fails.
    Do {
        /// The durable write this effect waits for.
        after: Option<Seq>,
        /// What to do.
        effect: X,
    },
}

/// What one step collects, in order. Owned by the driver, which also owns the number sequence.
#[derive(Debug)]
pub struct Effects<T, X> {
    list: Vec<Effect<T, X>>,
    next_seq: u64,
}

impl<T, X> Default for Effects<T, X> {
    fn default() -> Self {
        Self::starting_at(1)
    }
}

impl<T, X> Effects<T, X> {
    /// An empty list whose next number is `next_seq`.
    #[must_use]
    pub fn starting_at(next_seq: u64) -> Self {
        Self {
            list: Vec::new(),
            next_seq,
        }
    }

    fn seq(&mut self) -> Seq {
        let seq = Seq(self.next_seq);
        self.next_seq += 1;
        seq
    }

    /// Asks for a timer event at `at_us` (monotonic microseconds).
    pub fn set_timer(&mut self, key: T, at_us: u64) {
        self.list.push(Effect::SetTimer { key, at_us });
    }

    /// Withdraws a timer.
    pub fn cancel_timer(&mut self, key: T) {
        self.list.push(Effect::CancelTimer { key });
    }

    /// Asks for durable writes; effects may wait for the returned number.
    pub fn persist(&mut self, writes: Vec<Write>) -> Seq {
        let seq = self.seq();
        self.list.push(Effect::Persist { seq, writes });
        seq
    }

    /// Proposes a registry op; its outcome comes back as an event with the returned number.
    pub fn propose(&mut self, op: Bytes) -> Seq {
        let seq = self.seq();
        self.list.push(Effect::Propose { seq, op });
        seq
    }

    /// Does this now.
    pub fn push(&mut self, effect: X) {
        self.list.push(Effect::Do {
            after: None,
            effect,
        });
    }

    /// Does this once `seq` is durable; drops it if that write fails.
    pub fn push_after(&mut self, seq: Seq, effect: X) {
        self.list.push(Effect::Do {
            after: Some(seq),
            effect,
        });
    }

    /// Does this after `seq` if there is one, at once otherwise.
    pub fn push_maybe_after(&mut self, after: Option<Seq>, effect: X) {
        self.list.push(Effect::Do { after, effect });
    }

    /// What was collected, in order; the list is empty afterwards.
    pub fn take(&mut self) -> Vec<Effect<T, X>> {
        std::mem::take(&mut self.list)
    }

    /// What was collected so far.
    #[must_use]
    pub fn list(&self) -> &[Effect<T, X>] {
        &self.list
    }
}

/// A decision room: the same state and the same events give the same effects, byte for byte.
pub trait Core {
    /// What can happen, in the past tense.
    type Event;
    /// What identifies a timer of this core.
    type Timer: Ord + Clone + std::fmt::Debug;
    /// What this core can ask for, in the imperative.
    type Effect;

    /// Takes one event. Work is bounded by what the event touches.
    fn step(&mut self, now: Now, event: Self::Event, out: &mut Effects<Self::Timer, Self::Effect>);
    /// The event that says that this timer is due.
    fn timer_fired(key: Self::Timer) -> Self::Event;
    /// The event that says that a durable write is done; `None` for a core without a disk.
    fn persisted(seq: Seq) -> Option<Self::Event> {
        let _ = seq;
        None
    }
    /// The event that says that a durable write failed; nothing that waited for it will happen.
    /// `None` for a core without a disk.
    fn persist_failed(seq: Seq, error: String) -> Option<Self::Event> {
        let _ = (seq, error);
        None
    }
}
