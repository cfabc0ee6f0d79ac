//! The short way: actor messages and ordinary calls, parsed where they lie, handed to the core as they
//! come, answered in batches.
//!
//! A library serves the requests of one connection one after the other, each waiting for its answer. An
//! agent's status updates and a scheduler's acknowledgements come by the thousand over one connection;
//! here all that have arrived are under way at once, and their answers still leave in order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use meseta_proto::actor::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::head::{self, Next, Posted, RawCall};
use super::{Called, Cut, Edge, Letter, Request};
use crate::answer::{Answer, Body};
use crate::limits;
use crate::pending::Asked;
use crate::query::{Query, decode};

/// Why this way of reading a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The connection is over.
    Closed,
    /// Something comes that takes the long way; these bytes of it were read.
    Long(BytesMut),
}

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const NO_SUCH_ACTOR: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// An answer in its place.
#[derive(Debug)]
enum Slot {
    Written(&'static [u8]),
    Ready(Answer),
    Asked(Asked),
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Short {
    unread: BytesMut,
    /// Answers that the kernel has not taken yet.
    answers: BytesMut,
    /// Answers behind one that is not there yet.
    slots: VecDeque<Slot>,
    /// A call came this way: no answer may be left out any more.
    has_calls: bool,
}

/// What stopped the parsing.
enum Stop {
    /// The rest is not complete, or enough is under way.
    More,
    Long,
    Broken(&'static str),
}

/// Reads until the connection ends or something takes the long way.
pub(super) async fn carry<E: Edge>(
    stream: &mut TcpStream,
    peer: SocketAddr,
    edge: &Arc<E>,
    cut: &Cut,
) -> End {
    let (mut reader, mut writer) = stream.split();
    let mut short = Short::default();
    let mut long = false;
    loop {
        if !long {
            match short.take(peer, edge, cut).await {
                Stop::More => {}
                Stop::Long => long = true,
                Stop::Broken(why) => {
                    tracing::warn!(%peer, why, "an actor message cannot be read");
                    return End::Closed;
                }
            }
        }
        short.settle();
        if long && short.slots.is_empty() {
            let written = writer.write_all(&short.answers).await;
            return written.map_or(End::Closed, |()| End::Long(short.unread));
        }
        let reads = !long && short.has_room();
        let stalled = reads && !short.unread.is_empty() && short.slots.is_empty();
        let Short {
            unread,
            answers,
            slots,
            ..
        } = &mut short;
        unread.reserve(limits::READ_BYTES);
        tokio::select! {
            read = reader.read_buf(unread), if reads => if !matches!(read, Ok(1..)) {
                return End::Closed;
            },
            written = writer.write_buf(answers), if !answers.is_empty() => if written.is_err() {
                return End::Closed;
            },
            answer = first(slots), if !slots.is_empty() => {
                slots.pop_front();
                append(answers, answer);
            }
            () = tokio::time::sleep(limits::IDLE_TIMEOUT), if stalled => {
                tracing::debug!(%peer, "a request was begun and not finished");
                return End::Closed;
            }
        }
    }
}

/// The answer of the first slot, which is always one that the core has yet to give.
async fn first(slots: &mut VecDeque<Slot>) -> Answer {
    match slots.front_mut() {
        Some(Slot::Asked(asked)) => asked.answer().await,
        _ => std::future::pending().await,
    }
}

impl Short {
    fn has_room(&self) -> bool {
        let written = !self.has_calls || self.answers.len() < limits::UNREAD_ANSWER_BYTES;
        written && self.slots.len() < limits::PIPELINED_CALLS
    }

    /// Takes what has arrived.
    async fn take<E: Edge>(&mut self, peer: SocketAddr, edge: &Arc<E>, cut: &Cut) -> Stop {
        let mut used = 0;
        let stop = loop {
            if !self.has_room() {
                break Stop::More;
            }
            let takes = |path: &str| edge.takes_calls(path);
            match head::next(&self.unread[used..], takes) {
                Next::More => break Stop::More,
                Next::Long => break Stop::Long,
                Next::Broken(why) => break Stop::Broken(why),
                Next::Message(posted, length) => {
                    let answer = receive(posted, peer, &**edge).await;
                    used += length;
                    self.answer_message(answer);
                }
                Next::Call(raw, length) => {
                    let slot = match edge.call(&request(raw, cut)) {
                        Called::Stream => break Stop::Long,
                        Called::Answer(answer) => Slot::Ready(answer),
                        Called::Asked(asked) => Slot::Asked(asked),
                    };
                    used += length;
                    self.has_calls = true;
                    self.slots.push_back(slot);
                }
            }
        };
        self.unread.advance(used);
        stop
    }

    /// Answers to messages never stop the reading: senders that block for them read them, others never
    /// do, and what the kernel does not take of theirs is not written at all.
    fn answer_message(&mut self, answer: &'static [u8]) {
        if self.has_calls {
            self.slots.push_back(Slot::Written(answer));
        } else if self.answers.len() < limits::UNREAD_ANSWER_BYTES {
            self.answers.extend_from_slice(answer);
        }
    }

    /// Writes down every answer that is there, in order.
    fn settle(&mut self) {
        while let Some(slot) = self.slots.pop_front() {
            match slot {
                Slot::Written(bytes) => self.answers.extend_from_slice(bytes),
                Slot::Ready(answer) => append(&mut self.answers, answer),
                Slot::Asked(mut asked) => match asked.answer_now() {
                    Some(answer) => append(&mut self.answers, answer),
                    None => {
                        self.slots.push_front(Slot::Asked(asked));
                        return;
                    }
                },
            }
        }
    }
}

/// Hands one message on; what does not decode, or nobody knows, is dropped without a word, as Mesos
/// does. The answer depends on the actor only.
async fn receive(posted: Posted<'_>, peer: SocketAddr, edge: &impl Edge) -> &'static [u8] {
    if !edge.has_actor(&posted.to) {
        return NO_SUCH_ACTOR;
    }
    match Message::decode(posted.name, posted.body.bytes()) {
        Ok(message) => {
            let letter = Letter {
                from: posted.from,
                to: posted.to,
                epoch: posted.epoch,
                message,
            };
            edge.deliver(letter).await;
        }
        Err(error) => {
            tracing::warn!(%peer, name = posted.name, %error, "dropped a message");
        }
    }
    ACCEPTED
}

/// A call as handlers see it.
fn request(raw: RawCall<'_>, cut: &Cut) -> Request {
    let (path, query) = raw.target.split_once('?').unwrap_or((raw.target, ""));
    let mut headers = HeaderMap::with_capacity(raw.headers.len());
    for (name, value) in raw.headers {
        // What hyper would refuse is left out: no handler of calls looks at it.
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    }
    Request {
        method: Method::POST,
        target: raw.target.to_owned(),
        path: decode(path, false),
        query: Query::parse(query),
        headers,
        body: Bytes::copy_from_slice(raw.body.bytes()),
        cut: cut.clone(),
    }
}

/// Appends a whole answer as hyper would write it.
fn append(out: &mut BytesMut, answer: Answer) {
    let Body::Whole(body) = answer.body else {
        // Calls that open a stream take the long way.
        return;
    };
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut line = |text: &str| out.extend_from_slice(text.as_bytes());
    line("HTTP/1.1 ");
    line(answer.status.as_str());
    line(" ");
    line(reason);
    line("\r\ndate: ");
    line(&httpdate::fmt_http_date(std::time::SystemTime::now()));
    line("\r\ncontent-length: ");
    line(&body.len().to_string());
    line("\r\n");
    for (name, value) in &answer.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
}
