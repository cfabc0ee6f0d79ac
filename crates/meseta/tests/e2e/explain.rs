//! `meseta explain`: what frameworks are told about the offers that they get and do not get.

use meseta_client::{Calls, Events, SchedulerClient};
use meseta_proto::mesos::v1::{self, scheduler};
use scheduler::call;
use serde_json::Value;

use crate::support::{Cluster, PATIENCE};

/// A framework of one role that does what it is told.
struct Framework {
    runtime: tokio::runtime::Runtime,
    events: Events<scheduler::Event>,
    calls: Calls<scheduler::Call>,
    id: v1::FrameworkId,
}

impl Framework {
    fn subscribe(cluster: &Cluster, name: &str, role: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let framework_info = v1::FrameworkInfo {
            user: "nobody".to_owned(),
            name: name.to_owned(),
            roles: vec![role.to_owned()],
            capabilities: vec![v1::framework_info::Capability {
                r#type: Some(v1::framework_info::capability::Type::MultiRole.into()),
            }],
            ..Default::default()
        };
        let subscribe = scheduler::Call {
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(call::Subscribe {
                framework_info,
                ..Default::default()
            }),
            ..Default::default()
        };
        let client = SchedulerClient::new(vec![cluster.master.address.clone()]);
        let subscription = runtime.block_on(client.subscribe(&subscribe));
        let subscription = subscription.expect("a stream");
        let mut framework = Self {
            runtime,
            events: subscription.events,
            calls: subscription.calls,
            id: v1::FrameworkId::default(),
        };
        framework.id = framework.next(|event| Some(event.subscribed?.framework_id));
        framework
    }

    /// The first event of which there is something to take.
    fn next<T>(&mut self, take: impl Fn(scheduler::Event) -> Option<T>) -> T {
        let events = &mut self.events;
        let wanted = async {
            loop {
                let event = events.next().await.expect("readable").expect("it goes on");
                if let Some(taken) = take(event) {
                    return taken;
                }
            }
        };
        let in_time = async { tokio::time::timeout(PATIENCE, wanted).await };
        self.runtime.block_on(in_time).expect("it comes in time")
    }

    fn offers(&mut self) -> Vec<v1::OfferId> {
        let offers = self.next(|event| event.offers).offers;
        offers.into_iter().map(|offer| offer.id).collect()
    }

    fn call(&self, kind: call::Type, call: scheduler::Call) {
        let call = scheduler::Call {
            framework_id: Some(self.id.clone()),
            r#type: Some(kind.into()),
            ..call
        };
        let called = self.runtime.block_on(self.calls.call(&call));
        called.expect("the master takes it");
    }

    fn decline(&self, offer_ids: Vec<v1::OfferId>) {
        let decline = call::Decline {
            offer_ids,
            filters: Some(v1::Filters {
                refuse_seconds: Some(3_600.0),
            }),
        };
        let call = scheduler::Call {
            decline: Some(decline),
            ..Default::default()
        };
        self.call(call::Type::Decline, call);
    }
}

/// What `meseta explain` prints; it succeeds.
fn explain(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.run(&[&["explain"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The words of the line that begins with this id.
#[track_caller]
fn line(text: &str, id: &v1::FrameworkId) -> String {
    let found = text.lines().find_map(|line| line.strip_prefix(&id.value));
    let found = found.unwrap_or_else(|| panic!("no line for {}:\n{text}", id.value));
    found.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn frameworks_are_told_why() {
    let cluster = Cluster::start(&[], &[]);
    let nobody = explain(&cluster, &[]);
    assert_eq!(
        nobody,
        "no framework is subscribed, so nobody is offered anything\n"
    );

    // All of it is on offer to one.
    let mut first = Framework::subscribe(&cluster, "first", "a");
    let offers = first.offers();
    let mut second = Framework::subscribe(&cluster, "second", "b");
    let text = explain(&cluster, &[]);
    assert_eq!(line(&text, &first.id), "first a 1 has offer");
    assert_eq!(line(&text, &second.id), "second b 1 nothing free");
    assert!(text.contains("nothing is free on the agent"), "{text}");
    let text = explain(&cluster, &["--agent", "all", "--framework", "first"]);
    let told = line(&text, &first.id);
    assert!(
        told.starts_with("first a ") && told.contains("has offer: "),
        "{told}"
    );
    assert!(told.contains("cpus:40"), "{told}");

    // Both refuse it, and one is quiet besides.
    first.decline(offers);
    let offers = second.offers();
    second.decline(offers);
    let text = explain(&cluster, &["--agent", "S0", "--role", "b"]);
    let told = line(&text, &second.id);
    let left = told.split_once("refused, ").expect("it says so").1;
    let seconds = left.strip_suffix(" s left").expect("it says how long");
    let seconds: f64 = seconds.parse().expect("a number");
    assert!((3_500.0..=3_600.0).contains(&seconds), "{told}");
    assert!(text.contains("the framework refused it"), "{text}");
    second.call(call::Type::Suppress, scheduler::Call::default());
    let text = explain(&cluster, &[]);
    assert_eq!(line(&text, &first.id), "first a 1 refused");
    assert_eq!(line(&text, &second.id), "second b 1 suppressed");

    // The same for programs.
    let json = explain(&cluster, &["--json", "--agent", "all"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let reasons = json["explanations"].as_array().expect("a list");
    let reasons: Vec<&str> = reasons
        .iter()
        .flat_map(|it| it["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["REFUSED", "SUPPRESSED"]);
    assert_eq!((&json["agents"], &json["cut"]), (&1.into(), &false.into()));

    // Asking has changed nothing.
    first.call(call::Type::Revive, scheduler::Call::default());
    assert_eq!(first.offers().len(), 1);
}

#[test]
fn what_does_not_exist_is_said() {
    let cluster = Cluster::start(&[], &[]);
    let framework = Framework::subscribe(&cluster, "f", "a");
    let failures = [
        (
            &["--framework", "x"][..],
            "no framework has 'x' for its name",
        ),
        (&["--agent", "x"], "no agent has 'x' for its name"),
        (&["--role", "x"], "no framework is subscribed to role 'x'"),
        (&["--role", "a//b"], "two adjacent slashes"),
    ];
    for (arguments, expected) in failures {
        let output = cluster.run(&[&["explain"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let text = explain(
        &cluster,
        &["--framework", &framework.id.value, "--role", "b"],
    );
    assert_eq!(line(&text, &framework.id), "f b 1 not subscribed");
}
