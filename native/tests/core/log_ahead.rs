//! Zeros behind the last entry: what closing leaves, what a power cut makes of them, and that no reader takes them for
//! entries.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::disk::{Crash, Disk, Fault, Op};
use crate::common::{Numbers, append, assert_holds, borrow, open};
use _native::error::Class;
use _native::log::fsck::fsck_storage;
use _native::log::levels::LevelFiles;
use _native::log::storage::Blob;
use _native::log::view::View;

/// Bytes in `entries.dat` of these entries.
fn end_of(entries: &[Vec<u8>]) -> usize {
    entries.iter().map(|entry| entry.len() + 2).sum()
}

#[test]
fn closing_leaves_no_zeros_however_many_commits_there_were() {
    // The frame that closing writes is a small commit itself; so is that of a sync.
    for commits in 1..=9u8 {
        for (large, synced) in [(false, false), (true, false), (false, true)] {
            let disk = Disk::new();
            let log = open(disk.storage());
            let mut entries: Vec<Vec<u8>> = Vec::new();
            if large {
                entries.extend((0..6u8).map(|number| vec![number; 60_000]));
                append(&log, &entries);
            }
            for number in 0..commits {
                entries.push(vec![number; 7]);
                append(&log, &entries[entries.len() - 1..]);
                if synced {
                    log.sync().unwrap();
                }
            }
            log.close().unwrap();
            let context = format!("{commits} commits, large {large}, synced {synced}");
            assert_eq!(disk.content("entries.dat").len(), end_of(&entries), "{context}");
            assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![], "{context}");
        }
    }
}

#[test]
fn no_room_for_zeros_stops_nothing_and_leaves_the_room() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let entries: Vec<Vec<u8>> = (0..12u8).map(|number| vec![number; 7]).collect();
    append(&log, &entries[..1]);
    // The writes of three commits, then the zeros behind the fourth one, of which a half finds room.
    disk.plan("entries.dat", Op::Write, 3, Fault::NoSpace);
    for entry in &entries[1..] {
        append(&log, std::slice::from_ref(entry));
    }
    assert!(disk.struck());
    assert_eq!(disk.content("entries.dat").len(), end_of(&entries));
    assert_holds(&open(disk.after(Crash::LosesAll).storage()), disk.storage(), &entries);
    log.close().unwrap();
    assert_eq!(fsck_storage(disk.storage(), false, 0).problems, vec![]);
}

/// The next batch: mostly small, now and then so large that zeros are not worth while or are overwritten at once. Many
/// entries are zeros themselves.
fn batch(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let longest = [3, 40, 700, 9_000, 60_000][numbers.below(5) as usize];
    (0..=numbers.below(5))
        .map(|_| {
            let length = 1 + numbers.below(longest) as usize;
            if numbers.below(2) == 0 { vec![0; length] } else { numbers.bytes(length) }
        })
        .collect()
}

#[test]
fn power_may_go_while_both_syncs_of_a_commit_are_under_way() {
    let (mut taken, mut cut, mut filled) = (0, 0, 0);
    for seed in 1..=120u64 {
        let mut numbers = Numbers(seed);
        let (mut disk, mut sure) = (Disk::new(), Vec::new());
        for cycle in 0..4 {
            let log = open(disk.storage());
            assert_holds(&log, disk.storage(), &sure);
            for _ in 0..numbers.below(9) {
                let more = batch(&mut numbers);
                append(&log, &more);
                sure.extend(more);
            }
            // Everything before is answered; this one waits for its syncs when the power goes.
            let flying = batch(&mut numbers);
            disk.hold();
            let pending = log.begin(&borrow(&flying), None).unwrap();
            disk.wait_for_sync();
            let crash = [Crash::KeepsSome(seed * 7 + cycle), Crash::LosesAll, Crash::KeepsAll, Crash::Killed]
                [if cycle == 3 { numbers.below(4) as usize } else { 0 }];
            let left = disk.after(crash);
            disk.let_go();
            log.finish(&pending, &borrow(&flying)).unwrap();
            drop(log);
            filled += u32::from(left.content("entries.dat").len() > end_of(&sure) + end_of(&flying));
            // It never panics and never takes more than there is.
            let report = fsck_storage(left.storage(), false, 0);
            assert!(report.size as usize <= sure.len() + flying.len());
            let log = open(left.storage());
            match log.size() as usize - sure.len() {
                0 => cut += 1,
                count => {
                    assert_eq!(count, flying.len(), "seed {seed} {cycle}");
                    sure.extend(flying);
                    taken += 1;
                }
            }
            assert_holds(&log, left.storage(), &sure);
            drop(log);
            assert_eq!(left.content("entries.dat").len(), end_of(&sure), "seed {seed} {cycle}");
            assert_eq!(fsck_storage(left.storage(), false, 0).problems, vec![], "seed {seed} {cycle}");
            disk = left;
        }
    }
    // Else the test shows nothing.
    assert!(taken > 40 && cut > 40 && filled > 40, "{taken} {cut} {filled}");
}

