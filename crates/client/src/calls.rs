//! Calls beside a subscription: many in flight over one connection.

use std::marker::PhantomData;
use std::sync::Arc;

use meseta_proto::Wire;
use tokio::sync::Mutex;

use crate::codec::Format;
use crate::error::ClientError;
use crate::http::HttpError;
use crate::http::connection::{Connection, Pending};
use crate::http::request::Request;

/// Sends calls of one subscription over a connection of its own. Calls go out in the order in which
/// [`Calls::send`] was polled first. Cheap to clone.
#[derive(Debug)]
pub struct Calls<C> {
    shared: Arc<Shared>,
    call: PhantomData<fn(C)>,
}

impl<C> Clone for Calls<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            call: PhantomData,
        }
    }
}

#[derive(Debug)]
struct Shared {
    what: &'static str,
    at: String,
    path: &'static str,
    stream_id: Option<String>,
    format: Format,
    connection: Mutex<Option<Connection>>,
}

/// A call that is under way.
#[derive(Debug)]
#[must_use = "a call's outcome is known only by waiting for it"]
pub struct Sent {
    shared: Arc<Shared>,
    pending: Pending,
}

impl<C: Wire> Calls<C> {
    pub(crate) fn new(
        what: &'static str,
        at: &str,
        path: &'static str,
        stream_id: Option<String>,
        format: Format,
    ) -> Self {
        let shared = Shared {
            what,
            at: at.to_owned(),
            path,
            stream_id,
            format,
            connection: Mutex::new(None),
        };
        Self {
            shared: Arc::new(shared),
            call: PhantomData,
        }
    }

    /// Puts the call on its way, without waiting for the answers to earlier ones.
    ///
    /// # Errors
    /// [`ClientError`] when there is no connection and none can be made; the call was not sent.
    pub async fn send(&self, call: &C) -> Result<Sent, ClientError> {
        let shared = &self.shared;
        let body = shared.format.encode(call);
        let mut headers = vec![
            ("Content-Type", shared.format.media_type()),
            ("Accept", shared.format.media_type()),
        ];
        if let Some(stream_id) = &shared.stream_id {
            headers.push(("Mesos-Stream-Id", stream_id));
        }
        let request = Request {
            method: "POST",
            path: shared.path,
            headers,
            body: &body,
        };
        let pending = shared.post(&request).await;
        let pending = pending.map_err(|e| ClientError::broken(shared.what, &shared.at, e))?;
        Ok(Sent {
            shared: shared.clone(),
            pending,
        })
    }

    /// Sends the call and waits until the server has accepted it.
    ///
    /// # Errors
    /// As [`Calls::send`] and [`Sent::accepted`].
    pub async fn call(&self, call: &C) -> Result<(), ClientError> {
        self.send(call).await?.accepted().await
    }
}

impl Shared {
    /// Posts over the open connection, or a new one if the server closed it.
    async fn post(&self, request: &Request<'_>) -> Result<Pending, HttpError> {
        let mut slot = self.connection.lock().await;
        let open = match slot.take() {
            Some(open) if !open.is_closed() => open,
            _ => Connection::open(&self.at).await?,
        };
        let open = slot.insert(open);
        open.send(request).await
    }
}

impl Sent {
    /// Waits for the answer: 202, or 200 where a call is done at once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the server's words, [`ClientError::Broken`] when the connection
    /// ended first: the call may have been carried out.
    pub async fn accepted(self) -> Result<(), ClientError> {
        let shared = &self.shared;
        match self.pending.answer().await {
            Ok(answer) if answer.status == 202 || answer.status == 200 => Ok(()),
            Ok(answer) => Err(ClientError::refused(shared.what, &shared.at, &answer)),
            Err(error) => Err(ClientError::broken(shared.what, &shared.at, error)),
        }
    }
}
