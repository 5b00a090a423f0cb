//! What CometBFT's mempool holds of each sender: one transaction per nonce, so no more than the nonce window.
//!
//! CometBFT does not say what it drops. But after every Commit it checks all it still has again, before anything new: what
//! was not checked since then is gone, and its place is free.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256};

use crate::chain::rules::NONCE_WINDOW;
use crate::error::{Class, Error};

/// Transactions waiting, by sender and nonce.
#[derive(Default)]
pub struct Pool {
    /// Commits so far.
    generation: u64,
    senders: HashMap<Address, BTreeMap<u64, Place>>,
    /// Why transactions were refused; the older ones are forgotten when the young are many.
    refused: HashMap<B256, Reason>,
    refused_before: HashMap<B256, Reason>,
}

/// Code and message of a refusal.
pub type Reason = (&'static str, String);

/// Refusals remembered at least, and at most twice.
const REFUSALS: usize = 10_000;

struct Place {
    hash: B256,
    /// When it was last checked.
    generation: u64,
}

impl Pool {
    /// A Commit: everything has to be checked again to stay.
    pub fn advance(&mut self) {
        self.generation += 1;
        // Bounds what senders leave behind that never send again.
        let oldest = self.generation.saturating_sub(2);
        self.senders.retain(|_, places| {
            places.retain(|_, place| place.generation >= oldest);
            !places.is_empty()
        });
    }

    /// CometBFT starts: its mempool is empty.
    pub fn clear(&mut self) {
        self.senders.clear();
    }

    /// A transaction that the rules admit. Errors: `tx.nonce-taken`, `tx.pool-full`.
    pub fn enter(&mut self, from: Address, nonce: u64, hash: B256, again: bool) -> Result<(), Error> {
        let generation = self.generation;
        let places = self.senders.entry(from).or_default();
        if !again {
            places.retain(|_, place| place.generation == generation);
            match places.get(&nonce) {
                // Price is 0 for everybody, so there is no bid by which a second one could win: the first stays.
                Some(first) if first.hash != hash => {
                    let error = Error::new(
                        Class::Conflict,
                        "tx.nonce-taken",
                        format!("nonce {nonce} is taken by transaction {}", first.hash),
                    );
                    return Err(
                        error.hint("another transaction with this nonce waits for its block; use the next nonce")
                    );
                }
                None if places.len() as u64 > NONCE_WINDOW => {
                    return Err(Error::new(
                        Class::Unavailable,
                        "tx.pool-full",
                        "too many transactions of this sender wait",
                    )
                    .hint("wait for the next blocks and send again"));
                }
                _ => {}
            }
        }
        places.insert(nonce, Place { hash, generation });
        self.refused.remove(&hash);
        self.refused_before.remove(&hash);
        Ok(())
    }

    /// Remember why a transaction was refused.
    pub fn refuse(&mut self, hash: B256, error: &Error) {
        if self.refused.len() >= REFUSALS {
            self.refused_before = std::mem::take(&mut self.refused);
        }
        self.refused.insert(hash, (error.code, error.message.clone()));
    }

    /// Why a transaction was last refused; None when it was not, was admitted since, or it is long ago.
    pub fn refusal(&self, hash: &B256) -> Option<Reason> {
        self.refused.get(hash).or_else(|| self.refused_before.get(hash)).cloned()
    }

    /// A waiting transaction that the rules no longer admit.
    pub fn leave(&mut self, hash: &B256) {
        self.senders.retain(|_, places| {
            places.retain(|_, place| place.hash != *hash);
            !places.is_empty()
        });
    }
}
