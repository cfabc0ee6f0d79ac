use std::collections::BTreeMap;

use meseta_proto::mesos::v1;
use v1::container_info::Type as ContainerType;
use v1::executor_info::Type as ExecutorType;

use super::said;
use crate::allocation::inject_allocation;
use crate::capabilities::AgentCapabilities;
use crate::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use crate::resources::{ResourceFormat, Resources};
use crate::roles::Role;
use crate::validation::{Known, TaskContext, task, task_group};

/// A master's tables, as far as validation asks.
#[derive(Default)]
struct Tables {
    executors: BTreeMap<ExecutorId, v1::ExecutorInfo>,
    shares_cgroups: Option<bool>,
}

impl Known for Tables {
    fn is_live(&self, task: &TaskId) -> bool {
        task.as_str() == "live"
    }
    fn is_unreachable(&self, task: &TaskId) -> bool {
        task.as_str() == "unreachable"
    }
    fn executor(&self, executor: &ExecutorId) -> Option<&v1::ExecutorInfo> {
        self.executors.get(executor)
    }
    fn shares_cgroups(&self, _: &ExecutorId) -> Option<bool> {
        self.shares_cgroups
    }
}

fn resources(text: &str) -> Vec<v1::Resource> {
    offered(text).to_wire(ResourceFormat::PostRefinement)
}

fn offered(text: &str) -> Resources {
    match Resources::parse(text, &Role::default()) {
        Ok(all) => all.allocated_to(&"r".into()),
        Err(bad) => panic!("{text}: {bad}"),
    }
}

fn command() -> v1::CommandInfo {
    v1::CommandInfo {
        value: Some("true".into()),
        ..Default::default()
    }
}

fn command_task() -> v1::TaskInfo {
    v1::TaskInfo {
        task_id: TaskId::new("t").to_wire(),
        agent_id: AgentId::new("s").to_wire(),
        resources: resources("cpus:1;mem:32"),
        command: Some(command()),
        ..Default::default()
    }
}

fn custom_executor() -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: ExecutorId::new("e").to_wire(),
        framework_id: Some(FrameworkId::new("f").to_wire()),
        command: Some(command()),
        resources: resources("cpus:0.1;mem:32"),
        ..Default::default()
    }
}

fn executor_task() -> v1::TaskInfo {
    v1::TaskInfo {
        command: None,
        executor: Some(custom_executor()),
        ..command_task()
    }
}

fn linux(share_cgroups: bool) -> v1::ContainerInfo {
    let linux = v1::LinuxInfo {
        share_cgroups: Some(share_cgroups),
        ..Default::default()
    };
    v1::ContainerInfo {
        r#type: ContainerType::Mesos as i32,
        linux_info: Some(linux),
        ..Default::default()
    }
}

