//! The two threads behind the commits: one derives hashes and index, one syncs them and moves the watermark.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::log::derived::Derived;
use crate::log::levels::LevelFiles;
use crate::log::shared::Shared;
use crate::log::storage::Blob;
use crate::log::{MAX_UNSYNCED, disk};

/// Leaves after which the derived files are synced.
const SYNC_EVERY: u64 = 1 << 17;

/// Derive what follows from each commit, until the backlog is closed and drained; then give the writer back.
pub fn integrate(shared: &Shared, mut derived: Derived) -> Derived {
    while let Some(work) = shared.next_integration() {
        let room = |unsynced: u64| unsynced + (work.hashes.len() as u64) <= MAX_UNSYNCED || unsynced < SYNC_EVERY;
        let outcome =
            shared.wait(|progress| room(progress.integrated - progress.watermark)).and_then(|_| derived.extend(&work));
        if let Err(error) = outcome {
            shared.fail(error);
            break;
        }
        let size = derived.size();
        shared.advance(|progress| progress.integrated = size);
    }
    derived
}

/// The derived files, to be synced by one caller at a time.
pub struct Syncer {
    levels: Arc<LevelFiles>,
    index: Arc<dyn Blob>,
    one: Mutex<()>,
}

impl Syncer {
    /// Over these files.
    pub fn new(levels: Arc<LevelFiles>, index: Arc<dyn Blob>) -> Self {
        Self { levels, index, one: Mutex::new(()) }
    }

    /// Sync everything integrated so far and move the watermark there.
    pub fn sync(&self, shared: &Shared) -> Result<()> {
        let one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let upto = shared.progress().integrated;
        let outcome =
            self.levels.sync().and_then(|()| self.index.sync().map_err(|error| disk("syncing entries.idx", &error)));
        drop(one);
        if let Err(error) = outcome {
            // A failed sync is never repeated: the kernel may have dropped the pages.
            shared.fail(error.clone());
            return Err(error);
        }
        shared.advance(|progress| progress.watermark = progress.watermark.max(upto));
        Ok(())
    }

    /// Sync whenever enough was integrated, until `stopped` or failed.
    pub fn run(&self, shared: &Shared, stopped: impl Fn() -> bool) {
        let due = |unsynced: u64| unsynced >= SYNC_EVERY || stopped();
        while shared.wait(|progress| due(progress.integrated - progress.watermark)).is_ok() && !stopped() {
            if self.sync(shared).is_err() {
                return;
            }
        }
    }
}
