//! Connections: [`Connection`] pipelines requests whose answers are whole, [`open_stream`] gives the
//! whole connection to one answer that does not end.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::HttpError;
use super::answer::{Answer, Head, Reader};
use super::request::Request;
use crate::{limits, socket};

type Reply = oneshot::Sender<Result<Answer, HttpError>>;

/// Opens a connection to `address`, a host name or IP with a port.
async fn connect(address: &str) -> Result<TcpStream, HttpError> {
    let connect = TcpStream::connect(address);
    match tokio::time::timeout(limits::CONNECT_TIMEOUT, connect).await {
        Ok(Ok(stream)) => {
            socket::prepare(&stream);
            Ok(stream)
        }
        Ok(Err(error)) => Err(HttpError::Connect(error.to_string())),
        Err(_) => Err(HttpError::Timeout(limits::CONNECT_TIMEOUT)),
    }
}

/// Many requests over one connection, each sent without waiting for the answers before it.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    requests: mpsc::Sender<(Vec<u8>, Reply)>,
    task: AbortHandle,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self, HttpError> {
        let stream = connect(address).await?;
        let (requests, queue) = mpsc::channel(limits::PIPELINE_DEPTH);
        let task = tokio::spawn(run(stream, queue)).abort_handle();
        Ok(Self {
            address: address.to_owned(),
            requests,
            task,
        })
    }

    /// The peer closed it, or it broke: nothing sent now would arrive.
    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Queues the request; waits only while [`limits::PIPELINE_DEPTH`] others are queued.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Pending, HttpError> {
        let (reply, pending) = oneshot::channel();
        let bytes = request.encode(&self.address);
        let sent = self.requests.send((bytes, reply)).await;
        sent.map_err(|_| HttpError::Broken("it was closed before".to_owned()))?;
        Ok(Pending(pending))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Result<Answer, HttpError>>);

impl Pending {
    pub(crate) async fn answer(self) -> Result<Answer, HttpError> {
        match tokio::time::timeout(limits::CALL_TIMEOUT, self.0).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(HttpError::Broken("it was closed".to_owned())),
            Err(_) => Err(HttpError::Timeout(limits::CALL_TIMEOUT)),
        }
    }
}

/// Carries requests and answers until either side ends. Requests that were never written are dropped
/// with their senders, which is how their callers learn of it.
async fn run(stream: TcpStream, queue: mpsc::Receiver<(Vec<u8>, Reply)>) {
    let (reader, writer) = stream.into_split();
    let (waiting, answers) = mpsc::channel(limits::PIPELINE_DEPTH);
    let end = tokio::select! {
        end = read(Reader::new(reader), answers) => end,
        end = write(writer, queue, waiting) => end,
    };
    tracing::trace!(%end, "a connection for calls ended");
}

/// Writes whatever is queued in one go. A request's sender waits in `waiting` before the request is
/// written, so that no answer can come before somebody waits for it.
async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<(Vec<u8>, Reply)>,
    waiting: mpsc::Sender<Reply>,
) -> HttpError {
    let mut batch = Vec::new();
    let mut bytes = Vec::new();
    while queue.recv_many(&mut batch, limits::PIPELINE_DEPTH).await > 0 {
        for (request, reply) in batch.drain(..) {
            if let Err(unsent) = waiting.try_send(reply) {
                if let Err(error) = writer.write_all(&bytes).await {
                    return HttpError::Broken(error.to_string());
                }
                bytes.clear();
                if waiting.send(unsent.into_inner()).await.is_err() {
                    return HttpError::Broken("the peer closed it".to_owned());
                }
            }
            bytes.extend_from_slice(&request);
        }
        if let Err(error) = writer.write_all(&bytes).await {
            return HttpError::Broken(error.to_string());
        }
        bytes.clear();
    }
    // Nobody asks any more; who still waits gets the answer.
    waiting.closed().await;
    HttpError::Broken("it is no longer needed".to_owned())
}

/// Gives each answer to who asked, in order.
async fn read(mut reader: Reader<OwnedReadHalf>, mut answers: mpsc::Receiver<Reply>) -> HttpError {
    loop {
        let reply = tokio::select! {
            biased;
            reply = answers.recv() => reply,
            error = reader.idle() => return error,
        };
        let Some(reply) = reply else {
            return HttpError::Broken("it is no longer needed".to_owned());
        };
        let answer = reader.answer().await;
        let failed = answer.as_ref().err().cloned();
        let closes = answer.as_ref().is_ok_and(|answer| {
            let connection = answer.header("connection").unwrap_or_default();
            connection.eq_ignore_ascii_case("close")
        });
        let _ = reply.send(answer);
        if let Some(error) = failed {
            return error;
        }
        if closes {
            return HttpError::Broken("the peer closes it after each answer".to_owned());
        }
    }
}

/// Sends one request over a connection of its own and reads the head of the answer.
pub(crate) async fn open_stream(
    address: &str,
    request: &Request<'_>,
) -> Result<(Head, Reader<OwnedReadHalf>, OwnedWriteHalf), HttpError> {
    let stream = connect(address).await?;
    let (reader, mut writer) = stream.into_split();
    let written = writer.write_all(&request.encode(address)).await;
    written.map_err(|error| HttpError::Broken(error.to_string()))?;
    let mut reader = Reader::new(reader);
    let head = tokio::time::timeout(limits::CALL_TIMEOUT, reader.head()).await;
    let head = head.map_err(|_| HttpError::Timeout(limits::CALL_TIMEOUT))??;
    Ok((head, reader, writer))
}
