//! What happened, in one line each, for the trace.

use meseta_agent::view::Delta as AgentDelta;
use meseta_master::view::Delta as MasterDelta;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1::{self, executor, scheduler};

use crate::process::Process;
use crate::world::Flight;

/// A message on its way.
pub(crate) fn flight(flight: &Flight) -> String {
    let place = |upid: &meseta_model::upid::Upid| {
        Process::at(upid.address).map_or_else(|| upid.to_string(), |who| who.to_string())
    };
    let epoch = flight
        .epoch
        .map_or_else(String::new, |epoch| format!(" [{epoch}]"));
    let (from, to) = (place(&flight.from), place(&flight.to));
    format!("{from} -> {to}{epoch} {}", message(&flight.message))
}

fn message(message: &Message) -> String {
    let name = message.name().rsplit('.').next().unwrap_or_default();
    let name = name.strip_suffix("Message").unwrap_or(name);
    let rest = match message {
        Message::RunTask(m) => m.task.task_id.value.clone(),
        Message::KillTask(m) => m.task_id.value.clone(),
        Message::StatusUpdate(m) => status(&m.update.status),
        Message::StatusUpdateAcknowledgement(m) => {
            format!("{} {}", m.task_id.value, short(&m.uuid))
        }
        Message::ReregisterSlave(m) => {
            let tasks = m
                .tasks
                .iter()
                .map(|task| format!("{}={}", task.task_id.value, task.state().as_str_name()));
            tasks.collect::<Vec<_>>().join(" ")
        }
        Message::SlaveReregistered(m) => {
            let questions = m.reconciliations.iter().flat_map(|r| &r.statuses);
            let ids: Vec<&str> = questions.map(|s| s.task_id.value.as_str()).collect();
            ids.join(" ")
        }
        Message::SlaveRegistered(m) => m.slave_id.value.clone(),
        Message::ExitedExecutor(m) => m.executor_id.value.clone(),
        Message::Shutdown(m) => m.message().to_owned(),
        _ => String::new(),
    };
    format!("{name} {rest}").trim_end().to_owned()
}

