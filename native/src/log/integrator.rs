//! The two threads behind the commits: one derives hashes and index, one syncs them and moves the watermark.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::log::behind::Behind;
use crate::log::derived::{Derived, Integration};
use crate::log::levels::LevelFiles;
use crate::log::shared::{Committed, SYNC_EVERY, Shared};
use crate::log::storage::Blob;
use crate::log::{MAX_UNSYNCED, disk};
use crate::merkle;

/// Derive what follows from the commits, until the backlog is closed and drained; then give the writer back.
pub fn integrate(shared: &Shared, mut derived: Derived) -> Derived {
    loop {
        let work = shared.next_integration(SYNC_EVERY as usize);
        if work.is_empty() {
            return derived;
        }
        let next = hashed(&work);
        let room = |unsynced: u64| unsynced + (next.hashes.len() as u64) <= MAX_UNSYNCED || unsynced < SYNC_EVERY;
        let outcome =
            shared.wait(|progress| room(progress.integrated - progress.watermark)).and_then(|_| derived.extend(&next));
        if let Err(error) = outcome {
            shared.fail(error);
            return derived;
        }
        let size = derived.size();
        shared.advance(|progress| progress.integrated = size);
    }
}

/// Hashed here and not by the callers: a caller then waits for the disk alone.
fn hashed(work: &[Committed]) -> Integration {
    let starts = work.iter().flat_map(|piece| piece.framed.starts.iter().map(|start| piece.base + u64::from(*start)));
    let entries: Vec<&[u8]> = work.iter().flat_map(|piece| piece.framed.entries()).collect();
    Integration { starts: starts.collect(), hashes: merkle::leaf_hashes(&entries) }
}

/// The derived files, to be synced by one caller at a time, which also lets old entries out of memory.
pub struct Syncer {
    levels: Arc<LevelFiles>,
    index: Arc<dyn Blob>,
    entries: Arc<dyn Blob>,
    behind: Mutex<Behind>,
}

impl Syncer {
    /// Over these files; `end` bytes of entries are on the disk.
    pub fn new(levels: Arc<LevelFiles>, index: Arc<dyn Blob>, entries: Arc<dyn Blob>, end: u64) -> Self {
        Self { levels, index, entries, behind: Mutex::new(Behind::new(end)) }
    }

    /// Sync everything integrated so far and move the watermark there.
    pub fn sync(&self, shared: &Shared) -> Result<()> {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shared.progress();
        let outcome =
            self.levels.sync().and_then(|()| self.index.sync().map_err(|error| disk("syncing entries.idx", &error)));
        if let Err(error) = outcome {
            // A failed sync is never repeated: the kernel may have dropped the pages.
            shared.fail(error.clone());
            return Err(error);
        }
        if let Some(old) = behind.next(before.entries_bytes) {
            self.entries.forget(old);
        }
        drop(behind);
        shared.advance(|progress| progress.watermark = progress.watermark.max(before.integrated));
        Ok(())
    }

    /// Sync whenever enough was integrated, until the log stops or fails.
    pub fn run(&self, shared: &Shared) {
        while shared.wait_sync_due().unwrap_or(false) {
            if self.sync(shared).is_err() {
                return;
            }
        }
    }
}
