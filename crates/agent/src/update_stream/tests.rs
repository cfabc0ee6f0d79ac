//! One stream: its order, its acknowledgements, its file, its tries.

use super::*;

fn update(number: u8) -> StatusUpdate {
    StatusUpdate {
        uuid: Some(uuid(number)),
        ..Default::default()
    }
}

fn uuid(number: u8) -> Bytes {
    Bytes::copy_from_slice(&[number; 16])
}

fn executor() -> ExecutorId {
    ExecutorId::from("e")
}

fn append(records: &[Bytes]) -> Option<Write> {
    Some(Write::Append {
        path: "p".to_owned(),
        bytes: Bytes::from(records.concat()),
    })
}

fn put(records: &[Bytes]) -> Option<Write> {
    Some(checkpoint::put("p".to_owned(), records.concat()))
}

#[test]
fn writes_take_along_what_came_meanwhile() {
    let mut stream = Stream::new(Some("p".to_owned()));
    assert_eq!(stream.push(update(1), Some(executor())), None);
    assert_eq!(stream.next_write(), append(&[update_record(&update(1))]));
    stream.write_started(Seq(1));
    stream.push(update(2), Some(executor()));
    stream.push(update(3), None);
    assert_eq!(stream.next_write(), None);
    assert_eq!(stream.ready(), None);
    assert!(stream.is_writing(Seq(1)) && !stream.is_writing(Seq(2)));
    assert_eq!(stream.written(), [(executor(), uuid(1))]);
    assert_eq!(stream.ready(), Some(&update(1)));
    let both = [update_record(&update(2)), update_record(&update(3))];
    assert_eq!(stream.next_write(), append(&both));
}

#[test]
fn after_a_failed_write_the_whole_file_is_written_anew() {
    let mut stream = Stream::new(Some("p".to_owned()));
    stream.push(update(1), None);
    stream.next_write();
    stream.written();
    stream.note_sent(limits::UPDATE_RETRY_MIN);
    stream.acknowledge(&uuid(1));
    stream.push(update(2), Some(executor()));
    stream.next_write();
    stream.push(update(3), None);
    assert_eq!(stream.not_written(), Some(1));
    let all = [
        update_record(&update(1)),
        ack_record(uuid(1)),
        update_record(&update(2)),
        update_record(&update(3)),
    ];
    assert_eq!(stream.next_write(), put(&all));
    assert_eq!(stream.ready(), None, "the acknowledgement is not safe yet");
    assert_eq!(stream.not_written(), Some(2));
    assert_eq!(stream.next_write(), put(&all));
    assert_eq!(stream.written(), [(executor(), uuid(2))]);
    assert_eq!(stream.ready(), Some(&update(2)));
    assert_eq!(stream.next_write(), None, "nothing new to write");
    stream.push(update(4), None);
    assert_eq!(stream.next_write(), append(&[update_record(&update(4))]));
    assert_eq!(stream.not_written(), Some(1));
}

