//! What a simulated task does, written into its description by the workload that launches it.

use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1;

/// How long a task runs and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) run_us: u64,
    pub(crate) exit_code: u8,
    /// SIGTERM does not impress it.
    pub(crate) ignores_term: bool,
}

impl Program {
    /// The text that stands in the task: `run MICROSECONDS CODE [stubborn]`.
    pub(crate) fn text(self) -> String {
        let stubborn = if self.ignores_term { " stubborn" } else { "" };
        format!("run {} {}{stubborn}", self.run_us, self.exit_code)
    }

    /// What the command of a task, or else its data, says; a text that says nothing runs for a second.
    pub(crate) fn of_task(task: &v1::TaskInfo) -> Self {
        let command = task
            .command
            .as_ref()
            .and_then(|command| command.value.clone());
        let data = || {
            task.data
                .as_ref()
                .map(|data| String::from_utf8_lossy(data).into_owned())
        };
        Self::read(&command.or_else(data).unwrap_or_default())
    }

    fn read(text: &str) -> Self {
        let mut words = text.split(' ').skip(1);
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (run_us, code) = (number(), number());
        Self {
            run_us: run_us.unwrap_or(1_000_000),
            exit_code: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0),
            ignores_term: text.ends_with(" stubborn"),
        }
    }

    pub(crate) fn status(self) -> WaitStatus {
        WaitStatus::exited(self.exit_code)
    }
}
