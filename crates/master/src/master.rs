//! The master: its state, and the table of what can happen to it.

use std::collections::{BTreeMap, BTreeSet};

use meseta_allocator::Allocator;
use meseta_model::caller::Caller;
use meseta_model::edge::{Refusal, RefusalKind, RequestId};
use meseta_model::ids::OfferId;
use meseta_model::rng::Rng;
use meseta_model::step::{Core, Effects, Now};
use meseta_model::upid::Upid;
use meseta_proto::actor::Message;
use meseta_proto::mesos::v1;

use crate::agents::Agents;
use crate::config::Config;
use crate::digest::DigestBatch;
use crate::event::{Effect, Event, OperatorCall, Timer};
use crate::explain::Questions;
use crate::frameworks::{Connection, Frameworks};
use crate::offers::Offer;
use crate::proposals::Proposals;
use crate::registry::Registry;
use crate::survey::Survey;
use crate::turn::Turn;
use crate::view::Counter;

/// A master: follows until it is elected, then leads until it ends.
#[derive(Debug)]
pub struct Master {
    config: Config,
    /// The hosts that may be offered, if not all; leading or not.
    whitelist: Option<BTreeSet<String>>,
    reign: Option<Box<Reign>>,
}

/// Everything a leading master knows.
#[derive(Debug)]
pub(crate) struct Reign {
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    pub(crate) info: v1::MasterInfo,
    pub(crate) registry: Registry,
    pub(crate) proposals: Proposals,
    pub(crate) agents: Agents,
    pub(crate) frameworks: Frameworks,
    pub(crate) offers: BTreeMap<OfferId, Offer>,
    pub(crate) next_offer: u64,
    pub(crate) allocator: Allocator,
    /// When the allocation timer is set to, monotonic microseconds.
    pub(crate) allocate_at: Option<u64>,
    pub(crate) digest: DigestBatch,
    pub(crate) questions: Questions,
}

impl Master {
    /// A master that does not lead yet. The settings are taken as valid: see [`Config::validate`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            whitelist: None,
            reign: None,
        }
    }

    pub(crate) fn reign(&self) -> Option<&Reign> {
        self.reign.as_deref()
    }

    pub(crate) fn reign_mut(&mut self) -> Option<&mut Reign> {
        self.reign.as_deref_mut()
    }

    /// Whether this master was elected.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.reign.is_some()
    }

    /// Counts everything again and compares: every share of an agent adds up to no more than it has,
    /// every list agrees with the lists that mirror it.
    ///
    /// # Errors
    /// What does not agree.
    pub fn audit(&self) -> Result<(), String> {
        self.reign.as_ref().map_or(Ok(()), |reign| reign.audit())
    }

    /// What is in the books; none as long as this master does not lead.
    #[must_use]
    pub fn survey(&self) -> Option<Survey> {
        self.reign.as_ref().map(|reign| reign.survey())
    }
}

impl Core for Master {
    type Event = Event;
    type Timer = Timer;
    type Effect = Effect;

    fn step(&mut self, now: Now, event: Event, out: &mut Effects<Timer, Effect>) {
        let turn = &mut Turn::new(now, out);
        if let Event::WhitelistChanged(hostnames) = &event {
            self.whitelist.clone_from(hostnames);
        }
        match (&mut self.reign, event) {
            (
                None,
                Event::Led {
                    epoch,
                    seed,
                    snapshot,
                    ops,
                },
            ) => match Reign::begin(&self.config, epoch, seed, snapshot, &ops, turn) {
                Ok(mut reign) => {
                    reign.set_whitelist(turn, self.whitelist.clone());
                    self.reign = Some(Box::new(reign));
                }
                Err(reason) => turn.push(Effect::Exit { reason }),
            },
            (Some(reign), event) => reign.step(event, turn),
            (None, event) => follow(event, turn),
        }
    }

    fn timer_fired(key: Timer) -> Event {
        Event::TimerFired(key)
    }
}

/// A master that does not lead answers requests, and nothing else.
fn follow(event: Event, turn: &mut Turn<'_>) {
    let not_leading = || Refusal::new(RefusalKind::Unavailable, "This master is not the leader");
    match event {
        Event::SchedulerSubscribed { stream, .. } => {
            turn.turn_away(&Connection::Stream(stream), "This master is not the leader");
        }
        Event::SchedulerCalled { request, .. } | Event::OperatorCalled { request, .. } => {
            turn.refuse(request, not_leading());
        }
        Event::MessageReceived { .. } => turn.count(Counter::DroppedMessages),
        _ => {}
    }
}