fn within<T>(
    tables: &Tables,
    offer: &Resources,
    agent_capabilities: AgentCapabilities,
    check: impl FnOnce(&TaskContext<'_>) -> T,
) -> T {
    check(&TaskContext {
        framework_id: &"f".into(),
        agent_id: &"s".into(),
        agent_capabilities,
        offered: offer,
        known: tables,
    })
}

const OFFER: &str = "cpus:4;mem:1024;disk:100;ports:[1-10]";

fn check_at(info: &v1::TaskInfo, tables: &Tables, offer: &str) -> Result<Resources, String> {
    within(tables, &offered(offer), AgentCapabilities::ALL, |context| {
        task(info, context).map_err(|bad| bad.to_string())
    })
}

fn says(base: v1::TaskInfo, change: impl FnOnce(&mut v1::TaskInfo)) -> String {
    let mut info = base;
    change(&mut info);
    said(check_at(&info, &Tables::default(), OFFER))
}

#[test]
fn ids_and_agents() {
    let with_id = |id: &str| says(command_task(), |task| task.task_id.value = id.to_owned());
    assert_eq!(with_id("t"), "ok");
    assert_eq!(with_id(""), "ID must not be empty");
    assert_eq!(with_id("live"), "Task has duplicate ID: live");
    assert_eq!(
        with_id("unreachable"),
        "Task reuses the ID of an unreachable task: unreachable"
    );
    assert_eq!(
        says(command_task(), |task| task.agent_id.value = "x".into()),
        "Task uses invalid agent x while agent s is expected"
    );
}

#[test]
fn policies_and_checks() {
    let negative = Some(v1::DurationInfo { nanoseconds: -1 });
    assert_eq!(
        says(command_task(), |task| task.kill_policy =
            Some(v1::KillPolicy {
                grace_period: negative
            })),
        "Task's 'kill_policy.grace_period' must be non-negative"
    );
    assert_eq!(
        says(command_task(), |task| task.max_completion_time = negative),
        "Task's `max_completion_time` must be non-negative"
    );
    assert_eq!(
        says(command_task(), |task| task.check = Some(Default::default())),
        "Task uses invalid check: CheckInfo must specify 'type'"
    );
    assert_eq!(
        says(command_task(), |task| task.health_check =
            Some(Default::default())),
        "Task uses invalid health check: HealthCheck must specify 'type'"
    );
    let variable = v1::environment::Variable {
        name: "X".into(),
        ..Default::default()
    };
    let environment = Some(v1::Environment {
        variables: vec![variable],
    });
    assert_eq!(
        says(command_task(), |task| {
            task.command = Some(v1::CommandInfo {
                environment,
                ..command()
            });
        }),
        "Task's `CommandInfo` is invalid: Environment variable 'X' of type 'VALUE' must have a \
         value set"
    );
    let docker = v1::ContainerInfo {
        r#type: ContainerType::Docker as i32,
        ..Default::default()
    };
    assert_eq!(
        says(command_task(), |task| task.container = Some(docker.into())),
        "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed \
         ContainerInfo"
    );
}

fn volume(id: &str) -> v1::Resource {
    let mut wire = Resources::parse("disk(r):5", &Role::default())
        .map(|all| {
            all.allocated_to(&"r".into())
                .to_wire(ResourceFormat::PostRefinement)
        })
        .unwrap_or_default()
        .remove(0);
    let disk = v1::resource::DiskInfo {
        persistence: Some(v1::resource::disk_info::Persistence {
            id: id.to_owned(),
            principal: None,
        }),
        volume: Some(v1::Volume {
            container_path: "p".into(),
            ..Default::default()
        }),
        source: None,
    };
    wire.disk = Some(disk.into());
    wire
}

fn revocable(text: &str) -> Vec<v1::Resource> {
    let mut list = resources(text);
    list.iter_mut()
        .for_each(|wire| wire.revocable = Some(Default::default()));
    list
}

#[test]
fn resources_of_tasks() {
    let with = |list: Vec<v1::Resource>| says(command_task(), |task| task.resources = list);
    let changed = |text: &str, change: &dyn Fn(&mut v1::Resource)| {
        let mut list = resources(text);
        list.iter_mut().for_each(change);
        with(list)
    };
    assert_eq!(with(vec![]), "Task uses no resources");
    assert_eq!(
        changed("cpus:1", &|wire| wire.scalar = None),
        "Task uses invalid resources: Invalid resources: Resource 'cpus(allocated: r):' is \
         invalid: Invalid scalar resource"
    );
    assert_eq!(
        changed("gpus:1", &|wire| wire.scalar =
            Some(v1::value::Scalar { value: 0.5 })),
        "Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an \
         unsigned integer"
    );
    assert_eq!(
        with(vec![volume("v"), volume("v")]),
        "Task uses duplicate persistence ID: Persistence ID 'v' is not unique"
    );
    assert_eq!(
        changed("cpus:1", &|wire| wire.allocation_info = None),
        "Invalid task resources: The resources are not allocated to a role"
    );
    let other = offered("cpus:1").allocated_to(&"q".into());
    let two = [
        resources("cpus:1"),
        other.to_wire(ResourceFormat::PostRefinement),
    ]
    .concat();
    assert_eq!(
        with(two),
        "Invalid task resources: The resources have multiple allocation roles ('r' and 'q') but \
         only one allocation role is allowed"
    );
    assert_eq!(
        with([resources("cpus:1"), revocable("cpus:1")].concat()),
        "Task mixes revocable and non-revocable resources: Cannot use both revocable and \
         non-revocable 'cpus' at the same time"
    );
    assert_eq!(
        with(resources("cpus:5;mem:1")),
        "Total resources cpus(allocated: r):5; mem(allocated: r):1 required by task and its \
         executor is more than available cpus(allocated: r):4; mem(allocated: r):1024; \
         disk(allocated: r):100; ports(allocated: r):[1-10]"
    );
    assert_eq!(
        with(resources("cpus:4;gpus:0")),
        "ok",
        "nothing of something is fine"
    );
}

#[test]
fn disks_of_tasks() {
    let with = |change: &dyn Fn(&mut v1::Resource)| {
        let mut wire = volume("v");
        change(&mut wire);
        let says = says(command_task(), |task| task.resources = vec![wire]);
        says.strip_prefix("Task uses invalid resources: Invalid DiskInfo: ")
            .map_or_else(|| panic!("{says}"), str::to_owned)
    };
    fn disk(wire: &mut v1::Resource) -> &mut v1::resource::DiskInfo {
        wire.disk.get_or_insert_default()
    }
    let volumes = "Persistent volumes cannot be created from";
    assert_eq!(
        with(&|w| w.revocable = Some(Default::default())),
        format!("{volumes} revocable resources")
    );
    assert_eq!(
        with(&|w| w.reservations.clear()),
        format!("{volumes} unreserved resources")
    );
    assert_eq!(
        with(&|w| disk(w).volume = None),
        "Expecting 'volume' to be set for persistent volume"
    );
    assert_eq!(
        with(&|w| disk(w).volume.get_or_insert_default().host_path = Some("/".into())),
        "Expecting 'host_path' to be unset for persistent volume"
    );
    assert_eq!(
        with(&|w| disk(w).persistence.get_or_insert_default().id = "a/b".into()),
        "Invalid persistence ID for persistent volume: 'a/b' contains invalid characters"
    );
    assert_eq!(
        with(&|w| disk(w).persistence = None),
        "Non-persistent volume not supported"
    );
    assert_eq!(
        with(&|w| *disk(w) = Default::default()),
        "DiskInfo is set but empty"
    );
}

#[test]
fn limits_of_tasks() {
    let limited = |name: &str, value: f64| {
        says(command_task(), |task| {
            task.limits = [(name.to_owned(), v1::value::Scalar { value })].into();
        })
    };
    assert_eq!(limited("cpus", 1.0), "ok");
    assert_eq!(limited("cpus", f64::INFINITY), "ok");
    assert_eq!(limited("mem", f64::INFINITY), "ok");
    let low_cpu = "The cpu limit must be greater than or equal to the cpu request";
    assert_eq!(limited("cpus", 0.5), low_cpu);
    assert_eq!(limited("cpus", f64::NAN), low_cpu);
    let low_mem = "The memory limit must be greater than or equal to the memory request";
    assert_eq!(limited("mem", 31.0), low_mem);
    assert_eq!(
        limited("disk", 1.0),
        "Only cpus and mem may be included in a task's resource limits"
    );
    let alone = |name: &str, resource: &str| {
        says(command_task(), |task| {
            task.resources = resources(resource);
            task.limits = [(name.to_owned(), v1::value::Scalar { value: 9.0 })].into();
        })
    };
    assert_eq!(
        alone("cpus", "mem:1"),
        "When a CPU limit is specified, a CPU request must also be specified"
    );
    assert_eq!(
        alone("mem", "cpus:1"),
        "When a memory limit is specified, a memory request must also be specified"
    );
    let mut info = command_task();
    info.limits = [("cpus".to_owned(), v1::value::Scalar { value: 9.0 })].into();
    let old = within(
        &Tables::default(),
        &offered(OFFER),
        AgentCapabilities::NONE,
        |context| said(task(&info, context)),
    );
    assert_eq!(old, "Agent is not capable of handling task resource limits");
}

#[test]
fn command_or_executor() {
    let either =
        "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present";
    assert_eq!(says(command_task(), |task| task.command = None), either);
    assert_eq!(
        says(command_task(), |task| task.executor =
            Some(custom_executor())),
        either
    );
    assert_eq!(says(executor_task(), |_| ()), "ok");
}

#[test]
fn executors_of_tasks() {
    let with = |change: &dyn Fn(&mut v1::ExecutorInfo)| {
        says(executor_task(), |task| {
            task.executor.iter_mut().for_each(change)
        })
    };
    let default = ExecutorType::Default as i32;
    let image = v1::container_info::MesosInfo {
        image: Some(Default::default()),
    };
    let with_image = v1::ContainerInfo {
        mesos: Some(image),
        ..linux(false)
    };
    let docker = v1::ContainerInfo {
        r#type: ContainerType::Docker as i32,
        ..Default::default()
    };
    let as_default = |container: Option<v1::ContainerInfo>| {
        with(&|e| {
            e.r#type = Some(default);
            e.command = None;
            e.container = container.clone().map(Into::into);
        })
    };
    assert_eq!(
        with(&|e| e.r#type = Some(default)),
        "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
    );
    assert_eq!(
        as_default(Some(docker)),
        "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
    );
    assert_eq!(
        as_default(Some(with_image)),
        "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
    );
    assert_eq!(as_default(None), "'ExecutorInfo.type' must be 'CUSTOM'");
    assert_eq!(
        with(&|e| {
            e.r#type = Some(ExecutorType::Custom as i32);
            e.command = None;
        }),
        "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    );
    assert_eq!(
        with(&|e| e.command = None),
        "'ExecutorInfo.command' must be set"
    );
    assert_eq!(
        with(&|e| e.executor_id.value = "..".into()),
        "'..' is disallowed"
    );
    let negative = Some(v1::DurationInfo { nanoseconds: -1 });
    assert_eq!(
        with(&|e| e.shutdown_grace_period = negative),
        "ExecutorInfo's 'shutdown_grace_period' must be non-negative"
    );
    assert_eq!(
        with(&|e| e.framework_id = None),
        "'ExecutorInfo.framework_id' must be set"
    );
    assert_eq!(
        with(&|e| e.framework_id = Some(FrameworkId::new("g").to_wire())),
        "ExecutorInfo has an invalid FrameworkID (Actual: g vs Expected: f)"
    );
    assert_eq!(
        with(&|e| e.container = Some(linux(true).into())),
        "The 'share_cgroups' field cannot be set to 'true' on executor containers"
    );
    assert_eq!(with(&|e| e.container = Some(linux(false).into())), "ok");
    assert_eq!(
        with(&|e| e.resources.clear()),
        "ok",
        "only a warning in Mesos"
    );
}

#[test]
fn resources_of_executors() {
    let with = |list: Vec<v1::Resource>| {
        says(executor_task(), |task| {
            task.executor
                .iter_mut()
                .for_each(|e| e.resources.clone_from(&list));
        })
    };
    let mut bare = resources("cpus:1");
    bare.iter_mut().for_each(|wire| wire.allocation_info = None);
    assert_eq!(
        with(bare),
        "Invalid executor resources: The resources are not allocated to a role"
    );
    assert_eq!(
        with(vec![volume("v"), volume("v")]),
        "Executor uses duplicate persistence ID: Persistence ID 'v' is not unique"
    );
    assert_eq!(
        with([resources("mem:1"), revocable("mem:1")].concat()),
        "Executor mixes revocable and non-revocable resources: Cannot use both revocable and \
         non-revocable 'mem' at the same time"
    );
    assert_eq!(
        with(revocable("mem:1")),
        "Task and its executor mix revocable and non-revocable resources: Cannot use both \
         revocable and non-revocable 'mem' at the same time"
    );
    let mut shared = volume("v");
    shared.shared = Some(Default::default());
    assert_eq!(
        with(vec![shared]),
        "Executor resources disk(allocated: r)(reservations: [(STATIC,r)])[v:p]<SHARED>:5<1> \
         should not contain any shared resources"
    );
    let both = says(executor_task(), |task| {
        task.resources = resources("ports:[1-5]");
        task.executor
            .iter_mut()
            .for_each(|e| e.resources = resources("ports:[5-6]"));
    });
    assert_eq!(
        both,
        "There are overlapping resources in the task resources ports(allocated: r):[1-5] and \
         executor resources ports(allocated: r):[5-6]"
    );
    let volumes = says(executor_task(), |task| {
        task.resources = vec![volume("v")];
        task.executor
            .iter_mut()
            .for_each(|e| e.resources = vec![volume("v")]);
    });
    assert_eq!(
        volumes,
        "Task and its executor use duplicate persistence ID: Persistence ID 'v' is not unique"
    );
}

#[test]
fn a_running_executor_is_not_charged_and_must_be_the_same() {
    let new = check_at(&executor_task(), &Tables::default(), OFFER);
    assert_eq!(new, Ok(offered("cpus:1.1;mem:64")));
    let running = |executor: v1::ExecutorInfo| Tables {
        executors: [(ExecutorId::new("e"), executor)].into(),
        ..Tables::default()
    };
    let again = check_at(&executor_task(), &running(custom_executor()), OFFER);
    assert_eq!(again, Ok(offered("cpus:1;mem:32")));
    let mut reordered = custom_executor();
    reordered.resources.reverse();
    assert!(check_at(&executor_task(), &running(reordered), OFFER).is_ok());
    let other = v1::ExecutorInfo {
        name: Some("other".into()),
        ..custom_executor()
    };
    let refused = said(check_at(&executor_task(), &running(other), OFFER));
    assert!(
        refused.starts_with(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n"
        ),
        "{refused}"
    );
    assert!(check_at(&executor_task(), &Tables::default(), "cpus:1;mem:32").is_err());
    assert!(
        check_at(
            &executor_task(),
            &running(custom_executor()),
            "cpus:1;mem:32"
        )
        .is_ok()
    );
}

#[test]
fn single_tasks_share_cgroups() {
    let own = |share| {
        says(command_task(), |task| {
            task.container = Some(linux(share).into())
        })
    };
    assert_eq!(own(true), "ok");
    assert_eq!(
        own(false),
        "Only tasks in a task group may have 'share_cgroups' set to 'false'"
    );
}

fn default_executor() -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        r#type: Some(ExecutorType::Default as i32),
        command: None,
        resources: resources("cpus:0.1;mem:32;disk:32"),
        ..custom_executor()
    }
}

fn group_task(id: &str) -> v1::TaskInfo {
    v1::TaskInfo {
        task_id: TaskId::new(id).to_wire(),
        executor: Some(default_executor()),
        ..command_task()
    }
}

fn group_in(
    tables: &Tables,
    change: impl FnOnce(&mut Vec<v1::TaskInfo>, &mut v1::ExecutorInfo),
) -> Result<Resources, String> {
    let mut tasks = vec![group_task("a"), group_task("b")];
    let mut executor = default_executor();
    change(&mut tasks, &mut executor);
    let group = v1::TaskGroupInfo { tasks };
    within(tables, &offered(OFFER), AgentCapabilities::ALL, |context| {
        task_group(&group, &executor, context).map_err(|bad| bad.to_string())
    })
}

fn group_says(change: impl FnOnce(&mut Vec<v1::TaskInfo>, &mut v1::ExecutorInfo)) -> String {
    said(group_in(&Tables::default(), change))
}

#[test]
fn groups_are_charged_as_one() {
    let all = group_in(&Tables::default(), |_, _| ());
    assert_eq!(all, Ok(offered("cpus:2.1;mem:96;disk:32")));
    let running = Tables {
        executors: [(ExecutorId::new("e"), default_executor())].into(),
        ..Tables::default()
    };
    assert_eq!(group_in(&running, |_, _| ()), Ok(offered("cpus:2;mem:64")));
    let much = group_says(|tasks, _| tasks[0].resources = resources("cpus:3.5"));
    assert!(
        much.contains("required by task group and its executor are more than available"),
        "{much}"
    );
}

#[test]
fn one_bad_task_spoils_the_group() {
    assert_eq!(
        group_says(|tasks, _| tasks[1].task_id.value = "live".into()),
        "Task 'live' is invalid: Task has duplicate ID: live"
    );
    assert_eq!(
        group_says(|tasks, _| tasks[1].task_id.value = "a".into()),
        "Task has duplicate ID: a"
    );
    assert_eq!(
        group_says(|tasks, _| tasks[0].executor = None),
        "Task 'a' is invalid: 'TaskInfo.executor' must be set"
    );
    let docker = v1::ContainerInfo {
        r#type: ContainerType::Docker as i32,
        docker: Some(Default::default()),
        ..Default::default()
    };
    assert_eq!(
        group_says(|tasks, _| tasks[0].container = Some(docker.into())),
        "Task 'a' is invalid: Docker ContainerInfo is not supported on the task"
    );
    let networked = v1::ContainerInfo {
        network_infos: vec![Default::default()],
        ..linux(true)
    };
    let probe = v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Tcp as i32),
        tcp: Some(Default::default()),
        ..Default::default()
    };
    assert_eq!(
        group_says(|tasks, _| {
            tasks[0].container = Some(networked.into());
            tasks[0].health_check = Some(probe);
        }),
        "Task 'a' is invalid: HTTP and TCP health checks are not supported for nested containers \
         not joining parent's network"
    );
    let limits: BTreeMap<_, _> = [("cpus".to_owned(), v1::value::Scalar { value: 2.0 })].into();
    assert_eq!(
        group_says(|tasks, _| tasks[0].limits = limits.clone()),
        "Task 'a' is invalid: Resource limits may only be set for tasks within a task group when \
         the 'share_cgroups' field is set to 'false'."
    );
    assert_eq!(
        group_says(|tasks, _| {
            tasks[0].limits = limits;
            tasks
                .iter_mut()
                .for_each(|task| task.container = Some(linux(false).into()));
        }),
        "ok"
    );
}

