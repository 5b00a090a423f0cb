//! Checking a log: re-derive everything from the entries and name the first difference of each file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::log::batches::{ROW, Row};
use crate::log::frame::{Frame, Frames, LONGEST};
use crate::log::levels::{LEVELS, LevelFiles, Tails, hashes_at, level_name};
use crate::log::storage::{Blob, Folder, Storage};
use crate::log::{BATCHES, COMMITS, ENTRIES, INDEX, TILE, disk};
use crate::merkle::{self, Hash};

/// Entries looked at, at most, to find what broke a frame.
const BLAME_BYTES: u64 = 256 << 20;

/// A difference between the entries and a file, or inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Entry, hash, frame or row in it.
    pub index: u64,
    /// What differs.
    pub detail: String,
}

/// What the check found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Entries that could be derived.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// At most one per file.
    pub problems: Vec<Problem>,
}

/// Check the log in a folder from entry `first` on (0: everything). Beside a running writer, what it has not written
/// yet is no difference. Raises NotFoundError(log.missing); a broken log is an answer, not an error.
pub fn fsck(path: &Path, first: u64) -> Result<Report> {
    fsck_told(path, first, &AtomicU64::new(0))
}

/// [`fsck`] that leaves in `done` how many entries it is through with, for whoever watches.
pub fn fsck_told(path: &Path, first: u64, done: &AtomicU64) -> Result<Report> {
    let folder = Folder::read_only(path)?;
    let live = folder.is_live();
    Ok(check(Arc::new(folder), live, first, done))
}

/// [`fsck`] over any storage; `live`: a writer may be at work.
pub fn fsck_storage(storage: Arc<dyn Storage>, live: bool, first: u64) -> Report {
    check(storage, live, first, &AtomicU64::new(0))
}

fn check(storage: Arc<dyn Storage>, live: bool, first: u64, done: &AtomicU64) -> Report {
    let mut check = Check::new(storage, live, done);
    if let Err(error) = check.run(first) {
        check.problems.push(Problem { file: String::new(), index: check.size, detail: error.message });
    }
    Report { size: check.size, root: check.tails.root(), problems: check.problems }
}

