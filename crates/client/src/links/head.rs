//! The wire form of an actor message: `POST /<actor>/<full message name>` with a protobuf body.

use std::net::SocketAddr;

use meseta_proto::actor::Message;

/// Our own header: the epoch of the leader that sends (design decision 8). Peers that do not know it
/// ignore it.
pub const EPOCH_HEADER: &str = "Meseta-Epoch";

/// Appends one whole request to `out`.
pub(super) fn append(
    out: &mut Vec<u8>,
    (from, own): (&str, SocketAddr),
    (to, peer): (&str, SocketAddr),
    message: &Message,
    epoch: Option<u64>,
) {
    out.extend_from_slice(b"POST /");
    append_escaped(out, to);
    out.push(b'/');
    out.extend_from_slice(message.name().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nUser-Agent: libprocess/");
    append_header_text(out, from);
    append_fmt(out, format_args!("@{own}\r\nLibprocess-From: "));
    append_header_text(out, from);
    append_fmt(
        out,
        format_args!("@{own}\r\nConnection: Keep-Alive\r\nHost: {peer}\r\n"),
    );
    if let Some(epoch) = epoch {
        append_fmt(out, format_args!("{EPOCH_HEADER}: {epoch}\r\n"));
    }
    let body = message.encode();
    append_fmt(out, format_args!("Content-Length: {}\r\n\r\n", body.len()));
    out.extend_from_slice(&body);
}

fn append_fmt(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(args);
}

/// Actor names are ours (`master`, `slave(1)`) or came from a peer: whatever could end the path or
/// the line is percent-encoded, the rest stays as libprocess writes it.
fn append_escaped(out: &mut Vec<u8>, name: &str) {
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"()-_.~@+:,;=!*'$".contains(&byte) {
            out.push(byte);
        } else {
            append_fmt(out, format_args!("%{byte:02X}"));
        }
    }
}

/// A name inside a header keeps its spelling but can never end the line.
fn append_header_text(out: &mut Vec<u8>, name: &str) {
    out.extend(name.bytes().map(|byte| {
        if byte < b' ' || byte == 0x7f {
            b'_'
        } else {
            byte
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use meseta_proto::mesos::internal;

    fn text(to: &str, epoch: Option<u64>) -> String {
        let mut out = Vec::new();
        let message = Message::from(internal::PingSlaveMessage { connected: true });
        append(
            &mut out,
            ("slave-observer(1)", "127.0.0.1:15050".parse().unwrap()),
            (to, "127.0.0.1:15051".parse().unwrap()),
            &message,
            epoch,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_ping_looks_like_one_of_libprocess() {
        assert_eq!(
            text("slave(1)", None),
            "POST /slave(1)/mesos.internal.PingSlaveMessage HTTP/1.1\r\n\
             User-Agent: libprocess/slave-observer(1)@127.0.0.1:15050\r\n\
             Libprocess-From: slave-observer(1)@127.0.0.1:15050\r\n\
             Connection: Keep-Alive\r\n\
             Host: 127.0.0.1:15051\r\n\
             Content-Length: 2\r\n\r\n\u{8}\u{1}"
        );
    }

    #[test]
    fn the_epoch_is_one_header() {
        assert!(text("slave(1)", Some(7)).contains("\r\nMeseta-Epoch: 7\r\n"));
    }

    #[test]
    fn a_hostile_actor_name_cannot_end_the_line() {
        assert!(text("a b/\r\nX: y", None).starts_with("POST /a%20b%2F%0D%0AX:%20y/mesos."));
    }
}
