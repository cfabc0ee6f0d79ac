//! An agent: what it has, who has it, and who does not want it.

use std::sync::Arc;

use meseta_model::ids::AgentId;
use smallvec::SmallVec;

use crate::explain::Reason;
use crate::filter::Filters;
use crate::profile::Site;
use crate::shape::{Needs, Shape, Shapes};

/// What one client has on an agent.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) client: u32,
    pub(crate) shape: Arc<Shape>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) site: Arc<Site>,
    pub(crate) hierarchical_role: bool,
    pub(crate) multi_role: bool,
    /// What a framework must understand to be offered the agent at all.
    pub(crate) needs: Needs,
    pub(crate) total: Arc<Shape>,
    /// What is not allocated; shared resources are always in it.
    pub(crate) free: Arc<Shape>,
    /// In the order in which they came.
    pub(crate) holdings: SmallVec<[Holding; 2]>,
    pub(crate) filters: Filters,
    /// Whether the master lets it be offered.
    pub(crate) active: bool,
    /// Whether the whitelist names it.
    pub(crate) listed: bool,
    /// Whether it is in the list of those to look at.
    pub(crate) dirty: bool,
    /// Whether more is held than there is: the agent came back smaller, or with something (a port) that
    /// somebody else was given meanwhile.
    pub(crate) overcommitted: bool,
    /// Whether what is free might do for an offer.
    pub(crate) enough: bool,
}

impl Agent {
    /// Whether some of it might be offered to somebody.
    pub(crate) fn is_offerable(&self) -> bool {
        self.is_in_question().is_ok()
    }

    /// The same with the reason if not.
    pub(crate) fn is_in_question(&self) -> Result<(), Reason> {
        if !self.active {
            Err(Reason::AgentInactive)
        } else if !self.listed {
            Err(Reason::NotListed)
        } else if self.enough {
            Ok(())
        } else if self.free.is_empty() {
            Err(Reason::NothingFree)
        } else {
            Err(Reason::TooLittleFree)
        }
    }

    /// What this client has here.
    pub(crate) fn holding(&self, client: u32) -> Option<&Arc<Shape>> {
        let entry = self.holdings.iter().find(|entry| entry.client == client)?;
        Some(&entry.shape)
    }

    /// Replaces what this client has here.
    pub(crate) fn hold(&mut self, client: u32, shape: Option<Arc<Shape>>) {
        let at = self
            .holdings
            .iter()
            .position(|entry| entry.client == client);
        match (at, shape) {
            (Some(at), Some(shape)) => self.holdings[at].shape = shape,
            (Some(at), None) => {
                self.holdings.remove(at);
            }
            (None, Some(shape)) => self.holdings.push(Holding { client, shape }),
            (None, None) => {}
        }
    }

    /// What is free, worked out from the beginning, and whether more is held than there is: nothing of
    /// that is free. Holdings are taken off one by one: a port that two of them hold would be one in
    /// their sum.
    pub(crate) fn count_free(&self, shapes: &mut Shapes) -> (Arc<Shape>, bool) {
        if self.holdings.is_empty() {
            return (self.total.clone(), false);
        }
        let held = self.holdings.iter();
        let mut free = self.total.resources.clone();
        let overcommitted = !free.take_away_each(held.map(|it| it.shape.resources.non_shared()));
        (shapes.make(free), overcommitted)
    }
}
