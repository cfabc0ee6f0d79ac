//! Golden plans, and refusals.

use std::path::PathBuf;

use meseta_model::container::{ContainerClass, ContainerLimits};
use meseta_proto::mesos::v1::command_info::Uri;
use meseta_proto::mesos::v1::r_limit_info::RLimit;
use meseta_proto::mesos::v1::{CommandInfo, ContainerInfo};

use super::*;
use crate::cgroup::{Cgroups, Hierarchy};
use crate::limits::FETCH_STALL_WINDOW;

/// What plans are made in; the tests change a part.
struct Host {
    root: bool,
    isolation: Isolation,
    fetch_environment: BTreeMap<String, String>,
}

impl Host {
    fn new(root: bool) -> Self {
        let proxy = ("http_proxy".to_owned(), "http://p:1".to_owned());
        let fetch_environment = BTreeMap::from([proxy]);
        Self {
            root,
            isolation: Isolation::default(),
            fetch_environment,
        }
    }

    fn plan(&self, spec: &LaunchSpec) -> Result<Plan, PlanRefusal> {
        let around = Surroundings {
            runtime_dir: Path::new("/run/meseta"),
            record: Path::new("/run/meseta/containers/c1"),
            root: self.root,
            user: "agent",
            roles: &Roles::of_this_binary(),
            fetch_environment: &self.fetch_environment,
            fetch_stall_timeout: FETCH_STALL_WINDOW,
            isolation: &self.isolation,
        };
        plan(spec, &around)
    }

    fn text(&self, spec: &LaunchSpec) -> String {
        self.plan(spec)
            .map_or_else(|refusal| refusal.to_string(), |plan| plan.to_string())
    }
}

fn command(value: &str) -> CommandInfo {
    CommandInfo {
        value: Some(value.to_owned()),
        ..CommandInfo::default()
    }
}

fn spec() -> LaunchSpec {
    LaunchSpec {
        container_id: ContainerId::root("c1"),
        class: ContainerClass::Default,
        program: Program::Command(command("echo hello")),
        environment: BTreeMap::from([("SECRET".to_owned(), "s3".to_owned())]),
        user: None,
        sandbox: "/work/c1".to_owned(),
        create_sandbox: false,
        uris: Vec::new(),
        limits: ContainerLimits::default(),
        rlimits: Vec::new(),
        container: None,
    }
}

