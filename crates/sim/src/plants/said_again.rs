//! An agent says once more what was just acknowledged.

use std::collections::BTreeMap;

use bytes::Bytes;
use meseta_agent::Agent;
use meseta_agent::event::{Effect, Event};
use meseta_proto::actor::Message;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    /// What was said last, per agent and update.
    said: BTreeMap<(usize, Bytes), Effect>,
    /// To be said again with the next thing that this agent does.
    again: Option<(usize, Effect)>,
    acknowledged: u64,
}

impl Plant for Planted {
    fn before_agent(&mut self, agent: usize, event: Event) -> (Option<Event>, Vec<Output<Agent>>) {
        if let Event::MessageReceived {
            message: Message::StatusUpdateAcknowledgement(ack),
            ..
        } = &event
            && let Some(effect) = self.said.remove(&(agent, ack.uuid.clone()))
        {
            self.acknowledged += 1;
            if self.acknowledged.is_multiple_of(7) {
                self.again = Some((agent, effect));
            }
        }
        (Some(event), Vec::new())
    }

    fn after_agent(&mut self, agent: usize, mut outputs: Vec<Output<Agent>>) -> Vec<Output<Agent>> {
        for output in &outputs {
            if let Output::Effect(effect @ Effect::Send { message, .. }) = output
                && let Message::StatusUpdate(update) = &**message
                && let Some(uuid) = &update.update.uuid
            {
                self.said.insert((agent, uuid.clone()), effect.clone());
            }
        }
        if let Some((_, effect)) = self.again.take_if(|(who, _)| *who == agent) {
            outputs.push(Output::Effect(effect));
        }
        outputs
    }
}
