//! From a [`LaunchSpec`] to the list of steps that makes it run. Pure: same spec, same list.
//!
//! A plan has four parts, in the order of their execution: `place` (by the agent), `prepare` (by the
//! supervisor, while it is held), then, once released, `fetch` and `start` (each by a fresh child of
//! the supervisor, which becomes the fetcher or the program).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use meseta_model::container::{LaunchSpec, Program};
use meseta_model::ids::ContainerId;
use meseta_proto::mesos::v1;
use serde::{Deserialize, Serialize};

use crate::cgroup::{GroupPlan, KillGroup};
use crate::fetch::{FetchRequest, Item};
use crate::isolation::Isolation;
use crate::limits::{ID_BYTES, URIS};
use crate::step::{Output, Step};
use crate::{rlimit, tag};

/// Mode of a sandbox directory. Mesos: 0750 since 1.9.
const SANDBOX_MODE: u32 = 0o750;
/// New files of a container are 0644 unless it asks for less.
const UMASK: u32 = 0o022;

/// How to start the roles of this same binary. The program is started with the role's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The binary, absolute. `/proc/self/exe` is the running one, even after it was replaced.
    pub program: String,
    /// `argv[0]`, what `ps` shows.
    pub name: String,
    /// Makes it call [`launch_main`](crate::launch_main).
    pub launch: Vec<String>,
    /// Makes it call [`fetch_main`](crate::fetch_main).
    pub fetch: Vec<String>,
    /// What `ps` shows of the command executor, which is not started but forked off a supervisor.
    pub command_executor: Vec<String>,
}

impl Roles {
    /// The hidden subcommands of the running binary.
    #[must_use]
    pub fn of_this_binary() -> Self {
        let one = |text: &str| vec![text.to_owned()];
        Self {
            program: "/proc/self/exe".to_owned(),
            name: "meseta".to_owned(),
            launch: one("launch"),
            fetch: one("fetch"),
            command_executor: one("command-executor"),
        }
    }
}

/// What a plan depends on besides the spec.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where the records of containers are.
    pub runtime_dir: &'a Path,
    /// The container's own record, below it.
    pub record: &'a Path,
    /// Whether the agent may become other users.
    pub root: bool,
    /// Who the agent runs as.
    pub user: &'a str,
    /// The binary's roles.
    pub roles: &'a Roles,
    /// Environment of the fetcher: proxies, certificates.
    pub fetch_environment: &'a BTreeMap<String, String>,
    /// A download slower than 1 byte a second for this long is given up; zero: never.
    pub fetch_stall_timeout: Duration,
    /// How containers are bounded.
    pub isolation: &'a Isolation,
}

/// What becomes of one launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Done by the agent before anything is started; not sent to the supervisor.
    #[serde(skip)]
    pub place: Vec<Step>,
    /// Done by the supervisor while it is held.
    pub prepare: Vec<Step>,
    /// What to fetch and how to become the fetcher.
    pub fetch: Option<FetchPlan>,
    /// How to become the program.
    pub start: Vec<Step>,
    /// How to kill all processes at once, where the kernel offers it.
    pub kill: Option<KillGroup>,
    /// The container, for messages.
    pub container: String,
    /// The directory of its record.
    pub record: String,
}

/// The fetching part of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPlan {
    /// For the fetcher's standard input.
    pub request: FetchRequest,
    /// How to become the fetcher.
    pub start: Vec<Step>,
}

/// Why a launch cannot even be tried. The text goes to the framework.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// An element of the id cannot name a directory.
    #[error(
        "container id '{0}' is not usable as a directory name: 1 to {ID_BYTES} bytes, no '/', NUL, \
         '.' or '..'"
    )]
    Id(String),
    /// A wish this version cannot fulfil.
    #[error("container field '{0}' is not supported by this agent yet")]
    Unsupported(&'static str),
    /// A relative sandbox.
    #[error("sandbox '{0}' is not an absolute path")]
    Sandbox(String),
    /// A command without a value.
    #[error("the command has no value to run")]
    NoCommand,
    /// A byte no argument or variable can hold.
    #[error("{0} holds a NUL byte")]
    Nul(String),
    /// A name no variable can have.
    #[error("'{0}' cannot name an environment variable")]
    VariableName(String),
    /// Another user, without the right to become one.
    #[error(
        "cannot run as user '{wanted}': the agent runs as '{own}' and only root may change users"
    )]
    User {
        /// Who was asked for.
        wanted: String,
        /// Who the agent is.
        own: String,
    },
    /// A resource limit that makes no sense.
    #[error("{0}")]
    Rlimit(#[from] rlimit::Fault),
    /// More URIs than the limit.
    #[error("{0} URIs to fetch, more than {URIS}")]
    Uris(usize),
}

