//! What the callers, the committer, the integrator and the syncer share: the pool, the backlog, how far each has come,
//! and the failure that stopped the engine. Nobody is woken who does not sleep: a wake-up is a call to the kernel.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::log::lock;
use crate::log::pool::{Framed, Pool};

/// What may wait for its hashes, as [`Framed::cost`]: the committer waits when it is more.
const BACKLOG_BYTES: usize = 32 << 20;
/// Leaves after which the derived files are synced.
pub const SYNC_EVERY: u64 = 1 << 17;

/// Entries on the disk whose hashes are still to be derived.
pub struct Committed {
    /// Offset of the first one in `entries.dat`.
    pub base: u64,
    /// The entries.
    pub framed: Framed,
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
struct Course {
    progress: Progress,
    /// Callers that wait for the progress.
    waiting: usize,
    stopping: bool,
}

impl Course {
    fn sync_due(&self) -> bool {
        self.stopping || self.progress.integrated - self.progress.watermark >= SYNC_EVERY
    }
}

#[derive(Default)]
struct Backlog {
    work: VecDeque<Committed>,
    cost: usize,
    closed: bool,
    /// The integrator sleeps.
    idle: bool,
    /// The committer sleeps.
    full: bool,
}

/// See the module.
pub struct Shared {
    /// Appends waiting for the disk.
    pub pool: Pool,
    backlog: Mutex<Backlog>,
    queued: Condvar,
    eased: Condvar,
    course: Mutex<Course>,
    moved: Condvar,
    due: Condvar,
    failure: OnceLock<Error>,
}

impl Shared {
    /// With a pool of this many bytes.
    pub fn new(pool_bytes: usize, progress: Progress) -> Self {
        Self {
            pool: Pool::new(pool_bytes),
            backlog: Mutex::default(),
            queued: Condvar::new(),
            eased: Condvar::new(),
            course: Mutex::new(Course { progress, ..Course::default() }),
            moved: Condvar::new(),
            due: Condvar::new(),
            failure: OnceLock::new(),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        lock(&self.course).progress
    }

    /// Change the progress and wake who waits for it.
    pub fn advance(&self, change: impl FnOnce(&mut Progress)) {
        let (waiting, due) = {
            let mut course = lock(&self.course);
            change(&mut course.progress);
            (course.waiting > 0, course.sync_due())
        };
        if waiting {
            self.moved.notify_all();
        }
        if due {
            self.due.notify_one();
        }
    }

    /// Wait until the progress satisfies `reached`, or the engine failed.
    pub fn wait(&self, reached: impl Fn(&Progress) -> bool) -> Result<Progress> {
        let mut course = lock(&self.course);
        loop {
            if reached(&course.progress) {
                return Ok(course.progress);
            }
            self.check()?;
            course.waiting += 1;
            course = self.moved.wait(course).unwrap_or_else(PoisonError::into_inner);
            course.waiting -= 1;
        }
    }

    /// Wait until enough is integrated to be synced; false when the log stops.
    pub fn wait_sync_due(&self) -> Result<bool> {
        let mut course = lock(&self.course);
        loop {
            self.check()?;
            if course.sync_due() {
                return Ok(!course.stopping);
            }
            course = self.due.wait(course).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The syncer may stop.
    pub fn stop(&self) {
        lock(&self.course).stopping = true;
        self.due.notify_all();
    }

    /// Raises the failure that stopped the engine.
    pub fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Stop the engine: refuse everything queued and everything to come.
    pub fn fail(&self, error: Error) {
        // The first failure is the cause; later ones follow from it.
        let cause = self.failure.get_or_init(|| error);
        self.pool.fail(cause);
        // Take each lock once, so that nobody checks the failure before it and sleeps after the wake-up.
        drop(lock(&self.course));
        self.moved.notify_all();
        self.due.notify_all();
        drop(lock(&self.backlog));
        self.queued.notify_all();
        self.eased.notify_all();
    }

    /// Hand committed entries to the integrator; waits while it is too far behind. Raises why the engine stopped.
    pub fn integrate(&self, work: impl Iterator<Item = Committed>) -> Result<()> {
        let mut backlog = lock(&self.backlog);
        for committed in work {
            backlog.cost += committed.framed.cost();
            backlog.work.push_back(committed);
        }
        if std::mem::take(&mut backlog.idle) {
            self.queued.notify_one();
        }
        while backlog.cost > BACKLOG_BYTES {
            self.check()?;
            backlog.full = true;
            backlog = self.eased.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// The next committed entries, at least one piece and about `most` entries; empty when drained and closed or failed.
    /// A failed commit does not end it: what was acknowledged before is still to be read and proved.
    pub fn next_integration(&self, most: usize) -> Vec<Committed> {
        let mut backlog = lock(&self.backlog);
        while backlog.work.is_empty() && !backlog.closed && self.failure.get().is_none() {
            backlog.idle = true;
            backlog = self.queued.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut taken, mut count) = (Vec::new(), 0);
        while let Some(next) = backlog.work.front() {
            count += next.framed.starts.len();
            if count > most && !taken.is_empty() {
                break;
            }
            backlog.cost -= next.framed.cost();
            taken.extend(backlog.work.pop_front());
        }
        if std::mem::take(&mut backlog.full) {
            self.eased.notify_one();
        }
        taken
    }

    /// Nothing more will be committed.
    pub fn close_backlog(&self) {
        lock(&self.backlog).closed = true;
        self.queued.notify_all();
    }
}
