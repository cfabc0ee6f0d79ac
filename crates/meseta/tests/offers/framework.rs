//! A scripted framework on the scheduler API, and what it was offered and has not answered.

use std::collections::{BTreeMap, BTreeSet};

use meseta_client::{Calls, Events, SchedulerClient};
use meseta_model::resources::{Disk, Resource, ResourceFormat, Resources};
use meseta_model::roles::Role;
use meseta_proto::mesos::v1::{self, TaskState, offer, scheduler, task_status};
use scheduler::call::{self, Type};
use scheduler::event;
use tokio::sync::mpsc::UnboundedSender;

use crate::words::show;

/// An event, and whose it is.
pub type Heard = (String, scheduler::Event);

/// An offer.
struct Held {
    id: v1::OfferId,
    role: String,
    agent: String,
    agent_id: v1::AgentId,
    resources: Resources,
}

/// Offers of one agent that are about to be answered.
pub struct Taken {
    ids: Vec<v1::OfferId>,
    role: Role,
    agent_id: v1::AgentId,
    resources: Resources,
}

pub struct Framework {
    info: v1::FrameworkInfo,
    calls: Calls<scheduler::Call>,
    listener: tokio::task::JoinHandle<()>,
    offers: Vec<Held>,
    /// The last state of each task.
    pub tasks: BTreeMap<String, TaskState>,
    /// Questions that the master has answered.
    pub answered: BTreeSet<String>,
}

impl Framework {
    /// Subscribes, and tells `heard` of every event but the first. With an id in its info, again.
    pub async fn subscribe(
        master: &str,
        subscribe: call::Subscribe,
        heard: UnboundedSender<Heard>,
    ) -> Self {
        let mut info = subscribe.framework_info.clone();
        let call = scheduler::Call {
            r#type: Some(Type::Subscribe.into()),
            framework_id: info.id.clone(),
            subscribe: Some(subscribe),
            ..Default::default()
        };
        let client = SchedulerClient::new(vec![master.to_owned()]);
        let subscription = client.subscribe(&call).await.expect("a subscription");
        let mut events = subscription.events;
        let first = events.next().await.expect("a stream").expect("an event");
        let subscribed = first.subscribed.as_ref();
        let subscribed = subscribed.unwrap_or_else(|| panic!("{call:?}: {first:?}"));
        info.id = Some(subscribed.framework_id.clone());
        let listener = tokio::spawn(listen(info.name.clone(), events, heard));
        Self {
            info,
            calls: subscription.calls,
            listener,
            offers: Vec::new(),
            tasks: BTreeMap::new(),
            answered: BTreeSet::new(),
        }
    }

    /// Ends its stream. What it would subscribe with again.
    pub fn disconnect(&mut self) -> v1::FrameworkInfo {
        self.listener.abort();
        self.offers.clear();
        self.info.clone()
    }

    pub async fn call(&self, kind: Type, fill: impl FnOnce(&mut scheduler::Call)) {
        let mut call = scheduler::Call {
            r#type: Some(kind.into()),
            framework_id: self.info.id.clone(),
            ..Default::default()
        };
        fill(&mut call);
        let answer = self.calls.call(&call).await;
        answer.unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }

    /// Becomes what the step describes.
    pub async fn update(&mut self, step: &crate::Call<'_>) {
        self.info = v1::FrameworkInfo {
            id: self.info.id.clone(),
            ..step.framework_info()
        };
        let update = call::UpdateFramework {
            framework_info: self.info.clone(),
            suppressed_roles: step.list("suppressed"),
            offer_constraints: step.offer_constraints(),
        };
        let set = |call: &mut scheduler::Call| call.update_framework = Some(update);
        self.call(Type::UpdateFramework, set).await;
    }

    /// Takes all offers of an agent, or of all agents, in a role or in all.
    fn take(&mut self, agent: &str, role: Option<&str>) -> Vec<Held> {
        let is_meant = |held: &Held| {
            (agent == "all" || agent == held.agent) && role.is_none_or(|role| role == held.role)
        };
        let (taken, left) = std::mem::take(&mut self.offers)
            .into_iter()
            .partition(is_meant);
        self.offers = left;
        assert!(
            !taken.is_empty(),
            "no offer of {agent} to {}",
            self.info.name
        );
        taken
    }

