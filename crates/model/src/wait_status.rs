//! Wait statuses as `waitpid(2)` gives them, and the sentences Mesos makes of them.

use std::fmt;

/// The status of a process that is over, in the encoding of `waitpid(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The status of a process that called `exit(code)`.
    #[must_use]
    pub fn exited(code: u8) -> Self {
        Self(i32::from(code) << 8)
    }

    /// The status of a process that a signal ended.
    #[must_use]
    pub fn signaled(signal: i32) -> Self {
        Self(signal & 0x7f)
    }

    /// The exit code, if the process exited by itself.
    #[must_use]
    pub fn exit_code(self) -> Option<i32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) & 0xff)
    }

    /// The signal that ended the process, if one did.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        let signal = self.0 & 0x7f;
        (signal != 0 && signal != 0x7f).then_some(signal)
    }

    /// Reads the sentence that an executor puts into a task's last status (`Command exited with status
    /// 3`); Mesos's own executors word it alike. `None` for any other sentence.
    #[must_use]
    pub fn from_message(message: &str) -> Option<Self> {
        let rest = message.strip_prefix("Command ")?;
        if let Some(code) = rest.strip_prefix("exited with status ") {
            return code.trim().parse().ok().map(Self::exited);
        }
        let rest = rest.strip_prefix("terminated with signal ")?;
        let name = rest.trim_end_matches(" (core dumped)");
        (1..=64)
            .find(|&signal| SignalName(signal).to_string() == name)
            .map(Self::signaled)
    }

    /// What a shell would make of it: the exit code, or 128 and the signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        self.exit_code()
            .or_else(|| self.signal().map(|signal| 128 + signal))
            .unwrap_or(1)
    }

    /// Exited with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for WaitStatus {
    /// `exited with status 3`, `terminated with signal Killed`, as Mesos words it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.exit_code() {
            return write!(f, "exited with status {code}");
        }
        match self.signal() {
            Some(signal) => {
                let core = if self.0 & 0x80 != 0 {
                    " (core dumped)"
                } else {
                    ""
                };
                write!(f, "terminated with signal {}{core}", SignalName(signal))
            }
            None => write!(f, "wait status {}", self.0),
        }
    }
}

/// Prints a signal as glibc's `strsignal` does in the C locale.
struct SignalName(i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "Hangup",
            2 => "Interrupt",
            3 => "Quit",
            4 => "Illegal instruction",
            5 => "Trace/breakpoint trap",
            6 => "Aborted",
            7 => "Bus error",
            8 => "Floating point exception",
            9 => "Killed",
            10 => "User defined signal 1",
            11 => "Segmentation fault",
            12 => "User defined signal 2",
            13 => "Broken pipe",
            14 => "Alarm clock",
            15 => "Terminated",
            24 => "CPU time limit exceeded",
            25 => "File size limit exceeded",
            31 => "Bad system call",
            other => return write!(f, "Unknown signal {other}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::WaitStatus;

    #[test]
    fn words_match_those_of_mesos() {
        let words = |status: WaitStatus| status.to_string();
        assert_eq!(words(WaitStatus::exited(0)), "exited with status 0");
        assert_eq!(words(WaitStatus::exited(3)), "exited with status 3");
        assert_eq!(
            words(WaitStatus::signaled(9)),
            "terminated with signal Killed"
        );
        assert_eq!(
            words(WaitStatus(0x80 | 11)),
            "terminated with signal Segmentation fault (core dumped)"
        );
    }

    #[test]
    fn its_own_words_are_read_back() {
        let statuses = (0..=255)
            .map(WaitStatus::exited)
            .chain((1..=31).map(WaitStatus::signaled));
        for status in statuses {
            assert_eq!(
                WaitStatus::from_message(&format!("Command {status}")),
                Some(status)
            );
        }
        assert_eq!(WaitStatus::from_message("Executor terminated"), None);
        assert_eq!(
            WaitStatus::from_message("Command exited with status x"),
            None
        );
        assert_eq!(WaitStatus::signaled(15).shell_code(), 143);
    }

    #[test]
    fn exit_code_and_signal_exclude_one_another() {
        for raw in 0..=0xffff {
            let status = WaitStatus(raw);
            assert!(
                status.exit_code().is_none() || status.signal().is_none(),
                "{raw}"
            );
        }
    }
}
