//! The chain itself: the head, the states of the proof window, one pending block.
//!
//! Readers take a snapshot and never wait for a block; one writer at a time executes, verifies or commits. Nothing is
//! written to disk here: a block carries the rows to store, and becomes the head by `commit` once they are stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use alloy_primitives::B256;

use super::block::{Included, Sealed};
use super::rules::Limits;
use super::senders::Senders;
use super::state::State;
use super::store::{Loader, Write, block_rows, forget_row, genesis_row};
use super::{fail, genesis};
use crate::error::{Class, Error};

/// Blocks whose state stays provable, at least.
pub const WINDOW_BLOCKS: u64 = 256;
/// Seconds for which a state stays provable, at least.
pub const WINDOW_SECONDS: u64 = 600;

/// A block with its state.
pub struct Snapshot {
    /// Header.
    pub sealed: Sealed,
    /// State after the block.
    pub state: State,
}

/// An executed block, without its state.
pub struct Executed {
    /// Header.
    pub sealed: Sealed,
    /// Transactions with their outcomes, in order.
    pub included: Vec<Included>,
    /// Index in the input and why it was left out.
    pub refused: Vec<(usize, Error)>,
    /// Rows to store before `commit`.
    pub writes: Vec<Write>,
}

struct Pending {
    snapshot: Arc<Snapshot>,
    /// States that leave the window when it becomes the head.
    expired: usize,
}

struct Inner {
    /// Ascending, without gaps; the last is the head. Never empty.
    window: VecDeque<Arc<Snapshot>>,
    pending: Option<Pending>,
}

/// The chain state machine.
pub struct Chain {
    genesis_digest: B256,
    limits: Limits,
    inner: RwLock<Inner>,
    /// Held while a block is made or committed.
    writer: Mutex<()>,
    pub(super) senders: Senders,
}

impl Chain {
    /// The chain at block 0, and the rows to store. Errors: `genesis.*`.
    pub fn genesis(file: &[u8]) -> Result<(Self, Vec<Write>), Error> {
        let made = genesis::run(file)?;
        let mut rows = vec![genesis_row(&made.digest)];
        rows.extend(block_rows(&made.sealed, &made.state, &made.changes, &made.undo));
        let first = Arc::new(Snapshot { sealed: made.sealed, state: made.state });
        Ok((Self::at(made.digest, made.limits, VecDeque::from([first])), rows))
    }

    /// Rebuild from stored rows. Errors: `chain.row`, `chain.genesis-mismatch`, `chain.root-mismatch`.
    pub fn load(file: &[u8], loader: Loader) -> Result<Self, Error> {
        let (digest, limits) = genesis::read_limits(file)?;
        let stored = loader.finish(&digest)?;
        let mut window = VecDeque::with_capacity(stored.window.len());
        let mut state = stored.state;
        let mut hash = stored.head_hash;
        // From the head backwards: every state must hash to the root its header names.
        for (sealed, undo) in stored.window.into_iter().rev() {
            if sealed.hash != hash {
                let error = fail::fatal("chain.row", "the stored headers do not follow each other");
                return Err(error.values(hash, sealed.hash));
            }
            let root = state.root();
            if root != sealed.header.state_root {
                let message = format!("the stored state does not hash to the root of block {}", sealed.header.number);
                return Err(fail::fatal("chain.root-mismatch", message).values(sealed.header.state_root, root));
            }
            hash = sealed.header.parent_hash;
            let mut before = state.clone();
            before.revert(&undo);
            window.push_front(Arc::new(Snapshot { sealed, state }));
            state = before;
        }
        Ok(Self::at(digest, limits, window))
    }

    fn at(genesis_digest: B256, limits: Limits, window: VecDeque<Arc<Snapshot>>) -> Self {
        let inner = RwLock::new(Inner { window, pending: None });
        Self { genesis_digest, limits, inner, writer: Mutex::new(()), senders: Senders::default() }
    }

    /// SHA-256 of the genesis file.
    pub fn genesis_digest(&self) -> B256 {
        self.genesis_digest
    }

    /// Limits of the network.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The head.
    pub fn head(&self) -> Arc<Snapshot> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&inner.window[inner.window.len() - 1])
    }

    /// Height of the oldest state held.
    pub fn oldest(&self) -> u64 {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.window[0].sealed.header.number
    }

    /// The block at a height, the head for None. Errors: `proof.window`, `chain.height`.
    pub fn at_height(&self, height: Option<u64>) -> Result<Arc<Snapshot>, Error> {
        let Some(height) = height else { return Ok(self.head()) };
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let oldest = inner.window[0].sealed.header.number;
        let newest = oldest + inner.window.len() as u64 - 1;
        if height > newest {
            let message = format!("block {height} does not exist yet; the head is block {newest}");
            return Err(Error::new(Class::NotFound, "chain.height", message));
        }
        if height < oldest {
            let message = format!("the state of block {height} is no longer held; the oldest held is block {oldest}");
            return Err(Error::new(Class::NotFound, "proof.window", message)
                .hint("take proofs while they are in the window, or use the ones kept with each anchor"));
        }
        Ok(Arc::clone(&inner.window[(height - oldest) as usize]))
    }

    /// Hash of the block at a height inside the window.
    pub fn hash_at(&self, height: u64) -> Option<B256> {
        self.at_height(Some(height)).ok().map(|snapshot| snapshot.sealed.hash)
    }

    /// The pending block becomes the head. Errors: `chain.no-pending`.
    pub fn commit(&self) -> Result<(), Error> {
        let _writer = self.lock();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let pending = inner
            .pending
            .take()
            .ok_or_else(|| Error::new(Class::Conflict, "chain.no-pending", "there is no pending block to commit"))?;
        inner.window.push_back(pending.snapshot);
        let expired: Vec<_> = inner.window.drain(..pending.expired).collect();
        // Freed outside the lock: readers need not wait for it.
        drop(inner);
        drop(expired);
        Ok(())
    }

    /// Keep a block until it is committed or replaced; the rows that then leave the window are deleted with it.
    pub(super) fn set_pending(&self, snapshot: Snapshot) -> Vec<Write> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let next = &snapshot.sealed.header;
        let leaves = |old: &&Arc<Snapshot>| {
            let old = &old.sealed.header;
            old.number + WINDOW_BLOCKS < next.number && old.timestamp + WINDOW_SECONDS < next.timestamp
        };
        let expired: Vec<_> = inner.window.iter().take_while(leaves).map(|old| old.sealed.header.number).collect();
        inner.pending = Some(Pending { snapshot: Arc::new(snapshot), expired: expired.len() });
        expired.into_iter().map(forget_row).collect()
    }

    /// Forget the pending block.
    pub(super) fn drop_pending(&self) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let dropped = inner.pending.take();
        drop(inner);
        drop(dropped);
    }

    /// The one writer's lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