impl Reign {
    /// What can happen to a leading master.
    fn step(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event {
            Event::Led { .. } | Event::LeadLost => depose(turn),
            Event::Committed { seq, index, op } => self.committed(turn, seq, index, &op),
            Event::Refused { seq, reason } => self.refused(turn, seq, &reason),
            Event::Unknown { .. } => depose(turn),
            Event::WhitelistChanged(hostnames) => self.set_whitelist(turn, hostnames),
            Event::TimerFired(timer) => self.timer(turn, timer),
            Event::MessageReceived {
                from,
                caller,
                to,
                message,
            } => self.message(turn, from, &caller, &to, message),
            Event::LinkBroken { peer } => self.link_broken(turn, &peer),
            Event::SchedulerSubscribed {
                stream,
                caller,
                call,
            } => self.subscribe_stream(turn, stream, &caller, *call),
            Event::SchedulerCalled {
                request,
                caller,
                stream_id,
                call,
            } => self.call_over_http(turn, request, &caller, stream_id.as_deref(), *call),
            Event::StreamClosed { stream } => self.stream_closed(turn, &stream),
            Event::OperatorCalled {
                request,
                caller,
                call,
            } => self.operator(turn, request, &caller, call),
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Ping(agent) => self.ping_due(turn, &agent),
            Timer::AgentReregister(agent) => self.agent_stayed_away(turn, &agent),
            Timer::RecoveredAgents => self.recovered_agents_due(turn),
            Timer::Failover(framework) => self.failover_due(turn, &framework),
            Timer::Heartbeat(framework) => self.heartbeat_due(turn, &framework),
            Timer::Allocate => self.allocate(turn),
            Timer::OfferTimeout(offer) => self.offer_timed_out(turn, &offer),
            Timer::Digest => self.digest_due(turn),
            Timer::RegistryGc => self.registry_gc_due(turn),
            Timer::Explain => self.explain_some(turn),
        }
    }

    /// Actor messages. Those that only an agent, a driver or an executor expects are dropped here, as
    /// an actor without a handler for them does.
    fn message(
        &mut self,
        turn: &mut Turn<'_>,
        from: Upid,
        caller: &Caller,
        to: &str,
        message: Message,
    ) {
        match message {
            Message::PongSlave(_) => self.pong(turn, to),
            _ if to != crate::turn::MASTER => turn.count(Counter::DroppedMessages),
            Message::RegisterSlave(message) => {
                self.register_agent(turn, from, caller, *message);
            }
            Message::ReregisterSlave(message) => {
                self.reregister_agent(turn, from, caller, *message);
            }
            Message::UnregisterSlave(message) => self.unregister_agent(turn, &from, &message),
            Message::UpdateSlave(message) => self.update_agent(turn, &from, *message),
            Message::UpdateOperationStatus(message) => {
                self.operation_status(turn, &from, *message);
            }
            Message::StatusUpdate(message) => self.status_update(turn, &from, *message),
            Message::ExitedExecutor(message) => self.executor_exited(turn, &from, *message),
            Message::ExecutorToFramework(message) => self.executor_message(turn, *message),
            message => self.driver_message(turn, from, caller, message),
        }
    }

    fn operator(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        caller: &Caller,
        call: OperatorCall,
    ) {
        let handled = match call {
            OperatorCall::Teardown(framework) => {
                self.teardown_by_operator(turn, request, caller, &framework)
            }
            OperatorCall::MarkAgentGone(agent) => {
                self.mark_agent_gone(turn, request, caller, &agent)
            }
            OperatorCall::KillTask {
                framework,
                task,
                policy,
            } => self.kill_by_operator(turn, caller, &framework, &task, policy),
            OperatorCall::ExplainOffers(question) => {
                self.explain_offers(turn, request, caller, question)
            }
        };
        match handled {
            Ok(Some(outcome)) => turn.reply(request, outcome),
            Ok(None) => {}
            Err(refusal) => turn.refuse(request, refusal),
        }
    }
}

/// The lead is lost, or may be: whatever this master still knows may be wrong. A supervisor starts a
/// follower with an empty head (compat: Mesos's master exits too).
fn depose(turn: &mut Turn<'_>) {
    turn.push(Effect::Exit {
        reason: "lost the lead of the cluster".to_owned(),
    });
}
