//! The words of scripts: JSON with a few shorthands.

use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::roles::Role;
use meseta_proto::actor::Message;
use meseta_proto::mesos::{internal, scheduler as v0};
use meseta_proto::{Wire, from_json};

/// Writes out the shorthands of a script line: `$name` as defined by `let`, `M-` and `OLD-` as in ids of this master and the one before,
/// and `#(cpus:1;mem:32)` as a list of resources, `#role(…)` as one allocated to that role.
pub fn expand(line: &str, lets: &[(String, String)], master: &str, old: &str) -> String {
    let mut text = line.to_owned();
    // Longest names first, so that `$a` does not eat the beginning of `$agent`; values may use others.
    let mut names: Vec<&(String, String)> = lets.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for _ in 0..lets.len() {
        for (name, value) in &names {
            text = text.replace(&format!("${name}"), value);
        }
    }
    text = text
        .replace("M-", &format!("{master}-"))
        .replace("OLD-", &format!("{old}-"));
    while let Some(at) = text.find('#') {
        let open = at + text[at..].find('(').expect("an opening parenthesis");
        let close = open + text[open..].find(')').expect("a closing parenthesis");
        let list = resources(&text[open + 1..close], &text[at + 1..open]);
        text.replace_range(at..=close, &list);
    }
    text
}

fn resources(text: &str, role: &str) -> String {
    let mut all = Resources::parse(text, &Role::default()).expect("resources as text");
    if !role.is_empty() {
        all = all.allocated_to(&Role::new(role));
    }
    let wire = all.to_wire(ResourceFormat::PostRefinement);
    let list: Vec<String> = wire.iter().map(json).collect();
    format!("[{}]", list.join(","))
}

pub fn json<M: Wire>(message: &M) -> String {
    String::from_utf8(meseta_proto::to_json(message)).unwrap()
}

pub fn parse<M: Wire>(text: &str) -> M {
    from_json(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"))
}

macro_rules! messages {
    ($($variant:ident $payload:ty),* $(,)?) => {
        /// Reads an actor message by its short name.
        pub fn message(name: &str, body: &str) -> Message {
            match name {
                $(stringify!($variant) => Message::from(parse::<$payload>(body)),)*
                _ => panic!("no message {name} in scripts"),
            }
        }

        /// Writes an actor message: its short name and JSON.
        pub fn message_text(message: &Message) -> (&'static str, String) {
            match message {
                $(Message::$variant(payload) => (stringify!($variant), json(&**payload)),)*
                other => panic!("{} is not sent by masters or agents", other.name()),
            }
        }
    };
}

messages! {
    SchedulerCall v0::Call,
    RegisterFramework internal::RegisterFrameworkMessage,
    ReregisterFramework internal::ReregisterFrameworkMessage,
    UnregisterFramework internal::UnregisterFrameworkMessage,
    DeactivateFramework internal::DeactivateFrameworkMessage,
    LaunchTasks internal::LaunchTasksMessage,
    ReviveOffers internal::ReviveOffersMessage,
    ReconcileTasks internal::ReconcileTasksMessage,
    FrameworkRegistered internal::FrameworkRegisteredMessage,
    FrameworkReregistered internal::FrameworkReregisteredMessage,
    ResourceOffers internal::ResourceOffersMessage,
    RescindResourceOffer internal::RescindResourceOfferMessage,
    LostSlave internal::LostSlaveMessage,
    FrameworkError internal::FrameworkErrorMessage,
    ExecutorToFramework internal::ExecutorToFrameworkMessage,
    FrameworkToExecutor internal::FrameworkToExecutorMessage,
    RegisterSlave internal::RegisterSlaveMessage,
    ReregisterSlave internal::ReregisterSlaveMessage,
    SlaveRegistered internal::SlaveRegisteredMessage,
    SlaveReregistered internal::SlaveReregisteredMessage,
    UnregisterSlave internal::UnregisterSlaveMessage,
    PingSlave internal::PingSlaveMessage,
    PongSlave internal::PongSlaveMessage,
    UpdateFramework internal::UpdateFrameworkMessage,
    ShutdownFramework internal::ShutdownFrameworkMessage,
    UpdateSlave internal::UpdateSlaveMessage,
    ExitedExecutor internal::ExitedExecutorMessage,
    Shutdown internal::ShutdownMessage,
    RunTask internal::RunTaskMessage,
    RunTaskGroup internal::RunTaskGroupMessage,
    KillTask internal::KillTaskMessage,
    StatusUpdate internal::StatusUpdateMessage,
    StatusUpdateAcknowledgement internal::StatusUpdateAcknowledgementMessage,
    ShutdownExecutor internal::ShutdownExecutorMessage,
    CheckpointResources internal::CheckpointResourcesMessage,
    ReconcileOperations internal::ReconcileOperationsMessage,
    ApplyOperation internal::ApplyOperationMessage,
    AcknowledgeOperationStatus internal::AcknowledgeOperationStatusMessage,
    DrainSlave internal::DrainSlaveMessage,
    UpdateOperationStatus internal::UpdateOperationStatusMessage,
}
