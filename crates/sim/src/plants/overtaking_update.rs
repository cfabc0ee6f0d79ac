//! The second update of a task goes out before the first: an agent thinks that the first was
//! acknowledged before it was even sent.

use std::collections::{BTreeMap, BTreeSet};

use meseta_agent::Agent;
use meseta_agent::event::{Effect, Event};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::StatusUpdateMessage;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    /// First updates that were held back, per agent and task.
    held: BTreeMap<(usize, String), (Upid, Box<StatusUpdateMessage>)>,
    seen: BTreeSet<(usize, String)>,
}

impl Plant for Planted {
    fn after_agent(&mut self, agent: usize, outputs: Vec<Output<Agent>>) -> Vec<Output<Agent>> {
        let mut all = Vec::with_capacity(outputs.len());
        for output in outputs {
            let Output::Effect(Effect::Send { to, message }) = output else {
                all.push(output);
                continue;
            };
            let Message::StatusUpdate(update) = *message else {
                all.push(Output::Effect(Effect::Send { to, message }));
                continue;
            };
            let key = (agent, update.update.status.task_id.value.clone());
            if self.seen.insert(key.clone()) {
                self.held.insert(key, (to, update));
                continue;
            }
            let first = self.held.remove(&key);
            let second = Message::StatusUpdate(update);
            all.push(send(to, second));
            all.extend(first.map(|(to, first)| send(to, Message::StatusUpdate(first))));
        }
        all
    }

    fn before_agent(&mut self, agent: usize, event: Event) -> (Option<Event>, Vec<Output<Agent>>) {
        // The next message from the master becomes the acknowledgement that nobody sent.
        let Event::MessageReceived {
            from,
            to,
            epoch,
            message: Message::PingSlave(_),
        } = &event
        else {
            return (Some(event), Vec::new());
        };
        let held = self.held.iter().find(|((host, _), _)| *host == agent);
        let Some((_, (master, update))) = held else {
            return (Some(event), Vec::new());
        };
        let update = &update.update;
        let ack = meseta_proto::mesos::internal::StatusUpdateAcknowledgementMessage {
            slave_id: update.slave_id.clone().unwrap_or_default(),
            framework_id: update.framework_id.clone(),
            task_id: update.status.task_id.clone(),
            uuid: update.uuid.clone().unwrap_or_default(),
        };
        let _ = from;
        let event = Event::MessageReceived {
            from: master.clone(),
            to: to.clone(),
            epoch: *epoch,
            message: ack.into(),
        };
        (Some(event), Vec::new())
    }
}

fn send(to: Upid, message: Message) -> Output<Agent> {
    let message = Box::new(message);
    Output::Effect(Effect::Send { to, message })
}
