//! The task of a command executor: started by the container room, watched here.

use std::collections::BTreeMap;
use std::sync::Arc;

use meseta_container::{TaskSpec, spawn_task};
use meseta_executor::command::Event;
use meseta_model::environment::resolve;
use meseta_model::wait_status::WaitStatus;
use meseta_proto::mesos::v1;
use tokio::sync::mpsc;

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

    /// Ends whatever the task left behind.
    pub fn kill_rest(&self) {
        self.process.kill();
    }
}

/// Starts the task's command with this process's environment and the command's own on top, and
/// reports its start and its end.
pub fn start(task: &v1::TaskInfo, events: &mpsc::Sender<Event>) -> Option<TaskProcess> {
    let command = task.command.clone().unwrap_or_default();
    let mut environment: BTreeMap<String, String> = std::env::vars().collect();
    match resolve(&command.environment.clone().unwrap_or_default()) {
        Ok(variables) => environment.extend(variables),
        Err(unresolved) => {
            report(
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
        ..TaskSpec::default()
    };
    match spawn_task(&spec) {
        Ok(process) => {
            let process = Arc::new(process);
            tokio::spawn(watch(process.clone(), events.clone()));
            Some(TaskProcess { process })
        }
        Err(fault) => {
            let message = format!("Failed to start the command: {fault}");
            report(events, Event::TaskStartFailed { message });
            None
        }
    }
}

/// Hands an event to the core behind those that wait.
fn report(events: &mpsc::Sender<Event>, event: Event) {
    let events = events.clone();
    tokio::spawn(async move { events.send(event).await });
}

/// Reports that the process runs, waits for its end, and reports that.
async fn watch(process: Arc<meseta_container::TaskProcess>, events: mpsc::Sender<Event>) {
    // Sending fails only when the executor is about to end anyway.
    let _ = events.send(Event::TaskStarted).await;
    let waited = tokio::task::spawn_blocking(move || process.wait()).await;
    // Nobody else waits for our child, so that the status is lost only if the thread was.
    let status = waited
        .ok()
        .flatten()
        .unwrap_or(WaitStatus::signaled(SIGKILL));
    let _ = events.send(Event::TaskExited { status }).await;
}
