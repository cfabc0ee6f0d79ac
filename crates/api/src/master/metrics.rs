//! The master's metrics: one table of what cores count, and the gauges that follow from the read model.

use meseta_master::view::{Counter, FrameworkState};
use meseta_model::resources::{ResourceName, Resources};
use meseta_proto::mesos::v1::TaskState;

use super::tallies::Tally;
use super::{Master, operations, roles};
use crate::lead::Leadership;
use crate::metrics::{Metric, Metrics, system};
use crate::read::{FrameworkRead, MasterRead};

/// Counters that are shown from the start, as 0.
const COUNTERS: &[&str] = &[
    "allocator/mesos/allocation_runs",
    "master/dropped_messages",
    "master/http_cache_hits",
    "master/invalid_executor_to_framework_messages",
    "master/invalid_framework_to_executor_messages",
    "master/invalid_operation_status_update_acknowledgements",
    "master/invalid_operation_status_updates",
    "master/invalid_status_update_acknowledgements",
    "master/invalid_status_updates",
    "master/messages_authenticate",
    "master/messages_deactivate_framework",
    "master/messages_decline_offers",
    "master/messages_executor_to_framework",
    "master/messages_exited_executor",
    "master/messages_framework_to_executor",
    "master/messages_kill_task",
    "master/messages_launch_tasks",
    "master/messages_operation_status_update",
    "master/messages_operation_status_update_acknowledgement",
    "master/messages_reconcile_operations",
    "master/messages_reconcile_tasks",
    "master/messages_register_framework",
    "master/messages_register_slave",
    "master/messages_reregister_framework",
    "master/messages_reregister_slave",
    "master/messages_resource_request",
    "master/messages_revive_offers",
    "master/messages_status_update",
    "master/messages_status_update_acknowledgement",
    "master/messages_suppress_offers",
    "master/messages_unregister_framework",
    "master/messages_unregister_slave",
    "master/messages_update_slave",
    "master/offers_made",
    "master/offers_rescinded",
    "master/recovery_slave_removals",
    "master/slave_registrations",
    "master/slave_removals",
    "master/slave_removals/reason_registered",
    "master/slave_removals/reason_unhealthy",
    "master/slave_removals/reason_unregistered",
    "master/slave_reregistrations",
    "master/slave_shutdowns_canceled",
    "master/slave_shutdowns_completed",
    "master/slave_shutdowns_scheduled",
    "master/slave_unreachable_canceled",
    "master/slave_unreachable_completed",
    "master/slave_unreachable_scheduled",
    "master/tasks_dropped",
    "master/tasks_error",
    "master/tasks_failed",
    "master/tasks_finished",
    "master/tasks_gone",
    "master/tasks_gone_by_operator",
    "master/tasks_killed",
    "master/tasks_lost",
    "master/valid_executor_to_framework_messages",
    "master/valid_framework_to_executor_messages",
    "master/valid_operation_status_update_acknowledgements",
    "master/valid_operation_status_updates",
    "master/valid_status_update_acknowledgements",
    "master/valid_status_updates",
];

/// `finished` of `TASK_FINISHED`.
fn lower(state: TaskState) -> String {
    state
        .as_str_name()
        .trim_start_matches("TASK_")
        .to_lowercase()
}

/// Adds what a core counted under its name; two of the counters have two.
fn count(metrics: &mut Metrics, counter: Counter, by: u64) {
    let name = match counter {
        Counter::TasksEnded(state) => format!("master/tasks_{}", lower(state)),
        Counter::TaskEndedBecause(state, source, reason) => format!(
            "master/{}/{}/{}",
            state.as_str_name().to_lowercase(),
            source.as_str_name().to_lowercase(),
            reason.as_str_name().to_lowercase()
        ),
        Counter::ValidOperationStatusUpdates => "master/valid_operation_status_updates".to_owned(),
        Counter::InvalidOperationStatusUpdates => {
            "master/invalid_operation_status_updates".to_owned()
        }
        Counter::ValidOperationStatusUpdateAcknowledgements => {
            "master/valid_operation_status_update_acknowledgements".to_owned()
        }
        Counter::InvalidOperationStatusUpdateAcknowledgements => {
            "master/invalid_operation_status_update_acknowledgements".to_owned()
        }
        Counter::Message(name) => format!("master/messages_{name}"),
        Counter::ValidStatusUpdates => "master/valid_status_updates".to_owned(),
        Counter::InvalidStatusUpdates => "master/invalid_status_updates".to_owned(),
        Counter::ValidStatusUpdateAcknowledgements => {
            "master/valid_status_update_acknowledgements".to_owned()
        }
        Counter::InvalidStatusUpdateAcknowledgements => {
            "master/invalid_status_update_acknowledgements".to_owned()
        }
        Counter::AgentRegistrations => "master/slave_registrations".to_owned(),
        Counter::AgentReregistrations => "master/slave_reregistrations".to_owned(),
        Counter::AgentRemovals(reason) => {
            metrics.count("master/slave_removals", by);
            let reason = reason.trim_start_matches("reason_");
            format!("master/slave_removals/reason_{reason}")
        }
        Counter::AgentUnreachable(what) => format!("master/slave_unreachable_{what}"),
        Counter::DroppedMessages => "master/dropped_messages".to_owned(),
        Counter::OffersMade => "master/offers_made".to_owned(),
        Counter::OffersRescinded => "master/offers_rescinded".to_owned(),
        Counter::AllocationRuns => "allocator/mesos/allocation_runs".to_owned(),
        // A counter that this table does not know yet is shown under the name the core gives it.
        other => format!("master/{other:?}").to_lowercase(),
    };
    metrics.count(name, by);
}

