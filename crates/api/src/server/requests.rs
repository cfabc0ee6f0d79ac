//! Requests over hyper: collecting the body, asking the edge, compressing and writing the answer.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{self, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use tokio::net::TcpStream;

use super::rewind::Rewind;
use super::{Cut, EPOCH_HEADER, Edge, Letter, Request, head};
use crate::answer::{Answer, Body};
use crate::limits;
use crate::negotiate::accepts_gzip;
use crate::query::{Query, decode};

/// Serves requests until the connection ends.
pub(super) async fn carry<E: Edge>(
    stream: TcpStream,
    read: BytesMut,
    peer: SocketAddr,
    edge: Arc<E>,
    cut: Cut,
) {
    let io = TokioIo::new(Rewind::new(read, stream));
    let service = service_fn(move |request| {
        let (edge, cut) = (edge.clone(), cut.clone());
        async move { Ok::<_, Infallible>(respond(&edge, request, peer, cut).await) }
    });
    // Not `pipeline_flush`: it holds back the answer to whatever has more bytes behind it, also when
    // those are what could not be parsed, or when the answer is a stream.
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits::IDLE_TIMEOUT)
        .max_buf_size(limits::HEAD_BYTES)
        .max_headers(limits::HEADERS);
    if let Err(error) = server.serve_connection(io, service).await {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

async fn respond<E: Edge>(
    edge: &Arc<E>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
    cut: Cut,
) -> http::Response<Outgoing> {
    let (parts, incoming) = request.into_parts();
    tracing::debug!(%peer, method = %parts.method, target = %parts.uri, "a request");
    let gzip = accepts_gzip(&parts.headers);
    let body = match collect(incoming).await {
        Ok(body) => body,
        Err(answer) => return finish(answer, false).await,
    };
    if parts.method == http::Method::POST
        && let Some(to) = head::target(parts.uri.path())
        && let Some(from) = sender(&parts.headers)
    {
        let answer = receive(edge, &parts.headers, from, to, &body).await;
        return finish(answer, false).await;
    }
    let request = Request {
        method: parts.method,
        target: parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string),
        path: decode(parts.uri.path(), false),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
        cut,
    };
    finish(edge.answer(request).await, gzip).await
}

/// The whole body, or what to answer instead.
async fn collect(incoming: Incoming) -> Result<Bytes, Answer> {
    let announced = incoming.size_hint().lower();
    if announced > limits::BODY_BYTES as u64 {
        return Err(too_long());
    }
    let limited = Limited::new(incoming, limits::BODY_BYTES);
    match tokio::time::timeout(limits::BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err(Answer::bad_request(format!("The body is cut off: {error}"))),
        Err(_) => Err(Answer::text(
            StatusCode::REQUEST_TIMEOUT,
            "The body did not arrive in time",
        )),
    }
}

fn too_long() -> Answer {
    Answer::text(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The body is longer than {} bytes", limits::BODY_BYTES),
    )
}

fn sender(headers: &http::HeaderMap) -> Option<Upid> {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    head::sender(value("libprocess-from"), value("user-agent"))
}

/// An actor message that came over a connection which had begun with something else.
async fn receive<E: Edge>(
    edge: &Arc<E>,
    headers: &http::HeaderMap,
    from: Upid,
    (to, name): (String, &str),
    body: &[u8],
) -> Answer {
    if !edge.has_actor(&to) {
        return Answer::empty(StatusCode::NOT_FOUND);
    }
    let epoch = headers
        .get(EPOCH_HEADER)
        .and_then(|value| value.to_str().ok());
    match Message::decode(name, body) {
        Ok(message) => {
            let letter = Letter {
                from,
                to,
                epoch: epoch.and_then(|epoch| epoch.parse().ok()),
                message,
            };
            edge.deliver(letter).await;
        }
        Err(error) => tracing::warn!(%from, name, %error, "dropped a message"),
    }
    Answer::empty(StatusCode::ACCEPTED)
}

/// Turns an answer into hyper's form. Streams are never compressed.
async fn finish(answer: Answer, gzip: bool) -> http::Response<Outgoing> {
    let Answer {
        status,
        mut headers,
        body,
    } = answer;
    let body = match body {
        Body::Whole(body) if gzip && body.len() >= limits::GZIP_BYTES => {
            headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            Outgoing::Whole(compress(body).await)
        }
        Body::Whole(body) => Outgoing::Whole(body),
        Body::Stream(stream) => Outgoing::Stream(stream),
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

async fn compress(body: Bytes) -> Bytes {
    if body.len() < limits::GZIP_INLINE_BYTES {
        return gzip(&body);
    }
    let task = tokio::task::spawn_blocking(move || gzip(&body));
    task.await.unwrap_or_default()
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}

/// A body as hyper wants it.
#[derive(Debug)]
enum Outgoing {
    Whole(Bytes),
    Stream(crate::streams::StreamBody),
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) if body.is_empty() => Poll::Ready(None),
            Self::Whole(body) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(body))))),
            Self::Stream(stream) => Pin::new(stream).poll_record(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(body) if body.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
