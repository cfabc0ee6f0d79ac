//! Every bound of this room, what happens there, and where it comes from.

use std::time::Duration;

/// Resend interval of a new unacknowledged update. Mesos: `STATUS_UPDATE_RETRY_INTERVAL_MIN`.
pub const UPDATE_RETRY_MIN: Duration = Duration::from_secs(10);

/// The resend interval doubles up to this. Mesos: `STATUS_UPDATE_RETRY_INTERVAL_MAX`.
pub const UPDATE_RETRY_MAX: Duration = Duration::from_secs(600);

/// Registration attempts are never further apart. Mesos: `REGISTER_RETRY_INTERVAL_MAX`.
pub const REGISTER_RETRY_MAX: Duration = Duration::from_secs(60);

/// After a broken link the agent knocks at the same address at most this far apart, so that a
/// master that restarts there has its agents back within two seconds.
pub const RECONNECT_RETRY_MAX: Duration = Duration::from_secs(1);

/// The first attempt after a broken link comes within this.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(200);

/// What the agent expects between pings until a master announces its own total (15 s, five times).
pub const PING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(75);

/// The longest ping total that a master can announce; more is taken as this.
pub const PING_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Interval of HEARTBEAT events on an executor's stream. Mesos: `DEFAULT_EXECUTOR_HEARTBEAT_INTERVAL`.
pub const EXECUTOR_HEARTBEAT: Duration = Duration::from_secs(30 * 60);

/// The longest window that executors get to come back after an agent restart. Mesos:
/// `MAX_EXECUTOR_REREGISTRATION_TIMEOUT`; a longer setting is refused at start.
pub const EXECUTOR_REREGISTRATION_MAX: Duration = Duration::from_secs(15);

/// A failed write of status updates is tried again after this, doubling to [`WRITE_RETRY_MAX`].
pub const WRITE_RETRY_MIN: Duration = Duration::from_millis(500);

/// See [`WRITE_RETRY_MIN`].
pub const WRITE_RETRY_MAX: Duration = Duration::from_secs(30);

/// Writes of one task's status updates that may fail in a row, over about two minutes. Then the agent
/// exits: its next life begins with what the disk really holds.
pub const UPDATE_WRITES_FAILED: u32 = 10;

/// Frameworks kept as history; the oldest is forgotten. Mesos: `MAX_COMPLETED_FRAMEWORKS`.
pub const COMPLETED_FRAMEWORKS: usize = 50;

/// Finished tasks kept per executor run; the oldest is forgotten. Mesos:
/// `MAX_COMPLETED_TASKS_PER_EXECUTOR`.
pub const COMPLETED_TASKS_PER_EXECUTOR: usize = 200;

/// Unacknowledged updates kept per task. Past it a further one that is not terminal is refused with
/// 429, so that the executor keeps it; a terminal one is always taken. (Mesos: unbounded.)
pub const UNACKNOWLEDGED_UPDATES_PER_TASK: usize = 1000;

/// The bytes of one update of an executor, as it is written down: data, message, labels and all. A
/// longer one is refused with 400. (Mesos: unbounded. The largest that are known to be sent are results
/// of Spark's tasks, of a little more than 1 MiB.)
pub const UPDATE_BYTES: usize = 4 << 20;

/// The bytes of the unacknowledged updates kept per task. Past it as with
/// [`UNACKNOWLEDGED_UPDATES_PER_TASK`]. (Mesos: unbounded.)
pub const UNACKNOWLEDGED_BYTES_PER_TASK: usize = 16 << 20;

/// The same of all tasks of a framework together: what its executors can make an agent keep, in memory
/// and under `meta/`, which the next start reads.
pub const UNACKNOWLEDGED_BYTES_PER_FRAMEWORK: usize = 128 << 20;

/// A `task.updates` file that is longer is written anew once more than half of it is of no use any more:
/// it never gets longer than twice what is unacknowledged, or than this. Small, because recovery reads
/// the files of all tasks at once.
pub const UPDATES_FILE_BYTES: usize = 256 << 10;

/// How many UUIDs of already handled updates a task's stream remembers to drop repetitions.
pub const REMEMBERED_UUIDS: usize = 2 * UNACKNOWLEDGED_UPDATES_PER_TASK;

/// Update streams per framework for tasks that no executor here has; past it such updates are
/// refused or dropped. They come only from executors that invent task ids and from a master that
/// asks about tasks which never arrived.
pub const STRAY_STREAMS_PER_FRAMEWORK: usize = 1000;

/// Executors that ended and were forgotten between a ReregisterSlave that lists them and its answer,
/// of which the master is then told. Past it the oldest is left out: it stays on the master's books
/// until the next re-registration.
pub const EXITS_OWED: usize = 1000;

/// Tasks that wait for one executor to subscribe. Past it a launch is answered TASK_DROPPED.
pub const QUEUED_TASKS_PER_EXECUTOR: usize = 20_000;

/// Directories that wait for collection; past it the oldest goes at once.
pub const GARBAGE: usize = 100_000;

/// What is collected in one step; more is left for another, [`GARBAGE_PAUSE`] later. Each is one or two
/// directories.
pub const GARBAGE_PER_SLICE: usize = 256;

/// See [`GARBAGE_PER_SLICE`]. Everything that can wait is collected within seven minutes.
pub const GARBAGE_PAUSE: Duration = Duration::from_secs(1);

/// How long a cleanup waits for containers after the longest grace of their executors: the container
/// room needs up to 70 s for one whose processes or control groups resist. Then the agent exits and
/// says which are left.
pub const CLEANUP_PATIENCE: Duration = Duration::from_secs(90);

/// The bytes of a checkpointed message that are believed; a longer announced length is damage.
pub const RECORD_BYTES: usize = 64 << 20;

/// How far the command is quoted in a command executor's name before it is cut to
/// [`NAME_COMMAND_CUT`] and dots. Mesos's numbers.
pub const NAME_COMMAND_BYTES: usize = 15;

/// See [`NAME_COMMAND_BYTES`].
pub const NAME_COMMAND_CUT: usize = 12;

/// Cpu that a command executor gets on top of its task, in cpus (`DEFAULT_EXECUTOR_CPUS`).
pub const COMMAND_EXECUTOR_CPUS: f64 = 0.1;

/// Memory that a command executor gets on top of its task, in MB (`DEFAULT_EXECUTOR_MEM`).
pub const COMMAND_EXECUTOR_MEM_MB: f64 = 32.0;
