//! Event streams of schedulers: opened by SUBSCRIBE, in order, ended by either side or by the network.

use std::collections::BTreeMap;

use meseta_master::event::Event as MasterEvent;
use meseta_model::edge::StreamId;
use meseta_proto::mesos::v1::scheduler;

use super::{Happening, World};
use crate::limits::UNREAD_EVENTS;
use crate::process::Process;
use crate::show;
use crate::tally::Fault;

/// What comes down a stream.
#[derive(Debug)]
pub(crate) enum StreamItem {
    /// The answer to SUBSCRIBE: from here on the stream is open.
    Opened,
    Event(Box<scheduler::Event>),
    /// The master ended it.
    End,
}

#[derive(Debug)]
pub(crate) struct Stream {
    master: usize,
    master_life: u64,
    scheduler: usize,
    scheduler_life: u64,
    /// Which of the scheduler's attempts to subscribe this is.
    session: u64,
    last_us: u64,
    unread: usize,
    open_at_master: bool,
    open_at_scheduler: bool,
}

/// All streams that one side at least believes to be open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_id: BTreeMap<StreamId, Stream>,
}

impl Streams {
    pub(crate) fn reader(&self, id: &StreamId) -> Option<Process> {
        self.by_id
            .get(id)
            .map(|stream| Process::Scheduler(stream.scheduler))
    }

    pub(crate) fn writer(&self, id: &StreamId) -> Option<Process> {
        self.by_id
            .get(id)
            .map(|stream| Process::Master(stream.master))
    }

    /// Those that both sides believe to be open.
    pub(crate) fn open(&self) -> Vec<StreamId> {
        let open = self
            .by_id
            .iter()
            .filter(|(_, stream)| stream.open_at_master && stream.open_at_scheduler);
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Those between these two.
    pub(crate) fn between(&self, a: Process, b: Process) -> Vec<StreamId> {
        let is_between = |stream: &Stream| {
            let ends = (
                Process::Master(stream.master),
                Process::Scheduler(stream.scheduler),
            );
            ends == (a, b) || ends == (b, a)
        };
        let found = self.by_id.iter().filter(|(_, stream)| is_between(stream));
        found.map(|(id, _)| id.clone()).collect()
    }
}

impl World {
    /// A SUBSCRIBE was taken: its answer goes out, and events can follow.
    pub(super) fn open_stream(
        &mut self,
        id: &StreamId,
        master: usize,
        scheduler: usize,
        session: u64,
    ) {
        let stream = Stream {
            master,
            master_life: self.masters[master].life,
            scheduler,
            scheduler_life: self.schedulers[scheduler].life,
            session,
            last_us: self.now_us,
            unread: 0,
            open_at_master: true,
            open_at_scheduler: true,
        };
        self.streams.by_id.insert(id.clone(), stream);
        self.write_stream(id, StreamItem::Opened);
    }

    pub(super) fn send_event(&mut self, id: &StreamId, event: Box<scheduler::Event>) {
        let Some(stream) = self.streams.by_id.get_mut(id) else {
            return;
        };
        stream.unread += 1;
        let (unread, scheduler) = (stream.unread, stream.scheduler);
        let reads = !self.paused.contains_key(&Process::Scheduler(scheduler))
            && self.schedulers[scheduler].reads();
        if unread > UNREAD_EVENTS && !reads {
            self.fired(Fault::NeverRead);
            return self.break_stream(id, 0, 0);
        }
        self.write_stream(id, StreamItem::Event(event));
    }

    pub(super) fn close_stream(&mut self, id: &StreamId) {
        self.write_stream(id, StreamItem::End);
        if let Some(stream) = self.streams.by_id.get_mut(id) {
            stream.open_at_master = false;
        }
    }

    fn write_stream(&mut self, id: &StreamId, item: StreamItem) {
        let mut after = self.latency();
        let now_us = self.now_us;
        if let (Some(writer), Some(reader)) = (self.streams.writer(id), self.streams.reader(id)) {
            after += self.slowness(writer, reader);
        }
        let Some(stream) = self.streams.by_id.get_mut(id) else {
            return;
        };
        if !stream.open_at_master {
            return;
        }
        stream.last_us = stream.last_us.max(now_us + after);
        let happening = Happening::StreamItem(id.clone(), Box::new(item));
        self.queue.plan(stream.last_us, happening);
    }

