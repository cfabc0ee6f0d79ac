//! A disk that fills up, fails and loses power.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// A disk that loses what was not flushed.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
pub(super) struct DiskState {
    pub(super) seen: Vec<u8>,
    flushed: Vec<u8>,
    /// Where was written since the last flush.
    dirty: Vec<(usize, usize)>,
    /// How many more operations work.
    pub(super) works_for: Option<usize>,
    /// How many flushes there were.
    pub(super) flushes: usize,
    /// An old backend does not write to a disk that was taken out.
    life: u64,
}

#[derive(Debug)]
pub(super) struct Backend {
    disk: Disk,
    life: u64,
}

impl Disk {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let state = DiskState {
            flushed: bytes.clone(),
            seen: bytes,
            ..DiskState::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    pub(super) fn backend(&self) -> Backend {
        let life = self.state().life;
        Backend {
            disk: self.clone(),
            life,
        }
    }

    pub(super) fn works_for(&self, operations: Option<usize>) {
        self.state().works_for = operations;
    }

    /// Power is lost: each sector that was not flushed is the old one or the new one.
    pub(super) fn crash(&self, draw: &mut dyn FnMut(u64) -> u64) {
        const SECTOR: usize = 512;
        let mut state = self.state();
        let len = if draw(2) == 0 {
            state.flushed.len()
        } else {
            state.seen.len()
        };
        let mut kept = state.flushed.clone();
        kept.resize(len, 0);
        for (from, to) in std::mem::take(&mut state.dirty) {
            for sector in from / SECTOR..to.div_ceil(SECTOR) {
                let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(len));
                if from < to && to <= state.seen.len() && draw(2) == 0 {
                    kept[from..to].copy_from_slice(&state.seen[from..to]);
                }
            }
        }
        state.flushed.clone_from(&kept);
        state.seen = kept;
        state.works_for = None;
        state.life += 1;
    }
}

impl Backend {
    fn operate<T>(&self, operation: impl FnOnce(&mut DiskState) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the power is gone"));
        }
        match &mut state.works_for {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(operation(&mut state))
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        let state = self.disk.state();
        let bytes = state.seen.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(|state| state.seen.resize(len as usize, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(|state| {
            state.flushed.clone_from(&state.seen);
            state.dirty.clear();
            state.flushes += 1;
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(|state| {
            let from = offset as usize;
            state.seen[from..from + data.len()].copy_from_slice(data);
            state.dirty.push((from, from + data.len()));
        })
    }
}
