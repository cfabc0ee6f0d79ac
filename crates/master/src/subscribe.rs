//! Frameworks come in: SUBSCRIBE, failover, UPDATE_FRAMEWORK.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use indexmap::IndexMap;
use meseta_allocator::{FrameworkProfile, RoleConstraints};
use meseta_model::caller::Caller;
use meseta_model::capabilities::FrameworkCapabilities;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId, StreamId};
use meseta_model::ids::FrameworkId;
use meseta_model::roles::Role;
use meseta_model::validation;
use meseta_proto::mesos::{internal, v1};
use v1::framework_info::capability::Type as Capability;
use v1::scheduler;
use v1::scheduler::call;

use crate::event::Timer;
use crate::frameworks::{Connection, Framework, Subscriber};
use crate::master::Reign;
use crate::permissions;
use crate::proposals::Pending;
use crate::registry::Op;
use crate::turn::Turn;
use crate::view::{Counter, Delta};

/// A framework's wishes that are not part of its description.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    pub(crate) info: v1::FrameworkInfo,
    pub(crate) suppressed: BTreeSet<Role>,
    pub(crate) constraints: BTreeMap<Role, RoleConstraints>,
}

/// A description on its way into the registry; who asked gets an answer.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) framework: FrameworkId,
    pub(crate) wishes: Wishes,
    pub(crate) requests: Vec<RequestId>,
}

impl Reign {
    /// SUBSCRIBE over HTTP. Whatever is wrong with it comes as an ERROR event on the open stream.
    pub(crate) fn subscribe_stream(
        &mut self,
        turn: &mut Turn<'_>,
        stream: StreamId,
        caller: &Caller,
        call: scheduler::Call,
    ) {
        let connection = Connection::Stream(stream);
        let framework_id = call.framework_id;
        let Some(subscribe) = call.subscribe else {
            return turn.turn_away(&connection, "Expecting 'subscribe' to be present");
        };
        if let Err(reason) = self.subscribe(turn, &connection, caller, framework_id, subscribe) {
            turn.turn_away(&connection, &reason);
        }
    }

    /// SUBSCRIBE over either kind of connection.
    pub(crate) fn subscribe(
        &mut self,
        turn: &mut Turn<'_>,
        connection: &Connection,
        caller: &Caller,
        framework_id: Option<v1::FrameworkId>,
        subscribe: call::Subscribe,
    ) -> Result<(), String> {
        let named = framework_id.or_else(|| subscribe.framework_info.id.clone());
        let named = named.filter(|id| !id.value.is_empty());
        turn.count(Counter::Message(match named {
            Some(_) => "reregister_framework",
            None => "register_framework",
        }));
        let constraints = subscribe.offer_constraints.unwrap_or_default();
        let mut wishes = crate::descriptions::wishes(
            subscribe.framework_info,
            &subscribe.suppressed_roles,
            &constraints,
            self.config.constraint_limits,
        )?;
        permissions::subscribe(caller, &wishes.info)?;
        if self.proposals.is_full() {
            return Err("The master has too much to write; try again later".to_owned());
        }
        let id = match named {
            Some(id) => FrameworkId::from(&id),
            None => self.number_framework(),
        };
        wishes.info.id = Some(id.to_wire());
        if self.registry.is_removed_framework(&id) {
            return Err("Framework has been removed".to_owned());
        }
        let known = match self.frameworks.get(&id) {
            Some(framework) if framework.removing => {
                return Err("Framework has been removed".to_owned());
            }
            Some(framework) => {
                validation::check_update(&framework.info, &wishes.info, true)
                    .map_err(|why| why.to_string())?;
                validation::keep_immutable_fields(&framework.info, &mut wishes.info);
                true
            }
            None => self.frameworks.subscribing.contains_key(&id),
        };
        let info = Box::new(wishes.info.clone());
        let op = if known {
            Op::FrameworkChanged { info }
        } else {
            Op::FrameworkAdded { info }
        };
        let subscriber = Subscriber {
            connection: connection.clone(),
            wishes,
            gone: false,
        };
        if let Some(older) = self.frameworks.subscribing.insert(id.clone(), subscriber)
            && older.connection != *connection
        {
            turn.turn_away(&older.connection, "Framework failed over");
        }
        self.propose(turn, &op, Pending::Subscribe(id, connection.clone()));
        Ok(())
    }

    /// The next id of ours; a framework may have chosen one of those for itself.
    fn number_framework(&mut self) -> FrameworkId {
        loop {
            let number = self.frameworks.next_number;
            self.frameworks.next_number += 1;
            let id = FrameworkId::new(format!("{}-{number:04}", self.info.id));
            let is_taken = self.frameworks.get(&id).is_some()
                || self.frameworks.subscribing.contains_key(&id)
                || self.frameworks.completed.contains(&id)
                || self.registry.is_removed_framework(&id);
            if !is_taken {
                return id;
            }
        }
    }

