//! A log of a city's day: filling it, starting it after a kill and after a clean stop, its memory and its proofs.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use _native::log::storage::Folder;
use _native::log::{LogEngine, Options};
use _native::merkle;
use serde_json::{Value, json};

use crate::{Arguments, percentile, record};

const BATCH: u64 = 20_000;

fn engine(arguments: &Arguments) -> LogEngine {
    LogEngine::open(Arc::new(Folder::lock(&arguments.folder()).unwrap()), Options::default()).unwrap()
}

/// Fill the folder to `records` entries of `size` bytes, then stop as a killed process does.
pub fn grow(arguments: &Arguments) -> Value {
    let log = engine(arguments);
    let (records, size) = (arguments.number("records"), arguments.number("size") as usize);
    let mut number = log.size();
    let (first, start) = (number, Instant::now());
    // One template, so that the time is the log's and not the generator's: only the number changes.
    let template = record(0, size);
    let at = template.iter().position(u8::is_ascii_digit).unwrap();
    let mut batch = vec![template; BATCH as usize];
    while number < records {
        let count = (records - number).min(BATCH) as usize;
        for (entry, number) in batch[..count].iter_mut().zip(number..) {
            put_digits(&mut entry[at..at + 12], number);
        }
        let entries: Vec<&[u8]> = batch[..count].iter().map(Vec::as_slice).collect();
        log.append(&entries, None).unwrap();
        number += count as u64;
        if (number / BATCH).is_multiple_of(50) {
            eprintln!("progress {number}");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "records": number, "record_bytes": size, "seconds": seconds,
            "per_second": (number - first) as f64 / seconds, "anonymous_mib": anonymous_mib(),
        })
    );
    std::io::stdout().flush().unwrap();
    std::process::abort();
}

fn put_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Time from nothing to a log that answers its root, and the memory it takes.
pub fn reopen(arguments: &Arguments, close: bool) -> Value {
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

/// Make and check `proofs` inclusion and consistency proofs at indices spread over the log.
pub fn proofs(arguments: &Arguments) -> Value {
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
    let memory = anonymous_mib();
    log.close().unwrap();
    let micros = |mut nanos: Vec<u64>| {
        nanos.sort_unstable();
        json!({"p50_us": percentile(&nanos, 50) as f64 / 1e3, "p99_us": percentile(&nanos, 99) as f64 / 1e3})
    };
    json!({
        "leaves": size, "hashes": longest, "inclusion_make": micros(make), "inclusion_check": micros(check),
        "consistency_make": micros(consistency), "anonymous_mib": memory,
    })
}

/// Anonymous resident memory of this process, MiB (mapped files apart).
fn anonymous_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
