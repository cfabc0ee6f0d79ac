//! Agents: the real core and driver, and what the process around them does.

use std::collections::BTreeMap;
use std::time::Duration;

use meseta_agent::event::{Effect, Event, Lane, MetaEntry, Started};
use meseta_agent::view::{AgentView, Delta};
use meseta_agent::{Agent, Config, ReconfigurationPolicy, Recover};
use meseta_model::edge::{RequestId, StreamId};
use meseta_model::ids::{AgentId, ContainerId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_model::roles::Role;
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1;
use meseta_runtime::{Driver, EntryContent, MemoryFiles, Output, Storage};

use super::agreed::master_upid;
use super::alarm::Alarm;
use super::disk::SimDisk;
use super::{Happening, SimContainer, World};
use crate::invariants::Seen;
use crate::limits::{MILLISECOND_US, SECOND_US};
use crate::plan::draw_resources;
use crate::process::Process;
use crate::show;
use crate::tally::Situation;

/// Where an agent keeps everything.
pub(crate) const WORK_DIR: &str = "/work";

/// What an operator removes when an agent says that it cannot go on as the one that it was.
const LATEST_AGENT: &str = "slaves/latest";

/// The host of an agent: what outlives its process.
pub(crate) struct AgentHost {
    /// Grows with every start of the process.
    pub(crate) life: u64,
    /// Grows with every start of the host.
    pub(crate) boot: u64,
    pub(crate) process: Option<AgentProcess>,
    /// The disk while no process has it open.
    pub(crate) files: Option<MemoryFiles>,
    pub(crate) containers: BTreeMap<ContainerId, SimContainer>,
    pub(crate) next_pid: u32,
    /// When the last report about a container arrives.
    pub(super) reported_us: u64,
    pub(crate) wall_skew_ns: i64,
    /// The next life only ends what this one leaves.
    cleans_up_next: bool,
    /// The boot that its agent knew last, and as whom.
    known_boot: Option<(u64, AgentId)>,
}

/// An agent at work.
pub(crate) struct AgentProcess {
    pub(crate) driver: Driver<Agent, Lane>,
    pub(crate) disk: SimDisk,
    /// The container behind each open executor stream, and the subscription of it.
    pub(super) streams: BTreeMap<StreamId, (ContainerId, u64)>,
    /// Streams on which nothing is written any more.
    pub(super) requests: BTreeMap<RequestId, ()>,
    next_request: u64,
    alarm: Alarm,
    exits: Option<String>,
}

impl AgentProcess {
    pub(super) fn new_request(&mut self) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.requests.insert(request, ());
        request
    }
}

impl AgentHost {
    pub(crate) fn new(_place: usize) -> Self {
        Self {
            life: 0,
            boot: 1,
            process: None,
            files: Some(MemoryFiles::new()),
            containers: BTreeMap::new(),
            next_pid: 1_000,
            reported_us: 0,
            wall_skew_ns: 0,
            cleans_up_next: false,
            known_boot: None,
        }
    }
}

impl World {
    pub(super) fn start_agent(&mut self, a: usize) {
        if self.lost_agents.contains(&a) {
            return;
        }
        let Some(mut files) = self.agents[a].files.take() else {
            return;
        };
        let meta = files
            .read_back()
            .into_iter()
            .map(|entry| match entry.content {
                EntryContent::File(bytes) => MetaEntry::File {
                    path: entry.path,
                    bytes,
                },
                EntryContent::Symlink(target) => MetaEntry::Symlink {
                    path: entry.path,
                    target,
                },
            });
        let started = Started {
            seed: self.draws.bits(),
            boot_id: format!("boot-{}-{}", a + 1, self.agents[a].boot),
            pid: Upid::new("slave(1)", Process::Agent(a).address()),
            info: self.agent_info(a),
            meta: meta.collect(),
            ended: BTreeMap::new(),
        };
        let cleans_up = std::mem::take(&mut self.agents[a].cleans_up_next);
        let config = self.agent_config(cleans_up);
        let host = &mut self.agents[a];
        host.life += 1;
        host.process = Some(AgentProcess {
            driver: Driver::new(Agent::new(config), Effect::lane),
            disk: SimDisk::open(files),
            streams: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            alarm: Alarm::default(),
            exits: None,
        });
        self.note(|| format!("agent{} starts", a + 1));
        self.see(&Seen::AgentStarts { agent: a });
        if cleans_up {
            self.see(&Seen::AgentEndsAll { agent: a });
        }
        self.agent_event(a, Event::Started(Box::new(started)));
        if let Some(m) = self.known_master() {
            self.agent_event(a, Event::MasterDetected(master_upid(m)));
        }
    }

    fn agent_info(&self, a: usize) -> v1::AgentInfo {
        let text = &self.plan.agents[a].resources;
        let resources = Resources::parse(text, &Role::default()).unwrap_or_default();
        v1::AgentInfo {
            hostname: format!("agent{}", a + 1),
            port: Some(i32::from(Process::Agent(a).address().port())),
            resources: resources.to_wire(ResourceFormat::PostRefinement),
            ..Default::default()
        }
    }

