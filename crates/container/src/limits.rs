//! Every bound of the room, by name. What happens at each is said beside it; a test reaches it.

use std::time::Duration;

/// The most commands that wait for the room's thread; one more launch or request for usage is refused
/// with [`Refusal::Busy`](crate::containerizer::Refusal::Busy). Releases, destroys and updates of what
/// was launched are always taken: they are bounded by it.
pub const COMMANDS_WAITING: usize = 65_536;

/// The most containers of one agent at a time; a further launch fails with a report.
pub const CONTAINERS: usize = 16_384;

/// The longest encoded plan in bytes a supervisor reads; a launch with more environment and
/// arguments than this fails with a report. (The kernel's own bound for both is near 2 MiB.)
pub const PLAN_BYTES: usize = 8 * 1024 * 1024;

/// The most URIs of one launch; more fail it.
pub const URIS: usize = 1_024;

/// The longest reason, in bytes, a process that could not start hands to its supervisor; the rest
/// is cut.
pub const REASON_BYTES: usize = 4_096;

/// The longest element of a container id in bytes (it names directories); longer ids are refused.
pub const ID_BYTES: usize = 200;

/// How many ended containers keep their record, so that an agent that dies before it has written
/// down the end of one can ask again in its next life; the oldest record goes first.
pub const ENDED_RECORDS: usize = 256;

/// How long a supervisor may take over a destroy before the room kills it and sweeps up itself.
pub const DESTROY_PATIENCE: Duration = Duration::from_secs(10);

/// How long recovery waits for the last word of a supervisor that its agent had no time to write down.
/// It is held and ends as soon as it runs at all, so this is reached only if there is none.
pub const HELD_PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two rounds of a sweep.
pub const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// Sweep rounds in a row that must find nothing before a container counts as gone: a process that
/// forks and exits while `/proc` is read can hide from one round.
pub const SWEEP_QUIET_ROUNDS: u32 = 3;

/// How long the directories of a cgroup may refuse their removal (a dying process still counts)
/// before they are left to the next agent and logged. Mesos: `--cgroups_destroy_timeout`, 1 minute.
pub const CGROUP_REMOVAL: Duration = Duration::from_secs(60);

/// The first and the longest pause between two kill rounds of a supervisor.
pub const KILL_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// For how long one reading of the process table serves requests for usage.
pub const USAGE_AGE: Duration = Duration::from_millis(500);

/// Memory no container gets less of, in bytes. Mesos: `MIN_MEMORY`, 32 MB.
pub const MEMORY_FLOOR_BYTES: u64 = 32 * 1024 * 1024;

/// Cpu shares of one cpu, and the fewest of any container. Mesos: `CPU_SHARES_PER_CPU`,
/// `MIN_CPU_SHARES`.
pub const CPU_SHARES: (i64, i64) = (1024, 2);

/// Weight of one cpu in a version 2 hierarchy, the least and the most the kernel takes.
pub const CPU_WEIGHT: (i64, i64, i64) = (100, 1, 10_000);

/// The CFS period and the least quota in microseconds. Mesos: `CPU_CFS_PERIOD` 100 ms,
/// `MIN_CPU_CFS_QUOTA` 1 ms.
pub const CFS_US: (i64, i64) = (100_000, 1_000);

/// A download slower than 1 byte a second over this long is given up, unless configured otherwise.
/// Mesos: `--fetcher_stall_timeout`, 1 minute.
pub const FETCH_STALL_WINDOW: Duration = Duration::from_secs(60);

/// The most redirections one download follows. Mesos's library has no bound; 10 is a browser's.
pub const FETCH_REDIRECTS: u32 = 10;

/// The most entries one archive may hold; more make the fetch fail.
pub const ARCHIVE_ENTRIES: usize = 1_000_000;

/// The most memory in bytes an xz stream may ask of its reader (`xz -9` needs 65 MiB).
pub const XZ_MEMORY_BYTES: u32 = 256 * 1024 * 1024;

/// Rounds in which a task's whole tree is looked up for one signal: processes born while one
/// round ran are met by the next.
pub const SIGNAL_ROUNDS: u32 = 16;

/// How often, and with which pause, the kernel's counter is looked at after a notice that memory ran
/// out. If it counts no kill by then, the notice was of pressure that went by.
pub const MEMORY_LOOKS: u32 = 50;
/// See [`MEMORY_LOOKS`].
pub const MEMORY_PAUSE: Duration = Duration::from_millis(20);
