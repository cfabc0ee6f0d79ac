//! `meseta run`: one command, its output, its exit code.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1::{self, TaskState, framework_info::capability::Type as Capability};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::args::Run;
use super::framework::{Framework, Happening, Wanted};
use super::output::{Output, Stream, is_over};
use super::placement::Needs;
use super::shortfall;

/// How long to wait for a fitting offer before saying why there is none.
const EXPLAIN_AFTER: Duration = Duration::from_millis(250);
/// The first and the longest pause between two looks at a running task's output.
const LOOK_FIRST: Duration = Duration::from_millis(50);
const LOOK_LONGEST: Duration = Duration::from_millis(500);
/// How long tasks may take to end after Ctrl-C before the framework is removed over their heads.
const KILL_PATIENCE: Duration = Duration::from_secs(8);
/// How long detached tasks outlive the framework that started them, seconds.
const DETACHED_FAILOVER_TIMEOUT: f64 = 7.0 * 24.0 * 3600.0;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
/// What `timeout(1)` says.
const TIMED_OUT: i32 = 124;

/// Runs it and returns the exit code.
///
/// # Errors
/// No master answers, or it goes away.
pub async fn run(run: Run) -> anyhow::Result<i32> {
    let framework = Framework::subscribe(&run.master.master, framework_info(&run)).await?;
    let mut session = Session::new(run, framework);
    session.begin().await?;
    let code = session.watch().await;
    session.end(code).await
}

fn framework_info(run: &Run) -> v1::FrameworkInfo {
    let mut capabilities = vec![
        Capability::MultiRole,
        Capability::PartitionAware,
        Capability::ReservationRefinement,
    ];
    if run.gpus > 0 {
        capabilities.push(Capability::GpuResources);
    }
    v1::FrameworkInfo {
        user: run
            .user
            .clone()
            .unwrap_or_else(meseta_container::current_user),
        name: format!("run: {}", run.command.join(" ")),
        roles: vec![run.role.clone()],
        capabilities: capabilities
            .into_iter()
            .map(|kind| v1::framework_info::Capability {
                r#type: Some(kind.into()),
            })
            .collect(),
        checkpoint: Some(run.detach),
        failover_timeout: run.detach.then_some(DETACHED_FAILOVER_TIMEOUT),
        ..Default::default()
    }
}

fn needs(run: &Run) -> Needs {
    let scalars = [
        ("cpus", run.cpus),
        ("mem", run.mem),
        ("disk", run.disk),
        ("gpus", f64::from(run.gpus)),
    ];
    Needs {
        scalars: scalars
            .into_iter()
            .filter(|(_, amount)| *amount > 0.0)
            .collect(),
        constraints: run.constraint.clone(),
    }
}

/// One argument is a shell line, as with ssh; more are taken as they are.
fn command(run: &Run) -> v1::CommandInfo {
    let mut command = v1::CommandInfo {
        user: run.user.clone(),
        ..Default::default()
    };
    match run.command.as_slice() {
        [line] => command.value = Some(line.clone()),
        arguments => {
            command.shell = Some(false);
            command.value = arguments.first().cloned();
            command.arguments = arguments.to_vec();
        }
    }
    command.uris = run
        .uri
        .iter()
        .map(|uri| v1::command_info::Uri {
            value: uri.clone(),
            ..Default::default()
        })
        .collect();
    let variables = run
        .env
        .iter()
        .map(|(name, value)| v1::environment::Variable {
            name: name.clone(),
            value: Some(value.clone()),
            ..Default::default()
        });
    command.environment = (!run.env.is_empty()).then(|| v1::Environment {
        variables: variables.collect(),
    });
    command
}

fn tasks(run: &Run) -> Vec<Wanted> {
    let stem = run.name.clone().unwrap_or_else(|| stem(&run.command));
    let stamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    let unique = format!("{:x}{:x}", stamp, std::process::id());
    let wanted = (0..run.instances).map(|instance| {
        let suffix = if run.instances > 1 {
            format!(".{instance}")
        } else {
            String::new()
        };
        let task = v1::TaskInfo {
            name: stem.clone(),
            task_id: v1::TaskId {
                value: format!("{stem}.{unique}{suffix}"),
            },
            command: Some(command(run)),
            ..Default::default()
        };
        Wanted {
            task,
            needs: needs(run),
        }
    });
    wanted.collect()
}

/// A task name out of a command: what stands behind the last slash of its first word.
fn stem(command: &[String]) -> String {
    let word = command
        .first()
        .and_then(|first| first.split_whitespace().next())
        .unwrap_or("task");
    let name = word.rsplit('/').next().unwrap_or(word);
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(40)
        .collect();
    if name.is_empty() {
        "task".to_owned()
    } else {
        name
    }
}

