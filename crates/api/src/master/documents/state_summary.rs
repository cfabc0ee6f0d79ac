//! `/state-summary`: who runs how many tasks, and where.

use std::collections::{BTreeMap, BTreeSet};

use meseta_model::ids::{AgentId, FrameworkId};
use meseta_proto::mesos::v1::TaskState;

use super::{document, framework, live, slave};
use crate::json::Object;
use crate::read::{FrameworkRead, MasterRead, Task};

/// The states that are counted, in the order shown.
const COUNTED: [TaskState; 10] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskFinished,
    TaskState::TaskKilled,
    TaskState::TaskFailed,
    TaskState::TaskLost,
    TaskState::TaskError,
    TaskState::TaskUnreachable,
];

/// How many tasks are in each state of [`COUNTED`].
#[derive(Debug, Clone, Default)]
struct Counts([u64; COUNTED.len()]);

impl Counts {
    fn add(&mut self, state: TaskState) {
        if let Some(at) = COUNTED.iter().position(|counted| *counted == state) {
            self.0[at] += 1;
        }
    }

    fn write(&self, o: &mut Object<'_>) {
        for (state, count) in COUNTED.iter().zip(self.0) {
            o.integer(state.as_str_name(), count);
        }
    }
}

/// What an agent runs, and for whom.
#[derive(Debug, Default)]
struct OnAgent<'a> {
    counts: Counts,
    frameworks: BTreeSet<&'a FrameworkId>,
}

pub(crate) fn state_summary(read: &MasterRead, cluster: Option<&str>) -> String {
    let mut agents: BTreeMap<&AgentId, OnAgent<'_>> = BTreeMap::new();
    for known in live(read) {
        for task in tasks(known) {
            let on = agents.entry(&task.agent).or_default();
            on.counts.add(task.state);
            on.frameworks.insert(&known.framework.id);
        }
    }
    document(|o| {
        let info = read.master.as_ref().map(|master| &master.info);
        o.text("hostname", info.map_or("", |info| info.hostname()));
        if let Some(cluster) = cluster {
            o.text("cluster", cluster);
        }
        o.list("slaves", |l| {
            for agent in read.agents.iter().filter(|agent| !agent.view.recovered) {
                let id = agent.view.info.id.as_ref().map(AgentId::from);
                let on = id.and_then(|id| agents.remove(&id)).unwrap_or_default();
                l.object(|o| {
                    slave::slave(o, agent);
                    on.counts.write(o);
                    ids(
                        o,
                        "framework_ids",
                        on.frameworks.iter().map(|id| id.as_str()),
                    );
                });
            }
        });
        o.list("frameworks", |l| {
            for known in live(read) {
                l.object(|o| one_framework(o, known));
            }
        });
    })
}

fn one_framework(o: &mut Object<'_>, known: &FrameworkRead) {
    let mut counts = Counts::default();
    let mut agents = BTreeSet::new();
    for task in tasks(known) {
        counts.add(task.state);
        agents.insert(&task.agent);
    }
    framework::summary(o, &known.framework);
    counts.write(o);
    ids(o, "slave_ids", agents.iter().map(|id| id.as_str()));
}

fn tasks(known: &FrameworkRead) -> impl Iterator<Item = &Task> {
    let lists = [&known.active, &known.unreachable, &known.completed];
    lists.into_iter().flatten().map(|task| &**task)
}

fn ids<'a>(o: &mut Object<'_>, name: &str, ids: impl Iterator<Item = &'a str>) {
    o.list(name, |l| ids.for_each(|id| l.text(id)));
}
