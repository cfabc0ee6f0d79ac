//! The role that resources in an operation are allocated to: put in where a framework left it out,
//! taken out of what an agent keeps.

use meseta_proto::mesos::v1;
use v1::offer::Operation;

use crate::roles::Role;

/// Puts the offers' role into every resource of an operation that does not say for whom it is
/// allocated, tasks and executors of launches included.
pub fn inject_allocation(operation: &mut Operation, role: &Role) {
    each_resource(operation, &mut |resource| {
        let said = resource
            .allocation_info
            .as_ref()
            .is_some_and(|info| info.role.is_some());
        if !said {
            let role = Some(role.to_string());
            resource.allocation_info = Some(v1::resource::AllocationInfo { role });
        }
    });
}

/// Takes the allocation out of every resource of an operation: what an agent keeps has none.
pub fn strip_allocation(operation: &mut Operation) {
    each_resource(operation, &mut |resource| resource.allocation_info = None);
}

fn each_resource(operation: &mut Operation, change: &mut dyn FnMut(&mut v1::Resource)) {
    let mut lists: Vec<&mut Vec<v1::Resource>> = Vec::new();
    let mut singles: Vec<&mut v1::Resource> = Vec::new();
    for task in operation
        .launch
        .iter_mut()
        .flat_map(|launch| &mut launch.task_infos)
    {
        lists.push(&mut task.resources);
        lists.extend(
            task.executor
                .as_mut()
                .map(|executor| &mut executor.resources),
        );
    }
    if let Some(group) = &mut operation.launch_group {
        lists.push(&mut group.executor.resources);
        for task in &mut group.task_group.tasks {
            lists.push(&mut task.resources);
            lists.extend(
                task.executor
                    .as_mut()
                    .map(|executor| &mut executor.resources),
            );
        }
    }
    if let Some(reserve) = &mut operation.reserve {
        lists.push(&mut reserve.source);
        lists.push(&mut reserve.resources);
    }
    lists.extend(operation.unreserve.as_mut().map(|o| &mut o.resources));
    lists.extend(operation.create.as_mut().map(|o| &mut o.volumes));
    lists.extend(operation.destroy.as_mut().map(|o| &mut o.volumes));
    if let Some(grow) = &mut operation.grow_volume {
        singles.extend([&mut grow.volume, &mut grow.addition]);
    }
    singles.extend(operation.shrink_volume.as_mut().map(|o| &mut o.volume));
    singles.extend(operation.create_disk.as_mut().map(|o| &mut o.source));
    singles.extend(operation.destroy_disk.as_mut().map(|o| &mut o.source));
    lists.into_iter().flatten().chain(singles).for_each(change);
}
