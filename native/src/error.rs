//! The one error of the native core. The door turns it into the class of `ledger.errors` with the same name.

use std::fmt::{self, Display};

/// Who must act, as in `ledger.errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The caller sent something malformed or out of bounds.
    InvalidInput,
    /// A signature, proof or digest did not verify.
    Untrusted,
    /// The caller is known but may not do this.
    NotAllowed,
    /// The thing named does not exist here.
    NotFound,
    /// The request disagrees with the present state.
    Conflict,
    /// It may work later.
    Unavailable,
    /// Our own data or disk is broken.
    Fatal,
}

/// One of the two values that disagreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// For people, or an identifier.
    Text(String),
    /// A count, size or index.
    Number(u64),
    /// Raw bytes: a hash, revert data.
    Bytes(Vec<u8>),
}

/// A refusal or failure with a stable code (`area.reason`), a message for people and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who must act.
    pub class: Class,
    /// Stable and lower-case.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// The next step; may be empty.
    pub hint: String,
    /// What was required, where two values disagreed.
    pub expected: Option<Value>,
    /// What was found, where two values disagreed.
    pub actual: Option<Value>,
}

/// Result with the core's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without hint and values.
    pub fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), hint: String::new(), expected: None, actual: None }
    }

    /// With the next step for people.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With the two values that disagreed, as text.
    pub fn values(mut self, expected: impl Display, actual: impl Display) -> Self {
        self.expected = Some(Value::Text(expected.to_string()));
        self.actual = Some(Value::Text(actual.to_string()));
        self
    }

    /// With the two counts that disagreed.
    pub fn numbers(mut self, expected: u64, actual: u64) -> Self {
        self.expected = Some(Value::Number(expected));
        self.actual = Some(Value::Number(actual));
        self
    }

    /// With the two byte strings that disagreed.
    pub fn bytes(mut self, expected: &[u8], actual: &[u8]) -> Self {
        self.expected = Some(Value::Bytes(expected.to_vec()));
        self.actual = Some(Value::Bytes(actual.to_vec()));
        self
    }

    /// With the bytes that were found (revert data).
    pub fn actual_bytes(mut self, actual: Vec<u8>) -> Self {
        self.actual = Some(Value::Bytes(actual));
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Error {}
