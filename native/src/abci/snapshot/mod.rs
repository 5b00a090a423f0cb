//! Snapshots for nodes that join late: the state rows of one consensus height as a byte stream cut into chunks.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `folder` | the snapshots of this node, as files |
//! | `making` | writing one on a thread of its own |
//! | `restore` | taking one from others, checking everything |
//! | `serve` | the four requests of ABCI |
//!
//! Format 1. The stream is the rows of `chain/store.rs` in a fixed order (genesis, head, codes, accounts with their slots,
//! the way back of the newest 257 blocks): key length u8, value length u32be, key, value. A chunk is 1 MiB of it, the last
//! one what is left. The snapshot's hash is the SHA-256 of the stream; its metadata are the fields of `Metadata`.

pub mod folder;
mod making;
pub mod restore;
mod serve;

pub use making::Maker;

use alloy_primitives::B256;

/// Version of the stream and the metadata.
pub const FORMAT: u32 = 1;
/// Bytes of a chunk.
pub const CHUNK: usize = 1 << 20;
/// Most chunks of a snapshot: what a node can be made to take before the state can be judged.
pub const MAX_CHUNKS: usize = 4096;
/// Consensus heights between snapshots unless the caller says otherwise.
pub const EVERY: u64 = 1000;

const FIXED: usize = 32 + 8 + 32 + 8;

/// What says whether a snapshot is the one it claims to be: genesis digest (32), block number u64be, block hash (32), bytes
/// of the stream u64be, SHA-256 of every chunk (32 each).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// SHA-256 of the genesis file.
    pub genesis: B256,
    /// Number of the newest chain block.
    pub chain_height: u64,
    /// Its hash, the app hash.
    pub head: B256,
    /// Bytes of the stream.
    pub length: u64,
    /// SHA-256 of each chunk.
    pub chunks: Vec<B256>,
}

impl Metadata {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 32 * self.chunks.len());
        out.extend_from_slice(self.genesis.as_slice());
        out.extend_from_slice(&self.chain_height.to_be_bytes());
        out.extend_from_slice(self.head.as_slice());
        out.extend_from_slice(&self.length.to_be_bytes());
        self.chunks.iter().for_each(|hash| out.extend_from_slice(hash.as_slice()));
        out
    }

    /// Strict; None for anything else, also when length and number of chunks do not fit.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (fixed, hashes) = bytes.split_at_checked(FIXED)?;
        let number = |at: usize| fixed.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let length = number(72)?;
        let count = hashes.len() / 32;
        let fits = hashes.len() == 32 * count
            && (1..=MAX_CHUNKS).contains(&count)
            && usize::try_from(length.div_ceil(CHUNK as u64)) == Ok(count);
        fits.then(|| Self {
            genesis: B256::from_slice(&fixed[..32]),
            chain_height: number(32).unwrap_or_default(),
            head: B256::from_slice(&fixed[40..72]),
            length,
            chunks: hashes.chunks_exact(32).map(B256::from_slice).collect(),
        })
    }

    /// Bytes of the chunk at `index`.
    pub fn chunk_length(&self, index: usize) -> usize {
        let before = index as u64 * CHUNK as u64;
        usize::try_from(self.length.saturating_sub(before)).unwrap_or(usize::MAX).min(CHUNK)
    }
}