/// A killed log of nine small entries with zeros behind them.
fn killed() -> (Disk, Vec<Vec<u8>>) {
    let disk = Disk::new();
    let log = open(disk.storage());
    let entries: Vec<Vec<u8>> = (0..9u8).map(|number| vec![number; 3]).collect();
    for entry in &entries {
        append(&log, std::slice::from_ref(entry));
    }
    log.root(None).unwrap();
    let left = disk.after(Crash::Killed);
    assert!(left.content("entries.dat").len() > end_of(&entries));
    (left, entries)
}

fn view(disk: &Disk, entries: Arc<dyn Blob>) -> View {
    let levels = Arc::new(LevelFiles::new(disk.storage()));
    View::new(levels, entries, disk.storage().open("entries.idx").unwrap())
}

#[test]
fn a_reader_does_not_take_zeros_for_entries() {
    // A copy made while the writer went on: its entries are older than the checkpoint beside them.
    let (disk, entries) = killed();
    let mut data = disk.content("entries.dat");
    data[end_of(&entries[..7])..].fill(0);
    disk.set_content("entries.dat", data);
    let view = view(&disk, disk.storage().open("entries.dat").unwrap());
    let (bytes, ranges) = view.read(0, 7, 9).unwrap();
    assert_eq!(ranges.iter().map(|(from, to)| bytes[*from..*to].to_vec()).collect::<Vec<_>>(), entries[..7]);
    for outcome in [view.read(7, 2, 9).map(drop), view.read(8, 1, 9).map(drop), view.entry_tile(0, 9, 9).map(drop)] {
        let error = outcome.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Fatal, "log.corrupt"));
    }
}

#[test]
fn the_oracle_says_what_becomes_of_a_frame_without_its_entries() {
    // The frame of the last commit reached the platter, its entries did not: where they belong there are zeros.
    let (disk, entries) = killed();
    let mut data = disk.content("entries.dat");
    data[end_of(&entries[..8])..].fill(0);
    disk.set_content("entries.dat", data);
    disk.set_content("level-0.dat", disk.content("level-0.dat")[..8 * 32].to_vec());
    let problems = fsck_storage(disk.storage(), false, 0).problems;
    assert_eq!((problems[0].file.as_str(), problems[0].index), ("commits.dat", 8));
    assert!(problems[0].detail.contains("opening the log cuts it"), "{}", problems[0].detail);
    assert_holds(&open(disk.storage()), disk.storage(), &entries[..8]);
}

/// A file whose zeros are cut just after a reader asked how long it is.
struct Cut {
    file: Arc<dyn Blob>,
    to: u64,
    asked: AtomicU64,
}

impl Blob for Cut {
    fn length(&self) -> io::Result<u64> {
        let length = self.file.length();
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            self.file.cut(self.to)?;
        }
        length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn forget(&self, bytes: Range<u64>) {
        self.file.forget(bytes);
    }
}

#[test]
fn a_reader_goes_on_when_a_writer_that_closes_cuts_the_zeros() {
    let (disk, entries) = killed();
    let file = disk.storage().open("entries.dat").unwrap();
    let cut = |to: usize| Arc::new(Cut { file: Arc::clone(&file), to: to as u64, asked: AtomicU64::new(0) });
    let (bytes, ranges) = view(&disk, cut(end_of(&entries))).read(0, 9, 9).unwrap();
    assert_eq!(ranges.iter().map(|(from, to)| bytes[*from..*to].to_vec()).collect::<Vec<_>>(), entries);
    // What is missing is missed all the same.
    let error = view(&disk, cut(end_of(&entries) - 1)).read(0, 9, 9).map(drop).unwrap_err();
    assert_eq!(error.class, Class::Fatal);
}
