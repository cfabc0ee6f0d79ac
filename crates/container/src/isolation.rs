//! What bounds a container's cpu and memory: `--isolation`, checked against what this host offers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cgroup::{Cgroups, Hierarchy};

/// How containers are bounded. A choice that was made at start, never a guess at launch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Isolation {
    /// `None`: usage is reported, nothing is enforced (`posix/cpu,posix/mem`, Mesos's default).
    pub cgroups: Option<Cgroups>,
}

/// The flags that choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolationFlags {
    /// `--isolation`: comma-separated names.
    pub isolation: String,
    /// `--cgroups_hierarchy`.
    pub cgroups_hierarchy: PathBuf,
    /// `--cgroups_root`.
    pub cgroups_root: String,
    /// `--cgroups_enable_cfs`.
    pub cgroups_enable_cfs: bool,
}

impl Default for IsolationFlags {
    fn default() -> Self {
        Self {
            isolation: "posix/cpu,posix/mem".to_owned(),
            cgroups_hierarchy: PathBuf::from("/sys/fs/cgroup"),
            cgroups_root: "mesos".to_owned(),
            cgroups_enable_cfs: false,
        }
    }
}

/// Why an isolation cannot be had here. The agent does not start with less than was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsolationRefusal {
    /// No isolator of that name, or one of a later version.
    #[error(
        "isolation '{0}' is not supported: this version has posix/cpu, posix/mem, cgroups/cpu, \
         cgroups/mem, posix/rlimits and filesystem/posix"
    )]
    Unknown(String),
    /// Two isolators for one resource.
    #[error("isolation names both '{0}' and '{1}'")]
    Both(&'static str, &'static str),
    /// Control groups without the right to make any.
    #[error("isolation '{0}' needs root; without it use posix/cpu,posix/mem")]
    NotRoot(String),
    /// The kernel or the mounts lack something.
    #[error("isolation '{isolation}' cannot be used: {reason}")]
    Unusable {
        /// The isolator.
        isolation: String,
        /// What is missing, and where it was looked for.
        reason: String,
    },
}

impl Isolation {
    /// Chooses, and makes the agent's own group in each hierarchy.
    ///
    /// # Errors
    ///
    /// [`IsolationRefusal`] if anything asked for cannot be had.
    pub fn select(flags: &IsolationFlags) -> Result<Self, IsolationRefusal> {
        let wanted = Wanted::parse(&flags.isolation)?;
        let Some(first) = wanted.first() else {
            return Ok(Self::default());
        };
        if !rustix::process::geteuid().is_root() {
            return Err(IsolationRefusal::NotRoot(first.to_owned()));
        }
        let unusable = |reason| IsolationRefusal::Unusable {
            isolation: first.to_owned(),
            reason,
        };
        let mount = &flags.cgroups_hierarchy;
        let hierarchy = if mount.join("cgroup.controllers").exists() {
            version_2(mount, &flags.cgroups_root, wanted).map_err(unusable)?
        } else {
            version_1(mount, &flags.cgroups_root, wanted).map_err(unusable)?
        };
        let (root, enable_cfs) = (flags.cgroups_root.clone(), flags.cgroups_enable_cfs);
        Ok(Self {
            cgroups: Some(Cgroups {
                hierarchy,
                root,
                enable_cfs,
            }),
        })
    }
}

#[derive(Clone, Copy, Default)]
struct Wanted {
    cpu: bool,
    memory: bool,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, IsolationRefusal> {
        let mut wanted = Self::default();
        let names: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .collect();
        for name in &names {
            match *name {
                "cgroups/cpu" => wanted.cpu = true,
                "cgroups/mem" => wanted.memory = true,
                "posix/cpu" | "posix/mem" | "posix/rlimits" | "filesystem/posix" => {}
                other => return Err(IsolationRefusal::Unknown(other.to_owned())),
            }
        }
        for (one, two) in [("posix/cpu", "cgroups/cpu"), ("posix/mem", "cgroups/mem")] {
            if names.contains(&one) && names.contains(&two) {
                return Err(IsolationRefusal::Both(one, two));
            }
        }
        Ok(wanted)
    }

    fn first(self) -> Option<&'static str> {
        match self {
            Self { cpu: true, .. } => Some("cgroups/cpu"),
            Self { memory: true, .. } => Some("cgroups/mem"),
            _ => None,
        }
    }
}

