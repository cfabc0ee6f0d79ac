//! Durable writes on the real file system, and the limits of reading them back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use meseta_model::step::{Seq, Write};
use meseta_runtime::group::{Flusher, Request, TEMPORARY_PREFIX};
use meseta_runtime::storage::{AppendError, Storage, check_path};
use meseta_runtime::{
    Completion, Disk, Entry, EntryContent, Files, History, TreeError, TreeLimits, limits, read_tree,
};

fn put(path: &str, bytes: &'static [u8]) -> Write {
    Write::Put {
        path: path.to_owned(),
        bytes: Bytes::from_static(bytes),
    }
}

fn append(path: &str, bytes: &'static [u8]) -> Write {
    Write::Append {
        path: path.to_owned(),
        bytes: Bytes::from_static(bytes),
    }
}

fn link(path: &str, target: &str) -> Write {
    Write::Symlink {
        path: path.to_owned(),
        target: target.to_owned(),
    }
}

fn delete(path: &str) -> Write {
    Write::Delete {
        path: path.to_owned(),
    }
}

fn file(path: &str, bytes: &'static [u8]) -> Entry {
    Entry {
        path: path.to_owned(),
        content: EntryContent::File(Bytes::from_static(bytes)),
    }
}

fn symlink(path: &str, target: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        content: EntryContent::Symlink(target.to_owned()),
    }
}

fn requests(writes: Vec<Vec<Write>>) -> Vec<Request> {
    let numbered = (1..).zip(writes);
    numbered
        .map(|(seq, writes)| Request {
            seq: Seq(seq),
            writes,
        })
        .collect()
}

fn flush<S: Storage>(flusher: &mut Flusher<S>, writes: Vec<Vec<Write>>) -> Vec<Result<(), String>> {
    flusher
        .flush(&requests(writes))
        .into_iter()
        .map(|(_, result)| result)
        .collect()
}

fn root() -> (tempfile::TempDir, Flusher<Files>) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path().join("work/meta")).unwrap();
    (dir, Flusher::new(files))
}

fn tree(dir: &tempfile::TempDir) -> Vec<Entry> {
    read_tree(&dir.path().join("work/meta"), &TreeLimits::default()).unwrap()
}

#[test]
fn writes_of_every_kind_come_back_sorted() {
    let (dir, mut flusher) = root();
    let results = flush(
        &mut flusher,
        vec![
            vec![
                put("slaves/S0/slave.info", b"v1"),
                link("slaves/latest", "S0"),
            ],
            vec![
                append("slaves/S0/updates", b"one"),
                append("slaves/S0/updates", b"two"),
            ],
            vec![
                put("slaves/S0/slave.info", b"v2"),
                link("slaves/latest", "/abs/S1"),
            ],
            vec![
                put("slaves/gone/a/b", b"x"),
                delete("slaves/gone"),
                delete("never/was"),
            ],
            vec![
                put("boot_id", b"7"),
                delete("boot_id"),
                put("boot_id", b"8"),
            ],
        ],
    );
    assert_eq!(results, vec![Ok(()); 5]);
    assert_eq!(
        tree(&dir),
        vec![
            file("boot_id", b"8"),
            file("slaves/S0/slave.info", b"v2"),
            file("slaves/S0/updates", b"onetwo"),
            symlink("slaves/latest", "/abs/S1"),
        ]
    );
}

#[test]
fn writes_of_one_group_to_one_place_happen_in_order() {
    let (dir, mut flusher) = root();
    let results = flush(
        &mut flusher,
        vec![
            vec![append("log", b"lost with the old file")],
            vec![put("log", b"new:")],
            vec![append("log", b"tail")],
            vec![put("d/x", b"staged in a directory that goes away")],
            vec![delete("d"), put("d/x", b"kept")],
            vec![append("d/y", b"1"), delete("d/y"), append("d/y", b"2")],
        ],
    );
    assert_eq!(results, vec![Ok(()); 6]);
    assert_eq!(
        tree(&dir),
        vec![
            file("d/x", b"kept"),
            file("d/y", b"2"),
            file("log", b"new:tail")
        ]
    );
}

