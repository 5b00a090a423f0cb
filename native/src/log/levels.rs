//! The hash files: `level-<L>.dat` holds the hashes of tile level L, one after another. Level 0 are leaf hashes; level
//! L + 1 are the roots of full tiles of level L (C2SP tlog-tiles).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::log::storage::{Blob, Storage};
use crate::log::{TILE, corrupt, disk};
use crate::merkle::{self, Hash, Nodes, fold};

/// Levels a log of up to 2^64 leaves has.
pub const LEVELS: usize = 8;
const HASH: u64 = 32;

/// Hashes of level `level` in a log of `size` leaves.
pub fn hashes_at(level: usize, size: u64) -> u64 {
    size >> (8 * level)
}

/// The name of a level's file.
pub fn level_name(level: usize) -> String {
    format!("level-{level}.dat")
}

/// The hash files of a folder, opened when first needed.
pub struct LevelFiles {
    storage: Arc<dyn Storage>,
    files: [OnceLock<Arc<dyn Blob>>; LEVELS],
}

impl LevelFiles {
    /// Over a folder.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, files: Default::default() }
    }

    /// The file of a level; a writable storage creates it.
    pub fn file(&self, level: usize) -> Result<&Arc<dyn Blob>> {
        if let Some(file) = self.files[level].get() {
            return Ok(file);
        }
        let failed = |error: std::io::Error| disk(&format!("opening {}", level_name(level)), &error);
        let file = self.storage.open(&level_name(level)).map_err(failed)?;
        Ok(self.files[level].get_or_init(|| file))
    }

    /// Raw hashes `first .. first + count` of a level.
    pub fn read(&self, level: usize, first: u64, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (count * HASH) as usize];
        self.file(level)?
            .read_at(&mut bytes, first * HASH)
            .map_err(|error| disk(&format!("reading {}", level_name(level)), &error))?;
        Ok(bytes)
    }

    /// Whether the files hold the hashes of `size` leaves.
    pub fn hold(&self, size: u64) -> Result<bool> {
        for level in (0..LEVELS).take_while(|level| hashes_at(*level, size) > 0) {
            let Ok(file) = self.file(level) else { return Ok(false) };
            let length = file.length().map_err(|error| disk(&format!("reading {}", level_name(level)), &error))?;
            if length < hashes_at(level, size) * HASH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every hash written so far reaches the disk.
    pub fn sync(&self) -> Result<()> {
        for (level, file) in self.files.iter().enumerate() {
            if let Some(file) = file.get() {
                file.sync().map_err(|error| disk(&format!("syncing {}", level_name(level)), &error))?;
            }
        }
        Ok(())
    }
}

/// Appends leaf hashes and the tile roots that follow from them.
pub struct LevelWriter {
    files: Arc<LevelFiles>,
    size: u64,
    tails: Tails,
}

impl LevelWriter {
    /// Go on after `size` leaves whose hashes are in the files.
    pub fn resume(files: Arc<LevelFiles>, size: u64) -> Result<Self> {
        let tails = Tails::read(&files, size)?;
        Ok(Self { files, size, tails })
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Append leaf hashes.
    pub fn extend(&mut self, leaves: &[Hash]) -> Result<()> {
        let mut fresh = leaves.to_vec();
        for level in 0..LEVELS {
            if fresh.is_empty() {
                break;
            }
            let at = hashes_at(level, self.size) * HASH;
            if at == 0 {
                self.files.file(level)?;
                self.files.storage.sync_names().map_err(|error| disk("syncing the log folder", &error))?;
            }
            self.files
                .file(level)?
                .write_at(fresh.as_flattened(), at)
                .map_err(|error| disk(&format!("writing {}", level_name(level)), &error))?;
            fresh = self.tails.absorb(level, fresh);
        }
        self.size += leaves.len() as u64;
        Ok(())
    }

    /// Shorten every file to exactly the present size: what stands behind it was never committed.
    pub fn trim(&self) -> Result<()> {
        for level in 0..LEVELS {
            let exact = hashes_at(level, self.size) * HASH;
            if exact == 0 && self.files.files[level].get().is_none() {
                continue;
            }
            let failed = |error: std::io::Error| disk(&format!("cutting {}", level_name(level)), &error);
            let file = self.files.file(level)?;
            if file.length().map_err(failed)? > exact {
                file.cut(exact).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Per level the hashes of its last, partial tile: what the next hashes are joined to.
#[derive(Default)]
pub struct Tails([Vec<Hash>; LEVELS]);

impl Tails {
    /// Of a log of `size` leaves, from its files.
    pub fn read(files: &LevelFiles, size: u64) -> Result<Self> {
        let mut tails = Self::default();
        for (level, tail) in tails.0.iter_mut().enumerate() {
            let count = hashes_at(level, size);
            if !count.is_multiple_of(TILE) {
                *tail = to_hashes(&files.read(level, count - count % TILE, count % TILE)?);
            }
        }
        Ok(tails)
    }

    /// Takes the next hashes of a level; returns the roots of the tiles that became full, for the level above.
    pub fn absorb(&mut self, level: usize, fresh: Vec<Hash>) -> Vec<Hash> {
        let tail = &mut self.0[level];
        tail.extend(fresh);
        let full = tail.len() - tail.len() % TILE as usize;
        let roots = tail[..full].chunks(TILE as usize).map(|tile| fold(tile.to_vec())).collect();
        tail.drain(..full);
        roots
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut lower: Option<Hash> = None;
        for tail in &self.0 {
            let row: Vec<Hash> = tail.iter().copied().chain(lower).collect();
            lower = if row.is_empty() { None } else { Some(uneven(&row)) };
        }
        lower.unwrap_or_else(merkle::empty_root)
    }
}

/// The root over perfect subtrees of one height, the last of which may be lower.
fn uneven(row: &[Hash]) -> Hash {
    match row {
        [only] => *only,
        _ => {
            let (left, right) = row.split_at(row.len().next_power_of_two() / 2);
            merkle::node_hash(&uneven(left), &uneven(right))
        }
    }
}

/// The tree of the first `size` leaves, with the tiles one proof touches kept at hand.
pub struct TileNodes<'a> {
    files: &'a LevelFiles,
    size: u64,
    tiles: RefCell<HashMap<(usize, u64), Vec<Hash>>>,
}

impl<'a> TileNodes<'a> {
    /// For one call.
    pub fn new(files: &'a LevelFiles, size: u64) -> Self {
        Self { files, size, tiles: RefCell::default() }
    }
}

impl Nodes for TileNodes<'_> {
    fn node(&self, level: u32, index: u64) -> Result<Hash> {
        let (tile_level, height) = ((level / 8) as usize, level % 8);
        let (first, width) = (index << height, 1u64 << height);
        let tile = first / TILE;
        let mut tiles = self.tiles.borrow_mut();
        let hashes = match tiles.entry((tile_level, tile)) {
            std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                let there = hashes_at(tile_level, self.size).saturating_sub(tile * TILE).min(TILE);
                slot.insert(to_hashes(&self.files.read(tile_level, tile * TILE, there)?))
            }
        };
        let start = (first % TILE) as usize;
        let range = hashes
            .get(start..start + width as usize)
            .ok_or_else(|| corrupt(format!("a node beyond the tree was asked for at level {level}")))?;
        Ok(fold(range.to_vec()))
    }
}

/// Raw bytes as hashes.
pub fn to_hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks_exact(HASH as usize).map(|chunk| std::array::from_fn(|i| chunk[i])).collect()
}
