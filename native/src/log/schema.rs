//! Record types whose fields are ids, labels and numbers: canonical JSON gives every value of them one spelling, so that
//! a record of such a type is recognised by one pass over its bytes, without decoding it.
//!
//! What is recognised is a record by `ledger.events`, of this member and of one of these types. What is not recognised
//! may still be one (a type with other fields): it is judged in full by `ledger.bulk`.

use std::borrow::Cow;

use crate::jcs::{key_order, write_text};
use crate::log::record::{MAX_RECORD, is_time};

/// The values of a field that can be told by their bytes (`ledger.events` has the same names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 lower-case hex digits.
    Hex32,
    /// An integer from 0 to 2^53 - 1.
    Uint,
    /// `[a-z0-9][a-z0-9.-]{0,31}`.
    Purpose,
    /// `[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}`.
    Label,
}

/// A field of a body.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its values.
    pub kind: Kind,
    /// Whether a body may lack it.
    pub optional: bool,
}

/// What one member's systems may write.
pub struct Schema {
    member: String,
    /// `},"member":"…","time":"`, as it stands after every body.
    middle: Vec<u8>,
    types: Vec<Type>,
}

struct Type {
    name: String,
    /// In canonical order.
    fields: Vec<Field>,
    /// `"name":` of each field.
    keys: Vec<Vec<u8>>,
    /// `","type":"…","v":1}`, the end of every record of the type.
    end: Vec<u8>,
}

impl Schema {
    /// The types by name, each with the fields of its body.
    pub fn new(member: &str, types: Vec<(String, Vec<Field>)>) -> Self {
        let mut middle = b"},\"member\":".to_vec();
        write_text(member, &mut middle);
        middle.extend_from_slice(b",\"time\":\"");
        Self { member: member.to_owned(), middle, types: types.into_iter().map(Type::new).collect() }
    }

    /// Whose records.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// Whether these bytes are a record of this schema, to the last byte.
    pub fn holds(&self, record: &[u8]) -> bool {
        record.len() <= MAX_RECORD && self.types.iter().any(|of| of.holds(record, &self.middle))
    }

    /// The canonical record of a type, time and body; `None` when that is not by the schema.
    ///
    pub fn record(&self, name: &str, time: &str, body: &[Given<'_>]) -> Option<Vec<u8>> {
        let of = self.types.iter().find(|of| of.name == name)?;
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(b"{\"body\":{");
        let mut used = 0;
        for (field, key) in of.fields.iter().zip(&of.keys) {
            let Some(given) = body.iter().find(|given| given.name == field.name) else { continue };
            if used > 0 {
                out.push(b',');
            }
            used += 1;
            out.extend_from_slice(key);
            match &given.value {
                Value::Text(text) => write_text(text, &mut out),
                Value::Integer(digits) => out.extend_from_slice(digits.as_bytes()),
            }
        }
        out.extend_from_slice(&self.middle);
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(&of.end);
        // One judge: what was written is read by the rules that the log itself applies.
        (used == body.len() && of.holds(&out, &self.middle) && out.len() <= MAX_RECORD).then_some(out)
    }
}

/// A field of a body before it is canonical.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Value<'a>,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Unescaped.
    Text(Cow<'a, str>),
    /// Its digits.
    Integer(&'a str),
}

impl Type {
    fn new((name, mut fields): (String, Vec<Field>)) -> Self {
        fields.sort_by(|left, right| key_order(&left.name, &right.name));
        let keys = fields
            .iter()
            .map(|field| {
                let mut key = Vec::new();
                write_text(&field.name, &mut key);
                key.push(b':');
                key
            })
            .collect();
        let mut end = b"\",\"type\":".to_vec();
        write_text(&name, &mut end);
        end.extend_from_slice(b",\"v\":1}");
        Self { name, fields, keys, end }
    }

    fn holds(&self, record: &[u8], middle: &[u8]) -> bool {
        let Some(mut rest) =
            record.strip_suffix(self.end.as_slice()).and_then(|rest| rest.strip_prefix(b"{\"body\":{"))
        else {
            return false;
        };
        let mut first = true;
        for (field, key) in self.fields.iter().zip(&self.keys) {
            let start = if first { Some(rest) } else { rest.strip_prefix(b",") };
            match start.and_then(|start| start.strip_prefix(key.as_slice())).and_then(|value| field.kind.skip(value)) {
                Some(after) => (first, rest) = (false, after),
                None if field.optional => {}
                None => return false,
            }
        }
        rest.strip_prefix(middle).is_some_and(|time| is_time(time) && time >= b"1970".as_slice())
    }
}

impl Kind {
    /// What follows a value of this kind; `None` when there is none.
    fn skip(self, bytes: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Uint => {
                let digits = bytes.iter().take(17).take_while(|byte| byte.is_ascii_digit()).count();
                let (text, rest) = bytes.split_at(digits);
                // 2^53 - 1 has 16 digits; texts of one length sort as their numbers do.
                let fits = digits < 16 || (digits == 16 && text <= b"9007199254740991".as_slice());
                (digits > 0 && fits && (digits == 1 || text[0] != b'0')).then_some(rest)
            }
            Self::Hex32 => quoted(bytes, 64, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                .and_then(|(text, rest)| (text.len() == 64).then_some(rest)),
            Self::Purpose => quoted(bytes, 32, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-'))
                .and_then(|(text, rest)| text.first().is_some_and(u8::is_ascii_alphanumeric).then_some(rest)),
            Self::Label => quoted(bytes, 64, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-')
            })
            .and_then(|(text, rest)| text.first().is_some_and(u8::is_ascii_alphanumeric).then_some(rest)),
        }
    }
}

/// A quoted text of at most `most` of these bytes, and what follows the closing quote.
fn quoted(bytes: &[u8], most: usize, plain: impl Fn(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let inside = bytes.strip_prefix(b"\"")?;
    let length = inside.iter().take(most).take_while(|byte| plain(**byte)).count();
    let (text, rest) = inside.split_at(length);
    Some((text, rest.strip_prefix(b"\"")?))
}