    pub(super) fn stream_item(&mut self, id: &StreamId, item: StreamItem) {
        let Some(stream) = self.streams.by_id.get_mut(id) else {
            return;
        };
        let (s, life, session) = (stream.scheduler, stream.scheduler_life, stream.session);
        let ends = (Process::Master(stream.master), Process::Scheduler(s));
        if !stream.open_at_scheduler {
            return;
        }
        if self.cut_until(ends.0, ends.1).is_some() {
            let item = Happening::StreamItem(id.clone(), Box::new(item));
            return self.hold(ends.0, ends.1, item);
        }
        if !self.schedulers[s].reads() || self.schedulers[s].life != life {
            return;
        }
        if let Some(stream) = self.streams.by_id.get_mut(id) {
            stream.unread = stream.unread.saturating_sub(1);
        }
        match item {
            StreamItem::Opened => self.scheduler_opened(s, session, id),
            StreamItem::Event(event) => {
                self.note(|| format!("scheduler{} hears {}", s + 1, show::scheduler_event(&event)));
                self.scheduler_hears(s, session, *event);
            }
            StreamItem::End => {
                self.streams.by_id.remove(id);
                self.scheduler_disconnected(s, session);
            }
        }
    }

    /// Breaks a stream; each side learns it after its own while.
    pub(crate) fn break_stream(&mut self, id: &StreamId, master_after: u64, scheduler_after: u64) {
        self.later(master_after, Happening::StreamLostAtMaster(id.clone()));
        self.later(
            scheduler_after,
            Happening::StreamLostAtScheduler(id.clone()),
        );
        // Nothing gets through any more, whatever either side believes.
        if let Some(stream) = self.streams.by_id.get_mut(id) {
            stream.open_at_scheduler = false;
        }
    }

    pub(super) fn stream_lost_at_master(&mut self, id: &StreamId) {
        let Some(stream) = self.streams.by_id.get_mut(id) else {
            return;
        };
        let (master, life) = (stream.master, stream.master_life);
        let was_open = std::mem::replace(&mut stream.open_at_master, false);
        if was_open && self.masters[master].life == life {
            let stream = id.clone();
            self.master_event(master, MasterEvent::StreamClosed { stream });
        }
    }

    pub(super) fn stream_lost_at_scheduler(&mut self, id: &StreamId) {
        let Some(stream) = self.streams.by_id.get_mut(id) else {
            return;
        };
        stream.open_at_scheduler = false;
        let (s, life, session) = (stream.scheduler, stream.scheduler_life, stream.session);
        if self.schedulers[s].life == life {
            self.scheduler_disconnected(s, session);
        }
    }

    /// The process of `who` is gone, and its streams with it.
    pub(super) fn drop_streams(&mut self, who: Process) {
        let ids: Vec<StreamId> = self
            .streams
            .by_id
            .iter()
            .filter(|(_, stream)| match who {
                Process::Master(m) => stream.master == m,
                Process::Scheduler(s) => stream.scheduler == s,
                Process::Agent(_) => false,
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let after = self.latency();
            self.break_stream(&id, after, after);
        }
    }

    /// A scheduler hangs up.
    pub(super) fn hang_up(&mut self, scheduler: usize, session: u64) {
        let found = self
            .streams
            .by_id
            .iter_mut()
            .find(|(_, stream)| stream.scheduler == scheduler && stream.session == session);
        let Some((id, stream)) = found else {
            return;
        };
        stream.open_at_scheduler = false;
        let (id, master) = (id.clone(), stream.master);
        let ends = (Process::Master(master), Process::Scheduler(scheduler));
        let cut = self.cut_until(ends.0, ends.1).unwrap_or(self.now_us);
        let after = self.latency() + (cut - self.now_us);
        self.later(after, Happening::StreamLostAtMaster(id));
    }
}
