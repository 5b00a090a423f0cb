//! Appends waiting for the disk. They gather in groups; a group is committed and answered as one, so that waking its
//! callers is one call to the kernel, however many they are.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Class, Error, Result};
use crate::log::batches::BatchId;
use crate::log::{died, lock};

/// About the most bytes in one commit (a single larger batch is still one commit).
const GROUP_BYTES: usize = 8 << 20;

/// A group of this many bytes is not waited for: its disk time grows with what it holds.
const SMALL_BYTES: usize = 64 << 10;
/// How often the committer lets others run first before it takes a small group.
const TURNS: usize = 16;
/// A turn that takes longer went to somebody else's work; then so many groups are taken without one.
const SLOW_TURN: Duration = Duration::from_micros(500);
const IMPATIENT: u32 = 64;

/// Entries as they will stand in `entries.dat`.
pub struct Framed {
    /// u16be length and entry, concatenated.
    pub bytes: Vec<u8>,
    /// Where each entry starts in `bytes`.
    pub starts: Vec<u32>,
}

impl Framed {
    /// The entries without their lengths.
    pub fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len() as u32]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.bytes[*start as usize + 2..end as usize])
    }

    /// Bytes this takes of the pool, and later of what waits for its hashes.
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.starts.len() * 36 + 256
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
    Append { framed: Framed, batch: Option<(BatchId, u64)> },
    /// Write a frame that carries the watermark.
    Mark,
}

impl Job {
    fn cost(&self) -> usize {
        match self {
            Self::Append { framed, .. } => framed.cost(),
            Self::Mark => 0,
        }
    }
}

/// The answers of a group, one per job in their order, or the failure of all of them.
type Outcome = OnceLock<Result<Vec<Answer>>>;

/// A caller's place in a group.
pub struct Ticket {
    outcome: Arc<Outcome>,
    place: usize,
}

impl Ticket {
    /// Sleep until the group is on the disk, or has failed.
    pub fn wait(&self) -> Result<Answer> {
        let answers = self.outcome.wait().as_ref().map_err(Clone::clone)?;
        answers.get(self.place).copied().ok_or_else(died)
    }
}

/// Jobs that are committed together. Dropped without an answer, it answers that the engine died.
#[derive(Default)]
pub struct Gathered {
    /// In the order they came.
    pub jobs: Vec<Job>,
    cost: usize,
    outcome: Arc<Outcome>,
}

impl Gathered {
    /// Wake everybody who waits for this group.
    pub fn answer(self, answers: Result<Vec<Answer>>) {
        // It is the only answer: this takes the group.
        let _ = self.outcome.set(answers);
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        if self.outcome.get().is_none() {
            let _ = self.outcome.set(Err(died()));
        }
    }
}

#[derive(Default)]
struct State {
    groups: VecDeque<Gathered>,
    bytes: usize,
    /// Why nothing more is taken.
    refused: Option<Error>,
    /// The committer sleeps.
    idle: bool,
    /// The last group had more than one job.
    busy: bool,
    /// Groups to take without giving turns.
    impatient: u32,
}

impl State {
    /// Jobs of the first group, while there is reason to let it grow.
    fn growing(&self) -> Option<usize> {
        let group = self.groups.front()?;
        let small = self.groups.len() == 1 && group.cost < SMALL_BYTES && self.refused.is_none();
        (self.busy && small && self.impatient == 0).then_some(group.jobs.len())
    }
}

/// See the module.
pub struct Pool {
    limit: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

impl Pool {
    /// Of this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), arrived: Condvar::new() }
    }

    /// Bytes in the pool.
    pub fn bytes(&self) -> usize {
        lock(&self.state).bytes
    }

    /// Queue a job for the committer. Raises log.batch-size, log.saturated, log.closed, or why the engine stopped.
    pub fn submit(&self, job: Job) -> Result<Ticket> {
        let cost = job.cost();
        if cost > self.limit {
            return Err(Error::new(Class::InvalidInput, "log.batch-size", "the batch is larger than the pool")
                .hint("append in smaller batches")
                .numbers(self.limit as u64, cost as u64));
        }
        let mut state = lock(&self.state);
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        if state.bytes + cost > self.limit {
            return Err(Error::new(Class::Unavailable, "log.saturated", "the log is saturated")
                .hint("wait for earlier appends to be answered, then try again")
                .numbers(self.limit as u64, (state.bytes + cost) as u64));
        }
        state.bytes += cost;
        if state.groups.back().is_none_or(|group| group.cost + cost > GROUP_BYTES) {
            state.groups.push_back(Gathered::default());
        }
        let last = state.groups.len() - 1;
        let group = &mut state.groups[last];
        group.cost += cost;
        group.jobs.push(job);
        let ticket = Ticket { outcome: Arc::clone(&group.outcome), place: group.jobs.len() - 1 };
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(ticket)
    }

    /// The next group; `None` when the pool is closed and drained, or the engine failed.
    pub fn take(&self) -> Option<Gathered> {
        let mut state = lock(&self.state);
        let (mut seen, mut turns) = (0, 0);
        loop {
            // The callers just answered are about to ask again. Without their turn the commits fall into two halves,
            // each of which waits for the other one's syncs. No timer: it ends when nobody came.
            if let Some(jobs) = state.growing().filter(|jobs| *jobs > seen && turns < TURNS) {
                (seen, turns) = (jobs, turns + 1);
                drop(state);
                let turn = Instant::now();
                std::thread::yield_now();
                let slow = turn.elapsed() > SLOW_TURN;
                state = lock(&self.state);
                state.impatient = if slow { IMPATIENT } else { 0 };
                continue;
            }
            if let Some(group) = state.groups.pop_front() {
                state.busy = group.jobs.len() > 1;
                state.impatient = state.impatient.saturating_sub(1);
                return Some(group);
            }
            if state.refused.is_some() {
                return None;
            }
            state.idle = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A taken group left the pool.
    pub fn release(&self, group: &Gathered) {
        let mut state = lock(&self.state);
        state.bytes = state.bytes.saturating_sub(group.cost);
    }

    /// No more appends; what is queued is still committed.
    pub fn close(&self) {
        let closed = Error::new(Class::Unavailable, "log.closed", "the log is closed").hint("open the log again");
        lock(&self.state).refused.get_or_insert(closed);
        self.arrived.notify_all();
    }

    /// Refuse everything queued and everything to come.
    pub fn fail(&self, error: &Error) {
        let groups = {
            let mut state = lock(&self.state);
            state.bytes = 0;
            state.refused = Some(error.clone());
            std::mem::take(&mut state.groups)
        };
        for group in groups {
            group.answer(Err(error.clone()));
        }
        self.arrived.notify_all();
    }
}