#[test]
fn executors_of_groups() {
    let with = |change: &dyn Fn(&mut v1::ExecutorInfo)| {
        group_says(|tasks, executor| {
            change(executor);
            tasks
                .iter_mut()
                .for_each(|task| task.executor = Some(executor.clone()));
        })
    };
    let sized = |text: &str| with(&|e| e.resources = resources(text));
    assert_eq!(with(&|_| ()), "ok");
    assert_eq!(
        with(&|e| e.r#type = None),
        "'ExecutorInfo.type' must be set"
    );
    assert_eq!(with(&|e| e.r#type = Some(0)), "Unknown executor type");
    assert_eq!(with(&|e| e.r#type = Some(99)), "Unknown executor type");
    let docker = v1::ContainerInfo {
        r#type: ContainerType::Docker as i32,
        docker: Some(Default::default()),
        ..Default::default()
    };
    assert_eq!(
        with(&|e| {
            e.r#type = Some(ExecutorType::Custom as i32);
            e.command = Some(command());
            e.container = Some(docker.clone().into());
        }),
        "Docker ContainerInfo is not supported on the executor"
    );
    assert_eq!(
        group_says(|tasks, _| tasks[1]
            .executor
            .iter_mut()
            .for_each(|e| e.name = Some("x".into()))),
        "The `ExecutorInfo` of task 'b' is different from executor 'e'"
    );
    assert_eq!(
        sized("mem:32;disk:1"),
        "Executor 'e' uses less CPUs (None) than the minimum required (0.01)"
    );
    assert_eq!(
        sized("cpus:0.009;mem:32;disk:1"),
        "Executor 'e' uses less CPUs (0.009) than the minimum required (0.01)"
    );
    assert_eq!(
        sized("cpus:0.1;mem:31;disk:1"),
        "Executor 'e' uses less memory (31MB) than the minimum required (32MB)"
    );
    assert_eq!(
        sized("cpus:0.1;disk:1"),
        "Executor 'e' uses less memory (None) than the minimum required (32MB)"
    );
    assert_eq!(sized("cpus:0.1;mem:32"), "Executor 'e' uses no disk");
    assert_eq!(
        with(&|e| e.container = Some(linux(true).into())),
        "The 'share_cgroups' field cannot be set to 'true' on executor containers"
    );
}

#[test]
fn groups_do_not_claim_twice() {
    assert_eq!(
        group_says(|tasks, _| {
            tasks
                .iter_mut()
                .for_each(|task| task.resources = resources("ports:[1-3]"));
        }),
        "There are overlapping resources in the task group's task resources \
         { ports(allocated: r):[1-3], ports(allocated: r):[1-3] } and/or executor resources \
         cpus(allocated: r):0.1; mem(allocated: r):32; disk(allocated: r):32"
    );
    assert_eq!(
        group_says(|tasks, _| tasks
            .iter_mut()
            .for_each(|task| task.resources = vec![volume("v")])),
        "Task group and executor use duplicate persistence ID: Persistence ID 'v' is not unique"
    );
    assert_eq!(
        group_says(|tasks, _| tasks[0].resources = revocable("cpus:1")),
        "Task group and executor mix revocable and non-revocable resources: Cannot use both \
         revocable and non-revocable 'cpus' at the same time"
    );
}

#[test]
fn groups_agree_on_cgroups() {
    let differ = "If set, the value of 'share_cgroups' must be the same for all tasks in each task \
                  group and under a single executor";
    let own = |count: usize| {
        move |tasks: &mut Vec<v1::TaskInfo>, _: &mut v1::ExecutorInfo| {
            tasks
                .iter_mut()
                .take(count)
                .for_each(|t| t.container = Some(linux(false).into()));
        }
    };
    assert_eq!(group_says(own(1)), differ);
    assert_eq!(group_says(own(2)), "ok");
    let already = |share| Tables {
        shares_cgroups: Some(share),
        ..Tables::default()
    };
    assert_eq!(said(group_in(&already(true), own(2))), differ);
    assert_eq!(said(group_in(&already(false), own(2))), "ok");
    assert_eq!(said(group_in(&already(true), own(0))), "ok");
}

#[test]
fn allocation_is_filled_in_where_it_is_missing() {
    let mut info = executor_task();
    info.resources
        .iter_mut()
        .for_each(|wire| wire.allocation_info = None);
    let said_otherwise = offered("mem:1").allocated_to(&"q".into());
    info.resources
        .extend(said_otherwise.to_wire(ResourceFormat::PostRefinement));
    info.executor
        .iter_mut()
        .flat_map(|e| &mut e.resources)
        .for_each(|w| w.allocation_info = None);
    let launch = v1::offer::operation::Launch {
        task_infos: vec![info],
    };
    let mut operation = v1::offer::Operation {
        launch: Some(launch),
        ..Default::default()
    };
    inject_allocation(&mut operation, &"r".into());
    let roles: Vec<String> = operation
        .launch
        .iter()
        .flat_map(|launch| &launch.task_infos)
        .flat_map(|t| {
            t.resources
                .iter()
                .chain(t.executor.iter().flat_map(|e| &e.resources))
        })
        .map(|wire| {
            wire.allocation_info
                .clone()
                .unwrap_or_default()
                .role()
                .to_owned()
        })
        .collect();
    assert_eq!(roles, ["r", "r", "q", "r", "r"]);
}