/// Why watching stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    AllOver,
    AllRun,
    Interrupted,
    TimedOut,
}

struct Session {
    run: Run,
    framework: Framework,
    outputs: Vec<Option<(Output, Output)>>,
    over: BTreeSet<usize>,
    running: BTreeSet<usize>,
    code: i32,
    explained: bool,
    started: Instant,
}

impl Session {
    fn new(run: Run, framework: Framework) -> Self {
        Self {
            run,
            framework,
            outputs: Vec::new(),
            over: BTreeSet::new(),
            running: BTreeSet::new(),
            code: 0,
            explained: false,
            started: Instant::now(),
        }
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        let tasks = tasks(&self.run);
        self.outputs = tasks.iter().map(|_| None).collect();
        self.say(&json!({"event": "subscribed", "framework_id": self.framework.id().value}));
        self.framework.add(tasks).await
    }

    async fn watch(&mut self) -> anyhow::Result<Stopped> {
        let timeout = self.run.timeout.map(|timeout| self.started + timeout);
        let never = self.started + Duration::from_secs(100 * 365 * 24 * 3600);
        // One listener for the whole watch: a signal between two rounds is not lost.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut pause = LOOK_FIRST;
        let mut look = self.started + LOOK_FIRST;
        loop {
            let explain = if self.explained {
                never
            } else {
                self.started + EXPLAIN_AFTER
            };
            let give_up = timeout.filter(|_| !self.all_run()).unwrap_or(never);
            tokio::select! {
                event = self.framework.event() => {
                    let happening = self.framework.take_in(event?).await?;
                    self.happened(happening).await?;
                }
                () = sleep_until(look) => {
                    self.print_outputs(false).await?;
                    pause = (pause * 2).min(LOOK_LONGEST);
                    look = Instant::now() + pause;
                }
                () = sleep_until(explain) => self.explain().await,
                () = sleep_until(give_up) => return Ok(Stopped::TimedOut),
                _ = interrupt.recv() => return Ok(Stopped::Interrupted),
            }
            if self.over.len() == self.outputs.len() {
                return Ok(Stopped::AllOver);
            }
            if self.run.detach && self.all_run() {
                return Ok(Stopped::AllRun);
            }
        }
    }

    fn all_run(&self) -> bool {
        self.running.len() == self.outputs.len()
    }

    async fn happened(&mut self, happening: Happening) -> anyhow::Result<()> {
        match happening {
            Happening::Offered { launched } if launched.is_empty() => {
                if self.framework.waiting().next().is_some() {
                    self.explain().await;
                }
            }
            Happening::Offered { launched } => {
                for index in launched {
                    self.launched(index);
                }
            }
            Happening::Update { index, status } => self.updated(index, &status).await?,
            Happening::Nothing => {}
        }
        Ok(())
    }

    fn launched(&mut self, index: usize) {
        let (Some(place), Some(wanted)) = (
            self.framework.placed(index),
            self.framework.wanted().get(index),
        ) else {
            return;
        };
        let task = &wanted.task.task_id.value;
        let framework = &self.framework.id().value;
        let output = |stream| Output::new(&place.agent, framework, task, stream);
        let both = (output(Stream::Stdout), output(Stream::Stderr));
        self.say(&json!({"event": "launched", "task_id": task, "agent": place.agent, "hostname": place.hostname}));
        if let Some(slot) = self.outputs.get_mut(index) {
            *slot = Some(both);
        }
    }

    async fn updated(&mut self, index: usize, status: &v1::TaskStatus) -> anyhow::Result<()> {
        let state = status.state();
        self.say(&json!({
            "event": "update", "task_id": status.task_id.value, "state": state.as_str_name(), "message": status.message(),
        }));
        if state == TaskState::TaskRunning {
            self.running.insert(index);
        }
        if !is_over(state) || !self.over.insert(index) {
            return Ok(());
        }
        self.running.insert(index);
        self.print_output(index).await?;
        let code = exit_code(status);
        if self.code == 0 {
            self.code = code;
        }
        if WaitStatus::from_message(status.message()).is_none() && code != 0 && !self.run.json {
            let state = state.as_str_name();
            eprintln!(
                "meseta: task {} is {state}: {}",
                status.task_id.value,
                status.message()
            );
        }
        Ok(())
    }

