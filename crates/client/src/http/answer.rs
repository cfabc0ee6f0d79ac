//! Answers: head, then a body by length, in chunks, or until the end.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::HttpError;
use crate::limits;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Bytes,
}

impl Answer {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The beginning of the body as text, for messages.
    #[must_use]
    pub fn quote(&self) -> String {
        let end = self.body.len().min(limits::QUOTED_BYTES);
        String::from_utf8_lossy(&self.body[..end]).into_owned()
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(known, _)| known == name);
    found.next().map(|(_, value)| value.as_str())
}

/// Status line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// What is left of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Bytes(u64),
    /// Inside a chunk, its final CRLF not counted.
    Chunk(u64),
    /// Before a chunk's size line.
    ChunkSize,
    /// Behind the last chunk: lines up to an empty one.
    Trailers,
    UntilEnd,
}

/// Reads answers, one after the other, from one connection.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: R,
    buffer: BytesMut,
    left: Left,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            left: Left::Nothing,
        }
    }

    /// Reads more; an error at the end of the connection.
    async fn fill(&mut self) -> Result<(), HttpError> {
        match self.source.read_buf(&mut self.buffer).await {
            Ok(0) => Err(HttpError::Broken("the peer closed it".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(HttpError::Broken(error.to_string())),
        }
    }

    /// Waits until the connection ends, or the peer says something unasked.
    pub(crate) async fn idle(&mut self) -> HttpError {
        if !self.buffer.is_empty() || self.fill().await.is_ok() {
            return HttpError::Malformed("an answer to no request".to_owned());
        }
        HttpError::Broken("the peer closed it".to_owned())
    }

    /// Reads the head of the next answer; informational ones are skipped.
    pub(crate) async fn head(&mut self) -> Result<Head, HttpError> {
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                self.buffer.advance(length);
                if (100..200).contains(&head.status) {
                    continue;
                }
                self.left = framing(&head)?;
                return Ok(head);
            }
            if self.buffer.len() > limits::ANSWER_HEAD_BYTES {
                return Err(malformed("its headers are too long"));
            }
            self.fill().await?;
        }
    }

    /// The next piece of the body; `None` at its end. May be dropped while it waits without losing
    /// anything.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            match self.left {
                Left::Nothing | Left::Bytes(0) => return Ok(None),
                Left::ChunkSize => self.chunk_size().await?,
                Left::Trailers => {
                    if self.line().await?.is_empty() {
                        self.left = Left::Nothing;
                    }
                }
                Left::Chunk(0) => {
                    self.line().await?;
                    self.left = Left::ChunkSize;
                }
                Left::UntilEnd if self.buffer.is_empty() => {
                    if self.fill().await.is_err() {
                        self.left = Left::Nothing;
                    }
                }
                Left::UntilEnd => return Ok(Some(self.buffer.split().freeze())),
                Left::Bytes(_) | Left::Chunk(_) if self.buffer.is_empty() => self.fill().await?,
                Left::Bytes(left) => {
                    let piece = self.take(left);
                    self.left = Left::Bytes(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Left::Chunk(left) => {
                    let piece = self.take(left);
                    self.left = Left::Chunk(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
            }
        }
    }

    /// The whole next answer. One that is too long is refused as soon as that is known.
    pub(crate) async fn answer(&mut self) -> Result<Answer, HttpError> {
        self.answer_within(limits::ANSWER_BODY_BYTES).await
    }

    async fn answer_within(&mut self, most: usize) -> Result<Answer, HttpError> {
        let head = self.head().await?;
        let mut body = BytesMut::new();
        let too_long = || malformed("its body is too long");
        if matches!(self.left, Left::Bytes(announced) if announced > most as u64) {
            return Err(too_long());
        }
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > most {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.freeze(),
        })
    }

    fn take(&mut self, at_most: u64) -> Bytes {
        let length = usize::try_from(at_most).unwrap_or(usize::MAX);
        self.buffer.split_to(length.min(self.buffer.len())).freeze()
    }

    async fn chunk_size(&mut self) -> Result<(), HttpError> {
        let line = self.line().await?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default().trim();
        let size =
            u64::from_str_radix(text, 16).map_err(|_| malformed("a chunk without a size"))?;
        self.left = if size == 0 {
            Left::Trailers
        } else {
            Left::Chunk(size)
        };
        Ok(())
    }

    /// One line without its end.
    async fn line(&mut self) -> Result<Bytes, HttpError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Ok(line.freeze());
            }
            if self.buffer.len() > limits::ANSWER_HEAD_BYTES {
                return Err(malformed("a chunk's size line is too long"));
            }
            self.fill().await?;
        }
    }
}

