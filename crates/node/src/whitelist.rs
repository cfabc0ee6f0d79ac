//! The file of host names whose agents may be offered.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use meseta_master::event::Event;
use tokio::sync::mpsc;

/// How often the file is read again: Mesos's.
const INTERVAL: Duration = Duration::from_secs(5);

/// The largest file that is read, bytes; a larger one counts as unreadable.
const FILE_LIMIT: u64 = 16 << 20;

/// The names in the file, one a line; an empty file names nobody.
pub(crate) fn read(path: &Path) -> io::Result<BTreeSet<String>> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other("the file is too large"));
    }
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Tells the core whenever the file says something else than `known`. What cannot be read changes
/// nothing, as in Mesos.
pub(crate) async fn watch(
    path: PathBuf,
    mut known: BTreeSet<String>,
    every: Duration,
    events: mpsc::Sender<Event>,
) {
    loop {
        tokio::time::sleep(every).await;
        match read(&path) {
            Ok(names) if names == known => {}
            Ok(names) => {
                known.clone_from(&names);
                if events
                    .send(Event::WhitelistChanged(Some(names)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read the whitelist")
            }
        }
    }
}

/// Reads the file once for a start, and watches it from then on until nobody listens.
pub(crate) async fn begin(path: PathBuf, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let names = read(&path)?;
    let first = Event::WhitelistChanged(Some(names.clone()));
    if events.send(first).await.is_ok() {
        tokio::spawn(watch(path, names, INTERVAL, events.clone()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Option<BTreeSet<String>> {
        Some(all.iter().map(|&name| name.to_owned()).collect())
    }

    #[tokio::test]
    async fn the_core_hears_of_what_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("whitelist");
        std::fs::write(&path, "h1\n\n  h2 \n").unwrap();
        let first = read(&path).unwrap();
        assert_eq!(Some(first.clone()), names(&["h1", "h2"]));
        let (sender, mut events) = mpsc::channel(1);
        let every = Duration::from_millis(1);
        let task = tokio::spawn(watch(path.clone(), first, every, sender));
        // Neither the same again nor an unreadable file is a change.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(dir.path().join("new"), "h2\nh1\n").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        std::fs::write(dir.path().join("new"), "h3").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        let heard = events.recv().await.unwrap();
        assert_eq!(heard, Event::WhitelistChanged(names(&["h3"])));
        std::fs::write(&path, "").unwrap();
        let heard = events.recv().await.unwrap();
        assert_eq!(heard, Event::WhitelistChanged(names(&[])));
        drop(events);
        std::fs::write(&path, "h4").unwrap();
        task.await.unwrap();
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("whitelist");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(FILE_LIMIT + 1).unwrap();
        assert!(read(&path).is_err());
    }
}
