//! Figures of the master's face alone, over a socket of this machine:
//!
//! `cargo run --release -p meseta-api --example figures`
//!
//! `/state` and `/state-summary` after 3,300 finished tasks, at rest and while 100 tasks a second change;
//! actor messages in; scheduler calls with their replies; events out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use meseta_api::{Leadership, MasterApi, MasterConfig};
use meseta_master::event::Event;
use meseta_master::view::{AgentView, Delta, FrameworkState, FrameworkView, MasterView, TaskList};
use meseta_model::edge::Outcome;
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, v1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const TASKS: usize = 3_300;

fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        scalar: Some(v1::value::Scalar { value }),
        allocation_info: Some(v1::resource::AllocationInfo {
            role: Some("*".to_owned()),
        }),
        ..Default::default()
    }
}

fn status(task: &TaskId, state: v1::TaskState) -> v1::TaskStatus {
    let container = v1::ContainerStatus {
        container_id: Some(v1::ContainerId {
            value: "7e8b8be9-4a2a-4e96-b2b2-214166ae9085".to_owned(),
            parent: None,
        }),
        network_infos: vec![v1::NetworkInfo {
            ip_addresses: vec![v1::network_info::IpAddress {
                ip_address: Some("127.0.0.1".to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        executor_pid: Some(12_345),
        ..Default::default()
    };
    v1::TaskStatus {
        task_id: task.to_wire(),
        state: state as i32,
        timestamp: Some(1_795_205_398.397_387),
        uuid: Some(Bytes::from_static(b"0123456789abcdef")),
        container_status: Some(container),
        ..Default::default()
    }
}

fn ids() -> (FrameworkId, AgentId) {
    let framework = FrameworkId::from("48020ed9-5b52-458b-869f-a8ee782d6998-0000");
    (
        framework,
        AgentId::from("48020ed9-5b52-458b-869f-a8ee782d6998-S0"),
    )
}

fn added(id: &TaskId) -> Delta {
    let (framework, agent) = ids();
    let task = v1::Task {
        name: id.to_string(),
        task_id: id.to_wire(),
        framework_id: framework.to_wire(),
        agent_id: agent.to_wire(),
        resources: vec![scalar("cpus", 0.01), scalar("mem", 8.0)],
        state: v1::TaskState::TaskStaging as i32,
        ..Default::default()
    };
    Delta::TaskAdded {
        task: Box::new(task),
        list: TaskList::Active,
    }
}

/// The life of one task, as a core tells it.
fn life(id: &TaskId) -> Vec<Delta> {
    let (framework, _) = ids();
    let updated = |state| Delta::TaskUpdated {
        framework: framework.clone(),
        task: id.clone(),
        state,
        status: Some(Box::new(status(id, state))),
    };
    vec![
        added(id),
        updated(v1::TaskState::TaskStarting),
        updated(v1::TaskState::TaskRunning),
        updated(v1::TaskState::TaskFinished),
        Delta::TaskMoved {
            framework: framework.clone(),
            task: id.clone(),
            from: TaskList::Active,
            to: TaskList::Completed,
        },
    ]
}

fn cluster() -> Vec<Delta> {
    let (framework, agent) = ids();
    let master = MasterView {
        info: v1::MasterInfo::default(),
        start_time: 1.0,
        elected_time: 1.0,
        epoch: 1,
        weights: Default::default(),
    };
    let agent = AgentView {
        info: v1::AgentInfo {
            id: Some(agent.to_wire()),
            ..Default::default()
        },
        pid: "slave(1)@127.0.0.1:5051".to_owned(),
        version: "1.11.0".to_owned(),
        capabilities: Vec::new(),
        total: vec![scalar("cpus", 8.0), scalar("mem", 16_384.0)],
        recovered: false,
        connected: true,
        active: true,
        registered_time: 1.0,
        reregistered_time: None,
    };
    let framework = FrameworkView {
        info: v1::FrameworkInfo {
            id: Some(framework.to_wire()),
            name: "figures".to_owned(),
            ..Default::default()
        },
        pid: None,
        state: FrameworkState::Registered,
        active: true,
        connected: true,
        suppressed_roles: Vec::new(),
        registered_time: 1.0,
        reregistered_time: 1.0,
        unregistered_time: None,
    };
    vec![
        Delta::Elected(Box::new(master)),
        Delta::Agent(Box::new(agent)),
        Delta::Framework(Box::new(framework)),
    ]
}

/// One request on an open connection; answers the length of the body.
async fn get(stream: &mut TcpStream, path: &str) -> usize {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut head = Vec::new();
    let (length, mut read) = loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "closed");
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&head[..end]).to_lowercase();
            let (_, length) = text.split_once("content-length: ").unwrap();
            let length = length.lines().next().unwrap().parse::<usize>().unwrap();
            break (length, head.len() - end - 4);
        }
    };
    while read < length {
        read += stream.read(&mut buffer).await.unwrap();
    }
    length
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse().unwrap()
}

/// The median and the longest of many.
async fn timed(stream: &mut TcpStream, path: &str, times: usize) -> (Duration, Duration, usize) {
    let mut all = Vec::new();
    let mut length = 0;
    for _ in 0..times {
        let start = Instant::now();
        length = get(stream, path).await;
        all.push(start.elapsed());
    }
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1], length)
}

