//! Random small clusters: the allocator and the slow, obvious reference must grant the same, and when
//! there is nothing left to do, a look at every agent must find nothing to grant.
//!
//! Roles and frameworks are in DRF order here: in random order, two that draw differently are both right,
//! so that there is nothing to compare.
//!
//! `MESETA_CASES` sets how many clusters (100,000 otherwise, some 20 seconds of both cores), `MESETA_SEED`
//! where to begin.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::{
    AgentProfile, Allocator, Attribute, Config, Constraint, FrameworkCapabilities,
    FrameworkProfile, Grant, Predicate, Quota, Refusal, RoleConstraints, Selector, Site, Used,
};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceName, Resources, Scalar};
use meseta_model::rng::Rng;
use meseta_model::roles::Role;
use reference::Reference;
use words::{quantities, resources, show};

const ROLES: [&str; 7] = ["*", "a", "a/b", "a/b/c", "a/d", "e", "e/f"];

/// Both allocators, and the draws of what happens to them.
struct Pair {
    draws: Rng,
    /// The roles and how many frameworks there are to draw from: few, so that they meet often.
    roles: Vec<&'static str>,
    frameworks: u64,
    ours: Allocator,
    theirs: Reference,
    now_us: u64,
    our_rng: Rng,
    their_rng: Rng,
    next_agent: u32,
    agents: Vec<AgentId>,
    log: Vec<String>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut draws = Rng::new(seed);
        let mut config = Config::default();
        if draws.below(4) == 0 {
            config.min_allocatable.clear();
        }
        if draws.below(4) == 0 {
            config.fair_sharing_excluded.insert(ResourceName::Gpus);
        }
        config.charge_reservations = draws.below(4) == 0;
        config.filter_gpus = draws.below(2) == 0;
        let mut roles = ROLES.to_vec();
        draws.shuffle(&mut roles);
        roles.truncate(1 + draws.below(4) as usize);
        config.region = (draws.below(4) == 0).then(|| "r0".to_owned());
        Self {
            ours: Allocator::new(config.clone()),
            theirs: Reference::new(config),
            now_us: 1_000_000,
            our_rng: Rng::new(seed),
            their_rng: Rng::new(seed),
            roles,
            frameworks: 1 + draws.below(4),
            draws,
            next_agent: 0,
            agents: Vec::new(),
            log: Vec::new(),
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.draws.below(one_in) == 0
    }

    fn role(&mut self) -> Role {
        let at = self.draws.below(self.roles.len() as u64) as usize;
        Role::from(self.roles[at])
    }

    fn some_roles(&mut self) -> BTreeSet<Role> {
        (0..=self.draws.below(3)).map(|_| self.role()).collect()
    }

    fn some_agent(&mut self) -> Option<AgentId> {
        let at = self.draws.below(self.agents.len() as u64) as usize;
        self.agents.get(at).cloned()
    }

    fn some_framework(&mut self) -> FrameworkId {
        FrameworkId::from(format!("F{}", self.draws.below(self.frameworks)))
    }

    fn some_total(&mut self) -> Resources {
        let mut text = format!("cpus:{}", self.draws.below(8) as f64 / 2.0);
        text += &format!(";mem:{}", self.draws.below(6) * 32);
        if self.chance(3) {
            text += &format!(
                ";disk:{};ports:[1-{}]",
                self.draws.below(3),
                self.draws.below(9) + 1
            );
        }
        for _ in 0..self.draws.below(3) {
            let role = ROLES[1 + self.draws.below(6) as usize];
            text += &format!(";cpus({role}):{}", self.draws.below(3) + 1);
        }
        if self.chance(4) {
            text += ";disk(a)[v1]<SHARED>:8;disk:24";
        }
        let rare = [
            ";gpus:2",
            ";cpus{REV}:2;mem{REV}:64",
            ";disk(e)[v2]:8",
            ";cpus(a,a/b):1",
            ";widgets:3",
        ];
        for entry in rare {
            if self.chance(6) {
                text += entry;
            }
        }
        resources(&text)
    }

