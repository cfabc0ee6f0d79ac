//! What starting a master and an agent have in common.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meseta_client::Links;
use meseta_model::upid::Upid;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Events of one core that wait. While this many do, actor messages wait in their connections and
/// requests are refused with 503.
pub const EVENTS: usize = 8192;

/// How long a start waits for a directory that another process works in.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a master or agent did not start. Each is a sentence for people.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("cannot listen on {address}: {error}; name another port with --port")]
    Listen {
        address: SocketAddr,
        error: std::io::Error,
    },
    #[error("{path}: {error}")]
    Path {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("{flag}={value}: {why}")]
    Flag {
        flag: &'static str,
        value: String,
        why: String,
    },
    #[error("{0}")]
    Other(String),
}

impl StartError {
    pub(crate) fn path(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Path {
            path: path.to_owned(),
            error,
        }
    }
}

/// Any other error's own words.
pub(crate) fn other(error: impl std::error::Error) -> StartError {
    StartError::Other(error.to_string())
}

/// Links from `own`; each that breaks becomes an event of the core.
pub(crate) fn links<E: Send + 'static>(
    own: SocketAddr,
    events: &mpsc::Sender<E>,
    link_broken: fn(Upid) -> E,
) -> Links {
    let (links, mut broken) = Links::new(own, tokio::runtime::Handle::current());
    let events = events.clone();
    tokio::spawn(async move {
        while let Some(report) = broken.recv().await {
            tracing::info!(peer = %report.peer, reason = report.reason, "link broken");
            if events.send(link_broken(report.peer)).await.is_err() {
                return;
            }
        }
    });
    links
}

/// Listens there.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let fail = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

/// 64 bits from the kernel, to seed what a core draws.
pub(crate) fn seed() -> Result<u64, StartError> {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        let got = rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty());
        filled += got.map_err(|error| StartError::Other(format!("no randomness: {error}")))?;
    }
    Ok(u64::from_ne_bytes(bytes))
}

/// Makes sure that no other process works in `dir`; the lock holds while the file is open, and goes
/// with the process however it ends.
///
/// It is waited for a little while: a process that is killed while it starts another one leaves the
/// file open in that one, until the other one's program begins.
pub(crate) async fn lock(dir: &Path) -> Result<File, StartError> {
    lock_within(dir, LOCK_PATIENCE).await
}

async fn lock_within(dir: &Path, patience: Duration) -> Result<File, StartError> {
    std::fs::create_dir_all(dir).map_err(StartError::path(dir))?;
    let path = dir.join(".meseta.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StartError::path(&path))?;
    let give_up = tokio::time::Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(StartError::Path { path, error });
            }
            Err(std::fs::TryLockError::WouldBlock) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StartError::InUse {
                    path: dir.to_owned(),
                });
            }
        }
    }
}

/// Waits until the value is as wished, or its sender is gone.
pub(crate) async fn wait_for<T: Clone>(
    mut receiver: watch::Receiver<T>,
    wished: impl FnMut(&T) -> bool,
) -> Option<T> {
    receiver
        .wait_for(wished)
        .await
        .ok()
        .map(|value| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_in_use_is_waited_for_but_not_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = lock(dir.path()).await.expect("free");
        let busy = lock_within(dir.path(), LOCK_PAUSE).await;
        let busy = busy.expect_err("in use").to_string();
        assert!(busy.ends_with("is in use by another process"), "{busy}");
        let second = lock(dir.path());
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_ok());
    }
}