fn malformed(what: &str) -> HttpError {
    HttpError::Malformed(what.to_owned())
}

/// The head at the beginning of `bytes` and its length, if it is all there.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; limits::ANSWER_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| HttpError::Malformed(error.to_string()))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let text = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    let head = Head {
        status: response.code.unwrap_or_default(),
        headers: response.headers.iter().map(text).collect(),
    };
    Ok(Some((head, length)))
}

fn framing(head: &Head) -> Result<Left, HttpError> {
    if matches!(head.status, 204 | 304) {
        return Ok(Left::Nothing);
    }
    if let Some(coding) = head.header("transfer-encoding") {
        return if coding.eq_ignore_ascii_case("chunked") {
            Ok(Left::ChunkSize)
        } else {
            Err(malformed("its transfer encoding is not chunked"))
        };
    }
    match head.header("content-length") {
        Some(length) => {
            let length = length.trim().parse();
            length
                .map(Left::Bytes)
                .map_err(|_| malformed("its length is no number"))
        }
        None => Ok(Left::UntilEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answers(input: &[u8]) -> Result<Vec<Answer>, HttpError> {
        let mut reader = Reader::new(input);
        let mut answers = Vec::new();
        loop {
            match reader.answer().await {
                Ok(answer) => answers.push(answer),
                Err(HttpError::Broken(_)) => return Ok(answers),
                Err(error) => return Err(error),
            }
        }
    }

    fn bodies(input: &[u8]) -> Vec<(u16, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answers = runtime.block_on(answers(input)).unwrap();
        answers
            .into_iter()
            .map(|answer| (answer.status, answer.quote()))
            .collect()
    }

    #[test]
    fn pipelined_answers_of_every_framing_are_told_apart() {
        let input = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n\
            HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno\
            HTTP/1.1 200 OK\r\n\r\nuntil the end";
        let expected = [
            (202, ""),
            (204, ""),
            (200, "abcde"),
            (400, "no"),
            (200, "until the end"),
        ];
        let expected: Vec<_> = expected.map(|(s, b)| (s, b.to_owned())).into();
        assert_eq!(bodies(input), expected);
    }

    #[test]
    fn nonsense_is_refused() {
        for input in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let error = runtime.block_on(answers(input)).unwrap_err();
            assert!(matches!(error, HttpError::Malformed(_)), "{error}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused_at_the_limit() {
        let mut input = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        input.resize(limits::ANSWER_HEAD_BYTES + 2048, b'a');
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let error = runtime.block_on(answers(&input)).unwrap_err();
        assert_eq!(error, malformed("its headers are too long"));
    }

    fn only(input: &[u8], most: usize) -> Result<Answer, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(Reader::new(input).answer_within(most))
    }

    #[test]
    fn a_body_of_any_framing_is_refused_beyond_the_limit() {
        for input in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nabcdef",
        ] {
            assert_eq!(only(input, 6).unwrap().body, "abcdef");
            assert_eq!(only(input, 5), Err(malformed("its body is too long")));
        }
        // Announced, and so refused before it comes.
        let announced = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            limits::ANSWER_BODY_BYTES + 1
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let refused = runtime.block_on(answers(announced.as_bytes()));
        assert_eq!(refused, Err(malformed("its body is too long")));
    }
}
