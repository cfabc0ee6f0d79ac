//! A disk on which redb cannot stop cleanly.
//!
//! After a clean stop redb trusts its file as it is; after a crash it first checks every page that is
//! in use. A registry is small, so we want that check at every start: rot is then a refusal with a
//! sentence, and the way up after a crash is the way up, taken every day. It costs one walk over the
//! file, and saves the writes of a clean stop.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{BackendError, StorageBackend};

/// A backend that refuses changes once it is closing.
#[derive(Debug)]
pub(crate) struct CrashOnly<B> {
    inner: B,
    closing: Closing,
}

/// Says that from now on nothing is written any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<B> CrashOnly<B> {
    pub(crate) fn new(inner: B, closing: Closing) -> Self {
        Self { inner, closing }
    }

    fn changing(&self) -> io::Result<&B> {
        if self.closing.0.load(Ordering::SeqCst) {
            return Err(io::Error::other("the log is closing"));
        }
        Ok(&self.inner)
    }
}

impl<B: StorageBackend> StorageBackend for CrashOnly<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.changing()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.changing()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.changing()?.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(from, to)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(from, to)
    }

    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(from, to)
    }

    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(from, to)
    }

    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(from, to)
    }
}
