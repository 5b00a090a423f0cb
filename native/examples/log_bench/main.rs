//! Measures the log engine natively; `scripts/bench log` drives it and reports.
//!
//! `log_bench WHAT name=value ..` prints one JSON object; long work says `progress N` on the error stream. `append`:
//! batches or single records from several callers, with checkpoints when asked; `stream`: what the disk and SHA-256
//! alone allow for the same bytes; `grow`: fill a folder, then die without closing; `open`: recovery and memory;
//! `close`: the same and a clean stop; `proofs`.
#![allow(clippy::unwrap_used)]

mod append;
mod large;
mod publish;
mod timed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The words after WHAT.
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.0["folder"]).to_owned()
    }

    pub fn number(&self, name: &str) -> u64 {
        self.0[name].parse().unwrap()
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap();
    let pairs = words.map(|word| word.split_once('=').map(|(name, value)| (name.into(), value.into())).unwrap());
    let arguments = Arguments(pairs.collect());
    let figures = match what.as_str() {
        "append" => append::append(&arguments),
        "stream" => append::stream(&arguments),
        "grow" => large::grow(&arguments),
        "open" => large::reopen(&arguments, false),
        "close" => large::reopen(&arguments, true),
        "proofs" => large::proofs(&arguments),
        _ => panic!("unknown measure {what}"),
    };
    println!("{figures}");
}

/// A record of exactly this size; no two numbers give the same one.
pub fn record(number: u64, size: usize) -> Vec<u8> {
    let tail = r#""},"member":"11310000MB2F30000X","time":"2026-11-22T03:41:45.684Z","type":"access.used","v":1}"#;
    let head = format!(r#"{{"body":{{"matter":"{number:012}-"#);
    let padding = "x".repeat(size.saturating_sub(head.len() + tail.len()));
    format!("{head}{padding}{tail}").into_bytes()
}

/// The value that so many per cent of the sorted values do not exceed.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
