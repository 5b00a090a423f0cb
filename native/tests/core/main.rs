//! The integration tests of the core, in one program.
#![allow(clippy::unwrap_used)]

mod common;
mod json_strings;
mod licence_batch;
mod licence_ready;
mod licence_sm;
mod log_ahead;
mod log_engine;
mod log_faults;
mod log_index;
mod log_records;
mod log_recovery;
mod merkle_vectors;
mod sign_vectors;
