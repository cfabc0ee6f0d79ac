//! The short way of actor messages: parsed where they lie, handed on in order, answered in batches.

use std::net::SocketAddr;

use bytes::{Buf as _, BytesMut};
use meseta_proto::actor::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::head::{self, Next, Posted};
use super::{Edge, Letter};
use crate::limits;

/// Why this way of reading a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The connection is over.
    Closed,
    /// Something else than actor messages comes; these bytes of it were read.
    NoActor(BytesMut),
}

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const NO_SUCH_ACTOR: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// Reads actor messages until the connection ends or says something else.
///
/// Answers never stop the reading: senders that block for them read them, others never do, and what
/// the kernel does not take of theirs beyond [`limits::UNREAD_ANSWER_BYTES`] is not written at all.
pub(super) async fn carry(stream: &mut TcpStream, peer: SocketAddr, edge: &impl Edge) -> End {
    let (mut reader, mut writer) = stream.split();
    let mut unread = BytesMut::new();
    let mut answers = BytesMut::new();
    loop {
        let mut used = 0;
        let ended = loop {
            match head::next(&unread[used..]) {
                Next::More => break None,
                Next::Message(posted, length) => {
                    let answer = receive(posted, peer, edge).await;
                    if answers.len() < limits::UNREAD_ANSWER_BYTES {
                        answers.extend_from_slice(answer);
                    }
                    used += length;
                }
                Next::NoActor => break Some(Ok(())),
                Next::Broken(why) => break Some(Err(why)),
            }
        };
        unread.advance(used);
        match ended {
            Some(Ok(())) => {
                let written = writer.write_all(&answers).await;
                return written.map_or(End::Closed, |()| End::NoActor(unread));
            }
            Some(Err(why)) => {
                tracing::warn!(%peer, why, "an actor message cannot be read");
                return End::Closed;
            }
            None => {}
        }
        unread.reserve(limits::READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut unread) => if !matches!(read, Ok(1..)) {
                return End::Closed;
            },
            written = writer.write_buf(&mut answers), if !answers.is_empty() => {
                if written.is_err() {
                    return End::Closed;
                }
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
