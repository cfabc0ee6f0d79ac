use std::collections::BTreeMap;

use meseta_proto::mesos::v1;
use v1::container_info::Type as ContainerType;
use v1::executor_info::Type as ExecutorType;

use super::said;
use super::samples::{
    OFFER, Tables, command, command_task, custom_executor, linux, offered, resources, revocable,
    volume, within,
};
use crate::capabilities::AgentCapabilities;
use crate::ids::{ExecutorId, TaskId};
use crate::resources::Resources;
use crate::validation::task_group;

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
