//! Batch ids of the last day: a repeat returns the first answer instead of appending again.
//!
//! `batches.dat` is a row of 40 bytes per batch, little endian: id 16 bytes, first u64, count u32, time u64 (unix
//! milliseconds, the caller's), crc32c u32 over the 36 bytes before it. Rows stand in the order of their entries and
//! are on the disk before the frame of their entries is written, so that after a crash entries are never without their
//! row; a row without its entries is cut at recovery. What the batch held is not repeated here: the leaf hashes say.

use std::collections::{HashMap, VecDeque};

use crate::error::Result;
use crate::log::storage::{Blob, Storage};
use crate::log::{BATCHES, corrupt, disk};

/// Bytes of a row.
pub const ROW: usize = 40;
/// How long an id is remembered, in milliseconds.
pub const WINDOW_MS: u64 = 24 * 60 * 60 * 1000;
/// Expired rows that may stay in the file before it is written anew.
const SLACK: u64 = 1 << 16;

/// A batch id.
pub type BatchId = [u8; 16];

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Chosen by the caller.
    pub id: BatchId,
    /// Index of its first entry.
    pub first: u64,
    /// Entries.
    pub count: u32,
    /// When the caller sent it first, unix milliseconds.
    pub time_ms: u64,
}

impl Row {
    /// The 40 bytes.
    pub fn encode(&self) -> [u8; ROW] {
        let mut out = [0; ROW];
        out[..16].copy_from_slice(&self.id);
        out[16..24].copy_from_slice(&self.first.to_le_bytes());
        out[24..28].copy_from_slice(&self.count.to_le_bytes());
        out[28..36].copy_from_slice(&self.time_ms.to_le_bytes());
        let checksum = crc32c::crc32c(&out[..36]);
        out[36..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// `None` when the checksum does not hold.
    pub fn decode(bytes: &[u8; ROW]) -> Option<Self> {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        (crc32c::crc32c(&bytes[..36]) == short(36)).then(|| Self {
            id: std::array::from_fn(|i| bytes[i]),
            first: long(16),
            count: short(24),
            time_ms: long(28),
        })
    }

    /// Entries of the log up to and with this batch.
    pub fn size(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// The remembered batches and their file.
pub struct Batches {
    file: std::sync::Arc<dyn Blob>,
    length: u64,
    rows: HashMap<BatchId, Row>,
    order: VecDeque<(u64, BatchId)>,
}

impl Batches {
    /// Load the rows of a log of `size` entries, cut rows without entries, drop what is older than the window.
    pub fn open(storage: &dyn Storage, size: u64, now_ms: u64) -> Result<Self> {
        let failed = |error: std::io::Error| disk("reading batches.dat", &error);
        let file = storage.open(BATCHES).map_err(failed)?;
        let length = file.length().map_err(failed)?;
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, 0).map_err(failed)?;
        let kept = checked_rows(&bytes, size)?;
        let mut batches = Self { file, length, rows: HashMap::new(), order: VecDeque::new() };
        if (kept.len() * ROW) as u64 != length {
            batches.length = (kept.len() * ROW) as u64;
            batches.file.cut(batches.length).map_err(|error| disk("cutting batches.dat", &error))?;
        }
        for row in kept {
            batches.remember(row);
        }
        batches.compact(storage, now_ms, 0)?;
        Ok(batches)
    }

    /// The first answer for this id, if it is inside the window.
    pub fn find(&self, id: &BatchId, now_ms: u64) -> Option<Row> {
        self.rows.get(id).copied().filter(|row| !expired(row.time_ms, now_ms))
    }

    /// Write the rows and bring them to the disk. They count once their entries are committed.
    pub fn write(&mut self, rows: &[Row]) -> Result<()> {
        let bytes: Vec<u8> = rows.iter().flat_map(Row::encode).collect();
        self.file.write_at(&bytes, self.length).map_err(|error| disk("writing batches.dat", &error))?;
        self.file.sync().map_err(|error| disk("syncing batches.dat", &error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The entries of this written row are committed.
    pub fn remember(&mut self, row: Row) {
        self.rows.insert(row.id, row);
        self.order.push_back((row.time_ms, row.id));
    }

    /// Remembered batches.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forget what is older than the window, and write the file anew when it is mostly such rows.
    pub fn expire(&mut self, storage: &dyn Storage, now_ms: u64) -> Result<()> {
        self.compact(storage, now_ms, SLACK)
    }

    fn compact(&mut self, storage: &dyn Storage, now_ms: u64, slack: u64) -> Result<()> {
        while let Some((time_ms, id)) = self.order.front().copied() {
            if !expired(time_ms, now_ms) {
                break;
            }
            self.order.pop_front();
            // The id may have come again after its first window: then the newer row stays.
            if self.rows.get(&id).is_some_and(|row| expired(row.time_ms, now_ms)) {
                self.rows.remove(&id);
            }
        }
        let live = self.rows.len() as u64;
        if self.length / ROW as u64 <= 2 * live + slack {
            return Ok(());
        }
        let mut rows: Vec<Row> = self.rows.values().copied().collect();
        rows.sort_unstable_by_key(|row| row.first);
        let bytes: Vec<u8> = rows.iter().flat_map(Row::encode).collect();
        let failed = |error: std::io::Error| disk("rewriting batches.dat", &error);
        storage.replace(BATCHES, &bytes).map_err(failed)?;
        self.file = storage.open(BATCHES).map_err(failed)?;
        self.length = bytes.len() as u64;
        Ok(())
    }
}

/// The rows that count. Broken rows at the end were in flight; a broken one before a good one is damage.
fn checked_rows(bytes: &[u8], size: u64) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut broken = false;
    for chunk in bytes.chunks(ROW) {
        let row = <&[u8; ROW]>::try_from(chunk).ok().and_then(Row::decode).filter(|row| row.size() <= size);
        match row {
            Some(_) if broken => return Err(corrupt(format!("batches.dat is damaged at row {}", rows.len()))),
            Some(row) => rows.push(row),
            None => broken = true,
        }
    }
    Ok(rows)
}

fn expired(time_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(time_ms) >= WINDOW_MS
}
