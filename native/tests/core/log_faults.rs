//! The fault table: every durable operation of the engine x what may become of it x what the crash leaves.
//!
//! After each: recovery, with every acknowledged entry there, what was not acknowledged there whole or not at all, batch
//! ids still giving their first answer, and the oracle clean. Where the disk lied (it said yes and lost the bytes) no
//! program can keep them; then the log refuses to open, or the signed head shows what is missing, or the oracle names
//! the file: never a shorter or other log under a signed head that passes for whole.
//!
//! `cargo test --release --no-default-features --test core fault_table -- --nocapture` prints the table.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::disk::{Crash, Disk, FAULTS, FOLDER, Fault, Op};
use crate::common::{append, assert_holds, borrow, root};
use _native::error::{Class, Error};
use _native::log::batches::WINDOW_MS;
use _native::log::fsck::fsck_storage;
use _native::log::{LogEngine, Options};

const NOW: u64 = WINDOW_MS + 1_000;

/// One append of the workload: its entries and, for some, a batch id.
struct Step {
    entries: Vec<Vec<u8>>,
    batch: Option<[u8; 16]>,
}

/// Where a run begins: a disk, the entries on it, and what is appended next.
struct Scenario {
    base: Disk,
    there: Vec<Vec<u8>>,
    steps: Vec<Step>,
}

impl Scenario {
    /// An empty disk; the steps fill tiles, carry batch ids, and cross a tile border inside a batch.
    fn fresh() -> Self {
        Self { base: Disk::new(), there: Vec::new(), steps: steps(&[1, 3, 250, 20, 1, 5]) }
    }

    /// A log whose every file has an end to be cut, and whose batch ids are mostly too old.
    fn torn() -> Self {
        let disk = Disk::new();
        let log = LogEngine::open(disk.storage(), Options::default()).unwrap();
        let there: Vec<Vec<u8>> = (0..300u32).map(|number| number.to_le_bytes().to_vec()).collect();
        for (number, entries) in there.chunks(60).enumerate() {
            log.append(&borrow(entries), Some(([200 + number as u8; 16], 1))).unwrap();
        }
        log.close().unwrap();
        drop(log);
        for (file, tail) in [
            ("commits.dat", vec![7; 11]),
            ("entries.dat", vec![1; 77]),
            ("batches.dat", vec![9; 50]),
            ("entries.idx", vec![3; 9]),
            ("level-0.dat", vec![4; 64]),
            ("level-1.dat", vec![5; 33]),
        ] {
            let whole = disk.content(file);
            disk.set_content(file, [whole, tail].concat());
        }
        Self { base: disk, there, steps: steps(&[2, 220]) }
    }

    fn entries(&self, steps: usize) -> Vec<Vec<u8>> {
        let appended = self.steps[..steps.min(self.steps.len())].iter().flat_map(|step| step.entries.clone());
        self.there.iter().cloned().chain(appended).collect()
    }
}

fn steps(sizes: &[usize]) -> Vec<Step> {
    let mut number = 0u32;
    let mut entries = |size: usize| {
        (0..size)
            .map(|_| {
                number += 1;
                number.to_be_bytes().repeat(1 + number as usize % 4)
            })
            .collect()
    };
    sizes
        .iter()
        .enumerate()
        .map(|(step, size)| Step { entries: entries(*size), batch: (step % 2 == 1).then_some([step as u8; 16]) })
        .collect()
}

fn open(disk: &Disk) -> Result<LogEngine, Error> {
    LogEngine::open(disk.storage(), Options { now_ms: NOW, ..Options::default() })
}

/// Appends until the first failure; the number of steps acknowledged, and the failure.
fn run(log: &LogEngine, steps: &[Step]) -> (usize, Option<Error>) {
    for (number, step) in steps.iter().enumerate() {
        // The watermark moves now and then, so that the level files' syncs are in the table too.
        let outcome = if number % 4 == 3 { log.sync() } else { Ok(()) };
        let outcome =
            outcome.and_then(|()| log.append(&borrow(&step.entries), step.batch.map(|id| (id, NOW))).map(drop));
        // Waits for the hashes of this step, so that every run writes the derived files in the same pieces.
        let derived = outcome.clone().and_then(|()| log.root(None).map(drop));
        if let Err(error) = derived {
            return (number + usize::from(outcome.is_ok()), Some(error));
        }
    }
    (steps.len(), None)
}

