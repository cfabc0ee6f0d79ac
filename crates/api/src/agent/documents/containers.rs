//! `/containers` and `/monitor/statistics`: what runs, and what it takes.

use meseta_model::ids::ContainerId;

use crate::agent::Usage;
use crate::json::{self, Object};
use crate::read::{AgentRead, RunRead};

/// `/containers`, of one container if `wanted`.
pub(crate) fn containers(
    read: &AgentRead,
    usage: impl Fn(&ContainerId) -> Option<Usage>,
    wanted: Option<&str>,
) -> String {
    let runs = running(read);
    let runs = runs.filter(|run| wanted.is_none_or(|id| run.view.container_id.value() == id));
    list(runs, |o, run| {
        let usage = usage(&run.view.container_id);
        o.text("container_id", run.view.container_id.value());
        identity(o, run);
        if let Some(usage) = usage {
            o.message("statistics", &usage.statistics);
            o.message("status", &usage.status);
        }
    })
}

/// `/monitor/statistics`. An executor whose usage nobody knows is left out, as in Mesos.
pub(crate) fn statistics(
    read: &AgentRead,
    usage: impl Fn(&ContainerId) -> Option<Usage>,
) -> String {
    let mut out = String::new();
    json::list(&mut out, |l| {
        for run in running(read) {
            if let Some(usage) = usage(&run.view.container_id) {
                l.object(|o| {
                    identity(o, run);
                    o.message("statistics", &usage.statistics);
                });
            }
        }
    });
    out
}

fn running(read: &AgentRead) -> impl Iterator<Item = &RunRead> {
    read.runs().filter(|run| !run.completed)
}

fn list<'a>(
    runs: impl Iterator<Item = &'a RunRead>,
    write: impl Fn(&mut Object<'_>, &RunRead),
) -> String {
    let mut out = String::new();
    json::list(&mut out, |l| {
        for run in runs {
            l.object(|o| write(o, run));
        }
    });
    out
}

fn identity(o: &mut Object<'_>, run: &RunRead) {
    let info = &run.view.info;
    o.text("executor_id", &info.executor_id.value);
    o.text("executor_name", info.name());
    o.text("framework_id", run.view.framework.as_str());
    o.text("source", info.source());
}