    /// What it was offered on an agent, in one role.
    pub fn take_one(&mut self, agent: &str, role: Option<&str>) -> Taken {
        let offers = self.take(agent, role);
        let role = offers[0].role.clone();
        assert!(offers.iter().all(|held| held.role == role), "which role?");
        Taken {
            role: Role::from(role.as_str()),
            agent_id: offers[0].agent_id.clone(),
            resources: offers
                .iter()
                .fold(Resources::new(), |sum, held| sum + &held.resources),
            ids: offers.into_iter().map(|held| held.id).collect(),
        }
    }

    pub async fn decline(&mut self, agent: &str, role: Option<&str>, seconds: f64) {
        let offers = self.take(agent, role);
        let decline = call::Decline {
            offer_ids: offers.into_iter().map(|held| held.id).collect(),
            filters: filters(seconds),
        };
        let set = |call: &mut scheduler::Call| call.decline = Some(decline);
        self.call(Type::Decline, set).await;
    }

    async fn accept(&self, taken: Taken, operation: offer::Operation, seconds: f64) {
        let accept = call::Accept {
            offer_ids: taken.ids,
            operations: vec![operation],
            filters: filters(seconds),
        };
        let set = |call: &mut scheduler::Call| call.accept = Some(accept);
        self.call(Type::Accept, set).await;
    }