async fn documents(api: &MasterApi, stream: &mut TcpStream) {
    let before = resident();
    let start = Instant::now();
    for number in 0..TASKS {
        for delta in life(&TaskId::from(number.to_string())) {
            api.apply(&delta);
        }
    }
    let each = start.elapsed() / (5 * TASKS) as u32;
    println!(
        "a delta: {each:?}; {TASKS} finished tasks: {} KiB",
        resident() - before
    );
    let start = Instant::now();
    let length = get(stream, "/state").await;
    println!("/state, first: {:?}, {length} bytes", start.elapsed());
    for path in [
        "/state",
        "/state-summary",
        "/tasks",
        "/slaves",
        "/metrics/snapshot",
    ] {
        let (median, longest, length) = timed(stream, path, 50).await;
        println!("{path}: median {median:?}, longest {longest:?}, {length} bytes");
    }
    println!("with every fragment made: {} KiB", resident() - before);
    let changing = api.clone();
    let stop = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for number in 0.. {
            ticks.tick().await;
            for delta in life(&TaskId::from(format!("more-{number}"))) {
                changing.apply(&delta);
            }
        }
    });
    let (median, longest, _) = timed(stream, "/state", 200).await;
    println!("/state while 100 tasks a second change: median {median:?}, longest {longest:?}");
    stop.abort();
}

async fn messages(events: &mut mpsc::Receiver<Event>, stream: &mut TcpStream) {
    const COUNT: usize = 200_000;
    let (_, agent) = ids();
    let message = Message::from(internal::LostSlaveMessage {
        slave_id: agent.to_wire(),
    });
    let body = message.encode();
    let mut letter = format!(
        "POST /master/{} HTTP/1.1\r\nUser-Agent: libprocess/slave(1)@127.0.0.1:1\r\n\
         Libprocess-From: slave(1)@127.0.0.1:1\r\nConnection: Keep-Alive\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        message.name(),
        body.len()
    )
    .into_bytes();
    letter.extend_from_slice(&body);
    let batch = letter.repeat(1_000);
    let start = Instant::now();
    let writing = async {
        for _ in 0..COUNT / 1_000 {
            stream.write_all(&batch).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..COUNT {
            events.recv().await.unwrap();
        }
    };
    tokio::join!(writing, reading);
    println!(
        "actor messages: {:.0} a second",
        COUNT as f64 / start.elapsed().as_secs_f64()
    );
}

async fn calls(
    api: &MasterApi,
    events: &mut mpsc::Receiver<Event>,
    stream: &mut TcpStream,
    depth: usize,
) {
    let count = 40_000;
    let body = r#"{"type":"REVIVE","framework_id":{"value":"f"}}"#;
    let call = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMesos-Stream-Id: s\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let batch = call.repeat(depth);
    let start = Instant::now();
    let asking = async {
        let mut buffer = vec![0; 64 << 10];
        for _ in 0..count / depth {
            stream.write_all(batch.as_bytes()).await.unwrap();
            let mut answers = 0;
            while answers < depth {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0);
                answers += buffer[..read]
                    .windows(4)
                    .filter(|four| four == b"\r\n\r\n")
                    .count();
            }
        }
    };
    let answering = async {
        for _ in 0..count {
            let Some(Event::SchedulerCalled { request, .. }) = events.recv().await else {
                panic!("not a call");
            };
            api.reply(request, Outcome::Accepted);
        }
    };
    tokio::join!(asking, answering);
    let rate = f64::from(u32::try_from(count).unwrap()) / start.elapsed().as_secs_f64();
    println!("scheduler calls, {depth} at a time: {rate:.0} a second");
}

#[tokio::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut events) = mpsc::channel(10_000);
    let api = MasterApi::new(MasterConfig::new(address), sender);
    api.set_leadership(Leadership::Leading);
    let _server = api.serve(listener).unwrap();
    for delta in cluster() {
        api.apply(&delta);
    }
    let connect = || async {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    documents(&api, &mut connect().await).await;
    messages(&mut events, &mut connect().await).await;
    calls(&api, &mut events, &mut connect().await, 1).await;
    calls(&api, &mut events, &mut connect().await, 50).await;
}
