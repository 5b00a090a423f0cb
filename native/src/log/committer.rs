//! The one thread that writes entries and frames: takes what is queued, brings it to the disk, then answers.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::error::Result;
use crate::log::batches::{Batches, Row};
use crate::log::derived::Integration;
use crate::log::disk;
use crate::log::frame::{FRAME, Frame};
use crate::log::shared::{Answer, Job, Prepared, Shared};
use crate::log::storage::{Blob, Storage};

/// About the most bytes in one commit (a single larger batch is still one commit).
const MAX_COMMIT: usize = 8 << 20;
/// Leaves that may wait for the integrator before the committer waits for it.
const MAX_BACKLOG: u64 = 1 << 18;

/// The end of the log on the disk.
pub struct Committer {
    pub storage: Arc<dyn Storage>,
    pub entries: Arc<dyn Blob>,
    pub commits: Arc<dyn Blob>,
    pub batches: Batches,
    /// Frames in `commits.dat`.
    pub frames: u64,
    /// The last frame.
    pub last: Frame,
}

type Waiting = (SyncSender<Result<Answer>>, Answer);

impl Committer {
    /// Commit until the pool is closed and drained, or a commit fails; then give the end of the log back.
    pub fn run(mut self, shared: &Shared) -> Self {
        loop {
            let jobs = shared.take(MAX_COMMIT);
            if jobs.is_empty() {
                return self;
            }
            if let Err(error) = self.commit(shared, jobs) {
                shared.fail(error);
                return self;
            }
        }
    }

    fn commit(&mut self, shared: &Shared, jobs: Vec<Job>) -> Result<()> {
        let cost = jobs.iter().map(Job::cost).sum();
        let mut group = Group::default();
        for job in jobs {
            group.place(job, self);
        }
        let outcome = self.write(shared, &group);
        // Before the answers: whoever has one may append again without finding its own bytes in the pool.
        shared.release(cost);
        if let Err(error) = outcome {
            group.waiting.into_iter().for_each(|(answer, _)| drop(answer.send(Err(error.clone()))));
            return Err(error);
        }
        let base = self.last.end - group.bytes();
        self.hand_over(shared, group.placed, base);
        // A caller that went away needs no answer.
        group.waiting.into_iter().for_each(|(answer, value)| drop(answer.send(Ok(value))));
        shared.wait(|progress| progress.durable - progress.integrated <= MAX_BACKLOG).map(drop)
    }

    /// Everything of the group to the disk, in the order recovery relies on: batch rows before the frame.
    fn write(&mut self, shared: &Shared, group: &Group) -> Result<()> {
        if group.placed.is_empty() && !group.mark {
            return Ok(());
        }
        if !group.rows.is_empty() {
            self.batches.write(&group.rows)?;
        }
        if !group.placed.is_empty() {
            let failed = |error: std::io::Error| disk("writing entries.dat", &error);
            match group.placed.as_slice() {
                [only] => self.entries.write_at(&only.framed, self.last.end).map_err(failed)?,
                many => {
                    let pieces: Vec<&[u8]> = many.iter().map(|prepared| prepared.framed.as_slice()).collect();
                    self.entries.write_at(&pieces.concat(), self.last.end).map_err(failed)?;
                }
            }
        }
        self.write_frame(shared, group)?;
        for row in &group.rows {
            self.batches.remember(*row);
        }
        if let Some(row) = group.rows.last() {
            self.batches.expire(&*self.storage, row.time_ms)?;
        }
        let (durable, bytes, commits) = (self.last.size(), self.last.end, self.frames);
        let batches = self.batches.len() as u64;
        shared.advance(|progress| {
            progress.durable = durable;
            progress.entries_bytes = bytes;
            progress.commits = commits;
            progress.batches = batches;
        });
        Ok(())
    }

    fn write_frame(&mut self, shared: &Shared, group: &Group) -> Result<()> {
        let pieces = group.placed.iter().map(|prepared| prepared.framed.as_slice());
        let end = self.last.end + group.bytes();
        let frame = Frame::seal(self.last.size(), group.count, end, shared.progress().watermark, pieces);
        self.commits
            .write_at(&frame.encode(), self.frames * FRAME)
            .map_err(|error| disk("writing commits.dat", &error))?;
        if group.count > 0 {
            self.entries.sync().map_err(|error| disk("syncing entries.dat", &error))?;
        }
        self.commits.sync().map_err(|error| disk("syncing commits.dat", &error))?;
        self.frames += 1;
        self.last = frame;
        Ok(())
    }

    /// After the last commit: a frame that says all hash files are synced, so that the next start has nothing to do.
    pub fn mark(&mut self, shared: &Shared) -> Result<()> {
        if shared.progress().watermark == self.last.watermark {
            return Ok(());
        }
        self.write(shared, &Group { mark: true, ..Group::default() })
    }

    fn hand_over(&self, shared: &Shared, placed: Vec<Prepared>, mut base: u64) {
        for prepared in placed {
            let length = prepared.framed.len() as u64;
            shared.integrate(Integration { base, starts: prepared.starts, hashes: prepared.hashes });
            base += length;
        }
    }
}

/// One group commit: what is written, and who waits for it.
#[derive(Default)]
struct Group {
    placed: Vec<Prepared>,
    count: u32,
    rows: Vec<Row>,
    mark: bool,
    waiting: Vec<Waiting>,
}

impl Group {
    /// Give the job its place after the others, or find its first answer.
    fn place(&mut self, job: Job, committer: &Committer) {
        let (prepared, batch, answer) = match job {
            Job::Append { prepared, batch, answer } => (prepared, batch, answer),
            Job::Mark { answer } => {
                self.mark = true;
                self.waiting.push((answer, Answer::Appended(committer.last.size())));
                return;
            }
        };
        let first = committer.last.size() + u64::from(self.count);
        // The pool bounds the entries of a group far below 2^32.
        let count = prepared.starts.len() as u32;
        if let Some((id, time_ms)) = batch {
            let here = self.rows.iter().find(|row| row.id == id).copied();
            if let Some(row) = here.or_else(|| committer.batches.find(&id, time_ms)) {
                self.waiting.push((answer, Answer::Repeat { first: row.first, count: row.count }));
                return;
            }
            self.rows.push(Row { id, first, count, time_ms });
        }
        self.count += count;
        self.placed.push(prepared);
        self.waiting.push((answer, Answer::Appended(first)));
    }

    fn bytes(&self) -> u64 {
        self.placed.iter().map(|prepared| prepared.framed.len() as u64).sum()
    }
}
