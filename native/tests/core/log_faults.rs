//! The fault table: every durable operation of the engine x {fails, torn, fails but persists, no space} x what a power
//! cut leaves. After recovery every acknowledged entry is there, what was not acknowledged is there whole or not at
//! all, batch ids still give their first answer, and the oracle is clean.

use crate::common::disk::{Crash, Disk, FAULTS, Fault, Op};
use crate::common::{assert_holds, borrow, open};
use _native::error::Class;
use _native::log::{LogEngine, Options};

const NOW: u64 = 1_000;

/// One append of the workload: its entries and, for some, a batch id.
struct Step {
    entries: Vec<Vec<u8>>,
    batch: Option<[u8; 16]>,
}

/// Steps that fill tiles, carry batch ids, and cross a tile border inside a batch.
fn workload() -> Vec<Step> {
    let sizes = [1usize, 3, 255, 2, 300, 1, 5, 512, 7];
    let mut number = 0u32;
    sizes
        .iter()
        .enumerate()
        .map(|(step, size)| {
            let entries = (0..*size)
                .map(|_| {
                    number += 1;
                    number.to_be_bytes().repeat(1 + number as usize % 4)
                })
                .collect();
            Step { entries, batch: (step % 2 == 1).then_some([step as u8; 16]) }
        })
        .collect()
}

/// Appends until the first failure; the steps acknowledged and the failed one.
fn run(log: &LogEngine, steps: &[Step]) -> (usize, bool) {
    for (number, step) in steps.iter().enumerate() {
        // The watermark moves now and then, so that the level files' syncs are in the table too.
        let outcome = if number % 4 == 3 { log.sync() } else { Ok(()) };
        let outcome =
            outcome.and_then(|()| log.append(&borrow(&step.entries), step.batch.map(|id| (id, NOW))).map(drop));
        // Waits for the hashes of this step, so that every run writes the derived files in the same pieces.
        let derived = outcome.clone().and_then(|()| log.root(None).map(drop));
        if let Err(error) = derived {
            assert_eq!(error.class, Class::Fatal, "{error}");
            assert!(["log.failed", "log.no-space"].contains(&error.code), "{error}");
            assert!(!error.hint.is_empty());
            return (number + usize::from(outcome.is_ok()), true);
        }
    }
    (steps.len(), false)
}

fn entries_of(steps: &[Step]) -> Vec<Vec<u8>> {
    steps.iter().flat_map(|step| step.entries.clone()).collect()
}

/// Recover, compare, go on with the rest of the workload, recover again.
fn check_after(disk: &Disk, steps: &[Step], acknowledged: usize, context: &str) {
    let log = open(disk.storage());
    let size = log.size() as usize;
    let sure = entries_of(&steps[..acknowledged]);
    let with_next = entries_of(&steps[..(acknowledged + 1).min(steps.len())]);
    assert!(
        size == sure.len() || size == with_next.len(),
        "{context}: {size} of {} or {}",
        sure.len(),
        with_next.len()
    );
    assert_holds(&log, disk.storage(), &with_next[..size]);
    // A caller without an answer sends again; with a batch id nothing can double.
    let again = if size == sure.len() || steps[acknowledged].batch.is_some() { acknowledged } else { acknowledged + 1 };
    for (number, step) in steps.iter().enumerate() {
        if number < again && step.batch.is_none() {
            continue;
        }
        let (first, count) = log.append(&borrow(&step.entries), step.batch.map(|id| (id, NOW))).unwrap();
        assert_eq!(first, entries_of(&steps[..number]).len() as u64, "{context}: step {number}");
        assert_eq!(count, step.entries.len() as u64);
    }
    assert_holds(&log, disk.storage(), &entries_of(steps));
    log.close().unwrap();
    let log = open(disk.after(Crash::LosesAll).storage());
    assert_eq!(log.root(None).unwrap(), crate::common::root(&entries_of(steps)), "{context}");
}

#[test]
fn every_durable_operation_may_go_wrong() {
    let steps = workload();
    let counting = Disk::new();
    let log = open(counting.storage());
    assert_eq!(run(&log, &steps), (steps.len(), false));
    log.sync().unwrap();
    drop(log);
    let mut cases = 0;
    let mut operations: Vec<_> = counting.counts().into_iter().collect();
    operations.sort_by_key(|((file, op), _)| (file.clone(), *op as u8));
    for ((file, op), count) in operations {
        for number in 0..count {
            for fault in FAULTS {
                cases += 1;
                strike(&steps, &file, op, number, fault);
            }
        }
    }
    assert!(cases > 200, "{cases} cases");
}

fn strike(steps: &[Step], file: &str, op: Op, number: u64, fault: Fault) {
    let disk = Disk::new();
    disk.plan(file, op, number, fault);
    let context = format!("{file} {op:?} {number} {fault:?}");
    let opened = LogEngine::open(disk.storage(), Options::default());
    let acknowledged = match &opened {
        Ok(log) => {
            let (acknowledged, mut failed) = run(log, steps);
            failed |= log.sync().is_err();
            if failed {
                let refused = log.append(&[b"more"], None).unwrap_err();
                assert_eq!(refused.class, Class::Fatal, "{context}");
                assert_eq!(log.size() as usize, entries_of(&steps[..acknowledged]).len(), "{context}");
            }
            // What fails behind the commits, or while closing, is told there.
            let closed = log.close();
            assert!(disk.struck(), "{context}");
            assert!(failed || closed.is_err(), "{context}: the failure was swallowed");
            acknowledged
        }
        Err(error) => {
            assert_eq!(error.class, Class::Fatal, "{context}");
            0
        }
    };
    drop(opened);
    for crash in [Crash::LosesAll, Crash::KeepsAll, Crash::KeepsSome(number), Crash::KeepsSome(number + 99)] {
        check_after(&disk.after(crash), steps, acknowledged, &format!("{context} {crash:?}"));
    }
}

#[test]
fn recovery_itself_may_be_cut_short() {
    let steps = workload();
    let disk = Disk::new();
    let log = open(disk.storage());
    run(&log, &steps[..5]);
    drop(log);
    // A torn end to be cut: half a frame, and entries without a frame.
    let torn = |disk: &Disk| {
        let mut commits = disk.content("commits.dat");
        commits.extend_from_slice(&[7; 11]);
        disk.set_content("commits.dat", commits);
        let mut entries = disk.content("entries.dat");
        entries.extend_from_slice(&[1; 77]);
        disk.set_content("entries.dat", entries);
    };
    for file in ["commits.dat", "entries.dat"] {
        for fault in FAULTS {
            let start = disk.after(Crash::LosesAll);
            torn(&start);
            start.plan(file, Op::Cut, 0, fault);
            let error = LogEngine::open(start.storage(), Options::default()).err().unwrap();
            assert_eq!(error.class, Class::Fatal);
            assert!(start.struck());
            check_after(&start.after(Crash::LosesAll), &steps, 5, &format!("{file} {fault:?}"));
        }
    }
}

#[test]
fn power_may_go_at_any_moment() {
    let steps = workload();
    for stop in 0..steps.len() {
        for seed in 0..8 {
            let disk = Disk::new();
            let log = open(disk.storage());
            assert_eq!(run(&log, &steps[..stop]), (stop, false));
            let crash = if seed == 0 { Crash::LosesAll } else { Crash::KeepsSome(seed) };
            // Taken while the log runs: nothing was closed, nothing more was synced.
            let left = disk.after(crash);
            drop(log);
            check_after(&left, &steps, stop, &format!("stop {stop} {crash:?}"));
        }
    }
}
