//! One task of a read model.

use std::borrow::Cow;

use bytes::Bytes;
use meseta_model::ids::{AgentId, TaskId};
use meseta_model::task::push_status;
use meseta_proto::mesos::v1;

use super::Fragments;
use crate::legacy;

/// A task, its history, and how it is shown. One that is over is kept packed: most of what a busy
/// master shows is such, and nobody may ever ask for it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) agent: AgentId,
    pub(crate) state: v1::TaskState,
    /// When its first status was made, in seconds since the Unix epoch; `/tasks` sorts by it.
    pub(crate) since: Option<f64>,
    body: Body,
    fragments: Fragments,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Box<v1::Task>),
    /// As protobuf.
    Packed(Bytes),
}

impl Task {
    pub(crate) fn new(task: v1::Task) -> Self {
        Self {
            id: TaskId::from(&task.task_id),
            agent: AgentId::from(&task.agent_id),
            state: task.state(),
            since: since(&task),
            body: Body::Whole(Box::new(task)),
            fragments: Fragments::default(),
        }
    }

    /// The whole task.
    pub(crate) fn whole(&self) -> Cow<'_, v1::Task> {
        match &self.body {
            Body::Whole(task) => Cow::Borrowed(task),
            // We packed it ourselves.
            Body::Packed(bytes) => Cow::Owned(meseta_proto::decode(bytes).unwrap_or_default()),
        }
    }

    /// Takes in a new state, and the status that brought it.
    pub(crate) fn update(&mut self, state: v1::TaskState, status: Option<&v1::TaskStatus>) {
        let mut task = match std::mem::replace(&mut self.body, Body::Packed(Bytes::new())) {
            Body::Whole(task) => task,
            Body::Packed(bytes) => Box::new(meseta_proto::decode(&bytes).unwrap_or_default()),
        };
        task.set_state(state);
        if let Some(status) = status {
            push_status(&mut task, status);
            if status.uuid.is_some() {
                task.status_update_state = Some(status.state);
                task.status_update_uuid.clone_from(&status.uuid);
            }
        }
        self.state = state;
        self.since = since(&task);
        self.body = Body::Whole(task);
        self.fragments.forget();
    }

    /// Packs it: it is over. How the legacy documents show it is written down at the same time, so
    /// that whoever asks for `/state` first, after thousands of tasks, does not wait for that.
    pub(crate) fn pack(&mut self) {
        if let Body::Whole(task) = &self.body {
            self.fragments
                .legacy(|| legacy::fragment(|o| legacy::task(o, task)));
            self.body = Body::Packed(meseta_proto::encode(&**task).into());
        }
    }

    pub(crate) fn protobuf(&self) -> Bytes {
        match &self.body {
            Body::Whole(task) => meseta_proto::encode(&**task).into(),
            Body::Packed(bytes) => bytes.clone(),
        }
    }

    pub(crate) fn legacy(&self) -> &str {
        let make = || legacy::fragment(|o| legacy::task(o, &self.whole()));
        self.fragments.legacy(make)
    }

    pub(crate) fn json(&self) -> &str {
        let make = || {
            let mut out = String::new();
            meseta_proto::append_json(&mut out, &*self.whole());
            out.into_boxed_str()
        };
        self.fragments.json(make)
    }
}

fn since(task: &v1::Task) -> Option<f64> {
    task.statuses.first().map(v1::TaskStatus::timestamp)
}
