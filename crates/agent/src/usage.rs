//! What an executor and its running tasks hold together, kept up to date task by task.

use std::collections::BTreeMap;

use meseta_model::container::ContainerLimits;
use meseta_model::resources::{Resource, Resources};
use meseta_proto::mesos::v1;

type TaskLimits = BTreeMap<String, v1::value::Scalar>;

/// Sums over an executor and its tasks that are not over.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    held: Resources,
    cpus: Bound,
    mem: Bound,
}

impl Usage {
    pub(crate) fn of_executor(info: &v1::ExecutorInfo) -> Self {
        let mut usage = Self::default();
        usage.add(&info.resources, &TaskLimits::new());
        usage
    }

    pub(crate) fn add_task(&mut self, task: &v1::Task) {
        self.add(&task.resources, &task.limits);
    }

    fn add(&mut self, resources: &[v1::Resource], limits: &TaskLimits) {
        self.held += &sum(resources);
        self.cpus.add(Part::of(resources, limits, "cpus"));
        self.mem.add(Part::of(resources, limits, "mem"));
    }

    pub(crate) fn remove_task(&mut self, task: &v1::Task) {
        self.held = self.held.saturating_sub(&sum(&task.resources));
        self.cpus
            .remove(Part::of(&task.resources, &task.limits, "cpus"));
        self.mem
            .remove(Part::of(&task.resources, &task.limits, "mem"));
    }

    pub(crate) fn held(&self) -> &Resources {
        &self.held
    }

    /// Requests and hard limits for the container. A task without a limit of its own counts with its
    /// request once any other has one; an infinite limit lifts the bound.
    pub(crate) fn limits(&self) -> ContainerLimits {
        ContainerLimits {
            cpus_millis: self.cpus.request,
            cpus_limit_millis: match self.cpus.hard_limit() {
                HardLimit::At(limit) => Some(limit),
                HardLimit::Request | HardLimit::Lifted => None,
            },
            mem_bytes: (self.mem.request > 0).then(|| bytes(self.mem.request)),
            mem_limit_bytes: match self.mem.hard_limit() {
                HardLimit::At(limit) => Some(bytes(limit)),
                HardLimit::Lifted => Some(u64::MAX),
                HardLimit::Request => None,
            },
        }
    }
}

/// What does not make sense was refused when it came.
fn sum(resources: &[v1::Resource]) -> Resources {
    let valid = resources
        .iter()
        .filter_map(|one| Resource::from_wire(one).ok());
    valid.collect()
}

/// Sums in thousandths.
#[derive(Debug, Default, PartialEq)]
struct Bound {
    request: i64,
    limit: i64,
    limited: u32,
    infinite: u32,
}

enum HardLimit {
    /// Nobody asked for another than the request.
    Request,
    At(i64),
    Lifted,
}

/// What one task adds.
struct Part {
    request: i64,
    limit: Option<Limit>,
}

enum Limit {
    Finite(i64),
    Infinite,
}

impl Part {
    fn of(resources: &[v1::Resource], limits: &TaskLimits, name: &str) -> Self {
        let matching = resources.iter().filter(|resource| resource.name == name);
        let scalars = matching.filter_map(|resource| resource.scalar.as_ref());
        Self {
            request: scalars.map(|scalar| millis(scalar.value)).sum(),
            limit: match limits.get(name).map(|limit| limit.value) {
                Some(value) if value == f64::INFINITY => Some(Limit::Infinite),
                Some(value) if value.is_finite() => Some(Limit::Finite(millis(value))),
                Some(_) | None => None,
            },
        }
    }

    fn finite(&self) -> i64 {
        match self.limit {
            Some(Limit::Finite(limit)) => limit,
            Some(Limit::Infinite) => 0,
            None => self.request,
        }
    }
}

impl Bound {
    fn add(&mut self, part: Part) {
        self.request = self.request.saturating_add(part.request);
        self.limit = self.limit.saturating_add(part.finite());
        self.limited += u32::from(part.limit.is_some());
        self.infinite += u32::from(matches!(part.limit, Some(Limit::Infinite)));
    }

    fn remove(&mut self, part: Part) {
        self.request = self.request.saturating_sub(part.request);
        self.limit = self.limit.saturating_sub(part.finite());
        let (limited, infinite) = match part.limit {
            None => (0, 0),
            Some(Limit::Finite(_)) => (1, 0),
            Some(Limit::Infinite) => (1, 1),
        };
        self.limited = self.limited.saturating_sub(limited);
        self.infinite = self.infinite.saturating_sub(infinite);
    }

    fn hard_limit(&self) -> HardLimit {
        match (self.limited, self.infinite) {
            (0, _) => HardLimit::Request,
            (_, 0) => HardLimit::At(self.limit),
            _ => HardLimit::Lifted,
        }
    }
}

/// Mesos's fixed point: thousandths, rounded half away from zero.
fn millis(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// Bytes of thousandths of a MB.
fn bytes(millis: i64) -> u64 {
    let bytes = u128::from(millis.unsigned_abs()) * (1 << 20) / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
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

    fn task(limits: &[(&str, f64)]) -> v1::Task {
        let one =
            |(name, value): &(&str, f64)| ((*name).to_owned(), v1::value::Scalar { value: *value });
        v1::Task {
            resources: vec![amount("cpus", 1.0), amount("mem", 64.0)],
            limits: limits.iter().map(one).collect(),
            ..Default::default()
        }
    }

    fn executor() -> Usage {
        Usage::of_executor(&v1::ExecutorInfo {
            resources: vec![amount("cpus", 0.1), amount("mem", 32.0)],
            ..Default::default()
        })
    }

    #[test]
    fn requests_add_up() {
        let mut usage = executor();
        usage.add_task(&task(&[]));
        let expected = ContainerLimits {
            cpus_millis: 1100,
            cpus_limit_millis: None,
            mem_bytes: Some(96 << 20),
            mem_limit_bytes: None,
        };
        assert_eq!(usage.limits(), expected);
        assert_eq!(
            *usage.held(),
            Resources::of(&[("cpus", 1.1), ("mem", 96.0)])
        );
    }

    #[test]
    fn limits_appear_with_the_first_and_go_with_the_last() {
        let mut usage = executor();
        usage.add_task(&task(&[]));
        let plain = usage.limits();
        let limited = task(&[("cpus", 2.0), ("mem", f64::INFINITY)]);
        usage.add_task(&limited);
        assert_eq!(usage.limits().cpus_limit_millis, Some(3100));
        assert_eq!(usage.limits().mem_limit_bytes, Some(u64::MAX));
        let unbound = task(&[("cpus", f64::INFINITY)]);
        usage.add_task(&unbound);
        assert_eq!(usage.limits().cpus_limit_millis, None);
        usage.remove_task(&unbound);
        assert_eq!(usage.limits().cpus_limit_millis, Some(3100));
        usage.remove_task(&limited);
        assert_eq!(usage.limits(), plain);
    }

    #[test]
    fn hostile_amounts_do_no_harm() {
        let mut usage = executor();
        let hostile = v1::Task {
            resources: vec![amount("cpus", f64::NAN), amount("mem", 1e300)],
            ..task(&[("cpus", f64::NAN), ("mem", -1.0)])
        };
        for _ in 0..3 {
            usage.add_task(&hostile);
        }
        assert_eq!(usage.limits().cpus_millis, 100);
        usage.remove_task(&hostile);
        assert_eq!(
            *usage.held(),
            Resources::of(&[("cpus", 0.1), ("mem", 32.0)])
        );
    }
}
