//! A master's or agent's loop as a task of its own: until when it runs, and why it ended.

use std::time::Duration;

use meseta_client::Links;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::start::wait_for;

/// How long what was sent last may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// See the module. Dropping it does not end the loop.
pub(crate) struct Running {
    ended: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts it; `life` gives the reason of its end, if there is one.
    pub(crate) fn start(life: impl Future<Output = Option<String>> + Send + 'static) -> Self {
        let (sender, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let reason = life.await.unwrap_or_else(|| "stopped".to_owned());
            // Nobody may be interested any more.
            let _ = sender.send(Some(reason));
        });
        Self { ended, task }
    }

    /// Waits until it has ended by itself, and says why.
    pub(crate) async fn ended(&self) -> String {
        wait_for(self.ended.clone(), Option::is_some)
            .await
            .flatten()
            .unwrap_or_else(|| "it failed".to_owned())
    }

    /// Ends it where it is.
    pub(crate) async fn stop(self) {
        self.task.abort();
        // Aborted is what was asked for.
        let _ = self.task.await;
    }
}

/// Waits until what was sent last has left, or for long enough.
pub(crate) async fn last_words(links: &Links) {
    let _ = tokio::time::timeout(LAST_WORDS, links.flush()).await;
}

/// Hands an event to a core behind those that wait; a loop does not send to itself otherwise.
pub(crate) fn later<E: Send + 'static>(events: &mpsc::Sender<E>, event: E) {
    let events = events.clone();
    tokio::spawn(async move { events.send(event).await });
}
