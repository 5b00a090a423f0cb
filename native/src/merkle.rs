//! RFC 6962 section 2.1: hashing, roots, proofs and their verification.
//!
//! Making is written once over [`Nodes`], so that a list of leaf hashes and the files of a log give the same proofs by
//! the same code. Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 (same tree, clearer algorithms); the
//! length of a proof must be exact.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Class, Error, Result};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Below this many leaves hashing in parallel costs more than it brings.
const PARALLEL_LEAVES: usize = 256;

/// SHA-256(0x00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the empty tree: SHA-256("").
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Leaf hashes of many entries, on all cores when they are many.
pub fn leaf_hashes<E: AsRef<[u8]> + Sync>(entries: &[E]) -> Vec<Hash> {
    if entries.len() < PARALLEL_LEAVES {
        return entries.iter().map(|entry| leaf_hash(entry.as_ref())).collect();
    }
    entries.par_iter().with_min_len(64).map(|entry| leaf_hash(entry.as_ref())).collect()
}

/// Where the hashes of perfect, aligned subtrees come from.
pub trait Nodes {
    /// The hash over leaves `index << level .. (index + 1) << level`, all of which exist.
    fn node(&self, level: u32, index: u64) -> Result<Hash>;
}

/// Leaf hashes in memory.
pub struct Leaves<'a>(pub &'a [Hash]);

impl Nodes for Leaves<'_> {
    fn node(&self, level: u32, index: u64) -> Result<Hash> {
        let width = 1usize << level;
        let start = index as usize * width;
        Ok(fold(self.0[start..start + width].to_vec()))
    }
}

/// The root over a power-of-two number of hashes, at least one.
pub fn fold(mut hashes: Vec<Hash>) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    let mut width = hashes.len();
    while width > 1 {
        width /= 2;
        for i in 0..width {
            hashes[i] = node_hash(&hashes[2 * i], &hashes[2 * i + 1]);
        }
    }
    hashes[0]
}

/// MTH(D[0:size]).
pub fn root(nodes: &impl Nodes, size: u64) -> Result<Hash> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

/// PATH(index, D[0:size]), leaf to root. Requires index < size.
pub fn inclusion_proof(nodes: &impl Nodes, index: u64, size: u64) -> Result<Vec<Hash>> {
    if index >= size {
        return Err(Error::new(Class::InvalidInput, "merkle.index", "the index is not inside the tree")
            .hint("ask for an index below the tree size")
            .numbers(size, index));
    }
    let mut path = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// PROOF(size1, D[0:size2]). Empty for equal sizes and for size1 = 0 (every tree extends the empty one).
pub fn consistency_proof(nodes: &impl Nodes, size1: u64, size2: u64) -> Result<Vec<Hash>> {
    if size1 > size2 {
        return Err(Error::new(Class::InvalidInput, "merkle.size", "the old size is larger than the new one")
            .hint("give the smaller size first")
            .numbers(size2, size1));
    }
    let mut proof = Vec::new();
    if size1 == 0 || size1 == size2 {
        return Ok(proof);
    }
    let (mut low, mut high, mut whole) = (0, size2, true);
    while high != size1 {
        let middle = low + split(high - low);
        if size1 <= middle {
            proof.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(subtree(nodes, low, middle)?);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(subtree(nodes, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Raises unless `proof` shows that `leaf` is entry `index` of the tree with `size` leaves and this root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> Result<()> {
    if index >= size {
        return Err(untrusted("merkle.index", "the index is not inside the tree").numbers(size, index));
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(length_error());
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length_error());
    }
    require_root("merkle.inclusion", "the inclusion proof does not lead to the root", root, &hash)
}

/// Raises unless `proof` shows that the tree of `size2` leaves extends the tree of `size1` leaves.
///
/// A proof from the empty tree says nothing and is refused; equal sizes need equal roots and an empty proof.
pub fn verify_consistency(size1: u64, size2: u64, root1: &Hash, root2: &Hash, proof: &[Hash]) -> Result<()> {
    if size1 > size2 {
        return Err(untrusted("merkle.size", "the new tree is smaller than the old one").numbers(size1, size2));
    }
    if size1 == size2 {
        if !proof.is_empty() {
            return Err(length_error());
        }
        if size1 == 0 {
            require_root("merkle.consistency", "not the root of the empty tree", &empty_root(), root1)?;
        }
        return require_root("merkle.consistency", "two roots for one size", root1, root2);
    }
    if size1 == 0 {
        return Err(untrusted("merkle.empty", "a consistency proof from the empty tree says nothing")
            .hint("trust the first head, then ask for proofs from it"));
    }
    let (mut at, mut last) = (size1 - 1, size2 - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // A perfect old tree is a node of the new one: the proof leaves it out and the walk starts at the old root.
    let (seed, rest) =
        if at == 0 { (*root1, proof) } else { proof.split_first().map(|(s, r)| (*s, r)).ok_or_else(length_error)? };
    let (mut old, mut new) = (seed, seed);
    for sibling in rest {
        if last == 0 {
            return Err(length_error());
        }
        if at & 1 == 1 || at == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length_error());
    }
    require_root("merkle.consistency", "the consistency proof does not lead to the old root", root1, &old)?;
    require_root("merkle.consistency", "the consistency proof does not lead to the new root", root2, &new)
}

/// MTH(D[low:high]) for a range that the RFC's recursion reaches: `low` is aligned to the largest power in it.
fn subtree(nodes: &impl Nodes, low: u64, high: u64) -> Result<Hash> {
    let size = high - low;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level, low >> level);
    }
    let middle = low + split(size);
    Ok(node_hash(&subtree(nodes, low, middle)?, &subtree(nodes, middle, high)?))
}

/// The largest power of two below `size` (size >= 2).
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

fn untrusted(code: &'static str, message: &str) -> Error {
    Error::new(Class::Untrusted, code, message)
        .hint("ask for the proof again; if it stays wrong, do not trust the log that made it")
}

fn length_error() -> Error {
    untrusted("merkle.length", "the proof has too many or too few hashes for these sizes")
}

fn require_root(code: &'static str, message: &str, expected: &Hash, actual: &Hash) -> Result<()> {
    if expected == actual { Ok(()) } else { Err(untrusted(code, message).bytes(expected, actual)) }
}