    fn some_profile(&mut self) -> FrameworkProfile {
        let roles = self.some_roles();
        let mut profile = FrameworkProfile {
            suppressed: roles
                .iter()
                .filter(|_| self.draws.below(5) == 0)
                .cloned()
                .collect(),
            roles,
            capabilities: FrameworkCapabilities {
                shared_resources: self.chance(2),
                revocable_resources: self.chance(2),
                reservation_refinement: self.chance(2),
                gpu_resources: self.chance(2),
                region_aware: self.chance(2),
                multi_role: self.chance(2),
            },
            active: !self.chance(6),
            ..FrameworkProfile::default()
        };
        if self.chance(5) {
            let role = self.role();
            let list = if self.chance(3) {
                Vec::new()
            } else {
                vec![quantities("cpus:1;mem:64"), quantities("disk:1")]
            };
            profile.min_allocatable.insert(role, list);
        }
        if self.chance(5) {
            let groups = (0..1 + self.draws.below(2)).map(|_| self.some_rules());
            let wanted = RoleConstraints {
                groups: groups.collect(),
            };
            profile.offer_constraints.insert(self.role(), wanted);
        }
        profile
    }

    fn some_rules(&mut self) -> Vec<Constraint> {
        let rule = |pair: &mut Self| {
            let value = format!("{}", pair.draws.below(2));
            Constraint {
                selector: Selector::Attribute(format!("n{}", pair.draws.below(2))),
                predicate: match pair.draws.below(4) {
                    0 => Predicate::Exists,
                    1 => Predicate::NotExists,
                    2 => Predicate::TextEquals(value),
                    _ => Predicate::TextNotEquals(value),
                },
            }
        };
        (0..1 + self.draws.below(2)).map(|_| rule(self)).collect()
    }

    /// At times two of one name, of which the first counts, and at times a number instead of text.
    fn some_attributes(&mut self) -> Vec<Attribute> {
        let attribute = |pair: &mut Self| Attribute {
            name: format!("n{}", pair.draws.below(2)),
            text: (!pair.chance(4)).then(|| format!("{}", pair.draws.below(2))),
        };
        (0..self.draws.below(3)).map(|_| attribute(self)).collect()
    }

    /// What runs on a new agent; a framework may have two tasks there.
    fn some_used(&mut self, total: &Resources) -> Vec<Used> {
        let firm = total.unreserved().non_revocable();
        let cpus = firm.at_most(&ResourceName::Cpus, Scalar::from_whole(1));
        let parts = [
            cpus.filter(|entry| *entry.name() != ResourceName::Mem),
            firm.named(&ResourceName::Mem),
        ];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let used = parts.map(|resources| Used {
            framework: self.some_framework(),
            role: self.role(),
            resources,
        });
        used.collect()
    }

    fn step(&mut self) {
        match self.draws.below(20) {
            0..3 => self.add_agent(),
            3 => self.change_agent(),
            4..6 => self.add_framework(),
            6 => self.change_framework(),
            7 => self.ask(),
            8 => self.set_quota(),
            9 => self.convert(),
            10..15 => self.give_back(),
            _ => self.pass(),
        }
        if let Err(error) = self.ours.audit() {
            panic!("{error}\n{}", self.log.join("\n"));
        }
    }

    fn add_agent(&mut self) {
        if self.agents.len() >= 5 {
            return;
        }
        let id = AgentId::from(format!("A{}", self.next_agent));
        self.next_agent += 1;
        let profile = AgentProfile {
            total: self.some_total(),
            hierarchical_role: !self.chance(5),
            multi_role: !self.chance(5),
            site: Site {
                hostname: format!("h{}", self.draws.below(2)),
                region: self.chance(3).then(|| format!("r{}", self.draws.below(2))),
                attributes: self.some_attributes(),
                ..Site::default()
            },
        };
        let used = match self.chance(3) {
            true => self.some_used(&profile.total),
            false => Vec::new(),
        };
        let in_use: Vec<String> = used
            .iter()
            .map(|used| format!("{}@{} {}", used.framework, used.role, show(&used.resources)))
            .collect();
        let (total, flat) = (show(&profile.total), !profile.hierarchical_role);
        let one_role = !profile.multi_role;
        let site = &profile.site;
        self.log.push(format!(
            "agent {id} {total} flat={flat} one_role={one_role} {site:?} {in_use:?}"
        ));
        self.ours
            .add_agent(self.now_us, &id, profile.clone(), &used);
        self.theirs.add_agent(self.now_us, &id, profile, &used);
        self.agents.push(id);
    }