    async fn explain(&mut self) {
        if std::mem::replace(&mut self.explained, true) || self.framework.waiting().next().is_none()
        {
            return;
        }
        let report = shortfall::report(&self.run.master.master, &needs(&self.run)).await;
        if self.run.json {
            self.say(&json!({"event": "waiting", "why": report}));
            return;
        }
        let patience = match self.run.timeout {
            Some(timeout) => format!("waiting up to {timeout:?}"),
            None => "waiting (Ctrl-C gives up)".to_owned(),
        };
        eprintln!("meseta: no agent offers what this task needs; {patience}");
        for line in report {
            eprintln!("  {line}");
        }
    }

    async fn print_outputs(&mut self, all: bool) -> anyhow::Result<()> {
        for index in 0..self.outputs.len() {
            if all || !self.over.contains(&index) {
                self.print_output(index).await?;
            }
        }
        Ok(())
    }

    async fn print_output(&mut self, index: usize) -> anyhow::Result<()> {
        if self.run.json || self.run.detach {
            return Ok(());
        }
        let prefix = if self.outputs.len() > 1 {
            format!("[{index}] ")
        } else {
            String::new()
        };
        if let Some(Some((stdout, stderr))) = self.outputs.get_mut(index) {
            stdout.print(&prefix).await?;
            stderr.print(&prefix).await?;
        }
        Ok(())
    }

    fn say(&self, event: &serde_json::Value) {
        if self.run.json {
            println!("{event}");
        }
    }

    async fn end(self, stopped: anyhow::Result<Stopped>) -> anyhow::Result<i32> {
        match stopped {
            Ok(Stopped::AllOver) => {
                self.framework.tear_down().await?;
                Ok(self.code)
            }
            Ok(Stopped::AllRun) => {
                if !self.run.json {
                    for wanted in self.framework.wanted() {
                        println!("{}", wanted.task.task_id.value);
                    }
                }
                Ok(0)
            }
            Ok(Stopped::Interrupted) => {
                self.kill_all().await?;
                Ok(INTERRUPTED)
            }
            Ok(Stopped::TimedOut) => {
                let waiting = self.outputs.len() - self.running.len();
                eprintln!(
                    "meseta: gave up: {waiting} of {} did not run in time",
                    self.outputs.len()
                );
                self.kill_all().await?;
                Ok(TIMED_OUT)
            }
            Err(error) => bail!(error),
        }
    }

    /// Kills what runs, waits for its end, then removes the framework.
    async fn kill_all(mut self) -> anyhow::Result<()> {
        let live: Vec<usize> = (0..self.outputs.len())
            .filter(|index| self.framework.placed(*index).is_some() && !self.over.contains(index))
            .collect();
        for index in &live {
            self.framework.kill(*index).await?;
        }
        let patience = Instant::now() + KILL_PATIENCE;
        while live.iter().any(|index| !self.over.contains(index)) {
            tokio::select! {
                event = self.framework.event() => {
                    if let Happening::Update { index, status } = self.framework.take_in(event?).await?
                        && is_over(status.state())
                    {
                        self.over.insert(index);
                        self.print_output(index).await?;
                    }
                }
                () = sleep_until(patience) => break,
            }
        }
        self.framework.tear_down().await
    }
}

/// The command's own exit code where it is known, 1 where the task failed otherwise.
fn exit_code(status: &v1::TaskStatus) -> i32 {
    if status.state() == TaskState::TaskFinished {
        return 0;
    }
    WaitStatus::from_message(status.message()).map_or(1, |wait| match wait.shell_code() {
        0 => 1,
        code => code,
    })
}

#[cfg(test)]
mod tests {
    use super::{exit_code, stem};
    use meseta_proto::mesos::v1::{TaskState, TaskStatus};

    #[test]
    fn names_come_from_commands() {
        let name =
            |words: &[&str]| stem(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(name(&["/bin/echo", "hi"]), "echo");
        assert_eq!(name(&["sleep 5; true"]), "sleep");
        assert_eq!(name(&["*"]), "task");
    }

    #[test]
    fn exit_codes_are_those_of_the_command() {
        let code = |state: TaskState, message: &str| {
            exit_code(&TaskStatus {
                state: state.into(),
                message: Some(message.into()),
                ..Default::default()
            })
        };
        assert_eq!(
            code(TaskState::TaskFinished, "Command exited with status 0"),
            0
        );
        assert_eq!(
            code(TaskState::TaskFailed, "Command exited with status 3"),
            3
        );
        assert_eq!(
            code(
                TaskState::TaskFailed,
                "Command terminated with signal Killed"
            ),
            137
        );
        assert_eq!(code(TaskState::TaskLost, "agent gone"), 1);
    }
}