    /// Has a task run on some of it for good.
    pub async fn launch(&self, taken: Taken, wanted: &Resources, task: &str, seconds: f64) {
        let used = pick(&taken.resources, wanted).allocated_to(&taken.role);
        let task = v1::TaskInfo {
            name: task.to_owned(),
            task_id: v1::TaskId {
                value: task.to_owned(),
            },
            agent_id: taken.agent_id.clone(),
            resources: used.to_wire(ResourceFormat::PostRefinement),
            command: Some(v1::CommandInfo {
                shell: Some(false),
                value: Some("/bin/sleep".to_owned()),
                arguments: vec!["sleep".to_owned(), "86400".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let launch = offer::operation::Launch {
            task_infos: vec![task],
        };
        let operation = offer::Operation {
            r#type: Some(offer::operation::Type::Launch.into()),
            launch: Some(launch),
            ..Default::default()
        };
        self.accept(taken, operation, seconds).await;
    }

    /// Reserves some of it.
    pub async fn reserve(&self, taken: Taken, wanted: &Resources, role: &str, seconds: f64) {
        let reservation = meseta_model::resources::Reservation::dynamic(Role::from(role));
        let reserved = pick(&taken.resources, wanted).push_reservation(&reservation);
        let reserved = reserved.allocated_to(&taken.role);
        let reserve = offer::operation::Reserve {
            resources: reserved.to_wire(ResourceFormat::PostRefinement),
            ..Default::default()
        };
        let operation = offer::Operation {
            r#type: Some(offer::operation::Type::Reserve.into()),
            reserve: Some(reserve),
            ..Default::default()
        };
        self.accept(taken, operation, seconds).await;
    }

    /// Makes a volume of reserved disk.
    pub async fn create(&self, taken: Taken, wanted: &Resources, seconds: f64) {
        let disk = pick(&taken.resources, wanted);
        let volumes = disk.iter().zip(wanted).map(|(disk, volume)| {
            disk.clone().with_kind(|kind| {
                kind.shared = volume.is_shared();
                kind.disk = volume.disk().cloned().map(mounted);
            })
        });
        let volumes: Resources = volumes.collect();
        let create = offer::operation::Create {
            volumes: volumes
                .allocated_to(&taken.role)
                .to_wire(ResourceFormat::PostRefinement),
        };
        let operation = offer::Operation {
            r#type: Some(offer::operation::Type::Create.into()),
            create: Some(create),
            ..Default::default()
        };
        self.accept(taken, operation, seconds).await;
    }

    pub async fn kill(&self, task: &str) {
        let kill = call::Kill {
            task_id: v1::TaskId {
                value: task.to_owned(),
            },
            ..Default::default()
        };
        let set = |call: &mut scheduler::Call| call.kill = Some(kill);
        self.call(Type::Kill, set).await;
    }

    /// Asks about a task that never was. The answer comes after all that the master had to say before.
    pub async fn ask(&self, question: &str) {
        let task = call::reconcile::Task {
            task_id: v1::TaskId {
                value: question.to_owned(),
            },
            agent_id: None,
        };
        let reconcile = call::Reconcile { tasks: vec![task] };
        let set = |call: &mut scheduler::Call| call.reconcile = Some(reconcile);
        self.call(Type::Reconcile, set).await;
    }

    /// Whether it holds any offer.
    pub fn holds_any(&self) -> bool {
        !self.offers.is_empty()
    }

    /// Notes what an event says. The lines that it adds to the answer.
    pub async fn hear(&mut self, event: scheduler::Event) -> Vec<String> {
        if let Some(offers) = event.offers {
            return offers
                .offers
                .into_iter()
                .map(|one| self.hold(one))
                .collect();
        }
        if let Some(rescind) = event.rescind {
            return self.rescinded(&rescind.offer_id);
        }
        if let Some(error) = event.error {
            return vec![format!("{} error: {}", self.info.name, error.message)];
        }
        if let Some(update) = event.update {
            self.status(update).await;
        }
        Vec::new()
    }

    fn hold(&mut self, offer: v1::Offer) -> String {
        let resources = Resources::from_wire(&offer.resources).expect("valid resources");
        let role = offer.allocation_info.and_then(|info| info.role);
        let held = Held {
            id: offer.id,
            role: role.expect("an offer is for a role"),
            agent: offer.hostname,
            agent_id: offer.agent_id,
            resources: resources.unallocated(),
        };
        let what = show(&held.resources);
        let line = format!("{} {} {} {what}", self.info.name, held.role, held.agent);
        self.offers.push(held);
        line
    }

    fn rescinded(&mut self, id: &v1::OfferId) -> Vec<String> {
        let name = &self.info.name;
        let (gone, left) = std::mem::take(&mut self.offers)
            .into_iter()
            .partition(|held| held.id == *id);
        self.offers = left;
        let gone: Vec<Held> = gone;
        let lines = gone.iter();
        lines
            .map(|held| format!("{name} {} {} rescinded", held.role, held.agent))
            .collect()
    }

    async fn status(&mut self, update: event::Update) {
        let status = update.status;
        let task = status.task_id.value.clone();
        if status.reason == Some(task_status::Reason::Reconciliation.into()) {
            self.answered.insert(task);
            return;
        }
        self.tasks.insert(task, status.state());
        let (Some(uuid), Some(agent_id)) = (status.uuid, status.agent_id) else {
            return;
        };
        let acknowledge = call::Acknowledge {
            agent_id,
            task_id: status.task_id,
            uuid,
        };
        let set = |call: &mut scheduler::Call| call.acknowledge = Some(acknowledge);
        self.call(Type::Acknowledge, set).await;
    }
}

impl Drop for Framework {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(name: String, mut events: Events<scheduler::Event>, heard: UnboundedSender<Heard>) {
    while let Ok(Some(event)) = events.next().await {
        if heard.send((name.clone(), event)).is_err() {
            return;
        }
    }
}

fn filters(refuse_seconds: f64) -> Option<v1::Filters> {
    Some(v1::Filters {
        refuse_seconds: Some(refuse_seconds),
    })
}

/// The disk as tasks see it.
fn mounted(disk: Disk) -> Disk {
    let volume = v1::Volume {
        container_path: "volume".to_owned(),
        mode: v1::volume::Mode::Rw.into(),
        ..Default::default()
    };
    Disk {
        volume: Some(volume.into()),
        ..disk
    }
}

/// What is wanted, out of what is there: of the same name, reserved to the same role.
fn pick(there: &Resources, wanted: &Resources) -> Resources {
    let picked = wanted.iter().map(|entry| -> Resource {
        let is_meant = |other: &&Resource| {
            other.name() == entry.name() && other.reservation_role() == entry.reservation_role()
        };
        let found = there.iter().find(is_meant);
        let found = found.unwrap_or_else(|| panic!("no such {} in {}", entry.name(), show(there)));
        found.clone().with_value(entry.value().clone())
    });
    picked.collect()
}
