//! What an executor's process is given: its environment and its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use meseta_model::container::ContainerLimits;
use meseta_proto::mesos::v1;

use crate::config::{Config, spelled};

/// The search path of a container that names none, as Mesos's launcher sets it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What differs from one executor to the next.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) info: &'a v1::ExecutorInfo,
    pub(crate) directory: &'a str,
    pub(crate) agent_id: String,
    pub(crate) agent_pid: String,
    pub(crate) agent_endpoint: String,
    pub(crate) checkpoint: bool,
}

/// The whole environment: the operator's variables, then the contract of the executor API, then what
/// the framework asks for, each overriding the one before.
pub(crate) fn variables(context: &Context<'_>) -> BTreeMap<String, String> {
    let Context { config, info, .. } = context;
    let mut environment = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    environment.extend(config.executor_environment.clone());
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    let framework = info.framework_id.clone().unwrap_or_default();
    set("LIBPROCESS_PORT", "0".to_owned());
    set("MESOS_FRAMEWORK_ID", framework.value);
    set("MESOS_EXECUTOR_ID", info.executor_id.value.clone());
    set("MESOS_DIRECTORY", context.directory.to_owned());
    set("MESOS_SANDBOX", context.directory.to_owned());
    set("MESOS_SLAVE_ID", context.agent_id.clone());
    set("MESOS_SLAVE_PID", context.agent_pid.clone());
    set("MESOS_AGENT_ENDPOINT", context.agent_endpoint.clone());
    set("MESOS_CHECKPOINT", flag(context.checkpoint));
    set("MESOS_HTTP_COMMAND_EXECUTOR", flag(true));
    set(
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
        spelled(shutdown_grace(config, info)),
    );
    if context.checkpoint {
        set("MESOS_RECOVERY_TIMEOUT", spelled(config.recovery_timeout));
        set(
            "MESOS_SUBSCRIPTION_BACKOFF_MAX",
            spelled(config.executor_reregistration_timeout),
        );
    }
    let wanted = info.command.as_ref().and_then(|c| c.environment.as_ref());
    for variable in wanted.map_or(&[][..], |e| &e.variables) {
        set(&variable.name, variable.value.clone().unwrap_or_default());
    }
    environment
}

fn flag(value: bool) -> String {
    if value { "1" } else { "0" }.to_owned()
}

/// Between SHUTDOWN and the end of the container.
pub(crate) fn shutdown_grace(config: &Config, info: &v1::ExecutorInfo) -> Duration {
    match &info.shutdown_grace_period {
        Some(own) => Duration::from_nanos(u64::try_from(own.nanoseconds).unwrap_or(0)),
        None => config.executor_shutdown_grace_period,
    }
}

type TaskShare<'a> = (&'a [v1::Resource], &'a BTreeMap<String, v1::value::Scalar>);

/// Requests and hard limits of a container with these tasks. A task without a limit of its own
/// counts with its request once any other task has one; an infinite limit lifts the bound.
pub(crate) fn container_limits<'a>(
    info: &v1::ExecutorInfo,
    tasks: impl Iterator<Item = TaskShare<'a>>,
) -> ContainerLimits {
    let mut cpus = Bound::of(scalar(&info.resources, "cpus"));
    let mut mem = Bound::of(scalar(&info.resources, "mem"));
    for (resources, limits) in tasks {
        cpus.add(scalar(resources, "cpus"), limits.get("cpus"));
        mem.add(scalar(resources, "mem"), limits.get("mem"));
    }
    let cpus_limit = cpus.hard_limit().filter(|limit| limit.is_finite());
    ContainerLimits {
        cpus_millis: millis(cpus.request),
        cpus_limit_millis: cpus_limit.map(millis),
        mem_bytes: (mem.request > 0.0).then(|| megabytes(mem.request)),
        mem_limit_bytes: mem.hard_limit().map(megabytes),
    }
}

/// A request and, once any part has one, a limit.
struct Bound {
    request: f64,
    limit: f64,
    is_limited: bool,
}

impl Bound {
    fn of(request: f64) -> Self {
        Self {
            request,
            limit: request,
            is_limited: false,
        }
    }

    fn add(&mut self, request: f64, limit: Option<&v1::value::Scalar>) {
        self.request += request;
        self.limit += limit.map_or(request, |limit| limit.value);
        self.is_limited |= limit.is_some();
    }

    fn hard_limit(&self) -> Option<f64> {
        self.is_limited.then_some(self.limit)
    }
}

fn scalar(resources: &[v1::Resource], name: &str) -> f64 {
    let matching = resources.iter().filter(|resource| resource.name == name);
    matching
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}

/// Mesos's fixed point: thousandths, rounded half away from zero.
fn millis(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// Bytes of an amount in MB; an infinite one is the largest number.
fn megabytes(value: f64) -> u64 {
    (value * 1024.0 * 1024.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(name: &str, value: f64) -> v1::Resource {
        v1::Resource {
            name: name.to_owned(),
            r#type: v1::value::Type::Scalar.into(),
            scalar: Some(v1::value::Scalar { value }),
            ..Default::default()
        }
    }

    #[test]
    fn requests_add_up_and_limits_appear_with_the_first() {
        let info = v1::ExecutorInfo {
            resources: vec![amount("cpus", 0.1), amount("mem", 32.0)],
            ..Default::default()
        };
        let resources = [amount("cpus", 1.0), amount("mem", 64.0)];
        let none = BTreeMap::new();
        let plain = container_limits(&info, [(&resources[..], &none)].into_iter());
        assert_eq!(
            plain,
            ContainerLimits {
                cpus_millis: 1100,
                cpus_limit_millis: None,
                mem_bytes: Some(96 << 20),
                mem_limit_bytes: None,
            }
        );
        let limits = BTreeMap::from([
            ("cpus".to_owned(), v1::value::Scalar { value: 2.0 }),
            (
                "mem".to_owned(),
                v1::value::Scalar {
                    value: f64::INFINITY,
                },
            ),
        ]);
        let both = [(&resources[..], &none), (&resources[..], &limits)];
        let limited = container_limits(&info, both.into_iter());
        assert_eq!(limited.cpus_limit_millis, Some(3100));
        assert_eq!(limited.mem_limit_bytes, Some(u64::MAX));
        let unbound = BTreeMap::from([(
            "cpus".to_owned(),
            v1::value::Scalar {
                value: f64::INFINITY,
            },
        )]);
        let lifted = container_limits(&info, [(&resources[..], &unbound)].into_iter());
        assert_eq!(lifted.cpus_limit_millis, None);
    }
}
