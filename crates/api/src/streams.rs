//! Event streams: what was sent to a subscriber and not yet read by it.
//!
//! A stream is a queue of records between whoever sends events and the connection that carries them.
//! It never grows beyond [`limits::STREAM_RECORDS`] and [`limits::STREAM_BYTES`]: a subscriber that
//! does not read is cut off and said to be gone.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::Frame;
use meseta_model::edge::{Refusal, StreamId};
use meseta_proto::recordio;
use tokio::sync::oneshot;

use crate::limits;
use crate::negotiate::MediaType;
use crate::server::Cut;

/// One record as it goes out.
pub(crate) fn framed(record: &[u8]) -> Bytes {
    recordio::record(record).into()
}

/// Whether a stream is opened, or why not.
pub(crate) type Opening = Result<(), Refusal>;

/// The sending end of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) media_type: MediaType,
    cut: Cut,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    records: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing goes out yet.
    held: bool,
    /// No more records come; what is queued still goes out.
    ended: bool,
    /// Who waits to hear whether the stream is opened at all.
    opening: Option<oneshot::Sender<Opening>>,
    waker: Option<Waker>,
}

impl Stream {
    /// A stream whose records wait behind one that [`Stream::begin`] brings.
    pub(crate) fn held(media_type: MediaType, cut: Cut) -> Arc<Self> {
        let stream = Self::new(media_type, cut);
        stream.lock().held = true;
        stream
    }

    /// Puts a record, of any size, before all others and lets them go out.
    pub(crate) fn begin(&self, record: Bytes) {
        let mut queue = self.lock();
        queue.bytes += record.len();
        queue.records.push_front(record);
        queue.held = false;
        wake(&mut queue);
    }

    /// A stream that its first record or its end opens, unless [`Stream::refuse`] comes instead.
    pub(crate) fn undecided(
        media_type: MediaType,
        cut: Cut,
    ) -> (Arc<Self>, oneshot::Receiver<Opening>) {
        let stream = Self::new(media_type, cut);
        let (opening, decision) = oneshot::channel();
        stream.lock().opening = Some(opening);
        (stream, decision)
    }

    /// Does not open the stream. Without effect on one that is open.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.lock().decide(Err(refusal));
    }

    /// A stream over the connection that `cut` cuts.
    pub(crate) fn new(media_type: MediaType, cut: Cut) -> Arc<Self> {
        Arc::new(Self {
            media_type,
            cut,
            queue: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a record. At the limit the connection is cut instead.
    pub(crate) fn send(&self, record: Bytes) {
        let mut queue = self.lock();
        if queue.ended {
            return;
        }
        let full = queue.records.len() >= limits::STREAM_RECORDS
            || (!queue.records.is_empty() && queue.bytes + record.len() > limits::STREAM_BYTES);
        if full {
            tracing::warn!(
                records = queue.records.len(),
                bytes = queue.bytes,
                "a subscriber does not read its events and is cut off"
            );
            queue.ended = true;
            self.cut.cut();
            return;
        }
        queue.bytes += record.len();
        queue.records.push_back(record);
        queue.decide(Ok(()));
        wake(&mut queue);
    }

    /// Ends the stream behind what is queued.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        queue.decide(Ok(()));
        wake(&mut queue);
    }

    /// Ends the connection now, whatever is queued.
    pub(crate) fn cut(&self) {
        self.end();
        self.cut.cut();
    }
}

impl Queue {
    fn decide(&mut self, decision: Opening) {
        if let Some(opening) = self.opening.take() {
            // Who went away meanwhile does not hear it.
            let _ = opening.send(decision);
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.held {
            return None;
        }
        self.records.pop_front()
    }
}

fn wake(queue: &mut Queue) {
    if let Some(waker) = queue.waker.take() {
        waker.wake();
    }
}

/// The receiving end: the body of an answer. Calls `gone` when it is dropped, however that came.
pub(crate) struct StreamBody {
    stream: Arc<Stream>,
    gone: Option<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamBody").finish_non_exhaustive()
    }
}

impl StreamBody {
    pub(crate) fn new(stream: Arc<Stream>, gone: impl FnOnce() + Send + 'static) -> Self {
        Self {
            stream,
            gone: Some(Box::new(gone)),
        }
    }

    /// One record is one frame, and so one chunk.
    pub(crate) fn poll_record(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut queue = self.stream.lock();
        if let Some(record) = queue.next() {
            queue.bytes -= record.len();
            return Poll::Ready(Some(Ok(Frame::data(record))));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some(gone) = self.gone.take() {
            gone();
        }
    }
}

/// The open streams of a master's schedulers or an agent's executors.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<BTreeMap<StreamId, Arc<Stream>>>,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Arc<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, id: StreamId, stream: Arc<Stream>) {
        self.lock().insert(id, stream);
    }

    pub(crate) fn get(&self, id: &StreamId) -> Option<Arc<Stream>> {
        self.lock().get(id).cloned()
    }

    /// Takes a stream out; `None` if that happened already.
    pub(crate) fn remove(&self, id: &StreamId) -> Option<Arc<Stream>> {
        self.lock().remove(id)
    }
}