struct Check<'a> {
    done: &'a AtomicU64,
    storage: Arc<dyn Storage>,
    live: bool,
    levels: LevelFiles,
    tails: Tails,
    size: u64,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn new(storage: Arc<dyn Storage>, live: bool, done: &'a AtomicU64) -> Self {
        let levels = LevelFiles::new(Arc::clone(&storage));
        Self { done, storage, live, levels, tails: Tails::default(), size: 0, problems: Vec::new() }
    }

    fn run(&mut self, first: u64) -> Result<()> {
        let commits = self.storage.open(COMMITS).map_err(|error| disk("opening commits.dat", &error))?;
        let Ok(entries) = self.storage.open(ENTRIES) else {
            self.report(ENTRIES, 0, "the file is missing");
            return Ok(());
        };
        let index = self.storage.open(INDEX).ok();
        if index.is_none() {
            self.report(INDEX, 0, "the file is missing");
        }
        let frames = Frames::new(&*commits);
        let (count, torn) = frames.count()?;
        if torn > 0 && !self.live {
            self.report(COMMITS, count, "a torn frame at the end: it was never acknowledged, opening the log cuts it");
        }
        let start = if first == 0 { 0 } else { frames.holding(first, count)? };
        self.size = frames.before(start)?.size();
        self.tails = Tails::read(&self.levels, self.size)?;
        let mut complete = true;
        for number in start..count {
            if !self.frame(&frames, number, count, &*entries, index.as_deref())? {
                complete = false;
                break;
            }
        }
        if complete {
            self.lengths(&*entries, frames.before(count)?.end, index.as_deref())?;
        }
        self.batches()
    }

    /// Check one frame; false when nothing after it can be derived.
    fn frame(
        &mut self,
        frames: &Frames<'_>,
        number: u64,
        count: u64,
        entries: &dyn Blob,
        index: Option<&dyn Blob>,
    ) -> Result<bool> {
        let (previous, frame) = (frames.before(number)?, frames.get(number)?);
        let last = number + 1 == count;
        if !frame.follows(&previous) {
            if !(last && self.live) {
                self.report(COMMITS, number, "the frame does not follow the one before it");
            }
            return Ok(false);
        }
        let length = entries.length().map_err(|error| disk("reading entries.dat", &error))?;
        let data = self.bytes(entries, previous.end, frame.end.min(length))?;
        let (parsed, fits) = walk(&data, frame.count);
        let holds = frame.end <= length && fits && frame.covers(&data);
        if !holds {
            if last && self.live {
                return Ok(false);
            }
            self.blame(&frame, number, last, previous.end, entries, length)?;
        }
        if !fits {
            return Ok(false);
        }
        if let Some(index) = index {
            self.offsets(frame.first, previous.end, &parsed, index)?;
        }
        self.hashes(leaf_hashes(&parsed))?;
        Ok(true)
    }

    /// A frame does not hold over its entries: when these fit their stored hashes the frame is wrong, else they are.
    fn blame(
        &mut self,
        frame: &Frame,
        number: u64,
        last: bool,
        base: u64,
        entries: &dyn Blob,
        length: u64,
    ) -> Result<()> {
        let most = u64::from(frame.count).saturating_mul(LONGEST).min(BLAME_BYTES);
        let data = self.bytes(entries, base, base.saturating_add(most).min(length))?;
        let derived = leaf_hashes(&walk(&data, frame.count).0);
        let stored = self.stored(0, frame.first, u64::from(frame.count))?;
        let differs = stored.iter().enumerate().find(|(at, hash)| derived.get(*at) != Some(*hash));
        match differs {
            Some((at, _)) => {
                self.report(ENTRIES, frame.first + at as u64, "the entry is not the one that was committed");
            }
            // Its syncs run side by side: a power cut may leave the frame without its entries.
            None if last && stored.len() < frame.count as usize => self.report(
                COMMITS,
                number,
                "the last commit does not hold over its entries: if it was never acknowledged, opening the log cuts it",
            ),
            None => self.report(COMMITS, number, "the frame does not hold over its entries, which fit their hashes"),
        }
        Ok(())
    }

    fn bytes(&self, entries: &dyn Blob, from: u64, to: u64) -> Result<Vec<u8>> {
        let mut data = vec![0; to.saturating_sub(from) as usize];
        entries.read_at(&mut data, from).map_err(|error| disk("reading entries.dat", &error))?;
        Ok(data)
    }

    fn offsets(&mut self, first: u64, base: u64, parsed: &[(u64, &[u8])], index: &dyn Blob) -> Result<()> {
        let length = index.length().map_err(|error| disk("reading entries.idx", &error))?;
        let skip = first.next_multiple_of(TILE) - first;
        for (number, (start, _)) in parsed.iter().enumerate().skip(skip as usize).step_by(TILE as usize) {
            let bundle = (first + number as u64) / TILE;
            if (bundle + 1) * 8 > length {
                return Ok(());
            }
            let mut bytes = [0; 8];
            index.read_at(&mut bytes, bundle * 8).map_err(|error| disk("reading entries.idx", &error))?;
            if u64::from_le_bytes(bytes) != base + start {
                self.report(INDEX, bundle, format!("expected {}, found {}", base + start, u64::from_le_bytes(bytes)));
            }
        }
        Ok(())
    }

    /// Compare derived hashes with every level they reach.
    fn hashes(&mut self, leaves: Vec<Hash>) -> Result<()> {
        let count = leaves.len() as u64;
        let mut fresh = leaves;
        for level in 0..LEVELS {
            if fresh.is_empty() {
                break;
            }
            let at = hashes_at(level, self.size);
            let stored = self.stored(level, at, fresh.len() as u64)?;
            if let Some(wrong) = fresh.iter().zip(&stored).position(|(here, there)| here != there) {
                self.report(&level_name(level), at + wrong as u64, "the hash does not follow from the entries");
            }
            fresh = self.tails.absorb(level, fresh);
        }
        self.size += count;
        self.done.store(self.size, Ordering::Relaxed);
        Ok(())
    }

    /// Hashes in a file, as far as it goes.
    fn stored(&self, level: usize, first: u64, count: u64) -> Result<Vec<Hash>> {
        let Ok(file) = self.levels.file(level) else { return Ok(Vec::new()) };
        let there = file.length().map_err(|error| disk(&format!("reading {}", level_name(level)), &error))? / 32;
        let bytes = self.levels.read(level, first.min(there), count.min(there.saturating_sub(first)))?;
        Ok(super::levels::to_hashes(&bytes))
    }

    fn lengths(&mut self, entries: &dyn Blob, end: u64, index: Option<&dyn Blob>) -> Result<()> {
        if self.live {
            return Ok(());
        }
        let length = |blob: &dyn Blob| blob.length().map_err(|error| disk("reading the length of a log file", &error));
        if self.written_behind(entries, end, length(entries)?)? {
            self.report(
                ENTRIES,
                self.size,
                "bytes after the last commit: never acknowledged, opening the log cuts them",
            );
        }
        if let Some(index) = index {
            self.length(INDEX, length(index)?, self.size.div_ceil(TILE) * 8);
        }
        for level in 0..LEVELS {
            let exact = hashes_at(level, self.size) * 32;
            match self.levels.file(level) {
                Ok(file) => self.length(&level_name(level), length(&**file)?, exact),
                Err(_) if exact > 0 => self.report(&level_name(level), 0, "the file is missing"),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether anything but the zeros of a writer that was killed stands behind the end.
    fn written_behind(&self, entries: &dyn Blob, end: u64, length: u64) -> Result<bool> {
        let mut at = end;
        while at < length {
            let to = length.min(at + (1 << 16));
            if self.bytes(entries, at, to)?.iter().any(|byte| *byte != 0) {
                return Ok(true);
            }
            at = to;
        }
        Ok(false)
    }

    fn length(&mut self, file: &str, actual: u64, expected: u64) {
        let unit = if file == INDEX { 8 } else { 32 };
        if actual != expected {
            self.report(file, actual.min(expected) / unit, format!("{actual} bytes long instead of {expected}"));
        }
    }

    fn batches(&mut self) -> Result<()> {
        let Ok(file) = self.storage.open(BATCHES) else { return Ok(()) };
        let failed = |error: std::io::Error| disk("reading batches.dat", &error);
        let mut bytes = vec![0; file.length().map_err(failed)? as usize];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let mut end = 0;
        for (number, chunk) in bytes.chunks(ROW).enumerate() {
            let row = <&[u8; ROW]>::try_from(chunk).ok().and_then(Row::decode);
            match row {
                Some(row) if row.first >= end && (self.live || row.size() <= self.size) => end = row.size(),
                _ if self.live => {}
                _ => self.report(BATCHES, number as u64, "the row does not hold or has no entries"),
            }
        }
        Ok(())
    }

    /// The first difference of each file.
    fn report(&mut self, file: &str, index: u64, detail: impl Into<String>) {
        if self.problems.iter().all(|problem| problem.file != file) {
            self.problems.push(Problem { file: file.to_owned(), index, detail: detail.into() });
        }
    }
}

fn leaf_hashes(parsed: &[(u64, &[u8])]) -> Vec<Hash> {
    merkle::leaf_hashes(&parsed.iter().map(|(_, entry)| *entry).collect::<Vec<_>>())
}

/// Entries with their positions, as many as fit, and whether they are exactly `count` and fill the bytes.
fn walk(data: &[u8], count: u32) -> (Vec<(u64, &[u8])>, bool) {
    let (mut entries, mut at) = (Vec::new(), 0);
    while entries.len() < count as usize {
        let Some(length) = data.get(at..at + 2) else { break };
        let from = at + 2;
        let to = from + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some(entry) = data.get(from..to) else { break };
        entries.push((at as u64, entry));
        at = to;
    }
    let fits = entries.len() == count as usize && at == data.len();
    (entries, fits)
}
