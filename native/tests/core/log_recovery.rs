//! Recovery and the oracle on damaged files: what may be cut is cut, what may not be lost is named.

use crate::common::disk::Disk;
use crate::common::{Numbers, append, assert_holds, open};
use _native::error::Class;
use _native::log::fsck::fsck_storage;
use _native::log::{LogEngine, Options};

/// A closed log of three commits, the last of them small; its entries.
fn small_log() -> (Disk, Vec<Vec<u8>>) {
    let disk = Disk::new();
    let log = open(disk.storage());
    let entries: Vec<Vec<u8>> = (0..600u32).map(|number| number.to_be_bytes().to_vec()).collect();
    append(&log, &entries[..290]);
    append(&log, &entries[290..597]);
    log.close().unwrap();
    // The last commit is never marked as synced, as after a crash.
    let log = open(disk.storage());
    append(&log, &entries[597..]);
    let left = disk.after(crate::common::disk::Crash::LosesAll);
    drop(log);
    (left, entries)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let (disk, entries) = small_log();
    let (commits, data) = (disk.content("commits.dat"), disk.content("entries.dat"));
    let kept = &entries[..597];
    for cut in 1..32 {
        let disk = disk.after(crate::common::disk::Crash::LosesAll);
        disk.set_content("commits.dat", commits[..commits.len() - cut].to_vec());
        assert_holds(&open(disk.storage()), disk.storage(), kept);
    }
    for cut in 1..=18 {
        let disk = disk.after(crate::common::disk::Crash::LosesAll);
        disk.set_content("entries.dat", data[..data.len() - cut].to_vec());
        assert_holds(&open(disk.storage()), disk.storage(), kept);
    }
    for byte in commits.len() - 32..commits.len() {
        let mut changed = commits.clone();
        changed[byte] ^= 0x10;
        let disk = disk.after(crate::common::disk::Crash::LosesAll);
        disk.set_content("commits.dat", changed);
        assert_holds(&open(disk.storage()), disk.storage(), kept);
    }
    let zeros = commits.len();
    let mut longer = commits.clone();
    longer.resize(zeros + 32, 0);
    disk.set_content("commits.dat", longer);
    assert_holds(&open(disk.storage()), disk.storage(), &entries);
}

#[test]
fn the_last_batch_may_be_torn_anywhere_with_its_frame_whole() {
    // The frame reached the platter, its entries in part: cut short, with a byte changed, or as a hole of zeros.
    let (disk, entries) = small_log();
    let data = disk.content("entries.dat");
    let (start, kept) = (data.len() - 18, &entries[..597]);
    let mut torn: Vec<Vec<u8>> = (start..data.len()).map(|end| data[..end].to_vec()).collect();
    for byte in start..data.len() {
        let mut changed = data.clone();
        changed[byte] ^= 1 << (byte % 8);
        torn.push(changed);
        let mut hole = data.clone();
        hole[byte..].fill(0);
        torn.push(hole);
    }
    // Its last bytes are zeros already: such a hole is the file itself.
    torn.retain(|content| *content != data);
    assert!(torn.len() > 50);
    for content in torn {
        let disk = disk.after(crate::common::disk::Crash::LosesAll);
        disk.set_content("entries.dat", content);
        let log = open(disk.storage());
        assert_holds(&log, disk.storage(), kept);
        log.close().unwrap();
        assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![]);
    }
}

#[test]
fn zeros_written_ahead_are_no_entries_and_are_cut() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let entries: Vec<Vec<u8>> = (0..9u8).rev().map(|number| vec![number; 3]).collect();
    for entry in &entries {
        append(&log, std::slice::from_ref(entry));
    }
    log.root(None).unwrap();
    let killed = disk.after(crate::common::disk::Crash::Killed);
    let (end, data) = (entries.len() * 5, killed.content("entries.dat"));
    assert!(data.len() > end && data[end..].iter().all(|byte| *byte == 0));
    assert_eq!(fsck_storage(killed.storage(), false, 0).problems, vec![]);
    let mut other = data.clone();
    *other.last_mut().unwrap() = 1;
    killed.set_content("entries.dat", other);
    assert_eq!(fsck_storage(killed.storage(), false, 0).problems[0].file, "entries.dat");
    for content in [killed.content("entries.dat"), data[..end + 1].to_vec(), data] {
        killed.set_content("entries.dat", content);
        assert_holds(&open(killed.storage()), killed.storage(), &entries);
        assert_eq!(killed.content("entries.dat").len(), end);
    }
    // Long enough a run that the zeros are used up and written again; closing cuts them too.
    let more: Vec<Vec<u8>> = (0..12u8).map(|number| vec![number; 60_000]).collect();
    for entry in &more {
        append(&log, std::slice::from_ref(entry));
    }
    let all: Vec<Vec<u8>> = entries.into_iter().chain(more).collect();
    assert_holds(&log, disk.storage(), &all);
    assert!(disk.content("entries.dat").len() > end + 12 * 60_002);
    log.close().unwrap();
    assert_eq!(disk.content("entries.dat").len(), end + 12 * 60_002);
    assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![]);
}