fn assert_told(error: &Error, fault: Fault, context: &str) {
    let code = if fault == Fault::NoSpace { "log.no-space" } else { "log.failed" };
    assert_eq!((error.class, error.code), (Class::Fatal, code), "{context}: {error}");
    assert!(!error.hint.is_empty());
}

/// Recover, compare, go on with the rest of the workload, lose power, recover again.
fn check_after(disk: &Disk, scenario: &Scenario, acknowledged: usize, context: &str) {
    resume(disk, scenario, acknowledged, context);
    let log = open(&disk.after(Crash::LosesAll)).unwrap();
    assert_eq!(log.root(None).unwrap(), root(&scenario.entries(scenario.steps.len())), "{context}");
}

/// Recover, compare, go on with the rest of the workload, stop; the oracle agrees.
fn resume(disk: &Disk, scenario: &Scenario, acknowledged: usize, context: &str) {
    let log = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let size = log.size() as usize;
    let sure = scenario.entries(acknowledged);
    let with_next = scenario.entries(acknowledged + 1);
    assert!(size == sure.len() || size == with_next.len(), "{context}: {size} of {}..{}", sure.len(), with_next.len());
    assert_holds(&log, disk.storage(), &with_next[..size]);
    // A caller without an answer sends again; with a batch id nothing can double.
    let steps = &scenario.steps;
    let again = if size == sure.len() || steps[acknowledged].batch.is_some() { acknowledged } else { acknowledged + 1 };
    for (number, step) in steps.iter().enumerate() {
        if number < again && step.batch.is_none() {
            continue;
        }
        let (first, count) = log.append(&borrow(&step.entries), step.batch.map(|id| (id, NOW))).unwrap();
        assert_eq!(first, scenario.entries(number).len() as u64, "{context}: step {number}");
        assert_eq!(count, step.entries.len() as u64);
    }
    log.close().unwrap();
    assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![], "{context}");
}

