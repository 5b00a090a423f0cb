//! What the callers, the committer, the integrator and the syncer share: the pool, how far each has come, and the
//! failure that stopped the engine.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Class, Error, Result};
use crate::log::batches::BatchId;
use crate::log::derived::Integration;
use crate::merkle::Hash;

/// Entries ready to be written.
pub struct Prepared {
    /// u16be length and entry, concatenated.
    pub framed: Vec<u8>,
    /// Where each entry starts in `framed`.
    pub starts: Vec<u32>,
    /// Leaf hashes.
    pub hashes: Vec<Hash>,
}

impl Prepared {
    /// Bytes this takes of the pool.
    pub fn cost(&self) -> usize {
        self.framed.len() + self.starts.len() * 36 + 256
    }
}

/// How an append ended.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// At this index, now durable.
    Appended(u64),
    /// The batch id is known: its first answer.
    Repeat { first: u64, count: u32 },
}

/// One thing for the committer to do.
pub enum Job {
    /// Append entries, under a batch id and the caller's time.
    Append { prepared: Prepared, batch: Option<(BatchId, u64)>, answer: SyncSender<Result<Answer>> },
    /// Write a frame that carries the watermark.
    Mark { answer: SyncSender<Result<Answer>> },
}

impl Job {
    /// Bytes this takes of the pool.
    pub fn cost(&self) -> usize {
        match self {
            Self::Append { prepared, .. } => prepared.cost(),
            Self::Mark { .. } => 0,
        }
    }

    /// Refuse it.
    pub fn refuse(self, error: &Error) {
        let (Self::Append { answer, .. } | Self::Mark { answer }) = self;
        // A caller that went away needs no answer.
        let _ = answer.send(Err(error.clone()));
    }
}

/// How far the log has come. Counts of entries unless said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Acknowledged.
    pub durable: u64,
    /// Under the hash files.
    pub integrated: u64,
    /// Hash files synced.
    pub watermark: u64,
    /// Length of `entries.dat`, bytes.
    pub entries_bytes: u64,
    /// Frames.
    pub commits: u64,
    /// Batch ids remembered.
    pub batches: u64,
}

#[derive(Default)]
struct Pool {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Backlog {
    work: VecDeque<Integration>,
    closed: bool,
}

/// See the module.
pub struct Shared {
    limit: usize,
    pool: Mutex<Pool>,
    arrived: Condvar,
    backlog: Mutex<Backlog>,
    queued: Condvar,
    progress: Mutex<Progress>,
    moved: Condvar,
    failure: OnceLock<Error>,
}

impl Shared {
    /// With a pool of this many bytes.
    pub fn new(limit: usize, progress: Progress) -> Self {
        Self {
            limit,
            pool: Mutex::default(),
            arrived: Condvar::new(),
            backlog: Mutex::default(),
            queued: Condvar::new(),
            progress: Mutex::new(progress),
            moved: Condvar::new(),
            failure: OnceLock::new(),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        *lock(&self.progress)
    }

    /// Change the progress and wake who waits for it.
    pub fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
        self.moved.notify_all();
    }

    /// Wait until the progress satisfies `reached`, or the engine failed.
    pub fn wait(&self, reached: impl Fn(&Progress) -> bool) -> Result<Progress> {
        let mut progress = lock(&self.progress);
        loop {
            if reached(&progress) {
                return Ok(*progress);
            }
            self.check()?;
            progress = self.moved.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Raises the failure that stopped the engine.
    pub fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Stop the engine: refuse everything queued and everything to come.
    pub fn fail(&self, error: Error) {
        // The first failure is the cause; later ones follow from it.
        let _ = self.failure.set(error.clone());
        let jobs: Vec<Job> = {
            let mut pool = lock(&self.pool);
            pool.bytes = 0;
            pool.jobs.drain(..).collect()
        };
        for job in jobs {
            job.refuse(&error);
        }
        // Take each lock once, so that nobody checks the failure before it and sleeps after the wake-up.
        drop(lock(&self.progress));
        self.moved.notify_all();
        self.arrived.notify_all();
        drop(lock(&self.backlog));
        self.queued.notify_all();
    }

    /// Bytes in the pool.
    pub fn pool_bytes(&self) -> usize {
        lock(&self.pool).bytes
    }

    /// Queue a job for the committer. Raises log.batch-size, log.saturated, log.closed.
    pub fn submit(&self, job: Job) -> Result<()> {
        let cost = job.cost();
        if cost > self.limit {
            return Err(Error::new(Class::InvalidInput, "log.batch-size", "the batch is larger than the pool")
                .hint("append in smaller batches")
                .numbers(self.limit as u64, cost as u64));
        }
        let mut pool = lock(&self.pool);
        self.check()?;
        if pool.closed {
            return Err(closed());
        }
        if pool.bytes + cost > self.limit {
            return Err(Error::new(Class::Unavailable, "log.saturated", "the log is saturated")
                .hint("wait for earlier appends to be answered, then try again")
                .numbers(self.limit as u64, (pool.bytes + cost) as u64));
        }
        pool.bytes += cost;
        pool.jobs.push_back(job);
        drop(pool);
        self.arrived.notify_one();
        Ok(())
    }

    /// What is queued, at least one job and about `most` bytes at most; empty when the pool is closed and drained.
    pub fn take(&self, most: usize) -> Vec<Job> {
        let mut pool = lock(&self.pool);
        while pool.jobs.is_empty() {
            if pool.closed || self.failure.get().is_some() {
                return Vec::new();
            }
            pool = self.arrived.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(job) = pool.jobs.front() {
            bytes += job.cost();
            if bytes > most && !taken.is_empty() {
                break;
            }
            taken.extend(pool.jobs.pop_front());
        }
        taken
    }

    /// These bytes left the pool.
    pub fn release(&self, bytes: usize) {
        let mut pool = lock(&self.pool);
        pool.bytes = pool.bytes.saturating_sub(bytes);
    }

    /// No more appends; what is queued is still committed.
    pub fn close_pool(&self) {
        lock(&self.pool).closed = true;
        self.arrived.notify_all();
    }

    /// Hand committed entries to the integrator.
    pub fn integrate(&self, work: Integration) {
        lock(&self.backlog).work.push_back(work);
        self.queued.notify_one();
    }

    /// The next committed entries; `None` when closed and drained, or failed.
    pub fn next_integration(&self) -> Option<Integration> {
        let mut backlog = lock(&self.backlog);
        loop {
            if self.failure.get().is_some() {
                return None;
            }
            if let Some(work) = backlog.work.pop_front() {
                return Some(work);
            }
            if backlog.closed {
                return None;
            }
            backlog = self.queued.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more will be committed.
    pub fn close_backlog(&self) {
        lock(&self.backlog).closed = true;
        self.queued.notify_all();
    }
}

/// The log was closed by its owner.
fn closed() -> Error {
    Error::new(Class::Unavailable, "log.closed", "the log is closed").hint("open the log again")
}

/// A poisoned lock is taken all the same: no critical section here leaves a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
