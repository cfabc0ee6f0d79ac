//! What happens at the limits of the port itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_api::limits;
use support::master;

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
