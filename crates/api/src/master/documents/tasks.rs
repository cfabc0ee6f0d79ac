//! `/tasks`: a page of all tasks, newest first unless asked otherwise.

use std::cmp::Ordering;

use super::document;
use crate::query::Query;
use crate::read::{MasterRead, Task};

/// Tasks on a page when `limit` says nothing usable.
const TASK_LIMIT: usize = 100;

pub(crate) fn tasks(read: &MasterRead, query: &Query) -> String {
    let framework = query.get("framework_id");
    let id = query.get("task_id");
    let frameworks = read.frameworks.iter();
    let frameworks = frameworks
        .filter(|known| framework.is_none_or(|wanted| known.framework.id.as_str() == wanted));
    let mut found: Vec<&Task> = frameworks
        .flat_map(|known| [&known.active, &known.unreachable, &known.completed])
        .flatten()
        .map(|task| &**task)
        .filter(|task| id.is_none_or(|wanted| task.id.as_str() == wanted))
        .collect();
    if query.get("order") == Some("asc") {
        found.sort_by(|a, b| by_first_status(a, b));
    } else {
        found.sort_by(|a, b| by_first_status(b, a));
    }
    let offset = number(query.get("offset"), 0);
    let limit = number(query.get("limit"), TASK_LIMIT);
    document(|o| {
        o.list("tasks", |l| {
            for task in found.into_iter().skip(offset).take(limit) {
                l.raw(task.legacy());
            }
        });
    })
}

/// Tasks without a status come before all others.
fn by_first_status(a: &Task, b: &Task) -> Ordering {
    match (a.since, b.since) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// compat: a number below zero wraps around in Mesos, so that `limit=-1` means all.
fn number(text: Option<&str>, default: usize) -> usize {
    match text.and_then(|text| text.trim().parse::<i64>().ok()) {
        Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
        None => default,
    }
}
