//! civicledger's native core: pure modules, the log engine, and one door to Python.

pub mod abci;
pub mod chain;
#[cfg(feature = "python")]
mod door;
pub mod error;
pub mod jcs;
pub mod json;
pub mod licence;
pub mod light;
pub mod log;
pub mod merkle;
pub mod sign;
pub mod tiles;
