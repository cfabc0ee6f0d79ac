//! Live servers on free ports, and requests written by hand.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use meseta_api::{AgentApi, AgentConfig, Leadership, MasterApi, MasterConfig, Server};
use meseta_master::view::{Delta, FrameworkState, FrameworkView};
use meseta_model::ids::{AgentId, FrameworkId, TaskId};
use meseta_proto::mesos::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for what must happen soon.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("nothing happened in time")
}

/// A served face and the receiving end of its core's queue.
pub struct Served<A, E> {
    pub api: A,
    pub events: mpsc::Receiver<E>,
    pub server: Server,
}

impl<A, E> Served<A, E> {
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub async fn event(&mut self) -> E {
        soon(self.events.recv()).await.expect("the face is there")
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.write(request).await;
        client.answer().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await
    }

    pub async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.ask(&post(path, headers, body)).await
    }
}

pub fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub type MasterServed = Served<MasterApi, meseta_master::event::Event>;
pub type AgentServed = Served<AgentApi, meseta_agent::event::Event>;

/// A leading master whose core's queue holds `room` events.
pub async fn master_with(room: usize) -> MasterServed {
    serve_master(room, |_| {}).await
}

/// A leading master of that configuration.
pub async fn master_of(configure: impl FnOnce(&mut MasterConfig)) -> MasterServed {
    serve_master(1_000, configure).await
}

async fn serve_master(room: usize, configure: impl FnOnce(&mut MasterConfig)) -> MasterServed {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (events, receiver) = mpsc::channel(room);
    let mut config = MasterConfig {
        hostname: "localhost".to_owned(),
        ..MasterConfig::new(listener.local_addr().unwrap())
    };
    configure(&mut config);
    let api = MasterApi::new(config, events);
    api.set_leadership(Leadership::Leading);
    let server = api.serve(listener).unwrap();
    Served {
        api,
        events: receiver,
        server,
    }
}

pub async fn master() -> MasterServed {
    master_with(1_000).await
}

/// An agent that has recovered.
pub async fn agent() -> AgentServed {
    agent_with(|_| {}).await
}

/// An agent of that configuration that has recovered.
pub async fn agent_with(configure: impl FnOnce(&mut AgentConfig)) -> AgentServed {
    let agent = serve_agent(configure).await;
    agent.api.apply(&meseta_agent::view::Delta::Recovered);
    agent
}

/// An agent at its beginning.
pub async fn unrecovered_agent() -> AgentServed {
    serve_agent(|_| {}).await
}

async fn serve_agent(configure: impl FnOnce(&mut AgentConfig)) -> AgentServed {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (events, receiver) = mpsc::channel(1_000);
    let mut config = AgentConfig::new(listener.local_addr().unwrap());
    configure(&mut config);
    let api = AgentApi::new(config, events);
    let server = api.serve(listener).unwrap();
    Served {
        api,
        events: receiver,
        server,
    }
}

/// A connection of a client.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn code(&self) -> u16 {
        let code = self.status.split(' ').nth(1).unwrap();
        code.parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code(), 200, "{}", self.text());
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Parses a status line, headers and a body that is the rest.
    pub fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap();
        let (status, headers) = head.split_once('\n').unwrap();
        let headers = headers.lines().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        });
        Self {
            status: status.to_owned(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub async fn write(&mut self, text: impl AsRef<[u8]>) {
        soon(self.stream.write_all(text.as_ref())).await.unwrap();
    }

    /// Reads more; false at the end.
    async fn fill(&mut self) -> bool {
        let mut piece = vec![0; 65536];
        let read = soon(self.stream.read(&mut piece)).await.unwrap_or(0);
        self.buffer.extend_from_slice(&piece[..read]);
        read > 0
    }

    /// Whether nothing at all has come yet.
    pub fn has_heard_nothing(&self) -> bool {
        let mut piece = [0];
        self.buffer.is_empty() && self.stream.try_read(&mut piece).is_err()
    }

    /// Status line and headers of the next answer.
    pub async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill().await, "closed before an answer");
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        match head.trim_end().split_once("\r\n") {
            Some(_) => Answer::parse(&head),
            None => Answer {
                status: head.trim_end().to_owned(),
                headers: BTreeMap::new(),
                body: Vec::new(),
            },
        }
    }

    /// The next whole answer.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let length = answer.headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.fill().await, "closed inside an answer");
        }
        answer.body = self.buffer.drain(..length).collect();
        answer
    }

    /// The next chunk; `None` for the last one or when the connection ends.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let size = String::from_utf8(self.buffer[..line].to_vec()).unwrap();
                let size = usize::from_str_radix(&size, 16).unwrap();
                if self.buffer.len() >= line + 2 + size + 2 {
                    let chunk = self.buffer[line + 2..line + 2 + size].to_vec();
                    self.buffer.drain(..line + 2 + size + 2);
                    return (size > 0).then_some(chunk);
                }
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Whether the server ends the connection, unread bytes aside.
    pub async fn ends(&mut self) -> bool {
        while self.fill().await {}
        true
    }
}

/// A recorded answer, below `tests/golden`.
pub fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect(name)
}

/// Status line, body and headers but the date are as recorded from Mesos in `errors`.
#[track_caller]
pub fn assert_golden(name: &str, answer: &Answer) {
    let mut expected = Answer::parse(&golden(&format!("errors/{name}.txt")));
    expected.headers.remove("date");
    let mut got = answer.clone();
    assert!(got.headers.remove("date").is_some(), "{got:?}");
    assert_eq!(got, expected, "{name}");
}

/// So much of a resource, allocated to the default role.
pub fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        scalar: Some(v1::value::Scalar { value }),
        allocation_info: Some(v1::resource::AllocationInfo {
            role: Some("*".to_owned()),
        }),
        ..Default::default()
    }
}

/// A framework that is connected and has been since second 1.
pub fn framework_view(info: v1::FrameworkInfo, state: FrameworkState) -> FrameworkView {
    FrameworkView {
        info,
        pid: None,
        state,
        active: true,
        connected: true,
        suppressed_roles: Vec::new(),
        registered_time: 1.0,
        reregistered_time: 1.0,
        unregistered_time: None,
    }
}

/// Framework `f`, connected.
pub fn framework(name: &str, state: FrameworkState) -> Delta {
    let info = v1::FrameworkInfo {
        name: name.to_owned(),
        id: Some(FrameworkId::from("f").to_wire()),
        ..Default::default()
    };
    Delta::Framework(Box::new(framework_view(info, state)))
}

/// A task of framework `f` on agent `a`.
pub fn task(id: &str) -> v1::Task {
    v1::Task {
        name: id.to_owned(),
        task_id: TaskId::from(id).to_wire(),
        framework_id: FrameworkId::from("f").to_wire(),
        agent_id: AgentId::from("a").to_wire(),
        ..Default::default()
    }
}

/// Every metric of Mesos is shown, or listed as later; no list of what is later is out of date.
#[track_caller]
pub fn assert_shown_or_later(theirs: &str, ours: &std::collections::BTreeSet<String>) {
    let is_later = |name: &str| {
        let mut rows = meseta_api::LATER_METRICS.iter();
        rows.any(|(begin, _)| name.starts_with(begin))
    };
    let missing: Vec<&str> = theirs
        .lines()
        .filter(|name| !ours.contains(*name) && !is_later(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    for name in ours {
        assert!(!is_later(name), "{name} is shown already");
    }
}
