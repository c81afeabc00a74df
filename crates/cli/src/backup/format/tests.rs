//! Whatever is done to a file shows.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn consumer(name: &str) -> ConsumerRecord {
    ConsumerRecord {
        name: name.to_owned(),
        config: object(json!({ "durable_name": name })),
        delivered: Progress { consumer_seq: 7, stream_seq: 5 },
        ack_floor: Progress { consumer_seq: 4, stream_seq: 3 },
        num_ack_pending: 2,
        num_pending: 1,
    }
}

fn sample() -> Vec<u8> {
    let header = FileHeader {
        created: "2026-11-20T12:00:00Z".to_owned(),
        tool: "headwater 0.1.0".to_owned(),
        server: "n1".to_owned(),
        server_version: "2.15.1".to_owned(),
        streams: vec!["A".to_owned(), "B".to_owned()],
    };
    let mut writer = Writer::begin(Vec::new(), &header).unwrap();
    let chunks: [&[u8]; 2] = [b"0123456789", b"abc"];
    for name in ["A", "B"] {
        let (config, state) = (object(json!({ "name": name })), object(json!({ "messages": 6, "last_seq": 9 })));
        writer.stream(&StreamHeader { name: name.to_owned(), config, state, consumers: 1 }).unwrap();
        writer.consumer(&consumer("reader")).unwrap();
        for chunk in chunks {
            writer.data(chunk).unwrap();
        }
        let sha256 = hex(&Sha256::digest(chunks.concat()));
        writer.end_stream(&StreamEnd { name: name.to_owned(), chunks: 2, bytes: 13, sha256 }).unwrap();
    }
    writer.finish(&FileEnd { streams: 2, bytes: 26 }).unwrap()
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.backup");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (folder, path)
}

fn problem(bytes: &[u8]) -> FileProblem {
    inspect(&file(bytes).1, |_| {}).expect_err("it was taken for whole")
}

#[test]
fn what_was_written_is_read() {
    let (_folder, path) = file(&sample());
    let contents = inspect(&path, |_| {}).unwrap();
    assert_eq!(contents.header.streams, ["A", "B"]);
    assert_eq!(contents.length, sample().len() as u64);
    let second = &contents.streams[1];
    assert_eq!(second.header.counts(), Counts { messages: 6, last_seq: 9, ..Counts::default() });
    assert_eq!(second.consumers, [consumer("reader")]);
    let mut data = second.open(&path).unwrap();
    assert_eq!(data.next().unwrap().as_deref(), Some(&b"0123456789"[..]));
    assert_eq!(data.next().unwrap().as_deref(), Some(&b"abc"[..]));
    assert_eq!(data.next().unwrap(), None);
}

#[test]
fn every_place_where_a_file_can_be_cut_off_is_noticed() {
    let whole = sample();
    for length in 0..whole.len() {
        let found = problem(&whole[..length]);
        match length {
            0..16 => assert!(matches!(found, FileProblem::NotABackup), "{length}: {found}"),
            _ => assert!(matches!(found, FileProblem::Truncated { .. }), "{length}: {found}"),
        }
    }
}

#[test]
fn every_byte_that_is_changed_is_noticed() {
    let whole = sample();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        problem(&changed);
    }
    let mut longer = whole;
    longer.push(b' ');
    assert!(matches!(problem(&longer), FileProblem::Unexpected { .. }));
}

#[test]
fn a_record_that_is_left_out_or_moved_is_noticed() {
    let whole = sample();
    let place = |needle: &[u8]| whole.windows(needle.len()).position(|window| window == needle).unwrap();
    // From the kind of the one record of data to the kind of the next.
    let (start, length) = (place(b"0123456789") - 5, 5 + 10 + 32);
    let mut without = whole.clone();
    without.drain(start..start + length);
    assert!(matches!(problem(&without), FileProblem::Damaged { at } if at == start as u64));
    let mut doubled = whole.clone();
    let record = whole[start..start + length].to_vec();
    doubled.splice(start..start, record);
    assert!(matches!(problem(&doubled), FileProblem::Damaged { at } if at == (start + length) as u64));
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut later = sample();
    later[17] = 2;
    assert!(matches!(problem(&later), FileProblem::Version { found: 2 }));
}
