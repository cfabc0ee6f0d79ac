//! The caller's side of the engine, and its thread.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::engine::{Command, Engine};
use super::open::{Config, OpenError, prepare, sync_names};
use super::store::Store;
use crate::coordinator::{Coordinator, Refusal};
use crate::events::{self, Events, Sender, Waiting};
use crate::limits;

/// Opens the log in a directory and starts an engine on it. The node does not lead before
/// [`Coordinator::campaign`].
///
/// # Errors
/// See [`OpenError`]; its text says what to do.
pub fn open(config: &Config) -> Result<(Box<dyn Coordinator>, Events), OpenError> {
    let path = prepare(&config.dir)?;
    let store = Store::open(&path, config.node, config.machine.tag())?;
    if store.now_known().tail.is_none() {
        // Before the first record, and so before anything is reported committed.
        sync_names(&config.dir)?;
    }
    start(store, config.log_bytes, &path)
}

/// Starts an engine on an open file.
pub(crate) fn start(
    store: Store,
    log_bytes: u64,
    path: &Path,
) -> Result<(Box<dyn Coordinator>, Events), OpenError> {
    let (sender, events) = events::channel();
    let (command_sender, commands) = mpsc::channel(limits::PROPOSALS + limits::OTHER_EVENTS);
    let (stop, stopped) = oneshot::channel();
    let (ready, started) = std::sync::mpsc::channel();
    let waiting = sender.waiting();
    let link = Link {
        commands,
        events: sender,
        stopped,
    };
    let thread = std::thread::Builder::new()
        .name("consensus".to_owned())
        .spawn(move || serve(store, log_bytes, link, &ready))
        .map_err(|error| OpenError::Io {
            path: path.to_owned(),
            error,
        })?;
    let failed = |why: String| OpenError::Engine {
        path: path.to_owned(),
        why,
    };
    started
        .recv()
        .map_err(|_| failed("its thread ended".to_owned()))?
        .map_err(failed)?;
    let handle = Handle {
        commands: command_sender,
        waiting,
        stop: Some(stop),
        thread: Some(thread),
    };
    Ok((Box::new(handle), events))
}

/// What connects an engine with its caller.
pub(crate) struct Link {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: Sender,
    /// Resolves when the handle is dropped.
    pub(crate) stopped: oneshot::Receiver<()>,
}

fn serve(
    store: Store,
    log_bytes: u64,
    link: Link,
    ready: &std::sync::mpsc::Sender<Result<(), String>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
    };
    runtime.block_on(async {
        match Engine::start(store, log_bytes, link).await {
            Ok(engine) => {
                // Nobody is gone yet: `start` waits for this.
                let _ = ready.send(Ok(()));
                engine.run().await;
            }
            Err(why) => drop(ready.send(Err(why))),
        }
    });
}

/// The caller's side.
struct Handle {
    commands: mpsc::Sender<Command>,
    waiting: Arc<Waiting>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("raft::Handle")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// Before anything else is refused: an engine that has stopped makes no room any more.
    fn running(&self) -> Result<(), Refusal> {
        if self.commands.is_closed() {
            Err(Refusal::Stopped)
        } else {
            Ok(())
        }
    }

    fn send(&self, command: Command) -> Result<(), Refusal> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Refusal::Stopped,
            })
    }
}

impl Coordinator for Handle {
    fn campaign(&self) -> Result<(), Refusal> {
        self.send(Command::Campaign)
    }

    fn propose(&self, seq: u64, op: Bytes) -> Result<(), Refusal> {
        let bytes = op.len();
        self.running()?;
        self.waiting.enter(bytes)?;
        self.send(Command::Propose { seq, op })
            .inspect_err(|_| self.waiting.leave(bytes))
    }

    fn snapshot(&self, index: u64, bytes: Bytes) -> Result<(), Refusal> {
        self.running()?;
        self.waiting.enter_snapshot(bytes.len())?;
        let sent = self.send(Command::Snapshot { index, bytes });
        sent.inspect_err(|_| self.waiting.leave_snapshot())
    }

    fn close(self: Box<Self>) {
        // Dropping does it.
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}
