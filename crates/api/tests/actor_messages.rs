//! Actor messages into a live server: order, unknown actors, senders that never read, garbage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use meseta_agent::event as agent_event;
use meseta_master::event::Event;
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, v1};
use support::{Client, DEADLINE, agent, master, master_with, soon};

fn lost(number: usize) -> Message {
    let slave_id = v1::AgentId {
        value: number.to_string(),
    };
    Message::from(internal::LostSlaveMessage { slave_id })
}

/// A message as libprocess writes it, in chunks, or by length.
fn letter(to: &str, message: &Message, chunked: bool) -> Vec<u8> {
    let mut out = format!(
        "POST /{to}/{} HTTP/1.1\r\nUser-Agent: libprocess/slave(1)@127.0.0.1:1\r\n\
         Libprocess-From: slave(1)@127.0.0.1:1\r\nConnection: Keep-Alive\r\nHost: \r\n",
        message.name()
    )
    .into_bytes();
    let body = message.encode();
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        if !body.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            out.extend_from_slice(&body);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
    } else {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(&body);
    }
    out
}

#[tokio::test]
async fn a_sender_that_never_reads_is_heard_in_order() {
    let mut master = master_with(16).await;
    let mut client = master.connect().await;
    const COUNT: usize = 200_000;
    let writing = tokio::spawn(async move {
        let mut all = Vec::new();
        for number in 0..COUNT {
            all.extend_from_slice(&letter("master", &lost(number), number % 2 == 0));
        }
        tokio::time::timeout(DEADLINE, client.write(all))
            .await
            .unwrap();
        client
    });
    for number in 0..COUNT {
        let Event::MessageReceived {
            from, to, message, ..
        } = master.event().await
        else {
            panic!("not a message");
        };
        assert_eq!(message, lost(number));
        assert_eq!(
            (from.to_string().as_str(), to.as_str()),
            ("slave(1)@127.0.0.1:1", "master")
        );
    }
    soon(writing).await.unwrap();
}

#[tokio::test]
async fn a_sender_that_waits_for_each_answer_gets_it() {
    let mut agent = agent().await;
    let mut client = agent.connect().await;
    for number in 0..3 {
        client
            .write(letter("slave%281%29", &lost(number), true))
            .await;
        assert_eq!(client.answer().await.code(), 202);
        let agent_event::Event::MessageReceived { to, epoch, .. } = agent.event().await else {
            panic!("not a message");
        };
        assert_eq!((to.as_str(), epoch), ("slave(1)", None));
    }
}

#[tokio::test]
async fn the_epoch_reaches_the_agent() {
    let mut agent = agent().await;
    let mut client = agent.connect().await;
    let letter = String::from_utf8(letter("slave(1)", &lost(1), false)).unwrap();
    client
        .write(letter.replace("Host: \r\n", "Host: x\r\nMeseta-Epoch: 12\r\n"))
        .await;
    let agent_event::Event::MessageReceived { epoch, .. } = agent.event().await else {
        panic!("not a message");
    };
    assert_eq!(epoch, Some(12));
}

#[tokio::test]
async fn only_the_actor_decides_the_answer() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client.write(letter("nobody", &lost(0), true)).await;
    assert_eq!(client.answer().await.code(), 404);
    // Unknown messages and bodies that do not decode are dropped without a word.
    client
        .write("POST /master/mesos.internal.NoSuchMessage HTTP/1.1\r\nLibprocess-From: x@127.0.0.1:1\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.code(), 202);
    client
        .write("POST /master/mesos.internal.LostSlaveMessage HTTP/1.1\r\nLibprocess-From: x@127.0.0.1:1\r\nContent-Length: 3\r\n\r\n\u{1}\u{2}\u{3}")
        .await;
    assert_eq!(client.answer().await.code(), 202);
    client
        .write(letter("slave-observer(7)", &lost(7), true))
        .await;
    assert_eq!(client.answer().await.code(), 202);
    let Event::MessageReceived { to, message, .. } = master.event().await else {
        panic!("not a message");
    };
    assert_eq!((to.as_str(), message), ("slave-observer(7)", lost(7)));
}

#[tokio::test]
async fn without_a_sender_it_is_no_message() {
    let mut master = master().await;
    let answer = master
        .post("/master/mesos.internal.PingSlaveMessage", "", "")
        .await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (404, "404 Not Found.")
    );
    assert!(master.events.try_recv().is_err());
}

#[tokio::test]
async fn requests_and_messages_share_a_connection() {
    let mut master = master().await;
    let mut client = master.connect().await;
    client.write(letter("master", &lost(1), true)).await;
    client
        .write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    client.write(letter("master", &lost(2), true)).await;
    let codes = [
        client.answer().await.code(),
        client.answer().await.code(),
        client.answer().await.code(),
    ];
    assert_eq!(codes, [202, 200, 202]);
    for number in [1, 2] {
        let Event::MessageReceived { message, from, .. } = master.event().await else {
            panic!("not a message");
        };
        assert_eq!(message, lost(number));
        assert_eq!(from.name, "slave(1)");
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_stays_open() {
    let mut master = master().await;
    let mut silent = master.connect().await;
    assert_eq!(master.get("/health").await.code(), 200);
    silent.write(letter("master", &lost(1), true)).await;
    assert!(matches!(
        master.event().await,
        Event::MessageReceived { .. }
    ));
}

/// A small generator, so that a failure can be repeated.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = meseta_model::rng::Rng::new(seed);
    (0..length).map(|_| rng.next_u64() as u8).collect()
}

#[tokio::test]
async fn a_thousand_garbage_and_a_thousand_truncated_requests_change_nothing() {
    let mut master = master().await;
    let address = master.address();
    let whole = letter("master", &lost(5), true);
    for seed in 0..1_000_u64 {
        let mut client = Client::connect(address).await;
        let mut garbage = match seed % 4 {
            0 => Vec::new(),
            1 => b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n".to_vec(),
            2 => b"POST /master/mesos.internal.RegisterSlaveMessage HTTP/1.1\r\nContent-Length: 64\r\n\r\n".to_vec(),
            _ => b"GET /".to_vec(),
        };
        garbage.extend_from_slice(&noise(seed, 64 + (seed as usize % 200)));
        client.write(garbage).await;
        drop(client);
        let mut client = Client::connect(address).await;
        client.write(&whole[..seed as usize % whole.len()]).await;
        drop(client);
    }
    let health = master.get("/health").await;
    assert_eq!(health.code(), 200);
    assert!(master.events.try_recv().is_err());
}
