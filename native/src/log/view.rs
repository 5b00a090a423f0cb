//! Reading a log up to a size: roots, proofs, tiles and entries, from the files alone. Takes no lock: the writer never
//! changes a byte that a view may read.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Class, Error, Result};
use crate::log::levels::{LevelFiles, TileNodes, hashes_at};
use crate::log::storage::{Blob, Folder, Storage};
use crate::log::{COMMITS, ENTRIES, INDEX, TILE, corrupt, disk};
use crate::merkle::{self, Hash};

/// Most entries one call reads.
pub const MAX_READ: u64 = 1 << 20;
/// How much is read at once where the end of the entries asked for is not indexed yet.
const CHUNK: u64 = 1 << 16;

/// The files of a log, for reading.
pub struct View {
    levels: Arc<LevelFiles>,
    entries: Arc<dyn Blob>,
    index: Arc<dyn Blob>,
}

impl View {
    /// Over the files of a folder.
    pub fn new(levels: Arc<LevelFiles>, entries: Arc<dyn Blob>, index: Arc<dyn Blob>) -> Self {
        Self { levels, entries, index }
    }

    /// MTH of the first `size` leaves.
    pub fn root(&self, size: u64) -> Result<Hash> {
        merkle::root(&TileNodes::new(&self.levels, size), size)
    }

    /// The leaf hash of an entry below `size`.
    pub fn leaf(&self, index: u64, size: u64) -> Result<Hash> {
        require_range(index, 1, size)?;
        let bytes = self.levels.read(0, index, 1)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    /// Raw leaf hashes of entries that are integrated.
    pub fn leaf_hashes(&self, first: u64, count: u64) -> Result<Vec<u8>> {
        self.levels.read(0, first, count)
    }

    /// RFC 6962 PATH.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>> {
        merkle::inclusion_proof(&TileNodes::new(&self.levels, size), index, size)
    }

    /// RFC 6962 PROOF.
    pub fn consistency_proof(&self, size1: u64, size2: u64) -> Result<Vec<Hash>> {
        merkle::consistency_proof(&TileNodes::new(&self.levels, size2), size1, size2)
    }

    /// `width` hashes of a tile, in a log of `size` entries.
    pub fn hash_tile(&self, level: u64, index: u64, width: u64, size: u64) -> Result<Vec<u8>> {
        let level = usize::try_from(level).ok().filter(|level| *level < 8).ok_or_else(no_tile)?;
        require_tile(index, width, hashes_at(level, size))?;
        self.levels.read(level, index * TILE, width)
    }

    /// `width` entries of a bundle as tlog-tiles serves them, in a log of `size` entries.
    pub fn entry_tile(&self, index: u64, width: u64, size: u64) -> Result<Vec<u8>> {
        require_tile(index, width, size)?;
        Ok(self.span(index * TILE, width, size)?.0)
    }

    /// Entries `first .. first + count`, each as a range of the bytes returned.
    pub fn read(&self, first: u64, count: u64, size: u64) -> Result<Entries> {
        require_range(first, count, size)?;
        if count > MAX_READ {
            return Err(Error::new(Class::InvalidInput, "log.range", "too many entries at once")
                .hint("read in smaller ranges")
                .numbers(MAX_READ, count));
        }
        if count == 0 {
            return Ok((Vec::new(), Vec::new()));
        }
        self.span(first, count, size)
    }

