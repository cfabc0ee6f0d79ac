//! One connection to one receiver, and what waits for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_model::upid::Upid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

use crate::{limits, socket};

/// Queue, watchers and task of one receiving address.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: SocketAddr,
    state: Mutex<State>,
    /// Something was queued, or a watcher went away.
    changed: Notify,
    /// The queue passed its limit.
    overflowed: Notify,
    /// Everything queued was written, or the link is over.
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whole requests, one behind the other, not yet handed to the socket.
    queue: Vec<u8>,
    /// How many there are in `queue`.
    messages: usize,
    /// The task is writing what it took.
    writing: bool,
    /// Who wants to hear of the loss.
    watchers: BTreeSet<Upid>,
    /// Over: whoever still holds it must open another.
    closed: bool,
}

/// What the writer finds to do.
enum Work {
    Write,
    Wait,
    WaitWithoutWatchers,
}

impl Link {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            state: Mutex::new(State::default()),
            changed: Notify::new(),
            overflowed: Notify::new(),
            drained: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a watcher; false if the link is over already.
    pub(super) fn watch(&self, peer: &Upid) -> bool {
        let mut state = self.lock();
        if !state.closed {
            state.watchers.insert(peer.clone());
        }
        !state.closed
    }

    pub(super) fn unwatch(&self, peer: &Upid) {
        self.lock().watchers.remove(peer);
        self.changed.notify_one();
    }

    /// Lets `append` add one request to the queue; false if the link is over already. Past the limit
    /// the link breaks, and this message with it.
    pub(super) fn push(&self, append: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.messages >= limits::LINK_QUEUE_MESSAGES
            || state.queue.len() >= limits::LINK_QUEUE_BYTES
        {
            self.overflowed.notify_one();
            return true;
        }
        append(&mut state.queue);
        state.messages += 1;
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Closes it if nothing is queued and nobody watches; false otherwise.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut state = self.lock();
        if state.queue.is_empty() && state.watchers.is_empty() {
            state.closed = true;
        }
        state.closed
    }

    /// Closes it for good; answers the watchers and how many messages were never written.
    pub(super) fn close(&self) -> (BTreeSet<Upid>, usize) {
        let mut state = self.lock();
        state.closed = true;
        state.writing = false;
        state.queue = Vec::new();
        let lost = std::mem::take(&mut state.messages);
        let watchers = std::mem::take(&mut state.watchers);
        drop(state);
        self.drained.notify_waiters();
        (watchers, lost)
    }

    /// Waits until nothing is queued or being written.
    pub(super) async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            {
                let state = self.lock();
                if state.closed || (state.queue.is_empty() && !state.writing) {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Connects and writes until the connection ends; answers why it did. `retire` is asked when the
    /// link has been idle for long, and says whether it may end.
    pub(super) async fn run(&self, retire: impl Fn() -> bool) -> String {
        let connect = TcpStream::connect(self.address);
        let mut stream = match tokio::time::timeout(limits::CONNECT_TIMEOUT, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return format!("cannot connect to {}: {error}", self.address),
            Err(_) => {
                return format!(
                    "{} did not accept a connection within {:?}",
                    self.address,
                    limits::CONNECT_TIMEOUT
                );
            }
        };
        socket::prepare(&stream);
        let (reader, writer) = stream.split();
        tokio::select! {
            reason = discard(reader) => reason,
            reason = self.write(writer, retire) => reason,
            () = self.overflowed.notified() => format!(
                "{} does not read: more than {} messages or {} bytes wait for it",
                self.address, limits::LINK_QUEUE_MESSAGES, limits::LINK_QUEUE_BYTES,
            ),
        }
    }

    async fn write(&self, mut writer: WriteHalf<'_>, retire: impl Fn() -> bool) -> String {
        let mut batch = Vec::new();
        loop {
            match self.take(&mut batch) {
                Work::Write => {
                    if let Err(error) = writer.write_all(&batch).await {
                        return format!("writing failed: {error}");
                    }
                    batch.clear();
                    batch.shrink_to(limits::LINK_BUFFER_KEPT_BYTES);
                }
                Work::Wait => self.changed.notified().await,
                Work::WaitWithoutWatchers => {
                    let wait = self.changed.notified();
                    let waited = tokio::time::timeout(limits::LINK_IDLE_TIMEOUT, wait).await;
                    if waited.is_err() && retire() {
                        return "idle".to_owned();
                    }
                }
            }
        }
    }

    /// Swaps the queue with the empty `batch`.
    fn take(&self, batch: &mut Vec<u8>) -> Work {
        let mut state = self.lock();
        std::mem::swap(&mut state.queue, batch);
        state.messages = 0;
        state.writing = !batch.is_empty();
        if state.writing {
            return Work::Write;
        }
        let watched = !state.watchers.is_empty();
        drop(state);
        self.drained.notify_waiters();
        if watched {
            Work::Wait
        } else {
            Work::WaitWithoutWatchers
        }
    }
}

/// Reads and forgets whatever the peer answers, until it closes.
async fn discard(mut reader: ReadHalf<'_>) -> String {
    let mut scratch = [0; 1024];
    loop {
        match reader.read(&mut scratch).await {
            Ok(0) => return "the peer closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) => return format!("the connection broke: {error}"),
        }
    }
}
