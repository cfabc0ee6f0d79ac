//! Recognising an actor message: whose it is, from whom, and where its body ends.

use meseta_model::upid::Upid;

use super::EPOCH_HEADER;
use crate::limits;
use crate::query::decode;

/// What stands at the beginning of a connection's unread bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Next<'a> {
    /// Nothing complete yet.
    More,
    /// Something else than an actor message.
    NoActor,
    /// An actor message, and how many bytes it takes.
    Message(Posted<'a>, usize),
    /// It begins like an actor message, but nobody could say where it ends.
    Broken(&'static str),
}

/// An actor message before its body is decoded.
#[derive(Debug, PartialEq)]
pub(super) struct Posted<'a> {
    /// The receiving actor, decoded.
    pub(super) to: String,
    /// The full message name.
    pub(super) name: &'a str,
    pub(super) from: Upid,
    pub(super) epoch: Option<u64>,
    pub(super) body: Body<'a>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Body<'a> {
    Plain(&'a [u8]),
    /// Chunks joined.
    Joined(Vec<u8>),
}

impl Body<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// The actor and message of `/slave(1)/mesos.internal.PingSlaveMessage`; `None` for any other path.
pub(super) fn target(path: &str) -> Option<(String, &str)> {
    let (actor, name) = path.strip_prefix('/')?.split_once('/')?;
    let named = name.starts_with("mesos.") && !name.contains(['/', '?']);
    (named && !actor.is_empty()).then(|| (decode(actor, false), name))
}

/// The sender: `Libprocess-From`, else the User-Agent. Without one, a POST is no actor message.
pub(super) fn sender(from: Option<&[u8]>, agent: Option<&[u8]>) -> Option<Upid> {
    let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.trim().parse().ok();
    from.and_then(parse)
        .or_else(|| parse(agent?.strip_prefix(b"libprocess/")?))
}

/// Reads the next actor message.
pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    if !b"POST /".starts_with(bytes.get(..6).unwrap_or(bytes)) {
        return Next::NoActor;
    }
    let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let is_actor = request.path.map(|path| target(path).is_some());
    match (parsed, is_actor) {
        (_, Some(false)) => Next::NoActor,
        (Err(_), None) => Next::NoActor,
        (Err(_), Some(true)) => Next::Broken("its headers make no sense"),
        (Ok(httparse::Status::Partial), _) if bytes.len() > limits::HEAD_BYTES => {
            // hyper has words for that.
            Next::NoActor
        }
        (Ok(httparse::Status::Partial), _) => Next::More,
        (Ok(httparse::Status::Complete(head)), _) => posted(&request, bytes, head),
    }
}

fn posted<'a>(request: &httparse::Request<'_, 'a>, bytes: &'a [u8], head: usize) -> Next<'a> {
    let Some((to, name)) = request.path.and_then(target) else {
        return Next::NoActor;
    };
    let header = |wanted: &str| {
        let mut all = request.headers.iter();
        all.find(|header| header.name.eq_ignore_ascii_case(wanted))
            .map(|header| header.value)
    };
    let text = |wanted| header(wanted).and_then(|value| std::str::from_utf8(value).ok());
    let rest = &bytes[head..];
    let (body, length) = if let Some(coding) = text("Transfer-Encoding") {
        if !coding.trim().eq_ignore_ascii_case("chunked") {
            return Next::Broken("its transfer encoding is not chunked");
        }
        match joined(rest) {
            Ok(Some((body, length))) => (Body::Joined(body), length),
            Ok(None) => return Next::More,
            Err(why) => return Next::Broken(why),
        }
    } else {
        let length = text("Content-Length").map_or(Ok(0), |length| length.trim().parse());
        match length {
            Ok(length) if length <= limits::MESSAGE_BYTES => match rest.get(..length) {
                Some(body) => (Body::Plain(body), length),
                None => return Next::More,
            },
            Ok(_) => return Next::Broken("it is too long"),
            Err(_) => return Next::Broken("its length is no number"),
        }
    };
    let Some(from) = sender(header("Libprocess-From"), header("User-Agent")) else {
        return Next::NoActor;
    };
    let posted = Posted {
        to,
        name,
        from,
        epoch: text(EPOCH_HEADER).and_then(|epoch| epoch.trim().parse().ok()),
        body,
    };
    Next::Message(posted, head + length)
}

