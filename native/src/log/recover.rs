//! Opening a log: the same for a new folder, after a clean stop and after a crash.
//!
//! The last frame may be torn: it was never acknowledged, so it is cut together with its entries. Every frame from the
//! watermark on is checked against the entries' bytes, and hashes and index are derived anew from there. A frame that
//! does not hold anywhere else is damage to acknowledged records: the log does not open.

use std::sync::Arc;

use crate::error::Result;
use crate::log::ahead::Ahead;
use crate::log::batches::Batches;
use crate::log::beside::Beside;
use crate::log::committer::Committer;
use crate::log::derived::{Derived, Integration};
use crate::log::frame::{FRAME, Frame, Frames, split};
use crate::log::levels::LevelFiles;
use crate::log::storage::{Blob, Storage};
use crate::log::{COMMITS, ENTRIES, INDEX, corrupt, disk};
use crate::merkle;

/// Frames before the end that are checked even when their hashes are synced.
const CHECKED_FRAMES: u64 = 16;
/// Bytes of entries that such a check reads at most.
const CHECKED_BYTES: u64 = 64 << 20;

/// An opened log.
pub struct Recovered {
    pub committer: Committer,
    pub derived: Derived,
    pub levels: Arc<LevelFiles>,
    pub index: Arc<dyn Blob>,
}

/// Open the files of a folder whose lock is held.
pub fn recover(storage: Arc<dyn Storage>, now_ms: u64) -> Result<Recovered> {
    let open = |name: &str| storage.open(name).map_err(|error| disk(&format!("opening {name}"), &error));
    let (entries, index, commits) = (open(ENTRIES)?, open(INDEX)?, open(COMMITS)?);
    let count = cut_tail(&*commits, &*entries)?;
    settle(&*commits, &*entries, count)?;
    let last = Frames::new(&*commits).before(count)?;
    let batches = Batches::open(&*storage, last.size(), now_ms)?;
    storage.sync_names().map_err(|error| disk("syncing the log folder", &error))?;
    let levels = Arc::new(LevelFiles::new(Arc::clone(&storage)));
    let derived = derive(&*commits, &*entries, &levels, &index, count)?;
    let beside = Beside::new(Arc::clone(&commits))?;
    let committer =
        Committer { storage, entries, commits, ahead: Ahead::default(), beside, batches, frames: count, last };
    Ok(Recovered { committer, derived, levels, index })
}

/// Cut the torn end, if there is one; the number of frames that stay.
fn cut_tail(commits: &dyn Blob, entries: &dyn Blob) -> Result<u64> {
    let frames = Frames::new(commits);
    let (whole, torn) = frames.count()?;
    let last_holds = whole == 0 || frames.data(whole - 1, entries)?.is_some();
    let count = if last_holds { whole } else { whole - 1 };
    // With one frame in flight at a time, a torn frame stands behind a good one.
    if !last_holds && (torn > 0 || (count > 0 && frames.data(count - 1, entries)?.is_none())) {
        return Err(corrupt(format!("commit frame {count} does not hold and is not the torn end")));
    }
    let end = frames.before(count)?.end;
    if count * FRAME + torn != whole * FRAME || torn > 0 {
        commits.cut(count * FRAME).map_err(|error| disk("cutting commits.dat", &error))?;
    }
    if entries.length().map_err(|error| disk("reading entries.dat", &error))? > end {
        entries.cut(end).map_err(|error| disk("cutting entries.dat", &error))?;
    }
    Ok(count)
}

/// Make the last commit last. A writer that was killed leaves it in the page cache, and after a failed sync the kernel
/// calls such pages clean without having written them: so it is written again and synced before a head is signed over
/// it. Only one commit is in flight at a time, so those before it are on the disk.
fn settle(commits: &dyn Blob, entries: &dyn Blob, count: u64) -> Result<()> {
    let frames = Frames::new(commits);
    let Some(last) = count.checked_sub(1) else { return Ok(()) };
    let Some((frame, data)) = frames.data(last, entries)? else {
        return Err(corrupt(format!("commit frame {last} does not hold over its entries")));
    };
    if !data.is_empty() {
        let start = frame.end - data.len() as u64;
        entries.write_at(&data, start).map_err(|error| disk("writing entries.dat", &error))?;
        entries.sync().map_err(|error| disk("syncing entries.dat", &error))?;
    }
    commits.write_at(&frame.encode(), last * FRAME).map_err(|error| disk("writing commits.dat", &error))?;
    commits.sync().map_err(|error| disk("syncing commits.dat", &error))
}

/// Check the frames from the watermark on and derive what follows from their entries.
fn derive(
    commits: &dyn Blob,
    entries: &dyn Blob,
    levels: &Arc<LevelFiles>,
    index: &Arc<dyn Blob>,
    count: u64,
) -> Result<Derived> {
    let frames = Frames::new(commits);
    let last = frames.before(count)?;
    let mut derived = match Derived::resume(levels, index, last.watermark)? {
        Some(derived) => derived,
        None => Derived::start(levels, index)?,
    };
    let rebuilt = derived.size() < last.watermark;
    let from = frames.holding(derived.size(), count)?.min(first_checked(&frames, count)?);
    for number in from..count {
        let (frame, data) = frames
            .data(number, entries)?
            .ok_or_else(|| corrupt(format!("commit frame {number} does not hold over its entries")))?;
        let all = split(&data, frame.count)
            .ok_or_else(|| corrupt(format!("the entries of commit frame {number} have wrong lengths")))?;
        let known = derived.size().saturating_sub(frame.first).min(all.len() as u64) as usize;
        let base = frames.before(number)?.end;
        derived.extend(&integration(&data, base, &all[known..]))?;
    }
    derived.trim()?;
    if rebuilt {
        // The frames promise that these hashes are synced: make it true before the next frame says so again.
        levels.sync()?;
        index.sync().map_err(|error| disk("syncing entries.idx", &error))?;
    }
    Ok(derived)
}

/// What follows from the last `entries` inside a frame's bytes.
fn integration(data: &[u8], base: u64, entries: &[&[u8]]) -> Integration {
    let bytes: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    let mut at = base + (data.len() - bytes) as u64;
    let starts = entries
        .iter()
        .map(|entry| {
            let start = at;
            at += entry.len() as u64 + 2;
            start
        })
        .collect();
    Integration { starts, hashes: merkle::leaf_hashes(entries) }
}

fn first_checked(frames: &Frames<'_>, count: u64) -> Result<u64> {
    let end = frames.before(count)?.end;
    let mut number = count;
    while number > count.saturating_sub(CHECKED_FRAMES) {
        let before: Frame = frames.before(number - 1)?;
        if end.saturating_sub(before.end) > CHECKED_BYTES {
            break;
        }
        number -= 1;
    }
    Ok(number)
}
