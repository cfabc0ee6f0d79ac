//! Scenarios on the allocator alone: what operators cannot ask of a master of ours yet, quota above all.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{
    AgentProfile, Allocator, Config, FrameworkProfile, Grant, Quota, Refusal, Site,
};
use meseta_model::capabilities::FrameworkCapabilities;
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceName, Resources, Scalar};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

use crate::words::{resources, show};
use crate::{Call, Stage};

/// An allocator, and what a master would know besides.
pub struct Bare {
    allocator: Allocator,
    rng: Rng,
    now_us: u64,
    interval_us: u64,
    frameworks: BTreeMap<String, Framework>,
    /// Frameworks so far: ids go up as those of a master do.
    subscribed: u32,
}

struct Framework {
    id: FrameworkId,
    held: Vec<Grant>,
    tasks: BTreeMap<String, Grant>,
}

impl Bare {
    pub fn new() -> Self {
        let config = Config::default();
        Self {
            interval_us: config.allocation_interval_us,
            allocator: Allocator::new(config),
            rng: Rng::new(1),
            now_us: 1,
            frameworks: BTreeMap::new(),
            subscribed: 0,
        }
    }

    /// Lets two allocation intervals pass.
    fn settle(&mut self) -> Vec<String> {
        let until_us = self.now_us + 2 * self.interval_us;
        let mut lines = Vec::new();
        while let Some(at_us) = self.allocator.next_wake(self.now_us)
            && at_us <= until_us
        {
            self.now_us = self.now_us.max(at_us);
            for grant in self.allocator.allocate(self.now_us, &mut self.rng) {
                lines.push(self.hold(grant));
            }
        }
        self.now_us = until_us;
        lines
    }

    fn hold(&mut self, grant: Grant) -> String {
        let mut frameworks = self.frameworks.iter_mut();
        let owner = frameworks.find(|(_, framework)| framework.id == grant.framework);
        let (name, framework) = owner.expect("an offer to a framework that is here");
        let (role, agent) = (&grant.role, &grant.agent);
        let line = format!("{name} {role} {agent} {}", show(&grant.resources));
        framework.held.push(grant);
        line
    }

    fn recover(&mut self, grant: &Grant, resources: &Resources, seconds: Option<f64>) {
        let Grant {
            framework,
            role,
            agent,
            ..
        } = grant;
        let refusal = seconds.map(|seconds| Refusal { seconds });
        self.allocator
            .recover(self.now_us, framework, role, agent, resources, refusal);
    }

    fn profile(call: &Call) -> FrameworkProfile {
        let role = |name: String| Role::from(name.as_str());
        let capabilities = call.framework_info().capabilities;
        FrameworkProfile {
            capabilities: FrameworkCapabilities::from_wire(&capabilities).into(),
            roles: call.words(1).into_iter().map(role).collect(),
            suppressed: call.list("suppressed").into_iter().map(role).collect(),
            active: true,
            ..FrameworkProfile::default()
        }
    }

    fn framework(&mut self, call: &Call) -> &mut Framework {
        let framework = self.frameworks.get_mut(call.word(0));
        framework.expect("it has subscribed")
    }

    /// Takes offers out of a framework's hands.
    fn take(&mut self, call: &Call) -> Vec<Grant> {
        let (agent, role) = (call.word(1), call.option("role"));
        let held = &mut self.framework(call).held;
        let is_meant = |grant: &Grant| {
            (agent == "all" || grant.agent.as_str() == agent)
                && role.is_none_or(|role| grant.role.as_str() == role)
        };
        let (taken, left) = std::mem::take(held).into_iter().partition(is_meant);
        *held = left;
        taken
    }

    fn launch(&mut self, call: &Call) {
        let mut taken = self.take(call);
        assert_eq!(taken.len(), 1, "which offer?");
        let mut task = taken.remove(0);
        let used = resources(call.word(2));
        let unused = task.resources.saturating_sub(&used);
        self.recover(&task, &unused, Some(call.refuse_seconds()));
        task.resources = used;
        let tasks = &mut self.framework(call).tasks;
        tasks.insert(call.word(3).to_owned(), task);
    }

