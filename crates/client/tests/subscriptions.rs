//! Scheduler, executor and operator clients against a scripted server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use meseta_client::{
    ClientError, ExecutorClient, Format, OperatorClient, Retry, SchedulerClient, limits,
};
use meseta_proto::mesos::v1::{agent, executor, scheduler};
use meseta_proto::{Wire, decode, encode, recordio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("nothing happened in time")
}

async fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Reads one request: its head as text, and its body.
async fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut buffer = Vec::new();
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |length| length.parse().unwrap());
            while buffer.len() < end + 4 + length {
                buffer.push(soon(stream.read_u8()).await.unwrap());
            }
            return (head, buffer[end + 4..].to_vec());
        }
        buffer.push(soon(stream.read_u8()).await.unwrap());
    }
}

fn record(event: &impl Wire) -> Vec<u8> {
    let record = recordio::record(&encode(event));
    [
        format!("{:x}\r\n", record.len()).as_bytes(),
        &record,
        b"\r\n",
    ]
    .concat()
}

fn heartbeat() -> scheduler::Event {
    scheduler::Event {
        r#type: Some(scheduler::event::Type::Heartbeat.into()),
        ..Default::default()
    }
}

fn subscribe() -> scheduler::Call {
    scheduler::Call {
        r#type: Some(scheduler::call::Type::Subscribe.into()),
        ..Default::default()
    }
}

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\
    Mesos-Stream-Id: the-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn impatient(addresses: &[&str]) -> SchedulerClient {
    SchedulerClient {
        retry: Retry::never(),
        ..SchedulerClient::new(addresses.iter().map(|a| (*a).to_owned()).collect())
    }
}

#[tokio::test]
async fn a_scheduler_follows_the_redirect_and_stamps_its_stream() {
    let (follower, followed) = server().await;
    let (leader, leads) = server().await;
    let (leads_too, client) = (leads.clone(), impatient(&[&followed]));
    let script = tokio::spawn(async move {
        let (mut stream, _) = follower.accept().await.unwrap();
        request(&mut stream).await;
        let redirect = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: //{leads_too}/api/v1/scheduler\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(redirect.as_bytes()).await.unwrap();
        let (mut events, _) = leader.accept().await.unwrap();
        let (head, body) = request(&mut events).await;
        assert!(
            head.starts_with("POST /api/v1/scheduler HTTP/1.1"),
            "{head}"
        );
        assert_eq!(decode::<scheduler::Call>(&body).unwrap(), subscribe());
        events.write_all(STREAM).await.unwrap();
        let two = [record(&heartbeat()), record(&heartbeat())].concat();
        let (first, rest) = two.split_at(3);
        events.write_all(first).await.unwrap();
        events.write_all(rest).await.unwrap();
        let (mut calls, _) = leader.accept().await.unwrap();
        let mut heads = Vec::new();
        for _ in 0..3 {
            heads.push(request(&mut calls).await.0);
        }
        let answers = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".repeat(2)
            + "HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\n\r\nFramework cannot be found";
        calls.write_all(answers.as_bytes()).await.unwrap();
        events.write_all(b"0\r\n\r\n").await.unwrap();
        (heads, events, calls)
    });
    let mut subscription = soon(client.subscribe(&subscribe())).await.unwrap();
    assert_eq!(subscription.leader, leads);
    for _ in 0..2 {
        let event = soon(subscription.events.next()).await.unwrap();
        assert_eq!(event, Some(heartbeat()));
    }
    // Three calls are under way before the first answer.
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(soon(subscription.calls.send(&subscribe())).await.unwrap());
    }
    let mut outcomes = Vec::new();
    for sent in sent {
        outcomes.push(soon(sent.accepted()).await);
    }
    assert_eq!(outcomes[..2], [Ok(()), Ok(())]);
    assert_eq!(outcomes[2].as_ref().unwrap_err().status(), Some(400));
    assert_eq!(soon(subscription.events.next()).await.unwrap(), None);
    let (heads, ..) = soon(script).await.unwrap();
    for head in heads {
        assert!(
            head.contains("\r\nMesos-Stream-Id: the-stream\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn nobody_there_names_every_address() {
    let (listener, address) = server().await;
    drop(listener);
    let error = impatient(&[&address, &address])
        .subscribe(&subscribe())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(text.matches(address.as_str()).count(), 2, "{text}");
    assert!(text.starts_with("subscribe to the master: nobody answers at"));
}

#[tokio::test]
async fn tries_are_bounded() {
    let (listener, address) = server().await;
    let client = SchedulerClient {
        retry: Retry {
            attempts: 3,
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
        },
        ..SchedulerClient::new(vec![address])
    };
    let script = tokio::spawn(async move {
        let mut served = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            served += 1;
            let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nrecovering";
            stream.write_all(busy).await.unwrap();
            if served == 3 {
                return listener;
            }
        }
        unreachable!("the listener closed");
    });
    let error = soon(client.subscribe(&subscribe())).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert!(error.to_string().ends_with("refused with 503: recovering"));
    soon(script).await.unwrap();
}

#[tokio::test]
async fn masters_that_point_at_one_another_are_left() {
    let (listener, address) = server().await;
    let there = address.clone();
    let script = tokio::spawn(async move {
        for _ in 0..=limits::REDIRECTS {
            let Ok(accepted) = tokio::time::timeout(DEADLINE, listener.accept()).await else {
                return;
            };
            let (mut stream, _) = accepted.unwrap();
            request(&mut stream).await;
            let redirect = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: //{there}\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(redirect.as_bytes()).await.unwrap();
        }
    });
    let error = soon(impatient(&[&address]).subscribe(&subscribe()))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::RedirectedTooOften { .. }));
    script.abort();
}

