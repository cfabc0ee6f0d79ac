//! What operators do: tear frameworks down, declare agents gone, kill tasks.

use meseta_master::event::{Event, OperatorCall};
use meseta_model::caller::Caller;
use meseta_model::ids::FrameworkId;
use meseta_proto::mesos::v1;

use super::World;

impl World {
    /// The master that an operator reaches: one that leads.
    pub(crate) fn leading_master(&self) -> Option<usize> {
        let leads = |m: &usize| {
            self.masters[*m].believes_to_lead() && self.agreement.leader() == Some(*m as u64)
        };
        (0..self.masters.len()).find(leads)
    }

    /// Calls the leader; `false` if there is none.
    pub(crate) fn operator_calls(&mut self, call: OperatorCall) -> bool {
        let Some(m) = self.leading_master() else {
            return false;
        };
        let Some(process) = self.masters[m].process.as_mut() else {
            return false;
        };
        self.trace.mix(1);
        let request = process.new_request(None);
        let text = format!("operator calls {call:?}");
        self.note(|| text);
        self.master_event(
            m,
            Event::OperatorCalled {
                request,
                caller: Caller::default(),
                call,
            },
        );
        true
    }

    /// Tears a framework down, now or as soon as a master leads.
    pub(crate) fn dismiss(&mut self, framework: &v1::FrameworkId) {
        self.dismissed.insert(FrameworkId::from(framework));
        self.dismiss_again();
    }

    /// Repeats what operators want until the registry has it.
    pub(crate) fn dismiss_again(&mut self) {
        let wanted: Vec<FrameworkId> = self.dismissed.iter().cloned().collect();
        for id in wanted {
            if self.oracle.registry().is_removed_framework(&id)
                || !self.oracle.registry().frameworks().contains_key(&id)
            {
                continue;
            }
            self.operator_calls(OperatorCall::Teardown(id));
        }
    }
}