#[test]
fn paths_that_leave_the_root_are_refused_and_touch_nothing() {
    let (dir, mut flusher) = root();
    let long_name = "n".repeat(limits::NAME_BYTES + 1);
    let long_path = "p/".repeat(limits::PATH_BYTES / 2 + 1) + "p";
    let bad = [
        "../x",
        "a/../../x",
        "/etc/x",
        "",
        "a//b",
        "a/",
        ".",
        "a/./b",
        "nul\0",
        &long_name,
        &long_path,
    ];
    for path in bad {
        assert!(check_path(path).is_err(), "{path:?}");
        let results = flush(
            &mut flusher,
            vec![vec![put("before", b"x"), delete(path)], vec![]],
        );
        assert!(
            results[0].is_err() && results[1].is_ok(),
            "{path:?}: {results:?}"
        );
    }
    assert_eq!(tree(&dir), vec![]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(check_path(&"n".repeat(limits::NAME_BYTES)), Ok(()));
}

#[test]
fn a_failed_request_leaves_no_half_and_does_not_fail_the_others() {
    let (dir, mut flusher) = root();
    assert_eq!(
        flush(
            &mut flusher,
            vec![vec![append("log", b"a"), put("dir/x", b"x")]]
        ),
        [Ok(())]
    );
    let results = flush(
        &mut flusher,
        vec![
            // The second write cannot happen: "dir" is a directory.
            vec![
                append("log", b"b"),
                append("fresh", b"b"),
                append("dir", b"b"),
            ],
            vec![append("log", b"c")],
            // "log" is a file.
            vec![put("log/below", b"d")],
        ],
    );
    assert!(results[0].is_err() && results[2].is_err(), "{results:?}");
    assert_eq!(results[1], Ok(()));
    assert_eq!(tree(&dir), vec![file("dir/x", b"x"), file("log", b"ac")]);
    let leftover = fs::read_dir(dir.path().join("work/meta")).unwrap();
    let names: Vec<_> = leftover.map(|item| item.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
}

/// Real files, and what comes before each flush of one.
struct Watched<B> {
    files: Files,
    before: B,
}

trait BeforeFlush {
    fn of_file(&mut self, path: &str) -> io::Result<()>;

    fn of_dir(&mut self, _dir: &str) -> io::Result<()> {
        Ok(())
    }
}

impl<B: BeforeFlush> Storage for Watched<B> {
    fn make_dir(&mut self, dir: &str) -> io::Result<bool> {
        self.files.make_dir(dir)
    }
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.files.write(path, bytes)
    }
    fn append(&mut self, path: &str, bytes: &[u8]) -> Result<Option<u64>, AppendError> {
        self.files.append(path, bytes)
    }
    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.files.truncate(path, len)
    }
    fn sync_file(&mut self, path: &str) -> io::Result<()> {
        self.before.of_file(path)?;
        self.files.sync_file(path)
    }
    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.before.of_dir(dir)?;
        self.files.sync_dir(dir)
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        self.files.symlink(target, path)
    }
    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.files.remove(path)
    }
}

/// Flushes of these fail, once each: a second try would succeed, as on Linux.
#[derive(Default)]
struct Failing {
    files: Vec<String>,
    dirs: Vec<String>,
}

fn fail_once(bad: &mut Vec<String>, path: &str) -> io::Result<()> {
    match bad.iter().position(|bad| bad == path) {
        Some(nth) => {
            bad.remove(nth);
            Err(io::Error::other("lost a page"))
        }
        None => Ok(()),
    }
}

impl BeforeFlush for Failing {
    fn of_file(&mut self, path: &str) -> io::Result<()> {
        fail_once(&mut self.files, path)
    }

    fn of_dir(&mut self, dir: &str) -> io::Result<()> {
        fail_once(&mut self.dirs, dir)
    }
}

fn flaky(dir: &tempfile::TempDir) -> Flusher<Watched<Failing>> {
    let files = Files::open(dir.path().join("work/meta")).unwrap();
    let before = Failing::default();
    Flusher::new(Watched { files, before })
}

#[test]
fn a_file_whose_flush_failed_is_not_trusted_until_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut flusher = flaky(&dir);
    assert_eq!(
        flush(&mut flusher, vec![vec![append("log", b"a")]]),
        [Ok(())]
    );
    flusher.storage_mut().before.files = vec!["log".to_owned()];
    let results = flush(
        &mut flusher,
        vec![
            vec![append("log", b"b")],
            vec![append("other", b"b")],
            vec![append("log", b"c")],
        ],
    );
    assert!(
        results[0].is_err() && results[1].is_ok() && results[2].is_err(),
        "{results:?}"
    );
    // The flush would succeed now, but what it would say about the lost page is not true.
    let results = flush(&mut flusher, vec![vec![append("log", b"d")]]);
    let reason = results[0].as_ref().unwrap_err();
    assert!(
        reason.contains("no longer trusted") && reason.contains("lost a page"),
        "{reason}"
    );
    assert_eq!(tree(&dir), vec![file("log", b"a"), file("other", b"b")]);
    let results = flush(
        &mut flusher,
        vec![vec![put("log", b"z"), append("log", b"y")]],
    );
    assert_eq!(results, [Ok(())]);
    assert_eq!(tree(&dir), vec![file("log", b"zy"), file("other", b"b")]);
}

