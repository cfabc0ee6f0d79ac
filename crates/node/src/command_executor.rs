//! The process of the command executor: the core of `meseta-executor`, a subscription to the agent,
//! and the task's own process. Small and quick to start, since there is one for each command task.

use std::collections::BTreeMap;

use meseta_client::{Calls, ClientError, ExecutorClient, Retry};
use meseta_executor::command::{CommandExecutor, Config, Effect, Event};
use meseta_model::units;
use meseta_proto::mesos::v1::executor;
use meseta_runtime::{Clock, Driver, Output};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::pump::{Perform, Pump};
use crate::task_process::{self, TaskProcess};

/// Events of one executor that wait for its core. The agent sends few; a task sends two.
const EVENTS: usize = 256;

/// What the environment must say (`MESOS_*`, set by the agent), or why it does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvironment {
    /// Not set at all.
    #[error("{0} is not set; only an agent starts this program")]
    Missing(&'static str),
    /// Set to something that cannot be read.
    #[error("{name}={value}: {why}")]
    Bad {
        /// Which variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What is wrong.
        why: String,
    },
}

/// Everything the process is told by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `MESOS_AGENT_ENDPOINT`, `ip:port`.
    pub agent: String,
    /// The rest, for the core.
    pub core: Config,
    /// All of it, which the task inherits.
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads it.
    ///
    /// # Errors
    /// A variable is missing or cannot be read.
    pub fn read(variables: &BTreeMap<String, String>, seed: u64) -> Result<Self, BadEnvironment> {
        let text = |name: &'static str| {
            variables
                .get(name)
                .cloned()
                .ok_or(BadEnvironment::Missing(name))
        };
        let checkpoint = text("MESOS_CHECKPOINT")? == "1";
        let core = Config {
            framework_id: text("MESOS_FRAMEWORK_ID")?,
            executor_id: text("MESOS_EXECUTOR_ID")?,
            checkpoint,
            recovery_timeout_us: duration_us(variables, "MESOS_RECOVERY_TIMEOUT", 900_000_000)?,
            backoff_max_us: duration_us(variables, "MESOS_SUBSCRIPTION_BACKOFF_MAX", 2_000_000)?,
            seed,
        };
        Ok(Self {
            agent: text("MESOS_AGENT_ENDPOINT")?,
            core,
            variables: variables.clone(),
        })
    }
}

fn duration_us(
    variables: &BTreeMap<String, String>,
    name: &'static str,
    default_us: u64,
) -> Result<u64, BadEnvironment> {
    let Some(value) = variables.get(name) else {
        return Ok(default_us);
    };
    let bad = |why: String| BadEnvironment::Bad {
        name,
        value: value.clone(),
        why,
    };
    let ns = value
        .parse::<units::Duration>()
        .map_err(|error| bad(error.to_string()))?;
    u64::try_from(ns.as_nanos())
        .map(|ns| ns / 1000)
        .map_err(|_| bad("must not be negative".into()))
}

/// Runs until the task is over and acknowledged, or nobody is left; gives the exit code.
pub async fn run(environment: Environment) -> u8 {
    let (events, received) = mpsc::channel(EVENTS);
    let (_, finished) = mpsc::unbounded_channel();
    // The channel has room: nothing was sent yet.
    let _ = events.try_send(Event::Started);
    let performer = Performer {
        agent: environment.agent,
        variables: environment.variables,
        events,
        calls: None,
        subscription: None,
        task: None,
        code: None,
    };
    let pump = Pump {
        driver: Driver::new(
            CommandExecutor::new(environment.core),
            |_: &Effect| None::<()>,
        ),
        clock: Clock::start(),
        events: received,
        finished,
        performer,
    };
    // What the task leaves behind is ended by the container's supervisor, as soon as this process is.
    pump.run().await.code.unwrap_or(1)
}

/// Opens subscriptions, sends calls, starts and signals the task.
struct Performer {
    agent: String,
    variables: BTreeMap<String, String>,
    events: mpsc::Sender<Event>,
    calls: Option<mpsc::UnboundedSender<executor::Call>>,
    subscription: Option<JoinHandle<()>>,
    task: Option<TaskProcess>,
    code: Option<u8>,
}

impl Perform<CommandExecutor> for Performer {
    fn perform(&mut self, output: Output<CommandExecutor>) {
        let Output::Effect(effect) = output else {
            return;
        };
        match effect {
            Effect::Subscribe(call) => self.subscribe(*call),
            Effect::Send(call) => {
                if let Some(calls) = &self.calls {
                    // A closed channel means that the connection ended; the next SUBSCRIBE says it all again.
                    let _ = calls.send(*call);
                }
            }
            Effect::StartTask(task) => {
                self.task = task_process::start(&task, &self.variables, &self.events);
            }
            Effect::SignalTask { signal } => {
                if let Some(task) = &self.task {
                    task.signal(signal);
                }
            }
            Effect::Exit { code } => self.code = Some(code),
        }
    }

    fn is_over(&self) -> bool {
        self.code.is_some()
    }
}

impl Performer {
    fn subscribe(&mut self, call: executor::Call) {
        if let Some(old) = self.subscription.take() {
            old.abort();
        }
        // Bounded by what the core sends between two subscriptions: a handful of updates.
        let (calls, queued) = mpsc::unbounded_channel();
        self.calls = Some(calls);
        let client = ExecutorClient {
            retry: Retry::never(),
            ..ExecutorClient::new(self.agent.as_str())
        };
        let events = self.events.clone();
        self.subscription = Some(tokio::spawn(async move {
            let end = follow(&client, &call, queued, &events).await;
            // Nobody listens any more only when the process is about to end.
            let _ = events.send(end).await;
        }));
    }
}

/// One subscription, from its call to its end, which it gives.
async fn follow(
    client: &ExecutorClient,
    call: &executor::Call,
    mut queued: mpsc::UnboundedReceiver<executor::Call>,
    events: &mpsc::Sender<Event>,
) -> Event {
    let ended = |error: ClientError| {
        tracing::debug!(%error, "the subscription ended");
        Event::Disconnected
    };
    let mut subscription = match client.subscribe(call).await {
        Ok(subscription) => subscription,
        Err(error) => return ended(error),
    };
    let (refuse, mut refused) = mpsc::channel(1);
    loop {
        tokio::select! {
            event = subscription.events.next() => match event {
                Ok(Some(event)) => {
                    let _ = events.send(Event::Received(Box::new(event))).await;
                }
                Ok(None) => return Event::Disconnected,
                Err(error) => return ended(error),
            },
            Some(call) = queued.recv() => {
                if let Err(error) = send(&subscription.calls, &call, &refuse).await {
                    return ended(error);
                }
            }
            Some(()) = refused.recv() => return Event::Refused,
        }
    }
}

/// Puts a call on its way; its answer is looked at elsewhere, so that the next one need not wait. If it
/// is not taken, all must be said again: later calls may have been taken, in the wrong order.
async fn send(
    calls: &Calls<executor::Call>,
    call: &executor::Call,
    refuse: &mpsc::Sender<()>,
) -> Result<(), ClientError> {
    let sent = calls.send(call).await?;
    let refuse = refuse.clone();
    tokio::spawn(async move {
        if let Err(error) = sent.accepted().await {
            tracing::warn!(%error, "the agent did not take a call");
            // One is enough.
            let _ = refuse.try_send(());
        }
    });
    Ok(())
}
