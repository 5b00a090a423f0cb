//! Measures the log engine natively; `scripts/bench log` drives it and reports.
//!
//! `log_bench WHAT name=value ..` prints one JSON object: `append` (batches or single records from several callers),
//! `stream` (what the disk and SHA-256 alone allow for the same bytes), `grow` (fill a folder, then die without
//! closing), `open` (recovery, memory), `proofs`, `close` (open and stop cleanly).
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use _native::log::storage::Folder;
use _native::log::{LogEngine, Options};
use _native::merkle;
use serde_json::{Value, json};

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn text(&self, name: &str) -> &str {
        &self.0[name]
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap()
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap();
    let pairs = words.map(|word| word.split_once('=').map(|(name, value)| (name.into(), value.into())).unwrap());
    let arguments = Arguments(pairs.collect());
    let figures = match what.as_str() {
        "append" => append(&arguments),
        "stream" => stream(&arguments),
        "grow" => grow(&arguments),
        "open" => reopen(&arguments, false),
        "close" => reopen(&arguments, true),
        "proofs" => proofs(&arguments),
        _ => panic!("unknown measure {what}"),
    };
    println!("{figures}");
}

fn engine(arguments: &Arguments) -> LogEngine {
    let folder = Folder::lock(Path::new(arguments.text("folder"))).unwrap();
    LogEngine::open(Arc::new(folder), Options::default()).unwrap()
}

/// A record of exactly this size; no two numbers give the same one.
fn record(number: u64, size: usize) -> Vec<u8> {
    let tail = r#""},"member":"11310000MB2F30000X","time":"2026-11-22T03:41:45.684Z","type":"access.used","v":1}"#;
    let head = format!(r#"{{"body":{{"matter":"{number:012}-"#);
    let padding = "x".repeat(size.saturating_sub(head.len() + tail.len()));
    format!("{head}{padding}{tail}").into_bytes()
}

/// Append `records` of `size` bytes from `callers` threads, `batch` at a time; `check=1` validates natively.
fn append(arguments: &Arguments) -> Value {
    let log = engine(arguments);
    let (records, size, callers) = (arguments.number("records"), arguments.number("size"), arguments.number("callers"));
    let (batch, check) = (arguments.number("batch"), arguments.number("check") == 1);
    let rounds = records / batch / callers;
    let start = Instant::now();
    let mut waits: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|caller| {
                let log = &log;
                scope.spawn(move || {
                    let entries: Vec<Vec<u8>> =
                        (0..batch).map(|number| record(caller * batch + number, size as usize)).collect();
                    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
                    let one = || {
                        let asked = Instant::now();
                        if check { log.append_records(&entries, None) } else { log.append(&entries, None) }.unwrap();
                        asked.elapsed().as_micros() as u64
                    };
                    (0..rounds).map(|_| one()).collect::<Vec<u64>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let done = log.size();
    log.root(None).unwrap();
    let integrated = start.elapsed().as_secs_f64();
    let commits = log.stat().progress.commits;
    log.close().unwrap();
    waits.sort_unstable();
    json!({
        "records": done, "seconds": seconds, "per_second": done as f64 / seconds, "commits": commits,
        "per_second_with_root": done as f64 / integrated,
        "p50_us": waits[waits.len() / 2], "p99_us": waits[waits.len() * 99 / 100],
    })
}

/// The same bytes as one stream of `write` and `fdatasync` per `chunk` records, and their leaf hashes on one core.
fn stream(arguments: &Arguments) -> Value {
    let (records, size, chunk) = (arguments.number("records"), arguments.number("size"), arguments.number("chunk"));
    let block = vec![0x5a; ((size + 2) * chunk) as usize];
    let mut file = File::create(Path::new(arguments.text("folder")).join("stream")).unwrap();
    let start = Instant::now();
    for _ in 0..records / chunk {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
    }
    let disk = start.elapsed().as_secs_f64();
    let entry = record(7, size as usize);
    let start = Instant::now();
    for _ in 0..records {
        std::hint::black_box(merkle::leaf_hash(std::hint::black_box(&entry)));
    }
    let hashing = start.elapsed().as_secs_f64();
    let done = (records / chunk * chunk) as f64;
    json!({
        "chunk_records": chunk, "disk_seconds": disk, "disk_per_second": done / disk,
        "sha256_seconds": hashing, "sha256_per_second": records as f64 / hashing,
        "limit_per_second": 1.0 / (disk / done + hashing / records as f64),
    })
}

/// Fill the folder to `records` entries, then stop as a killed process does.
fn grow(arguments: &Arguments) -> Value {
    let log = engine(arguments);
    let (records, size) = (arguments.number("records"), arguments.number("size") as usize);
    let mut number = log.size();
    let start = Instant::now();
    while number < records {
        let count = (records - number).min(20_000);
        let entries: Vec<Vec<u8>> = (number..number + count).map(|number| record(number, size)).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        log.append(&entries, None).unwrap();
        number += count;
    }
    println!(
        "{}",
        json!({"records": number, "seconds": start.elapsed().as_secs_f64(), "anonymous_mib": anonymous_mib()})
    );
    std::io::stdout().flush().unwrap();
    std::process::abort();
}

/// Time from nothing to a log that answers its root, and the memory it takes.
fn reopen(arguments: &Arguments, close: bool) -> Value {
    let start = Instant::now();
    let log = engine(arguments);
    let root = log.root(None).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let figures = json!({
        "records": log.size(), "seconds": seconds, "root": alloy_primitives::hex::encode(root),
        "anonymous_mib": anonymous_mib(),
    });
    if close {
        log.close().unwrap();
    }
    figures
}

/// Make and check `proofs` inclusion and consistency proofs at sizes and indices spread over the log.
fn proofs(arguments: &Arguments) -> Value {
    let log = engine(arguments);
    let (count, size) = (arguments.number("proofs"), log.size());
    let root = log.root(None).unwrap();
    let (mut make, mut check, mut consistency, mut longest) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for number in 0..count {
        let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let leaf = log.leaf(index).unwrap();
        let start = Instant::now();
        let proof = log.inclusion_proof(index, size).unwrap();
        make.push(start.elapsed().as_nanos() as u64);
        let start = Instant::now();
        merkle::verify_inclusion(&leaf, index, size, &root, &proof).unwrap();
        check.push(start.elapsed().as_nanos() as u64);
        longest = longest.max(proof.len());
        let start = Instant::now();
        log.consistency_proof(index + 1, size).unwrap();
        consistency.push(start.elapsed().as_nanos() as u64);
    }
    log.close().unwrap();
    let micros = |mut times: Vec<u64>| {
        times.sort_unstable();
        json!({"p50_us": times[times.len() / 2] as f64 / 1e3, "p99_us": times[times.len() * 99 / 100] as f64 / 1e3})
    };
    json!({
        "leaves": size, "hashes": longest, "inclusion_make": micros(make), "inclusion_check": micros(check),
        "consistency_make": micros(consistency),
    })
}

/// Anonymous resident memory of this process, MiB (mapped files apart).
fn anonymous_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
