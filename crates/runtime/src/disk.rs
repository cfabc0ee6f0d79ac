//! The real disk of a core: a thread that performs `Persist` requests, many under one flush.
//!
//! A request that comes while a flush is on its way waits, and shares the next flush with all the
//! others that came meanwhile ([`crate::group`] says what that guarantees). Completions are reported
//! from the disk's thread in the order of the requests, each exactly once.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use meseta_model::step::{Seq, Write};

use crate::group::{Flusher, Request};
use crate::limits;
use crate::storage::Storage;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Its number.
    pub seq: Seq,
    /// Durable, or why not (a sentence).
    pub result: Result<(), String>,
}

/// The disk's thread is gone: it was closed, or it panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk has stopped")]
pub struct DiskStopped;

/// A handle on the thread. Dropping it performs what was asked for so far, then stops the thread.
pub struct Disk {
    queue: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("open", &self.queue.is_some())
            .finish()
    }
}

impl Disk {
    /// Starts the thread. `done` is called on it and should only pass the completion on.
    ///
    /// # Errors
    /// If the operating system refuses another thread.
    pub fn start<S>(
        storage: S,
        done: impl FnMut(Completion) + Send + 'static,
    ) -> std::io::Result<Self>
    where
        S: Storage + Send + 'static,
    {
        let (queue, requests) = channel();
        let thread = std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || serve(Flusher::new(storage), &requests, done))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Asks for a request to be performed, and never waits. What is asked for and not done is bounded by
    /// the caller: a loop that heeds [`crate::Driver::has_room`] takes no event while much is under way.
    ///
    /// # Errors
    /// If the thread is gone; then nothing will be reported for this request.
    pub fn persist(&self, seq: Seq, writes: Vec<Write>) -> Result<(), DiskStopped> {
        let queue = self.queue.as_ref().ok_or(DiskStopped)?;
        queue.send(Request { seq, writes }).map_err(|_| DiskStopped)
    }

    /// Performs and reports what was asked for so far, and stops the thread.
    ///
    /// # Errors
    /// If the thread panicked.
    pub fn close(mut self) -> Result<(), DiskStopped> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), DiskStopped> {
        self.queue = None;
        self.thread
            .take()
            .map_or(Ok(()), |thread| thread.join().map_err(|_| DiskStopped))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A panic of the thread was printed where it happened.
        let _ = self.stop();
    }
}

fn serve<S: Storage>(
    mut flusher: Flusher<S>,
    requests: &Receiver<Request>,
    mut done: impl FnMut(Completion),
) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(limits::REQUESTS_PER_FLUSH - 1));
        for (seq, result) in flusher.flush(&group) {
            done(Completion { seq, result });
        }
    }
}
