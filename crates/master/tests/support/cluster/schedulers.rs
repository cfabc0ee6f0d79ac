//! What schedulers and operators do.

use meseta_master::event::{Event, OperatorCall};
use meseta_model::caller::Caller;
use meseta_model::edge::{RequestId, StreamId};
use meseta_model::ids::{AgentId, FrameworkId};
use meseta_model::resources::{ResourceFormat, Resources};
use meseta_proto::mesos::scheduler as v0;
use meseta_proto::mesos::v1;
use meseta_proto::mesos::v1::scheduler::{self, call};

use super::super::drivers::to_v0;
use super::super::subscribes;
use super::Cluster;
use super::agents::driver;
use super::operations::next_operation;

impl Cluster {
    fn is_driver(&self, scheduler: usize) -> bool {
        scheduler + 1 == self.schedulers.len()
    }

    fn framework_info(&self, scheduler: usize) -> v1::FrameworkInfo {
        use v1::framework_info::capability::Type;
        let capability = |kind: Type| v1::framework_info::Capability {
            r#type: Some(kind as i32),
        };
        let mut info = v1::FrameworkInfo {
            user: "u".to_owned(),
            name: format!("f{scheduler}"),
            id: self.schedulers[scheduler]
                .id
                .as_ref()
                .map(|id| FrameworkId::from(id.as_str()).to_wire()),
            ..Default::default()
        };
        if scheduler % 2 == 1 {
            info.failover_timeout = Some(60.0);
            info.checkpoint = Some(true);
            info.roles = vec!["a".to_owned(), "b".to_owned()];
            info.capabilities = vec![
                capability(Type::PartitionAware),
                capability(Type::MultiRole),
                capability(Type::ReservationRefinement),
                capability(Type::SharedResources),
            ];
        }
        info
    }

    pub fn subscribe(&mut self, scheduler: usize) {
        let framework_info = self.framework_info(scheduler);
        if self.is_driver(scheduler) {
            let call = v0::Call {
                framework_id: framework_info.id.clone(),
                r#type: Some(v0::call::Type::Subscribe as i32),
                subscribe: Some(v0::call::Subscribe {
                    framework_info,
                    force: Some(true),
                    ..Default::default()
                }),
                ..Default::default()
            };
            return self.driver_sends(call);
        }
        let stream = format!("S{}", self.number());
        self.streams.insert(stream.clone(), scheduler);
        self.schedulers[scheduler].stream = Some(stream.clone());
        self.schedulers[scheduler].subscribed = false;
        self.schedulers[scheduler].offers.clear();
        self.step(subscribes(&stream, framework_info));
    }

    fn driver_sends(&mut self, call: v0::Call) {
        self.step(Event::MessageReceived {
            caller: Caller::default(),
            from: driver(),
            to: "master".to_owned(),
            message: call.into(),
        });
    }

    pub fn close(&mut self, scheduler: usize) {
        if self.is_driver(scheduler) {
            self.schedulers[scheduler].subscribed = false;
            self.schedulers[scheduler].offers.clear();
            return self.step(Event::LinkBroken { peer: driver() });
        }
        if let Some(stream) = self.schedulers[scheduler].stream.take() {
            self.schedulers[scheduler].subscribed = false;
            self.schedulers[scheduler].offers.clear();
            let stream = StreamId::new(&stream);
            self.step(Event::StreamClosed { stream });
        }
    }

    pub fn call(&mut self, scheduler: usize, call: scheduler::Call) {
        let known = &self.schedulers[scheduler];
        let framework_id = known
            .id
            .as_ref()
            .map(|id| FrameworkId::from(id.as_str()).to_wire());
        let call = scheduler::Call {
            framework_id,
            ..call
        };
        if self.is_driver(scheduler) {
            return self.driver_sends(to_v0(call));
        }
        let stream_id = known.stream.clone();
        let request = self.number();
        self.asked.insert(request);
        self.step(Event::SchedulerCalled {
            request: RequestId(request),
            caller: Caller::default(),
            stream_id,
            call: Box::new(call),
        });
    }

    pub fn operator(&mut self, call: OperatorCall) {
        let request = self.number();
        self.asked.insert(request);
        self.step(Event::OperatorCalled {
            request: RequestId(request),
            caller: Caller::default(),
            call,
        });
    }

