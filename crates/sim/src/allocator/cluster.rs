//! An allocator, its clock, and what a master would do to it.

use std::collections::BTreeSet;
use std::time::Instant;

use meseta_allocator::{AgentProfile, Allocator, Config, FrameworkProfile, Grant, Refusal, Used};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::Resources;
use meseta_model::rng::Rng;
use meseta_model::roles::Role;

/// How fast agents come, microseconds from one to the next: a master's own work on each.
const BETWEEN_AGENTS_US: u64 = 20;

/// A cluster and its clock. Only what the allocator does is timed.
pub(super) struct Cluster {
    pub allocator: Allocator,
    rng: Rng,
    pub now_us: u64,
    pub agents: Vec<AgentId>,
    pub frameworks: Vec<FrameworkId>,
}

/// Milliseconds, and what went out meanwhile.
pub(super) struct Timed {
    pub ms: f64,
    pub grants: Vec<Grant>,
}

/// Since `begin`.
pub(super) fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// The role of the `at`-th of frameworks that are spread over `roles`.
pub(super) fn role(at: usize, roles: usize) -> Role {
    match roles {
        1 => Role::default(),
        _ => Role::from(format!("role{}", at % roles).as_str()),
    }
}

impl Cluster {
    pub fn new(config: Config) -> Self {
        Self {
            allocator: Allocator::new(config),
            rng: Rng::new(1),
            now_us: 1_000_000,
            agents: Vec::new(),
            frameworks: Vec::new(),
        }
    }

    /// Adds frameworks; how long that took.
    pub fn add_frameworks(&mut self, count: usize, role_of: impl Fn(usize) -> Role) -> f64 {
        let profiles: Vec<(FrameworkId, FrameworkProfile)> = (0..count)
            .map(|at| {
                let profile = FrameworkProfile {
                    roles: BTreeSet::from([role_of(at)]),
                    active: true,
                    ..FrameworkProfile::default()
                };
                (FrameworkId::from(format!("6f7dd29c-{at:06}")), profile)
            })
            .collect();
        self.frameworks
            .extend(profiles.iter().map(|(id, _)| id.clone()));
        let begin = Instant::now();
        for (id, profile) in profiles {
            self.allocator.add_framework(self.now_us, &id, profile);
        }
        ms(begin)
    }

    /// Adds agents with what is used on them; runs are made as they fall due.
    pub fn add_agents(
        &mut self,
        count: usize,
        total: impl Fn(usize) -> (Resources, Vec<Used>),
    ) -> Timed {
        let profiles: Vec<_> = (0..count)
            .map(|at| {
                let (total, used) = total(at);
                let profile = AgentProfile {
                    total,
                    hierarchical_role: true,
                    multi_role: true,
                    ..AgentProfile::default()
                };
                (AgentId::from(format!("6f7dd29c-S{at}")), profile, used)
            })
            .collect();
        self.agents
            .extend(profiles.iter().map(|(id, _, _)| id.clone()));
        let begin = Instant::now();
        let mut grants = Vec::new();
        for (id, profile, used) in profiles {
            self.allocator.add_agent(self.now_us, &id, profile, &used);
            self.now_us += BETWEEN_AGENTS_US;
            if self.is_due() {
                grants.extend(self.allocator.allocate(self.now_us, &mut self.rng));
            }
        }
        self.now_us += 2_000;
        grants.extend(self.run_due());
        Timed {
            ms: ms(begin),
            grants,
        }
    }

    /// The same agents one by one get another total; how long that took and how many offers it made.
    pub fn update_agents(&mut self, total: &Resources) -> (f64, usize) {
        let (mut offers, mut lasted_ms) = (0, 0.0);
        for id in self.agents.clone() {
            let total = total.clone();
            let begin = Instant::now();
            let updated = self.allocator.update_agent_total(self.now_us, &id, total);
            assert_eq!(updated, Ok(()), "a known agent");
            self.now_us += BETWEEN_AGENTS_US;
            offers += self.run_due().len();
            lasted_ms += ms(begin);
        }
        self.now_us += 2_000;
        let begin = Instant::now();
        offers += self.run_due().len();
        (lasted_ms + ms(begin), offers)
    }

    fn is_due(&self) -> bool {
        let wake = self.allocator.next_wake(self.now_us);
        wake.is_some_and(|at| at <= self.now_us)
    }

    /// Every run that is due.
    pub fn run_due(&mut self) -> Vec<Grant> {
        let mut grants = Vec::new();
        while self.is_due() {
            grants.extend(self.allocator.allocate(self.now_us, &mut self.rng));
        }
        grants
    }

    /// Lets an interval pass, so that every agent with something free is looked at.
    pub fn round(&mut self) -> Timed {
        self.now_us += 1_000_000;
        let begin = Instant::now();
        let grants = self.run_due();
        Timed {
            ms: ms(begin),
            grants,
        }
    }

    /// `count` rounds in which everything is offered, and given back in between without refusal.
    pub fn offering_rounds(&mut self, mut grants: Vec<Grant>, count: usize) -> (Vec<f64>, usize) {
        let mut rounds_ms = Vec::with_capacity(count);
        for _ in 0..count {
            self.give_back(&grants, None);
            let timed = self.round();
            rounds_ms.push(timed.ms);
            grants = timed.grants;
        }
        (rounds_ms, grants.len())
    }

    /// Gives everything back; how long that took.
    pub fn give_back(&mut self, grants: &[Grant], refuse_seconds: Option<f64>) -> f64 {
        let begin = Instant::now();
        for grant in grants {
            self.give_back_part(grant, &grant.resources, refuse_seconds);
        }
        ms(begin)
    }

    /// Gives a part of a grant back.
    pub fn give_back_part(&mut self, grant: &Grant, part: &Resources, refuse_seconds: Option<f64>) {
        let refusal = refuse_seconds.map(|seconds| Refusal { seconds });
        self.allocator.recover(
            self.now_us,
            &grant.framework,
            &grant.role,
            &grant.agent,
            part,
            refusal,
        );
    }
}
