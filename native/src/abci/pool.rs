//! What waits for a block at this node: transactions that the rules admit, by sender and nonce, opened once.
//!
//! Proposals are made from here. CometBFT's own mempool holds nothing but the bell (`bell`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};

use super::bell::Bell;
use crate::chain::engine::{Chain, Executed};
use crate::chain::rules::NONCE_WINDOW;
use crate::chain::tx::Transaction;
use crate::error::{Class, Error};

/// Transactions that wait at most, of all senders; each sender's next one beyond it.
pub const MAX_TRANSACTIONS: usize = 20_000;
/// Their bytes at most.
pub const MAX_BYTES: usize = 64 << 20;
/// Reasons remembered at least, and at most twice as many.
const REASONS: usize = 10_000;
/// Left out of one block, welcome in a later one.
const STAYS: [&str; 3] = ["tx.gas-share", "tx.block-full", "tx.nonce-gap"];

/// Code and message of a refusal.
pub type Reason = (&'static str, String);

/// Transactions that wait, and why others no longer do.
#[derive(Default)]
pub struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Place>>,
    by_hash: HashMap<B256, (Address, u64)>,
    bytes: usize,
    /// Something waits that the next block can hold.
    ready: bool,
    /// Why transactions had to leave; the older ones are forgotten when the young are many.
    reasons: HashMap<B256, Reason>,
    reasons_before: HashMap<B256, Reason>,
    /// Whether CometBFT was told that something is ready.
    pub bell: Bell,
}

struct Place {
    tx: Arc<Transaction>,
    /// Handed in here and not by another member's node.
    own: bool,
    since: Instant,
}

impl Pool {
    /// Keep a transaction that the rules admit; `next` is the nonce its sender uses next. The same one again changes
    /// nothing. Errors: `tx.nonce-taken`, `tx.pool-full`.
    pub fn enter(&mut self, tx: Arc<Transaction>, from: Address, next: u64, own: bool) -> Result<(), Error> {
        let (nonce, hash, size) = (tx.nonce, tx.hash, tx.raw.len());
        let all_full = self.by_hash.len() >= MAX_TRANSACTIONS || self.bytes + size > MAX_BYTES;
        let places = self.senders.entry(from).or_default();
        // What its sender uses next finds a place even then, one of each member: whoever fills the pool with what no block
        // can hold yet would keep everybody's out for ever.
        let full = (all_full && nonce != next) || places.len() as u64 > NONCE_WINDOW;
        let entered = match places.entry(nonce) {
            Entry::Occupied(mut taken) if taken.get().tx.hash == hash => {
                taken.get_mut().own |= own;
                Ok(())
            }
            // Price is 0 for everybody, so there is no bid by which a second one could win: the first stays.
            Entry::Occupied(taken) => {
                let first = taken.get().tx.hash;
                let error = Error::new(
                    Class::Conflict,
                    "tx.nonce-taken",
                    format!("nonce {nonce} is taken by transaction {first}"),
                );
                Err(error.hint("another transaction with this nonce waits for its block; use the next nonce"))
            }
            Entry::Vacant(_) if full => {
                Err(Error::new(Class::Unavailable, "tx.pool-full", "too many transactions wait already")
                    .hint("wait for the next blocks and send again"))
            }
            Entry::Vacant(place) => {
                place.insert(Place { tx, own, since: Instant::now() });
                self.by_hash.insert(hash, (from, nonce));
                self.bytes += size;
                self.ready |= nonce == next;
                self.reasons.remove(&hash);
                self.reasons_before.remove(&hash);
                Ok(())
            }
        };
        if self.senders.get(&from).is_some_and(BTreeMap::is_empty) {
            self.senders.remove(&from);
        }
        entered
    }

    /// After a Commit: what its block holds goes, and what the rules no longer admit goes with its reason remembered; how
    /// many of those there were.
    pub fn settle(&mut self, chain: &Chain, block: Option<&Executed>, refused: &[(B256, Error)]) -> usize {
        for included in block.map_or(&[][..], |block| &block.included) {
            self.remove(&included.tx.hash);
        }
        let leaves = |(_, error): &&(B256, Error)| !STAYS.contains(&error.code);
        let mut gone: Vec<_> = refused.iter().filter(leaves).filter(|(hash, _)| self.remove(hash)).cloned().collect();
        let head = chain.head();
        self.ready = false;
        for (from, places) in &self.senders {
            let standing = chain.standing(&head, *from);
            for (nonce, place) in places {
                match chain.judge_waiting(&head, &standing, &place.tx, *from) {
                    Ok(()) => self.ready |= *nonce == standing.next(),
                    Err(error) => gone.push((place.tx.hash, error)),
                }
            }
        }
        for (hash, error) in &gone {
            self.remove(hash);
            self.remember(*hash, error);
        }
        gone.len()
    }

    /// What may go into the next block: each sender's transactions in the order of their nonces.
    pub fn runs(&self) -> Vec<(Address, Vec<Arc<Transaction>>)> {
        let run = |places: &BTreeMap<u64, Place>| places.values().map(|place| Arc::clone(&place.tx)).collect();
        self.senders.iter().map(|(from, places)| (*from, run(places))).collect()
    }

    /// Whether something waits that the next block can hold.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// (transactions, their bytes) that wait.
    pub fn size(&self) -> (usize, usize) {
        (self.by_hash.len(), self.bytes)
    }

    /// The first nonce from `next` on that nothing of this sender waits with.
    pub fn next_nonce(&self, from: &Address, next: u64) -> u64 {
        let places = self.senders.get(from);
        (next..).find(|nonce| places.is_none_or(|places| !places.contains_key(nonce))).unwrap_or(u64::MAX)
    }

    /// A waiting transaction.
    pub fn find(&self, hash: &B256) -> Option<Arc<Transaction>> {
        let (from, nonce) = self.by_hash.get(hash)?;
        Some(Arc::clone(&self.senders.get(from)?.get(nonce)?.tx))
    }

    /// What was handed in here and waits for at least `age`: each sender's in the order of their nonces.
    pub fn own(&self, age: Duration) -> Vec<Arc<Transaction>> {
        let old = |place: &&Place| place.own && place.since.elapsed() >= age;
        let of =
            |places: &BTreeMap<u64, Place>| places.values().filter(old).map(|p| Arc::clone(&p.tx)).collect::<Vec<_>>();
        self.senders.values().flat_map(of).collect()
    }

    /// Why a transaction had to leave; None when it had not, came back, or it is long ago.
    pub fn reason(&self, hash: &B256) -> Option<Reason> {
        self.reasons.get(hash).or_else(|| self.reasons_before.get(hash)).cloned()
    }

    fn remember(&mut self, hash: B256, error: &Error) {
        if self.reasons.len() >= REASONS {
            self.reasons_before = std::mem::take(&mut self.reasons);
        }
        self.reasons.insert(hash, (error.code, error.message.clone()));
    }

    fn remove(&mut self, hash: &B256) -> bool {
        let Some((from, nonce)) = self.by_hash.remove(hash) else { return false };
        let Some(places) = self.senders.get_mut(&from) else { return false };
        if let Some(place) = places.remove(&nonce) {
            self.bytes -= place.tx.raw.len();
        }
        if places.is_empty() {
            self.senders.remove(&from);
        }
        true
    }
}
