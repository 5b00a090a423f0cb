//! Hashing what tlog-tiles carry, many tiles at once: leaf hashes of an entry bundle, roots of full hash tiles.

use rayon::prelude::*;

use crate::error::{Class, Error, Result};
use crate::merkle::{self, Hash, fold};

/// Hashes of a full tile.
pub const WIDTH: usize = 256;
const HASH: usize = 32;

/// The leaf hashes of a bundle of exactly `count` entries, each with its u16 big-endian length in front.
pub fn bundle_leaves(bundle: &[u8], count: usize) -> Result<Vec<Hash>> {
    let mut entries = Vec::with_capacity(count.min(WIDTH));
    let mut at = 0;
    while let Some(length) = bundle.get(at..at + 2) {
        let from = at + 2;
        at = from + usize::from(u16::from_be_bytes([length[0], length[1]]));
        match bundle.get(from..at) {
            Some(entry) => entries.push(entry),
            None => break,
        }
    }
    if at == bundle.len() && entries.len() == count {
        return Ok(merkle::leaf_hashes(&entries));
    }
    Err(Error::new(Class::Untrusted, "tile.bundle", "not an entry bundle of that many entries")
        .hint("a bundle is entries one after another, each with its length as two bytes in front")
        .numbers(count as u64, entries.len() as u64))
}

/// The roots of full tiles that lie one after another: what stands for each of them one level up.
pub fn tile_roots(tiles: &[u8]) -> Result<Vec<Hash>> {
    if !tiles.len().is_multiple_of(WIDTH * HASH) {
        return Err(Error::new(Class::InvalidInput, "tile.length", "not whole tiles of 256 hashes")
            .hint("a full tile is 8,192 bytes")
            .numbers((WIDTH * HASH) as u64, tiles.len() as u64));
    }
    let root = |tile: &[u8]| fold(tile.chunks_exact(HASH).map(|hash| std::array::from_fn(|i| hash[i])).collect());
    if tiles.len() <= 4 * WIDTH * HASH {
        return Ok(tiles.chunks_exact(WIDTH * HASH).map(root).collect());
    }
    Ok(tiles.par_chunks_exact(WIDTH * HASH).map(root).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::merkle::{Leaves, leaf_hash};

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn a_bundle_gives_the_hashes_of_its_entries() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 65_535]];
        let mut bundle = Vec::new();
        for entry in entries {
            bundle.extend((entry.len() as u16).to_be_bytes());
            bundle.extend(entry);
        }
        let hashes = bundle_leaves(&bundle, 3).unwrap();
        assert_eq!(hashes, entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>());
        assert_eq!(bundle_leaves(&[], 0).unwrap(), Vec::<Hash>::new());
    }

    #[test]
    fn what_is_no_bundle_of_that_many_entries_is_refused() {
        let bundle = [0, 1, 9, 0, 2, 8, 8];
        assert!(bundle_leaves(&bundle, 2).is_ok());
        for (bytes, count) in [(&bundle[..], 1), (&bundle[..], 3), (&bundle[..6], 2), (&bundle[..4], 1), (&[0][..], 0)]
        {
            assert_eq!(bundle_leaves(bytes, count).unwrap_err().code, "tile.bundle");
        }
    }

    #[test]
    fn roots_of_tiles_are_the_trees_of_their_hashes() {
        for count in [0, 1, 4, 5, 9] {
            let all = leaves(count * WIDTH);
            let expected: Vec<Hash> =
                all.chunks(WIDTH).map(|tile| merkle::root(&Leaves(tile), WIDTH as u64).unwrap()).collect();
            assert_eq!(tile_roots(all.as_flattened()).unwrap(), expected);
        }
        assert_eq!(tile_roots(&[0; 100]).unwrap_err().code, "tile.length");
    }
}
