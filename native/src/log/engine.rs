//! The one writer of a log folder, for any number of callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rayon::prelude::*;

use crate::error::{Class, Error, Result};
use crate::log::batches::BatchId;
use crate::log::committer::Committer;
use crate::log::derived::Derived;
use crate::log::integrator::{Syncer, integrate};
use crate::log::pool::{Answer, Framed, Job, Ticket};
use crate::log::recover::recover;
use crate::log::schema::Schema;
use crate::log::shared::{Progress, Shared};
use crate::log::storage::Storage;
use crate::log::view::{Entries, View};
use crate::log::{MAX_ENTRY, died, disk, index, record};
use crate::merkle::{self, Hash};

/// How to open a log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of appends that may wait for the disk.
    pub pool_bytes: usize,
    /// Now, unix milliseconds: batch ids older than a day are dropped.
    pub now_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { pool_bytes: 64 << 20, now_ms: 0 }
    }
}

/// Figures of a running log.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// How far it has come.
    pub progress: Progress,
    /// Bytes waiting for the disk.
    pub pool_bytes: usize,
}

/// Entries on their way to the disk. Dropping it does not call them back.
pub struct Pending {
    ticket: Ticket,
    count: u64,
}

struct Threads {
    committer: JoinHandle<Committer>,
    integrator: JoinHandle<Derived>,
    syncer: JoinHandle<()>,
}

/// See the module. Dropping it closes it.
pub struct LogEngine {
    shared: Arc<Shared>,
    view: View,
    syncer: Arc<Syncer>,
    /// And the storage, to be released when they are gone; `None` once closed.
    threads: Mutex<Option<(Threads, Arc<dyn Storage>)>>,
}

impl LogEngine {
    /// Recover the folder whose lock `storage` holds, and start.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let opened = recover(Arc::clone(&storage), options.now_ms)?;
        let (committer, derived) = (opened.committer, opened.derived);
        let shared = Arc::new(Shared::new(
            options.pool_bytes,
            Progress {
                durable: committer.last.size(),
                integrated: derived.size(),
                watermark: committer.last.watermark.min(derived.size()),
                entries_bytes: committer.last.end,
                commits: committer.frames,
                batches: committer.batches.len() as u64,
            },
        ));
        let entries = Arc::clone(&committer.entries);
        let view = View::new(Arc::clone(&opened.levels), Arc::clone(&entries), Arc::clone(&opened.index));
        let syncer = Arc::new(Syncer::new(opened.levels, opened.index, entries, committer.last.end));
        let threads = start(&shared, &syncer, committer, derived)?;
        Ok(Self { shared, view, syncer, threads: Mutex::new(Some((threads, storage))) })
    }

    /// Append entries as one whole; returns when they are durable: (first index, count).
    ///
    /// `batch` is an id and the caller's time: a repeat within a day returns the first answer.
    pub fn append(&self, entries: &[&[u8]], batch: Option<(BatchId, u64)>) -> Result<(u64, u64)> {
        self.finish(&self.begin(entries, batch)?, entries)
    }

    /// Queue entries behind all that were queued before; [`LogEngine::finish`] waits for them.
    pub fn begin(&self, entries: &[&[u8]], batch: Option<(BatchId, u64)>) -> Result<Pending> {
        self.shared.check()?;
        let ticket = self.shared.pool.submit(Job::Append { framed: frame(entries)?, batch })?;
        Ok(Pending { ticket, count: entries.len() as u64 })
    }

    /// Wait until the queued entries are durable: (first index, count). `entries`: the same again, for a repeated id.
    pub fn finish(&self, pending: &Pending, entries: &[&[u8]]) -> Result<(u64, u64)> {
        match pending.ticket.wait()? {
            Answer::Appended(first) => Ok((first, pending.count)),
            Answer::Repeat { first, count } => self.check_repeat(first, u64::from(count), entries),
        }
    }

    /// [`LogEngine::append`] after checking that every entry is a record.
    pub fn append_records(&self, entries: &[&[u8]], batch: Option<(BatchId, u64)>) -> Result<(u64, u64)> {
        self.finish(&self.begin_records(entries, batch, None)?, entries)
    }

    /// [`LogEngine::begin`] after checking that every entry is a record. What `schema` recognises is one.
    pub fn begin_records(
        &self,
        entries: &[&[u8]],
        batch: Option<(BatchId, u64)>,
        schema: Option<&Schema>,
    ) -> Result<Pending> {
        let judge = |entry: &[u8]| {
            if schema.is_some_and(|schema| schema.holds(entry)) { Ok(()) } else { record::check(entry) }
        };
        let broken = entries
            .par_iter()
            .with_min_len(64)
            .enumerate()
            .find_map_first(|(number, entry)| judge(entry).err().map(|error| (number, error)));
        if let Some((number, mut error)) = broken {
            error.message = format!("record {number} of the batch: {}", error.message);
            return Err(error);
        }
        self.begin(entries, batch)
    }

    /// Entries acknowledged.
    pub fn size(&self) -> u64 {
        self.shared.progress().durable
    }

    /// Root of the first `size` entries, or of all.
    pub fn root(&self, size: Option<u64>) -> Result<Hash> {
        let size = size.unwrap_or_else(|| self.size());
        self.view(size)?.root(size)
    }

    /// Leaf hash of an entry.
    pub fn leaf(&self, index: u64) -> Result<Hash> {
        let size = self.size();
        self.view(index.saturating_add(1).min(size))?.leaf(index, size)
    }

    /// RFC 6962 PATH in the tree of `size`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>> {
        self.view(size)?.inclusion_proof(index, size)
    }

    /// RFC 6962 PROOF.
    pub fn consistency_proof(&self, size1: u64, size2: u64) -> Result<Vec<Hash>> {
        self.view(size1.max(size2))?.consistency_proof(size1, size2)
    }

    /// Entries `first .. first + count`.
    pub fn read(&self, first: u64, count: u64) -> Result<Entries> {
        let size = self.size();
        self.view(first.saturating_add(count).min(size))?.read(first, count, self.shared.progress().integrated)
    }

    /// The rows of the record index for entries `first .. first + count`.
    pub fn index_rows(&self, first: u64, count: u64) -> Result<Vec<index::Row>> {
        let size = self.size();
        let view = self.view(first.saturating_add(count).min(size))?;
        index::rows(view, first, count, self.shared.progress().integrated)
    }

    /// `width` hashes of a tile.
    pub fn hash_tile(&self, level: u64, index: u64, width: u64) -> Result<Vec<u8>> {
        let size = self.size();
        self.view(size)?.hash_tile(level, index, width, size)
    }

    /// `width` entries of a bundle.
    pub fn entry_tile(&self, index: u64, width: u64) -> Result<Vec<u8>> {
        let size = self.size();
        self.view(size)?.entry_tile(index, width, size)
    }

    /// Raises what stopped the engine.
    pub fn check(&self) -> Result<()> {
        self.shared.check()
    }

    /// Figures.
    pub fn stat(&self) -> Stat {
        Stat { progress: self.shared.progress(), pool_bytes: self.shared.pool.bytes() }
    }

    /// Level files durable up to the present size, and a frame that says so.
    pub fn sync(&self) -> Result<()> {
        let size = self.size();
        self.shared.wait(|progress| progress.integrated >= size)?;
        self.syncer.sync(&self.shared)?;
        self.shared.pool.submit(Job::Mark)?.wait().map(drop)
    }

    /// Commit what is queued, sync everything, stop and release the folder. Closing twice is fine.
    pub fn close(&self) -> Result<()> {
        let taken = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((threads, storage)) = taken else { return Ok(()) };
        self.shared.pool.close();
        let committer = threads.committer.join();
        self.shared.close_backlog();
        let integrator = threads.integrator.join();
        self.shared.stop();
        let syncer = threads.syncer.join();
        let outcome = match (committer, integrator, syncer) {
            (Ok(mut committer), Ok(_), Ok(())) => self.shared.check().and_then(|()| {
                self.syncer.sync(&self.shared)?;
                committer.trim()?;
                committer.mark(&self.shared)
            }),
            _ => Err(died()),
        };
        storage.release();
        outcome
    }

    /// The files, once they hold the hashes of `size` entries.
    fn view(&self, size: u64) -> Result<&View> {
        if size > self.size() {
            return Err(Error::new(Class::NotFound, "log.range", "the log does not reach so far")
                .hint("ask for a size up to the log's size")
                .numbers(self.size(), size));
        }
        self.shared.wait(|progress| progress.integrated >= size)?;
        Ok(&self.view)
    }

    fn check_repeat(&self, first: u64, count: u64, entries: &[&[u8]]) -> Result<(u64, u64)> {
        self.shared.wait(|progress| progress.integrated >= first + count)?;
        let same = count == entries.len() as u64
            && self.view.leaf_hashes(first, count)? == merkle::leaf_hashes(entries).as_flattened();
        if same {
            return Ok((first, count));
        }
        Err(Error::new(Class::Conflict, "log.batch-conflict", "this batch id was used for other entries")
            .hint("make a new batch id for new entries")
            .values(format!("the {count} entries from index {first}"), format!("{} other entries", entries.len())))
    }
}

