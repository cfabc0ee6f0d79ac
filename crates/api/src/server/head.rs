//! Recognising what may take the short way, actor messages and calls, and where it ends.

use meseta_model::upid::Upid;

use super::EPOCH_HEADER;
use crate::limits;
use crate::query::decode;

/// What stands at the beginning of a connection's unread bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Next<'a> {
    /// Nothing complete yet.
    More,
    /// Anything else.
    Long,
    /// An actor message, and how many bytes it takes.
    Message(Posted<'a>, usize),
    /// A call, and how many bytes it takes.
    Call(RawCall<'a>, usize),
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

/// A call before it is looked at.
#[derive(Debug, PartialEq)]
pub(super) struct RawCall<'a> {
    /// Path and query as sent.
    pub(super) target: &'a str,
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
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

/// Reads what comes next. `is_call` says of a path whether calls come to it.
pub(super) fn next(bytes: &[u8], is_call: impl Fn(&str) -> bool) -> Next<'_> {
    if !b"POST /".starts_with(bytes.get(..6).unwrap_or(bytes)) {
        return Next::Long;
    }
    let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    let path = request
        .path
        .map(|target| target.split('?').next().unwrap_or(target));
    let is_message = path.is_some_and(|path| target(path).is_some());
    let is_call = path.is_some_and(is_call);
    match parsed {
        _ if path.is_some() && !is_message && !is_call => Next::Long,
        Err(_) if is_message => Next::Broken("its headers make no sense"),
        // hyper has words for these.
        Err(_) => Next::Long,
        Ok(httparse::Status::Partial) if bytes.len() > limits::HEAD_BYTES => Next::Long,
        Ok(httparse::Status::Partial) => Next::More,
        Ok(httparse::Status::Complete(head)) if is_message => posted(&request, bytes, head),
        Ok(httparse::Status::Complete(head)) => call(&request, bytes, head),
    }
}

/// The first header of that name.
fn header<'a>(request: &httparse::Request<'_, 'a>, wanted: &str) -> Option<&'a [u8]> {
    let mut all = request.headers.iter();
    all.find(|header| header.name.eq_ignore_ascii_case(wanted))
        .map(|header| header.value)
}

fn text<'a>(request: &httparse::Request<'_, 'a>, wanted: &str) -> Option<&'a str> {
    header(request, wanted).and_then(|value| std::str::from_utf8(value).ok())
}

/// A body and the bytes that it takes, `None` while its end is missing.
fn body<'a>(
    request: &httparse::Request<'_, 'a>,
    rest: &'a [u8],
) -> Result<Option<(Body<'a>, usize)>, &'static str> {
    if let Some(coding) = text(request, "Transfer-Encoding") {
        if !coding.trim().eq_ignore_ascii_case("chunked") {
            return Err("its transfer encoding is not chunked");
        }
        let joined = joined(rest)?;
        return Ok(joined.map(|(body, length)| (Body::Joined(body), length)));
    }
    let length = text(request, "Content-Length").map_or(Ok(0), |length| length.trim().parse());
    match length {
        Ok(length) if length <= limits::MESSAGE_BYTES => {
            Ok(rest.get(..length).map(|body| (Body::Plain(body), length)))
        }
        Ok(_) => Err("it is too long"),
        Err(_) => Err("its length is no number"),
    }
}

fn posted<'a>(request: &httparse::Request<'_, 'a>, bytes: &'a [u8], head: usize) -> Next<'a> {
    let from = sender(
        header(request, "Libprocess-From"),
        header(request, "User-Agent"),
    );
    let (Some((to, name)), Some(from)) = (request.path.and_then(target), from) else {
        return Next::Long;
    };
    let (body, length) = match body(request, &bytes[head..]) {
        Ok(Some(found)) => found,
        Ok(None) => return Next::More,
        Err(why) => return Next::Broken(why),
    };
    let posted = Posted {
        to,
        name,
        from,
        epoch: text(request, EPOCH_HEADER).and_then(|epoch| epoch.trim().parse().ok()),
        body,
    };
    Next::Message(posted, head + length)
}

/// Calls of the plain kind only: whatever needs more of HTTP than that takes the long way.
fn call<'a>(request: &httparse::Request<'_, 'a>, bytes: &'a [u8], head: usize) -> Next<'a> {
    let plain = request.version == Some(1)
        && header(request, "Expect").is_none()
        && header(request, "Upgrade").is_none()
        && !text(request, "Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
        && !(header(request, "Transfer-Encoding").is_some()
            && header(request, "Content-Length").is_some());
    let Some(target) = request.path.filter(|_| plain) else {
        return Next::Long;
    };
    match body(request, &bytes[head..]) {
        Ok(Some((body, length))) => {
            let headers = request.headers.iter();
            let headers = headers.map(|header| (header.name, header.value)).collect();
            let call = RawCall {
                target,
                headers,
                body,
            };
            Next::Call(call, head + length)
        }
        Ok(None) => Next::More,
        Err(_) => Next::Long,
    }
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
        match next(bytes, |_| false) {
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
                assert_eq!(next(&bytes[..end], |_| false), Next::More, "{end}");
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
            assert_eq!(next(bytes, |_| false), Next::Long, "{bytes:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_broken() {
        let post = |headers: &str| {
            format!(
                "POST /master/mesos.internal.X HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n{headers}\r\n\r\nzz"
            )
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
                matches!(next(bytes.as_bytes(), |_| false), Next::Broken(_)),
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

    #[test]
    fn calls_are_recognised_and_whatever_is_not_plain_is_left_to_http() {
        let is_call = |path: &str| path == "/api/v1/scheduler";
        let post = |headers: &str| {
            format!(
                "POST /api/v1/scheduler?x=1 HTTP/1.1\r\n{headers}Content-Length: 2\r\n\r\n{{}}GET"
            )
        };
        let plain = post("Mesos-Stream-Id: s\r\n");
        let Next::Call(call, length) = next(plain.as_bytes(), is_call) else {
            panic!("no call");
        };
        assert_eq!(length, plain.len() - 3);
        assert_eq!(
            (call.target, call.body.bytes()),
            ("/api/v1/scheduler?x=1", &b"{}"[..])
        );
        assert_eq!(call.headers[0], ("Mesos-Stream-Id", &b"s"[..]));
        for end in 0..length {
            assert_eq!(next(&plain.as_bytes()[..end], is_call), Next::More, "{end}");
        }
        for headers in [
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "Upgrade: h2c\r\n",
            "Transfer-Encoding: chunked\r\n",
            "No Colon\r\n",
        ] {
            assert_eq!(
                next(post(headers).as_bytes(), is_call),
                Next::Long,
                "{headers}"
            );
        }
        let old = plain.replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(next(old.as_bytes(), is_call), Next::Long);
    }
}