/// Makes the plan.
///
/// # Errors
///
/// [`PlanRefusal`]: the spec asks for something that cannot be done here.
pub fn plan(spec: &LaunchSpec, around: &Surroundings<'_>) -> Result<Plan, PlanRefusal> {
    check_id(&spec.container_id)?;
    check(spec)?;
    let user = user(spec, around)?;
    let groups = around.isolation.cgroups.as_ref();
    let groups = groups.map(|cgroups| cgroups.plan(&spec.container_id, &spec.limits));
    let GroupPlan { place, join, kill } = groups.unwrap_or_default();

    let tag = Step::Tag {
        tag: tag::tag(around.runtime_dir, &spec.container_id),
    };
    let mut enter = vec![Step::NewSession];
    enter.extend(join);
    enter.extend([tag, Step::SetUmask { mask: UMASK }]);

    let mut start = enter.clone();
    for limit in rlimits(spec) {
        start.push(rlimit::step(limit)?);
    }
    start.extend(settle(user, &spec.sandbox));
    start.extend([output(Output::Stdout), output(Output::Stderr)]);
    start.push(become_program(spec, around)?);

    Ok(Plan {
        place,
        prepare: sandbox(spec, user),
        fetch: fetch(spec, around, user, enter)?,
        start,
        kill,
        container: spec.container_id.to_string(),
        record: around.record.to_string_lossy().into_owned(),
    })
}

/// Whether every element of the id can name a directory.
///
/// # Errors
///
/// [`PlanRefusal::Id`] with the element.
pub fn check_id(id: &ContainerId) -> Result<(), PlanRefusal> {
    for element in id.path() {
        let bad = element.is_empty()
            || element.len() > ID_BYTES
            || matches!(element.as_str(), "." | "..")
            || element.contains(['/', '\0']);
        if bad {
            return Err(PlanRefusal::Id(element.clone()));
        }
    }
    Ok(())
}