#[test]
fn waits_between_tries_double_up_to_a_bound() {
    let waits: Vec<u64> = [1, 2, 3, 6, 7, 40, u32::MAX]
        .into_iter()
        .map(|failures| retry_after(failures).as_millis() as u64)
        .collect();
    assert_eq!(waits, [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
}

#[test]
fn a_file_written_anew_holds_what_is_remembered() {
    let mut stream = Stream::new(Some("p".to_owned()));
    let number = |n: usize| StatusUpdate {
        uuid: Some(Bytes::from(format!("{n:016}"))),
        ..Default::default()
    };
    for n in 0..=limits::REMEMBERED_UUIDS {
        stream.push(number(n), None);
        stream.next_write();
        stream.written();
        stream.note_sent(limits::UPDATE_RETRY_MIN);
        stream.acknowledge(&Bytes::from(format!("{n:016}")));
        stream.next_write();
        stream.written();
    }
    stream.push(update(1), None);
    stream.next_write();
    stream.not_written();
    let Some(Write::Put { bytes, .. }) = stream.next_write() else {
        panic!("not written anew");
    };
    let newest = number(limits::REMEMBERED_UUIDS);
    let mut expected: Vec<Bytes> = (1..limits::REMEMBERED_UUIDS)
        .map(|n| ack_record(Bytes::from(format!("{n:016}"))))
        .collect();
    expected.push(update_record(&newest));
    expected.push(ack_record(newest.uuid.unwrap()));
    expected.push(update_record(&update(1)));
    assert_eq!(bytes, expected.concat());
}

#[test]
fn the_next_waits_for_the_acknowledgement_to_be_safe() {
    let mut stream = Stream::new(Some("p".to_owned()));
    stream.push(update(1), None);
    stream.push(update(2), None);
    stream.next_write();
    stream.written();
    assert_eq!(stream.acknowledge(&uuid(1)), None, "it was never sent");
    stream.note_sent(limits::UPDATE_RETRY_MIN);
    assert_eq!(stream.acknowledge(&uuid(2)), None, "not the oldest");
    assert_eq!(stream.acknowledge(&uuid(1)), Some(update(1)));
    assert_eq!((stream.ready(), stream.sent()), (None, None));
    assert_eq!(stream.next_write(), append(&[ack_record(uuid(1))]));
    assert_eq!(stream.ready(), None);
    stream.written();
    assert_eq!(stream.ready(), Some(&update(2)));
}

#[test]
fn without_a_file_all_is_said_at_once() {
    let mut stream = Stream::new(None);
    assert_eq!(stream.push(update(1), Some(executor())), Some(executor()));
    assert_eq!(stream.next_write(), None);
    assert_eq!(stream.ready(), Some(&update(1)));
    assert_eq!(
        stream.repeat(&uuid(1), Some(&executor())),
        Repeated::AcknowledgeNow
    );
}

#[test]
fn repetitions_are_known_for_a_while() {
    let mut stream = Stream::new(None);
    let number = |n: usize| Bytes::from(format!("{n:016}"));
    for n in 0..=limits::REMEMBERED_UUIDS {
        let uuid = Some(number(n));
        stream.push(
            StatusUpdate {
                uuid,
                ..Default::default()
            },
            None,
        );
        assert!(stream.has_seen(&number(n)));
        stream.note_sent(limits::UPDATE_RETRY_MIN);
        stream.acknowledge(&number(n));
    }
    assert!(!stream.has_seen(&number(0)));
    assert!(stream.has_seen(&number(1)));
    assert!(stream.has_seen(&number(limits::REMEMBERED_UUIDS)));
}

#[test]
fn what_is_acknowledged_is_forgotten_but_for_its_uuid() {
    let mut stream = Stream::new(Some("p".to_owned()));
    for n in 1..=3 {
        let mut large = update(n);
        large.status.data = Some(Bytes::from(vec![0; 10_000]));
        stream.push(large, None);
    }
    assert!(stream.bytes() > 30_000);
    stream.next_write();
    stream.written();
    for n in 1..=3 {
        stream.note_sent(limits::UPDATE_RETRY_MIN);
        stream.acknowledge(&uuid(n));
        stream.next_write();
        stream.written();
    }
    assert_eq!(stream.bytes(), 0);
    assert_eq!(stream.acknowledged, [uuid(1), uuid(2), uuid(3)]);
    let log = stream.log.unwrap();
    assert_eq!(log.newest, Some(update_record(&update(3))));
    assert!(log.unwritten.is_empty());
}

#[test]
fn a_file_that_is_mostly_of_no_use_is_written_anew() {
    let mut stream = Stream::new(Some("p".to_owned()));
    let large = |number: u8| {
        let mut large = update(number);
        large.status.data = Some(Bytes::from(vec![0; limits::UPDATES_FILE_BYTES / 3]));
        large
    };
    let write = |stream: &mut Stream| {
        let write = stream.next_write();
        stream.written();
        write
    };
    for n in 1..=3 {
        stream.push(large(n), None);
        let long = update_record(&large(n));
        assert_eq!(write(&mut stream), append(&[long]), "all of it is needed");
    }
    for n in 1..=2 {
        stream.note_sent(limits::UPDATE_RETRY_MIN);
        stream.acknowledge(&uuid(n));
        let ack = ack_record(uuid(n));
        let whole = [
            ack_record(uuid(1)),
            update_record(&update(2)),
            ack_record(uuid(2)),
            update_record(&large(3)),
        ];
        let expected = if n == 1 { append(&[ack]) } else { put(&whole) };
        assert_eq!(write(&mut stream), expected);
    }
    stream.push(update(4), None);
    assert_eq!(write(&mut stream), append(&[update_record(&update(4))]));
}

#[test]
fn the_record_of_an_acknowledgement_is_known_by_its_length() {
    assert_eq!(ack_record(uuid(1)).len(), ACK_BYTES);
}

#[test]
fn behind_a_torn_record_nothing_is_added() {
    let restored = Restored {
        updates: vec![(update(1), false)],
        torn: true,
        ..Restored::default()
    };
    let mut stream = Stream::restored("p".to_owned(), restored);
    assert_eq!(stream.next_write(), None, "nothing new to write");
    stream.push(update(2), None);
    let both = [update_record(&update(1)), update_record(&update(2))];
    assert_eq!(stream.next_write(), put(&both));
    assert_eq!(stream.not_written(), Some(1));
    assert_eq!(stream.next_write(), put(&both));
    stream.written();
    stream.push(update(3), None);
    assert_eq!(stream.next_write(), append(&[update_record(&update(3))]));
}

#[test]
fn a_restored_stream_goes_on_where_it_was() {
    let restored = Restored {
        updates: vec![(update(1), true), (update(2), false)],
        acknowledged: vec![uuid(9)],
        ..Restored::default()
    };
    let mut stream = Stream::restored("p".to_owned(), restored);
    assert!(stream.has_seen(&uuid(1)) && stream.has_seen(&uuid(9)));
    assert_eq!((stream.len(), stream.is_empty()), (1, false));
    assert_eq!(stream.ready(), Some(&update(2)));
    assert_eq!(stream.next_write(), None, "nothing new to write");
    stream.push(update(3), None);
    stream.next_write();
    stream.not_written();
    let all = [
        ack_record(uuid(9)),
        update_record(&update(1)),
        ack_record(uuid(1)),
        update_record(&update(2)),
        update_record(&update(3)),
    ];
    assert_eq!(stream.next_write(), put(&all));
}