#[test]
fn a_put_whose_flush_failed_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut flusher = flaky(&dir);
    assert_eq!(
        flush(&mut flusher, vec![vec![put("info", b"old")]]),
        [Ok(())]
    );
    flusher.storage_mut().before.files = vec![format!("{TEMPORARY_PREFIX}0")];
    let results = flush(&mut flusher, vec![vec![put("info", b"new")]]);
    assert!(results[0].as_ref().unwrap_err().contains("lost a page"));
    assert_eq!(tree(&dir), vec![file("info", b"old")]);
}

#[test]
fn a_directory_whose_flush_failed_is_not_trusted_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut flusher = flaky(&dir);
    flusher.storage_mut().before.dirs = vec!["d".to_owned()];
    let results = flush(
        &mut flusher,
        vec![vec![put("d/x", b"x")], vec![put("e/x", b"x")]],
    );
    assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
    for write in [
        put("d/y", b"y"),
        append("d/z", b"z"),
        link("d/l", "x"),
        put("d/new/y", b"y"),
    ] {
        let results = flush(&mut flusher, vec![vec![write]]);
        assert!(
            results[0]
                .as_ref()
                .is_err_and(|reason| reason.contains("no longer trusted"))
        );
    }
    let results = flush(&mut flusher, vec![vec![delete("d"), put("d/x", b"again")]]);
    assert_eq!(results, [Ok(())]);
    assert_eq!(tree(&dir), vec![file("d/x", b"again"), file("e/x", b"x")]);
}

#[test]
fn a_disk_with_too_many_broken_files_fails_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut flusher = flaky(&dir);
    let names: Vec<String> = (0..=limits::BROKEN_PATHS)
        .map(|n| format!("f{n}"))
        .collect();
    flusher.storage_mut().before.files.clone_from(&names);
    let writes = names.iter().map(|name| vec![append(name, b"x")]).collect();
    assert!(flush(&mut flusher, writes).iter().all(Result::is_err));
    let results = flush(&mut flusher, vec![vec![put("fresh", b"x")]]);
    assert!(
        results[0]
            .as_ref()
            .is_err_and(|reason| reason.contains("the disk is broken"))
    );
}

fn completions() -> (
    impl FnMut(Completion) + Send + 'static,
    Receiver<Completion>,
) {
    let (sender, receiver) = channel();
    (move |completion| sender.send(completion).unwrap(), receiver)
}

#[test]
fn a_disk_reports_in_order_and_performs_what_was_asked_before_it_closes() {
    let dir = tempfile::tempdir().unwrap();
    let (done, completed) = completions();
    let disk = Disk::start(Files::open(dir.path().join("work/meta")).unwrap(), done).unwrap();
    for seq in 1..=1_000 {
        let write = if seq % 10 == 0 {
            delete("../x")
        } else {
            append("log", b"x")
        };
        disk.persist(Seq(seq), vec![write]).unwrap();
    }
    disk.close().unwrap();
    let completed: Vec<Completion> = completed.iter().collect();
    assert_eq!(completed.len(), 1_000);
    for (seq, completion) in (1..).zip(completed) {
        assert_eq!(completion.seq, Seq(seq));
        assert_eq!(completion.result.is_ok(), seq % 10 != 0);
    }
    assert_eq!(
        tree(&dir),
        vec![Entry {
            path: "log".to_owned(),
            content: EntryContent::File(Bytes::from(vec![b'x'; 900])),
        }]
    );
}

/// Flushes wait for the test, which is told of each.
struct Gated {
    gate: Receiver<()>,
    flushes: std::sync::mpsc::Sender<()>,
}

impl BeforeFlush for Gated {
    fn of_file(&mut self, _path: &str) -> io::Result<()> {
        self.flushes.send(()).unwrap();
        self.gate.recv_timeout(Duration::from_secs(60)).unwrap();
        Ok(())
    }
}

