//! Short constructors of the errors this part raises; `docs/errors.md` lists the codes.

use crate::error::{Class, Error};

/// The caller sent something malformed or out of bounds.
pub fn invalid(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::InvalidInput, code, message)
}

/// The sender may not do this.
pub fn not_allowed(code: &'static str, message: impl Into<String>, hint: &str) -> Error {
    Error::new(Class::NotAllowed, code, message).hint(hint)
}

/// Data that does not verify.
pub fn untrusted(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Untrusted, code, message)
}

/// What was asked for is not here.
pub fn not_found(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::NotFound, code, message)
}

/// Our own data is broken.
pub fn fatal(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Fatal, code, message)
        .hint("stop the node and restore its folder, or let it catch up from another member's node")
}
