//! The rows of the record index, made from a range of entries (`docs/formats.md`, record index).
//!
//! A record is filed under "all" and under each facet it has. What one range of entries puts under one value stands
//! together in blocks of postings, so that a busy log writes one row for thousands of records and a quiet one a row for
//! each. A block never crosses a [`BUCKET_BITS`] boundary of time: a query reads bucket by bucket.
//!
//! | part of a row | bytes |
//! | --- | --- |
//! | key | facet u8, length u8, value, time u64be and index u64be of the first posting |
//! | value | smallest index u64be, then per posting: time inside the bucket u16be, index beyond the smallest u32be |

use std::collections::HashMap;

use crate::error::{Class, Error, Result};
use crate::json::Scanner;
use crate::log::record::{self, MAX_DEPTH, MAX_RECORD};
use crate::log::view::View;

/// A bucket is `1 << BUCKET_BITS` milliseconds.
pub const BUCKET_BITS: u32 = 12;
/// Most postings of one block.
pub const MAX_BLOCK: usize = 4_096;
/// Most entries one call takes.
pub const MAX_RANGE: u64 = 1 << 20;
/// Entries read at once: the longest possible ones together fill some 60 MB.
const STEP: u64 = 1_024;

const ALL: u8 = b'A';
const COUNTERPART: u8 = b'C';
const DATASET: u8 = b'D';
const GRANT: u8 = b'G';
const TYPE: u8 = b'T';

/// Key and value.
pub type Row = (Vec<u8>, Vec<u8>);
/// Time (Unix milliseconds) and index.
type Posting = (u64, u64);

/// Postings by the part of the key before time and index.
#[derive(Default)]
pub struct Postings {
    all: Vec<Posting>,
    lists: HashMap<Vec<u8>, Vec<Posting>>,
    key: Vec<u8>,
}

/// The rows of entries `first .. first + count` of a log of `size` entries.
pub fn rows(view: &View, first: u64, count: u64, size: u64) -> Result<Vec<Row>> {
    if count > MAX_RANGE {
        return Err(Error::new(Class::InvalidInput, "log.range", "too many entries at once")
            .hint("index in smaller ranges")
            .numbers(MAX_RANGE, count));
    }
    let mut postings = Postings::default();
    let mut done = 0;
    while done < count {
        let step = STEP.min(count - done);
        let (bytes, ranges) = view.read(first + done, step, size)?;
        for (index, (from, to)) in (first + done..).zip(ranges) {
            postings.file(index, &bytes[from..to]);
        }
        done += step;
    }
    Ok(postings.into_rows())
}

impl Postings {
    /// Files one entry. One that is no record (it cannot come through the record door) is filed under "all" at time 0:
    /// an index never drops an entry.
    pub fn file(&mut self, index: u64, entry: &[u8]) {
        let Some(found) = read(entry) else { return self.all.push((0, index)) };
        let posting = (found.time, index);
        self.all.push(posting);
        self.post(TYPE, found.kind, posting);
        if let Some(id) = found.dataset.and_then(id32) {
            self.post(DATASET, &id, posting);
        }
        if let Some(id) = found.grant.and_then(id32) {
            self.post(GRANT, &id, posting);
        }
        if let Some(text) = found.counterpart {
            match text.contains(&b'\\') {
                true => self.post(COUNTERPART, &unescaped(text), posting),
                false => self.post(COUNTERPART, text, posting),
            }
        }
    }

    /// The blocks, in order of their keys.
    pub fn into_rows(self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (prefix, mut postings) in self.lists.into_iter().chain([(vec![ALL, 0], self.all)]) {
            postings.sort_unstable();
            for bucket in postings.chunk_by(|one, next| one.0 >> BUCKET_BITS == next.0 >> BUCKET_BITS) {
                rows.extend(bucket.chunks(MAX_BLOCK).map(|block| row(&prefix, block)));
            }
        }
        rows.sort_unstable();
        rows
    }

