//! Nothing that anyone sends ends a process or changes what it knows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use meseta_model::rng::Rng;

use crate::support::{Cluster, Daemon};

/// Requests that are well-formed up to their bodies, for every endpoint that reads one.
const TARGETS: &[&str] = &[
    "/api/v1/scheduler",
    "/api/v1",
    "/api/v1/executor",
    "/master/mesos.internal.RegisterSlaveMessage",
    "/master/mesos.internal.ReregisterSlaveMessage",
    "/master/mesos.internal.StatusUpdateMessage",
    "/master/mesos.scheduler.Call",
    "/slave(1)/mesos.internal.RunTaskMessage",
    "/slave(1)/mesos.internal.KillTaskMessage",
    "/slave(1)/mesos.internal.ShutdownFrameworkMessage",
    "/files/read?path=",
    "/state?jsonp=",
    "/tasks?limit=",
];

fn send(daemon: &Daemon, bytes: &[u8]) {
    let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a timeout");
    // A peer that closes in the middle of nonsense is right to do so.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 512]);
}

fn rounds(daemon: &Daemon, make: impl Fn(&mut Rng) -> Vec<u8>) {
    let mut random = Rng::new(1);
    for _ in 0..500 {
        send(daemon, &make(&mut random));
    }
}

fn noise(random: &mut Rng, most: u64) -> Vec<u8> {
    (0..random.below(most))
        .map(|_| random.below(256) as u8)
        .collect()
}

/// A request with a body of noise.
fn garbage(random: &mut Rng) -> Vec<u8> {
    let target = TARGETS[random.below(TARGETS.len() as u64) as usize];
    let kind = if random.below(2) == 0 {
        "application/json"
    } else {
        "application/x-protobuf"
    };
    let body = noise(random, 400);
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nLibprocess-From: x@127.0.0.1:1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A request cut off somewhere, or noise from its first byte on.
fn truncated(random: &mut Rng) -> Vec<u8> {
    if random.below(4) == 0 {
        return noise(random, 2000);
    }
    let mut whole = garbage(random);
    let at = random.below(whole.len() as u64) as usize;
    whole.truncate(at);
    whole
}

#[test]
fn garbage_and_truncated_requests_change_nothing() {
    let mut cluster = Cluster::start(&[], &[]);
    let before = known(&cluster);
    for make in [garbage, truncated] {
        rounds(&cluster.master, make);
        rounds(&cluster.agent, make);
    }
    assert!(cluster.master.is_running() && cluster.agent.is_running());
    assert_eq!(known(&cluster), before);
    let hello = cluster.run(&["run", "--", "echo", "hello"]);
    assert_eq!(String::from_utf8_lossy(&hello.stdout), "hello\n");
}

/// What the master knows, without what changes by itself.
fn known(cluster: &Cluster) -> (serde_json::Value, serde_json::Value, serde_json::Value) {
    let ask = |call: &str| cluster.master.call(call).expect("it answers");
    (ask("GET_AGENTS"), ask("GET_FRAMEWORKS"), ask("GET_TASKS"))
}
