//! The disk of an agent: the real flusher over files in memory that forget what was not flushed.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use meseta_model::step::{Seq, Write};
use meseta_runtime::memory::{Fault as DiskFault, Operation};
use meseta_runtime::{Flusher, MemoryFiles, Request, Storage};

use super::agents::WORK_DIR;
use super::{Happening, World};
use crate::draws::Draws;
use crate::invariants::Seen;
use crate::limits::REQUESTS_PER_FLUSH;
use crate::plan::DiskPlan;
use crate::process::Process;
use crate::tally::Fault;

/// What the storage's faults have done, told through the box that they are in.
type Fired = Arc<Mutex<Vec<Fault>>>;

/// A disk, and what is asked of it.
pub(crate) struct SimDisk {
    flusher: Flusher<MemoryFiles>,
    waiting: VecDeque<Request>,
    /// What is being flushed now.
    busy: Vec<Request>,
    fired: Fired,
}

impl SimDisk {
    pub(super) fn open(mut files: MemoryFiles) -> Self {
        files.set_faults(None);
        Self {
            flusher: Flusher::new(files),
            waiting: VecDeque::new(),
            busy: Vec::new(),
            fired: Fired::default(),
        }
    }

    pub(super) fn calm(&mut self) {
        self.flusher.storage_mut().set_faults(None);
    }

    /// Whether a flush is under way.
    pub(crate) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// The next operations fail now and then.
    fn trouble(&mut self, plan: &DiskPlan, seed: u64) {
        let (flush, write) = (plan.flush_failures_permille, plan.write_failures_permille);
        if flush + write == 0 {
            return self.calm();
        }
        let mut draws = Draws::new(seed);
        let fired = self.fired.clone();
        let faults = move |operation: Operation, _: &str| {
            let (permille, kind, fault) = match operation {
                Operation::SyncFile | Operation::SyncDir => {
                    (flush, ErrorKind::Other, Fault::FlushFailed)
                }
                Operation::Write | Operation::Append => {
                    (write, ErrorKind::StorageFull, Fault::WriteFailed)
                }
                _ => return None,
            };
            if !draws.permille(permille) {
                return None;
            }
            fired
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(fault);
            let partial = draws.index(64);
            Some(DiskFault { kind, partial })
        };
        let faults = Box::new(faults);
        self.flusher.storage_mut().set_faults(Some(faults));
    }
}

impl World {
    /// As `Disk::persist` of the runtime room: requests that come while a flush is under way share the
    /// next one.
    pub(super) fn persist(&mut self, a: usize, seq: Seq, writes: Vec<Write>) {
        let early = self
            .plant
            .as_mut()
            .is_some_and(|plant| plant.reports_before_flush());
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        process.disk.waiting.push_back(Request { seq, writes });
        if early && process.disk.busy.is_empty() {
            return self.report_before_flush(a);
        }
        self.begin_flush(a);
    }

    fn begin_flush(&mut self, a: usize) {
        let life = self.agents[a].life;
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        let disk = &mut process.disk;
        if disk.is_busy() || disk.waiting.is_empty() {
            return;
        }
        let most = disk.waiting.len().min(REQUESTS_PER_FLUSH);
        disk.busy = disk.waiting.drain(..most).collect();
        let mut after = self.draws.between(self.plan.disk.flush_us);
        if self.draws.permille(self.plan.disk.slow_permille) {
            after += self.draws.between(self.plan.disk.slow_us);
            self.fired(Fault::FlushSlow);
        }
        self.later(after, Happening::FlushDone(a, life));
    }

    pub(super) fn flush_done(&mut self, a: usize, life: u64) {
        if self.agents[a].life != life {
            return;
        }
        let seed = self.draws.bits();
        let plan = self.plan.disk.clone();
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        process.disk.trouble(&plan, seed);
        let busy = std::mem::take(&mut process.disk.busy);
        let results = process.disk.flusher.flush(&busy);
        let fired = std::mem::take(
            &mut *process
                .disk
                .fired
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for fault in fired {
            self.fired(fault);
        }
        for (request, (seq, result)) in busy.iter().zip(results) {
            self.see(&Seen::Flushed {
                agent: a,
                writes: &request.writes,
                done: result.is_ok(),
            });
            self.report_flush(a, seq, result);
        }
        self.begin_flush(a);
    }

    fn report_flush(&mut self, a: usize, seq: Seq, result: Result<(), String>) {
        let now = self.now(Process::Agent(a));
        if let Err(error) = &result {
            self.note(|| format!("agent{}'s disk fails: {error}", a + 1));
        }
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        let mut outputs = Vec::new();
        match result {
            Ok(()) => process.driver.persisted(now, seq, &mut outputs),
            Err(error) => process.driver.persist_failed(now, seq, error, &mut outputs),
        }
        self.see(&Seen::AgentWakes { agent: a });
        self.perform_agent(a, outputs);
    }

    /// A planted bug: the write is said to be done, and never is.
    fn report_before_flush(&mut self, a: usize) {
        let Some(process) = &mut self.agents[a].process else {
            return;
        };
        if let Some(request) = process.disk.waiting.pop_front() {
            self.report_flush(a, request.seq, Ok(()));
        }
    }

    /// The process that wrote is gone. Of a flush that was under way nothing may have happened, all, or
    /// any number of operations; what still waited never happens.
    pub(super) fn abandon_disk(&mut self, a: usize, mut disk: SimDisk) -> MemoryFiles {
        disk.calm();
        if disk.is_busy() {
            self.fired(Fault::AgentCrashedInFlush);
            let mut operations = self.draws.below(30);
            let faults = move |_: Operation, _: &str| {
                operations = operations.saturating_sub(1);
                (operations == 0).then_some(DiskFault {
                    kind: ErrorKind::Other,
                    partial: 0,
                })
            };
            disk.flusher
                .storage_mut()
                .set_faults(Some(Box::new(faults)));
            // Nobody hears what came of it.
            let _ = disk.flusher.flush(&disk.busy);
            self.note(|| format!("agent{} died in the middle of a flush", a + 1));
        }
        let mut files = disk.flusher.into_storage();
        files.set_faults(None);
        files
    }

    /// An agent had a directory removed; the part below `meta/` is on the simulated disk.
    pub(super) fn remove_directory(&mut self, a: usize, path: &str) {
        self.see(&Seen::DirectoryRemoved { agent: a, path });
        let below = path.strip_prefix(WORK_DIR);
        let meta = below.and_then(|below| below.strip_prefix("/meta/"));
        let (Some(meta), Some(process)) = (meta, &mut self.agents[a].process) else {
            return;
        };
        let storage = process.disk.flusher.storage_mut();
        // As the process around a real agent: removed beside the flusher, and not flushed.
        storage.set_faults(None);
        let _ = storage.remove(meta);
    }
}
