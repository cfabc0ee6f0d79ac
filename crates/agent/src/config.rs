//! What an operator can set; defaults are Mesos's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;

/// What to do with executors of an earlier life (`--recover`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recover {
    /// Take them up again.
    #[default]
    Reconnect,
    /// End them all, then exit.
    Cleanup,
}

/// Which changes of resources and attributes an agent id survives (`--reconfiguration_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReconfigurationPolicy {
    /// None.
    #[default]
    Equal,
    /// Growth.
    Additive,
}

/// The settings of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Absolute path; sandboxes are below `slaves/`, checkpoints below `meta/`.
    pub work_dir: String,
    /// Shown in the command line of command executors, as Mesos does; nothing is run from it.
    pub launcher_dir: String,
    /// Variables that every executor gets (`--executor_environment_variables`), below the agent's own.
    pub executor_environment: BTreeMap<String, String>,
    /// Run executors as the user the framework names; without it they run as the agent does.
    pub switch_user: bool,
    /// The first registration comes within this; retries draw from twice as much each time.
    pub registration_backoff_factor: Duration,
    /// An executor that has not subscribed this long after its launch is ended.
    pub executor_registration_timeout: Duration,
    /// After an agent restart executors have this long to come back, at most
    /// [`limits::EXECUTOR_REREGISTRATION_MAX`].
    pub executor_reregistration_timeout: Duration,
    /// Between SHUTDOWN and the end of the container, unless the executor says otherwise.
    pub executor_shutdown_grace_period: Duration,
    /// How long executors of checkpointing frameworks wait for a restarting agent.
    pub recovery_timeout: Duration,
    /// Reconnect to executors of an earlier life, or end them.
    pub recover: Recover,
    /// Any damaged checkpoint stops the start; otherwise it is counted and left out.
    pub strict: bool,
    /// Which changes of resources and attributes are allowed.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// Sandboxes stay at most this long after their executor ended.
    pub gc_delay: Duration,
    /// Share of the disk to keep free, in `0.0..=1.0`.
    pub gc_disk_headroom: f64,
    /// How often the disk is measured and old sandboxes are collected.
    pub disk_watch_interval: Duration,
    /// Ended executors kept as history, per framework.
    pub max_completed_executors_per_framework: usize,
    /// Interval of heartbeats on an executor's stream.
    pub executor_heartbeat_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            work_dir: "/var/lib/meseta".to_owned(),
            launcher_dir: "/usr/libexec/mesos".to_owned(),
            executor_environment: BTreeMap::new(),
            switch_user: true,
            registration_backoff_factor: Duration::from_secs(1),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_shutdown_grace_period: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(15 * 60),
            recover: Recover::Reconnect,
            strict: true,
            reconfiguration_policy: ReconfigurationPolicy::Equal,
            gc_delay: Duration::from_secs(7 * 24 * 3600),
            gc_disk_headroom: 0.1,
            disk_watch_interval: Duration::from_secs(60),
            max_completed_executors_per_framework: 150,
            executor_heartbeat_interval: limits::EXECUTOR_HEARTBEAT,
        }
    }
}

/// Why a setting is refused. The text names the flag.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadConfig {
    /// The work directory is no absolute path.
    #[error("--work_dir must be an absolute path, not '{0}'")]
    WorkDirectory(String),
    /// The share is outside `0.0..=1.0`.
    #[error("Invalid value '{0}' for --gc_disk_headroom. Must be between 0.0 and 1.0")]
    Headroom(f64),
    /// The window is longer than executors can be expected to wait for.
    #[error(
        "Invalid value '{given}' for --executor_reregistration_timeout. Must be less than {max}"
    )]
    ReregistrationTimeout {
        /// What was given.
        given: String,
        /// [`limits::EXECUTOR_REREGISTRATION_MAX`].
        max: String,
    },
    /// A time that must pass is zero.
    #[error("--{0} must be longer than zero")]
    Zero(&'static str),
}

/// A duration as flags and environment variables spell it.
pub(crate) fn spelled(duration: Duration) -> String {
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    meseta_model::units::Duration::from_nanos(nanos).to_string()
}

impl Config {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`BadConfig`] names the flag and the rule.
    pub fn validate(&self) -> Result<(), BadConfig> {
        if !self.work_dir.starts_with('/') {
            return Err(BadConfig::WorkDirectory(self.work_dir.clone()));
        }
        if !(0.0..=1.0).contains(&self.gc_disk_headroom) {
            return Err(BadConfig::Headroom(self.gc_disk_headroom));
        }
        let window = self.executor_reregistration_timeout;
        if window > limits::EXECUTOR_REREGISTRATION_MAX {
            return Err(BadConfig::ReregistrationTimeout {
                given: spelled(window),
                max: spelled(limits::EXECUTOR_REREGISTRATION_MAX),
            });
        }
        let intervals = [
            ("disk_watch_interval", self.disk_watch_interval),
            (
                "executor_registration_timeout",
                self.executor_registration_timeout,
            ),
            (
                "executor_heartbeat_interval",
                self.executor_heartbeat_interval,
            ),
        ];
        match intervals.iter().find(|(_, value)| value.is_zero()) {
            Some((flag, _)) => Err(BadConfig::Zero(flag)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn each_rule_names_its_flag() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(
            refused(|c| c.work_dir = "var".into()),
            "--work_dir must be an absolute path, not 'var'"
        );
        assert_eq!(
            refused(|c| c.gc_disk_headroom = 1.5),
            "Invalid value '1.5' for --gc_disk_headroom. Must be between 0.0 and 1.0"
        );
        assert_eq!(
            refused(|c| c.executor_reregistration_timeout = Duration::from_secs(16)),
            "Invalid value '16secs' for --executor_reregistration_timeout. Must be less than 15secs"
        );
        assert_eq!(
            refused(|c| c.disk_watch_interval = Duration::ZERO),
            "--disk_watch_interval must be longer than zero"
        );
    }
}