impl Drop for LogEngine {
    fn drop(&mut self) {
        // Nobody is left to tell; recovery at the next open does what a failed close did not.
        let _ = self.close();
    }
}

fn frame(entries: &[&[u8]]) -> Result<Framed> {
    if entries.is_empty() {
        return Err(Error::new(Class::InvalidInput, "log.empty-batch", "a batch needs at least one entry")
            .hint("leave the call out when there is nothing to append"));
    }
    let bytes: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    if u32::try_from(bytes).is_err() {
        return Err(Error::new(Class::InvalidInput, "log.batch-size", "the batch is over 4 GiB")
            .hint("append in smaller batches"));
    }
    let mut framed = Vec::with_capacity(bytes);
    let mut starts = Vec::with_capacity(entries.len());
    for entry in entries {
        let length = u16::try_from(entry.len()).ok().filter(|length| *length > 0).ok_or_else(|| {
            Error::new(Class::InvalidInput, "log.entry-size", "an entry has 1 to 65,535 bytes")
                .hint("put large payloads elsewhere and log their commitment")
                .numbers(MAX_ENTRY as u64, entry.len() as u64)
        })?;
        starts.push(framed.len() as u32);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(entry);
    }
    Ok(Framed { bytes: framed, starts })
}

fn start(shared: &Arc<Shared>, syncer: &Arc<Syncer>, committer: Committer, derived: Derived) -> Result<Threads> {
    let failed = |error: std::io::Error| disk("starting the log's threads", &error);
    let watch = |shared: &Arc<Shared>| Watch(Arc::clone(shared));
    let (one, two, three) = (watch(shared), watch(shared), watch(shared));
    let syncer = Arc::clone(syncer);
    Ok(Threads {
        committer: Builder::new().name("log-commit".into()).spawn(move || committer.run(&one.0)).map_err(failed)?,
        integrator: Builder::new()
            .name("log-derive".into())
            .spawn(move || integrate(&two.0, derived))
            .map_err(failed)?,
        syncer: Builder::new().name("log-sync".into()).spawn(move || syncer.run(&three.0)).map_err(failed)?,
    })
}

/// Stops the engine when the thread that holds it panics, so that no caller waits for ever.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(died());
        }
    }
}
