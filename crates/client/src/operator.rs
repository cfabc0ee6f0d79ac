//! Operators: `/api/v1` of a master or agent, and plain documents.

use meseta_proto::Wire;
use meseta_proto::mesos::v1::{agent, master};
use tokio::sync::Mutex;

use crate::codec::Format;
use crate::error::ClientError;
use crate::events::Events;
use crate::http::connection::Connection;
use crate::http::request::Request;
use crate::http::{Answer, HttpError};
use crate::limits;
use crate::retry::Retry;
use crate::subscription::{Target, authority};

const PATH: &str = "/api/v1";

/// Calls one master or agent; a master that does not lead redirects to the one that does.
#[derive(Debug)]
pub struct OperatorClient {
    address: String,
    format: Format,
    connection: Mutex<Option<(String, Connection)>>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The file's whole size.
    pub size: u64,
    /// At most 16 memory pages, from the offset asked for.
    pub data: bytes::Bytes,
}

impl OperatorClient {
    /// A client of the master or agent at `host:port`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            format: Format::default(),
            connection: Mutex::new(None),
        }
    }

    /// Asks a master. A call that changes nothing is repeated once if a connection that had been open
    /// for long turns out to be dead.
    ///
    /// # Errors
    /// [`ClientError`]; a call that changes something may have been carried out if it is `Broken`.
    pub async fn master(&self, call: &master::Call) -> Result<master::Response, ClientError> {
        let repeatable = reads_only(call.r#type().as_str_name());
        self.call("call the master", call, repeatable).await
    }

    /// Asks an agent, as [`OperatorClient::master`] does.
    ///
    /// # Errors
    /// As [`OperatorClient::master`].
    pub async fn agent(&self, call: &agent::Call) -> Result<agent::Response, ClientError> {
        let repeatable = reads_only(call.r#type().as_str_name());
        self.call("call the agent", call, repeatable).await
    }

    /// The master's event stream, which begins with a SUBSCRIBED that holds its whole state.
    ///
    /// # Errors
    /// [`ClientError`] once the tries are used up.
    pub async fn subscribe(&self, retry: Retry) -> Result<Events<master::Event>, ClientError> {
        let call = master::Call {
            r#type: Some(master::call::Type::Subscribe.into()),
            ..Default::default()
        };
        let body = self.format.encode(&call);
        let target = Target {
            what: "subscribe to the master's events",
            addresses: std::slice::from_ref(&self.address),
            path: PATH,
            format: self.format,
            retry,
            body: &body,
        };
        let opened = target.open().await?;
        Ok(Events::new(
            opened.halves,
            self.format,
            "master events",
            &opened.at,
        ))
    }

    /// Reads a file that an agent shows: a sandbox's `stdout`, its log. At most `length` bytes (and
    /// never more than 16 memory pages) from `offset`; nothing when the offset is at the end.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with 404 when there is no such file.
    pub async fn read_file(
        &self,
        path: &str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<FilePart, ClientError> {
        let read_file = agent::call::ReadFile {
            path: path.to_owned(),
            offset,
            length,
        };
        let call = agent::Call {
            r#type: Some(agent::call::Type::ReadFile.into()),
            read_file: Some(read_file),
            ..Default::default()
        };
        let response: agent::Response = self.agent(&call).await?;
        match response.read_file {
            Some(part) => Ok(FilePart {
                size: part.size,
                data: part.data,
            }),
            None => Err(ClientError::Nonsense {
                what: "read a file of the agent",
                at: self.address.clone(),
                reason: "no 'read_file' in it".to_owned(),
            }),
        }
    }

    /// A plain document, for example `/version` or `/state`.
    ///
    /// # Errors
    /// [`ClientError`]; every status but 200 is [`ClientError::Refused`].
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        let request = Request {
            method: "GET",
            path,
            headers: vec![("Accept", "application/json")],
            body: b"",
        };
        let (at, answer) = self.request("ask", &request, true).await?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(ClientError::refused("ask", &at, &answer)),
        }
    }

    async fn call<C, R>(
        &self,
        what: &'static str,
        call: &C,
        repeatable: bool,
    ) -> Result<R, ClientError>
    where
        C: Wire,
        R: Wire,
    {
        let body = self.format.encode(call);
        let request = Request {
            method: "POST",
            path: PATH,
            headers: vec![
                ("Content-Type", self.format.media_type()),
                ("Accept", self.format.media_type()),
            ],
            body: &body,
        };
        let (at, answer) = self.request(what, &request, repeatable).await?;
        match answer.status {
            200 => {
                let response = self.format.decode(&answer.body);
                response.map_err(|reason| ClientError::Nonsense { what, at, reason })
            }
            // Done or queued, and nothing to say about it.
            202 => Ok(R::default()),
            _ => Err(ClientError::refused(what, &at, &answer)),
        }
    }

    /// Sends a request to the leader, wherever it is.
    async fn request(
        &self,
        what: &'static str,
        request: &Request<'_>,
        repeatable: bool,
    ) -> Result<(String, Answer), ClientError> {
        let mut slot = self.connection.lock().await;
        let mut path = Vec::new();
        let mut at = match &*slot {
            Some((at, _)) => at.clone(),
            None => self.address.clone(),
        };
        while path.len() <= limits::REDIRECTS {
            let answer = exchange(&mut slot, &at, request, repeatable).await;
            let answer = answer.map_err(|error| ClientError::broken(what, &at, error))?;
            let location = answer.header("location").and_then(authority);
            let Some(next) = location.filter(|_| answer.status == 307) else {
                return Ok((at, answer));
            };
            path.push(std::mem::replace(&mut at, next.to_owned()));
        }
        Err(ClientError::RedirectedTooOften { what, path })
    }
}

/// Whether a call of this name leaves everything as it is.
fn reads_only(name: &str) -> bool {
    ["GET_", "LIST_", "READ_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// One request over the open connection if it leads to `at`, over a new one otherwise.
async fn exchange(
    slot: &mut Option<(String, Connection)>,
    at: &str,
    request: &Request<'_>,
    repeatable: bool,
) -> Result<Answer, HttpError> {
    if let Some((known, open)) = slot.take()
        && known == at
        && !open.is_closed()
    {
        let answer = match open.send(request).await {
            Ok(pending) => pending.answer().await,
            Err(error) => Err(error),
        };
        match answer {
            // The server may have closed it just then.
            Err(HttpError::Broken(_)) if repeatable => {}
            Ok(answer) => {
                *slot = Some((known, open));
                return Ok(answer);
            }
            Err(error) => return Err(error),
        }
    }
    let open = Connection::open(at).await?;
    let answer = open.send(request).await?.answer().await?;
    *slot = Some((at.to_owned(), open));
    Ok(answer)
}
