//! Operator answers put together from what entities have serialized already, in either form, by the
//! tables of the answer's type. What is not repeated here is written by the codecs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use meseta_proto::Wire;
use meseta_proto::reflect::Table;

use crate::codec;
use crate::negotiate::MediaType;
use crate::read::Task;

/// Something that can be a field of an answer.
pub(crate) trait Piece {
    /// Its serialized form.
    fn piece(&self, media_type: MediaType) -> Cow<'_, [u8]>;
}

/// A message that is serialized when asked for.
#[derive(Debug)]
pub(crate) struct Whole<M>(pub(crate) M);

impl<M: Wire> Piece for Whole<M> {
    fn piece(&self, media_type: MediaType) -> Cow<'_, [u8]> {
        Cow::Owned(codec::encode(media_type, &self.0))
    }
}

impl Piece for Task {
    fn piece(&self, media_type: MediaType) -> Cow<'_, [u8]> {
        match media_type {
            MediaType::Json => Cow::Borrowed(self.json().as_bytes()),
            MediaType::Protobuf => Cow::Owned(self.protobuf().into()),
        }
    }
}

/// An answer, or a part of one, that was put together.
#[derive(Debug, Default)]
pub(crate) struct Composed(pub(crate) Vec<u8>);

impl Piece for Composed {
    fn piece(&self, _: MediaType) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

/// A message of type `M` under way.
#[derive(Debug)]
pub(crate) struct Compose {
    media_type: MediaType,
    table: &'static Table,
    /// By slot: the value in JSON, or the field with its tags in protobuf.
    parts: BTreeMap<usize, Vec<u8>>,
}

impl Compose {
    pub(crate) fn new<M: Wire>(media_type: MediaType) -> Self {
        Self {
            media_type,
            table: M::TABLE,
            parts: BTreeMap::new(),
        }
    }

    fn slot(&self, name: &str) -> usize {
        let slot = self.table.slot_named(name);
        assert!(slot.is_some(), "{} has a field {name}", self.table.name);
        slot.unwrap_or_default()
    }

    fn tag(&self, slot: usize) -> u64 {
        // Wire type 2: a length, then bytes.
        u64::from(self.table.fields[slot].number) << 3 | 2
    }

    /// Sets an enum by the name and number of its value.
    pub(crate) fn variant(mut self, field: &str, name: &str, number: i32) -> Self {
        let slot = self.slot(field);
        let part = match self.media_type {
            MediaType::Json => format!("\"{name}\"").into_bytes(),
            MediaType::Protobuf => {
                let mut part = Vec::new();
                varint(&mut part, self.tag(slot) & !7);
                varint(&mut part, i64::from(number) as u64);
                part
            }
        };
        self.parts.insert(slot, part);
        self
    }

    /// Sets a double.
    pub(crate) fn double(mut self, field: &str, value: f64) -> Self {
        let slot = self.slot(field);
        let part = match self.media_type {
            MediaType::Json => {
                let mut out = String::new();
                crate::json::number(&mut out, value);
                out.into_bytes()
            }
            MediaType::Protobuf => {
                let mut part = Vec::new();
                varint(&mut part, self.tag(slot) & !7 | 1);
                part.extend_from_slice(&value.to_le_bytes());
                part
            }
        };
        self.parts.insert(slot, part);
        self
    }

    /// Sets a message.
    pub(crate) fn message(mut self, field: &str, value: &impl Piece) -> Self {
        let slot = self.slot(field);
        let bytes = value.piece(self.media_type);
        let part = match self.media_type {
            MediaType::Json => bytes.into_owned(),
            MediaType::Protobuf => {
                let mut part = Vec::with_capacity(bytes.len() + 8);
                append_field(&mut part, self.tag(slot), &bytes);
                part
            }
        };
        self.parts.insert(slot, part);
        self
    }

