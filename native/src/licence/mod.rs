//! E-licences natively: many presentations at once, and the closed suite SM2 with SM3.

pub mod b64;
pub mod batch;
pub mod json;
pub mod opening;
pub mod presentation;
pub mod reading;
pub mod ready;
pub mod sm;
pub mod suite;

/// Why a licence is refused: a stable code of `ledger.licences`, the same as the Python code gives.
pub type Refusal = &'static str;
