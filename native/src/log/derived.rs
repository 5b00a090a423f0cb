//! What follows from the entries: hash files and the index. Written behind the commits, synced in the background,
//! re-derived at recovery.

use std::sync::Arc;

use crate::error::Result;
use crate::log::levels::{LevelFiles, LevelWriter};
use crate::log::storage::Blob;
use crate::log::{TILE, disk};
use crate::merkle::Hash;

/// Entries whose derived bytes are still to be written.
pub struct Integration {
    /// Where each entry starts in `entries.dat`.
    pub starts: Vec<u64>,
    /// Their leaf hashes.
    pub hashes: Vec<Hash>,
}

/// The writer of the derived files.
pub struct Derived {
    levels: LevelWriter,
    index: Arc<dyn Blob>,
}

impl Derived {
    /// Go on after `size` entries. `None` when the files do not hold so much: derive from the start then.
    pub fn resume(files: &Arc<LevelFiles>, index: &Arc<dyn Blob>, size: u64) -> Result<Option<Self>> {
        let indexed = index.length().map_err(|error| disk("reading entries.idx", &error))?;
        if indexed < size.div_ceil(TILE) * 8 || !files.hold(size)? {
            return Ok(None);
        }
        Ok(Some(Self { levels: LevelWriter::resume(Arc::clone(files), size)?, index: Arc::clone(index) }))
    }

    /// From the first entry on.
    pub fn start(files: &Arc<LevelFiles>, index: &Arc<dyn Blob>) -> Result<Self> {
        Ok(Self { levels: LevelWriter::resume(Arc::clone(files), 0)?, index: Arc::clone(index) })
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.levels.size()
    }

    /// Write what follows from these entries.
    pub fn extend(&mut self, entries: &Integration) -> Result<()> {
        let first = self.size();
        let next = first.next_multiple_of(TILE);
        let positions = entries.starts.iter().skip((next - first) as usize).step_by(TILE as usize);
        let offsets: Vec<u8> = positions.flat_map(|start| start.to_le_bytes()).collect();
        if !offsets.is_empty() {
            self.index.write_at(&offsets, next / TILE * 8).map_err(|error| disk("writing entries.idx", &error))?;
        }
        self.levels.extend(&entries.hashes)
    }

    /// Cut what stands behind the present size.
    pub fn trim(&self) -> Result<()> {
        let failed = |error: std::io::Error| disk("cutting entries.idx", &error);
        let exact = self.size().div_ceil(TILE) * 8;
        if self.index.length().map_err(failed)? > exact {
            self.index.cut(exact).map_err(failed)?;
        }
        self.levels.trim()
    }
}