    fn change_agent(&mut self) {
        let Some(id) = self.some_agent() else { return };
        let now = self.now_us;
        match self.draws.below(5) {
            0 => {
                self.log.push(format!("remove {id}"));
                self.agents.retain(|other| *other != id);
                self.ours.remove_agent(now, &id);
                self.theirs.remove_agent(now, &id);
            }
            1 => {
                self.log.push(format!("deactivate {id}"));
                self.ours.deactivate_agent(&id);
                self.theirs.set_agent_active(now, &id, false);
            }
            2 => {
                self.log.push(format!("activate {id}"));
                self.ours.activate_agent(now, &id);
                self.theirs.set_agent_active(now, &id, true);
            }
            3 => {
                let total = self.some_total();
                self.log.push(format!("total {id} {}", show(&total)));
                self.ours
                    .update_agent_total(now, &id, total.clone())
                    .unwrap();
                self.theirs.set_total(now, &id, total);
            }
            _ => {
                let names = self.chance(2).then(|| BTreeSet::from(["h0".to_owned()]));
                self.log.push(format!("whitelist {names:?}"));
                self.ours.set_whitelist(now, names.clone());
                self.theirs.set_whitelist(now, names);
            }
        }
    }

    fn add_framework(&mut self) {
        let id = self.some_framework();
        let profile = self.some_profile();
        self.log.push(format!("framework {id} {profile:?}"));
        self.ours.add_framework(self.now_us, &id, profile.clone());
        self.theirs.add_framework(self.now_us, &id, profile);
    }

    fn change_framework(&mut self) {
        let id = self.some_framework();
        let now = self.now_us;
        match self.draws.below(3) {
            0 => {
                self.log.push(format!("remove {id}"));
                self.ours.remove_framework(now, &id);
                self.theirs.remove_framework(now, &id);
            }
            1 => {
                self.log.push(format!("deactivate {id}"));
                self.ours.deactivate_framework(&id);
                self.theirs.set_active(now, &id, false);
            }
            _ => {
                self.log.push(format!("activate {id}"));
                self.ours.activate_framework(now, &id);
                self.theirs.set_active(now, &id, true);
            }
        }
    }

    fn ask(&mut self) {
        let id = self.some_framework();
        let roles = self.some_roles();
        let now = self.now_us;
        if self.chance(3) {
            self.log.push(format!("suppress {id} {roles:?}"));
            self.ours.suppress(&id, &roles);
            self.theirs.suppress(&id, &roles);
        } else {
            self.log.push(format!("revive {id} {roles:?}"));
            self.ours.revive(now, &id, &roles);
            self.theirs.revive(now, &id, &roles);
        }
    }

    fn set_quota(&mut self) {
        let now = self.now_us;
        if self.chance(3) {
            let role = self.role();
            let weight = [0.5, 1.0, 2.0, 3.0][self.draws.below(4) as usize];
            self.log.push(format!("weight {role} {weight}"));
            self.ours.set_weight(now, &role, weight).unwrap();
            self.theirs.set_weight(now, &role, weight);
            return;
        }
        let role = Role::from(self.role().top());
        let quota = (!self.chance(3)).then(|| {
            let most = self.draws.below(6) as i64;
            let mut quota = Quota::default();
            if self.chance(2) {
                let least = self.draws.below(most as u64 + 1);
                let text = match self.draws.below(3) {
                    0 => format!("cpus:{least}"),
                    1 => format!("mem:{}", least * 32),
                    _ => format!("cpus:{least};mem:{}", least * 32),
                };
                quota.guarantees = quantities(&text);
            }
            if self.chance(2) {
                quota.limits = BTreeMap::from([(ResourceName::Cpus, Scalar::from_whole(most))]);
            }
            quota
        });
        self.log.push(format!("quota {role} {quota:?}"));
        self.ours.set_quota(now, &role, quota.as_ref()).unwrap();
        self.theirs.set_quota(now, &role, quota);
    }

    /// A holder, with what it holds, if a random choice finds one.
    fn some_holding(&mut self) -> Option<((FrameworkId, Role), AgentId, Resources)> {
        let agent = self.some_agent()?;
        let client = (self.some_framework(), self.role());
        let held = self.theirs.held(&client, &agent)?.clone();
        assert_eq!(self.ours.held(&client.0, &client.1, &agent), Some(&held));
        Some((client, agent, held))
    }