#[test]
fn a_cut_log_goes_on() {
    let (disk, mut entries) = small_log();
    let commits = disk.content("commits.dat");
    disk.set_content("commits.dat", commits[..commits.len() - 1].to_vec());
    entries.truncate(597);
    let log = open(disk.storage());
    for round in 0..3u8 {
        entries.push(vec![round; 9]);
        assert_eq!(append(&log, &entries[entries.len() - 1..]), (entries.len() as u64 - 1, 1));
    }
    drop(log);
    assert_holds(&open(disk.storage()), disk.storage(), &entries);
}

#[test]
fn damage_to_acknowledged_records_is_never_cut() {
    let (disk, _) = small_log();
    let changed = |file: &str, byte: usize| {
        let disk = disk.after(crate::common::disk::Crash::LosesAll);
        let mut content = disk.content(file);
        content[byte] ^= 1;
        disk.set_content(file, content);
        LogEngine::open(disk.storage(), Options::default()).err().unwrap()
    };
    for (file, byte) in [("commits.dat", 3), ("commits.dat", 40), ("entries.dat", 17), ("entries.dat", 2000)] {
        let error = changed(file, byte);
        assert_eq!((error.class, error.code), (Class::Fatal, "log.corrupt"), "{file} {byte}");
        assert!(error.hint.contains("fsck"));
    }
    let disk = disk.after(crate::common::disk::Crash::LosesAll);
    let data = disk.content("entries.dat");
    disk.set_content("entries.dat", data[..data.len() - 100].to_vec());
    assert_eq!(LogEngine::open(disk.storage(), Options::default()).err().unwrap().code, "log.corrupt");
}

#[test]
fn derived_files_come_back() {
    let (disk, entries) = small_log();
    for file in ["level-0.dat", "level-1.dat", "entries.idx"] {
        for content in [Vec::new(), vec![0xaa; 100_000]] {
            let disk = disk.after(crate::common::disk::Crash::LosesAll);
            let shorter = content.is_empty();
            let whole = disk.content(file);
            // Beyond the watermark anything may stand there; below it the file may be gone, but not changed.
            let rest = content.get(whole.len()..).unwrap_or_default().to_vec();
            disk.set_content(file, if shorter { content } else { [whole, rest].concat() });
            let log = open(disk.storage());
            assert_holds(&log, disk.storage(), &entries);
            log.close().unwrap();
            assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![], "{file}");
        }
    }
}

#[test]
fn rebuilt_hashes_survive_the_next_power_cut() {
    let (disk, entries) = small_log();
    for file in ["level-0.dat", "entries.idx"] {
        for seed in 0..20 {
            let lost = disk.after(crate::common::disk::Crash::LosesAll);
            lost.set_content(file, Vec::new());
            let log = open(lost.storage());
            // Taken while the log runs: later writes may be on the platter and earlier ones not.
            let left = lost.after(crate::common::disk::Crash::KeepsSome(seed));
            drop(log);
            assert_holds(&open(left.storage()), left.storage(), &entries);
        }
    }
}

