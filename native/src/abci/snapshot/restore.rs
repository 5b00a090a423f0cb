//! Taking a snapshot from others. Every chunk is checked when it comes; the state is believed only when its root is the one
//! in a header whose hash is the app hash that CometBFT's light client verified.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

use super::Metadata;
use crate::chain::engine::Chain;
use crate::chain::store::{Entry, Loader};

/// A snapshot on its way in. It is held in memory, as the state will be.
pub struct Restore {
    /// Consensus height.
    pub height: u64,
    metadata: Metadata,
    hash: B256,
    app_hash: B256,
    /// The chunk that is next.
    next: usize,
    whole: Sha256,
    /// The beginning of a row whose end is in the next chunk.
    tail: Vec<u8>,
    loader: Loader,
    rows: Vec<Entry>,
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// More to come.
    Next,
    /// It was the last.
    Last,
    /// Not what the metadata say: ask another for it.
    Wrong,
    /// Not the one that is next.
    OutOfOrder,
    /// The chunks are as announced, and hold no rows.
    Broken,
}

impl Restore {
    /// None when the metadata are not of our network, or do not name the app hash of the height.
    pub fn begin(height: u64, hash: &[u8], metadata: &[u8], genesis: B256, app_hash: &[u8]) -> Option<Self> {
        let metadata = Metadata::decode(metadata)?;
        let (hash, app_hash) = (B256::try_from(hash).ok()?, B256::try_from(app_hash).ok()?);
        if metadata.genesis != genesis || metadata.head != app_hash || height == 0 {
            return None;
        }
        Some(Self {
            height,
            metadata,
            hash,
            app_hash,
            next: 0,
            whole: Sha256::new(),
            tail: Vec::new(),
            loader: Loader::default(),
            rows: Vec::new(),
        })
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        self.metadata.chunks.len()
    }

    /// Take the next chunk.
    pub fn take(&mut self, index: usize, chunk: &[u8]) -> Taken {
        if index != self.next {
            return Taken::OutOfOrder;
        }
        let fits = chunk.len() == self.metadata.chunk_length(index);
        if !fits || B256::from_slice(&Sha256::digest(chunk)) != self.metadata.chunks[index] {
            return Taken::Wrong;
        }
        self.next += 1;
        self.whole.update(chunk);
        self.tail.extend_from_slice(chunk);
        if self.read_rows().is_none() {
            return Taken::Broken;
        }
        if self.next < self.chunks() { Taken::Next } else { Taken::Last }
    }

    fn read_rows(&mut self) -> Option<()> {
        let mut rest = &self.tail[..];
        while let Some((key, value, after)) = row(rest) {
            self.loader.row(key, value).ok()?;
            self.rows.push((key.to_vec(), value.to_vec()));
            rest = after;
        }
        self.tail = rest.to_vec();
        Some(())
    }

    /// All chunks are in: the chain at the snapshot's head and its rows. None when it is not what the app hash names.
    pub fn finish(self, genesis: &[u8]) -> Option<(Chain, Vec<Entry>)> {
        if !self.tail.is_empty() || B256::from_slice(&self.whole.finalize()) != self.hash {
            return None;
        }
        // Recomputes the root of every state in the window.
        let chain = Chain::load(genesis, self.loader).ok()?;
        let head = &chain.head().sealed;
        let right = head.hash == self.app_hash
            && head.header.number == self.metadata.chain_height
            && head.consensus_height() <= self.height;
        right.then_some((chain, self.rows))
    }
}

/// (key, value, what follows); None when the bytes end before the row does.
fn row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key_length, rest) = bytes.split_first()?;
    let (value_length, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*value_length)).ok()?)?;
    Some((key, value, rest))
}
