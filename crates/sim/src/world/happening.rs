//! Everything that can be planned.

use meseta_agent::event::Event as AgentEvent;
use meseta_master::event::Event as MasterEvent;
use meseta_model::edge::StreamId;
use meseta_model::ids::ContainerId;

use super::containers::ContainerStep;
use super::executors::{ExecutorInput, Said};
use super::schedulers::SchedulerHappening;
use super::{Answer, CallFlight, Flight, StreamItem, World};
use crate::process::Process;

/// Something that will happen. Numbers called `life` say which life of a process is meant: what was
/// planned for an earlier one comes to nothing.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A process starts (again).
    Start(Process),
    /// A process that stood still goes on.
    Resume(Process),
    /// Timers of a process may be due.
    Wake(Process, u64),
    /// The agreement of the masters has something to tell.
    Agreed,
    /// A listener of the detector learns who leads.
    Detect(Process),
    /// Two hosts may reach each other again.
    Heal((Process, Process)),
    /// An actor message reaches the host of its receiver, over this connection.
    Arrive(u64, Box<Flight>),
    /// The owner of a connection learns that it is gone.
    LinkTold(u64),
    /// Something comes down a scheduler's event stream.
    StreamItem(StreamId, Box<StreamItem>),
    /// A master learns that a stream is gone.
    StreamLostAtMaster(StreamId),
    /// A scheduler learns that its stream is gone.
    StreamLostAtScheduler(StreamId),
    /// A scheduler's call reaches a master.
    CallArrives(Box<CallFlight>),
    /// An answer reaches its caller.
    AnswerArrives(Box<Answer>),
    /// An agent's disk has finished a flush.
    FlushDone(usize, u64),
    /// Something else for an agent's core.
    AgentEvent(usize, u64, Box<AgentEvent>),
    /// Something else for a master's core.
    MasterEvent(usize, u64, Box<MasterEvent>),
    /// A container on an agent's host gets further.
    Container(usize, ContainerId, Box<ContainerStep>),
    /// Something for an executor.
    Executor(usize, ContainerId, Box<ExecutorInput>),
    /// Timers of an executor may be due.
    ExecutorWake(usize, ContainerId),
    /// An executor says something to its agent.
    ToAgent(usize, ContainerId, Box<Said>),
    /// Something for a scheduler.
    Scheduler(usize, Box<SchedulerHappening>),
    /// A source of faults strikes.
    Fault(usize),
}

impl World {
    /// The process that must not stand still for this to happen.
    pub(super) fn target(&self, happening: &Happening) -> Option<Process> {
        match happening {
            Happening::Start(_)
            | Happening::Resume(_)
            | Happening::Agreed
            | Happening::Heal(_)
            | Happening::Container(..)
            | Happening::Executor(..)
            | Happening::ExecutorWake(..)
            | Happening::Fault(_) => None,
            Happening::Wake(process, _) | Happening::Detect(process) => Some(*process),
            Happening::Arrive(conn, _) => self.links.receiver(*conn),
            Happening::LinkTold(conn) => self.links.owner(*conn),
            Happening::StreamItem(stream, _) | Happening::StreamLostAtScheduler(stream) => {
                self.streams.reader(stream)
            }
            Happening::StreamLostAtMaster(stream) => self.streams.writer(stream),
            Happening::CallArrives(call) => Some(Process::Master(call.master)),
            Happening::AnswerArrives(answer) => Some(Process::Scheduler(answer.scheduler)),
            Happening::FlushDone(agent, _)
            | Happening::AgentEvent(agent, ..)
            | Happening::ToAgent(agent, ..) => Some(Process::Agent(*agent)),
            Happening::MasterEvent(master, ..) => Some(Process::Master(*master)),
            Happening::Scheduler(scheduler, _) => Some(Process::Scheduler(*scheduler)),
        }
    }
}
