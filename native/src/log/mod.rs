//! The department log: append-only files, group commit, recovery, proofs from files.
//!
//! Files of a log folder (`docs/formats.md`, log), all numbers little endian but the entry length:
//!
//! | file | content |
//! | --- | --- |
//! | `entries.dat` | u16be length, entry; concatenated |
//! | `entries.idx` | u64 offset of every 256th entry |
//! | `level-<L>.dat` | 32-byte hashes of tile level L |
//! | `commits.dat` | 32-byte frames, see [`frame`] |
//! | `batches.dat` | 40-byte rows of batch ids, see [`batches`] |
//! | `LOCK` | held by the one writer |
//!
//! An append is acknowledged when `entries.dat` and `commits.dat` (and before them a batch's row) are on the disk. Hash
//! files and the index are derived: written behind the commit, synced in the background, re-derived at recovery from
//! the watermark that every frame carries. One frame is in flight at a time, so only the last frame can be torn; it and
//! its entries are synced side by side, in no order, because it counts only where its checksum holds over them.

mod ahead;
pub mod batches;
mod behind;
mod beside;
mod committer;
mod derived;
mod engine;
pub mod frame;
pub mod fsck;
pub mod index;
mod integrator;
pub mod levels;
pub mod lines;
mod pool;
pub mod record;
mod recover;
pub mod schema;
mod shared;
pub mod storage;
pub mod view;

pub use engine::{LogEngine, Options, Pending, Stat};

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Class, Error};

/// Names of the files.
pub const ENTRIES: &str = "entries.dat";
/// Offsets of every 256th entry.
pub const INDEX: &str = "entries.idx";
/// Commit frames.
pub const COMMITS: &str = "commits.dat";
/// Batch ids of the last day.
pub const BATCHES: &str = "batches.dat";

/// Hashes in a full tile, entries in a full bundle (C2SP tlog-tiles).
pub const TILE: u64 = 256;
/// The longest entry tlog-tiles can carry.
pub const MAX_ENTRY: usize = 65_535;
/// Level files may be this many leaves behind the entries on the disk.
pub const MAX_UNSYNCED: u64 = 1 << 20;

/// Our data is broken, in the words of an operator.
pub(crate) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(Class::Fatal, "log.corrupt", message)
        .hint("do not delete anything; run `civicledger log fsck`, then restore from the witnesses or a backup")
}

/// Whether a write failed because there is no room for it.
fn no_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A failed read, write or sync. The engine stops on the first failed write or sync.
pub(crate) fn disk(what: &str, error: &io::Error) -> Error {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    if no_space(error) {
        return Error::new(Class::Fatal, "log.no-space", format!("no space for {what}: {error}"))
            .hint("free space on the disk of the log folder, then re-open the log");
    }
    if matches!(error.kind(), ReadOnlyFilesystem | PermissionDenied) {
        return Error::new(Class::Fatal, "log.read-only", format!("{what} is not allowed: {error}"))
            .hint("make the log folder writable (a disk with errors is mounted read-only), then re-open the log");
    }
    Error::new(Class::Fatal, "log.failed", format!("{what}: {error}"))
        .hint("check the disk, then re-open the log: recovery keeps every acknowledged record")
}

/// A thread of the engine is gone.
fn died() -> Error {
    Error::new(Class::Fatal, "log.failed", "a thread of the log died").hint("re-open the log")
}

/// A poisoned lock is taken all the same: no critical section here leaves a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
