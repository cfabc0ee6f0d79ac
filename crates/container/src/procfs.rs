//! What `/proc` says of processes: who descends from whom, which carry a container's tag.
//!
//! A process id alone names nobody for long. Whoever signals a process found here goes through
//! [`Process::signal`], which pins it by a descriptor and compares its start time first.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// `R`, `S`, `Z` and so on (`proc_pid_stat(5)`).
    pub state: u8,
    /// Parent's id.
    pub parent: i32,
    /// Session id.
    pub session: i32,
    /// Cpu time in user mode, in ticks, waited-for children included.
    pub user_ticks: u64,
    /// Cpu time in the kernel, likewise.
    pub system_ticks: u64,
    /// Number of threads.
    pub threads: u32,
    /// Start time in ticks since boot; with the id it names a process for as long as the host is up.
    pub start: u64,
    /// Resident pages.
    pub resident_pages: u64,
}

impl Process {
    /// Ended, but not yet waited for: it holds nothing and can do nothing.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Pins the process; `None` if it is gone or its id belongs to another now.
    #[must_use]
    pub fn open(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Read again: only if the descriptor was opened while this very process lived does the
        // start time still agree.
        (read(self.pid)?.start == self.start).then_some(pidfd)
    }

    /// Sends a signal to this process and no other that has its id by now.
    pub fn signal(&self, signal: Signal) {
        if let Some(pidfd) = self.open() {
            let _ = pidfd_send_signal(pidfd, signal);
        }
    }
}

/// Reads one process; `None` if there is none of that id.
#[must_use]
pub fn read(pid: i32) -> Option<Process> {
    let mut buffer = [0_u8; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    parse(pid, buffer.get(..length)?)
}

/// Parses `/proc/PID/stat`. The name in brackets may itself hold brackets and blanks.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    // Numbered from 3 in proc_pid_stat(5): the state is the first here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let signed = |field: usize| fields.get(field - 3)?.parse::<i32>().ok();
    Some(Process {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: signed(4)?,
        session: signed(6)?,
        user_ticks: number(14)? + number(16)?,
        system_ticks: number(15)? + number(17)?,
        threads: u32::try_from(number(20)?).ok()?,
        start: number(22)?,
        resident_pages: number(24)?,
    })
}

/// The ids of all processes, in ascending order.
#[must_use]
pub fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// Every process, in ascending order of ids.
#[must_use]
pub fn table() -> Vec<Process> {
    pids().into_iter().filter_map(read).collect()
}

/// Those of `table` that descend from `ancestor`, itself excluded.
#[must_use]
pub fn descendants(table: &[Process], ancestor: i32) -> Vec<Process> {
    let mut family = BTreeSet::from([ancestor]);
    let mut found = Vec::new();
    // Ids mostly grow from parent to child, so one pass finds nearly all; a turn of the id counter
    // takes one more.
    loop {
        let before = found.len();
        for process in table {
            if family.contains(&process.parent) && family.insert(process.pid) {
                found.push(*process);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Those that descend from `ancestor`, itself excluded. Walks down the kernel's lists of children, so
/// the cost is that of the family and not of the host; reads the whole table on a kernel that keeps no
/// such lists (`CONFIG_PROC_CHILDREN`).
///
/// A process that is born or ends meanwhile may be missed: whoever needs all asks again.
#[must_use]
pub fn family(ancestor: i32) -> Vec<Process> {
    if !Path::new("/proc/thread-self/children").exists() {
        return descendants(&table(), ancestor);
    }
    let mut known = BTreeSet::from([ancestor]);
    let mut found = Vec::new();
    let mut unread = vec![ancestor];
    while let Some(parent) = unread.pop() {
        for pid in children(parent) {
            if known.insert(pid)
                && let Some(process) = read(pid)
            {
                found.push(process);
                unread.push(pid);
            }
        }
    }
    found
}

/// The children of all threads of a process; none when it is gone.
fn children(parent: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task"));
    let mut children = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = list.split_ascii_whitespace();
        children.extend(pids.filter_map(|pid| pid.parse::<i32>().ok()));
    }
    children
}

/// The soft limit on file locks of a process: the tag of its container (see [`crate::tag`]).
#[must_use]
pub fn locks_limit(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Names this boot of the host; ids and start times of another mean nothing.
#[must_use]
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Whether the environment a process started with holds `text` (`NAME=VALUE`) as an element.
#[must_use]
pub fn started_with(pid: i32, text: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|&byte| byte == 0)
            .any(|item| item == text.as_bytes())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = b"7 (a) b (c) S 1 7 6 0 -1 4194560 90 0 0 0 3 4 10 20 20 0 2 0 555 1000 33 x";
        let process = parse(7, stat).unwrap();
        assert_eq!(
            process,
            Process {
                pid: 7,
                state: b'S',
                parent: 1,
                session: 6,
                user_ticks: 13,
                system_ticks: 24,
                threads: 2,
                start: 555,
                resident_pages: 33,
            }
        );
        assert_eq!(parse(7, b"7 (cut"), None);
        assert_eq!(parse(7, b"7 (cut) S 1 7"), None);
    }

    #[test]
    fn descendants_are_found_even_when_a_child_has_the_lower_id() {
        let me = read(std::process::id().cast_signed()).unwrap();
        let process = |pid, parent| Process { pid, parent, ..me };
        let table = [process(2, 9), process(5, 1), process(9, 5), process(11, 4)];
        let pids: Vec<i32> = descendants(&table, 5).iter().map(|p| p.pid).collect();
        assert_eq!(pids, [9, 2]);
        assert_eq!(descendants(&table, 11), []);
    }

    #[test]
    fn a_family_is_walked_over_all_threads_and_generations() {
        let line = "sleep 1000 & read forever";
        // Started by a thread that is not the first one.
        let start = || {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]).stdin(Stdio::piped()).spawn()
        };
        let mut child = std::thread::scope(|scope| scope.spawn(start).join().unwrap()).unwrap();
        let pid = child.id().cast_signed();
        let deadline = Instant::now() + Duration::from_secs(60);
        let sleeper = loop {
            if let [sleeper] = family(pid)[..] {
                break sleeper;
            }
            assert!(Instant::now() < deadline, "{:?}", family(pid));
            std::thread::yield_now();
        };
        assert_eq!(sleeper.parent, pid);
        let own = family(std::process::id().cast_signed());
        let pids: Vec<i32> = own.iter().map(|process| process.pid).collect();
        assert!(
            pids.contains(&pid) && pids.contains(&sleeper.pid),
            "{pids:?}"
        );
        assert!(!pids.contains(&std::process::id().cast_signed()));
        sleeper.signal(Signal::KILL);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(family(pid), [], "nobody descends from who is gone");
    }

    #[test]
    fn this_process_is_itself_until_its_start_time_disagrees() {
        let me = read(std::process::id().cast_signed()).unwrap();
        assert!(me.open().is_some());
        assert!(
            Process {
                start: me.start + 1,
                ..me
            }
            .open()
            .is_none()
        );
    }
}