#[test]
fn what_waits_during_a_flush_shares_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (open_gate, gate) = channel();
    let (flushes, flushed) = channel();
    let files = Files::open(dir.path().join("work/meta")).unwrap();
    let (done, completed) = completions();
    let before = Gated { gate, flushes };
    let disk = Disk::start(Watched { files, before }, done).unwrap();
    disk.persist(Seq(1), vec![append("log", b"x")]).unwrap();
    flushed.recv_timeout(Duration::from_secs(60)).unwrap();
    // The first flush is on its way; these wait, and more than one group's worth of them.
    let more = limits::REQUESTS_PER_FLUSH as u64 + 100;
    for seq in 2..2 + more {
        disk.persist(Seq(seq), vec![append("log", b"x")]).unwrap();
    }
    assert!(
        completed.try_recv().is_err(),
        "nothing is reported before its flush"
    );
    for _ in 0..3 {
        open_gate.send(()).unwrap();
    }
    disk.close().unwrap();
    assert_eq!(completed.iter().count() as u64, 1 + more);
    assert_eq!(flushed.iter().count(), 2, "after the first flush, two more");
}

#[test]
fn a_stopped_disk_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let disk = Disk::start(files, |_| panic!("the callback gives up")).unwrap();
    disk.persist(Seq(1), vec![put("x", b"x")]).unwrap();
    // The thread ends with the panic; how many requests it still takes is not promised.
    while disk.persist(Seq(2), vec![]).is_ok() {
        std::thread::yield_now();
    }
    assert!(disk.close().is_err());
}

#[test]
fn a_tree_is_read_whole_or_not_at_all() {
    let (dir, mut flusher) = root();
    let meta = dir.path().join("work/meta");
    let writes = vec![put("a-b", b"123"), put("a/b", b"45"), link("a/l", "../x")];
    assert_eq!(flush(&mut flusher, vec![writes]), [Ok(())]);
    fs::write(
        meta.join("a").join(format!("{TEMPORARY_PREFIX}3")),
        "left by a crash",
    )
    .unwrap();
    fs::create_dir(meta.join("empty")).unwrap();
    let whole = vec![
        file("a-b", b"123"),
        file("a/b", b"45"),
        symlink("a/l", "../x"),
    ];
    let limits = TreeLimits {
        file_bytes: 3,
        bytes: 5,
        entries: 3,
        depth: 1,
        history: None,
    };
    assert_eq!(read_tree(&meta, &limits).unwrap(), whole);
    assert_eq!(read_tree(&meta.join("absent"), &limits).unwrap(), vec![]);
    for tight in [
        TreeLimits {
            file_bytes: 2,
            ..limits
        },
        TreeLimits { bytes: 4, ..limits },
        TreeLimits {
            entries: 2,
            ..limits
        },
        TreeLimits { depth: 0, ..limits },
    ] {
        let error = read_tree(&meta, &tight).unwrap_err();
        assert!(
            matches!(error, TreeError::TooLarge { .. }),
            "{tight:?}: {error}"
        );
    }
    std::os::unix::net::UnixListener::bind(meta.join("socket")).unwrap();
    let error = read_tree(&meta, &limits).unwrap_err();
    assert!(matches!(error, TreeError::Special(_)), "{error}");
}

#[test]
fn of_most_history_only_the_marker_is_read() {
    let (dir, mut flusher) = root();
    let meta = dir.path().join("work/meta");
    let mut writes = vec![put("live/pid", b"1")];
    for run in ["r1", "r2", "r3"] {
        writes.push(put(&format!("{run}/tasks/t"), b"large"));
        writes.push(put(&format!("{run}/over"), b""));
    }
    assert_eq!(flush(&mut flusher, vec![writes]), [Ok(())]);
    for (run, age_secs) in [("r1", 20), ("r2", 10), ("r3", 30)] {
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age_secs);
        let marker = fs::File::options()
            .write(true)
            .open(meta.join(run).join("over"));
        marker.unwrap().set_modified(at).unwrap();
    }
    let limits = |whole| TreeLimits {
        history: Some(History {
            marker: "over",
            whole,
        }),
        ..TreeLimits::default()
    };
    let paths = |whole| -> Vec<String> {
        let entries = read_tree(&meta, &limits(whole)).unwrap();
        entries.into_iter().map(|entry| entry.path).collect()
    };
    assert_eq!(
        paths(1),
        ["live/pid", "r1/over", "r2/over", "r2/tasks/t", "r3/over"]
    );
    assert_eq!(read_tree(&meta, &limits(3)).unwrap(), tree(&dir));
}

#[test]
fn a_tree_that_cannot_be_read_says_where() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(dir.path().join(name), "x").unwrap();
    let error = read_tree(dir.path(), &TreeLimits::default()).unwrap_err();
    assert!(matches!(error, TreeError::NotText(_)), "{error}");

    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let error = read_tree(&file, &TreeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}