fn check(spec: &LaunchSpec) -> Result<(), PlanRefusal> {
    if !spec.sandbox.starts_with('/') {
        return Err(PlanRefusal::Sandbox(spec.sandbox.clone()));
    }
    if spec.sandbox.contains('\0') {
        return Err(PlanRefusal::Nul("the sandbox".to_owned()));
    }
    for (name, value) in &spec.environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(PlanRefusal::VariableName(name.clone()));
        }
        if value.contains('\0') {
            return Err(PlanRefusal::Nul(format!("environment variable '{name}'")));
        }
    }
    match &spec.container {
        Some(container) => match unsupported(container, spec.container_id.path().len() > 1) {
            Some(field) => Err(PlanRefusal::Unsupported(field)),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The first field of a container description that would change nothing here though it should.
#[allow(deprecated)] // capability_info is still sent by old frameworks
fn unsupported(container: &v1::ContainerInfo, nested: bool) -> Option<&'static str> {
    let network = |network: &v1::NetworkInfo| {
        // Without a name it means the host's network, which is what every container has.
        network.name.is_some()
            || !network.port_mappings.is_empty()
            || !network.groups.is_empty()
            || network
                .ip_addresses
                .iter()
                .any(|ip| ip.ip_address.is_some())
    };
    let linux = container.linux_info.as_ref();
    let private_ipc = v1::linux_info::IpcMode::Private as i32;
    let confined = |info: &v1::LinuxInfo| {
        info.seccomp
            .as_ref()
            .is_some_and(|seccomp| seccomp.unconfined != Some(true))
    };
    let image = container
        .mesos
        .as_ref()
        .is_some_and(|mesos| mesos.image.is_some());
    let checks = [
        (
            container.r#type == v1::container_info::Type::Docker as i32,
            "type DOCKER",
        ),
        (container.docker.is_some(), "docker"),
        (image, "mesos.image"),
        (!container.volumes.is_empty(), "volumes"),
        (container.hostname.is_some(), "hostname"),
        (container.network_infos.iter().any(network), "network_infos"),
        (container.tty_info.is_some(), "tty_info"),
        (
            linux.is_some_and(|l| l.capability_info.is_some()),
            "linux_info.capability_info",
        ),
        (
            linux.is_some_and(|l| l.bounding_capabilities.is_some()),
            "linux_info.bounding_capabilities",
        ),
        (
            linux.is_some_and(|l| l.effective_capabilities.is_some()),
            "linux_info.effective_capabilities",
        ),
        (
            linux.is_some_and(|l| l.share_pid_namespace == Some(false)),
            "linux_info.share_pid_namespace",
        ),
        (linux.is_some_and(confined), "linux_info.seccomp"),
        (
            linux.is_some_and(|l| l.ipc_mode == Some(private_ipc)),
            "linux_info.ipc_mode",
        ),
        (
            linux.is_some_and(|l| l.shm_size.is_some()),
            "linux_info.shm_size",
        ),
        (
            nested && linux.is_some_and(|l| l.share_cgroups == Some(false)),
            "linux_info.share_cgroups",
        ),
    ];
    checks
        .into_iter()
        .find_map(|(hit, name)| hit.then_some(name))
}

/// Whom to become: nobody else when that is who the agent is.
fn user<'a>(
    spec: &'a LaunchSpec,
    around: &Surroundings<'_>,
) -> Result<Option<&'a str>, PlanRefusal> {
    match spec.user.as_deref() {
        Some(user) if user.contains('\0') => Err(PlanRefusal::Nul("the user".to_owned())),
        // Looking a user up costs more than all the rest of a supervisor's work.
        Some(user) if user == around.user => Ok(None),
        Some(user) if around.root => Ok(Some(user)),
        Some(user) => Err(PlanRefusal::User {
            wanted: user.to_owned(),
            own: around.user.to_owned(),
        }),
        None => Ok(None),
    }
}

fn rlimits(spec: &LaunchSpec) -> &[v1::r_limit_info::RLimit] {
    let described = spec
        .container
        .as_ref()
        .and_then(|container| container.rlimit_info.as_ref());
    match described {
        Some(info) if spec.rlimits.is_empty() => &info.rlimits,
        _ => &spec.rlimits,
    }
}

fn sandbox(spec: &LaunchSpec, user: Option<&str>) -> Vec<Step> {
    if !spec.create_sandbox {
        return Vec::new();
    }
    let (path, owner) = (spec.sandbox.clone(), user.map(str::to_owned));
    let make = Step::MakeDirectory {
        path,
        mode: SANDBOX_MODE,
        owner,
    };
    [make].into_iter().chain(latest(&spec.sandbox)).collect()
}

/// compat: beside the runs of an executor, `latest` leads to the newest, by its absolute path
/// (`slave/paths.cpp`, `createExecutorDirectory`).
fn latest(sandbox: &str) -> Option<Step> {
    let runs = Path::new(sandbox).parent()?;
    runs.ends_with("runs").then(|| Step::Link {
        path: runs.join("latest").to_string_lossy().into_owned(),
        target: sandbox.to_owned(),
    })
}

/// The end of being the agent's: user, fate, place. Only then are files opened, so that nothing a
/// user has put in its sandbox is followed with the agent's rights.
fn settle(user: Option<&str>, sandbox: &str) -> Vec<Step> {
    let switch = user.map(|user| Step::SwitchUser {
        user: user.to_owned(),
    });
    // After the switch: changing users clears it (prctl(2), PR_SET_PDEATHSIG).
    let rest = [
        Step::DieWithSupervisor,
        Step::ChangeDirectory {
            path: sandbox.to_owned(),
        },
    ];
    switch.into_iter().chain(rest).collect()
}