#[test]
fn the_oracle_finds_every_flipped_byte() {
    let disk = Disk::new();
    let log = open(disk.storage());
    for batch in 0..40u8 {
        let entries: Vec<Vec<u8>> = (0..8).map(|number| vec![batch, number]).collect();
        let entries = crate::common::borrow(&entries);
        log.append(&entries, Some(([batch; 16], 5))).unwrap();
    }
    log.close().unwrap();
    assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![]);
    let mut numbers = Numbers(11);
    for file in disk.names() {
        let whole = disk.content(&file);
        if whole.is_empty() {
            continue;
        }
        for byte in 0..whole.len() {
            let mut changed = whole.clone();
            changed[byte] ^= 1 << numbers.below(8);
            let disk = disk.after(crate::common::disk::Crash::LosesAll);
            disk.set_content(&file, changed);
            let problems = fsck_storage(disk.storage(), false, 0).problems;
            assert!(problems.iter().any(|problem| problem.file == file), "{file} byte {byte}: {problems:?}");
            let entry = byte as u64 / 4;
            if file == "entries.dat" && byte % 4 >= 2 {
                assert_eq!((problems[0].file.as_str(), problems[0].index), ("entries.dat", entry));
            }
        }
        for shorter in [whole.len() - 1, whole.len() / 2, 0] {
            let disk = disk.after(crate::common::disk::Crash::LosesAll);
            disk.set_content(&file, whole[..shorter].to_vec());
            let whole_rows = file == "batches.dat" && shorter % 40 == 0;
            assert_eq!(fsck_storage(disk.storage(), false, 0).problems.is_empty(), whole_rows, "{file} {shorter}");
        }
    }
}

#[test]
fn a_partial_check_starts_late() {
    let (disk, entries) = small_log();
    open(disk.storage()).close().unwrap();
    let report = fsck_storage(disk.storage(), false, 300);
    assert_eq!((report.problems.len(), report.size, report.root), (0, 600, crate::common::root(&entries)));
    let mut data = disk.content("entries.dat");
    data[5] ^= 1;
    disk.set_content("entries.dat", data);
    assert_eq!(fsck_storage(disk.storage(), false, 300).problems, vec![]);
    assert_eq!(fsck_storage(disk.storage(), false, 0).problems[0].index, 0);
}

#[test]
fn batch_rows_are_cut_with_their_entries() {
    let disk = Disk::new();
    let log = open(disk.storage());
    log.append(&[b"one"], Some(([1; 16], 5))).unwrap();
    log.append(&[b"two"], Some(([2; 16], 5))).unwrap();
    drop(log);
    let rows = disk.content("batches.dat");
    assert_eq!(rows.len(), 80);
    // A row whose frame never reached the disk, and half a row.
    let mut stale = rows[40..].to_vec();
    stale[16..24].copy_from_slice(&7u64.to_le_bytes());
    let checksum = crc32c::crc32c(&stale[..36]).to_le_bytes();
    stale[36..].copy_from_slice(&checksum);
    disk.set_content("batches.dat", [rows.clone(), stale, rows[..10].to_vec()].concat());
    let log = open(disk.storage());
    assert_eq!(disk.content("batches.dat"), rows);
    assert_eq!(log.append(&[b"two"], Some(([2; 16], 5))).unwrap(), (1, 1));
    drop(log);
    // A broken row before a good one is damage.
    let mut damaged = rows.clone();
    damaged[0] ^= 1;
    disk.set_content("batches.dat", damaged);
    assert_eq!(LogEngine::open(disk.storage(), Options::default()).err().unwrap().code, "log.corrupt");
}

#[test]
fn batch_ids_end_after_a_day() {
    const DAY: u64 = 86_400_000;
    let disk = Disk::new();
    let log = open(disk.storage());
    assert_eq!(log.append(&[b"a"], Some(([1; 16], 1_000))).unwrap(), (0, 1));
    assert_eq!(log.append(&[b"a"], Some(([1; 16], 1_000 + DAY - 1))).unwrap(), (0, 1));
    assert_eq!(log.append(&[b"b"], Some(([1; 16], 2_000))).unwrap_err().code, "log.batch-conflict");
    assert_eq!(log.append(&[b"b"], Some(([1; 16], 1_000 + DAY))).unwrap(), (1, 1));
    assert_eq!(log.stat().progress.batches, 1);
    drop(log);
    let options = Options { now_ms: 2_000 + DAY, ..Options::default() };
    let log = LogEngine::open(disk.storage(), options).unwrap();
    assert_eq!(log.append(&[b"b"], Some(([1; 16], 2_000 + DAY))).unwrap(), (1, 1));
    drop(log);
    let options = Options { now_ms: 1_000 + 2 * DAY, ..Options::default() };
    drop(LogEngine::open(disk.storage(), options).unwrap());
    assert_eq!(disk.content("batches.dat"), b"");
}
