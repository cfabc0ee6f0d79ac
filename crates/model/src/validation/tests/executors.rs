use meseta_proto::mesos::v1;
use v1::container_info::Type as ContainerType;
use v1::executor_info::Type as ExecutorType;

use super::said;
use super::samples::{
    OFFER, Tables, check_at, command_task, custom_executor, executor_task, linux, offered,
    resources, revocable, says, volume,
};
use crate::ids::{ExecutorId, FrameworkId};

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
