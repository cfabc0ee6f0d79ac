//! Flags that change where daemons are reached and where they log.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::support::{Cluster, Daemon, Scratch, eventually, http};

/// Passes connections on from an address where nobody listens to one where a daemon does, as a router
/// in front of a private network would. Ends with the test's process.
struct Forwarder {
    address: SocketAddr,
    target: Arc<OnceLock<SocketAddr>>,
    passed: Arc<AtomicUsize>,
}

impl Forwarder {
    fn listen(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let target: Arc<OnceLock<SocketAddr>> = Arc::default();
        let passed: Arc<AtomicUsize> = Arc::default();
        let (to, count) = (target.clone(), passed.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (Ok(outside), Some(to)) = (connection, to.get()) else {
                    continue;
                };
                if let Ok(inside) = TcpStream::connect(to) {
                    count.fetch_add(1, Ordering::Relaxed);
                    pass(&outside, &inside);
                    pass(&inside, &outside);
                }
            }
        });
        Self {
            address,
            target,
            passed,
        }
    }

    fn lead_to(&self, daemon: &Daemon) {
        let address = daemon.address.parse().expect("an address");
        self.target.set(address).expect("set once");
    }

    fn flags(&self) -> [String; 2] {
        [
            format!("--advertise_ip={}", self.address.ip()),
            format!("--advertise_port={}", self.address.port()),
        ]
    }
}

fn pass(from: &TcpStream, to: &TcpStream) {
    let mut from = from.try_clone().expect("a socket");
    let mut to = to.try_clone().expect("a socket");
    std::thread::spawn(move || {
        // Either side may end it at any moment.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn json(daemon: &Daemon, path: &str) -> serde_json::Value {
    // A master that does not lead yet has nothing to tell.
    let body = eventually(path, || {
        let (status, body) = http(&daemon.address, "GET", path, "")?;
        (status == 200).then_some(body)
    });
    serde_json::from_slice(&body).expect("a document")
}

#[test]
fn daemons_behind_other_addresses_are_reached_there() {
    let scratch = Scratch::new();
    let outside = [
        Forwarder::listen("127.0.0.2"),
        Forwarder::listen("127.0.0.3"),
    ];
    let flags = outside.each_ref().map(Forwarder::flags);
    let master = Daemon::master(&scratch, &[&flags[0][0], &flags[0][1]]);
    outside[0].lead_to(&master);
    // As the master is known to others, which is how its messages name it.
    let leader = format!("--master={}", outside[0].address);
    let agent = Daemon::agent_of(&scratch, &leader, &[&flags[1][0], &flags[1][1]]);
    outside[1].lead_to(&agent);
    let cluster = Cluster {
        agent,
        master,
        scratch,
    };
    eventually("the agent is active", || {
        cluster.master.has_active_agents(1).then_some(())
    });

    let hello = cluster.run(&["run", "--", "echo", "hello"]);
    assert_eq!(
        String::from_utf8_lossy(&hello.stdout),
        "hello\n",
        "{hello:?}"
    );
    let state = json(&cluster.master, "/state");
    let [master, agent] = outside.each_ref().map(|forwarder| forwarder.address);
    assert_eq!(state["pid"], format!("master@{master}"));
    assert_eq!(state["slaves"][0]["pid"], format!("slave(1)@{agent}"));
    // The agent's messages to the master; the master's, the executor's and the command line's to it.
    let passed = outside
        .each_ref()
        .map(|it| it.passed.load(Ordering::Relaxed));
    assert!(passed[0] >= 1 && passed[1] >= 3, "{passed:?}");
}

#[test]
fn a_daemon_logs_to_a_file_and_as_much_as_an_operator_asks_for() {
    let scratch = Scratch::new();
    let flag = format!("--log_dir={}", scratch.path("logs").display());
    let master = Daemon::master(&scratch, &[&flag]);
    let toggle = |query: &str| {
        let path = format!("/logging/toggle{query}");
        http(&master.address, "GET", &path, "").expect("an answer")
    };
    // What is logged of requests: one line for each, at verbosity 1.
    let requests = || {
        let path = "/files/download?path=/master/log";
        let (status, body) = http(&master.address, "GET", path, "").expect("an answer");
        assert_eq!(status, 200);
        let log = String::from_utf8(body).expect("text");
        log.lines().filter(|line| line.contains("DEBUG")).count()
    };
    assert_eq!(requests(), 0);
    assert_eq!(toggle("?level=1&duration=1hrs"), (200, Vec::new()));
    assert_eq!(toggle(""), (200, b"1\n".to_vec()));
    let more = requests();
    assert!(more >= 1, "{more}");
    assert!(requests() > more);
    assert_eq!(toggle("?level=0&duration=1secs"), (200, Vec::new()));
    assert_eq!(toggle(""), (200, b"0\n".to_vec()));
    let quiet = requests();
    assert_eq!(requests(), quiet);
    let file = scratch.path("logs").join("meseta-master.INFO");
    let log = std::fs::read_to_string(file).expect("the log");
    assert_eq!(log.matches("DEBUG").count(), quiet);
}

#[test]
fn a_log_that_others_write_is_shown() {
    let scratch = Scratch::new();
    let file = scratch.path("elsewhere.log");
    std::fs::write(&file, "a line of journald\n").expect("a file");
    let master = Daemon::master(
        &scratch,
        &[&format!("--external_log_file={}", file.display())],
    );
    let read = json(&master, "/files/read?path=/master/log&offset=0&length=100");
    assert_eq!(read["data"], "a line of journald\n");
    assert_eq!(
        json(&master, "/state")["external_log_file"],
        file.display().to_string()
    );
}