/// Joins the chunks of a body; answers it and its length on the wire, or `None` while its end is
/// missing.
fn joined(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let parsed = httparse::parse_chunk_size(&bytes[at..]);
        let Ok(parsed) = parsed else {
            return Err("a chunk has no size");
        };
        let httparse::Status::Complete((line, size)) = parsed else {
            return Ok(None);
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if body.len().saturating_add(size) > limits::MESSAGE_BYTES {
            return Err("it is too long");
        }
        at += line;
        if size == 0 {
            return Ok(trailers(&bytes[at..]).map(|length| (body, at + length)));
        }
        let Some(chunk) = bytes.get(at..at + size) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        match bytes.get(at + size..at + size + 2) {
            Some(b"\r\n") => at += size + 2,
            Some(_) => return Err("a chunk is longer than its size"),
            None => return Ok(None),
        }
    }
}

/// The length of the lines behind the last chunk, up to and with the empty one.
fn trailers(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes[at..].iter().position(|byte| *byte == b'\n')?;
        let empty = matches!(&bytes[at..at + line], b"" | b"\r");
        at += line + 1;
        if empty {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PONG: &[u8] = b"POST /slave-observer(1)/mesos.internal.PongSlaveMessage HTTP/1.1\r\n\
        User-Agent: libprocess/slave(1)@127.0.0.1:15051\r\n\
        Libprocess-From: slave(1)@127.0.0.1:15051\r\nConnection: Keep-Alive\r\nHost: \r\n\r\n";

    const PING: &[u8] = b"POST /slave%281%29/mesos.internal.PingSlaveMessage HTTP/1.1\r\n\
        User-Agent: libprocess/slave-observer(1)@127.0.0.1:15050\r\nmeseta-epoch: 9\r\n\
        Transfer-Encoding: chunked\r\n\r\n1\r\n\x08\r\n1\r\n\x01\r\n0\r\n\r\n";

    fn message(bytes: &[u8]) -> (Posted<'_>, usize) {
        match next(bytes) {
            Next::Message(posted, length) => (posted, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_without_body_or_host_is_one() {
        let (posted, length) = message(PONG);
        assert_eq!(length, PONG.len());
        assert_eq!(posted.to, "slave-observer(1)");
        assert_eq!(posted.name, "mesos.internal.PongSlaveMessage");
        assert_eq!(posted.from, "slave(1)@127.0.0.1:15051".parse().unwrap());
        assert_eq!((posted.epoch, posted.body.bytes()), (None, &b""[..]));
    }

    #[test]
    fn chunks_are_joined_and_names_decoded() {
        let (posted, length) = message(PING);
        assert_eq!(length, PING.len());
        assert_eq!(posted.to, "slave(1)");
        assert_eq!(
            posted.from,
            "slave-observer(1)@127.0.0.1:15050".parse().unwrap()
        );
        assert_eq!(
            (posted.epoch, posted.body.bytes()),
            (Some(9), &b"\x08\x01"[..])
        );
    }

    #[test]
    fn every_prefix_waits_for_more() {
        for bytes in [PONG, PING] {
            for end in 0..bytes.len() {
                assert_eq!(next(&bytes[..end]), Next::More, "{end}");
            }
        }
    }

    #[test]
    fn anything_else_is_left_to_http() {
        for bytes in [
            &b"GET /state HTTP/1.1\r\n\r\n"[..],
            b"POST /api/v1/scheduler HTTP/1.1\r\n\r\n",
            b"POST /master/teardown HTTP/1.1\r\n\r\n",
            b"POST /mesos.internal.X HTTP/1.1\r\n\r\n",
            b"POST /master/mesos.internal.X HTTP/1.1\r\nUser-Agent: curl\r\n\r\n",
            b"\x16\x03\x01",
            b"PUT /",
        ] {
            assert_eq!(next(bytes), Next::NoActor, "{bytes:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_broken() {
        let post = |headers: &str| {
            format!("POST /master/mesos.internal.X HTTP/1.1\r\n{headers}\r\n\r\nzz")
        };
        for headers in [
            "Content-Length: -1",
            "Content-Length: 99999999999",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked",
            "No Colon",
        ] {
            let bytes = post(headers);
            assert!(
                matches!(next(bytes.as_bytes()), Next::Broken(_)),
                "{headers}"
            );
        }
    }

    #[test]
    fn a_sender_may_be_named_in_either_header() {
        let upid = "executor(1)@10.0.0.1:4000".parse().ok();
        assert_eq!(sender(Some(b"executor(1)@10.0.0.1:4000"), None), upid);
        assert_eq!(
            sender(Some(b"junk"), Some(b"libprocess/executor(1)@10.0.0.1:4000")),
            upid
        );
        assert_eq!(sender(None, Some(b"curl/8")), None);
    }
}
