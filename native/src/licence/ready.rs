//! Answers about sound licences, put together from what Python made ready: everything that verdicts on an issuer's
//! licences have in common for a moment. Where anything is out of the ordinary nothing is said here, and the licence is
//! judged by `ledger.licences.verify`, so that every other answer has one source.

use std::collections::HashMap;
use std::ops::Range;

use super::batch::Found;
use super::json::Value;
use super::presentation::MAX_BYTES;
use super::reading::{self, Said};

/// How a serialised `LicencePresentation` begins that states a licence, and how its answer does: the code, and the tag
/// of the verdict. Source: proto/ledger/v1/gateway.proto.
const LICENCE: u8 = 0x0a;
const VALID: &[u8] = b"\x0a\x05valid\x12";
/// The pieces of a verdict around what is of one licence: the time of judging, the lines of accreditation, validity and
/// holder, the claims, how many are hidden, the age of the view.
pub const PIECES: usize = 8;
/// The last second that has a date in China: of 9999.
const LAST: i64 = 253_402_300_799 - EAST;
const EAST: i64 = 8 * 3_600;

/// The licence in a serialised `LicencePresentation` that holds nothing else and looks like an SD-JWT without a key
/// binding. Everything else is for Python to read.
pub fn alone(message: &[u8]) -> Option<&str> {
    let (&first, mut rest) = message.split_first()?;
    let mut length = 0;
    for shift in [0, 7, 14] {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
        if shift == 14 {
            return None;
        }
    }
    let plain = first == LICENCE && rest.len() == length && length <= MAX_BYTES && rest.is_ascii();
    // `{"`: every header that is made begins so. Slips, references, bundles and packed licences begin otherwise.
    let form = rest.starts_with(b"eyJ") && rest.ends_with(b"~");
    if plain && form { std::str::from_utf8(rest).ok() } else { None }
}

/// What verdicts share whose licences name one key, issuer, type and status list, for a moment. Times: Unix
/// milliseconds; the rest is JSON as Python wrote it. `L`: the entries of the status list.
pub struct Frame<L> {
    /// When it may be used.
    pub times: Range<i64>,
    /// Around what is of one licence.
    pub pieces: [Vec<u8>; PIECES],
    /// Spans of issue, each with its line of accreditation; the first that holds counts.
    pub spans: Vec<(Range<i64>, Vec<u8>)>,
    /// The line of validity around the moment it ends.
    pub until: Vec<Vec<u8>>,
    /// The line of validity without an end.
    pub endless: Vec<u8>,
    /// The line of a holder that proved nothing, where the licence names its key and where it does not.
    pub holder: [Vec<u8>; 2],
    /// The time of the view of the chain.
    pub view: i64,
    /// Bits of an entry: 1, 2, 4 or 8.
    pub bits: usize,
    /// The entries, the first one in the least significant bits.
    pub list: L,
}

impl<L: AsRef<[u8]>> Frame<L> {
    /// A serialised `LicenceVerdict` on a licence that is valid at `now`; nothing where it is not plainly so. `heads`: how
    /// a claim begins, by its name.
    pub fn answer(&self, found: &Found, said: &Said, heads: &HashMap<String, Vec<u8>>, now: i64) -> Option<Vec<u8>> {
        let issued = said.issued_at? * 1_000;
        let first = issued.max(said.not_before.unwrap_or(0) * 1_000);
        if !said.identified || !self.times.contains(&now) || first > now || !self.holds(said.index?) {
            return None;
        }
        let accredited = self.spans.iter().find(|span| span.0.contains(&issued)).map(|span| &span.1)?;
        let [start, to_accredited, to_time, to_holder, to_claims, to_hidden, to_age, end] = &self.pieces;
        let mut out = Vec::with_capacity(4_096);
        out.extend_from_slice(start);
        number(&mut out, now);
        out.extend_from_slice(to_accredited);
        out.extend_from_slice(accredited);
        out.extend_from_slice(to_time);
        match said.expires {
            None => out.extend_from_slice(&self.endless),
            Some(end) if end <= LAST && now < end * 1_000 => join(&mut out, &self.until, &when(end)),
            Some(_) => return None,
        }
        out.extend_from_slice(to_holder);
        out.extend_from_slice(&self.holder[usize::from(said.holder.is_none())]);
        out.extend_from_slice(to_claims);
        claims(&mut out, &found.opened.claims, heads)?;
        out.extend_from_slice(to_hidden);
        number(&mut out, i64::try_from(found.opened.hidden).ok()?);
        out.extend_from_slice(to_age);
        number(&mut out, (now - self.view).max(0));
        out.extend_from_slice(end);
        Some(message(&out))
    }

    /// Whether the list has the place, and says of it that it is valid.
    fn holds(&self, index: i64) -> bool {
        let per_byte = 8 / self.bits;
        let Ok(index) = usize::try_from(index) else { return false };
        let entry = self.list.as_ref().get(index / per_byte).map(|byte| byte >> (index % per_byte * self.bits));
        entry.is_some_and(|entry| usize::from(entry) & ((1 << self.bits) - 1) == 0)
    }
}

/// `[{"name":…,"label":…,"value":…},…]`; nothing where a claim is no text, has an unknown name, or needs an escape.
fn claims(out: &mut Vec<u8>, claims: &Value, heads: &HashMap<String, Vec<u8>>) -> Option<()> {
    let Value::Object(fields) = claims else { return None };
    out.push(b'[');
    for (number, (name, value)) in fields.iter().filter(|field| reading::is_fact(&field.0)).enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(heads.get(name.as_str())?);
        let text = value.text()?;
        if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            return None;
        }
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.push(b']');
    Some(())
}

fn number(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn join(out: &mut Vec<u8>, pieces: &[Vec<u8>], between: &str) {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(between.as_bytes());
        }
        out.extend_from_slice(piece);
    }
}

/// A time as `ledger.licences.judging.when` writes it. `seconds`: Unix, from 0 to the end of 9999.
fn when(seconds: i64) -> String {
    let local = seconds + EAST;
    let (day, second) = (local / 86_400, local % 86_400);
    // Eras of 400 years that begin in March, so that the leap day is a year's last.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, further) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + further;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}+08:00")
}

fn message(verdict: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(VALID.len() + 3 + verdict.len());
    out.extend_from_slice(VALID);
    let mut length = verdict.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(verdict);
    out
}