    fn post(&mut self, facet: u8, value: &[u8], posting: Posting) {
        // A longer value is not filed: no query can ask for it.
        let Ok(length) = u8::try_from(value.len()) else { return };
        self.key.clear();
        self.key.extend_from_slice(&[facet, length]);
        self.key.extend_from_slice(value);
        match self.lists.get_mut(&self.key) {
            Some(list) => list.push(posting),
            None => {
                self.lists.insert(self.key.clone(), vec![posting]);
            }
        }
    }
}

fn row(prefix: &[u8], block: &[Posting]) -> Row {
    // A range is far below 2^32 entries, and a block lies in one bucket: neither difference is cut.
    let smallest = block.iter().map(|posting| posting.1).min().unwrap_or_default();
    let mut key = Vec::with_capacity(prefix.len() + 16);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&block[0].0.to_be_bytes());
    key.extend_from_slice(&block[0].1.to_be_bytes());
    let mut value = Vec::with_capacity(8 + 6 * block.len());
    value.extend_from_slice(&smallest.to_be_bytes());
    for (time, index) in block {
        value.extend_from_slice(&((time & ((1 << BUCKET_BITS) - 1)) as u16).to_be_bytes());
        value.extend_from_slice(&((index - smallest) as u32).to_be_bytes());
    }
    (key, value)
}

/// What is filed of a record. Texts as they stand in the JSON.
struct Found<'a> {
    time: u64,
    kind: &'a [u8],
    dataset: Option<&'a [u8]>,
    grant: Option<&'a [u8]>,
    counterpart: Option<&'a [u8]>,
}

/// The form is that of the record door, which checked the rest: `{"body":{…},"member":…,"time":…,"type":…,"v":1}`.
fn read(entry: &[u8]) -> Option<Found<'_>> {
    let head = entry.strip_suffix(br#"","v":1}"#)?;
    let start = head.iter().rposition(|byte| *byte == b'"')? + 1;
    let (rest, time) = head[..start].strip_suffix(br#"","type":""#)?.split_last_chunk::<24>()?;
    let (rest, _) = rest.strip_suffix(br#"","time":""#)?.split_last_chunk::<18>()?;
    if !rest.ends_with(br#"},"member":""#) || !record::is_time(time) {
        return None;
    }
    let mut found = Found { time: unix_ms(time), kind: &head[start..], dataset: None, grant: None, counterpart: None };
    fields(entry, &mut found).ok()?;
    Some(found)
}

/// The facets among the fields of the body.
fn fields<'a>(entry: &'a [u8], found: &mut Found<'a>) -> Result<()> {
    let mut scanner = Scanner::new(entry, MAX_RECORD, MAX_DEPTH)?;
    scanner.literal(br#"{"body":{"#)?;
    while entry.get(scanner.position()) == Some(&b'"') {
        let key = scanner.string()?;
        scanner.literal(b":")?;
        let slot = match key {
            b"counterpart" => Some(&mut found.counterpart),
            b"dataset" => Some(&mut found.dataset),
            b"grant" => Some(&mut found.grant),
            _ => None,
        };
        match slot {
            Some(slot) if entry.get(scanner.position()) == Some(&b'"') => *slot = Some(scanner.string()?),
            _ => scanner.value(2)?,
        }
        if key >= b"grant".as_slice() || entry.get(scanner.position()) != Some(&b',') {
            // Keys are in order: nothing that is filed comes after.
            break;
        }
        scanner.literal(b",")?;
    }
    Ok(())
}

/// 64 lower-case hex digits as 32 bytes.
fn id32(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut id = [0; 32];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(id)
}

/// The text behind a JSON string's content; empty for one that no Rust string can hold.
fn unescaped(content: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", content, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map(String::into_bytes).unwrap_or_default()
}

/// Unix milliseconds of a checked `YYYY-MM-DDThh:mm:ss.mmmZ`; 0 for a time before 1970.
fn unix_ms(text: &[u8; 24]) -> u64 {
    let number =
        |range: std::ops::Range<usize>| text[range].iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 by the proleptic Gregorian calendar, years counted from March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = shifted.rem_euclid(400) * 365 + shifted.rem_euclid(400) / 4 - shifted.rem_euclid(400) / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    let seconds = days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    u64::try_from(seconds * 1_000 + number(20..23)).unwrap_or_default()
}