    fn span(&self, first: u64, count: u64, size: u64) -> Result<Entries> {
        let start = self.offset(first / TILE)?;
        let next = (first + count).div_ceil(TILE);
        let indexed = if next * TILE < size { Some(self.offset(next)?) } else { None };
        let end = match indexed {
            Some(end) => end,
            None => self.entries.length().map_err(|error| disk("reading entries.dat", &error))?,
        };
        let mut length = end.checked_sub(start).ok_or_else(|| corrupt("entries.idx does not fit entries.dat"))?;
        let step = if indexed.is_some() { length } else { CHUNK };
        let (mut bytes, mut at) = (Vec::new(), 0);
        let (mut skip, mut begin) = (first % TILE, 0);
        let mut ranges = Vec::with_capacity(count as usize);
        while (ranges.len() as u64) < count {
            let Some((from, to)) = entry_range(&bytes, at) else {
                let more = step.min(length.saturating_sub(bytes.len() as u64)) as usize;
                if more == 0 {
                    return Err(corrupt("entries.dat ends inside an entry"));
                }
                let old = bytes.len();
                bytes.resize(old + more, 0);
                let offset = start + old as u64;
                if let Err(error) = self.entries.read_at(&mut bytes[old..], offset) {
                    // A writer that closes or opens the log cuts what stands behind the last entry.
                    let now = self.entries.length().unwrap_or(end).saturating_sub(start);
                    if error.kind() != ErrorKind::UnexpectedEof || now >= length {
                        return Err(disk("reading entries.dat", &error));
                    }
                    length = now;
                    bytes.truncate(old);
                }
                continue;
            };
            if from == to {
                return Err(corrupt("entries.dat has zeros in the place of an entry"));
            }
            at = to;
            if skip > 0 {
                skip -= 1;
                begin = to;
            } else {
                ranges.push((from - begin, to - begin));
            }
        }
        bytes.truncate(at);
        bytes.drain(..begin);
        Ok((bytes, ranges))
    }

    /// Where the entry `256 * bundle` starts.
    fn offset(&self, bundle: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.index.read_at(&mut bytes, bundle * 8).map_err(|error| disk("reading entries.idx", &error))?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Bytes as they stand in `entries.dat`, and where in them each entry is (without its length).
pub type Entries = (Vec<u8>, Vec<(usize, usize)>);

/// Where the entry whose length stands at `at` lies, when all of it is in the bytes.
fn entry_range(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let length = bytes.get(at..at + 2)?;
    let from = at + 2;
    let to = from + usize::from(u16::from_be_bytes([length[0], length[1]]));
    (to <= bytes.len()).then_some((from, to))
}

/// A log opened read-only up to a size, beside a running writer or not.
pub struct LogReader {
    view: View,
    size: u64,
}

impl LogReader {
    /// Raises NotFoundError(log.missing) and UnavailableError(log.not-yet) when the files do not hold `size` entries.
    pub fn open(path: &Path, size: u64) -> Result<Self> {
        let storage: Arc<dyn Storage> = Arc::new(Folder::read_only(path)?);
        let open = |name: &str| storage.open(name).map_err(|error| disk(&format!("opening {name}"), &error));
        let (entries, index, commits) = (open(ENTRIES)?, open(INDEX)?, open(COMMITS)?);
        let frames = super::frame::Frames::new(&*commits);
        let committed = frames.before(frames.count()?.0)?.size();
        let levels = Arc::new(LevelFiles::new(storage));
        let indexed = index.length().map_err(|error| disk("reading entries.idx", &error))?;
        if size > committed || indexed < size.div_ceil(TILE) * 8 || !levels.hold(size)? {
            return Err(Error::new(Class::Unavailable, "log.not-yet", "the log files do not hold this size yet")
                .hint("use the size of a published checkpoint; try again when the writer has caught up")
                .numbers(size, committed));
        }
        Ok(Self { view: View::new(levels, entries, index), size })
    }

    /// Entries in view.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The view, for sizes up to [`LogReader::size`].
    pub fn view(&self) -> &View {
        &self.view
    }
}

/// Raises NotFoundError(log.range) unless the entries exist.
pub fn require_range(first: u64, count: u64, size: u64) -> Result<()> {
    match first.checked_add(count) {
        Some(end) if end <= size => Ok(()),
        end => Err(Error::new(Class::NotFound, "log.range", "the log does not reach so far")
            .hint("ask for entries below the log's size")
            .numbers(size, end.unwrap_or(u64::MAX))),
    }
}

fn require_tile(index: u64, width: u64, hashes: u64) -> Result<()> {
    let end = index.checked_mul(TILE).and_then(|start| start.checked_add(width));
    if (1..=TILE).contains(&width) && end.is_some_and(|end| end <= hashes) { Ok(()) } else { Err(no_tile()) }
}

fn no_tile() -> Error {
    Error::new(Class::NotFound, "log.tile", "no such tile in this log")
        .hint("level 0 to 7, width 1 to 256, inside the checkpoint's size")
}
