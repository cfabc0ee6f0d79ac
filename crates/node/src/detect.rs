//! What this machine has, as Mesos detects it when `--resources` does not say
//! (`src/slave/containerizer/containerizer.cpp`): all cpus; memory less 1 GB, or half of it below
//! 2 GB; disk less 5 GB, or half of it below 10 GB; ports 31000 to 32000. GPUs are not detected.

use std::path::Path;

/// What a machine has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Processors this process may use.
    pub cpus: u64,
    /// Megabytes of memory to offer.
    pub mem_mb: u64,
    /// Megabytes of disk to offer.
    pub disk_mb: u64,
}

/// The first and last port that Mesos offers by default.
pub const PORTS: (u64, u64) = (31_000, 32_000);

const GB: u64 = 1024;

impl Machine {
    /// Looks at this machine; `work_dir` names the file system whose size counts.
    ///
    /// # Errors
    /// The file system could not be asked for its size.
    pub fn detect(work_dir: &Path) -> std::io::Result<Self> {
        let info = rustix::system::sysinfo();
        #[allow(clippy::useless_conversion)]
        let memory = u64::try_from(info.totalram).unwrap_or(0) * u64::from(info.mem_unit);
        let disk = rustix::fs::statvfs(work_dir)?;
        Ok(Self {
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            mem_mb: usable(memory >> 20, GB),
            disk_mb: usable((disk.f_blocks * disk.f_frsize) >> 20, 5 * GB),
        })
    }

    /// The text form of `--resources`.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            cpus,
            mem_mb,
            disk_mb,
        } = self;
        format!(
            "cpus:{cpus};mem:{mem_mb};disk:{disk_mb};ports:[{}-{}]",
            PORTS.0, PORTS.1
        )
    }

    /// The text form of one of `parts` equal parts, the ports included; `part` counts from 0.
    #[must_use]
    pub fn part_text(&self, part: u64, parts: u64) -> String {
        let parts = parts.max(1);
        let width = (PORTS.1 - PORTS.0 + 1) / parts;
        let begin = PORTS.0 + part * width;
        let cpus = self.cpus as f64 / parts as f64;
        let (mem, disk) = (self.mem_mb / parts, self.disk_mb / parts);
        format!(
            "cpus:{cpus:.3};mem:{mem};disk:{disk};ports:[{begin}-{}]",
            begin + width - 1
        )
    }
}

/// What is left of `total` after `kept` is kept for the system, or half where that is little.
fn usable(total: u64, kept: u64) -> u64 {
    if total > 2 * kept {
        total - kept
    } else {
        total / 2
    }
}

#[cfg(test)]
mod tests {
    use super::{GB, Machine, usable};

    #[test]
    fn small_machines_keep_half_for_themselves() {
        assert_eq!(usable(8 * GB, GB), 7 * GB);
        assert_eq!(usable(GB, GB), GB / 2);
        assert_eq!(usable(9 * GB, 5 * GB), 9 * GB / 2);
    }

    #[test]
    fn parts_share_no_port_and_add_up_to_at_most_the_whole() {
        let machine = Machine {
            cpus: 2,
            mem_mb: 1001,
            disk_mb: 50,
        };
        assert_eq!(
            machine.text(),
            "cpus:2;mem:1001;disk:50;ports:[31000-32000]"
        );
        assert_eq!(
            machine.part_text(0, 2),
            "cpus:1.000;mem:500;disk:25;ports:[31000-31499]"
        );
        assert_eq!(
            machine.part_text(1, 2),
            "cpus:1.000;mem:500;disk:25;ports:[31500-31999]"
        );
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::detect(std::path::Path::new("/")).expect("/ has a size");
        assert!(
            machine.cpus > 0 && machine.mem_mb > 0 && machine.disk_mb > 0,
            "{machine:?}"
        );
    }
}
