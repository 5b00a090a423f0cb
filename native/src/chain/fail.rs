//! Short constructors of the errors this part raises; `docs/errors.md` lists the codes.

use std::fmt::Display;

use crate::error::{Class, Error};

/// The caller sent something malformed or out of bounds.
pub fn invalid(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::InvalidInput, code, message)
}

/// The sender may not do this.
pub fn not_allowed(code: &'static str, message: impl Into<String>, hint: &str) -> Error {
    Error::new(Class::NotAllowed, code, message).hint(hint)
}

/// Two values that had to agree do not.
pub fn untrusted(code: &'static str, message: &str, expected: impl Display, actual: impl Display) -> Error {
    Error::new(Class::Untrusted, code, message).values(expected, actual)
}

/// Data that does not verify.
pub fn untrusted_plain(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Untrusted, code, message)
}

/// Our own data is broken.
pub fn fatal(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Fatal, code, message)
        .hint("stop the node and restore its folder, or let it catch up from another member's node")
}