    /// Launches tasks on as many offers; one of them may be long gone.
    pub fn accept(&mut self, scheduler: usize, offers: usize, tasks: usize, stale: bool) {
        let known = &self.schedulers[scheduler];
        let Some(first) = known.offers.values().next().cloned() else {
            return;
        };
        let role = first
            .allocation_info
            .as_ref()
            .map(|info| info.role().to_owned());
        let mut ids: Vec<v1::OfferId> = known
            .offers
            .values()
            .take(offers.max(1))
            .map(|offer| offer.id.clone())
            .collect();
        if stale {
            ids.push(first.id.clone());
        }
        let agent_id = first.agent_id;
        let task_infos = (0..tasks).map(|n| {
            let name = format!("t{}", self.number());
            let mut resources = Resources::parse("cpus:1;mem:64", &Default::default()).unwrap();
            if let Some(role) = &role {
                resources = resources.allocated_to(&role.as_str().into());
            }
            let custom = n % 2 == 1;
            v1::TaskInfo {
                name: name.clone(),
                task_id: v1::TaskId { value: name },
                agent_id: agent_id.clone(),
                resources: resources.to_wire(ResourceFormat::PostRefinement),
                command: (!custom).then(Default::default),
                executor: custom.then(|| v1::ExecutorInfo {
                    executor_id: v1::ExecutorId {
                        value: "e".to_owned(),
                    },
                    command: Some(Default::default()),
                    resources: resources.to_wire(ResourceFormat::PostRefinement),
                    ..Default::default()
                }),
                ..Default::default()
            }
        });
        let task_infos: Vec<v1::TaskInfo> = task_infos.collect();
        for id in &ids {
            self.schedulers[scheduler].offers.remove(&id.value);
        }
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Accept as i32),
                accept: Some(call::Accept {
                    offer_ids: ids,
                    operations: vec![v1::offer::Operation {
                        r#type: Some(v1::offer::operation::Type::Launch as i32),
                        launch: Some(v1::offer::operation::Launch { task_infos }),
                        ..Default::default()
                    }],
                    filters: None,
                }),
                ..Default::default()
            },
        );
    }

    /// An ACCEPT of one offer with operations that each go on with what those before them made.
    pub fn operate(&mut self, scheduler: usize, kinds: &[usize], named: bool) {
        // A driver that names an operation is aborted.
        let named = named && !self.is_driver(scheduler);
        let offers = &mut self.schedulers[scheduler].offers;
        let Some((_, offer)) = offers.pop_first() else {
            return;
        };
        let role = offer
            .allocation_info
            .as_ref()
            .map_or("a", |info| info.role());
        let (role, mut left) = (
            role.to_owned(),
            Resources::from_wire(&offer.resources).unwrap(),
        );
        left = left.unallocated();
        let mut operations = Vec::new();
        for kind in kinds {
            let number = self.number();
            let Some(mut operation) = next_operation(*kind, &left, &role, &offer, number) else {
                continue;
            };
            if let Ok(steps) = meseta_model::resources::conversions(&operation)
                && let Ok(after) = left.apply(&steps)
            {
                left = after;
            }
            operation.id = (named && *kind < 6).then(|| v1::OperationId {
                value: format!("o{number}"),
            });
            operations.push(operation);
        }
        let accept = call::Accept {
            offer_ids: vec![offer.id],
            operations,
            filters: None,
        };
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Accept as i32),
                accept: Some(accept),
                ..Default::default()
            },
        );
    }

    pub fn acknowledge_operations(&mut self, scheduler: usize) {
        let open = std::mem::take(&mut self.schedulers[scheduler].operations);
        for (agent, operation_id, uuid) in open {
            let acknowledge = call::AcknowledgeOperationStatus {
                agent_id: Some(agent),
                resource_provider_id: None,
                uuid,
                operation_id,
            };
            let call = scheduler::Call {
                r#type: Some(call::Type::AcknowledgeOperationStatus as i32),
                acknowledge_operation_status: Some(acknowledge),
                ..Default::default()
            };
            self.call(scheduler, call);
        }
    }

    pub fn decline(&mut self, scheduler: usize, seconds: f64) {
        let offers = std::mem::take(&mut self.schedulers[scheduler].offers);
        let offer_ids = offers.into_values().map(|offer| offer.id).collect();
        let filters = Some(v1::Filters {
            refuse_seconds: Some(seconds),
        });
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Decline as i32),
                decline: Some(call::Decline { offer_ids, filters }),
                ..Default::default()
            },
        );
    }

    pub fn acknowledge(&mut self, scheduler: usize, which: usize) {
        let open = &mut self.schedulers[scheduler].unacknowledged;
        if open.is_empty() {
            return;
        }
        let (agent, task, uuid) = open.remove(which % open.len());
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Acknowledge as i32),
                acknowledge: Some(call::Acknowledge {
                    agent_id: AgentId::from(agent).to_wire(),
                    task_id: v1::TaskId { value: task },
                    uuid,
                }),
                ..Default::default()
            },
        );
    }

    /// KILL of the n-th task ever sent, of whichever framework.
    pub fn kill(&mut self, scheduler: usize, which: usize) {
        let Some((_, task)) = self
            .sent
            .iter()
            .nth(which % self.sent.len().max(1))
            .cloned()
        else {
            return;
        };
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(call::Type::Kill as i32),
                kill: Some(call::Kill {
                    task_id: v1::TaskId { value: task },
                    ..Default::default()
                }),
                ..Default::default()
            },
        );
    }

    pub fn simple(&mut self, scheduler: usize, kind: call::Type) {
        self.call(
            scheduler,
            scheduler::Call {
                r#type: Some(kind as i32),
                reconcile: (kind == call::Type::Reconcile).then(Default::default),
                ..Default::default()
            },
        );
    }
}
