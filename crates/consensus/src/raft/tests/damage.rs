//! Files that were damaged: the start is refused, and the sentence says where and what to do.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Database, ReadableTable};

use super::disk::Disk;
use super::{MASTER, NODE, batch, content, filled, snapshot_at};
use crate::raft::open::{FILE_NAME, OpenError};
use crate::raft::store::{LOG, META, SNAPSHOT, Store};
use crate::raft::types::record_of;
use crate::record::{AGREEMENT, Kind, Record};

/// Opens a filled file after it was changed behind the store's back.
fn after(change: impl FnOnce(&redb::WriteTransaction)) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let store = Store::open(&path, NODE, MASTER).unwrap();
    filled(&store);
    store.save_snapshot(&snapshot_at(&store, 3)).unwrap();
    drop(store);
    let db = Database::open(&path).unwrap();
    let tx = db.begin_write().unwrap();
    change(&tx);
    tx.commit().unwrap();
    drop(db);
    match Store::open(&path, NODE, MASTER) {
        Ok(_) => Ok(()),
        Err(OpenError::Damaged { path: named, why }) if named == path => Err(why),
        Err(other) => panic!("{other}"),
    }
}

fn change_record(tx: &redb::WriteTransaction, key: u64, change: impl FnOnce(&mut Record)) {
    let mut log = tx.open_table(LOG).unwrap();
    let mut record = Record::decode(log.get(key).unwrap().unwrap().value()).unwrap();
    change(&mut record);
    log.insert(key, record.encode().as_slice()).unwrap();
}

#[test]
fn what_is_damaged_or_missing_stops_the_start_and_is_named() {
    assert_eq!(after(|_| ()), Ok(()));
    let why = after(|tx| {
        let mut log = tx.open_table(LOG).unwrap();
        let mut bytes = log.get(4).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        log.insert(4, bytes.as_slice()).unwrap();
    });
    assert_eq!(why, Err("log record 4: its checksum is wrong".to_owned()));
    let why = after(|tx| drop(tx.open_table(LOG).unwrap().remove(4)));
    assert_eq!(
        why,
        Err("the log: its last record is 3, and should be 4".to_owned())
    );
    let why = after(|tx| drop(tx.open_table(LOG).unwrap().remove(3)));
    assert_eq!(
        why,
        Err("log record 4: record 3 should come here, and is missing".to_owned())
    );
}

#[test]
fn what_is_unknown_or_does_not_fit_stops_the_start_and_is_named() {
    let why = after(|tx| change_record(tx, 3, |record| record.machine = 2));
    let other = "log record 3: it belongs to state machine 2, which this program does not have";
    assert_eq!(why, Err(other.to_owned()));
    let why = after(|tx| {
        let mut log = tx.open_table(LOG).unwrap();
        let mut bytes = log.get(2).unwrap().unwrap().value().to_vec();
        bytes[0] = 9;
        log.insert(2, bytes.as_slice()).unwrap();
    });
    let newer = "log record 2: it has format version 9, and this program reads version 1";
    assert_eq!(why, Err(newer.to_owned()));
    let why = after(|tx| change_record(tx, 3, |record| record.index = 4));
    assert_eq!(
        why,
        Err("log record 3: it says that it is record 4".to_owned())
    );
    let why = after(|tx| change_record(tx, 3, |record| record.epoch = 3));
    assert_eq!(why, Err("log record 3: its epoch does not fit".to_owned()));
    let why = after(|tx| {
        change_record(tx, 3, |record| *record = record_of(&batch(2, 3, 9, 1)));
    });
    assert_eq!(
        why,
        Err("log record 3: it begins with op 9, not after Some(3)".to_owned())
    );
    let why = after(|tx| {
        drop(
            tx.open_table(SNAPSHOT)
                .unwrap()
                .insert(0, [1, 2, 3].as_slice()),
        )
    });
    assert_eq!(
        why,
        Err("the record 'snapshot': it ends after 3 bytes".to_owned())
    );
    let why = after(|tx| drop(tx.open_table(META).unwrap().remove("identity")));
    assert_eq!(
        why,
        Err("the record of whose file this is: it is missing".to_owned())
    );
    let why = after(|tx| {
        let record = Record {
            machine: AGREEMENT,
            kind: Kind::Place,
            epoch: 2,
            index: 4,
            payload: Bytes::new(),
        };
        tx.open_table(META)
            .unwrap()
            .insert("purged", record.encode().as_slice())
            .unwrap();
    });
    assert_eq!(
        why,
        Err("the snapshot: the log begins after the snapshot ends".to_owned())
    );
}

#[test]
fn the_sentence_says_what_to_do() {
    let error = OpenError::Damaged {
        path: PathBuf::from("/m/log.redb"),
        why: "it is bad".to_owned(),
    };
    let text = error.to_string();
    for part in [
        "/m/log.redb: it is bad",
        "Nothing was changed",
        "newer Meseta",
        "backup",
        "move it away",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn no_flipped_bit_changes_what_comes_back() {
    let path = Path::new("disk");
    let disk = Disk::default();
    let store = Store::open_on(disk.backend(), path, NODE, MASTER).unwrap();
    filled(&store);
    store.save_snapshot(&snapshot_at(&store, 3)).unwrap();
    store.append(&[batch(2, 5, 7, 1)]).unwrap();
    let expected = content(&store);
    drop(store);
    let good = disk.state().seen.clone();
    // Every bit of the byte that selects the newest commit, one of each byte of redb's head, and one of
    // some bytes behind it.
    let selector = (0..8).map(|bit| (9, bit));
    let head = (0..320).map(|at| (at, at % 8));
    let behind = (512..good.len())
        .filter(|at| good[*at] != 0)
        .step_by(29)
        .map(|at| (at, at % 8));
    let (mut tried, mut refused, mut panicked) = (0, 0, 0);
    for (at, bit) in selector.chain(head).chain(behind) {
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        let disk = Disk::holding(bad);
        let opened =
            std::panic::catch_unwind(
                || match Store::open_on(disk.backend(), path, NODE, MASTER) {
                    Ok(store) => Some(content(&store)),
                    Err(OpenError::Damaged { .. }) => None,
                    Err(other) => panic!("byte {at}: {other}"),
                },
            );
        tried += 1;
        match opened {
            Ok(Some(found)) => assert!(found == expected, "bit {bit} of byte {at} goes unnoticed"),
            Ok(None) => refused += 1,
            Err(_) => panicked += 1,
        }
    }
    // Most of the file is not in use.
    assert!(refused > 100, "{refused} of {tried} were noticed");
    // redb reads one page, the names of its own tables, before it has checked it. A panic there stops
    // the start too, though not with our sentence.
    assert!(panicked < tried / 50, "{panicked} of {tried} panicked");
}