    /// Makes a volume of reserved disk. What was made is not refused.
    fn create(&mut self, call: &Call) {
        let mut taken = self.take(call);
        assert_eq!(taken.len(), 1, "which offer?");
        let offer = taken.remove(0);
        let wanted = resources(call.word(2));
        let disk = wanted.iter().map(|volume| {
            volume.clone().with_kind(|kind| {
                kind.disk = None;
                kind.shared = false;
            })
        });
        let disk: Resources = disk.collect();
        let (framework, role, agent) = (&offer.framework, &offer.role, &offer.agent);
        let step = [(&disk, &wanted)];
        let made = self
            .allocator
            .update_allocation(self.now_us, framework, role, agent, step);
        made.expect("it was offered");
        let unused = offer.resources.saturating_sub(&disk);
        self.recover(&offer, &wanted, None);
        self.recover(&offer, &unused, Some(call.refuse_seconds()));
    }

    fn set_quota(&mut self, call: &Call) {
        let amounts = |name: &str| {
            let amounts = call.amounts(name).into_iter();
            amounts.map(|(name, quantity)| {
                let quantity = Scalar::try_from_f64(quantity).expect("a quantity");
                (ResourceName::new(&name), quantity)
            })
        };
        let quota = Quota {
            guarantees: amounts("guarantee").collect(),
            limits: amounts("limit").collect(),
        };
        let role = Role::from(call.word(0));
        let set = self.allocator.set_quota(self.now_us, &role, Some(&quota));
        set.expect("a quota");
    }

    fn step(&mut self, call: &Call) {
        let now_us = self.now_us;
        match call.verb {
            "quota" => self.set_quota(call),
            "lend" => {
                let (id, revocable) = (AgentId::from(call.word(0)), resources(call.word(1)));
                let set = self.allocator.set_oversubscribed(now_us, &id, &revocable);
                set.expect("revocable resources of an agent that is here");
            }
            "agent" => {
                let profile = AgentProfile {
                    total: resources(call.word(1)),
                    hierarchical_role: true,
                    multi_role: true,
                    site: Site::default(),
                };
                let id = AgentId::from(call.word(0));
                self.allocator.add_agent(now_us, &id, profile, &[]);
            }
            "framework" => {
                self.subscribed += 1;
                let id = FrameworkId::from(format!("{:04}", self.subscribed));
                let profile = Self::profile(call);
                self.allocator.add_framework(now_us, &id, profile);
                let framework = Framework {
                    id,
                    held: Vec::new(),
                    tasks: BTreeMap::new(),
                };
                self.frameworks.insert(call.word(0).to_owned(), framework);
            }
            "launch" => self.launch(call),
            "create" => self.create(call),
            "decline" => {
                for grant in self.take(call) {
                    self.recover(&grant, &grant.resources, Some(call.refuse_seconds()));
                }
            }
            "kill" => {
                let task = self.framework(call).tasks.remove(call.word(1));
                let task = task.expect("it runs");
                self.recover(&task, &task.resources, None);
            }
            "suppress" | "revive" => {
                let id = self.framework(call).id.clone();
                let roles = call.words(1);
                let roles: BTreeSet<Role> = roles.iter().map(|r| Role::from(r.as_str())).collect();
                match call.verb {
                    "suppress" => self.allocator.suppress(&id, &roles),
                    _ => self.allocator.revive(now_us, &id, &roles),
                }
            }
            "teardown" => {
                let gone = self.frameworks.remove(call.word(0));
                let gone = gone.expect("it has subscribed");
                for grant in gone.held.iter().chain(gone.tasks.values()) {
                    self.recover(grant, &grant.resources, None);
                }
                self.allocator.remove_framework(now_us, &gone.id);
            }
            verb => panic!("there is no step '{verb}' for the allocator alone"),
        }
    }
}

impl Stage for Bare {
    fn play(&mut self, call: &Call) -> Vec<String> {
        self.step(call);
        let mut lines = self.settle();
        lines.sort();
        lines
    }
}
