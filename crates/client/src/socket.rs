//! Socket options that every connection of ours has.

use rustix::net::sockopt;
use tokio::net::TcpStream;

use crate::limits;

/// No delay for small messages, and a dead peer is noticed: by probes when nothing is sent, by the
/// age of what is unacknowledged otherwise. An option that the kernel refuses is not worth failing.
pub(crate) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, limits::KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepintvl(stream, limits::KEEPALIVE_IDLE);
    let _ = sockopt::set_tcp_keepcnt(stream, limits::KEEPALIVE_PROBES);
    let timeout = u32::try_from(limits::UNACKNOWLEDGED_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(stream, timeout);
}