fn short(uuid: &[u8]) -> String {
    uuid.iter()
        .take(3)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn status(status: &v1::TaskStatus) -> String {
    let uuid = status.uuid.as_deref().map_or_else(String::new, short);
    let (task, state) = (&status.task_id.value, status.state().as_str_name());
    let text = status.message();
    format!("{task} {state} {uuid} {text}")
        .trim_end()
        .to_owned()
}

pub(crate) fn scheduler_event(event: &scheduler::Event) -> String {
    let name = event.r#type().as_str_name();
    let rest = match (&event.update, &event.offers, &event.rescind, &event.error) {
        (Some(update), ..) => status(&update.status),
        (_, Some(offers), ..) => {
            let ids = offers.offers.iter().map(|offer| last_part(&offer.id.value));
            ids.collect::<Vec<_>>().join(" ")
        }
        (_, _, Some(rescind), _) => last_part(&rescind.offer_id.value).to_owned(),
        (.., Some(error)) => error.message.clone(),
        _ => String::new(),
    };
    format!("{name} {rest}").trim_end().to_owned()
}

/// What distinguishes an id that begins with its master's.
fn last_part(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

pub(crate) fn scheduler_call(call: &scheduler::Call) -> String {
    let name = call.r#type().as_str_name();
    let rest = if let Some(accept) = &call.accept {
        let offers = accept.offer_ids.iter().map(|id| last_part(&id.value));
        let launches = accept.operations.iter().filter_map(|o| o.launch.as_ref());
        let tasks = launches.flat_map(|launch| &launch.task_infos);
        let tasks = tasks.map(|task| task.task_id.value.as_str());
        offers.chain(tasks).collect::<Vec<_>>().join(" ")
    } else if let Some(decline) = &call.decline {
        let offers = decline.offer_ids.iter().map(|id| last_part(&id.value));
        offers.collect::<Vec<_>>().join(" ")
    } else if let Some(ack) = &call.acknowledge {
        format!("{} {}", ack.task_id.value, short(&ack.uuid))
    } else if let Some(kill) = &call.kill {
        kill.task_id.value.clone()
    } else if let Some(reconcile) = &call.reconcile {
        let tasks = reconcile
            .tasks
            .iter()
            .map(|task| task.task_id.value.as_str());
        tasks.collect::<Vec<_>>().join(" ")
    } else {
        String::new()
    };
    format!("{name} {rest}").trim_end().to_owned()
}

pub(crate) fn executor_event(event: &executor::Event) -> String {
    let name = event.r#type().as_str_name();
    let rest = match (&event.launch, &event.kill, &event.acknowledged) {
        (Some(launch), ..) => launch.task.task_id.value.clone(),
        (_, Some(kill), _) => kill.task_id.value.clone(),
        (.., Some(ack)) => format!("{} {}", ack.task_id.value, short(&ack.uuid)),
        _ => String::new(),
    };
    format!("{name} {rest}").trim_end().to_owned()
}

pub(crate) fn executor_call(call: &executor::Call) -> String {
    let name = call.r#type().as_str_name();
    let again = call
        .subscribe
        .iter()
        .flat_map(|s| &s.unacknowledged_updates);
    let updates = again
        .chain(&call.update)
        .map(|update| status(&update.status));
    let rest = updates.collect::<Vec<_>>().join(", ");
    let executor = &call.executor_id.value;
    format!("{name} {executor} {rest}").trim_end().to_owned()
}

pub(crate) fn master_delta(m: usize, delta: &MasterDelta) -> String {
    let text = match delta {
        MasterDelta::Elected(_) => "is elected".to_owned(),
        MasterDelta::Agent(view) => {
            let id = view.info.id.as_ref().map_or("", |id| last_part(&id.value));
            let (connected, recovered) = (view.connected, view.recovered);
            format!("agent {id}: connected {connected}, recovered {recovered}")
        }
        MasterDelta::AgentRemoved { agent, to } => format!("agent {agent} is {to:?}"),
        MasterDelta::TaskAdded { task, .. } => {
            format!(
                "has task {} {}",
                task.task_id.value,
                task.state().as_str_name()
            )
        }
        MasterDelta::TaskUpdated { task, state, .. } => {
            format!("knows task {task} {}", state.as_str_name())
        }
        MasterDelta::TaskMoved { task, to, .. } => format!("moves task {task} to {to:?}"),
        MasterDelta::Offer(offer) => format!("offers {}", last_part(&offer.id.value)),
        MasterDelta::OfferRemoved(id) => format!("strikes offer {}", last_part(id.as_str())),
        MasterDelta::Operation(operation) => {
            let state = operation.latest_status.state().as_str_name();
            format!("has an operation {state}")
        }
        MasterDelta::OperationRemoved { .. } => "strikes an operation".to_owned(),
        MasterDelta::Executor { info, .. } => format!("has executor {}", info.executor_id.value),
        MasterDelta::ExecutorRemoved { executor, .. } => format!("strikes executor {executor}"),
        MasterDelta::Framework(view) => {
            let id = view.info.id.as_ref().map_or("", |id| last_part(&id.value));
            let (state, connected) = (view.state, view.connected);
            format!("framework {id}: {state:?}, connected {connected}")
        }
        MasterDelta::FrameworkForgotten(_) | MasterDelta::TaskForgotten { .. } => {
            "forgets history".to_owned()
        }
    };
    format!("  master{} {text}", m + 1)
}

pub(crate) fn agent_delta(a: usize, delta: &AgentDelta) -> String {
    let text = match delta {
        AgentDelta::Agent(view) => {
            let id = view.info.id.as_ref().map_or("", |id| last_part(&id.value));
            format!("is {id}, registered {}", view.registered)
        }
        AgentDelta::Recovered => "has recovered".to_owned(),
        AgentDelta::Framework(info) => format!("knows framework {}", info.name),
        AgentDelta::Executor(view) => {
            let (executor, run) = (&view.info.executor_id.value, &view.container_id);
            format!("has executor {executor} in {run}")
        }
        AgentDelta::ExecutorCompleted { container_id, .. } => {
            format!("is done with container {container_id}")
        }
        AgentDelta::Task { task, list, .. } => {
            let state = task.state().as_str_name();
            format!("has task {} {state} {list:?}", task.task_id.value)
        }
        AgentDelta::FrameworkCompleted(id) => format!("is done with framework {id}"),
        AgentDelta::FrameworkForgotten(_)
        | AgentDelta::ExecutorForgotten { .. }
        | AgentDelta::TaskForgotten { .. } => "forgets history".to_owned(),
    };
    format!("  agent{} {text}", a + 1)
}
