//! Plain HTTP through a proxy: the request names the whole URL, and the proxy asks for us.
//!
//! HTTP/1.0, so that the body comes without an encoding of its own and ends with the connection or
//! after `Content-Length` bytes (RFC 9112, sections 3.2.2 and 6.3).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::download::{Answer, USER_AGENT};

/// Longest head of an answer in bytes.
const HEAD_BYTES: u64 = 64 * 1024;

/// Asks `proxy` for `url`.
pub(super) fn ask(url: &str, proxy: &ureq::Proxy, window: Option<Duration>) -> io::Result<Answer> {
    let mut stream = connect(proxy, window)?;
    stream.set_read_timeout(window)?;
    stream.set_write_timeout(window)?;
    stream.write_all(request(url, proxy).as_bytes())?;
    answer(BufReader::new(stream))
}

fn connect(proxy: &ureq::Proxy, window: Option<Duration>) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the proxy's name has no address");
    for address in (proxy.host(), proxy.port()).to_socket_addrs()? {
        let connected = match window {
            Some(window) => TcpStream::connect_timeout(&address, window),
            None => TcpStream::connect(address),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(url: &str, proxy: &ureq::Proxy) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let authority = url.split('/').nth(2).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let credentials = proxy.username().map(|user| {
        let pair = format!("{user}:{}", proxy.password().unwrap_or_default());
        format!("Proxy-Authorization: Basic {}\r\n", base64(pair.as_bytes()))
    });
    format!(
        "GET {url} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n{}\r\n",
        credentials.unwrap_or_default()
    )
}

fn answer(stream: impl BufRead + 'static) -> io::Result<Answer> {
    let mut head = stream.take(HEAD_BYTES);
    let status_line = line(&mut head)?;
    let mut words = status_line.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
        return Err(io::Error::other("the proxy's answer is not HTTP"));
    };
    let reason = words.next().unwrap_or_default().to_owned();
    let (mut location, mut length) = (None, None);
    loop {
        let header = line(&mut head)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        match name.to_ascii_lowercase().as_str() {
            "location" => location = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok(),
            _ => {}
        }
    }
    let body = Body {
        stream: head.into_inner(),
        left: length,
    };
    Ok(Answer {
        status,
        reason,
        location,
        body: Box::new(body),
    })
}

/// One line of the head without its end; the head's limit and the connection's end are errors.
fn line(head: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    head.read_line(&mut text)?;
    match text.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        None => Err(io::Error::other(
            "the head of the proxy's answer is too long or cut off",
        )),
    }
}

/// A body that knows whether it is whole.
struct Body<R> {
    stream: R,
    left: Option<u64>,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left else {
            return self.stream.read(buffer);
        };
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self
            .stream
            .read(buffer.get_mut(..room).unwrap_or_default())?;
        if count == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = Some(left - u64::try_from(count).unwrap_or(left));
        Ok(count)
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = group >> (18 - 6 * digit) & 63;
            let filled = digit <= chunk.len();
            text.push(if filled {
                char::from(DIGITS[value as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_whole_url_and_the_credentials() {
        let proxy = ureq::Proxy::new("http://ann:p%40ss@p:3128").unwrap();
        let text = request("http://u@h:81/a?b#c", &proxy);
        assert!(
            text.starts_with("GET http://u@h:81/a?b HTTP/1.0\r\nHost: h:81\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\nProxy-Authorization: Basic YW5uOnBAc3M=\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\n"));
        assert_eq!(
            (base64(b""), base64(b"a"), base64(b"abc")),
            ("".into(), "YQ==".into(), "YWJj".into())
        );
    }

    #[test]
    fn bodies_end_by_length_or_with_the_connection() {
        let body = |text: &'static str| {
            let mut answer = answer(text.as_bytes())?;
            let mut body = String::new();
            answer.body.read_to_string(&mut body)?;
            Ok::<_, io::Error>((answer.status, answer.location, body))
        };
        let read = |text| body(text).ok();
        assert_eq!(
            read("HTTP/1.1 200 OK\r\n\r\nabc"),
            Some((200, None, "abc".to_owned()))
        );
        assert_eq!(
            read("HTTP/1.0 302 Found\nLOCATION: /x \nContent-Length: 2\n\nabc"),
            Some((302, Some("/x".to_owned()), "ab".to_owned()))
        );
        assert_eq!(
            read("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc"),
            None,
            "cut off"
        );
        for text in [
            "",
            "HTTP/1.0 200 OK\r\n",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.0 x\r\n\r\n",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let endless: &'static str = Box::leak("x".repeat(70_000).into_boxed_str());
        assert_eq!(read(endless), None);
    }
}
