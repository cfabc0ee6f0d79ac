//! A stream of events as they come from a master or agent.

use std::marker::PhantomData;

use meseta_proto::Wire;
use meseta_proto::recordio;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::codec::Format;
use crate::error::ClientError;
use crate::http::HttpError;
use crate::http::answer::Reader;
use crate::limits;

/// The events of one subscription, in order. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Events<E> {
    reader: Reader<OwnedReadHalf>,
    /// Held open: closing it would tell the server that we are gone.
    _writer: OwnedWriteHalf,
    records: recordio::Reader,
    format: Format,
    what: &'static str,
    at: String,
    event: PhantomData<E>,
}

impl<E: Wire> Events<E> {
    pub(crate) fn new(
        (reader, writer): (Reader<OwnedReadHalf>, OwnedWriteHalf),
        format: Format,
        what: &'static str,
        at: &str,
    ) -> Self {
        Self {
            reader,
            _writer: writer,
            records: recordio::Reader::with_limit(limits::EVENT_BYTES),
            format,
            what,
            at: at.to_owned(),
            event: PhantomData,
        }
    }

    /// The next event; `None` when the server ended the stream. May be dropped while it waits without
    /// losing an event.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the connection breaks, [`ClientError::Nonsense`] when a record is
    /// no event or longer than [`limits::EVENT_BYTES`]. There is no next event after an error.
    pub async fn next(&mut self) -> Result<Option<E>, ClientError> {
        loop {
            let record = self.records.next_record();
            if let Some(record) = record.map_err(|error| self.nonsense(error.to_string()))? {
                let event = self.format.decode(&record);
                return event.map(Some).map_err(|reason| self.nonsense(reason));
            }
            match self.reader.piece().await {
                Ok(Some(piece)) => self.records.push(&piece),
                Ok(None) => {
                    let whole = self.records.finish();
                    return whole
                        .map(|()| None)
                        .map_err(|error| self.nonsense(error.to_string()));
                }
                Err(HttpError::Malformed(reason)) => return Err(self.nonsense(reason)),
                Err(error) => return Err(ClientError::broken(self.what, &self.at, error)),
            }
        }
    }

    fn nonsense(&self, reason: String) -> ClientError {
        ClientError::Nonsense {
            what: self.what,
            at: self.at.clone(),
            reason,
        }
    }
}