    fn agent_config(&self, cleans_up: bool) -> Config {
        let settings = &self.plan.settings;
        Config {
            recover: if cleans_up {
                Recover::Cleanup
            } else {
                Recover::Reconnect
            },
            reconfiguration_policy: if settings.agents_may_grow {
                ReconfigurationPolicy::Additive
            } else {
                ReconfigurationPolicy::Equal
            },
            work_dir: WORK_DIR.to_owned(),
            executor_registration_timeout: Duration::from_micros(settings.registration_timeout_us),
            executor_reregistration_timeout: Duration::from_micros(
                settings.reregistration_timeout_us,
            ),
            executor_shutdown_grace_period: Duration::from_micros(settings.shutdown_grace_us),
            recovery_timeout: Duration::from_micros(settings.recovery_timeout_us),
            gc_delay: Duration::from_micros(settings.gc_delay_us),
            disk_watch_interval: Duration::from_micros(settings.disk_watch_us),
            ..Config::default()
        }
    }

    /// An event planned earlier, for this life of the agent only.
    pub(super) fn agent_hears(&mut self, a: usize, life: u64, event: Event) {
        if self.agents[a].life == life {
            self.agent_event(a, event);
        }
    }

    /// Gives an event to the core and does what it asks for.
    pub(crate) fn agent_event(&mut self, a: usize, mut event: Event) {
        if self.agents[a].process.is_none() {
            return;
        }
        self.see(&Seen::AgentTakes {
            agent: a,
            event: &event,
        });
        let shutdown = matches!(
            &event,
            Event::MessageReceived { message, .. } if matches!(message, Message::Shutdown(_))
        );
        if shutdown || event == Event::ShutdownRequested {
            self.see(&Seen::AgentEndsAll { agent: a });
        }
        let (event, mut outputs) = match &mut self.plant {
            Some(plant) => {
                if let Event::Started(started) = &mut event {
                    plant.on_disk(&mut started.meta);
                }
                plant.before_agent(a, event)
            }
            None => (Some(event), Vec::new()),
        };
        let now = self.now(Process::Agent(a));
        if let (Some(process), Some(event)) = (&mut self.agents[a].process, event) {
            process.driver.handle(now, event, &mut outputs);
        }
        self.perform_agent(a, outputs);
    }

    pub(super) fn wake_agent(&mut self, a: usize, life: u64) {
        let now = self.now(Process::Agent(a));
        let host = &mut self.agents[a];
        let Some(process) = host.process.as_mut().filter(|_| host.life == life) else {
            return;
        };
        process.alarm.rang();
        let mut outputs = Vec::new();
        process.driver.fire_due(now, &mut outputs);
        self.see(&Seen::AgentWakes { agent: a });
        self.perform_agent(a, outputs);
    }

    pub(super) fn perform_agent(&mut self, a: usize, outputs: Vec<Output<Agent>>) {
        let outputs = match &mut self.plant {
            Some(plant) => plant.after_agent(a, outputs),
            None => outputs,
        };
        for output in outputs {
            self.see(&Seen::AgentDoes {
                agent: a,
                output: &output,
            });
            match output {
                Output::Persist { seq, writes } => self.persist(a, seq, writes),
                // An agent proposes nothing.
                Output::Propose { .. } => {}
                Output::Effect(effect) => self.agent_effect(a, effect),
            }
        }
        self.see(&Seen::AgentRests { agent: a });
        let exits = self.agents[a]
            .process
            .as_ref()
            .and_then(|process| process.exits.clone());
        match exits {
            Some(reason) => self.agent_exits(a, &reason),
            None => self.plan_agent_wake(a),
        }
    }

    fn plan_agent_wake(&mut self, a: usize) {
        let now_us = self.now_us;
        let host = &mut self.agents[a];
        let Some(process) = &mut host.process else {
            return;
        };
        if let Some(at) = process.alarm.set(now_us, process.driver.next_timer()) {
            let wake = Happening::Wake(Process::Agent(a), host.life);
            self.queue.plan(at, wake);
        }
    }

