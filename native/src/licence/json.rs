//! Strict and bounded reading of the JSON inside licences, which others write and which is not canonical: no name twice
//! in an object, no number that readers read differently, no half of a surrogate pair, no nesting beyond the bound. It
//! refuses what `ledger.licences.strictjson` refuses, with the same code. Source: RFC 8259, section 4; RFC 7493.

use std::collections::HashSet;

use compact_str::CompactString;

use super::Refusal;

/// How many arrays and objects may be open.
pub const MAX_DEPTH: usize = 16;
const MAX_INTEGER: i64 = (1 << 53) - 1;
/// Names up to which an object is searched one by one.
const FEW: usize = 16;

const SYNTAX: Refusal = "licence.json";
const NUMBER: Refusal = "licence.json-number";

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// At most 2^53 - 1 from zero.
    Integer(i64),
    /// Finite.
    Float(f64),
    /// Unescaped.
    Text(CompactString),
    /// In order.
    Array(Vec<Value>),
    /// In order, each name once.
    Object(Vec<(CompactString, Value)>),
}

impl Value {
    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(fields) => fields.iter().find(|field| field.0 == name).map(|field| &field.1),
            _ => None,
        }
    }

    /// The content of a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Refuses with licence.json, -text, -duplicate, -number, -depth.
pub fn read(data: &[u8]) -> Result<Value, Refusal> {
    let text = std::str::from_utf8(data).map_err(|_| "licence.json-text")?;
    if deep(data) {
        return Err("licence.json-depth");
    }
    let mut reader = Reader { text, at: 0, halves: false };
    reader.space();
    let value = reader.value()?;
    reader.space();
    if reader.at < data.len() {
        return Err(SYNTAX);
    }
    if reader.halves { Err("licence.json-text") } else { Ok(value) }
}

/// Whether brackets outside texts nest beyond the bound, whatever else stands there.
fn deep(data: &[u8]) -> bool {
    let open = |byte: &&u8| matches!(byte, b'[' | b'{');
    if data.iter().filter(open).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut at) = (0i64, 0);
    while let Some(byte) = data.get(at) {
        match byte {
            b'"' => at = end_of_text(data, at + 1),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH as i64 {
            return true;
        }
        at += 1;
    }
    false
}

fn end_of_text(data: &[u8], mut at: usize) -> usize {
    while let Some(byte) = data.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// How many bytes of a text stand for themselves: up to a quotation mark, an escape or a control character. Eight at a
/// time; what lies above the first hit in a word may be wrong, the first is not.
fn plain(text: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let none = |word: u64| word.wrapping_sub(EACH) & !word;
    let (words, rest) = text.as_chunks::<8>();
    for (at, bytes) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*bytes);
        let control = word.wrapping_sub(EACH * 0x20) & !word;
        let quote = none(word ^ (EACH * u64::from(b'"')));
        let escape = none(word ^ (EACH * u64::from(b'\\')));
        let hits = (control | quote | escape) & (EACH * 0x80);
        if hits != 0 {
            return Some(at * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    rest.iter().position(special).map(|at| words.len() * 8 + at)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Half of a surrogate pair was read: refused when all the rest is JSON.
    halves: bool,
}

impl Reader<'_> {
    fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let there = self.bytes()[self.at..].starts_with(text);
        self.at += if there { text.len() } else { 0 };
        there
    }

    fn value(&mut self) -> Result<Value, Refusal> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') if self.take(b"null") => Ok(Value::Null),
            Some(b't') if self.take(b"true") => Ok(Value::Bool(true)),
            Some(b'f') if self.take(b"false") => Ok(Value::Bool(false)),
            Some(b'N') if self.take(b"NaN") => Err(NUMBER),
            Some(b'I') if self.take(b"Infinity") => Err(NUMBER),
            _ => Err(SYNTAX),
        }
    }

    fn array(&mut self) -> Result<Value, Refusal> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b"]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            if self.take(b"]") {
                return Ok(Value::Array(items));
            }
            if !self.take(b",") {
                return Err(SYNTAX);
            }
            self.space();
        }
    }

    fn object(&mut self) -> Result<Value, Refusal> {
        self.at += 1;
        let mut fields = Vec::with_capacity(if self.at == 1 { 24 } else { 4 });
        self.space();
        if self.take(b"}") {
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(SYNTAX);
            }
            let name = self.string()?;
            self.space();
            if !self.take(b":") {
                return Err(SYNTAX);
            }
            self.space();
            fields.push((name, self.value()?));
            self.space();
            if self.take(b"}") {
                return if twice(&fields) { Err("licence.json-duplicate") } else { Ok(Value::Object(fields)) };
            }
            if !self.take(b",") {
                return Err(SYNTAX);
            }
            self.space();
        }
    }

    fn string(&mut self) -> Result<CompactString, Refusal> {
        self.at += 1;
        let mut out = CompactString::default();
        loop {
            let rest = &self.bytes()[self.at..];
            let plain = plain(rest).ok_or(SYNTAX)?;
            let special = rest[plain];
            let piece = &self.text[self.at..self.at + plain];
            self.at += plain + 1;
            if special == b'"' && out.is_empty() {
                return Ok(CompactString::new(piece));
            }
            out.push_str(piece);
            match special {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(SYNTAX),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        let letter = self.peek().ok_or(SYNTAX)?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unit(),
            _ => return Err(SYNTAX),
        })
    }

    /// A character by one UTF-16 unit or two.
    fn unit(&mut self) -> Result<char, Refusal> {
        let first = self.hex().ok_or(SYNTAX)?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let start = self.at;
        if first < 0xdc00 && self.take(b"\\u") {
            // What is no hexadecimal number is a syntax error either way.
            let second = self.hex().ok_or(SYNTAX)?;
            if (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(SYNTAX);
            }
            self.at = start;
        }
        self.halves = true;
        // A stand-in that keeps different halves different.
        char::from_u32(0x10_f800 + (first - 0xd800)).ok_or(SYNTAX)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes().get(self.at..self.at + 4)?;
        let value = digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))?;
        self.at += 4;
        Some(value)
    }

    fn number(&mut self) -> Result<Value, Refusal> {
        let start = self.at;
        if self.take(b"-") && self.take(b"Infinity") {
            return Err(NUMBER);
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(SYNTAX),
        }
        let whole = self.at;
        if self.peek() == Some(b'.') && self.bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes().get(self.at + 1), Some(b'+' | b'-')));
            if self.bytes().get(self.at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                self.at += 1 + sign;
                self.digits();
            }
        }
        let text = &self.text[start..self.at];
        if self.at == whole {
            let number: i64 = if text.len() <= 17 { text.parse().map_err(|_| NUMBER)? } else { return Err(NUMBER) };
            return if number.abs() <= MAX_INTEGER { Ok(Value::Integer(number)) } else { Err(NUMBER) };
        }
        let number: f64 = text.parse().map_err(|_| NUMBER)?;
        if number.is_finite() { Ok(Value::Float(number)) } else { Err(NUMBER) }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

fn twice(fields: &[(CompactString, Value)]) -> bool {
    // Names in ascending order, as our own licences have them, are different names.
    if fields.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return false;
    }
    if fields.len() <= FEW {
        return fields.iter().enumerate().any(|(at, field)| fields[..at].iter().any(|before| before.0 == field.0));
    }
    let mut names = HashSet::with_capacity(fields.len());
    !fields.iter().all(|field| names.insert(field.0.as_str()))
}