/// The process died, was started again, and then the power went: what the second start took up must be there.
fn check_kept(disk: &Disk, scenario: &Scenario, acknowledged: usize, context: &str) {
    let log = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let (size, root) = (log.size(), log.root(None).unwrap());
    // Taken while the log runs, which may have signed this size: nothing was closed.
    let left = disk.after(Crash::LosesAll);
    drop(log);
    let log = open(&left).unwrap_or_else(|error| panic!("{context}, started again: {error}"));
    assert_eq!((log.size(), log.root(None).unwrap()), (size, root), "{context}: what recovery took up was lost");
    drop(log);
    check_after(&left, scenario, acknowledged, context);
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Recovered,
    /// The log does not open, and the oracle says why.
    Refused(&'static str),
    /// It opens shorter than a head that was signed: the node stays closed (`log.behind`).
    BehindItsHead,
    /// It opens with other hashes than a head that was signed: the node stays closed (`log.forked`).
    UnlikeItsHead,
    /// It opens whole; the oracle names a derived file.
    NamedByOracle,
    /// It opens whole, but a batch id is unknown: only a caller that sends an acknowledged batch again would double it.
    ForgotBatch,
}

/// After the disk lied: `signed` is the head over everything acknowledged.
fn judge_lie(disk: &Disk, scenario: &Scenario, acknowledged: usize, context: &str) -> Outcome {
    let sure = scenario.entries(acknowledged);
    let oracle = fsck_storage(disk.storage(), false, 0);
    let log = match open(disk) {
        Ok(log) => log,
        Err(error) => {
            assert_eq!((error.class, error.code), (Class::Fatal, "log.corrupt"), "{context}: {error}");
            assert!(!oracle.problems.is_empty(), "{context}: refused, and the oracle finds nothing");
            return Outcome::Refused(error.code);
        }
    };
    let size = log.size() as usize;
    if size < sure.len() {
        return Outcome::BehindItsHead;
    }
    let like_head = log.root(Some(sure.len() as u64)).unwrap() == root(&sure);
    drop(log);
    let problems = fsck_storage(disk.storage(), false, 0).problems;
    if !like_head {
        assert!(!problems.is_empty(), "{context}: another root, and the oracle finds nothing");
        return Outcome::UnlikeItsHead;
    }
    if !problems.is_empty() {
        return Outcome::NamedByOracle;
    }
    let log = open(disk).unwrap();
    assert_holds(&log, disk.storage(), &scenario.entries(acknowledged + 1)[..size]);
    for (number, step) in scenario.steps[..acknowledged].iter().enumerate() {
        let Some(id) = step.batch else { continue };
        let (first, _) = log.append(&borrow(&step.entries), Some((id, NOW))).unwrap();
        if first != scenario.entries(number).len() as u64 {
            return Outcome::ForgotBatch;
        }
    }
    drop(log);
    check_after(disk, scenario, acknowledged, context);
    Outcome::Recovered
}

/// One fault in one run; how each crash after it ended.
fn strike(scenario: &Scenario, file: &str, op: Op, number: u64, fault: Fault) -> Vec<Outcome> {
    let disk = scenario.base.after(Crash::LosesAll);
    disk.plan(file, op, number, fault);
    let context = format!("{file} {op:?} {number} {fault:?}");
    let opened = open(&disk);
    let acknowledged = match &opened {
        Ok(log) => {
            let (acknowledged, mut failure) = run(log, &scenario.steps);
            failure = failure.or_else(|| log.sync().err());
            if let Some(error) = &failure {
                assert_told(error, fault, &context);
                let refused = log.append(&[b"more"], None).unwrap_err();
                assert_eq!(refused.class, Class::Fatal, "{context}");
                assert_eq!(log.size() as usize, scenario.entries(acknowledged).len(), "{context}");
            }
            // What fails behind the commits, or while closing, is told there.
            let closed = log.close();
            if !disk.struck() {
                // Derived bytes of several commits may go in one write, so that there are fewer than were counted.
                let derived = file.starts_with("level-") || file == "entries.idx";
                assert!(derived && op == Op::Write && number > 0, "{context}: it did not happen");
                return Vec::new();
            }
            let silent = matches!(fault, Fault::Lost | Fault::Reordered);
            // No room for zeros written ahead stops nothing; were it room for entries, they would be missed below.
            let spare = fault == Fault::NoSpace
                && (file, op) == ("entries.dat", Op::Write)
                && acknowledged == scenario.steps.len();
            assert!(silent || spare || failure.is_some() || closed.is_err(), "{context}: the failure was swallowed");
            acknowledged
        }
        Err(error) => {
            assert_told(error, fault, &context);
            0
        }
    };
    drop(opened);
    if fault == Fault::Lost {
        // The page cache still has what the disk lost.
        resume(&disk.after(Crash::Killed), scenario, acknowledged, &format!("{context} killed"));
        return vec![judge_lie(&disk.after(Crash::LosesAll), scenario, acknowledged, &context)];
    }
    let crashes: &[Crash] = match fault {
        Fault::Reordered => &[Crash::LosesAll],
        _ => &[Crash::LosesAll, Crash::KeepsAll, Crash::KeepsSome(number)],
    };
    for crash in crashes {
        check_after(&disk.after(*crash), scenario, acknowledged, &format!("{context} {crash:?}"));
    }
    if fault != Fault::Reordered {
        check_kept(&disk.after(Crash::Killed), scenario, acknowledged, &format!("{context} killed"));
    }
    vec![Outcome::Recovered]
}

type Table = BTreeMap<(String, Op), BTreeMap<Fault, BTreeSet<Outcome>>>;

fn fill(table: &mut Table, scenario: &Scenario) -> usize {
    let counting = scenario.base.after(Crash::LosesAll);
    let log = open(&counting).unwrap();
    let (done, failure) = run(&log, &scenario.steps);
    assert!(done == scenario.steps.len() && failure.is_none());
    log.sync().unwrap();
    let operations = counting.counts();
    drop(log);
    let mut cases = 0;
    for ((file, op), count) in operations {
        for number in 0..count {
            for fault in FAULTS {
                cases += 1;
                let outcomes = strike(scenario, &file, op, number, fault);
                table.entry((file.clone(), op)).or_default().entry(fault).or_default().extend(outcomes);
            }
        }
    }
    cases
}

fn print(table: &Table) {
    let name = |fault: Fault| format!("{fault:?}").replace("Torn(", "Torn:").replace(')', "");
    print!("{:<24}", "file, operation");
    FAULTS.iter().for_each(|fault| print!(" {:<18}", name(*fault)));
    println!();
    for ((file, op), row) in table {
        print!("{:<24}", format!("{file} {op:?}"));
        for fault in FAULTS {
            let cell: Vec<String> = row[&fault]
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Recovered => "recovered".to_owned(),
                    Outcome::Refused(code) => (*code).to_owned(),
                    Outcome::BehindItsHead => "log.behind".to_owned(),
                    Outcome::UnlikeItsHead => "log.forked".to_owned(),
                    Outcome::NamedByOracle => "fsck".to_owned(),
                    Outcome::ForgotBatch => "forgets-batch".to_owned(),
                })
                .collect();
            print!(" {:<18}", cell.join("|"));
        }
        println!();
    }
}