    fn agent_effect(&mut self, a: usize, effect: Effect) {
        let own = Process::Agent(a);
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        match effect {
            Effect::Link(peer) => self.link(own, &peer),
            Effect::Unlink(peer) => self.unlink(own, &peer),
            Effect::Send { to, message } => {
                self.send_message(own, "slave(1)", &to, message, None);
            }
            Effect::SendEvent { stream, event } => self.tell_executor(a, &stream, event),
            Effect::CloseStream(stream) | Effect::RefuseStream { stream, .. } => {
                self.close_executor_stream(a, &stream);
            }
            Effect::Reply { request, .. } => {
                // Executors do not wait for answers; that there is one is checked elsewhere.
                process.requests.remove(&request);
            }
            Effect::Changed(delta) => {
                self.note(|| show::agent_delta(a, &delta));
                if let Delta::Agent(view) = &delta {
                    self.notice_reboot(a, view);
                }
            }
            Effect::Count { .. } => {}
            Effect::RemoveDirectory { path } => self.remove_directory(a, &path),
            Effect::MeasureDisk => {
                let used = self.draws.below(1_001) as f64 / 1_000.0;
                let life = self.agents[a].life;
                let event = Box::new(Event::DiskMeasured { used });
                self.later(MILLISECOND_US, Happening::AgentEvent(a, life, event));
            }
            Effect::Exit { reason } => {
                process.exits.get_or_insert(reason);
            }
            other => self.container_effect(a, other),
        }
    }

    /// Whether an agent goes on under its old id on a host that was started anew.
    fn notice_reboot(&mut self, a: usize, view: &AgentView) {
        let host = &mut self.agents[a];
        let Some(id) = view.info.id.as_ref().filter(|_| view.registered) else {
            return;
        };
        let now = (host.boot, AgentId::from(id));
        let before = host.known_boot.replace(now.clone());
        if before.is_some_and(|(boot, id)| boot != now.0 && id == now.1) {
            self.met(Situation::AgentRebooted);
        }
    }

    fn agent_exits(&mut self, a: usize, reason: &str) {
        self.note(|| format!("agent{} exits: {reason}", a + 1));
        self.see(&Seen::AgentExits { agent: a, reason });
        self.end_agent(a);
        if let (true, Some(files)) = (
            reason.contains("with a new agent id instead"),
            &mut self.agents[a].files,
        ) {
            // An operator does what the agent says must be done.
            let _ = files.remove(LATEST_AGENT);
        }
    }

    /// The process of an agent ends without a word; executors live on, and a supervisor starts it
    /// again.
    pub(crate) fn end_agent(&mut self, a: usize) {
        if self.stop_agent_process(a, false) {
            let back = self.draws.spread((20 * MILLISECOND_US, 10 * SECOND_US));
            self.later(back, Happening::Start(Process::Agent(a)));
        }
    }

    /// Takes the process away; what it had asked of the disk and not got may be there or not.
    pub(super) fn stop_agent_process(&mut self, a: usize, silent: bool) -> bool {
        let Some(process) = self.agents[a].process.take() else {
            return false;
        };
        self.note(|| format!("agent{} is down", a + 1));
        self.see(&Seen::AgentEnds { agent: a });
        let own = Process::Agent(a);
        self.paused.remove(&own);
        let files = self.abandon_disk(a, process.disk);
        self.agents[a].files = Some(files);
        self.drop_links(own, silent);
        for (container, subscription) in process.streams.into_values() {
            self.executor_stream_lost(a, &container, subscription);
        }
        self.agent_process_gone(a);
        true
    }

    /// The host of an agent loses power: nothing on it lives on, and the disk keeps of what was not
    /// flushed what `keep` says ([`MemoryFiles::crash`]).
    pub(crate) fn end_host(&mut self, a: usize, keep: &mut dyn FnMut(u64) -> u64) {
        self.stop_agent_process(a, true);
        self.see(&Seen::PowerLost { agent: a });
        self.note(|| format!("agent{}'s host is down", a + 1));
        let host = &mut self.agents[a];
        if let Some(files) = &mut host.files {
            files.crash(keep);
        }
        host.boot += 1;
        self.end_containers_with_host(a);
        let back = self.draws.spread((SECOND_US, 40 * SECOND_US));
        self.later(back, Happening::Start(Process::Agent(a)));
    }

    /// The host is taken away, and another one gets its address: its disk is empty.
    pub(crate) fn replace_host(&mut self, a: usize) {
        self.end_host(a, &mut |_| 0);
        self.see(&Seen::HostReplaced { agent: a });
        let host = &mut self.agents[a];
        host.files = Some(MemoryFiles::new());
        host.containers.clear();
        host.known_boot = None;
    }

    /// The process of an agent ends, and comes back with other resources.
    pub(crate) fn reconfigure_agent(&mut self, a: usize) {
        let resources = draw_resources(&mut self.draws);
        self.note(|| format!("agent{} will have {resources}", a + 1));
        self.plan.agents[a].resources = resources;
        self.end_agent(a);
        self.see(&Seen::AgentReconfigured { agent: a });
    }

    /// The process of an agent ends; the next one ends what it left, and itself.
    pub(crate) fn clean_up_agent(&mut self, a: usize) {
        self.agents[a].cleans_up_next = true;
        self.end_agent(a);
    }

    /// Faults are off: this agent's disk is a good one again. What a failed flush has left untrusted the
    /// agent writes anew, or it ends and starts again.
    pub(super) fn calm_agent(&mut self, a: usize) {
        if let Some(process) = &mut self.agents[a].process {
            process.disk.calm();
        }
    }
}
