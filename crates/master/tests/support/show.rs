//! Effects as text: one line each, everything in it.

use meseta_master::event::{Effect as Wish, Timer};
use meseta_master::view::{AgentView, Delta, FrameworkView};
use meseta_model::edge::Outcome;
use meseta_model::step::Effect;
use meseta_proto::meseta::registry;

use super::words::{json, message_text};
use super::{Effect1, WALL_START_S};

/// One line of text.
pub fn effect(effect: &Effect1, now_us: u64) -> String {
    match effect {
        Effect::SetTimer { key, at_us } => {
            format!(
                "timer {} in {}",
                timer(key),
                duration(at_us.saturating_sub(now_us))
            )
        }
        Effect::CancelTimer { key } => format!("cancel {}", timer(key)),
        Effect::Propose { op, .. } => {
            let op: registry::Op = meseta_proto::decode(op).unwrap();
            format!("propose {}", json(&op))
        }
        Effect::Persist { .. } => panic!("a master has no disk"),
        Effect::Do { effect, .. } => wish(effect),
    }
}

pub fn timer(key: &Timer) -> String {
    match key {
        Timer::Ping(id) => format!("Ping {id}"),
        Timer::AgentReregister(id) => format!("AgentReregister {id}"),
        Timer::Failover(id) => format!("Failover {id}"),
        Timer::Heartbeat(id) => format!("Heartbeat {id}"),
        Timer::OfferTimeout(id) => format!("OfferTimeout {id}"),
        other => format!("{other:?}"),
    }
}

fn duration(us: u64) -> String {
    if us.is_multiple_of(1_000_000) {
        format!("{}s", us / 1_000_000)
    } else if us.is_multiple_of(1_000) {
        format!("{}ms", us / 1_000)
    } else {
        format!("{us}us")
    }
}

fn wish(wish: &Wish) -> String {
    match wish {
        Wish::Link(upid) => format!("link {upid}"),
        Wish::Unlink(upid) => format!("unlink {upid}"),
        Wish::Send { from, to, message } => {
            let (name, body) = message_text(message);
            format!("send {from} -> {to} {name} {body}")
        }
        Wish::SendEvent { stream, event } => format!("event {stream} {}", json(&**event)),
        Wish::CloseStream(stream) => format!("close {stream}"),
        Wish::Reply { request, outcome } => match outcome {
            Outcome::Refused(refusal) => {
                format!("reply {} {:?}: {}", request.0, refusal.kind, refusal.text)
            }
            Outcome::Told(told) => format!("reply {} {}", request.0, json(&**told)),
            other => format!("reply {} {other:?}", request.0),
        },
        Wish::Changed(delta) => self::delta(delta),
        Wish::Count { counter, by } => format!("count {counter:?} {by}"),
        Wish::CountOf {
            framework,
            counter,
            by,
        } => format!("count {framework} {counter:?} {by}"),
        Wish::SnapshotRegistry { index, bytes } => {
            let snapshot: registry::Snapshot = meseta_proto::decode(bytes).unwrap();
            format!("snapshot {index} {}", json(&snapshot))
        }
        Wish::Exit { reason } => format!("exit {reason}"),
    }
}

fn delta(delta: &Delta) -> String {
    match delta {
        Delta::Elected(view) => format!(
            "elected {} started {} elected {} epoch {}",
            json(&view.info),
            clock(view.start_time),
            clock(view.elected_time),
            view.epoch
        ),
        Delta::Agent(view) => agent(view),
        Delta::AgentRemoved { agent, to } => format!("agent {agent} {to:?}"),
        Delta::Framework(view) => framework(view),
        Delta::FrameworkForgotten(id) => format!("framework {id} forgotten"),
        Delta::TaskAdded { task, list } => format!("task {list:?} {}", json(&**task)),
        Delta::TaskUpdated {
            framework,
            task,
            state,
            status,
        } => {
            let status = status.as_deref().map(json).unwrap_or_default();
            format!(
                "task {framework} {task} is {} {status}",
                state.as_str_name()
            )
        }
        Delta::TaskMoved {
            framework,
            task,
            from,
            to,
        } => format!("task {framework} {task} {from:?} -> {to:?}"),
        Delta::TaskForgotten {
            framework,
            task,
            list,
        } => format!("task {framework} {task} forgotten from {list:?}"),
        Delta::Executor {
            agent,
            info,
            framework,
        } => format!("executor {framework} on {agent} {}", json(&**info)),
        Delta::ExecutorRemoved {
            agent,
            framework,
            executor,
        } => format!("executor {framework} {executor} on {agent} removed"),
        Delta::Offer(offer) => format!("offer {}", json(&**offer)),
        Delta::OfferRemoved(id) => format!("offer {id} removed"),
        Delta::Operation(operation) => format!("operation {}", json(&**operation)),
        Delta::OperationRemoved { uuid } => format!("operation {} removed", uuid.escape_ascii()),
    }
}

/// Seconds since the script began.
fn clock(seconds: f64) -> String {
    format!("+{:.3}s", seconds - WALL_START_S as f64)
}

fn agent(view: &AgentView) -> String {
    let mut text = format!("agent {}", json(&view.info));
    let total: Vec<String> = view.total.iter().map(json).collect();
    text += &format!(
        " pid={} version={} total=[{}]",
        view.pid,
        view.version,
        total.join(",")
    );
    let names: Vec<&str> = view
        .capabilities
        .iter()
        .map(|c| c.r#type().as_str_name())
        .collect();
    text += &format!(" capabilities={}", names.join(","));
    for (flag, name) in [
        (view.recovered, "recovered"),
        (view.connected, "connected"),
        (view.active, "active"),
    ] {
        if flag {
            text += &format!(" {name}");
        }
    }
    text += &format!(" registered={}", clock(view.registered_time));
    if let Some(time) = view.reregistered_time {
        text += &format!(" reregistered={}", clock(time));
    }
    text
}

fn framework(view: &FrameworkView) -> String {
    let mut text = format!("framework {} {:?}", json(&view.info), view.state);
    if let Some(pid) = &view.pid {
        text += &format!(" pid={pid}");
    }
    for (flag, name) in [(view.active, "active"), (view.connected, "connected")] {
        if flag {
            text += &format!(" {name}");
        }
    }
    text += &format!(" suppressed={:?}", view.suppressed_roles);
    text += &format!(
        " registered={} reregistered={}",
        clock(view.registered_time),
        clock(view.reregistered_time)
    );
    if let Some(time) = view.unregistered_time {
        text += &format!(" unregistered={}", clock(time));
    }
    text
}
