//! The chain itself: the head, the states of the proof window, one pending block.
//!
//! Readers take a snapshot and never wait for a block; one writer at a time executes, verifies or commits. Nothing is
//! written to disk here: a block carries the rows to store, and becomes the head by `commit` once they are stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use alloy_primitives::B256;

use super::block::{Included, Sealed};
use super::known::Known;
use super::rules::Limits;
use super::standing::Standings;
use super::store::{Loader, Write, block_rows, forget_row, genesis_row};
use super::window::{Held, Snapshot, Step, Window};
use super::{fail, genesis, recovery};
use crate::error::{Class, Error};

/// An executed block, without its state.
pub struct Executed {
    /// Header.
    pub sealed: Arc<Sealed>,
    /// Transactions with their outcomes, in order.
    pub included: Vec<Included>,
    /// Index in the input and why it was left out.
    pub refused: Vec<(usize, Error)>,
    /// Rows to store before `commit`.
    pub writes: Vec<Write>,
}

struct Pending {
    block: Held,
    /// States that leave the window when it becomes the head.
    leaving: usize,
}

struct Inner {
    window: Window,
    pending: Option<Pending>,
}

/// The chain state machine.
pub struct Chain {
    genesis_digest: B256,
    limits: Limits,
    inner: RwLock<Inner>,
    /// Held while a block is made or committed.
    writer: Mutex<()>,
    pub(super) known: Known,
    pub(super) standings: Standings,
}

impl Chain {
    /// The chain at block 0, and the rows to store. Errors: `genesis.*`.
    pub fn genesis(file: &[u8]) -> Result<(Self, Vec<Write>), Error> {
        let made = genesis::run(file)?;
        let mut rows = vec![genesis_row(&made.digest)];
        rows.extend(block_rows(&made.sealed, &made.state, &made.changes, &made.undo));
        let window = Window::new(Arc::new(made.sealed), made.state, made.undo);
        Ok((Self::at(made.digest, made.limits, window), rows))
    }

    /// Rebuild from stored rows. Errors: `chain.row`, `chain.genesis-mismatch`, `chain.root-mismatch`.
    pub fn load(file: &[u8], loader: Loader) -> Result<Self, Error> {
        let (digest, limits) = genesis::read_limits(file)?;
        Self::rebuild(digest, limits, loader)
    }

    fn rebuild(digest: B256, limits: Limits, loader: Loader) -> Result<Self, Error> {
        let stored = loader.finish(&digest)?;
        let mut window: Option<Window> = None;
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
                let number = sealed.header.number;
                return Err(fail::fatal(
                    "chain.root-mismatch",
                    format!("the stored state does not hash to the state root of block {number}"),
                )
                .values(sealed.header.state_root, root));
            }
            hash = sealed.header.parent_hash;
            let mut before = state.clone();
            before.revert(&undo);
            match &mut window {
                Some(window) => window.push_front(Arc::new(sealed), state, undo),
                None => window = Some(Window::new(Arc::new(sealed), state, undo)),
            }
            state = before;
        }
        let window = window.ok_or_else(|| fail::fatal("chain.row", "the stored chain holds no block"))?;
        Ok(Self::at(digest, limits, window))
    }

    /// Go on from the stored rows of the chain before, under the genesis file of a recovered city: the head is then the
    /// block that changes the validators, and the rows to store are given. Errors: `genesis.*`, `recovery.*`,
    /// `chain.row`, `chain.root-mismatch`.
    pub fn recovered(file: &[u8], loader: Loader) -> Result<(Self, Vec<Write>), Error> {
        let next = genesis::continuation(file)?;
        let before = Self::rebuild(next.chain, next.limits, loader)?;
        let mut window = before.inner.into_inner().unwrap_or_else(PoisonError::into_inner).window;
        let made = recovery::recover(&next, window.head())?;
        let mut rows = vec![genesis_row(&next.digest)];
        rows.extend(block_rows(&made.sealed, &made.state, &made.changes, &made.undo));
        let leaving = window.leaving(&made.sealed.header);
        let count = leaving.len();
        rows.extend(leaving.into_iter().map(forget_row));
        drop(window.push(Held::new(Arc::new(made.sealed), made.state, made.undo), count));
        Ok((Self::at(next.digest, next.limits, window), rows))
    }

    fn at(genesis_digest: B256, limits: Limits, window: Window) -> Self {
        let inner = RwLock::new(Inner { window, pending: None });
        let (known, standings) = (Known::default(), Standings::default());
        Self { genesis_digest, limits, inner, writer: Mutex::new(()), known, standings }
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
        Arc::clone(self.read().window.head())
    }

    /// Height of the oldest state that can be asked for.
    pub fn oldest(&self) -> u64 {
        self.read().window.oldest()
    }

    /// The block at a height, the head for None. Errors: `proof.window`, `chain.height`.
    pub fn at_height(&self, height: Option<u64>) -> Result<Arc<Snapshot>, Error> {
        let Some(height) = height else { return Ok(self.head()) };
        let path = self.read().window.path(height)?;
        // Walked outside the lock: readers of the head need not wait for it.
        Ok(path.walk())
    }

    /// Hash of the block at a height inside the window.
    pub fn hash_at(&self, height: u64) -> Option<B256> {
        self.read().window.hash(height)
    }

    /// The head, with the headers and ways back of the newest `count` blocks, ascending.
    pub(super) fn newest(&self, count: usize) -> (Arc<Snapshot>, Vec<Step>) {
        let inner = self.read();
        (Arc::clone(inner.window.head()), inner.window.newest(count))
    }

    /// The pending block with its state.
    pub fn pending(&self) -> Option<Arc<Snapshot>> {
        self.read().pending.as_ref().and_then(|pending| pending.block.whole())
    }

    /// Continue from another chain's states; nothing is pending then.
    pub(super) fn replace(&self, other: Self) {
        let _writer = self.lock();
        let theirs = other.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.write();
        let ours = std::mem::replace(&mut *inner, theirs);
        drop(inner);
        drop(ours);
    }

    /// The pending block becomes the head. Errors: `chain.no-pending`.
    pub fn commit(&self) -> Result<(), Error> {
        let _writer = self.lock();
        let mut inner = self.write();
        let pending = inner
            .pending
            .take()
            .ok_or_else(|| Error::new(Class::Conflict, "chain.no-pending", "there is no pending block to commit"))?;
        let gone = inner.window.push(pending.block, pending.leaving);
        // Freed outside the lock: readers need not wait for it.
        drop(inner);
        drop(gone);
        Ok(())
    }

    /// Keep a block until it is committed or replaced; the rows that then leave the window are deleted with it.
    pub(super) fn set_pending(&self, block: Held) -> Vec<Write> {
        let mut inner = self.write();
        let leaving = inner.window.leaving(block.header());
        inner.pending = Some(Pending { block, leaving: leaving.len() });
        leaving.into_iter().map(forget_row).collect()
    }

    /// Forget the pending block.
    pub fn drop_pending(&self) {
        let mut inner = self.write();
        let dropped = inner.pending.take();
        drop(inner);
        drop(dropped);
    }

    /// The one writer's lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
