//! Requests that wait for a core's answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use meseta_model::edge::{Outcome, RequestId};
use tokio::sync::{mpsc, oneshot};

use crate::answer::Answer;
use crate::limits;

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<RequestId, oneshot::Sender<Outcome>>>,
}

/// Takes a request out of the map however its wait ends.
struct Waiting<'a> {
    pending: &'a Pending,
    request: RequestId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.request);
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an event with a fresh request id to the core and waits for its outcome. A full queue is
    /// answered at once: clients come back, and waiting here would only hide the load.
    pub(crate) async fn ask<E>(
        &self,
        events: &mpsc::Sender<E>,
        event: impl FnOnce(RequestId) -> E,
    ) -> Answer {
        let Ok(permit) = events.try_reserve() else {
            return overloaded(events.is_closed());
        };
        let request = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let (reply, outcome) = oneshot::channel();
        {
            let mut waiting = self.lock();
            if waiting.len() >= limits::PENDING_REQUESTS {
                return overloaded(false);
            }
            waiting.insert(request, reply);
        }
        let _waiting = Waiting {
            pending: self,
            request,
        };
        permit.send(event(request));
        match tokio::time::timeout(limits::ANSWER_TIMEOUT, outcome).await {
            Ok(Ok(outcome)) => outcome.into(),
            Ok(Err(_)) => overloaded(true),
            Err(_) => Answer::unavailable(format!(
                "No decision within {} seconds; it may still be taken",
                limits::ANSWER_TIMEOUT.as_secs()
            )),
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The core's answer. A request that nobody waits for any more is fine.
    pub(crate) fn reply(&self, request: RequestId, outcome: Outcome) {
        if let Some(reply) = self.lock().remove(&request) {
            let _ = reply.send(outcome);
        }
    }
}

/// The answer while the core cannot take more, or has ended.
pub(crate) fn overloaded(ended: bool) -> Answer {
    if ended {
        Answer::unavailable("Shutting down")
    } else {
        Answer::unavailable("Too many requests are waiting; try again")
    }
}

/// Hands the core an event that must not be lost, from where nobody can wait: at once if there is room,
/// else from a task that waits for it.
pub(crate) fn tell<E: Send + 'static>(events: &mpsc::Sender<E>, event: E) {
    let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) else {
        return;
    };
    // Without a runtime the process is ending.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let events = events.clone();
        runtime.spawn(async move {
            let _ = events.send(event).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Body;
    use std::sync::Arc;

    #[tokio::test]
    async fn requests_beyond_the_limit_are_refused_at_once() {
        let pending = Arc::new(Pending::default());
        let (events, mut core) = mpsc::channel(2 * limits::PENDING_REQUESTS);
        let mut waiting = Vec::new();
        for _ in 0..limits::PENDING_REQUESTS {
            let (pending, events) = (pending.clone(), events.clone());
            waiting.push(tokio::spawn(async move {
                pending.ask(&events, |id| id).await.status
            }));
        }
        let mut asked = Vec::new();
        for _ in 0..limits::PENDING_REQUESTS {
            asked.push(core.recv().await.unwrap());
        }
        let refused = pending.ask(&events, |id| id).await;
        assert_eq!(refused.status, http::StatusCode::SERVICE_UNAVAILABLE);
        let Body::Whole(text) = refused.body else {
            panic!("a stream");
        };
        assert_eq!(text, "Too many requests are waiting; try again");
        assert!(core.try_recv().is_err());
        for request in asked {
            pending.reply(request, Outcome::Done);
        }
        for task in waiting {
            assert_eq!(task.await.unwrap(), http::StatusCode::OK);
        }
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_waits_no_more() {
        let pending = Pending::default();
        let (events, mut core) = mpsc::channel(1);
        let ask = pending.ask(&events, |id| id);
        tokio::select! {
            biased;
            _ = ask => panic!("answered"),
            request = core.recv() => assert!(request.is_some()),
        }
        assert_eq!(pending.len(), 0);
    }
}