#[test]
fn the_least_plan() {
    assert_eq!(
        Host::new(false).text(&spec()),
        "container c1 with record /run/meseta/containers/c1
start
  start a new session
  carry tag 2863724036307796907
  set umask 022
  die with the supervisor
  change directory to /work/c1
  append standard output to stdout
  append standard error to stderr
  run /bin/sh as [\"sh\", \"-c\", \"echo hello\"] with [\"SECRET\"]
"
    );
}

#[test]
fn the_most_plan() {
    let mut host = Host::new(true);
    let mount = PathBuf::from("/cg");
    let hierarchy = Hierarchy::V2 {
        mount,
        cpu: true,
        memory: true,
    };
    let cgroups = Cgroups {
        hierarchy,
        root: "mesos".to_owned(),
        enable_cfs: true,
    };
    host.isolation.cgroups = Some(cgroups);
    let uri = |value: &str, executable| Uri {
        value: value.to_owned(),
        executable: Some(executable),
        ..Uri::default()
    };
    let named = Uri {
        output_file: Some("d/x".to_owned()),
        ..uri("http://h/a.tgz", false)
    };
    let rlimit = RLimit {
        r#type: Some(10),
        soft: Some(64),
        hard: Some(128),
    };
    let spec = LaunchSpec {
        program: Program::CommandExecutor,
        user: Some("ann".to_owned()),
        sandbox: "/work/runs/c1".to_owned(),
        create_sandbox: true,
        uris: vec![named, uri("/opt/tool", true)],
        limits: ContainerLimits {
            cpus_millis: 1500,
            mem_bytes: Some(64 << 20),
            ..ContainerLimits::default()
        },
        rlimits: vec![rlimit],
        ..spec()
    };
    assert_eq!(
        host.text(&spec),
        "container c1 with record /run/meseta/containers/c1
place
  make cgroup /cg/mesos/c1
  make cgroup /cg/mesos/c1/leaf
  write 150 to /cg/mesos/c1/cpu.weight
  write 150000 100000 to /cg/mesos/c1/cpu.max
  write 67108864 to /cg/mesos/c1/memory.low
  write 67108864 to /cg/mesos/c1/memory.max
prepare
  make directory /work/runs/c1 with mode 0750 for user ann
  link /work/runs/latest to /work/runs/c1
fetch
  fetch http://h/a.tgz to d/x and extract it
  fetch /opt/tool and make it executable
  start a new session
  write 0 to /cg/mesos/c1/leaf/cgroup.procs
  carry tag 2863724036307796907
  set umask 022
  change to user ann
  die with the supervisor
  change directory to /work/runs/c1
  append standard error to stderr
  run /proc/self/exe as [\"meseta\", \"fetch\"] with [\"http_proxy\"]
start
  start a new session
  write 0 to /cg/mesos/c1/leaf/cgroup.procs
  carry tag 2863724036307796907
  set umask 022
  set rlimit NOFILE to 64 of 128
  change to user ann
  die with the supervisor
  change directory to /work/runs/c1
  append standard output to stdout
  append standard error to stderr
  go on as [\"meseta\", \"command-executor\"] with [\"SECRET\"]
kill
  kill /cg/mesos/c1
"
    );
}

#[test]
fn only_a_sandbox_that_is_made_among_runs_becomes_the_latest() {
    let prepare = |sandbox: &str, create_sandbox| {
        let spec = LaunchSpec {
            sandbox: sandbox.to_owned(),
            create_sandbox,
            ..spec()
        };
        let plan = Host::new(false).plan(&spec).ok();
        let steps = plan.map(|plan| plan.prepare).unwrap_or_default();
        steps.iter().map(Step::to_string).collect::<Vec<_>>()
    };
    let made = |path: &str| format!("make directory {path} with mode 0750");
    let link = "link /e/runs/latest to /e/runs/c".to_owned();
    assert_eq!(prepare("/e/runs/c", true), [made("/e/runs/c"), link]);
    assert_eq!(prepare("/e/runs/c", false), [""; 0]);
    for elsewhere in ["/e/runs/c/containers/d", "/e/overruns/c", "/runs"] {
        assert_eq!(prepare(elsewhere, true), [made(elsewhere)]);
    }
}

#[test]
fn a_plan_survives_the_way_to_the_supervisor() {
    let spec = LaunchSpec {
        uris: vec![Uri::default()],
        create_sandbox: true,
        ..spec()
    };
    let sent = Host::new(true).plan(&spec).ok();
    let bytes = sent
        .as_ref()
        .and_then(|plan| serde_json::to_vec(plan).ok())
        .unwrap_or_default();
    assert!(sent.is_some());
    assert_eq!(
        serde_json::from_slice::<Plan>(&bytes).ok(),
        sent,
        "place is empty without groups"
    );
}

#[test]
fn an_argument_vector_keeps_its_own_name() {
    let argv = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        let command = CommandInfo {
            shell: Some(false),
            arguments,
            ..command("tool")
        };
        command_line(&command)
    };
    let expected = |arguments: &[&str]| {
        Ok((
            "tool".to_owned(),
            arguments.iter().map(|&text| text.to_owned()).collect(),
        ))
    };
    assert_eq!(argv(&[]), expected(&["tool"]));
    assert_eq!(argv(&["name", "$x"]), expected(&["name", "$x"]));
    assert_eq!(command_line(&command("")), Err(PlanRefusal::NoCommand));
    assert_eq!(
        command_line(&CommandInfo::default()),
        Err(PlanRefusal::NoCommand)
    );
    assert!(matches!(
        command_line(&command("a\0")),
        Err(PlanRefusal::Nul(_))
    ));
}

#[test]
fn users_change_only_under_root() {
    let as_user = |root, user: &str| {
        Host::new(root)
            .plan(&LaunchSpec {
                user: Some(user.to_owned()),
                ..spec()
            })
            .map(|plan| {
                plan.start
                    .iter()
                    .any(|step| matches!(step, Step::SwitchUser { .. }))
            })
    };
    assert_eq!(as_user(true, "ann"), Ok(true));
    for root in [true, false] {
        assert_eq!(as_user(root, "agent"), Ok(false), "root: {root}");
    }
    let (wanted, own) = ("ann".to_owned(), "agent".to_owned());
    assert_eq!(
        as_user(false, "ann"),
        Err(PlanRefusal::User { wanted, own })
    );
}

#[test]
fn each_unsupported_wish_is_named() {
    let mesos = || ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        ..ContainerInfo::default()
    };
    let linux = |info: v1::LinuxInfo| ContainerInfo {
        linux_info: Some(info),
        ..mesos()
    };
    let named = v1::NetworkInfo {
        name: Some("net".to_owned()),
        ..Default::default()
    };
    let private = Some(v1::linux_info::IpcMode::Private as i32);
    let none = v1::LinuxInfo::default;
    let caps = || Some(v1::CapabilityInfo::default());
    let wishes = [
        (
            "docker",
            ContainerInfo {
                docker: Some(Default::default()),
                ..mesos()
            },
        ),
        (
            "mesos.image",
            ContainerInfo {
                mesos: Some(v1::container_info::MesosInfo {
                    image: Some(Default::default()),
                }),
                ..mesos()
            },
        ),
        (
            "volumes",
            ContainerInfo {
                volumes: vec![Default::default()],
                ..mesos()
            },
        ),
        (
            "hostname",
            ContainerInfo {
                hostname: Some(String::new()),
                ..mesos()
            },
        ),
        (
            "network_infos",
            ContainerInfo {
                network_infos: vec![named],
                ..mesos()
            },
        ),
        (
            "tty_info",
            ContainerInfo {
                tty_info: Some(Default::default()),
                ..mesos()
            },
        ),
        (
            "linux_info.bounding_capabilities",
            linux(v1::LinuxInfo {
                bounding_capabilities: caps(),
                ..none()
            }),
        ),
        (
            "linux_info.effective_capabilities",
            linux(v1::LinuxInfo {
                effective_capabilities: caps(),
                ..none()
            }),
        ),
        (
            "linux_info.share_pid_namespace",
            linux(v1::LinuxInfo {
                share_pid_namespace: Some(false),
                ..none()
            }),
        ),
        (
            "linux_info.seccomp",
            linux(v1::LinuxInfo {
                seccomp: Some(Default::default()),
                ..none()
            }),
        ),
        (
            "linux_info.ipc_mode",
            linux(v1::LinuxInfo {
                ipc_mode: private,
                ..none()
            }),
        ),
        (
            "linux_info.shm_size",
            linux(v1::LinuxInfo {
                shm_size: Some(1),
                ..none()
            }),
        ),
    ];
    for (field, container) in wishes {
        let refusal = Host::new(true).plan(&LaunchSpec {
            container: Some(Box::new(container)),
            ..spec()
        });
        assert_eq!(refusal, Err(PlanRefusal::Unsupported(field)));
    }
    let docker = v1::container_info::Type::Docker as i32;
    assert_eq!(
        unsupported(
            &ContainerInfo {
                r#type: docker,
                ..mesos()
            },
            false
        ),
        Some("type DOCKER")
    );
    let own_groups = linux(v1::LinuxInfo {
        share_cgroups: Some(false),
        ..none()
    });
    assert_eq!(
        unsupported(&own_groups, true),
        Some("linux_info.share_cgroups")
    );
    assert_eq!(unsupported(&own_groups, false), None);
    let host_network = ContainerInfo {
        network_infos: vec![Default::default()],
        ..mesos()
    };
    assert_eq!(unsupported(&host_network, false), None);
}

#[test]
fn rlimits_come_from_the_container_description_too() {
    let rlimits = vec![RLimit {
        r#type: Some(2),
        soft: None,
        hard: None,
    }];
    let container = ContainerInfo {
        r#type: v1::container_info::Type::Mesos as i32,
        rlimit_info: Some(v1::RLimitInfo { rlimits }),
        ..ContainerInfo::default()
    };
    let text = Host::new(false).text(&LaunchSpec {
        container: Some(Box::new(container)),
        ..spec()
    });
    assert!(
        text.contains("  set rlimit CORE to unlimited of unlimited\n"),
        "{text}"
    );
}

#[test]
fn what_no_process_can_be_given_is_refused() {
    let text = |spec: LaunchSpec| Host::new(true).text(&spec);
    let variable = |name: &str, value: &str| LaunchSpec {
        environment: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..spec()
    };
    assert_eq!(
        text(variable("A", "\0")),
        "environment variable 'A' holds a NUL byte"
    );
    assert_eq!(
        text(variable("A=B", "")),
        "'A=B' cannot name an environment variable"
    );
    assert_eq!(
        text(variable("", "")),
        "'' cannot name an environment variable"
    );
    let sandbox = |path: &str| LaunchSpec {
        sandbox: path.to_owned(),
        ..spec()
    };
    assert_eq!(
        text(sandbox("work")),
        "sandbox 'work' is not an absolute path"
    );
    assert_eq!(text(sandbox("/a\0")), "the sandbox holds a NUL byte");
    let uris = vec![Uri::default(); URIS + 1];
    assert_eq!(
        text(LaunchSpec { uris, ..spec() }),
        "1025 URIs to fetch, more than 1024"
    );
}

proptest::proptest! {
    #[test]
    fn an_id_that_passes_names_one_directory(element in "[a-z./\\x00-]{0,3}|[a-z]{199,202}") {
        let passes = check_id(&ContainerId::root(element.clone())).is_ok();
        let mut parts = Path::new(&element).components();
        let one = matches!(
            (parts.next(), parts.next()),
            (Some(std::path::Component::Normal(part)), None) if part == element.as_str()
        );
        let fits = one && element.len() <= ID_BYTES && !element.contains('\0');
        proptest::prop_assert_eq!(passes, fits);
    }
}
