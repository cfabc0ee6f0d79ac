use proptest::prelude::*;

use super::*;

fn read_all(reader: &mut Reader) -> Result<Vec<Vec<u8>>, RecordError> {
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record.to_vec());
    }
    Ok(records)
}

fn read(stream: &[u8]) -> Result<Vec<Vec<u8>>, RecordError> {
    let mut reader = Reader::default();
    reader.push(stream);
    read_all(&mut reader)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_records(
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut stream = Vec::new();
        for record in &records {
            append_record(&mut stream, record);
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();

        let mut reader = Reader::default();
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            reader.push(&stream[pair[0]..pair[1]]);
            found.extend(read_all(&mut reader)?);
        }
        prop_assert_eq!(found, records);
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(stream in proptest::collection::vec(any::<u8>(), 0..60)) {
        let whole = read(&stream);
        let mut reader = Reader::default();
        let mut found = Vec::new();
        let mut fault = None;
        for byte in &stream {
            reader.push(&[*byte]);
            match read_all(&mut reader) {
                Ok(records) => found.extend(records),
                Err(error) => fault = Some(error),
            }
        }
        match whole {
            Ok(records) => prop_assert_eq!((found, fault), (records, None)),
            // The kind; how much of the bad length is quoted depends on the cut.
            Err(error) => prop_assert_eq!(fault.map(|found| std::mem::discriminant(&found)), Some(std::mem::discriminant(&error))),
        }
    }
}

#[test]
fn frames_as_mesos_does() {
    assert_eq!(
        record(br#"{"type":"HEARTBEAT"}"#),
        b"20\n{\"type\":\"HEARTBEAT\"}"
    );
    assert_eq!(record(b""), b"0\n");
    assert_eq!(read(b"0\n0\n1\na"), Ok(vec![vec![], vec![], b"a".to_vec()]));
}

#[test]
fn hostile_lengths_are_refused() {
    let length = |found: &str| {
        Err(RecordError::Length {
            found: found.to_owned(),
        })
    };
    assert_eq!(read(b"\nabc"), length(""));
    assert_eq!(read(b"-1\n"), length("-1"));
    assert_eq!(read(b"+1\n"), length("+1"));
    assert_eq!(read(b" 1\na"), length(" 1"));
    assert_eq!(read(b"1\r\na"), length("1"));
    assert_eq!(read(b"0x10\n"), length("0x10"));
    assert_eq!(read(b"{\"type\""), length("{\"type\""));
    // One digit more than 64 bits need, and as many digits for a larger number.
    assert_eq!(
        read(b"000000000000000000001\na"),
        length("000000000000000000001")
    );
    assert_eq!(
        read(b"99999999999999999999\n"),
        length("99999999999999999999")
    );
    assert_eq!(read(b"00000000000000000001\na"), Ok(vec![b"a".to_vec()]));
}

#[test]
fn a_record_at_the_limit_passes_and_one_beyond_is_refused_before_it_is_read() {
    let mut reader = Reader::with_limit(4);
    reader.push(b"4\nabcd5\nabcde");
    assert_eq!(reader.next_record(), Ok(Some(Bytes::from_static(b"abcd"))));
    let refused = RecordError::TooLong { len: 5, limit: 4 };
    assert_eq!(reader.next_record(), Err(refused.clone()));
    // It stays refused, and takes nothing in any more.
    reader.push(b"1\na");
    assert_eq!(reader.next_record(), Err(refused.clone()));
    assert_eq!(reader.finish(), Err(refused));
    assert!(reader.buffer.is_empty());

    let mut reader = Reader::default();
    reader.push(format!("{}\n", MAX_RECORD_BYTES + 1).as_bytes());
    let len = MAX_RECORD_BYTES as u64 + 1;
    assert_eq!(
        reader.next_record(),
        Err(RecordError::TooLong {
            len,
            limit: MAX_RECORD_BYTES
        })
    );
    let mut reader = Reader::default();
    reader.push(format!("{}\n", u64::MAX).as_bytes());
    assert_eq!(
        reader.next_record(),
        Err(RecordError::TooLong {
            len: u64::MAX,
            limit: MAX_RECORD_BYTES
        })
    );
}

#[test]
fn an_end_inside_a_record_is_noticed() {
    for stream in [&b"5"[..], b"5\n", b"5\nabcd"] {
        let mut reader = Reader::default();
        reader.push(stream);
        assert_eq!(reader.next_record(), Ok(None));
        assert_eq!(reader.finish(), Err(RecordError::Truncated));
    }
    assert_eq!(Reader::default().finish(), Ok(()));
}
