//! Scenarios on a master, ours or another: frameworks on its scheduler API, agents as processes.
//!
//! When offers have settled is known from a clock, a framework that wants nothing but the ticks of an
//! agent that has nothing else. It gives its tick back and waits until it is offered it again, twice:
//! then the master has been through a whole allocation interval, and so has made all offers that came of
//! what happened before. A question to the master on each framework's stream, whose answer comes behind
//! those offers, makes sure that all of them have been heard.

use std::collections::BTreeMap;
use std::time::Duration;

use meseta_client::{Links, OperatorClient};
use meseta_model::resources::{Resource, ResourceFormat};
use meseta_model::upid::Upid;
use meseta_proto::mesos::internal;
use meseta_proto::mesos::v1::{self, TaskState, master, quota, scheduler};
use scheduler::call::{Subscribe, Type};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::framework::{Framework, Heard};
use crate::support::{Daemon, PATIENCE, Scratch};
use crate::words::resources;
use crate::{Call, Stage};

/// Name of the clock, of its role and of its agent.
const CLOCK: &str = "clock";

/// Between two questions about what a master shows.
const POLL: Duration = Duration::from_millis(5);

/// A master and what the scenario brought there.
pub struct Wire {
    runtime: tokio::runtime::Runtime,
    cluster: Cluster,
}

struct Cluster {
    master: String,
    operator: OperatorClient,
    agents: BTreeMap<String, Agent>,
    frameworks: BTreeMap<String, Framework>,
    /// Frameworks that are disconnected.
    absent: BTreeMap<String, v1::FrameworkInfo>,
    clock: Option<Framework>,
    tell: UnboundedSender<Heard>,
    heard: UnboundedReceiver<Heard>,
    /// Lines of the answer so far.
    lines: Vec<String>,
    questions: u32,
}

/// A process of ours.
struct Agent {
    id: v1::AgentId,
    daemon: Daemon,
    /// Whether a task was launched there.
    used: bool,
    _scratch: Scratch,
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.used {
            self.daemon.clean_up();
        }
    }
}

impl Wire {
    pub fn new(master: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (tell, heard) = unbounded_channel();
        let mut cluster = Cluster {
            master: master.to_owned(),
            operator: OperatorClient::new(master),
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            absent: BTreeMap::new(),
            clock: None,
            tell,
            heard,
            lines: Vec::new(),
            questions: 0,
        };
        runtime.block_on(cluster.start_clock());
        Self { runtime, cluster }
    }
}

impl Stage for Wire {
    fn play(&mut self, call: &Call) -> Vec<String> {
        let Self { runtime, cluster } = self;
        runtime.block_on(async {
            cluster.step(call).await;
            cluster.settle().await;
        });
        let mut lines = std::mem::take(&mut cluster.lines);
        lines.sort();
        lines
    }
}

impl Cluster {
    async fn start_clock(&mut self) {
        let call = format!("framework {CLOCK} {CLOCK} min={CLOCK}/ticks:1");
        let clock = self.subscribe(&Call::parse(&call)).await;
        self.clock = Some(clock);
        let agent = format!("agent {CLOCK} ticks({CLOCK}):1");
        self.start_agent(&Call::parse(&agent)).await;
        self.until("the clock is offered its tick", Self::has_tick)
            .await;
    }

    fn has_tick(&self) -> bool {
        self.clock.as_ref().is_some_and(Framework::holds_any)
    }

    async fn settle(&mut self) {
        for _ in 0..2 {
            let clock = self.clock.as_mut().expect("it was started");
            clock.decline("all", None, 0.0).await;
            self.until("the clock is offered its tick", Self::has_tick)
                .await;
        }
        self.questions += 1;
        let question = format!("question-{}", self.questions);
        for framework in self.frameworks.values() {
            framework.ask(&question).await;
        }
        self.until("answers of the master", |cluster| {
            let mut frameworks = cluster.frameworks.values();
            frameworks.all(|framework| framework.answered.contains(&question))
        })
        .await;
    }

