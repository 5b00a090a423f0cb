//! The native check of a record before it is appended: canonical form, size, and the five fields with their types.

use crate::error::{Class, Error, Result};
use crate::json::{self, Scanner};

/// Longest record in bytes.
pub const MAX_RECORD: usize = 60_000;
/// Most containers open at once.
pub const MAX_DEPTH: usize = 16;
const MAX_TYPE: usize = 64;

/// Raises InvalidInputError(json.* | record.*) unless `data` is
/// `{"body":{..},"member":USCC,"time":"YYYY-MM-DDThh:mm:ss.mmmZ","type":"area.event","v":1}`.
pub fn check(data: &[u8]) -> Result<()> {
    let mut scanner = Scanner::new(data, MAX_RECORD, MAX_DEPTH)?;
    let Err(error) = fields(&mut scanner) else { return Ok(()) };
    // Where the shape is wrong, say first what is wrong with the JSON itself.
    json::check_canonical(data, MAX_RECORD, MAX_DEPTH)?;
    Err(if error.code.starts_with("json.") { wrong_shape() } else { error })
}

fn fields(scanner: &mut Scanner<'_>) -> Result<()> {
    scanner.literal(b"{\"body\":")?;
    scanner.object(1)?;
    scanner.literal(b",\"member\":")?;
    require(is_member(scanner.string()?), "record.member", "member is not an 18-character USCC")?;
    scanner.literal(b",\"time\":")?;
    require(is_time(scanner.string()?), "record.time", "time is not YYYY-MM-DDThh:mm:ss.mmmZ")?;
    scanner.literal(b",\"type\":")?;
    require(is_type(scanner.string()?), "record.type", "type is not of the form area.event")?;
    scanner.literal(b",\"v\":1}")?;
    scanner.end()
}

fn wrong_shape() -> Error {
    refuse("record.fields", "a record has exactly body, member, time, type and v")
}

fn refuse(code: &'static str, message: &str) -> Error {
    Error::new(Class::InvalidInput, code, message).hint("encode records with ledger.codec.encode_record")
}

fn require(holds: bool, code: &'static str, message: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(refuse(code, message)) }
}

fn is_member(text: &[u8]) -> bool {
    text.len() == 18 && text.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

fn is_type(text: &[u8]) -> bool {
    let word = |part: &[u8]| !part.is_empty() && part.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-');
    text.len() <= MAX_TYPE && text.contains(&b'.') && text.split(|byte| *byte == b'.').all(word)
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`, a moment that exists.
pub(crate) fn is_time(text: &[u8]) -> bool {
    let pattern = b"0000-00-00T00:00:00.000Z";
    let shaped = text.len() == pattern.len()
        && text
            .iter()
            .zip(pattern)
            .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form });
    if !shaped {
        return false;
    }
    let number =
        |range: std::ops::Range<usize>| text[range].iter().fold(0u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day) && number(11..13) < 24 && number(14..16) < 60 && number(17..19) < 60
}