    /// Sets a list of messages. An empty one is shown only where Mesos shows it.
    pub(crate) fn list<'a, P: Piece + 'a>(
        mut self,
        field: &str,
        values: impl IntoIterator<Item = &'a P>,
    ) -> Self {
        let slot = self.slot(field);
        let tag = self.tag(slot);
        let mut part = Vec::new();
        for value in values {
            let bytes = value.piece(self.media_type);
            match self.media_type {
                MediaType::Json => {
                    part.push(if part.is_empty() { b'[' } else { b',' });
                    part.extend_from_slice(&bytes);
                }
                MediaType::Protobuf => append_field(&mut part, tag, &bytes),
            }
        }
        if part.is_empty() {
            return self;
        }
        if self.media_type == MediaType::Json {
            part.push(b']');
        }
        self.parts.insert(slot, part);
        self
    }

    /// The whole message.
    pub(crate) fn finish(self) -> Composed {
        let length: usize = self.parts.values().map(|part| part.len() + 32).sum();
        let mut out = Vec::with_capacity(length);
        match self.media_type {
            MediaType::Json => self.finish_json(&mut out),
            MediaType::Protobuf => {
                let mut parts: Vec<_> = self.parts.into_iter().collect();
                parts.sort_by_key(|(slot, _)| self.table.fields[*slot].number);
                for (_, part) in parts {
                    out.extend_from_slice(&part);
                }
            }
        }
        Composed(out)
    }

    fn finish_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (slot, field) in self.table.fields.iter().enumerate() {
            let empty = &b"[]"[..];
            let part = match self.parts.get(&slot) {
                Some(part) => part,
                None if field.shown_empty => empty,
                None => continue,
            };
            if out.len() > 1 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(field.name().as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(part);
        }
        out.push(b'}');
    }
}

fn append_field(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    varint(out, tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use meseta_proto::mesos::v1;
    use meseta_proto::mesos::v1::master::{Event, Response, event, response};

    fn task(id: &str) -> v1::Task {
        v1::Task {
            name: "n".to_owned(),
            task_id: v1::TaskId {
                value: id.to_owned(),
            },
            framework_id: v1::FrameworkId {
                value: "f".to_owned(),
            },
            agent_id: v1::AgentId {
                value: "a".to_owned(),
            },
            ..Default::default()
        }
    }

    /// What is composed is what the codecs would have written.
    #[test]
    fn composed_answers_equal_encoded_ones() {
        let tasks = [task("1"), task(&"2".repeat(300))];
        let get_tasks = response::GetTasks {
            tasks: tasks.to_vec(),
            completed_tasks: vec![task("3")],
            ..Default::default()
        };
        let whole = Response {
            r#type: Some(response::Type::GetTasks.into()),
            get_tasks: Some(get_tasks),
            ..Default::default()
        };
        for media_type in [MediaType::Json, MediaType::Protobuf] {
            let tasks: Vec<Task> = tasks.iter().cloned().map(Task::new).collect();
            let mut over = Task::new(task("3"));
            over.pack();
            let inner = Compose::new::<response::GetTasks>(media_type)
                .list("completed_tasks", [&over])
                .list("tasks", &tasks)
                .list::<Task>("unreachable_tasks", [])
                .finish();
            let composed = Compose::new::<Response>(media_type)
                .message("get_tasks", &inner)
                .variant("type", "GET_TASKS", response::Type::GetTasks as i32)
                .finish();
            assert_eq!(
                composed.0,
                codec::encode(media_type, &whole),
                "{media_type:?}"
            );
        }
    }

    #[test]
    fn doubles_are_composed_too() {
        let whole = Event {
            r#type: Some(event::Type::Subscribed.into()),
            subscribed: Some(event::Subscribed {
                get_state: None,
                heartbeat_interval_seconds: Some(15.0),
            }),
            ..Default::default()
        };
        for media_type in [MediaType::Json, MediaType::Protobuf] {
            let inner = Compose::new::<event::Subscribed>(media_type)
                .double("heartbeat_interval_seconds", 15.0)
                .finish();
            let composed = Compose::new::<Event>(media_type)
                .variant("type", "SUBSCRIBED", event::Type::Subscribed as i32)
                .message("subscribed", &inner)
                .finish();
            assert_eq!(
                composed.0,
                codec::encode(media_type, &whole),
                "{media_type:?}"
            );
        }
    }
}