impl Master {
    /// Everything, by name.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Metrics::default();
        for name in COUNTERS {
            metrics.count(*name, 0);
        }
        let mut counts = operations::Counts::new();
        for (counter, by) in self.counters.all() {
            match counter {
                Counter::Operations(kind, state) => {
                    counts.insert((kind, state), by);
                }
                counter => count(&mut metrics, counter, by),
            }
        }
        let leads = matches!(
            *self.lead.get(),
            Leadership::Leading | Leadership::Recovering
        );
        metrics.gauge("master/elected", f64::from(u8::from(leads)));
        metrics.gauge("master/uptime_secs", self.started.elapsed().as_secs_f64());
        let queued = self.events.max_capacity() - self.events.capacity();
        metrics.gauge("master/event_queue_messages", queued as f64);
        metrics.gauge("master/event_queue_dispatches", 0.0);
        metrics.gauge(
            "master/event_queue_http_requests",
            self.pending.len() as f64,
        );
        let subscribers = self.subscribers.len();
        metrics.gauge(
            "master/operator_event_stream_subscribers",
            subscribers as f64,
        );
        let read = self.model.read();
        agents(&mut metrics, &read);
        frameworks(&mut metrics, &read);
        if self.config.publishes_per_framework_metrics() {
            for known in &read.frameworks {
                let tally = self.tallies.of(&known.framework.id);
                framework(&mut metrics, known, &tally);
            }
        }
        operations::write(&mut metrics, counts, &self.model.operations());
        resources(&mut metrics, &read);
        allocator(&mut metrics, &read);
        self.gauges.write(&mut metrics);
        self.timers.write(&mut metrics);
        system(&mut metrics);
        metrics.into_list()
    }
}

fn agents(metrics: &mut Metrics, read: &MasterRead) {
    let registered = || read.agents.iter().filter(|agent| !agent.view.recovered);
    let all = registered().count();
    let connected = registered().filter(|agent| agent.view.connected).count();
    let active = registered().filter(|agent| agent.view.active).count();
    metrics.gauge("master/slaves_active", active as f64);
    metrics.gauge("master/slaves_inactive", (all - active) as f64);
    metrics.gauge("master/slaves_connected", connected as f64);
    metrics.gauge("master/slaves_disconnected", (all - connected) as f64);
    metrics.gauge("master/slaves_unreachable", read.unreachable_agents as f64);
}

/// The states of tasks that are gauges.
const LIVE: [TaskState; 5] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnreachable,
];

fn frameworks(metrics: &mut Metrics, read: &MasterRead) {
    let live = || {
        let frameworks = read.frameworks.iter();
        frameworks.filter(|known| known.framework.view.state != FrameworkState::Completed)
    };
    let all = live().count();
    let connected = live()
        .filter(|known| known.framework.view.connected)
        .count();
    let active = live().filter(|known| known.framework.view.active).count();
    metrics.gauge("master/frameworks_active", active as f64);
    metrics.gauge("master/frameworks_inactive", (all - active) as f64);
    metrics.gauge("master/frameworks_connected", connected as f64);
    metrics.gauge("master/frameworks_disconnected", (all - connected) as f64);
    let offers: usize = read.frameworks.iter().map(|known| known.offers.len()).sum();
    metrics.gauge("master/outstanding_offers", offers as f64);
    let held = read.frameworks.iter().map(held_secs);
    metrics.gauge("master/offers/oldest_secs", held.fold(0.0, f64::max));
    for state in LIVE {
        let tasks = read
            .frameworks
            .iter()
            .flat_map(|known| known.active.iter().chain(&known.unreachable));
        let count = tasks.filter(|task| task.state == state).count();
        metrics.gauge(format!("master/tasks_{}", lower(state)), count as f64);
    }
}

/// The states of one framework's tasks that are gauges: one more than of all tasks together.
const FRAMEWORK_LIVE: [TaskState; 6] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnknown,
    TaskState::TaskUnreachable,
];

