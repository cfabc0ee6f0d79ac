//! Every bound of this room, with what happens when it is reached.

use std::time::Duration;

/// Open connections. At the limit no more are accepted; they wait in the kernel's queue.
pub const CONNECTIONS: usize = 20_000;

/// Pause after the kernel refused to accept (no more file descriptors, for example).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Request line and headers. A longer request is answered 431.
pub const HEAD_BYTES: usize = 64 << 10;

/// Headers of one request. More are answered 431, or end an actor's connection.
pub const HEADERS: usize = 64;

/// The body of a request. A longer one is answered 413.
pub const BODY_BYTES: usize = 64 << 20;

/// The body of an actor message. A longer one ends the connection: its sender reads no answers.
pub const MESSAGE_BYTES: usize = 64 << 20;

/// How long an HTTP connection may be idle between requests, or take over the headers of one. Not for
/// connections that have said nothing or sent actor messages: peers hold those open to notice our end.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the body of a request may pause.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers that the client has not read. To actor messages no further ones are written then: senders
/// that never read must not stop their own messages. Calls are not taken until it reads.
pub const UNREAD_ANSWER_BYTES: usize = 16 << 10;

/// Calls of one connection that are under way. Beyond them the connection is not read until some are
/// answered.
pub const PIPELINED_CALLS: usize = 1_024;

/// What one read of an actor's connection takes at most.
pub const READ_BYTES: usize = 64 << 10;

/// Requests that wait for a core's answer. More are answered 503.
pub const PENDING_REQUESTS: usize = 10_000;

/// How long a request may wait for a core's answer. Then it is answered 503.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Events that wait on one stream. At the limit the subscriber counts as not reading: its connection
/// is cut, and the core is told.
pub const STREAM_RECORDS: usize = 50_000;

/// Bytes that wait on one stream, a first event of any size excepted. At the limit as above.
pub const STREAM_BYTES: usize = 32 << 20;

/// Operator event streams, unless `--max_operator_event_stream_subscribers` says otherwise. One more cuts
/// the oldest.
pub const OPERATOR_STREAMS: usize = 1_000;

/// Time between heartbeats of an operator event stream.
pub const OPERATOR_HEARTBEAT: Duration = Duration::from_secs(15);

/// Bodies from this size on are compressed for who accepts gzip.
pub const GZIP_BYTES: usize = 1_024;

/// Bodies from this size on are compressed off the threads that serve connections.
pub const GZIP_INLINE_BYTES: usize = 64 << 10;

/// Memory pages that one read of a file returns at most.
pub const FILE_PAGES: usize = 16;

/// Bytes of a page, as Mesos counts them here.
pub const PAGE_BYTES: usize = 4 << 10;

/// Bytes of a file that `/files/download` returns at most; the rest is cut off.
pub const DOWNLOAD_BYTES: u64 = 256 << 20;

/// Entries of one directory listing; the rest is left out.
pub const DIRECTORY_ENTRIES: usize = 10_000;

/// Silence before the kernel probes a peer, and between two of its [`KEEPALIVE_PROBES`] probes.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Probes without an answer after which the kernel breaks the connection.
pub const KEEPALIVE_PROBES: u32 = 4;

/// Agents that are remembered as unreachable for their count in `/state`. Further ones are forgotten
/// from the front, as `--registry_max_agent_count` does in the registry.
pub const UNREACHABLE_AGENTS: usize = 102_400;

/// Times that a timer's metrics tell of; the oldest is forgotten.
pub(crate) const TIMES: usize = 1_000;
