//! How a run ends: everyone does their best, and nothing may be forgotten.

use std::collections::BTreeSet;

use meseta_model::resources::Resource;
use meseta_model::task_state::is_terminal;
use meseta_proto::mesos::v1::scheduler::{self, call};
use meseta_proto::mesos::v1::{self, TaskState};

use super::{Cluster, TaskKey};

impl Cluster {
    /// From now on everyone does their best. In the end nothing may be forgotten.
    pub fn heal(&mut self) {
        for _ in 0..6 {
            for agent in &mut self.agents {
                agent.silent = false;
                if std::mem::take(&mut agent.dead) {
                    agent.id = None;
                }
            }
            for agent in 0..self.agents.len() {
                self.register(agent);
                self.reregister(agent);
            }
            self.commit_all();
            for scheduler in 0..self.schedulers.len() {
                if !self.schedulers[scheduler].subscribed {
                    self.subscribe(scheduler);
                }
                self.commit_all();
            }
            for agent in 0..self.agents.len() {
                for task in 0..self.agents[agent].tasks.len() {
                    self.resend(agent, task);
                }
            }
            for agent in 0..self.agents.len() {
                self.operation_statuses(agent);
            }
            for scheduler in 0..self.schedulers.len() {
                self.acknowledge_operations(scheduler);
                while !self.schedulers[scheduler].unacknowledged.is_empty() {
                    self.acknowledge(scheduler, 0);
                }
            }
            // The digest, and agents that never come back.
            for us in [200_000, 601_000_000, 200_000] {
                self.wait(us);
                self.commit_all();
            }
        }
        self.nothing_is_forgotten();
    }

    /// A scheduler asks about everything that it launched and has not heard the end of.
    fn ask_about_all(&mut self, scheduler: usize) {
        let Some(id) = self.schedulers[scheduler].id.clone() else {
            return;
        };
        let tasks = self
            .reached
            .iter()
            .filter(|(framework, _)| *framework == id);
        let tasks = tasks.map(|(_, task)| call::reconcile::Task {
            task_id: v1::TaskId {
                value: task.clone(),
            },
            agent_id: None,
        });
        let reconcile = Some(call::Reconcile {
            tasks: tasks.collect(),
        });
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Reconcile as i32),
                reconcile,
                ..Default::default()
            },
        );
    }

    fn nothing_is_forgotten(&mut self) {
        for scheduler in 0..self.schedulers.len() {
            self.ask_about_all(scheduler);
        }
        for agent in &self.agents {
            let id = agent.id.as_ref().expect("registered");
            let theirs: BTreeSet<&TaskKey> = agent.tasks.keys().collect();
            let ours: BTreeSet<&TaskKey> = self
                .active
                .iter()
                .filter(|(_, at)| *at == id)
                .map(|(key, _)| key)
                .collect();
            assert_eq!(ours, theirs, "the books and agent {id}");
            let ours = self.totals[id].filter(Resource::needs_checkpointing);
            assert_eq!(ours, agent.checkpointed, "what agent {id} wrote down");
            // A scheduler that began anew has left its old framework without anybody who reads.
            let heard = |operation: &&v1::Operation| {
                let framework = &operation.framework_id.as_ref().unwrap().value;
                let mut schedulers = self.schedulers.iter();
                self.completed.contains(framework)
                    || schedulers.any(|known| known.id.as_ref() == Some(framework))
            };
            let open = agent.operations.values().find(heard);
            assert_eq!(open, None, "of agent {id} is not acknowledged");
        }
        for key in &self.reached {
            let removed = self.completed.contains(&key.0);
            let lives = !removed
                && self
                    .schedulers
                    .iter()
                    .any(|known| known.id.as_ref() == Some(&key.0));
            let over = self.heard.get(key).is_some_and(|state| {
                is_terminal(*state)
                    || matches!(state, TaskState::TaskUnreachable | TaskState::TaskUnknown)
            });
            assert!(
                !lives || over != self.active.contains_key(key),
                "{key:?} is forgotten: heard {:?}, on {:?}",
                self.heard.get(key),
                self.active.get(key)
            );
        }
    }

    /// Everything asked was answered, and what was counted is what was seen.
    pub fn finish(&mut self) {
        self.commit_all();
        assert_eq!(self.answered, self.asked, "every request gets an answer");
        self.ended.retain(|_, count| *count > 0);
        assert_eq!(self.counted, self.ended, "ends counted and ends seen");
    }
}
