//! Records in bulk: recognised by their bytes, made from JSON lines, and queued without waiting for the disk.

use std::borrow::Cow;

use crate::common::disk::Disk;
use crate::common::{borrow, open, read};
use _native::log::lines::{self, Bounds};
use _native::log::record;
use _native::log::schema::{Field, Given, Kind, Schema, Value};

const MEMBER: &str = "11100000000013338W";
const TIME: &str = "2026-11-22T03:41:45.684Z";

fn schema() -> Schema {
    let field = |name: &str, kind, optional| Field { name: name.into(), kind, optional };
    let fields = vec![
        field("to", Kind::Purpose, true),
        field("basis", Kind::Label, false),
        field("at", Kind::Uint, false),
        field("digest", Kind::Hex32, true),
    ];
    Schema::new(MEMBER, vec![("test.one".into(), fields), ("test.none".into(), Vec::new())])
}

fn body<'a>(at: &'a str, rest: &[(&'a str, &'a str)]) -> Vec<Given<'a>> {
    let text = |(name, value): &(&'a str, &'a str)| Given {
        name: Cow::Borrowed(*name),
        value: Value::Text(Cow::Borrowed(*value)),
    };
    let number = Given { name: Cow::Borrowed("at"), value: Value::Integer(at) };
    std::iter::once(number).chain(rest.iter().map(text)).collect()
}

#[test]
fn a_record_has_its_fields_in_order_and_is_what_the_log_checks() {
    let schema = schema();
    let made = schema.record("test.one", TIME, &body("0", &[("to", "a.b"), ("basis", "Z/9")])).unwrap();
    let expected = format!(
        r#"{{"body":{{"at":0,"basis":"Z/9","to":"a.b"}},"member":"{MEMBER}","time":"{TIME}","type":"test.one","v":1}}"#
    );
    assert_eq!(made, expected.as_bytes());
    assert!(schema.holds(&made));
    record::check(&made).unwrap();
    let empty = schema.record("test.none", TIME, &[]).unwrap();
    assert!(schema.holds(&empty));
    record::check(&empty).unwrap();
}

#[test]
fn the_edges_of_every_kind() {
    let schema = schema();
    let takes = |at: &str, rest: &[(&str, &str)]| schema.record("test.one", TIME, &body(at, rest)).is_some();
    for (at, good) in [
        ("9007199254740991", true),
        ("9007199254740992", false),
        ("90071992547409910", false),
        ("1", true),
        ("01", false),
        ("", false),
    ] {
        assert_eq!(takes(at, &[("basis", "b")]), good, "{at}");
    }
    let long = "a".repeat(65);
    for (name, value, good) in [
        ("basis", &long[..64], true),
        ("basis", &long, false),
        ("basis", "", false),
        ("basis", "_a", false),
        ("basis", "a\"", false),
        ("basis", "\u{e9}", false),
    ] {
        assert_eq!(takes("1", &[(name, value)]), good, "{name} {value}");
    }
    for (name, value, good) in [
        ("to", &long[..32], true),
        ("to", &long[..33], false),
        ("to", "A", false),
        ("to", "-a", false),
        ("digest", &"0f".repeat(32), true),
        ("digest", &"0F".repeat(32), false),
        ("digest", &"0".repeat(63), false),
        ("other", "b", false),
    ] {
        assert_eq!(takes("1", &[("basis", "b"), (name, value)]), good, "{name} {value}");
    }
    assert!(!takes("1", &[]), "a field is missing");
    assert!(!takes("1", &[("basis", "b"), ("basis", "b")]), "a field stands twice");
    for (time, good) in
        [("1970-01-01T00:00:00.000Z", true), ("1969-12-31T23:59:59.999Z", false), ("2026-02-29T00:00:00.000Z", false)]
    {
        assert_eq!(schema.record("test.none", time, &[]).is_some(), good, "{time}");
    }
    assert!(schema.record("test.two", TIME, &[]).is_none());
}

#[test]
fn every_changed_byte_is_noticed_or_leaves_a_record() {
    let schema = schema();
    let made = schema.record("test.one", TIME, &body("7", &[("basis", "b"), ("to", "c")])).unwrap();
    for place in 0..made.len() {
        for byte in 0..=255 {
            let mut changed = made.clone();
            changed[place] = byte;
            if schema.holds(&changed) {
                record::check(&changed).unwrap();
            }
        }
        assert!(!schema.holds(&made[..place]));
    }
}

#[test]
fn lines_are_cut_by_number_and_by_bytes() {
    let schema = schema();
    let line = r#" { "type" : "test.none" , "body" : { } , "v":1 }"#;
    let data = format!("{line}\n\n  \r\nnot one\n{line}");
    let piece = lines::encode(&schema, data.as_bytes(), TIME, Bounds { lines: 9, bytes: 1 << 20 });
    let rows: Vec<(usize, bool)> = piece.lines.iter().map(|line| (line.number, line.record.is_some())).collect();
    assert_eq!(rows, [(0, true), (3, false), (4, true)]);
    assert_eq!((piece.taken, piece.count), (data.len(), 5));
    let first = lines::encode(&schema, data.as_bytes(), TIME, Bounds { lines: 1, bytes: 1 << 20 });
    assert_eq!((first.taken, first.count), (line.len() + 1, 1));
    let short = lines::encode(&schema, data.as_bytes(), TIME, Bounds { lines: 9, bytes: line.len() + 3 });
    assert_eq!((short.taken, short.count), (line.len() + 2, 2));
    let one = lines::encode(&schema, data.as_bytes(), TIME, Bounds { lines: 9, bytes: 1 });
    assert_eq!(one.lines.len(), 1, "a line longer than a piece is a piece");
}

#[test]
fn what_is_begun_keeps_its_order_and_needs_nobody_to_wait() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let schema = schema();
    let made: Vec<Vec<u8>> = (0..20)
        .map(|at: u32| schema.record("test.one", TIME, &body(&at.to_string(), &[("basis", "b")])).unwrap())
        .collect();
    let begin = |number: usize, pair: &[Vec<u8>]| {
        log.begin_records(&borrow(pair), Some(([number as u8; 16], 0)), Some(&schema)).unwrap()
    };
    let begun: Vec<_> = made.chunks(2).enumerate().map(|(number, pair)| (begin(number, pair), pair)).collect();
    let (again, other) = (begin(3, &made[6..8]), begin(3, &made[8..10]));
    for (number, (pending, pair)) in begun.iter().enumerate() {
        assert_eq!(log.finish(pending, &borrow(pair)).unwrap(), (2 * number as u64, 2));
    }
    assert_eq!(log.finish(&again, &borrow(&made[6..8])).unwrap(), (6, 2));
    assert_eq!(log.finish(&other, &borrow(&made[8..10])).unwrap_err().code, "log.batch-conflict");
    drop(log.begin(&borrow(&made), None).unwrap());
    log.close().unwrap();
    let log = open(disk.storage());
    assert_eq!(log.size(), 40, "what nobody waited for is there all the same");
    assert_eq!(read(&log, 20, 20), made);
}
