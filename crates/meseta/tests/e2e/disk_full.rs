//! Disks that are full: tasks fail with a reason, the agent goes on, and once there is room all is well.
//! Only root can make a small file system; others are told that these tests were left out.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Cluster, Scratch};

/// A file system in memory of this size, mounted there until dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("left out: only root can mount a small file system");
            return None;
        }
        fs::create_dir_all(&at).expect("the scratch directory is writable");
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&at);
        assert!(mount.status().expect("mount is there").success());
        Some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since an executor may still have its files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Leaves no byte free.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("ballast");
    let mut file = File::create(&path).expect("there is room for a name");
    for size in [65_536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

fn said(output: &std::process::Output) -> String {
    format!(
        "{} {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_full_disk_under_meta_fails_new_tasks_and_passes() {
    let scratch = Scratch::new();
    let meta = scratch.path("agent/meta");
    let Some(disk) = SmallDisk::mount(meta, "512k") else {
        return;
    };
    let mut cluster = Cluster::start_in(scratch, &[], &[]);
    let before = cluster.run(&["run", "--detach", "--", "sleep 600"]);
    assert_eq!(before.status.code(), Some(0), "{}", said(&before));

    let ballast = fill(&disk.0);
    let refused = cluster.run(&["run", "--detach", "--timeout", "20", "--", "sleep 600"]);
    assert_ne!(refused.status.code(), Some(0), "{}", said(&refused));
    assert!(cluster.agent.is_running());

    fs::remove_file(ballast).expect("just written");
    let after = cluster.run(&["run", "--detach", "--", "sleep 600"]);
    assert_eq!(after.status.code(), Some(0), "{}", said(&after));
}

#[test]
fn a_full_disk_under_the_sandboxes_fails_tasks_and_passes() {
    let scratch = Scratch::new();
    let sandboxes = scratch.path("agent/slaves");
    let Some(disk) = SmallDisk::mount(sandboxes, "2m") else {
        return;
    };
    let mut cluster = Cluster::start_in(scratch, &[], &[]);
    let line = "dd if=/dev/zero of=big bs=1M count=8 2>/dev/null || exit 7";
    let full = cluster.run(&["run", "--", line]);
    assert_eq!(full.status.code(), Some(7), "{}", said(&full));
    let ballast = fill(&disk.0);
    let refused = cluster.run(&["run", "--timeout", "20", "--", "echo hello"]);
    assert_ne!(String::from_utf8_lossy(&refused.stdout), "hello\n");
    assert!(cluster.agent.is_running());

    fs::remove_file(ballast).expect("just written");
    for entry in sandbox_files(&disk.0, "big") {
        fs::remove_file(entry).expect("left by the first task");
    }
    let after = cluster.run(&["run", "--", "echo hello"]);
    assert_eq!(
        String::from_utf8_lossy(&after.stdout),
        "hello\n",
        "{}",
        said(&after)
    );
}

/// Files of this name below `dir`.
fn sandbox_files(dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(sandbox_files(&path, name));
        } else if path.file_name().is_some_and(|file| file == name) {
            found.push(path);
        }
    }
    found
}
