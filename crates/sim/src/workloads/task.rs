//! Tasks as schedulers describe them, cut from offers.

use bytes::Bytes;
use meseta_proto::mesos::v1;

use crate::draws::Draws;
use crate::executors::program::Program;
use crate::world::{CUSTOM_EXECUTOR, MUTE_EXECUTOR};

/// What is left of one or more offers of one agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    /// Thousandths.
    pub(super) cpus: u64,
    /// Megabytes.
    pub(super) mem: u64,
    pub(super) ports: Vec<u64>,
}

impl Room {
    pub(super) fn of(resources: &[v1::Resource]) -> Self {
        let mut room = Self::default();
        for resource in resources {
            let scalar = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
            match resource.name.as_str() {
                "cpus" => room.cpus += (scalar * 1_000.0).round() as u64,
                "mem" => room.mem += scalar as u64,
                "ports" => {
                    for range in resource.ranges.iter().flat_map(|ranges| &ranges.range) {
                        room.ports.extend(range.begin..=range.end);
                    }
                }
                _ => {}
            }
        }
        room
    }

    fn take(&mut self, cpus: u64, mem: u64, port: bool) -> Option<Vec<v1::Resource>> {
        if self.cpus < cpus || self.mem < mem {
            return None;
        }
        let mut resources = vec![
            scalar("cpus", cpus as f64 / 1_000.0),
            scalar("mem", mem as f64),
        ];
        if port {
            let port = self.ports.pop()?;
            resources.push(ports(port));
        }
        self.cpus -= cpus;
        self.mem -= mem;
        Some(resources)
    }
}

pub(super) fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: name.to_owned(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        ..Default::default()
    }
}

fn ports(port: u64) -> v1::Resource {
    v1::Resource {
        name: "ports".to_owned(),
        r#type: v1::value::Type::Ranges as i32,
        ranges: Some(v1::value::Ranges {
            range: vec![v1::value::Range {
                begin: port,
                end: port,
            }],
        }),
        ..Default::default()
    }
}

/// A task of a drawn size, if it fits.
pub(super) fn task(
    draws: &mut Draws,
    id: &str,
    agent: &v1::AgentId,
    room: &mut Room,
    executor: Option<&v1::ExecutorInfo>,
) -> Option<v1::TaskInfo> {
    let cpus = draws.spread((50, 1_000));
    let mem = draws.spread((32, 256));
    let port = draws.permille(300) && !room.ports.is_empty();
    let resources = room.take(cpus, mem, port)?;
    let program = Program {
        run_us: draws.spread((20_000, 30_000_000)),
        exit_code: u8::from(draws.permille(150)),
        ignores_term: draws.permille(100),
    };
    let command = v1::CommandInfo {
        value: Some(program.text()),
        ..Default::default()
    };
    Some(v1::TaskInfo {
        name: id.to_owned(),
        task_id: v1::TaskId {
            value: id.to_owned(),
        },
        agent_id: agent.clone(),
        resources,
        executor: executor.cloned(),
        command: executor.is_none().then_some(command),
        data: executor.map(|_| Bytes::from(program.text())),
        kill_policy: draws
            .permille(200)
            .then(|| grace(draws.spread((1_000, 8_000_000)))),
        ..Default::default()
    })
}

/// A grace of this length between SIGTERM and SIGKILL.
pub(super) fn grace(us: u64) -> v1::KillPolicy {
    let nanoseconds = i64::try_from(us.saturating_mul(1_000)).unwrap_or(i64::MAX);
    v1::KillPolicy {
        grace_period: Some(v1::DurationInfo { nanoseconds }),
    }
}

/// The executor of a framework on an agent, if its own resources fit. A mute one never subscribes.
pub(super) fn executor(
    id: String,
    framework: Option<&v1::FrameworkId>,
    mute: bool,
    room: &mut Room,
) -> Option<v1::ExecutorInfo> {
    let program = if mute { MUTE_EXECUTOR } else { CUSTOM_EXECUTOR };
    Some(v1::ExecutorInfo {
        r#type: Some(v1::executor_info::Type::Custom as i32),
        executor_id: v1::ExecutorId { value: id },
        framework_id: framework.cloned(),
        command: Some(v1::CommandInfo {
            shell: Some(false),
            value: Some(program.to_owned()),
            ..Default::default()
        }),
        resources: room.take(100, 32, false)?,
        ..Default::default()
    })
}
