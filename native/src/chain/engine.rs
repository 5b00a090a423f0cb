//! The chain itself: the head, the states of the proof window, one pending block.
//!
//! Readers take a snapshot and never wait for a block; one writer at a time executes, verifies or commits. Nothing is
//! written to disk here: a block carries the rows to store, and becomes the head by `commit` once they are stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use alloy_primitives::{Address, B256};
use rayon::prelude::*;

use super::block::{Frame, Included, Sealed, first_difference, seal};
use super::evm::Machine;
use super::rules::{self, Judge, Limits, block_full, judge_alone, judge_nonce};
use super::senders::Senders;
use super::state::State;
use super::store::{Loader, Write, block_rows, forget_row, genesis_row};
use super::tx::Transaction;
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
    senders: Senders,
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

    /// Decode and recover, once per transaction while it waits.
    fn open(&self, raw: &[u8]) -> Result<(Transaction, Address), Error> {
        let tx = Transaction::decode(raw, self.limits.tx_bytes)?;
        let from = match self.senders.get(&tx.hash) {
            Some(known) => known,
            None => {
                let recovered = tx.recover()?;
                self.senders.put(tx.hash, recovered);
                recovered
            }
        };
        Ok((tx, from))
    }

    /// Admission on the committed state: (hash, sender, nonce). Errors: `tx.*`.
    pub fn check_tx(&self, raw: &[u8]) -> Result<(B256, Address, u64), Error> {
        let (tx, from) = self.open(raw)?;
        let head = self.head();
        judge_alone(&head.state, &self.limits, &tx, from)?;
        judge_nonce(&head.state, &tx, from)?;
        Ok((tx.hash, from, tx.nonce))
    }

    /// Make a pending block of what is valid; None when nothing is. Errors: `block.consensus-height`.
    pub fn execute<R: AsRef<[u8]> + Sync>(
        &self,
        raws: &[R],
        time_ms: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Option<Arc<Executed>>, Error> {
        let _writer = self.lock();
        let head = self.head();
        if consensus_height <= head.sealed.consensus_height() {
            let error = fail::invalid("block.consensus-height", "the consensus height must grow with every block");
            return Err(error.values(head.sealed.consensus_height() + 1, consensus_height));
        }
        let timestamp = (time_ms / 1000).max(head.sealed.header.timestamp);
        self.build(&head, raws, timestamp, consensus_height, cap)
    }

    /// Re-execute a foreign block into pending. Errors: `block.*`, naming what differs first.
    pub fn verify_block<R: AsRef<[u8]> + Sync>(&self, header: &[u8], raws: &[R]) -> Result<Arc<Executed>, Error> {
        let _writer = self.lock();
        let head = self.head();
        let theirs = Sealed::decode(header).map_err(|error| fail::untrusted_plain("block.header", error.message))?;
        let parent = &head.sealed;
        let agree = |code, what: &str, expected: &dyn ToString, actual: &dyn ToString, holds: bool| {
            if holds {
                return Ok(());
            }
            Err(fail::untrusted(
                code,
                &format!("the block's {what} does not fit our head"),
                expected.to_string(),
                actual.to_string(),
            ))
        };
        let (ours, next) = (parent.header.number + 1, &theirs.header);
        agree("block.height", "number", &ours, &next.number, next.number == ours)?;
        agree("block.parent", "parent hash", &parent.hash, &next.parent_hash, next.parent_hash == parent.hash)?;
        let least = parent.header.timestamp;
        agree("block.time", "time", &least, &next.timestamp, next.timestamp >= least)?;
        let (before, height) = (parent.consensus_height(), theirs.consensus_height());
        agree("block.consensus-height", "consensus height", &(before + 1), &height, height > before)?;
        if raws.is_empty() {
            return Err(fail::untrusted_plain("block.empty", "a block without transactions is never made"));
        }
        let built = self.build(&head, raws, next.timestamp, height, usize::MAX)?;
        let refused = built.as_ref().and_then(|block| block.refused.first());
        let Some(block) = built.as_ref().filter(|_| refused.is_none()) else {
            self.drop_pending();
            let why = match refused {
                Some((index, error)) => format!("transaction {index} is not valid: {} [{}]", error.message, error.code),
                None => "none of its transactions is valid".into(),
            };
            return Err(fail::untrusted_plain("block.transaction", why));
        };
        if let Some((code, field, expected, actual)) = first_difference(&block.sealed.header, &theirs.header) {
            self.drop_pending();
            let message = format!("the block's {field} is not what its transactions give");
            return Err(fail::untrusted(code, &message, expected, actual));
        }
        if block.sealed.hash != theirs.hash {
            self.drop_pending();
            return Err(fail::untrusted("block.hash", "the block's hash differs", block.sealed.hash, theirs.hash));
        }
        Ok(Arc::clone(block))
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

    fn build<R: AsRef<[u8]> + Sync>(
        &self,
        head: &Snapshot,
        raws: &[R],
        timestamp: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Option<Arc<Executed>>, Error> {
        self.drop_pending();
        let opened: Vec<_> = raws.par_iter().map(|raw| self.open(raw.as_ref())).collect();
        let frame = Frame {
            parent: head.sealed.hash,
            number: head.sealed.header.number + 1,
            timestamp,
            gas_limit: self.limits.block_gas,
            consensus_height,
        };
        let context = seal(frame, B256::ZERO, &[]).context(self.limits.chain_id);
        let hashes = |number| self.hash_at(number);
        let mut machine = Machine::new(&head.state, context, &hashes);
        let mut judge = Judge::new(&head.state, &self.limits);
        let (mut included, mut refused, mut gas) = (Vec::new(), Vec::new(), 0_u64);
        for (index, opened) in opened.into_iter().enumerate() {
            let judged = opened.and_then(|(tx, from)| {
                if included.len() >= cap {
                    return Err(block_full());
                }
                judge.admit(&tx, from).map(|()| (tx, from))
            });
            let (tx, from) = match judged {
                Ok(admitted) => admitted,
                Err(error) => {
                    refused.push((index, error));
                    continue;
                }
            };
            match machine.transact(&tx.request(from)).map_err(rules::rejected) {
                Ok(outcome) => {
                    gas += outcome.gas_used;
                    included.push(Included { tx, from, outcome, cumulative_gas: gas });
                }
                Err(error) if error.class == Class::Fatal => return Err(error),
                Err(error) => {
                    judge.withdraw(&tx, from);
                    refused.push((index, error));
                }
            }
        }
        if included.is_empty() {
            return Ok(None);
        }
        let changes = machine.finish();
        let mut state = head.state.clone();
        let undo = state.apply(&changes);
        let sealed = seal(frame, state.root(), &included);
        let mut writes = block_rows(&sealed, &state, &changes, &undo);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let leaves = |old: &&Arc<Snapshot>| {
            let old = &old.sealed.header;
            old.number + WINDOW_BLOCKS < frame.number && old.timestamp + WINDOW_SECONDS < timestamp
        };
        let expired: Vec<_> = inner.window.iter().take_while(leaves).map(|old| old.sealed.header.number).collect();
        writes.extend(expired.iter().map(|height| forget_row(*height)));
        let snapshot = Arc::new(Snapshot { sealed: sealed.clone(), state });
        inner.pending = Some(Pending { snapshot, expired: expired.len() });
        drop(inner);
        Ok(Some(Arc::new(Executed { sealed, included, refused, writes })))
    }

    fn drop_pending(&self) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let dropped = inner.pending.take();
        drop(inner);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
