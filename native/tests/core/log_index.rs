//! The rows of the record index against a naive reading of the same entries.

use std::collections::BTreeSet;

use _native::log::index::{BUCKET_BITS, MAX_BLOCK, Postings, Row};

const ID: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

fn record(body: &str, time: &str, kind: &str) -> Vec<u8> {
    format!(r#"{{"body":{body},"member":"11100000000013338W","time":"{time}","type":"{kind}","v":1}}"#).into_bytes()
}

fn rows(entries: &[Vec<u8>]) -> Vec<Row> {
    let mut postings = Postings::default();
    for (index, entry) in entries.iter().enumerate() {
        postings.file(index as u64, entry);
    }
    postings.into_rows()
}

/// (facet, value, time, index) of every posting, read from the rows by the book.
fn open(rows: &[Row]) -> BTreeSet<(char, Vec<u8>, u64, u64)> {
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut found = BTreeSet::new();
    for (key, value) in rows {
        let length = usize::from(key[1]);
        let (name, place) = key[2..].split_at(length);
        assert_eq!(place.len(), 16);
        let (time, smallest) = (number(&place[..8]), number(&value[..8]));
        let block: Vec<_> = value[8..]
            .chunks(6)
            .map(|posting| {
                ((time >> BUCKET_BITS << BUCKET_BITS) + number(&posting[..2]), smallest + number(&posting[2..]))
            })
            .collect();
        assert_eq!(block[0], (time, number(&place[8..])));
        assert!(block.len() <= MAX_BLOCK && block.is_sorted());
        found.extend(block.into_iter().map(|(time, index)| (char::from(key[0]), name.to_vec(), time, index)));
    }
    found
}

#[test]
fn every_facet_of_a_record_is_filed() {
    let body = format!(r#"{{"counterpart":"11430000006122244L","dataset":"{ID}","grant":"{ID}","matter":"x"}}"#);
    let found = open(&rows(&[record(&body, "2026-11-22T03:41:45.684Z", "exchange.completed")]));
    let time = 1_795_318_905_684;
    let expected = [
        ('A', Vec::new()),
        ('C', b"11430000006122244L".to_vec()),
        ('D', vec![15; 32]),
        ('G', vec![15; 32]),
        ('T', b"exchange.completed".to_vec()),
    ];
    assert_eq!(found, expected.into_iter().map(|(facet, value)| (facet, value, time, 0)).collect());
}

#[test]
fn only_what_a_query_can_ask_for_is_filed() {
    let long = format!(r#"{{"counterpart":"{}","dataset":"{}"}}"#, "x".repeat(256), ID.to_uppercase());
    for body in ["{}", r#"{"dataset":5,"grant":null}"#, r#"{"a":{"dataset":"x"},"hat":1}"#, r#"{"grant":"0f"}"#, &long]
    {
        let found = open(&rows(&[record(body, "1970-01-01T00:00:00.001Z", "access.used")]));
        let facets: Vec<_> = found.iter().map(|row| (row.0, row.2)).collect();
        assert_eq!(facets, [('A', 1), ('T', 1)], "{body}");
    }
    let escaped = record(r#"{"counterpart":"a\nb\"é"}"#, "1970-01-01T00:00:00.001Z", "access.used");
    assert!(open(&rows(&[escaped])).contains(&('C', "a\nb\"é".as_bytes().to_vec(), 1, 0)));
}

#[test]
fn times_are_those_of_the_calendar() {
    let cases = [
        ("1969-12-31T23:59:59.999Z", 0),
        ("1970-01-01T00:00:00.000Z", 0),
        ("1972-02-29T12:00:00.000Z", 68_212_800_000),
        ("2000-03-01T00:00:00.000Z", 951_868_800_000),
        ("2100-02-28T23:59:59.999Z", 4_107_542_399_999),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ];
    for (text, time) in cases {
        let found = open(&rows(&[record("{}", text, "access.used")]));
        assert!(found.contains(&('A', Vec::new(), time, 0)), "{text}: {found:?}");
    }
}

#[test]
fn an_entry_that_is_no_record_is_not_dropped() {
    let odd = [b"not json".to_vec(), b"{\"type\":5}".to_vec(), record("{}", "2026-13-01T00:00:00.000Z", "access.used")];
    let all = |index| ('A', Vec::new(), 0, index);
    assert_eq!(open(&rows(&odd)), BTreeSet::from([all(0), all(1), all(2)]));
}

#[test]
fn a_block_ends_at_its_size_and_at_the_end_of_its_time() {
    let made = |count: usize, time: &str| vec![record("{}", time, "access.used"); count];
    // One millisecond on either side of a bucket's edge: 1,795,318,906,880 is a multiple of 4,096.
    let (before, after) = ("2026-11-22T03:41:46.879Z", "2026-11-22T03:41:46.880Z");
    let entries = [made(MAX_BLOCK + 1, before), made(3, after), made(1, before)].concat();
    let rows = rows(&entries);
    let lengths: Vec<_> = rows.iter().filter(|row| row.0[0] == b'A').map(|row| (row.1.len() - 8) / 6).collect();
    assert_eq!(lengths, [MAX_BLOCK, 2, 3]);
    assert_eq!(open(&rows).len(), 2 * entries.len());
    assert!(rows.is_sorted());
}
