//! Opening an event stream: tries, redirects, refusals. The same for schedulers, executors and
//! operators.

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::codec::Format;
use crate::error::ClientError;
use crate::http::answer::{Head, Reader};
use crate::http::connection::open_stream;
use crate::http::request::Request;
use crate::limits;
use crate::retry::Retry;

/// What to subscribe to.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) what: &'static str,
    /// Tried in turn, `host:port` each.
    pub(crate) addresses: &'a [String],
    pub(crate) path: &'static str,
    pub(crate) format: Format,
    pub(crate) retry: Retry,
    pub(crate) body: &'a [u8],
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where it leads to, after redirects.
    pub(crate) at: String,
    pub(crate) head: Head,
    pub(crate) halves: (Reader<OwnedReadHalf>, OwnedWriteHalf),
}

impl Target<'_> {
    /// Tries the addresses in turn, with pauses, until one opens a stream or refuses for good.
    pub(crate) async fn open(&self) -> Result<Opened, ClientError> {
        let mut tried = 0;
        loop {
            let error = match self.try_each().await {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            tried += 1;
            let Some(pause) = self.retry.pause(tried) else {
                return Err(error);
            };
            tracing::debug!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_each(&self) -> Result<Opened, ClientError> {
        let mut nobody = Vec::new();
        let mut last = None;
        for address in self.addresses {
            match self.follow(address).await {
                Err(ClientError::Unreachable { tried, .. }) => nobody.extend(tried),
                Err(error) if error.is_transient() => last = Some(error),
                result => return result,
            }
        }
        Err(last.unwrap_or(ClientError::Unreachable {
            what: self.what,
            tried: nobody,
        }))
    }

    /// One address and wherever it redirects to.
    async fn follow(&self, address: &str) -> Result<Opened, ClientError> {
        let mut path = vec![address.to_owned()];
        while path.len() <= limits::REDIRECTS {
            let at = path.last().map_or(address, String::as_str).to_owned();
            let request = Request {
                method: "POST",
                path: self.path,
                headers: vec![
                    ("Content-Type", self.format.media_type()),
                    ("Accept", self.format.media_type()),
                ],
                body: self.body,
            };
            let opened = open_stream(&at, &request).await;
            let (head, reader, writer) =
                opened.map_err(|error| ClientError::broken(self.what, &at, error))?;
            match head.status {
                200 => {
                    return Ok(Opened {
                        at,
                        head,
                        halves: (reader, writer),
                    });
                }
                307 => match head.header("location").and_then(authority) {
                    Some(next) => path.push(next.to_owned()),
                    None => return Err(self.refused(&at, head, reader).await),
                },
                _ => return Err(self.refused(&at, head, reader).await),
            }
        }
        Err(ClientError::RedirectedTooOften {
            what: self.what,
            path,
        })
    }

    async fn refused(
        &self,
        at: &str,
        head: Head,
        mut reader: Reader<OwnedReadHalf>,
    ) -> ClientError {
        let mut text = Vec::new();
        while text.len() < limits::QUOTED_BYTES
            && let Ok(Some(piece)) = reader.piece().await
        {
            text.extend_from_slice(&piece);
        }
        text.truncate(limits::QUOTED_BYTES);
        ClientError::Refused {
            what: self.what,
            at: at.to_owned(),
            status: head.status,
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

/// `host:port` of `//host:port/path` (Mesos's redirects name no scheme) or `http://host:port/path`.
pub(crate) fn authority(location: &str) -> Option<&str> {
    let rest = location.strip_prefix("http:").unwrap_or(location);
    let rest = rest.strip_prefix("//")?;
    let authority = rest.split('/').next()?;
    authority.contains(':').then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn redirects_name_an_authority() {
        assert_eq!(authority("//h:5050/api/v1"), Some("h:5050"));
        assert_eq!(authority("http://10.0.0.1:5050"), Some("10.0.0.1:5050"));
        assert_eq!(authority("/master/redirect"), None);
        assert_eq!(authority("https://h:5050/"), None);
        assert_eq!(authority("//h"), None);
    }
}
