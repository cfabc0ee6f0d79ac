//! What an agent has its containers run by: the container room, or a stand-in for it.

use std::io;
use std::sync::Arc;

use meseta_agent::event::Event;
use meseta_container::containerizer::UsageReply;
use meseta_container::{Config, Containerizer, Counts, Refusal};
use meseta_model::container::{ContainerLimits, ContainerReport, LaunchSpec, RecoverableContainer};
use meseta_model::ids::ContainerId;
use tokio::sync::mpsc;

/// The commands of [`Containerizer`], with the same meaning and the same answers. None may block. A
/// load puts a stand-in here, so that thousands of agents run in one process without a container.
#[allow(clippy::missing_errors_doc)]
pub trait Containers: Send + Sync {
    /// See [`Containerizer::launch`].
    fn launch(&self, spec: LaunchSpec) -> Result<(), Refusal>;
    /// See [`Containerizer::release`].
    fn release(&self, id: ContainerId);
    /// See [`Containerizer::destroy`].
    fn destroy(&self, id: ContainerId);
    /// See [`Containerizer::recover`].
    fn recover(&self, containers: Vec<RecoverableContainer>);
    /// See [`Containerizer::update`].
    fn update(&self, id: ContainerId, limits: ContainerLimits);
    /// See [`Containerizer::usage`].
    fn usage(&self, id: ContainerId, reply: UsageReply) -> Result<(), Refusal>;
    /// See [`Containerizer::counts`].
    fn counts(&self) -> &Counts;
}

impl Containers for Containerizer {
    fn launch(&self, spec: LaunchSpec) -> Result<(), Refusal> {
        self.launch(spec)
    }

    fn release(&self, id: ContainerId) {
        self.release(id);
    }

    fn destroy(&self, id: ContainerId) {
        self.destroy(id);
    }

    fn recover(&self, containers: Vec<RecoverableContainer>) {
        self.recover(containers);
    }

    fn update(&self, id: ContainerId, limits: ContainerLimits) {
        self.update(id, limits);
    }

    fn usage(&self, id: ContainerId, reply: UsageReply) -> Result<(), Refusal> {
        self.usage(id, reply)
    }

    fn counts(&self) -> &Counts {
        self.counts()
    }
}

/// Where reports about containers go: to the agent's core, behind the events that wait.
#[derive(Debug, Clone)]
pub struct Reports(mpsc::Sender<Event>);

impl Reports {
    pub(crate) fn new(events: &mpsc::Sender<Event>) -> Self {
        Self(events.clone())
    }

    /// Passes a report on, from a thread that may wait for room.
    pub fn pass_on(&self, report: ContainerReport) {
        // The receiver is gone only when the agent has ended.
        let _ = self.0.blocking_send(Event::Container(report));
    }

    /// Passes a report on, from a task.
    pub async fn send(&self, report: ContainerReport) {
        // As above.
        let _ = self.0.send(Event::Container(report)).await;
    }
}

/// The container room itself.
pub(crate) fn real(config: &Config, reports: Reports) -> io::Result<Arc<dyn Containers>> {
    std::fs::create_dir_all(&config.runtime_dir)?;
    // Called on the room's own thread.
    let report = move |report| reports.pass_on(report);
    Ok(Arc::new(Containerizer::start(config.clone(), report)?))
}