    /// A subscription is durable. Only the newest of a framework takes effect.
    pub(crate) fn subscribed(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        connection: &Connection,
    ) {
        let newest = self
            .frameworks
            .subscribing
            .get(id)
            .is_some_and(|subscriber| subscriber.connection == *connection);
        let Some(subscriber) = newest
            .then(|| self.frameworks.subscribing.remove(id))
            .flatten()
        else {
            return;
        };
        let gone = subscriber.gone;
        if self.frameworks.get(id).is_some() {
            self.take_over(turn, id, subscriber);
        } else {
            self.add_framework(turn, id, subscriber);
        }
        if gone {
            self.disconnect_framework(turn, id);
        }
    }

    /// The op of a subscription was not taken.
    pub(crate) fn subscription_failed(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        connection: &Connection,
        reason: &str,
    ) {
        let newest = self
            .frameworks
            .subscribing
            .get(id)
            .is_some_and(|subscriber| subscriber.connection == *connection);
        if newest {
            self.frameworks.subscribing.remove(id);
            turn.turn_away(connection, reason);
        }
    }

    fn add_framework(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, subscriber: Subscriber) {
        let now = turn.now.wall_seconds();
        let Subscriber {
            connection, wishes, ..
        } = subscriber;
        let mut framework = Framework::new(id.clone(), wishes, now);
        framework.active = true;
        framework.connection = Some(connection.clone());
        self.allocator
            .add_framework(turn.now.mono_us, id, profile(&framework));
        turn.changed(Delta::Framework(Box::new(framework.view())));
        self.frameworks.registered.insert(id.clone(), framework);
        self.attach(turn, id, &connection, false);
        self.nudge(turn);
    }

    /// A framework known from the registry or an agent; it has its `failover_timeout`, and at least as
    /// long as agents have, to subscribe.
    pub(crate) fn recover_framework(&mut self, turn: &mut Turn<'_>, info: v1::FrameworkInfo) {
        let Some(id) = info.id.as_ref().map(FrameworkId::from) else {
            return;
        };
        if self.frameworks.get(&id).is_some() {
            return;
        }
        let wishes = Wishes {
            info,
            suppressed: BTreeSet::new(),
            constraints: BTreeMap::new(),
        };
        let mut framework = Framework::new(id.clone(), wishes, turn.now.wall_seconds());
        framework.recovered = true;
        let wait = framework
            .failover_timeout_us()
            .max(self.config.agent_reregister_timeout_us);
        turn.timer(Timer::Failover(id.clone()), wait);
        self.allocator
            .add_framework(turn.now.mono_us, &id, profile(&framework));
        turn.changed(Delta::Framework(Box::new(framework.view())));
        self.frameworks.registered.insert(id, framework);
    }

    /// A known framework subscribes again: the old connection ends, standing offers go, agents learn
    /// where the framework is now.
    fn take_over(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, subscriber: Subscriber) {
        let Subscriber {
            connection, wishes, ..
        } = subscriber;
        let old = self
            .frameworks
            .get_mut(id)
            .and_then(|framework| framework.connection.take());
        if let Some(old) = old {
            self.detach(turn, id, &old);
            if old != connection {
                turn.turn_away(&old, "Framework failed over");
            }
        }
        self.withdraw_offers(turn, id);
        turn.cancel(Timer::Failover(id.clone()));
        let Some(framework) = self.frameworks.get_mut(id) else {
            return;
        };
        framework.describe(wishes);
        framework.connection = Some(connection.clone());
        framework.recovered = false;
        framework.active = true;
        framework.reregistered_time = turn.now.wall_seconds();
        self.allocator
            .update_framework(turn.now.mono_us, id, profile(framework));
        turn.changed(Delta::Framework(Box::new(framework.view())));
        self.attach(turn, id, &connection, true);
        self.tell_hosts(turn, id);
        self.nudge(turn);
    }

    fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        connection: &Connection,
        again: bool,
    ) {
        let interval = self.config.heartbeat_interval_us;
        match connection {
            Connection::Stream(stream) => {
                self.frameworks.streams.insert(stream.clone(), id.clone());
                turn.timer(Timer::Heartbeat(id.clone()), interval);
            }
            Connection::Driver(upid) => {
                self.frameworks.drivers.insert(upid.clone(), id.clone());
                turn.push(crate::event::Effect::Link(upid.clone()));
            }
        }
        let seconds = interval as f64 / crate::config::SECOND_US as f64;
        turn.welcome(connection, &id.to_wire(), &self.info, seconds, again);
    }

    pub(crate) fn detach(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, old: &Connection) {
        match old {
            Connection::Stream(stream) => {
                self.frameworks.streams.remove(stream);
                turn.cancel(Timer::Heartbeat(id.clone()));
            }
            Connection::Driver(upid) => {
                self.frameworks.drivers.remove(upid);
                self.frameworks.returned.remove(upid);
                turn.push(crate::event::Effect::Unlink(upid.clone()));
            }
        }
    }

    /// Tells the agents where a framework has something how and where it is now.
    fn tell_hosts(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else {
            return;
        };
        for agent in framework
            .hosts
            .keys()
            .filter_map(|id| self.agents.connected(id))
        {
            let message = internal::UpdateFrameworkMessage {
                framework_id: id.to_wire(),
                pid: Some(framework.pid()),
                framework_info: Some(framework.info.clone()),
            };
            turn.send(&agent.pid, message);
        }
    }

    pub(crate) fn heartbeat_due(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        let connection = self.frameworks.get(id).and_then(|f| f.connection.as_ref());
        if let Some(Connection::Stream(stream)) = connection {
            turn.heartbeat(stream);
            turn.timer(
                Timer::Heartbeat(id.clone()),
                self.config.heartbeat_interval_us,
            );
        }
    }

    /// UPDATE_FRAMEWORK: durable first, then agents are told, then the request is answered.
    pub(crate) fn update_framework(
        &mut self,
        turn: &mut Turn<'_>,
        request: Option<RequestId>,
        caller: &Caller,
        id: &FrameworkId,
        update: call::UpdateFramework,
    ) -> Result<(), Refusal> {
        let Some(framework) = self.frameworks.get(id) else {
            return Err(Refusal::invalid("Framework cannot be found"));
        };
        let constraints = update.offer_constraints.unwrap_or_default();
        let mut wishes = crate::descriptions::wishes(
            update.framework_info,
            &update.suppressed_roles,
            &constraints,
            self.config.constraint_limits,
        )
        .map_err(|reason| {
            Refusal::invalid(format!(
                "'UpdateFramework.framework_info' is not valid: {reason}"
            ))
        })?;
        permissions::subscribe(caller, &wishes.info)
            .map_err(|why| Refusal::new(RefusalKind::Forbidden, why))?;
        wishes.info.id = Some(id.to_wire());
        validation::check_update(&framework.info, &wishes.info, false)
            .map_err(|why| Refusal::invalid(why.to_string()))?;
        let info = Box::new(wishes.info.clone());
        let change = Change {
            framework: id.clone(),
            wishes,
            requests: request.into_iter().collect(),
        };
        self.propose(
            turn,
            &Op::FrameworkChanged { info },
            Pending::Update(Box::new(change)),
        );
        Ok(())
    }

    /// The new description is durable.
    pub(crate) fn framework_changed(&mut self, turn: &mut Turn<'_>, change: Change) {
        let Change {
            framework: id,
            wishes,
            requests,
        } = change;
        let Some(framework) = self.frameworks.get_mut(&id) else {
            return;
        };
        framework.describe(wishes);
        let lost_roles: Vec<_> = framework
            .offers
            .iter()
            .filter(|offer| {
                self.offers
                    .get(*offer)
                    .is_some_and(|offer| !framework.roles.contains(&offer.role))
            })
            .cloned()
            .collect();
        self.allocator
            .update_framework(turn.now.mono_us, &id, profile(framework));
        turn.changed(Delta::Framework(Box::new(framework.view())));
        for offer in lost_roles {
            self.rescind(turn, &offer);
        }
        self.tell_hosts(turn, &id);
        self.nudge(turn);
        for request in requests {
            turn.reply(request, Outcome::Done);
        }
    }
}

impl Framework {
    /// A framework that is neither connected nor active yet.
    fn new(id: FrameworkId, wishes: Wishes, now: f64) -> Self {
        let mut framework = Self {
            id,
            info: v1::FrameworkInfo::default(),
            roles: BTreeSet::new(),
            capabilities: FrameworkCapabilities::NONE,
            suppressed: BTreeSet::new(),
            constraints: BTreeMap::new(),
            connection: None,
            recovered: false,
            active: false,
            removing: false,
            registered_time: now,
            reregistered_time: now,
            tasks: BTreeMap::new(),
            unreachable: IndexMap::new(),
            completed: VecDeque::new(),
            offers: BTreeSet::new(),
            hosts: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        framework.describe(wishes);
        framework
    }

    fn describe(&mut self, wishes: Wishes) {
        self.roles = validation::roles(&wishes.info);
        self.capabilities = FrameworkCapabilities::from_wire(&wishes.info.capabilities);
        self.info = wishes.info;
        self.suppressed = wishes.suppressed;
        self.constraints = wishes.constraints;
    }

    /// Its `failover_timeout` in microseconds; checked to be a number that fits when it came in.
    pub(crate) fn failover_timeout_us(&self) -> u64 {
        (self.info.failover_timeout() * crate::config::SECOND_US as f64) as u64
    }
}

/// How the allocator sees a framework.
pub(crate) fn profile(framework: &Framework) -> FrameworkProfile {
    let has = |capability| framework.capabilities.has(capability);
    FrameworkProfile {
        roles: framework.roles.clone(),
        suppressed: framework.suppressed.clone(),
        capabilities: meseta_allocator::FrameworkCapabilities {
            shared_resources: has(Capability::SharedResources),
            revocable_resources: has(Capability::RevocableResources),
            multi_role: has(Capability::MultiRole),
            reservation_refinement: has(Capability::ReservationRefinement),
            gpu_resources: has(Capability::GpuResources),
            region_aware: has(Capability::RegionAware),
        },
        min_allocatable: crate::descriptions::minimums(&framework.info),
        offer_constraints: framework.constraints.clone(),
        active: framework.active,
    }
}
