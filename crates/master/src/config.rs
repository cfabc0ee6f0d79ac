//! What an operator decides once, at start.

use std::net::SocketAddr;

use meseta_proto::mesos::v1;

/// Microseconds in a second.
pub(crate) const SECOND_US: u64 = 1_000_000;

/// Settings of a master. Times are microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where this master listens.
    pub address: SocketAddr,
    /// `--advertise_ip` and `--advertise_port`: where others reach it, if that is elsewhere.
    pub advertise: Option<SocketAddr>,
    /// `--hostname`: its name for people and redirects.
    pub hostname: String,
    /// `--agent_ping_timeout`: time between pings, and how long one may stay unanswered.
    pub agent_ping_timeout_us: u64,
    /// `--max_agent_ping_timeouts`: so many in a row make an agent unreachable.
    pub max_agent_ping_timeouts: u32,
    /// `--agent_reregister_timeout`: how long an agent may be away after an election or a broken
    /// link. At least ten minutes.
    pub agent_reregister_timeout_us: u64,
    /// `--recovery_agent_removal_limit`: when more than this part (0 to 1) of the known agents does
    /// not return after an election, the master exits instead of declaring them unreachable.
    pub recovery_agent_removal_limit: f64,
    /// `--offer_timeout`: an offer held longer is rescinded.
    pub offer_timeout_us: Option<u64>,
    /// How free resources are offered. Its region is that of `domain`.
    pub allocator: meseta_allocator::Config,
    /// `--domain`: where this master is.
    pub domain: Option<v1::DomainInfo>,
    /// `--offer_constraints_re2_max_mem` and `…_max_program_size`.
    pub constraint_limits: meseta_allocator::PatternLimits,
    /// Heartbeats on scheduler streams.
    pub heartbeat_interval_us: u64,
    /// `--max_completed_frameworks`.
    pub max_completed_frameworks: usize,
    /// `--max_completed_tasks_per_framework`.
    pub max_completed_tasks_per_framework: usize,
    /// `--max_unreachable_tasks_per_framework`.
    pub max_unreachable_tasks_per_framework: usize,
    /// `--registry_gc_interval`.
    pub registry_gc_interval_us: u64,
    /// `--registry_max_agent_age`: unreachable and gone entries are kept this long,
    pub registry_max_agent_age_us: u64,
    /// `--registry_max_agent_count`: and at most this many of each.
    pub registry_max_agent_count: usize,
}

/// Why a [`Config`] makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadConfig {
    /// Agents would be given up before they can answer.
    #[error("agent_ping_timeout must be between 1 second and 15 minutes")]
    PingTimeout,
    /// See above.
    #[error("max_agent_ping_timeouts must be at least 1")]
    PingTimeouts,
    /// Mesos's own minimum.
    #[error("agent_reregister_timeout must be at least 10 minutes")]
    ReregisterTimeout,
    /// Not a part of a whole.
    #[error("recovery_agent_removal_limit must be between 0% and 100%")]
    RemovalLimit,
    /// An offer would be gone before anyone sees it.
    #[error("offer_timeout must be above zero")]
    OfferTimeout,
    /// The allocator's own settings.
    #[error(transparent)]
    Allocator(#[from] meseta_allocator::BadConfig),
    /// Would never rest.
    #[error("the heartbeat interval must be at least 1 second")]
    HeartbeatInterval,
    /// Would never rest.
    #[error("registry_gc_interval must be at least 1 second")]
    RegistryGcInterval,
}

impl Config {
    /// Mesos's defaults for a master at this address.
    #[must_use]
    pub fn new(address: SocketAddr, hostname: impl Into<String>) -> Self {
        Self {
            address,
            advertise: None,
            hostname: hostname.into(),
            agent_ping_timeout_us: 15 * SECOND_US,
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout_us: 600 * SECOND_US,
            recovery_agent_removal_limit: 1.0,
            offer_timeout_us: None,
            allocator: meseta_allocator::Config::default(),
            domain: None,
            constraint_limits: meseta_allocator::PatternLimits::default(),
            heartbeat_interval_us: 15 * SECOND_US,
            max_completed_frameworks: 50,
            max_completed_tasks_per_framework: 1_000,
            max_unreachable_tasks_per_framework: 1_000,
            registry_gc_interval_us: 900 * SECOND_US,
            registry_max_agent_age_us: 14 * 86_400 * SECOND_US,
            registry_max_agent_count: 100 * 1_024,
        }
    }

    /// Refuses settings that make no sense, in the words of the flag.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), BadConfig> {
        self.allocator.validate()?;
        let ping = self.agent_ping_timeout_us;
        let rules = [
            (
                (SECOND_US..=900 * SECOND_US).contains(&ping),
                BadConfig::PingTimeout,
            ),
            (self.max_agent_ping_timeouts >= 1, BadConfig::PingTimeouts),
            (
                self.agent_reregister_timeout_us >= 600 * SECOND_US,
                BadConfig::ReregisterTimeout,
            ),
            (
                (0.0..=1.0).contains(&self.recovery_agent_removal_limit),
                BadConfig::RemovalLimit,
            ),
            (self.offer_timeout_us != Some(0), BadConfig::OfferTimeout),
            (
                self.heartbeat_interval_us >= SECOND_US,
                BadConfig::HeartbeatInterval,
            ),
            (
                self.registry_gc_interval_us >= SECOND_US,
                BadConfig::RegistryGcInterval,
            ),
        ];
        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, bad)| Err(bad))
    }

    /// The total that agents are told: after this long without a ping they look for a master again.
    pub(crate) fn total_ping_timeout_seconds(&self) -> f64 {
        let total = self.agent_ping_timeout_us * u64::from(self.max_agent_ping_timeouts);
        total as f64 / SECOND_US as f64
    }

    /// Where others reach this master.
    pub(crate) fn public_address(&self) -> SocketAddr {
        self.advertise.unwrap_or(self.address)
    }
}
