//! A second ACCEPT of an offer launches its tasks too.

use std::collections::{BTreeMap, BTreeSet};

use meseta_master::Master;
use meseta_master::event::{Effect, Event};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::internal::RunTaskMessage;
use meseta_runtime::Output;

use super::Plant;

#[derive(Default)]
pub(super) struct Planted {
    used: BTreeSet<String>,
    /// The last launch on each agent, to be imitated.
    last: BTreeMap<String, (Upid, RunTaskMessage)>,
}

impl Planted {
    /// What a master that does not look would send for an ACCEPT.
    fn launch_again(&self, event: &Event) -> Vec<Output<Master>> {
        let Event::SchedulerCalled { call, .. } = event else {
            return Vec::new();
        };
        let Some(accept) = &call.accept else {
            return Vec::new();
        };
        if !accept
            .offer_ids
            .iter()
            .all(|id| self.used.contains(&id.value))
        {
            return Vec::new();
        }
        let launches = accept.operations.iter().filter_map(|o| o.launch.as_ref());
        let tasks = launches.flat_map(|launch| &launch.task_infos);
        let sent = tasks.filter_map(|task| {
            let (to, model) = self.last.get(&task.agent_id.value)?;
            let mut message = model.clone();
            message.task.task_id = task.task_id.clone();
            Some(Output::Effect(Effect::Send {
                from: "master".to_owned(),
                to: to.clone(),
                message: Box::new(Message::from(message)),
            }))
        });
        sent.collect()
    }
}

impl Plant for Planted {
    fn before_master(&mut self, event: Event) -> (Option<Event>, Vec<Output<Master>>) {
        let again = self.launch_again(&event);
        if let Event::SchedulerCalled { call, .. } = &event
            && let Some(accept) = &call.accept
        {
            let ids = accept.offer_ids.iter().map(|id| id.value.clone());
            self.used.extend(ids);
        }
        (Some(event), again)
    }

    fn after_master(&mut self, outputs: Vec<Output<Master>>) -> Vec<Output<Master>> {
        for output in &outputs {
            if let Output::Effect(Effect::Send { to, message, .. }) = output
                && let Message::RunTask(launch) = &**message
            {
                let agent = launch.task.agent_id.value.clone();
                self.last.insert(agent, (to.clone(), (**launch).clone()));
            }
        }
        outputs
    }
}
