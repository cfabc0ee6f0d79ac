use meseta_proto::mesos::v1;
use v1::container_info::Type as ContainerType;

use super::said;
use super::samples::{
    OFFER, Tables, command, command_task, executor_task, offered, resources, revocable, says,
    volume, within,
};
use crate::allocation::inject_allocation;
use crate::capabilities::AgentCapabilities;
use crate::resources::ResourceFormat;
use crate::validation::task;

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
