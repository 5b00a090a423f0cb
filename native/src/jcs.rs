//! Canonical JSON, written: RFC 8785 within the narrowings of `docs/formats.md`, where every number is an integer that a
//! double holds exactly. [`crate::json`] reads it.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A value that has a canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// At most 2^53 - 1 from zero; the maker of the value sees to it.
    Integer(i64),
    /// Unescaped.
    Text(Cow<'a, str>),
    /// In order.
    Array(Vec<Value<'a>>),
    /// In any order, each name once.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// The canonical bytes.
pub fn encode(value: &mut Value<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out);
    out
}

fn write(value: &mut Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter_mut().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            fields.sort_unstable_by(|left, right| key_order(&left.0, &right.0));
            out.push(b'{');
            for (at, (name, item)) in fields.iter_mut().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(item, out);
            }
            out.push(b'}');
        }
    }
}

/// RFC 8785 section 3.2.3: by UTF-16 code units.
pub fn key_order(left: &str, right: &str) -> Ordering {
    // UTF-8 and UTF-16 sort alike below U+E000.
    let simple = |key: &str| key.bytes().all(|byte| byte < 0xee);
    if simple(left) && simple(right) { left.cmp(right) } else { left.encode_utf16().cmp(right.encode_utf16()) }
}

/// RFC 8785 section 3.2.2.2: a text in quotes, with the escapes it must have and no other.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        let short = match byte {
            b'"' | b'\\' => Some(byte),
            0x08 => Some(b'b'),
            0x09 => Some(b't'),
            0x0a => Some(b'n'),
            0x0c => Some(b'f'),
            0x0d => Some(b'r'),
            _ => None,
        };
        match short {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
