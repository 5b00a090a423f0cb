//! Durable appends from several callers, where their time goes, and what disk and SHA-256 alone allow.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use _native::log::{LogEngine, Options, record as records};
use _native::merkle;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::publish;
use crate::timed::{Timed, Times};
use crate::{Arguments, percentile, record};

/// What the callers do.
struct Load {
    records: u64,
    size: usize,
    callers: u64,
    batch: u64,
    check: bool,
    /// Records a second of all callers together; 0: as fast as it goes.
    rate: u64,
}

impl Load {
    fn entries(&self, caller: u64) -> Vec<Vec<u8>> {
        (0..self.batch).map(|number| record(caller * self.batch + number, self.size)).collect()
    }

    /// One caller's appends: (when it was due, when it was answered, last index), microseconds after the start.
    fn run(&self, log: &LogEngine, caller: u64, start: Instant) -> Vec<(u64, u64, u64)> {
        let entries = self.entries(caller);
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let pause = |round: u64| {
            // Callers start one after another; a late append is counted from when it was due.
            let due = (round * self.callers + caller) * self.batch * 1_000_000 / self.rate;
            let due = start + Duration::from_micros(due);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due
        };
        let one = |round: u64| {
            let asked = if self.rate == 0 { Instant::now() } else { pause(round) };
            let (first, count) =
                if self.check { log.append_records(&entries, None) } else { log.append(&entries, None) }.unwrap();
            let micros = |instant: Instant| instant.duration_since(start).as_micros() as u64;
            (micros(asked), micros(Instant::now()), first + count - 1)
        };
        (0..self.records / self.batch / self.callers).map(one).collect()
    }
}

/// Append `records` of `size` bytes from `callers` threads, `batch` at a time. `check=1` validates natively, `rate` is
/// records a second (0: unpaced), `publish_ms` the interval of checkpoints (0: none).
pub fn append(arguments: &Arguments) -> Value {
    let (storage, times) = Timed::lock(&arguments.folder());
    let log = LogEngine::open(Arc::clone(&storage), Options::default()).unwrap();
    let load = Load {
        records: arguments.number("records"),
        size: arguments.number("size") as usize,
        callers: arguments.number("callers"),
        batch: arguments.number("batch"),
        check: arguments.number("check") == 1,
        rate: arguments.number("rate"),
    };
    let interval = Duration::from_millis(arguments.number("publish_ms"));
    let (done, cpu, start) = (AtomicBool::new(false), cpu_seconds(), Instant::now());
    let (answers, seconds, published) = std::thread::scope(|scope| {
        let publisher =
            (!interval.is_zero()).then(|| scope.spawn(|| publish::publish(&log, &*storage, start, interval, &done)));
        let callers: Vec<_> = (0..load.callers)
            .map(|caller| {
                let (load, log) = (&load, &log);
                scope.spawn(move || load.run(log, caller, start))
            })
            .collect();
        let answers: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
        let seconds = start.elapsed().as_secs_f64();
        done.store(true, Ordering::Release);
        (answers, seconds, publisher.map(|thread| thread.join().unwrap()))
    });
    let records = log.size();
    log.root(None).unwrap();
    let integrated = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    let commits = log.stat().progress.commits;
    log.close().unwrap();
    let mut waits: Vec<u64> = answers.iter().map(|(asked, answered, _)| answered - asked).collect();
    waits.sort_unstable();
    let asked: Vec<(u64, u64)> = answers.iter().map(|(asked, _, index)| (*asked, *index)).collect();
    json!({
        "records": records, "seconds": seconds, "per_second": records as f64 / seconds, "commits": commits,
        "per_second_with_root": records as f64 / integrated,
        "p50_us": percentile(&waits, 50), "p99_us": percentile(&waits, 99),
        "cpu_seconds": cpu, "cpu_us_per_record": cpu * 1e6 / records as f64,
        "where": breakdown(&load, &times, seconds),
        "published": published.map(|published| publish::figures(&published, &asked)),
    })
}

/// Where the committer's time went (measured), and what one core needs for the rest of the work (measured apart, for
/// the same bytes): for one caller these follow each other, with more callers they run beside each other.
fn breakdown(load: &Load, times: &Times, seconds: f64) -> Value {
    let entries = load.entries(0);
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let joined = entries.concat();
    let rounds = (20_000 / load.batch).max(1);
    let scale = load.records as f64 / (rounds * load.batch) as f64;
    let alone = |work: &dyn Fn()| {
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        start.elapsed().as_secs_f64() * scale
    };
    let validate = || entries.par_iter().with_min_len(64).for_each(|entry| records::check(entry).unwrap());
    let validate = if load.check { alone(&validate) } else { 0.0 };
    let checksum = alone(&|| {
        black_box(crc32c::crc32c(&joined));
    });
    let copy = alone(&|| drop(black_box(entries.concat())));
    let hash = alone(&|| {
        for entry in &entries {
            black_box(merkle::leaf_hash(entry));
        }
    });
    // The two syncs run side by side.
    let syncs = times.seconds(&["sync entries"]).max(times.seconds(&["sync frame"]));
    let committer = times.seconds(&["write entries", "write frame"]) + syncs;
    let mut figures = json!({
        "calls": times.figures(), "committer_in_calls": committer, "checksum": checksum,
        "validate_all_cores": validate, "copy": copy, "sha256_one_core": hash,
    });
    if load.callers == 1 {
        figures["rest"] = json!(seconds - committer - checksum - validate - copy);
    }
    figures
}

/// The same bytes as one stream of `write` and `fdatasync` per `chunk` records, and their leaf hashes on one core.
pub fn stream(arguments: &Arguments) -> Value {
    let (records, size, chunk) = (arguments.number("records"), arguments.number("size"), arguments.number("chunk"));
    let block = vec![0x5a; ((size + 2) * chunk) as usize];
    let path = arguments.folder().join("stream");
    let mut file = File::create(&path).unwrap();
    let start = Instant::now();
    for _ in 0..records / chunk {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
    }
    let disk = start.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    let entry = record(7, size as usize);
    let start = Instant::now();
    for _ in 0..records {
        black_box(merkle::leaf_hash(black_box(&entry)));
    }
    let hashing = start.elapsed().as_secs_f64();
    let done = (records / chunk * chunk) as f64;
    json!({
        "chunk_records": chunk, "disk_seconds": disk, "disk_per_second": done / disk,
        "sha256_seconds": hashing, "sha256_per_second": records as f64 / hashing,
        "limit_per_second": 1.0 / (disk / done + hashing / records as f64),
    })
}

/// Time of all cores this process has used, seconds (in steps of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the command's name, which may hold blanks: utime and stime are fields 14 and 15 of all.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
