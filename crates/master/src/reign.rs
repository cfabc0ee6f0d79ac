//! How a reign begins: what the registry tells, and what is waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use meseta_allocator::Allocator;
use meseta_model::ids::FrameworkId;
use meseta_model::rng::Rng;
use meseta_model::version::MESOS_VERSION;
use meseta_proto::mesos::v1;

use crate::agents::{Agents, recovered_view};
use crate::config::Config;
use crate::digest::DigestBatch;
use crate::event::Timer;
use crate::explain::Questions;
use crate::frameworks::Frameworks;
use crate::master::Reign;
use crate::proposals::Proposals;
use crate::registry::{Op, Registry};
use crate::turn::{MASTER, Turn};
use crate::view::{Delta, MasterView};

impl Reign {
    /// Takes over with what the registry holds. The reason of a failure is for people.
    pub(crate) fn begin(
        config: &Config,
        epoch: u64,
        seed: u64,
        snapshot: Option<(u64, Bytes)>,
        ops: &[(u64, Bytes)],
        turn: &mut Turn<'_>,
    ) -> Result<Self, String> {
        let registry = read_registry(snapshot, ops)?;
        let mut rng = Rng::new(seed);
        let info = master_info(config, rng.uuid());
        let mut reign = Self {
            config: config.clone(),
            rng,
            info,
            registry,
            proposals: Proposals::default(),
            agents: Agents::default(),
            frameworks: Frameworks::default(),
            offers: BTreeMap::new(),
            next_offer: 0,
            allocator: Allocator::new(allocator_config(config)),
            allocate_at: None,
            digest: DigestBatch::default(),
            questions: Questions::default(),
        };
        let now = turn.now.wall_seconds();
        turn.changed(Delta::Elected(Box::new(MasterView {
            info: reign.info.clone(),
            start_time: now,
            elected_time: now,
            epoch,
            weights: (config.allocator.weights.iter())
                .map(|(role, weight)| (role.to_string(), *weight))
                .collect(),
        })));
        reign.expect_agents(turn);
        let known = reign.agents.recovered.len();
        reign.allocator.await_agents(turn.now.mono_us, known);
        reign.expect_frameworks(turn);
        turn.timer(Timer::RegistryGc, config.registry_gc_interval_us);
        Ok(reign)
    }

    fn expect_agents(&mut self, turn: &mut Turn<'_>) {
        for (id, record) in self.registry.agents() {
            self.agents.expect(id, &record.digest);
            turn.changed(Delta::Agent(Box::new(recovered_view(&record.info))));
        }
        if !self.agents.recovered.is_empty() {
            let wait = self.config.agent_reregister_timeout_us;
            turn.timer(Timer::RecoveredAgents, wait);
        }
    }

    /// Every framework gets its whole `failover_timeout` anew, and at least as long as agents get.
    ///
    /// compat: in Mesos a framework that does not return after an election keeps its tasks for ever.
    fn expect_frameworks(&mut self, turn: &mut Turn<'_>) {
        let records: Vec<v1::FrameworkInfo> = self
            .registry
            .frameworks()
            .values()
            .map(|record| record.info.clone())
            .collect();
        for info in records {
            self.recover_framework(turn, info);
        }
        let unreachable = self.registry.unreachable().clone();
        for (agent, record) in unreachable {
            self.remember_unreachable(turn, &agent, record.since_ns, &record.digest);
        }
    }
}

fn read_registry(snapshot: Option<(u64, Bytes)>, ops: &[(u64, Bytes)]) -> Result<Registry, String> {
    let mut registry = match snapshot {
        Some((index, bytes)) => Registry::decode(&bytes)
            .map_err(|why| format!("the registry snapshot at index {index} is {why}"))?,
        None => Registry::default(),
    };
    for (index, bytes) in ops {
        let op = Op::decode(bytes).map_err(|why| format!("registry op {index} is {why}"))?;
        // An op that did not apply when it was committed does not apply now either.
        let _ = registry.apply(&op);
    }
    Ok(registry)
}

/// The allocator's settings, with what the master's own say about them.
fn allocator_config(config: &Config) -> meseta_allocator::Config {
    let domain = config.domain.as_ref();
    let fault_domain = domain.and_then(|domain| domain.fault_domain.as_ref());
    meseta_allocator::Config {
        region: fault_domain.map(|domain| domain.region.name.clone()),
        ..config.allocator.clone()
    }
}

/// How this master describes itself. Only what works is announced.
fn master_info(config: &Config, id: String) -> v1::MasterInfo {
    let address = config.public_address();
    v1::MasterInfo {
        id,
        ip: match address.ip() {
            // compat: the four bytes as they travel, read as a little-endian number.
            IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()),
            IpAddr::V6(_) => 0,
        },
        port: u32::from(address.port()),
        pid: Some(format!("{MASTER}@{address}")),
        hostname: Some(config.hostname.clone()),
        version: Some(MESOS_VERSION.to_owned()),
        address: Some(v1::Address {
            hostname: Some(config.hostname.clone()),
            ip: Some(address.ip().to_string()),
            port: i32::from(address.port()),
        }),
        domain: config.domain.clone(),
        capabilities: vec![v1::master_info::Capability {
            r#type: Some(v1::master_info::capability::Type::AgentUpdate as i32),
        }],
    }
}

/// The frameworks of a list that nothing is known of.
pub(crate) fn unknown_frameworks<'a>(
    reign: &Reign,
    infos: impl Iterator<Item = &'a v1::FrameworkInfo>,
) -> Vec<v1::FrameworkInfo> {
    let mut seen = BTreeSet::new();
    infos
        .filter(|info| {
            info.id.as_ref().is_some_and(|id| {
                let id = FrameworkId::from(id);
                reign.frameworks.get(&id).is_none()
                    && !reign.registry.is_removed_framework(&id)
                    && seen.insert(id)
            })
        })
        .cloned()
        .collect()
}
