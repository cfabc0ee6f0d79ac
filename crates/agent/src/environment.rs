//! What an executor's process is given: its environment.

use std::collections::BTreeMap;
use std::time::Duration;

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
        spelled(shutdown_grace(config.executor_shutdown_grace_period, info)),
    );
    if context.checkpoint {
        set("MESOS_RECOVERY_TIMEOUT", spelled(config.recovery_timeout));
        set(
            "MESOS_SUBSCRIPTION_BACKOFF_MAX",
            spelled(config.executor_reregistration_timeout),
        );
    }
    let wanted = info.command.as_ref().and_then(|c| c.environment.as_ref());
    // Secrets that cannot be resolved were refused with the launch.
    let wanted = wanted.map(meseta_model::environment::resolve);
    for (name, value) in wanted.and_then(Result::ok).unwrap_or_default() {
        set(&name, value);
    }
    environment
}

fn flag(value: bool) -> String {
    if value { "1" } else { "0" }.to_owned()
}

/// Between SHUTDOWN and the end of the container.
pub(crate) fn shutdown_grace(default: Duration, info: &v1::ExecutorInfo) -> Duration {
    match &info.shutdown_grace_period {
        Some(own) => Duration::from_nanos(u64::try_from(own.nanoseconds).unwrap_or(0)),
        None => default,
    }
}
