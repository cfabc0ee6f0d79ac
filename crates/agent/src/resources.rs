//! Dynamic reservations and persistent volumes: the master decides, the agent writes them down.

use bytes::BytesMut;
use meseta_model::resources::{Resource, Resources};
use meseta_model::step::Write;
use meseta_proto::mesos::v1;

use crate::agent::{Agent, Phase};
use crate::checkpoint::{self, Then};
use crate::format;
use crate::outbox::Outbox;

impl Agent {
    /// CheckpointResources: the whole list as it is from now on. What does not fit what this agent has
    /// is a master's mistake and changes nothing.
    pub(crate) fn checkpoint_resources(&mut self, out: &mut Outbox<'_>, wire: &[v1::Resource]) {
        if !matches!(self.phase, Phase::Disconnected | Phase::Running) {
            return;
        }
        let Ok(checkpointed) = Resources::from_wire(wire) else {
            return;
        };
        let Ok(total) = self.configured().with_checkpointed(&checkpointed) else {
            return;
        };
        if checkpointed == self.checkpointed {
            return;
        }
        self.checkpointed = checkpointed;
        self.total = total;
        self.show_agent(out);
        self.save_resources(out);
    }

    /// What flags and detection say, before reservations and volumes.
    pub(crate) fn configured(&self) -> Resources {
        Resources::from_wire(&self.info.resources).unwrap_or_default()
    }

    /// Mesos prefers the newer file if there is one, so it goes when the older is written.
    fn save_resources(&mut self, out: &mut Outbox<'_>) {
        self.resources_unsaved = false;
        let mut bytes = BytesMut::new();
        for resource in format::old_list(&self.checkpointed) {
            bytes.extend_from_slice(&checkpoint::record(&resource));
        }
        let writes = vec![
            checkpoint::put(checkpoint::RESOURCES.to_owned(), bytes.freeze()),
            Write::Delete {
                path: checkpoint::RESOURCES_NEWER.to_owned(),
            },
        ];
        self.persist(out, writes, Then::Resources);
    }

    pub(crate) fn save_resources_again(&mut self, out: &mut Outbox<'_>) {
        if self.resources_unsaved {
            self.save_resources(out);
        }
    }

    /// Whether all reservations and volumes among these are ones that were written down.
    pub(crate) fn has_checkpointed<'a>(
        &self,
        wire: impl Iterator<Item = &'a v1::Resource>,
    ) -> bool {
        let wanted: Resources = wire
            .filter_map(|resource| Resource::from_wire(resource).ok())
            .filter(Resource::needs_checkpointing)
            .collect();
        self.checkpointed.contains(&wanted.unallocated())
    }
}