    fn give_back(&mut self) {
        for _ in 0..8 {
            let Some((client, agent, held)) = self.some_holding() else {
                continue;
            };
            let part = match self.draws.below(3) {
                0 => held.at_most(&ResourceName::Cpus, Scalar::from_thousandths(500)),
                _ => held,
            };
            if part.is_empty() {
                continue;
            }
            let seconds = [0.0, 0.5, 5.0, 3600.0][self.draws.below(4) as usize];
            let refusal = (!self.chance(3)).then_some(Refusal { seconds });
            self.log.push(format!(
                "recover {client:?} {agent} {} {refusal:?}",
                show(&part)
            ));
            let now = self.now_us;
            self.ours
                .recover(now, &client.0, &client.1, &agent, &part, refusal);
            let refuse_us = refusal.map(|refusal| (refusal.seconds * 1e6) as u64);
            self.theirs.recover(now, &client, &agent, &part, refuse_us);
        }
    }

    fn convert(&mut self) {
        for _ in 0..8 {
            let Some((client, agent, held)) = self.some_holding() else {
                continue;
            };
            if client.1.is_default() {
                continue;
            }
            let from = held.unreserved().non_revocable().named(&ResourceName::Cpus);
            let reservation = meseta_model::resources::Reservation::dynamic(client.1.clone());
            let to = from.push_reservation(&reservation);
            let all = self.theirs.agent(&agent).unwrap().free() + &held;
            if from.is_empty() || !all.contains(&from) {
                continue;
            }
            let now = self.now_us;
            let result =
                self.ours
                    .update_allocation(now, &client.0, &client.1, &agent, [(&from, &to)]);
            if result.is_ok() {
                self.log
                    .push(format!("convert {client:?} {agent} {}", show(&from)));
                self.theirs.convert(now, &client, &agent, &from, &to);
            }
        }
    }

    fn pass(&mut self) {
        let steps = [500, 2_000, 300_000, 1_000_000, 6_000_000];
        self.now_us += steps[self.draws.below(5) as usize];
        self.allocate();
        if self.chance(2) {
            self.drain();
        }
    }

    fn allocate(&mut self) {
        let ours = self.ours.allocate(self.now_us, &mut self.our_rng);
        let theirs = self.theirs.allocate(self.now_us, &mut self.their_rng);
        let (ours, theirs) = (show_grants(&ours), show_grants(&theirs));
        self.log.push(format!("{} us: {theirs}", self.now_us));
        assert_eq!(ours, theirs, "{}", self.log.join("\n"));
    }

    /// Runs until nothing is due, then looks at everything.
    fn drain(&mut self) {
        for _ in 0..100 {
            match self.ours.next_wake(self.now_us) {
                Some(at) if at <= self.now_us => self.allocate(),
                _ => break,
            };
        }
        if self.theirs.is_round_pending() {
            return;
        }
        let dirty_come_later = self.ours.next_wake(self.now_us);
        let mut missed = self.theirs.would_grant(self.now_us);
        // A shared volume is granted once a run, and there for the next run again.
        missed.retain(|grant| grant.resources.shared().is_empty());
        assert!(
            missed.is_empty(),
            "missed {} though the next wake is {dirty_come_later:?}\n{}",
            show_grants(&missed),
            self.log.join("\n")
        );
    }
}

fn show_grants(grants: &[Grant]) -> String {
    let one = |grant: &Grant| {
        let what = show(&grant.resources);
        format!("{}@{} {} {what}", grant.framework, grant.role, grant.agent)
    };
    let all: Vec<String> = grants.iter().map(one).collect();
    all.join(", ")
}

/// One cluster's life.
fn live(seed: u64) {
    let mut pair = Pair::new(seed);
    if pair.chance(3) {
        // A cluster where everybody was promised something.
        (0..4).for_each(|_| pair.set_quota());
    }
    let steps = 10 + pair.draws.below(30);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..steps {
            pair.step();
        }
    }));
    assert!(result.is_ok(), "seed {seed}");
}

#[test]
fn agrees_with_the_reference() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cases: u64 = number("MESETA_CASES").unwrap_or(100_000);
    let first: u64 = number("MESETA_SEED").unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || {
                (first + core..first + cases)
                    .step_by(cores as usize)
                    .for_each(live)
            });
        }
    });
}
