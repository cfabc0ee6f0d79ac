//! Requests that wait for a core's answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meseta_model::edge::{Outcome, RequestId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::limits;
use crate::negotiate::MediaType;

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<RequestId, oneshot::Sender<Outcome>>>,
}

/// A request that the core has, and its answer to come. Dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Asked {
    pending: Arc<Pending>,
    request: RequestId,
    outcome: oneshot::Receiver<Outcome>,
    deadline: Instant,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.request);
    }
}

impl Asked {
    /// The answer, once the core has decided or [`limits::ANSWER_TIMEOUT`] is over. May be dropped
    /// while it waits and asked again.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_in(MediaType::Json).await
    }

    /// The same; what the core tells is in this form.
    pub(crate) async fn answer_in(&mut self, media_type: MediaType) -> Answer {
        match tokio::time::timeout_at(self.deadline, &mut self.outcome).await {
            Ok(Ok(Outcome::Told(told))) => Answer::message(media_type, &*told),
            Ok(Ok(outcome)) => outcome.into(),
            Ok(Err(_)) => overloaded(true),
            Err(_) => undecided(),
        }
    }

    /// The answer if it is there already.
    pub(crate) fn answer_now(&mut self) -> Option<Answer> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome.into()),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(overloaded(true)),
        }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an event with a fresh request id to the core. A full queue is answered at once: clients
    /// come back, and waiting here would only hide the load.
    pub(crate) fn ask<E>(
        self: &Arc<Self>,
        events: &mpsc::Sender<E>,
        event: impl FnOnce(RequestId) -> E,
    ) -> Result<Asked, Answer> {
        let Ok(permit) = events.try_reserve() else {
            return Err(overloaded(events.is_closed()));
        };
        let request = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let (reply, outcome) = oneshot::channel();
        {
            let mut waiting = self.lock();
            if waiting.len() >= limits::PENDING_REQUESTS {
                return Err(overloaded(false));
            }
            waiting.insert(request, reply);
        }
        permit.send(event(request));
        Ok(Asked {
            pending: self.clone(),
            request,
            outcome,
            deadline: Instant::now() + limits::ANSWER_TIMEOUT,
        })
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

/// The answer when [`limits::ANSWER_TIMEOUT`] is over.
pub(crate) fn undecided() -> Answer {
    Answer::unavailable(format!(
        "No decision within {} seconds; it may still be taken",
        limits::ANSWER_TIMEOUT.as_secs()
    ))
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
    use http::StatusCode;

    #[tokio::test]
    async fn requests_beyond_the_limit_are_refused_at_once() {
        let pending = Arc::new(Pending::default());
        let (events, mut core) = mpsc::channel(2 * limits::PENDING_REQUESTS);
        let ask = || pending.ask(&events, |id| id);
        let mut asked: Vec<Asked> = (0..limits::PENDING_REQUESTS)
            .map(|_| ask().unwrap())
            .collect();
        let refused = ask().unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let Body::Whole(text) = refused.body else {
            panic!("a stream");
        };
        assert_eq!(text, "Too many requests are waiting; try again");
        for asked in &mut asked {
            assert!(asked.answer_now().is_none());
            pending.reply(core.try_recv().unwrap(), Outcome::Done);
            assert_eq!(asked.answer().await.status, StatusCode::OK);
        }
        assert!(core.try_recv().is_err());
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_waits_no_more() {
        let pending = Arc::new(Pending::default());
        let (events, core) = mpsc::channel(1);
        let asked = pending.ask(&events, |id| id).unwrap();
        assert_eq!(pending.len(), 1);
        drop(asked);
        assert_eq!(pending.len(), 0);
        drop(core);
        assert!(pending.ask(&events, |id| id).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_that_says_nothing_is_not_waited_for_forever() {
        let pending = Arc::new(Pending::default());
        let (events, _core) = mpsc::channel(1);
        let mut asked = pending.ask(&events, |id| id).unwrap();
        let answer = asked.answer().await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
