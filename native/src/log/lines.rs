//! Records from JSON lines as a department's systems write them: `{"type":…,"body":{…}}`, with `time`, `member` and `v`
//! where the writer has them, in any order, with any white space and escapes.
//!
//! Only what is certain is taken: a line that is not plainly a record of the schema is left to `ledger.bulk`, which
//! either finds the record in it or says what is wrong.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::log::schema::{Given, Schema, Value};

/// A piece of a file of lines.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most lines that are not blank.
    pub lines: usize,
    /// Most bytes, unless the first line alone is longer.
    pub bytes: usize,
}

/// A line that is not blank, and its record.
pub struct Line {
    /// Where it starts in the data.
    pub start: usize,
    /// Where it ends, the line feed left out.
    pub end: usize,
    /// How many lines stand before it in the piece, blank ones included.
    pub number: usize,
    /// `None`: not plainly a record.
    pub record: Option<Vec<u8>>,
}

/// The lines of one piece.
pub struct Piece {
    /// Lines that are not blank, in order.
    pub lines: Vec<Line>,
    /// Bytes the piece takes of the data.
    pub taken: usize,
    /// Lines it takes, blank ones included.
    pub count: usize,
}

/// Lines worth another thread.
const FEW: usize = 128;
/// More fields than any body has.
const MAX_FIELDS: usize = 16;

/// Cut the next piece from the start of `data`, and make its records. `time` is for lines without one.
pub fn encode(schema: &Schema, data: &[u8], time: &str, bounds: Bounds) -> Piece {
    let mut piece = Piece { lines: Vec::with_capacity(bounds.lines.min(4096)), taken: 0, count: 0 };
    while piece.taken < data.len() && piece.lines.len() < bounds.lines {
        let rest = &data[piece.taken..];
        let feed = rest.iter().position(|byte| *byte == b'\n');
        let next = piece.taken + feed.map_or(rest.len(), |at| at + 1);
        if next > bounds.bytes && piece.count > 0 {
            break;
        }
        let (start, end) = (piece.taken, piece.taken + feed.unwrap_or(rest.len()));
        // As Python's strip() has it.
        if !data[start..end].iter().all(|byte| matches!(byte, b' ' | b'\t'..=b'\r')) {
            piece.lines.push(Line { start, end, number: piece.count, record: None });
        }
        piece.count += 1;
        piece.taken = next;
    }
    let work = |line: &mut Line| line.record = record(schema, &data[line.start..line.end], time);
    piece.lines.par_iter_mut().with_min_len(FEW).for_each(work);
    piece
}

/// The canonical record of one line; `None` when it is not plainly one.
pub fn record(schema: &Schema, line: &[u8], time: &str) -> Option<Vec<u8>> {
    // What the schema takes is ASCII: anything else needs no look.
    let text = std::str::from_utf8(line).ok().filter(|text| text.is_ascii())?;
    let mut reader = Reader { rest: text };
    let (mut name, mut stamp, mut body) = (None, None, None);
    let (mut member, mut version) = (false, false);
    reader.object(|key, reader| {
        match key.as_ref() {
            "type" if name.is_none() => name = Some(reader.text()?),
            "time" if stamp.is_none() => stamp = Some(reader.text()?),
            "body" if body.is_none() => body = Some(fields(reader)?),
            "member" if !member && reader.text()? == schema.member() => member = true,
            "v" if !version && reader.integer()? == "1" => version = true,
            _ => return None,
        }
        Some(())
    })?;
    if !reader.rest.is_empty() {
        return None;
    }
    schema.record(&name?, stamp.as_deref().unwrap_or(time), &body?)
}

/// A body: texts and integers under names that stand once.
fn fields<'a>(reader: &mut Reader<'a>) -> Option<Vec<Given<'a>>> {
    let mut found: Vec<Given<'a>> = Vec::with_capacity(8);
    reader.object(|name, reader| {
        if found.len() == MAX_FIELDS || found.iter().any(|given| given.name == name) {
            return None;
        }
        let value = match reader.rest.as_bytes().first()? {
            b'"' => Value::Text(reader.text()?),
            _ => Value::Integer(reader.integer()?),
        };
        found.push(Given { name, value });
        Some(())
    })?;
    Some(found)
}

/// A cursor over loose JSON; white space after every token is taken with it. `None`: not what is looked for.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn object(&mut self, mut field: impl FnMut(Cow<'a, str>, &mut Self) -> Option<()>) -> Option<()> {
        self.rest = self.rest.trim_start_matches(BLANKS);
        self.sign("{")?;
        if self.sign("}").is_some() {
            return Some(());
        }
        loop {
            let name = self.text()?;
            self.sign(":")?;
            field(name, self)?;
            if self.sign(",").is_none() {
                return self.sign("}");
            }
        }
    }

    fn sign(&mut self, sign: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(sign)?.trim_start_matches(BLANKS);
        Some(())
    }

    fn integer(&mut self) -> Option<&'a str> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest.trim_start_matches(BLANKS);
        (digits > 0).then_some(number)
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let inside = self.rest.strip_prefix('"')?;
        let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
        let end = inside.as_bytes().iter().position(special)?;
        if inside.as_bytes()[end] == b'"' {
            self.rest = inside[end + 1..].trim_start_matches(BLANKS);
            return Some(Cow::Borrowed(&inside[..end]));
        }
        self.rest = inside;
        self.escaped()
    }

    /// A text with escapes, after its opening quote.
    fn escaped(&mut self) -> Option<Cow<'a, str>> {
        let mut made = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => made.push(match chars.next()? {
                    same @ ('"' | '\\' | '/') => same,
                    'u' => {
                        let digits =
                            chars.as_str().get(..4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
                        chars = chars.as_str()[4..].chars();
                        char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                    }
                    _ => return None,
                }),
                control if control < ' ' => return None,
                plain => made.push(plain),
            }
        }
        self.rest = chars.as_str().trim_start_matches(BLANKS);
        Some(Cow::Owned(made))
    }
}

/// White space of JSON.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
