//! Every bound of this room, with what happens when it is reached.

use std::time::Duration;

/// Messages that may wait for one link's socket. One more breaks the link: the peer does not read,
/// and at most once is what it was promised.
pub const LINK_QUEUE_MESSAGES: usize = 100_000;

/// Bytes that may wait for one link's socket. One more message breaks the link, as above.
pub const LINK_QUEUE_BYTES: usize = 64 << 20;

/// Buffers that grew beyond this are given back once they are written.
pub const LINK_BUFFER_KEPT_BYTES: usize = 64 << 10;

/// A link that is not connected by then counts as refused.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that nobody is linked to is closed when nothing was sent over it for this long.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Broken links that may wait to be taken; the connection's own task waits for room.
pub const LINK_REPORTS: usize = 1024;

/// Silence before the kernel probes a peer ([`KEEPALIVE_PROBES`] times, this far apart).
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

/// Probes without an answer after which the kernel breaks the connection.
pub const KEEPALIVE_PROBES: u32 = 4;

/// Sent bytes that stay unacknowledged for this long break the connection. As long as the master
/// gives an agent to answer its pings (15 s, five times), so that TCP does not give up first.
pub const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(75);

/// The longest status line and headers of an answer; a longer one is refused.
pub const ANSWER_HEAD_BYTES: usize = 64 << 10;

/// The most headers of an answer.
pub const ANSWER_HEADERS: usize = 64;

/// The longest body of an answer that is kept whole; a longer one is refused. `GET_STATE` of a large
/// cluster fits.
pub const ANSWER_BODY_BYTES: usize = 256 << 20;

/// The longest event on a stream; a longer one ends the stream with an error.
pub const EVENT_BYTES: usize = 64 << 20;

/// Requests that may wait for their answers on one connection; further callers wait.
pub const PIPELINE_DEPTH: usize = 1024;

/// Redirects that are followed before the answer counts as a loop.
pub const REDIRECTS: usize = 5;

/// How long the answer to an ordinary call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Tries of one connection or subscription by the default [`crate::retry::Retry`].
pub const ATTEMPTS: u32 = 10;

/// The first pause between two tries; each later one is twice as long.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// The longest pause between two tries.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(2);

/// How much of the body of a refusal is quoted.
pub const QUOTED_BYTES: usize = 2 << 10;