/// The states of tasks that are over.
const TERMINAL: [TaskState; 8] = [
    TaskState::TaskDropped,
    TaskState::TaskError,
    TaskState::TaskFailed,
    TaskState::TaskFinished,
    TaskState::TaskGone,
    TaskState::TaskGoneByOperator,
    TaskState::TaskKilled,
    TaskState::TaskLost,
];

/// `master/frameworks/NAME/ID/…`, completed ones too until they are forgotten.
fn framework(metrics: &mut Metrics, known: &FrameworkRead, tally: &Tally) {
    let framework = &known.framework;
    let name = escape(&framework.view.info.name);
    let prefix = format!("master/frameworks/{name}/{}", framework.id);
    let subscribed = f64::from(u8::from(framework.view.connected));
    metrics.gauge(format!("{prefix}/subscribed"), subscribed);
    metrics.gauge(format!("{prefix}/offers/oldest_secs"), held_secs(known));
    for state in FRAMEWORK_LIVE {
        let tasks = known.active.iter().chain(&known.unreachable);
        let count = tasks.filter(|task| task.state == state).count();
        let state = state.as_str_name().to_lowercase();
        metrics.gauge(format!("{prefix}/tasks/active/{state}"), count as f64);
    }
    for state in TERMINAL {
        let count = known.ended.get(&state).copied().unwrap_or(0);
        let state = state.as_str_name().to_lowercase();
        metrics.count(format!("{prefix}/tasks/terminal/{state}"), count);
    }
    for role in roles::subscribed(&framework.view.info) {
        let mut suppressed = framework.view.suppressed_roles.iter();
        let suppressed = suppressed.any(|known| known == role);
        let name = format!("{prefix}/roles/{role}/suppressed");
        metrics.gauge(name, f64::from(u8::from(suppressed)));
    }
    tally.write(metrics, &prefix);
}

/// A framework's name as part of a metric's: what is no plain character is percent-encoded.
fn escape(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// How long a framework has held the oldest of its offers: who holds on to what others could use.
fn held_secs(known: &FrameworkRead) -> f64 {
    let ages = known.offers.iter().map(|offer| offer.since.elapsed());
    ages.max().unwrap_or_default().as_secs_f64()
}

/// The resources that Mesos has metrics for.
const MEASURED: [ResourceName; 4] = [
    ResourceName::Cpus,
    ResourceName::Gpus,
    ResourceName::Mem,
    ResourceName::Disk,
];

fn totals(read: &MasterRead) -> (Resources, Resources, Resources) {
    let (mut total, mut used, mut offered) = Default::default();
    for agent in &read.agents {
        total += &agent.total;
        used += &agent.used;
        offered += &agent.offered;
    }
    (total, used, offered)
}

fn resources(metrics: &mut Metrics, read: &MasterRead) {
    let (total, used, _) = totals(read);
    let firm = (total.non_revocable(), used.non_revocable());
    let revocable = (total.revocable(), used.revocable());
    for name in MEASURED {
        let prefix = format!("master/{name}");
        metrics.usage(
            &prefix,
            firm.0.total(&name).to_f64(),
            firm.1.total(&name).to_f64(),
        );
        let prefix = format!("master/{name}_revocable");
        let used = revocable.1.total(&name).to_f64();
        metrics.usage(&prefix, revocable.0.total(&name).to_f64(), used);
    }
}

fn allocator(metrics: &mut Metrics, read: &MasterRead) {
    // The allocator has no queue of its own: it is part of the core.
    metrics.gauge("allocator/event_queue_dispatches", 0.0);
    metrics.gauge("allocator/mesos/event_queue_dispatches", 0.0);
    let (total, used, offered) = totals(read);
    for name in [ResourceName::Cpus, ResourceName::Mem, ResourceName::Disk] {
        let all = total.total(&name).to_f64();
        let taken = used.total(&name).to_f64() + offered.total(&name).to_f64();
        metrics.gauge(format!("allocator/mesos/resources/{name}/total"), all);
        metrics.gauge(
            format!("allocator/mesos/resources/{name}/offered_or_allocated"),
            taken,
        );
    }
    let whole = total.quantities();
    for (role, held) in roles::known(read) {
        let mut taken = held.allocated.quantities();
        taken.add(&held.offered.quantities());
        let share = taken
            .iter()
            .map(|(name, quantity)| quantity.to_f64() / whole.get(name).to_f64())
            .filter(|share| share.is_finite())
            .fold(0.0, f64::max);
        metrics.gauge(
            format!("allocator/mesos/roles/{role}/shares/dominant"),
            share,
        );
        for (name, consumed) in &held.consumed {
            let prefix = format!("allocator/mesos/quota/roles/{role}/resources/{name}");
            metrics.gauge(format!("{prefix}/consumed"), *consumed);
        }
    }
}
