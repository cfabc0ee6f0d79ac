//! Links against real sockets: order, loss, limits.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::time::Duration;

use meseta_client::{LinkBroken, Links, limits};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, v1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("nothing happened in time")
}

fn links() -> (Links, mpsc::Receiver<LinkBroken>) {
    Links::new("127.0.0.1:5050".parse().unwrap(), Handle::current())
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn lost(text: &str) -> Message {
    let slave_id = v1::AgentId {
        value: text.to_owned(),
    };
    Message::from(internal::LostSlaveMessage { slave_id })
}

/// Reads requests off a connection: target and body of each.
async fn requests(stream: &mut TcpStream, count: usize) -> Vec<(String, Vec<u8>)> {
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    while found.len() < count {
        while let Some((request, used)) = one(&buffer) {
            found.push(request);
            buffer.drain(..used);
        }
        if found.len() < count {
            let mut piece = [0; 65536];
            let read = soon(stream.read(&mut piece)).await.unwrap();
            assert!(read > 0, "closed after {} of {count}", found.len());
            buffer.extend_from_slice(&piece[..read]);
        }
    }
    found
}

fn one(bytes: &[u8]) -> Option<((String, Vec<u8>), usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).unwrap() else {
        return None;
    };
    let length = request
        .headers
        .iter()
        .find(|header| header.name == "Content-Length")
        .map(|header| std::str::from_utf8(header.value).unwrap())
        .unwrap();
    let end = head + length.parse::<usize>().unwrap();
    let body = bytes.get(head..end)?.to_vec();
    Some(((request.path.unwrap().to_owned(), body), end))
}

#[tokio::test]
async fn messages_arrive_in_order_over_one_connection_without_any_answer() {
    let (listener, address) = listener().await;
    let (links, _reports) = links();
    let peer = Upid::new("slave(1)", address);
    for number in 0..5_000 {
        let from = if number % 2 == 0 {
            "master"
        } else {
            "slave-observer(1)"
        };
        links.send(from, &peer, &lost(&number.to_string()), Some(3));
    }
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let got = requests(&mut stream, 5_000).await;
    for (number, (path, body)) in got.iter().enumerate() {
        assert_eq!(path, "/slave(1)/mesos.internal.LostSlaveMessage");
        assert_eq!(*body, lost(&number.to_string()).encode());
    }
    soon(links.flush()).await;
}

#[tokio::test]
async fn answers_are_discarded() {
    let (listener, address) = listener().await;
    let (links, mut reports) = links();
    let peer = Upid::new("slave(1)", address);
    links.link(&peer);
    links.send("master", &peer, &lost("a"), None);
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    requests(&mut stream, 1).await;
    for _ in 0..1_000 {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        soon(stream.write_all(answer)).await.unwrap();
    }
    links.send("master", &peer, &lost("b"), None);
    let got = requests(&mut stream, 1).await;
    assert_eq!(got[0].1, lost("b").encode());
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_connection_is_reported_once_to_each_linked_peer() {
    let (listener, address) = listener().await;
    drop(listener);
    let (links, mut reports) = links();
    links.link(&Upid::new("slave(1)", address));
    links.link(&Upid::new("slave(2)", address));
    let mut peers = Vec::new();
    for _ in 0..2 {
        let report = soon(reports.recv()).await.unwrap();
        assert!(report.reason.contains("cannot connect"), "{report:?}");
        peers.push(report.peer.name);
    }
    peers.sort();
    assert_eq!(peers, ["slave(1)", "slave(2)"]);
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_closes_is_reported_at_once_and_can_be_linked_again() {
    let (listener, address) = listener().await;
    let (links, mut reports) = links();
    let peer = Upid::new("slave(1)", address);
    for _ in 0..2 {
        links.link(&peer);
        let (stream, _) = soon(listener.accept()).await.unwrap();
        drop(stream);
        assert_eq!(soon(reports.recv()).await.unwrap().peer, peer);
    }
}

#[tokio::test]
async fn an_unlinked_peer_is_not_reported() {
    let (listener, address) = listener().await;
    let (links, mut reports) = links();
    let (gone, watched) = (Upid::new("a", address), Upid::new("b", address));
    links.link(&gone);
    links.link(&watched);
    links.unlink(&gone);
    let (stream, _) = soon(listener.accept()).await.unwrap();
    drop(stream);
    assert_eq!(soon(reports.recv()).await.unwrap().peer, watched);
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_does_not_read_breaks_its_link_at_the_limit() {
    let (listener, address) = listener().await;
    let (links, mut reports) = links();
    let peer = Upid::new("slave(1)", address);
    links.link(&peer);
    let (_stream, _) = soon(listener.accept()).await.unwrap();
    let big = Message::from(internal::FrameworkErrorMessage {
        message: "x".repeat(1 << 20),
    });
    // What the kernel buffers comes on top of the limit.
    let report = loop {
        for _ in 0..=limits::LINK_QUEUE_BYTES >> 20 {
            links.send("master", &peer, &big, None);
        }
        tokio::task::yield_now().await;
        if let Ok(report) = reports.try_recv() {
            break report;
        }
    };
    assert!(report.reason.contains("does not read"), "{report:?}");
}

/// The link's task has no turn before the last message, so that nothing leaves the queue meanwhile.
#[tokio::test]
async fn a_link_holds_so_many_messages() {
    for (count, breaks) in [
        (limits::LINK_QUEUE_MESSAGES, false),
        (limits::LINK_QUEUE_MESSAGES + 1, true),
    ] {
        let (listener, address) = listener().await;
        let (links, mut reports) = links();
        let peer = Upid::new("slave(1)", address);
        links.link(&peer);
        let small = Message::from(internal::PongSlaveMessage {});
        for _ in 0..count {
            links.send("master", &peer, &small, None);
        }
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        if breaks {
            let report = soon(reports.recv()).await.unwrap();
            assert!(report.reason.contains("does not read"), "{report:?}");
        } else {
            requests(&mut stream, count).await;
            assert!(reports.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn flush_returns_when_the_peer_is_gone() {
    let (listener, address) = listener().await;
    drop(listener);
    let (links, _reports) = links();
    links.send("master", &Upid::new("slave(1)", address), &lost("a"), None);
    soon(links.flush()).await;
}
