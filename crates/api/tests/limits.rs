//! What happens at the limits of the port itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_api::limits;
use meseta_master::view::{AgentFate, Delta};
use meseta_model::ids::AgentId;
use support::{master, master_of};

#[tokio::test]
async fn a_long_body_is_refused_before_it_is_read() {
    let master = master().await;
    let length = limits::BODY_BYTES + 1;
    let head = format!("POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let answer = master.ask(&head).await;
    assert_eq!(answer.code(), 413);
    assert_eq!(
        answer.text(),
        format!("The body is longer than {} bytes", limits::BODY_BYTES)
    );
}

#[tokio::test]
async fn long_headers_are_refused() {
    let master = master().await;
    let long = "x".repeat(limits::HEAD_BYTES);
    let mut client = master.connect().await;
    // The answer may be lost with what was not read of the request; the connection ends in any case.
    client
        .write(format!(
            "GET /health HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"
        ))
        .await;
    assert!(client.ends().await);
    let many = "X: y\r\n".repeat(limits::HEADERS + 1);
    let answer = master
        .ask(&format!("GET /health HTTP/1.1\r\n{many}\r\n"))
        .await;
    assert_eq!(answer.code(), 431);
    assert_eq!(master.get("/health").await.code(), 200);
}

#[tokio::test]
async fn a_long_actor_message_ends_its_connection() {
    let mut master = master().await;
    let path = "/master/mesos.internal.LostSlaveMessage";
    let length = limits::MESSAGE_BYTES + 1;
    for framing in [
        format!("Content-Length: {length}\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"),
    ] {
        let mut client = master.connect().await;
        client
            .write(format!(
                "POST {path} HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\n{framing}"
            ))
            .await;
        assert!(client.ends().await);
    }
    assert!(master.events.try_recv().is_err());
}

#[tokio::test]
async fn nonsense_is_answered_before_the_connection_ends() {
    let master = master().await;
    for nonsense in [
        "GET /health\u{1} HTTP/1.1\r\n\r\n",
        "GET /health HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let mut client = master.connect().await;
        client.write(format!("{nonsense}and more of it")).await;
        assert_eq!(client.answer().await.code(), 400, "{nonsense:?}");
        assert!(client.ends().await);
    }
}

#[tokio::test]
async fn bytes_behind_a_subscription_do_not_hold_it_up() {
    let mut master = master().await;
    let mut client = master.connect().await;
    let body = r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;
    let subscribe = support::post(
        "/api/v1/scheduler",
        "Content-Type: application/json\r\n",
        body,
    );
    client
        .write(format!("{subscribe}GET /health HTTP/1.1\r\n"))
        .await;
    assert_eq!(client.head().await.code(), 200);
    let meseta_master::event::Event::SchedulerSubscribed { stream, .. } = master.event().await
    else {
        panic!("not a subscription");
    };
    let event = meseta_proto::mesos::v1::scheduler::Event::default();
    master.api.send_event(&stream, &event);
    assert_eq!(client.chunk().await.unwrap(), b"2\n{}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_others_to_end() {
    let master = master_of(|config| config.connections = 2).await;
    let health = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    let (mut first, mut second) = (master.connect().await, master.connect().await);
    first.write(health).await;
    second.write(health).await;
    assert_eq!(first.answer().await.code(), 200);
    assert_eq!(second.answer().await.code(), 200);
    // The kernel takes it, nobody answers it.
    let mut third = master.connect().await;
    third.write(health).await;
    for _ in 0..100 {
        first.write(health).await;
        assert_eq!(first.answer().await.code(), 200);
    }
    assert!(third.has_heard_nothing());
    drop(second);
    assert_eq!(third.answer().await.code(), 200);
}

/// With the clock paused time passes when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let master = master().await;
    // Begun and not finished; between two requests.
    for said in [
        "POST /api/v1 HTTP/1.1\r\nHost:",
        "POST /api/v1/scheduler HTTP/1.1\r\nHost:",
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET",
    ] {
        let mut stream = tokio::net::TcpStream::connect(master.address())
            .await
            .unwrap();
        let begun = tokio::time::Instant::now();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let took = begun.elapsed();
        assert!(
            took >= limits::IDLE_TIMEOUT && took < 2 * limits::IDLE_TIMEOUT,
            "{said:?} {took:?}"
        );
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), said.starts_with("GET"));
    }
}

#[tokio::test]
async fn unreachable_agents_are_counted_up_to_the_limit() {
    let master = master().await;
    let lose = |number: usize| {
        master.api.apply(&Delta::AgentRemoved {
            agent: AgentId::from(format!("a{number}")),
            to: AgentFate::Unreachable,
        });
    };
    let count = async || {
        let state = master.get("/state-summary").await;
        assert_eq!(state.code(), 200);
        let metrics = master.get("/metrics/snapshot").await.json();
        metrics["master/slaves_unreachable"].as_f64().unwrap()
    };
    (0..limits::UNREACHABLE_AGENTS).for_each(lose);
    assert_eq!(count().await, limits::UNREACHABLE_AGENTS as f64);
    lose(limits::UNREACHABLE_AGENTS);
    assert_eq!(count().await, limits::UNREACHABLE_AGENTS as f64);
}
