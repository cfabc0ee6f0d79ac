//! The operator event stream: first everything, then every change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meseta_proto::Wire;
use meseta_proto::mesos::v1::master::{Event, event};

use super::{Master, views};
use crate::answer::Answer;
use crate::compose::Compose;
use crate::limits;
use crate::negotiate::MediaType;
use crate::read::Change;
use crate::server::Cut;
use crate::streams::{Stream, StreamBody};
use crate::{codec, streams};

/// Who listens, oldest first.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    open: Mutex<Vec<Arc<Stream>>>,
}

impl Subscribers {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Opens a stream. What changes from this moment on waits behind the snapshot of this moment,
    /// which is put together without holding up anybody.
    pub(super) fn open(&self, master: &Arc<Master>, media_type: MediaType, cut: Cut) -> Answer {
        let stream = Stream::held(media_type, cut);
        let read = {
            let mut open = self.lock();
            if open.len() >= master.config.operator_streams() {
                open.remove(0).cut();
            }
            open.push(stream.clone());
            master.model.read()
        };
        let subscribed = Compose::new::<event::Subscribed>(media_type)
            .message("get_state", &views::get_state(&read, media_type))
            .double(
                "heartbeat_interval_seconds",
                limits::OPERATOR_HEARTBEAT.as_secs_f64(),
            )
            .finish();
        let first = Compose::new::<Event>(media_type)
            .variant("type", "SUBSCRIBED", event::Type::Subscribed as i32)
            .message("subscribed", &subscribed)
            .finish();
        stream.begin(streams::framed(&first.0));
        let beats = tokio::spawn(heartbeats(stream.clone()));
        let (told, gone) = (master.clone(), stream.clone());
        let body = StreamBody::new(stream, move || {
            beats.abort();
            told.subscribers
                .lock()
                .retain(|open| !Arc::ptr_eq(open, &gone));
        });
        Answer::stream(media_type.header(), body)
    }

    /// Ends every stream.
    pub(super) fn cut(&self) {
        self.lock().drain(..).for_each(|stream| stream.cut());
    }

    /// Applies a change and tells it, so that no stream can begin between the two.
    pub(super) fn tell<'a>(&self, change: impl FnOnce() -> Change<'a>) {
        let mut open = self.lock();
        let change = change();
        if open.is_empty() {
            return;
        }
        if matches!(change, Change::Voided) {
            open.drain(..).for_each(|stream| stream.cut());
            return;
        }
        let Some(event) = event(change) else {
            return;
        };
        for media_type in [MediaType::Json, MediaType::Protobuf] {
            let mut same = open
                .iter()
                .filter(|stream| stream.media_type == media_type)
                .peekable();
            if same.peek().is_some() {
                let record = codec::record(media_type, &event);
                same.for_each(|stream| stream.send(record.clone()));
            }
        }
    }
}

/// The first at once, as Mesos does.
async fn heartbeats(stream: Arc<Stream>) {
    let heartbeat = Event {
        r#type: Some(event::Type::Heartbeat.into()),
        ..Default::default()
    };
    let record = codec::record(stream.media_type, &heartbeat);
    let mut ticks = tokio::time::interval(limits::OPERATOR_HEARTBEAT);
    loop {
        ticks.tick().await;
        stream.send(record.clone());
    }
}

/// The event that tells of a change, if one does.
fn event(change: Change<'_>) -> Option<Event> {
    let mut event = Event::default();
    let kind = match change {
        Change::Voided | Change::Other => return None,
        Change::AgentAdded(agent) => {
            let agent = views::agent(&agent);
            event.agent_added = some(event::AgentAdded { agent });
            event::Type::AgentAdded
        }
        Change::AgentRemoved(id) => {
            event.agent_removed = some(event::AgentRemoved {
                agent_id: id.to_wire(),
            });
            event::Type::AgentRemoved
        }
        Change::FrameworkAdded(framework) => {
            let framework = views::framework(&framework, Vec::new());
            event.framework_added = some(event::FrameworkAdded { framework });
            event::Type::FrameworkAdded
        }
        Change::FrameworkUpdated(framework) => {
            let framework = views::framework(&framework, Vec::new());
            event.framework_updated = some(event::FrameworkUpdated { framework });
            event::Type::FrameworkUpdated
        }
        Change::FrameworkRemoved(framework) => {
            event.framework_removed = some(event::FrameworkRemoved {
                framework_info: framework.view.info.clone(),
            });
            event::Type::FrameworkRemoved
        }
        Change::TaskAdded(task) => {
            let task = task.whole().into_owned();
            event.task_added = some(event::TaskAdded { task });
            event::Type::TaskAdded
        }
        Change::TaskUpdated {
            framework,
            state,
            status,
        } => {
            event.task_updated = some(event::TaskUpdated {
                framework_id: framework.to_wire(),
                status: status.clone(),
                state: state as i32,
            });
            event::Type::TaskUpdated
        }
    };
    event.set_type(kind);
    Some(event)
}

/// Some of the parts are boxed, some are not.
fn some<M: Wire, T: From<M>>(part: M) -> Option<T> {
    Some(part.into())
}