#[tokio::test]
async fn a_record_beyond_the_limit_ends_the_stream() {
    let (listener, address) = server().await;
    let script = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(STREAM).await.unwrap();
        let line = format!("{}\n", limits::EVENT_BYTES + 1);
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.write_all(chunk.as_bytes()).await.unwrap();
        stream
    });
    let mut subscription = soon(impatient(&[&address]).subscribe(&subscribe()))
        .await
        .unwrap();
    let error = soon(subscription.events.next()).await.unwrap_err();
    assert!(matches!(error, ClientError::Nonsense { .. }), "{error}");
    soon(script).await.unwrap();
}

#[tokio::test]
async fn an_executor_notices_that_its_agent_is_gone() {
    let (listener, address) = server().await;
    let script = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, _) = request(&mut stream).await;
        assert!(head.starts_with("POST /api/v1/executor HTTP/1.1"), "{head}");
        stream.write_all(STREAM).await.unwrap();
    });
    let client = ExecutorClient {
        retry: Retry::never(),
        ..ExecutorClient::new(address)
    };
    let call = executor::Call {
        r#type: Some(executor::call::Type::Subscribe.into()),
        ..Default::default()
    };
    let mut subscription = soon(client.subscribe(&call)).await.unwrap();
    soon(script).await.unwrap();
    let error = soon(subscription.events.next()).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn an_operator_reads_a_file_and_reopens_a_closed_connection() {
    let (listener, address) = server().await;
    let script = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (_, body) = request(&mut stream).await;
            let call = decode::<agent::Call>(&body).unwrap();
            assert_eq!(call.read_file.unwrap().path, "/stdout");
            let read_file = agent::response::ReadFile {
                size: 5,
                data: bytes::Bytes::from_static(b"hello"),
            };
            let body = encode(&agent::Response {
                read_file: Some(read_file),
                ..Default::default()
            });
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    });
    let client = OperatorClient::new(address);
    for _ in 0..2 {
        let part = soon(client.read_file("/stdout", 0, None)).await.unwrap();
        assert_eq!((part.size, &part.data[..]), (5, &b"hello"[..]));
    }
    soon(script).await.unwrap();
}

#[tokio::test]
async fn a_scheduler_may_speak_json() {
    let (listener, address) = server().await;
    let script = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = request(&mut stream).await;
        assert!(head.contains("Content-Type: application/json\r\nAccept: application/json"));
        assert_eq!(body, br#"{"type":"SUBSCRIBE"}"#);
        stream.write_all(STREAM).await.unwrap();
        let record = recordio::record(br#"{"type":"HEARTBEAT"}"#);
        let size = format!("{:x}\r\n", record.len());
        let chunk = [size.as_bytes(), &record, b"\r\n0\r\n\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
        stream
    });
    let client = SchedulerClient {
        format: Format::Json,
        ..impatient(&[&address])
    };
    let mut subscription = soon(client.subscribe(&subscribe())).await.unwrap();
    assert_eq!(
        soon(subscription.events.next()).await.unwrap(),
        Some(heartbeat())
    );
    assert_eq!(soon(subscription.events.next()).await.unwrap(), None);
    soon(script).await.unwrap();
}

/// Reads requests and answers one for each further one that arrives, but the first ones only once
/// [`limits::PIPELINE_DEPTH`] and one wait: the client's reader has the first in hand. More never do.
async fn answer_reluctantly(mut stream: TcpStream, calls: usize) {
    let (mut reader, mut writer) = stream.split();
    let (mut arrived, mut answered, mut tail) = (0, 0, Vec::new());
    let most = limits::PIPELINE_DEPTH + 1;
    while arrived < calls {
        let mut piece = vec![0; 65536];
        let read = soon(reader.read(&mut piece)).await.unwrap();
        assert!(read > 0, "closed after {arrived}");
        tail.extend_from_slice(&piece[..read]);
        arrived += tail.windows(5).filter(|five| *five == b"POST ").count();
        tail.drain(..tail.len().saturating_sub(4));
        assert!(arrived - answered <= most, "{arrived} {answered}");
        if arrived - answered == most {
            answer(&mut writer, 1).await;
            answered += 1;
        }
    }
    answer(&mut writer, calls - answered).await;
}

async fn answer(writer: &mut (impl tokio::io::AsyncWrite + Unpin), count: usize) {
    let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".repeat(count);
    soon(writer.write_all(&answer)).await.unwrap();
}

#[tokio::test]
async fn so_many_calls_wait_for_their_answers_and_further_ones_wait_for_those() {
    const CALLS: usize = 4 * limits::PIPELINE_DEPTH;
    let (listener, address) = server().await;
    let script = tokio::spawn(async move {
        let (mut events, _) = listener.accept().await.unwrap();
        request(&mut events).await;
        events.write_all(STREAM).await.unwrap();
        let (calls, _) = listener.accept().await.unwrap();
        answer_reluctantly(calls, CALLS).await;
        events
    });
    let client = impatient(&[&address]);
    let subscription = soon(client.subscribe(&subscribe())).await.unwrap();
    let mut sent = Vec::new();
    for _ in 0..CALLS {
        let one = soon(subscription.calls.send(&subscribe())).await;
        sent.push(one.unwrap());
    }
    for sent in sent {
        soon(sent.accepted()).await.unwrap();
    }
    script.await.unwrap();
}
