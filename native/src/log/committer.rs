//! The one thread that writes entries and frames: takes what is queued, brings it to the disk, then answers.

use std::sync::Arc;

use crate::error::Result;
use crate::log::ahead::{self, Ahead};
use crate::log::batches::{Batches, Row};
use crate::log::beside::Beside;
use crate::log::frame::{FRAME, Frame};
use crate::log::pool::{Answer, Framed, Gathered, Job};
use crate::log::shared::{Committed, Shared};
use crate::log::storage::{Blob, Storage};
use crate::log::{disk, no_space};

/// Pieces below this size are joined before they are written: a copy costs less than a call to the kernel.
const DIRECT: usize = 64 << 10;

/// The end of the log on the disk.
pub struct Committer {
    pub storage: Arc<dyn Storage>,
    pub entries: Arc<dyn Blob>,
    pub commits: Arc<dyn Blob>,
    /// Zeros behind the end of `entries`.
    pub ahead: Ahead,
    /// Syncs `commits` while the entries are synced.
    pub beside: Beside,
    pub batches: Batches,
    /// Frames in `commits.dat`.
    pub frames: u64,
    /// The last frame.
    pub last: Frame,
}

impl Committer {
    /// Commit until the pool is closed and drained, or a commit fails; then give the end of the log back.
    pub fn run(mut self, shared: &Shared) -> Self {
        while let Some(gathered) = shared.pool.take() {
            if let Err(error) = self.commit(shared, gathered) {
                shared.fail(error);
                break;
            }
        }
        self
    }

    fn commit(&mut self, shared: &Shared, mut gathered: Gathered) -> Result<()> {
        let mut group = Group::default();
        for job in std::mem::take(&mut gathered.jobs) {
            group.place(job, self);
        }
        let base = self.last.end;
        let outcome = self.write(shared, &group);
        // Before the answers: whoever has one may append again without finding its own bytes in the pool.
        shared.pool.release(&gathered);
        gathered.answer(outcome.clone().map(|()| group.answers));
        outcome?;
        let mut next = base;
        shared.integrate(group.placed.into_iter().map(|framed| {
            let base = next;
            next += framed.bytes.len() as u64;
            Committed { base, framed }
        }))
    }

    /// Everything of the group to the disk, in the order recovery relies on: batch rows before the frame.
    fn write(&mut self, shared: &Shared, group: &Group) -> Result<()> {
        if group.placed.is_empty() && !group.mark {
            return Ok(());
        }
        if !group.rows.is_empty() {
            self.batches.write(&group.rows)?;
        }
        self.write_entries(&group.placed)?;
        if group.count > 0 {
            // A frame without entries is what closing writes, after the zeros were cut.
            self.write_ahead(self.last.end + group.bytes(), group.bytes())?;
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

    fn write_entries(&self, placed: &[Framed]) -> Result<()> {
        let (mut at, mut joined) = (self.last.end, Vec::new());
        let mut write = |bytes: &[u8]| {
            let offset = at;
            at += bytes.len() as u64;
            self.entries.write_at(bytes, offset).map_err(|error| disk("writing entries.dat", &error))
        };
        for framed in placed {
            if framed.bytes.len() < DIRECT {
                joined.extend_from_slice(&framed.bytes);
            }
            if !joined.is_empty() && (joined.len() >= DIRECT || framed.bytes.len() >= DIRECT) {
                write(&joined)?;
                joined.clear();
            }
            if framed.bytes.len() >= DIRECT {
                write(&framed.bytes)?;
            }
        }
        if joined.is_empty() { Ok(()) } else { write(&joined) }
    }

    fn write_ahead(&mut self, end: u64, bytes: u64) -> Result<()> {
        if self.ahead.wants(end, bytes) {
            let zeros = vec![0; ahead::STEP as usize];
            match self.entries.write_at(&zeros, end) {
                Ok(()) => self.ahead.written(end),
                Err(error) if no_space(&error) => {
                    // The log can do without them: what room there is is left to the entries.
                    self.entries.cut(end).map_err(|error| disk("cutting entries.dat", &error))?;
                    self.ahead.give_up();
                }
                Err(error) => return Err(disk("writing entries.dat", &error)),
            }
        }
        Ok(())
    }

    fn write_frame(&mut self, shared: &Shared, group: &Group) -> Result<()> {
        let pieces = group.placed.iter().map(|framed| framed.bytes.as_slice());
        let end = self.last.end + group.bytes();
        let frame = Frame::seal(self.last.size(), group.count, end, shared.progress().watermark, pieces);
        self.commits
            .write_at(&frame.encode(), self.frames * FRAME)
            .map_err(|error| disk("writing commits.dat", &error))?;
        // Both at once: whichever is on the disk first, recovery believes the frame only where it holds over its entries.
        let (entries, beside) =
            if group.count > 0 { self.beside.sync_with(&*self.entries) } else { (Ok(()), self.commits.sync()) };
        entries.map_err(|error| disk("syncing entries.dat", &error))?;
        beside.map_err(|error| disk("syncing commits.dat", &error))?;
        self.frames += 1;
        self.last = frame;
        Ok(())
    }

    /// After the last commit: the file ends where its entries end.
    pub fn trim(&mut self) -> Result<()> {
        if self.ahead.reaches(self.last.end) {
            self.entries.cut(self.last.end).map_err(|error| disk("cutting entries.dat", &error))?;
            self.ahead = Ahead::default();
        }
        Ok(())
    }

    /// After the last commit: a frame that says all hash files are synced, so that the next start has nothing to do.
    pub fn mark(&mut self, shared: &Shared) -> Result<()> {
        if shared.progress().watermark == self.last.watermark {
            return Ok(());
        }
        self.write(shared, &Group { mark: true, ..Group::default() })
    }
}

/// One group commit: what is written, and what its callers will hear.
#[derive(Default)]
struct Group {
    placed: Vec<Framed>,
    count: u32,
    rows: Vec<Row>,
    mark: bool,
    answers: Vec<Answer>,
}

impl Group {
    /// Give the job its place after the others, or find its first answer.
    fn place(&mut self, job: Job, committer: &Committer) {
        let Job::Append { framed, batch } = job else {
            self.mark = true;
            self.answers.push(Answer::Appended(committer.last.size()));
            return;
        };
        let first = committer.last.size() + u64::from(self.count);
        // The pool bounds the entries of a group far below 2^32.
        let count = framed.starts.len() as u32;
        if let Some((id, time_ms)) = batch {
            let here = self.rows.iter().find(|row| row.id == id).copied();
            if let Some(row) = here.or_else(|| committer.batches.find(&id, time_ms)) {
                self.answers.push(Answer::Repeat { first: row.first, count: row.count });
                return;
            }
            self.rows.push(Row { id, first, count, time_ms });
        }
        self.count += count;
        self.placed.push(framed);
        self.answers.push(Answer::Appended(first));
    }

    fn bytes(&self) -> u64 {
        self.placed.iter().map(|framed| framed.bytes.len() as u64).sum()
    }
}
