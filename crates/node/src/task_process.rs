//! The task of a command executor: started by the container room, watched here.

use std::collections::BTreeMap;
use std::sync::Arc;

use meseta_container::{TaskSpec, spawn_task};
use meseta_executor::command::Event;
use meseta_model::environment::resolve;
use meseta_proto::mesos::v1;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::running::later;

/// The signal that ends a task at once.
const SIGKILL: i32 = 9;

/// A task that was started.
pub struct TaskProcess {
    process: Arc<meseta_container::TaskProcess>,
}

impl TaskProcess {
    /// Signals every process of the task: gently, or for good with `SIGKILL`.
    pub fn signal(&self, signal: i32) {
        if signal == SIGKILL {
            self.process.kill()
        } else {
            self.process.terminate()
        }
    }
}

/// Starts the task's command with the executor's environment and the command's own on top, and
/// reports its start and its end.
pub fn start(
    task: &v1::TaskInfo,
    executor: &BTreeMap<String, String>,
    events: &mpsc::Sender<Event>,
) -> Option<TaskProcess> {
    let command = task.command.clone().unwrap_or_default();
    let mut environment = executor.clone();
    match resolve(&command.environment.clone().unwrap_or_default()) {
        Ok(variables) => environment.extend(variables),
        Err(unresolved) => {
            later(
                events,
                Event::TaskStartFailed {
                    message: unresolved.to_string(),
                },
            );
            return None;
        }
    }
    let spec = TaskSpec {
        command,
        environment,
        supervisor: Some(std::os::unix::process::parent_id()),
        ..TaskSpec::default()
    };
    // Listened to before there is a child, so that no end goes unheard.
    let started = signal(SignalKind::child())
        .map_err(|error| error.to_string())
        .and_then(|ends| Ok((ends, spawn_task(&spec).map_err(|fault| fault.to_string())?)));
    match started {
        Ok((ends, process)) => {
            let process = Arc::new(process);
            tokio::spawn(watch(process.clone(), ends, events.clone()));
            Some(TaskProcess { process })
        }
        Err(fault) => {
            let message = format!("Failed to start the command: {fault}");
            later(events, Event::TaskStartFailed { message });
            None
        }
    }
}

/// Reports that the process runs, waits for its end, and reports that.
async fn watch(
    process: Arc<meseta_container::TaskProcess>,
    mut ends: Signal,
    events: mpsc::Sender<Event>,
) {
    // Sending fails only when the executor is about to end anyway.
    let _ = events.send(Event::TaskStarted).await;
    let status = loop {
        match process.try_wait() {
            Some(status) => break status,
            // Some child ended, or nobody will tell any more: then so does this process.
            None => match ends.recv().await {
                Some(()) => {}
                None => return,
            },
        }
    };
    let _ = events.send(Event::TaskExited { status }).await;
}