fn output(output: Output) -> Step {
    let path = match output {
        Output::Stdout => "stdout",
        Output::Stderr => "stderr",
    };
    Step::OpenOutput {
        output,
        path: path.to_owned(),
    }
}

fn become_program(spec: &LaunchSpec, around: &Surroundings<'_>) -> Result<Step, PlanRefusal> {
    let environment = spec.environment.clone();
    match &spec.program {
        Program::CommandExecutor => Ok(Step::CommandExecutor {
            arguments: role(around.roles, &around.roles.command_executor),
            environment,
        }),
        Program::Command(command) => {
            let (program, arguments) = command_line(command)?;
            Ok(Step::Execute {
                program,
                arguments,
                environment,
            })
        }
    }
}

/// `argv` of this binary in a role.
fn role(roles: &Roles, arguments: &[String]) -> Vec<String> {
    [roles.name.clone()]
        .into_iter()
        .chain(arguments.iter().cloned())
        .collect()
}

/// Program and `argv` of a command: `/bin/sh -c VALUE`, or VALUE with the arguments, of which the
/// first is `argv[0]`.
///
/// # Errors
///
/// [`PlanRefusal::NoCommand`] without a value, [`PlanRefusal::Nul`].
pub fn command_line(command: &v1::CommandInfo) -> Result<(String, Vec<String>), PlanRefusal> {
    let value = command.value.clone().filter(|value| !value.is_empty());
    let value = value.ok_or(PlanRefusal::NoCommand)?;
    let parts = [&value].into_iter().chain(&command.arguments);
    if parts.into_iter().any(|part| part.contains('\0')) {
        return Err(PlanRefusal::Nul("the command".to_owned()));
    }
    if command.shell.unwrap_or(true) {
        let arguments = vec!["sh".to_owned(), "-c".to_owned(), value];
        return Ok(("/bin/sh".to_owned(), arguments));
    }
    let arguments = match command.arguments.as_slice() {
        [] => vec![value.clone()],
        arguments => arguments.to_vec(),
    };
    Ok((value, arguments))
}

fn fetch(
    spec: &LaunchSpec,
    around: &Surroundings<'_>,
    user: Option<&str>,
    mut start: Vec<Step>,
) -> Result<Option<FetchPlan>, PlanRefusal> {
    if spec.uris.is_empty() {
        return Ok(None);
    }
    if spec.uris.len() > URIS {
        return Err(PlanRefusal::Uris(spec.uris.len()));
    }
    start.extend(settle(user, &spec.sandbox));
    // Standard output is the supervisor's pipe: the reason of a failure comes back on it.
    start.push(output(Output::Stderr));
    start.push(Step::Execute {
        program: around.roles.program.clone(),
        arguments: role(around.roles, &around.roles.fetch),
        environment: around.fetch_environment.clone(),
    });
    let items = spec.uris.iter().map(Item::from).collect();
    let request = FetchRequest {
        sandbox: spec.sandbox.clone(),
        stall_timeout_secs: around.fetch_stall_timeout.as_secs(),
        items,
    };
    Ok(Some(FetchPlan { request, start }))
}

/// The golden form: one step a line under the name of its part.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fetch = self.fetch.as_ref().map_or(&[][..], |fetch| &fetch.start);
        let parts = [
            ("place", &self.place[..]),
            ("prepare", &self.prepare),
            ("fetch", fetch),
            ("start", &self.start),
        ];
        writeln!(
            f,
            "container {} with record {}",
            self.container, self.record
        )?;
        for (name, steps) in parts.into_iter().filter(|(_, steps)| !steps.is_empty()) {
            writeln!(f, "{name}")?;
            for item in self.fetch.iter().flat_map(|fetch| &fetch.request.items) {
                if name == "fetch" {
                    writeln!(f, "  fetch {item}")?;
                }
            }
            for step in steps {
                writeln!(f, "  {step}")?;
            }
        }
        match &self.kill {
            Some(KillGroup::Freezer { directory }) => {
                writeln!(f, "kill\n  freeze and kill {directory}")
            }
            Some(KillGroup::KillFile { directory }) => writeln!(f, "kill\n  kill {directory}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
