//! How transactions come in, and how CometBFT hears of them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, keccak256};
use tendermint_proto::v0_38::abci::{RequestCheckTx, ResponseCheckTx};

use super::app::{Application, REFUSED, lock};
use super::bell::BELL;
use super::handover::Commit;
use super::pool::Reason;
use crate::chain::rules::next_nonce;
use crate::chain::tx::Transaction;
use crate::error::{Class, Error};

/// A transaction's hash, and why it does not wait here.
pub type Taken = (B256, Result<(), Error>);

impl Application {
    /// Take transactions in; one answer each, in order. `own`: from this member's own people and programs, and not from
    /// another member's node. Errors: `tx.*`.
    pub fn hand_in<R: AsRef<[u8]> + Sync>(&self, raws: &[R], own: bool) -> Vec<Taken> {
        let opened = self.chain.open_all(raws);
        let mut pool = lock(&self.pool);
        // Under the pool's lock: a block that comes now finds here what it uses up.
        let (head, was_ready) = (self.chain.head(), pool.ready());
        let mut enter = |(tx, from): (Arc<Transaction>, Address)| {
            let standing = self.chain.standing(&head, from);
            self.chain.judge_waiting(&head, &standing, &tx, from)?;
            pool.enter(tx, from, standing.next(), own)
        };
        let taken: Vec<Taken> = raws
            .iter()
            .zip(opened)
            .map(|(raw, opened)| match opened {
                Ok((tx, from)) => (tx.hash, enter((tx, from))),
                Err(error) => (keccak256(raw.as_ref()), Err(error)),
            })
            .collect();
        let woken = pool.ready() && (!was_ready || pool.bell.due_in().is_zero());
        drop(pool);
        if woken {
            self.wanted.notify_all();
        }
        self.stats.handed_in.add(taken.len());
        self.stats.handed_in_refused.add(taken.iter().filter(|(_, answer)| answer.is_err()).count());
        taken
    }

    /// Wait until CometBFT has to be handed the bell; false after the timeout, and at once when closed.
    pub fn next_bell(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut pool = lock(&self.pool);
        loop {
            let now = Instant::now();
            if now >= deadline || self.closed.load(Ordering::Acquire) {
                return false;
            }
            let mut wait = deadline - now;
            if pool.ready() {
                let due = pool.bell.due_in();
                if due.is_zero() {
                    pool.bell.told(true);
                    self.stats.bells.add(1);
                    return true;
                }
                wait = wait.min(due);
            }
            (pool, _) = self.wanted.wait_timeout(pool, wait).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Why each of these transactions had to leave the pool, by hash.
    pub fn reasons(&self, hashes: &[B256]) -> Vec<Option<Reason>> {
        let pool = lock(&self.pool);
        hashes.iter().map(|hash| pool.reason(hash)).collect()
    }

    /// (transactions, their bytes) that wait, and whether the next block can hold any of them.
    pub fn waiting(&self) -> (usize, usize, bool) {
        let pool = lock(&self.pool);
        let (transactions, bytes) = pool.size();
        (transactions, bytes, pool.ready())
    }

    /// A waiting transaction by hash.
    pub fn find(&self, hash: &B256) -> Option<Arc<Transaction>> {
        lock(&self.pool).find(hash)
    }

    /// What was handed in here as its own and waits for at least `age`.
    pub fn own(&self, age: Duration) -> Vec<Arc<Transaction>> {
        lock(&self.pool).own(age)
    }

    /// The first nonce of an account that neither a block nor a waiting transaction uses.
    pub fn pending_nonce(&self, from: &Address) -> u64 {
        let pool = lock(&self.pool);
        pool.next_nonce(from, next_nonce(&self.chain.head().state, *from))
    }

    /// The head has moved.
    pub(super) fn settle(&self, commit: &Commit) {
        let mut pool = lock(&self.pool);
        let dropped = pool.settle(&self.chain, commit.block.as_deref(), &commit.refused);
        self.stats.dropped.add(dropped);
        pool.bell.moved();
        drop(pool);
        self.wanted.notify_all();
    }

    /// CometBFT's own mempool holds the bell while something is ready, and nothing else ever.
    pub(super) fn check_tx(&self, request: &RequestCheckTx) -> ResponseCheckTx {
        if request.tx != BELL {
            self.stats.check_tx_refused.add(1);
            let error = Error::new(Class::NotAllowed, "tx.not-here", "transactions are not given to CometBFT")
                .hint("give it to a member's node: its JSON-RPC, gRPC or command line");
            return refusal(error);
        }
        let mut pool = lock(&self.pool);
        let hangs = pool.ready();
        pool.bell.told(hangs);
        drop(pool);
        if hangs {
            return ResponseCheckTx::default();
        }
        self.stats.bells_refused.add(1);
        refusal(Error::new(Class::Conflict, "tx.none-wait", "nothing waits that the next block can hold"))
    }
}

fn refusal(error: Error) -> ResponseCheckTx {
    ResponseCheckTx {
        code: REFUSED,
        log: error.message,
        info: error.hint,
        codespace: error.code.to_owned(),
        ..ResponseCheckTx::default()
    }
}