#[test]
fn fault_table() {
    let mut table = Table::new();
    let cases = fill(&mut table, &Scenario::fresh()) + fill(&mut table, &Scenario::torn());
    print(&table);
    println!("{cases} cases");
    let rows: Vec<(&str, Op)> = table.keys().map(|(file, op)| (file.as_str(), *op)).collect();
    assert_eq!(rows, durable_operations(), "a durable operation is missing here, or the engine has a new one");
    for ((file, op), row) in &table {
        for (fault, outcomes) in row {
            let recovered = outcomes.iter().eq([&Outcome::Recovered]);
            assert!(recovered || *fault == Fault::Lost, "{file} {op:?} {fault:?}: {outcomes:?}");
        }
    }
}

/// Everything the engine does that must last, in the table's order.
fn durable_operations() -> Vec<(&'static str, Op)> {
    let mut all = vec![(FOLDER, Op::SyncFolder), ("batches.dat", Op::Replace)];
    for file in ["batches.dat", "commits.dat", "entries.dat", "entries.idx", "level-0.dat", "level-1.dat"] {
        all.extend([Op::Create, Op::Write, Op::Sync, Op::Cut].map(|op| (file, op)));
    }
    all.sort_unstable();
    all
}

#[test]
fn power_may_go_at_any_moment() {
    let scenario = Scenario::fresh();
    for stop in 0..scenario.steps.len() {
        for seed in 0..8 {
            let disk = Disk::new();
            let log = open(&disk).unwrap();
            assert!(run(&log, &scenario.steps[..stop]).1.is_none());
            let crash = if seed == 0 { Crash::LosesAll } else { Crash::KeepsSome(seed) };
            // Taken while the log runs: nothing was closed, nothing more was synced.
            let left = disk.after(crash);
            drop(log);
            check_after(&left, &scenario, stop, &format!("stop {stop} {crash:?}"));
        }
    }
}

#[test]
fn a_lost_commit_after_a_signed_head_is_seen() {
    // The lie that matters most: both syncs of the last commit return and nothing reaches the platter.
    let disk = Disk::new();
    let log = open(&disk).unwrap();
    let entries: Vec<Vec<u8>> = (0..4u8).map(|number| vec![number; 5]).collect();
    append(&log, &entries[..2]);
    disk.plan("commits.dat", Op::Sync, 0, Fault::Lost);
    append(&log, &entries[2..]);
    let (signed, head) = (log.size(), log.root(None).unwrap());
    let left = disk.after(Crash::LosesAll);
    drop(log);
    let log = open(&left).unwrap();
    assert_eq!((signed, log.size()), (4, 2));
    assert_ne!(log.root(None).unwrap(), head);
    assert_holds(&log, left.storage(), &entries[..2]);
}