    /// Hears events until it is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let next = timeout(PATIENCE, self.heard.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
            let (name, event) = next.expect("we hold a sender");
            if name == CLOCK {
                if let Some(clock) = &mut self.clock {
                    clock.hear(event).await;
                }
            } else if let Some(framework) = self.frameworks.get_mut(&name) {
                let lines = framework.hear(event).await;
                self.lines.extend(lines);
            }
        }
    }

    async fn step(&mut self, call: &Call<'_>) {
        match call.verb {
            "agent" => self.start_agent(call).await,
            "lose" => self.lose_agent(call.word(0)).await,
            "quota" => self.quota(call).await,
            "lend" => self.lend(call).await,
            "framework" => {
                let framework = self.subscribe(call).await;
                self.frameworks.insert(call.word(0).to_owned(), framework);
            }
            "disconnect" | "reconnect" => self.connection(call).await,
            "launch" | "kill" => self.task(call).await,
            "await" => {
                let name = call.word(0);
                let so_far = self.lines.len();
                let is_offered = |cluster: &Self| cluster.lines.len() > so_far;
                self.until(&format!("an offer to {name}"), is_offered).await;
            }
            _ => self.framework_step(call).await,
        }
    }

    async fn framework_step(&mut self, call: &Call<'_>) {
        let name = call.word(0);
        let framework = self.frameworks.get_mut(name).expect("it has subscribed");
        let roles = call.words(1);
        match call.verb {
            "update" => framework.update(call).await,
            "decline" => {
                let (agent, role) = (call.word(1), call.option("role"));
                let seconds = call.refuse_seconds();
                framework.decline(agent, role, seconds).await;
            }
            "reserve" => {
                let taken = framework.take_one(call.word(1), call.option("role"));
                let (wanted, role) = (resources(call.word(2)), call.option("for"));
                let role = role.expect("for=role");
                let seconds = call.refuse_seconds();
                framework.reserve(taken, &wanted, role, seconds).await;
            }
            "create" => {
                let taken = framework.take_one(call.word(1), call.option("role"));
                let wanted = resources(call.word(2));
                let seconds = call.refuse_seconds();
                framework.create(taken, &wanted, seconds).await;
            }
            "suppress" => {
                let suppress = scheduler::call::Suppress { roles };
                let set = |call: &mut scheduler::Call| call.suppress = Some(suppress);
                framework.call(Type::Suppress, set).await;
            }
            "revive" => {
                let revive = scheduler::call::Revive { roles };
                let set = |call: &mut scheduler::Call| call.revive = Some(revive);
                framework.call(Type::Revive, set).await;
            }
            "teardown" => {
                framework.call(Type::Teardown, |_| {}).await;
                self.frameworks.remove(name);
            }
            verb => panic!("there is no step '{verb}'"),
        }
    }

    async fn task(&mut self, call: &Call<'_>) {
        let framework = self.frameworks.get_mut(call.word(0));
        let framework = framework.expect("it has subscribed");
        let (task, state) = if call.verb == "launch" {
            let agent = self.agents.get_mut(call.word(1)).expect("an agent");
            agent.used = true;
            let taken = framework.take_one(call.word(1), call.option("role"));
            let (wanted, task) = (resources(call.word(2)), call.word(3));
            let seconds = call.refuse_seconds();
            framework.launch(taken, &wanted, task, seconds).await;
            (task, TaskState::TaskRunning)
        } else {
            framework.kill(call.word(1)).await;
            (call.word(1), TaskState::TaskKilled)
        };
        self.until(&format!("{task} is {state:?}"), |cluster| {
            let reached = cluster.frameworks[call.word(0)].tasks.get(task);
            let is_over = matches!(
                reached,
                Some(TaskState::TaskFailed | TaskState::TaskError | TaskState::TaskLost)
            );
            assert!(!is_over, "{task} is {reached:?}");
            reached == Some(&state)
        })
        .await;
    }

    async fn subscribe(&self, call: &Call<'_>) -> Framework {
        let subscribe = Subscribe {
            framework_info: call.framework_info(),
            suppressed_roles: call.list("suppressed"),
            offer_constraints: call.offer_constraints(),
        };
        Framework::subscribe(&self.master, subscribe, self.tell.clone()).await
    }

    async fn connection(&mut self, call: &Call<'_>) {
        let name = call.word(0);
        if call.verb == "reconnect" {
            let subscribe = Subscribe {
                framework_info: self.absent.remove(name).expect("it was disconnected"),
                ..Default::default()
            };
            let framework = Framework::subscribe(&self.master, subscribe, self.tell.clone()).await;
            self.frameworks.insert(name.to_owned(), framework);
            return;
        }
        let mut framework = self.frameworks.remove(name).expect("it has subscribed");
        self.absent.insert(name.to_owned(), framework.disconnect());
        drop(framework);
        self.master_shows("the framework is gone", |state| {
            let frameworks = state.get_frameworks.iter();
            let mut frameworks = frameworks.flat_map(|all| &all.frameworks);
            frameworks.find(|one| one.framework_info.name == name && !one.connected)?;
            Some(())
        })
        .await;
    }

    async fn start_agent(&mut self, call: &Call<'_>) {
        let name = call.word(0);
        let scratch = Scratch::new();
        let mut arguments = vec![
            "agent".to_owned(),
            "--port=0".to_owned(),
            format!("--hostname={name}"),
            format!("--master={}", self.master),
            format!("--work_dir={}", scratch.path("agent").display()),
            format!("--runtime_dir={}", scratch.path("run").display()),
            "--registration_backoff_factor=1ms".to_owned(),
            format!("--resources={}", whole(call.word(1))),
        ];
        let others = call.options();
        arguments.extend(others.map(|(name, value)| format!("--{name}={value}")));
        let daemon = Daemon::start(arguments, scratch.path("agent.log"));
        let agent = Agent {
            id: self.agent_is_active(name, true).await,
            daemon,
            used: false,
            _scratch: scratch,
        };
        self.agents.insert(name.to_owned(), agent);
    }

    async fn lose_agent(&mut self, name: &str) {
        let agent = self.agents.get_mut(name).expect("an agent");
        agent.daemon.kill();
        self.agent_is_active(name, false).await;
    }

    /// Waits until it is so.
    async fn agent_is_active(&self, name: &str, active: bool) -> v1::AgentId {
        let what = format!("agent {name}, active: {active}");
        self.master_shows(&what, |state| {
            let agents = state.get_agents.iter().flat_map(|all| &all.agents);
            let mut named = agents.filter(|agent| agent.agent_info.hostname == name);
            let found = named.find(|agent| agent.active == active)?;
            found.agent_info.id.clone()
        })
        .await
    }

    /// Says for an agent, which estimates nothing, what it can lend.
    async fn lend(&self, call: &Call<'_>) {
        let agent = &self.agents[call.word(0)];
        let own = agent.daemon.address.parse().expect("an address");
        let master = self.master.parse().expect("an address");
        let revocable = resources(call.word(1));
        assert!(revocable.iter().all(Resource::is_revocable));
        let update = internal::UpdateSlaveMessage {
            slave_id: agent.id.clone(),
            update_oversubscribed_resources: Some(true),
            oversubscribed_resources: revocable.to_wire(ResourceFormat::PostRefinement),
            ..Default::default()
        };
        let (links, _broken) = Links::new(own, tokio::runtime::Handle::current());
        links.send(
            "slave(1)",
            &Upid::new("master", master),
            &update.into(),
            None,
        );
        links.flush().await;
    }

    async fn quota(&self, call: &Call<'_>) {
        let amounts = |name: &str| {
            let amounts = call.amounts(name).into_iter();
            let amounts = amounts.map(|(name, value)| (name, v1::value::Scalar { value }));
            amounts.collect()
        };
        let config = quota::QuotaConfig {
            role: call.word(0).to_owned(),
            guarantees: amounts("guarantee"),
            limits: amounts("limit"),
        };
        let update = master::call::UpdateQuota {
            force: Some(true),
            quota_configs: vec![config],
        };
        let call = master::Call {
            r#type: Some(master::call::Type::UpdateQuota.into()),
            update_quota: Some(update),
            ..Default::default()
        };
        self.operator.master(&call).await.expect("it is taken");
    }

    /// Asks for agents and frameworks again and again until they show it.
    async fn master_shows<T>(
        &self,
        what: &str,
        shown: impl Fn(&master::Response) -> Option<T>,
    ) -> T {
        let kinds = [
            master::call::Type::GetAgents,
            master::call::Type::GetFrameworks,
        ];
        let ask = async {
            loop {
                for kind in kinds {
                    let call = master::Call {
                        r#type: Some(kind.into()),
                        ..Default::default()
                    };
                    let state = self.operator.master(&call).await.expect("an answer");
                    if let Some(it) = shown(&state) {
                        return it;
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let found = timeout(PATIENCE, ask).await;
        found.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
    }
}

/// An agent's resources, and nothing of what it would look for itself.
fn whole(resources: &str) -> String {
    let names = ["cpus:0", "mem:0", "disk:0", "ports:[]"];
    let has = |name: &str| resources.split(';').any(|entry| entry.starts_with(name));
    let absent = names.iter().filter(|entry| !has(&entry[..3]));
    absent.fold(resources.to_owned(), |all, entry| format!("{all};{entry}"))
}