fn version_1(mount: &Path, root: &str, wanted: Wanted) -> Result<Hierarchy, String> {
    let subsystem = |name: &str| -> Result<PathBuf, String> {
        // `cpu` is often a link to a mount that it shares with `cpuacct`.
        let path = mount
            .join(name)
            .canonicalize()
            .unwrap_or_else(|_| mount.join(name));
        if !path.join("cgroup.procs").exists() {
            return Err(format!(
                "no cgroup hierarchy is mounted at {}",
                path.display()
            ));
        }
        make(&path.join(root))?;
        Ok(path)
    };
    let only_if = |want: bool, name: &str| want.then(|| subsystem(name)).transpose();
    Ok(Hierarchy::V1 {
        cpu: only_if(wanted.cpu, "cpu")?,
        cpuacct: only_if(wanted.cpu, "cpuacct")?,
        memory: only_if(wanted.memory, "memory")?,
        freezer: subsystem("freezer")?,
    })
}

fn version_2(mount: &Path, root: &str, wanted: Wanted) -> Result<Hierarchy, String> {
    make(&mount.join(root))?;
    for (want, controller) in [(wanted.cpu, "cpu"), (wanted.memory, "memory")] {
        if want {
            enable(mount, root, controller)?;
        }
    }
    let (cpu, memory) = (wanted.cpu, wanted.memory);
    Ok(Hierarchy::V2 {
        mount: mount.to_path_buf(),
        cpu,
        memory,
    })
}

/// Hands a controller down from the mount to the groups of containers.
fn enable(mount: &Path, root: &str, controller: &str) -> Result<(), String> {
    let mut group = mount.to_path_buf();
    for element in [None]
        .into_iter()
        .chain(Path::new(root).components().map(Some))
    {
        group.extend(element);
        let offered = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
        if !offered
            .split_ascii_whitespace()
            .any(|name| name == controller)
        {
            return Err(format!(
                "{} does not offer the {controller} controller",
                group.display()
            ));
        }
        let control = group.join("cgroup.subtree_control");
        fs::write(&control, format!("+{controller}"))
            .map_err(|error| format!("{}: {error}", control.display()))?;
    }
    Ok(())
}

fn make(group: &Path) -> Result<(), String> {
    fs::create_dir_all(group).map_err(|error| format!("{}: {error}", group.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn flags(isolation: &str, hierarchy: &Path) -> IsolationFlags {
        IsolationFlags {
            isolation: isolation.to_owned(),
            cgroups_hierarchy: hierarchy.to_path_buf(),
            ..IsolationFlags::default()
        }
    }

    #[test]
    fn the_default_needs_nothing() {
        assert_eq!(
            Isolation::select(&IsolationFlags::default()),
            Ok(Isolation::default())
        );
    }

    #[test]
    fn what_is_unknown_doubled_or_missing_is_refused_with_the_reason() {
        let empty = tempfile::tempdir().unwrap();
        let refusal = |text: &str| {
            Isolation::select(&flags(text, empty.path()))
                .unwrap_err()
                .to_string()
        };
        assert!(refusal("posix/cpu,network/cni").contains("'network/cni' is not supported"));
        assert_eq!(
            refusal("posix/cpu, cgroups/cpu"),
            "isolation names both 'posix/cpu' and 'cgroups/cpu'"
        );
        let expected = if rustix::process::geteuid().is_root() {
            let path = empty.path().join("memory");
            format!(
                "isolation 'cgroups/mem' cannot be used: no cgroup hierarchy is mounted at {}",
                path.display()
            )
        } else {
            "isolation 'cgroups/mem' needs root; without it use posix/cpu,posix/mem".to_owned()
        };
        assert_eq!(refusal("cgroups/mem"), expected);
    }

    #[test]
    fn version_2_hands_controllers_down_level_by_level() {
        let mount = tempfile::tempdir().unwrap();
        for level in ["", "a", "a/b"] {
            let group = mount.path().join(level);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.controllers"), "cpu io memory\n").unwrap();
            fs::write(group.join("cgroup.subtree_control"), "").unwrap();
        }
        let wanted = Wanted {
            cpu: true,
            memory: false,
        };
        let hierarchy = version_2(mount.path(), "a/b", wanted).unwrap();
        let expected = Hierarchy::V2 {
            mount: mount.path().to_path_buf(),
            cpu: true,
            memory: false,
        };
        assert_eq!(hierarchy, expected);
        for level in ["", "a", "a/b"] {
            let control = mount.path().join(level).join("cgroup.subtree_control");
            assert_eq!(fs::read_to_string(control).unwrap(), "+cpu");
        }
        fs::write(mount.path().join("a/cgroup.controllers"), "io\n").unwrap();
        let fault = version_2(mount.path(), "a/b", wanted).unwrap_err();
        assert!(
            fault.ends_with("/a does not offer the cpu controller"),
            "{fault}"
        );
    }
}
