//! Canonical JSON: the check that bytes are exactly their own RFC 8785 form, within the narrowings of
//! `docs/formats.md` (no floating-point numbers, no integer beyond 2^53 - 1). Nothing is allocated for the check, and
//! nothing beyond the bounds is read.

use std::cmp::Ordering;

use crate::error::{Class, Error, Result};

/// The largest integer a double holds exactly together with its neighbours.
const MAX_SAFE: u64 = (1 << 53) - 1;
/// Bytes of a string looked at together.
const PIECE: usize = 32;

/// Refuse anything that is not exactly its own canonical form. `max_depth` counts open arrays and objects.
pub fn check_canonical(data: &[u8], max_bytes: usize, max_depth: usize) -> Result<()> {
    let mut scanner = Scanner::new(data, max_bytes, max_depth)?;
    scanner.value(0)?;
    scanner.end()
}

/// A cursor over canonical JSON. Every method consumes what it names or refuses.
pub struct Scanner<'a> {
    data: &'a [u8],
    at: usize,
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    /// Raises json.size and json.utf8.
    pub fn new(data: &'a [u8], max_bytes: usize, max_depth: usize) -> Result<Self> {
        if data.len() > max_bytes {
            return Err(Error::new(Class::InvalidInput, "json.size", "the JSON text is too long")
                .hint("put large content elsewhere and name it by its commitment")
                .numbers(max_bytes as u64, data.len() as u64));
        }
        if let Err(error) = std::str::from_utf8(data) {
            return Err(refuse("json.utf8", "the JSON text is not UTF-8", error.valid_up_to()));
        }
        Ok(Self { data, at: 0, max_depth })
    }

    /// The position in bytes.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Exactly these bytes.
    pub fn literal(&mut self, text: &[u8]) -> Result<()> {
        if self.data[self.at..].starts_with(text) {
            self.at += text.len();
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// No more bytes.
    pub fn end(&self) -> Result<()> {
        if self.at == self.data.len() {
            return Ok(());
        }
        Err(refuse("json.trailing", "bytes follow the JSON value", self.at))
    }

    /// Any value, with `depth` containers already open.
    pub fn value(&mut self, depth: usize) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.unexpected()),
        }
    }

    /// An object, with `depth` containers already open.
    pub fn object(&mut self, depth: usize) -> Result<()> {
        self.literal(b"{")?;
        self.open(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut previous: Option<&[u8]> = None;
        loop {
            let start = self.at;
            let key = self.string()?;
            match previous.map(|before| compare_keys(before, key)) {
                None | Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(refuse("json.duplicate-key", "a key stands twice", start)),
                Some(Ordering::Greater) => {
                    return Err(refuse("json.key-order", "keys are not in canonical order", start));
                }
            }
            previous = Some(key);
            self.literal(b":")?;
            self.value(depth + 1)?;
            if self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// A string; returns what stands between the quotes, escapes included.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        self.literal(b"\"")?;
        let start = self.at;
        loop {
            let rest = &self.data[self.at..];
            self.at += plain_bytes(rest);
            match self.peek() {
                Some(b'"') => {
                    let content = &self.data[start..self.at];
                    self.at += 1;
                    return Ok(content);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(refuse("json.escape", "a control character stands unescaped", self.at)),
                None => return Err(self.unexpected()),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<()> {
        self.literal(b"[")?;
        self.open(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// True when the container closes, false when another member follows.
    fn more(&mut self, close: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn open(&self, depth: usize) -> Result<()> {
        if depth < self.max_depth {
            return Ok(());
        }
        Err(Error::new(Class::InvalidInput, "json.depth", "the JSON text is nested too deeply")
            .hint("flatten the value")
            .numbers(self.max_depth as u64, depth as u64 + 1))
    }

    /// The only escapes RFC 8785 writes: the two-character ones, and lower-case \u00xx for other control characters.
    fn escape(&mut self) -> Result<()> {
        let rest = &self.data[self.at..];
        let length = match rest {
            [_, b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => 2,
            [_, b'u', b'0', b'0', high @ (b'0' | b'1'), low @ (b'0'..=b'9' | b'a'..=b'f'), ..] => {
                let short = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                if short { 0 } else { 6 }
            }
            _ => 0,
        };
        if length == 0 {
            return Err(refuse("json.escape", "an escape that the canonical form does not use", self.at));
        }
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits = self.data[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = &self.data[self.at..self.at + digits];
        self.at += digits;
        if digits == 0 {
            return Err(self.unexpected());
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(refuse("json.number", "a number that is not an integer", start));
        }
        if text[0] == b'0' && (digits > 1 || negative) {
            return Err(refuse("json.number", "an integer with a leading or negative zero", start));
        }
        // 2^53 - 1 has 16 digits, so the sum cannot overflow.
        let value = text.iter().take(17).fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if digits > 16 || value > MAX_SAFE {
            return Err(refuse("json.number", "an integer beyond 2^53 - 1", start));
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    fn unexpected(&self) -> Error {
        match self.peek() {
            Some(b' ' | b'\t' | b'\n' | b'\r') => {
                refuse("json.whitespace", "the canonical form has no white space", self.at)
            }
            Some(_) => refuse("json.syntax", "not JSON here", self.at),
            None => refuse("json.syntax", "the JSON text ends too early", self.at),
        }
    }
}

/// How many bytes at the start stand for themselves inside a string.
fn plain_bytes(text: &[u8]) -> usize {
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // Whole pieces without a branch inside, so that the compiler compares the bytes of a piece at once.
    let pieces = text.chunks_exact(PIECE);
    let plain =
        PIECE * pieces.take_while(|piece| !piece.iter().fold(false, |found, byte| found | special(byte))).count();
    let rest = &text[plain..];
    plain + rest.iter().position(special).unwrap_or(rest.len())
}

/// RFC 8785 section 3.2.3: by UTF-16 code units of the unescaped keys.
fn compare_keys(left: &[u8], right: &[u8]) -> Ordering {
    // UTF-8 and UTF-16 sort alike below U+E000, and an escape sorts by what it stands for.
    let simple = |key: &[u8]| key.iter().all(|byte| *byte != b'\\' && *byte < 0xee);
    if simple(left) && simple(right) { left.cmp(right) } else { units(left).cmp(units(right)) }
}

/// UTF-16 code units of a checked string's content.
fn units(content: &[u8]) -> impl Iterator<Item = u16> {
    let text = std::str::from_utf8(content).unwrap_or_default();
    let mut chars = text.chars();
    let unescaped = std::iter::from_fn(move || match chars.next()? {
        '\\' => Some(match chars.next()? {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'u' => {
                char::from_u32(chars.by_ref().take(4).fold(0, |sum, digit| sum * 16 + digit.to_digit(16).unwrap_or(0)))?
            }
            other => other,
        }),
        other => Some(other),
    });
    unescaped.flat_map(|character| {
        let mut buffer = [0; 2];
        character.encode_utf16(&mut buffer).to_vec()
    })
}

fn refuse(code: &'static str, message: &str, at: usize) -> Error {
    Error::new(Class::InvalidInput, code, format!("{message} (byte {at})"))
        .hint("encode with ledger.codec, which writes the canonical form")
}
