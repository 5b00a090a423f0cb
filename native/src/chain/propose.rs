//! Proposals of a BFT network: what a proposer chooses, and what the others judge, both without executing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::{Address, B256};

use super::consortium::check_version;
use super::engine::Chain;
use super::known::Entry;
use super::rules::{Judge, member_of};
use super::tx::Transaction;
use crate::error::Error;

/// Transactions of a proposal that are decoded together before they are judged.
const CHUNK: usize = 256;

impl Chain {
    /// Whether this code may make the block after the head. Errors: `chain.version`.
    pub fn check_next_version(&self) -> Result<(), Error> {
        let head = self.head();
        check_version(&head.state, head.sealed.header.number + 1)
    }

    /// What goes into the next block, in its order, of each sender's transactions by nonce: contiguous runs, one by one
    /// in turn by member, `most` at most, as long as the rules admit it and the sum of `size` of the transactions' lengths stays within
    /// `room`. The members' turns start with another one for every `turn`.
    pub fn choose(
        &self,
        runs: Vec<(Address, Vec<Arc<Transaction>>)>,
        most: usize,
        room: usize,
        size: impl Fn(usize) -> usize,
        turn: u64,
    ) -> Vec<Arc<Transaction>> {
        let head = self.head();
        let mut queues: BTreeMap<B256, BTreeMap<(Address, u64), Arc<Transaction>>> = BTreeMap::new();
        for (from, run) in runs {
            let Some(member) = member_of(&head.state, from) else { continue };
            queues.entry(member).or_default().extend(run.into_iter().map(|tx| ((from, tx.nonce), tx)));
        }
        let mut turns: VecDeque<_> = queues.into_values().map(BTreeMap::into_iter).collect();
        if !turns.is_empty() {
            turns.rotate_left((turn % turns.len() as u64) as usize);
        }
        let mut judge = Judge::new(&head.state, self.limits());
        let (mut chosen, mut used) = (Vec::new(), 0_usize);
        while chosen.len() < most
            && let Some(mut queue) = turns.pop_front()
        {
            // What is not admitted is passed over: later nonces of its sender are then ahead, and not admitted either.
            while let Some(((from, _), tx)) = queue.next() {
                let after = used.saturating_add(size(tx.raw.len()));
                if after <= room && judge.admit(&tx, from).is_ok() {
                    used = after;
                    chosen.push(tx);
                    turns.push_back(queue);
                    break;
                }
            }
        }
        chosen
    }

    /// Judge all transactions of a proposal on the parent's state, in order; what they are. Errors: index and `tx.*` of
    /// the first that breaks a rule.
    pub fn judge_all<R: AsRef<[u8]> + Sync>(&self, raws: &[R]) -> Result<Vec<Entry>, (usize, Error)> {
        let head = self.head();
        let mut judge = Judge::new(&head.state, self.limits());
        let mut entries = Vec::new();
        // Few at a time: of millions of wrong ones the first is enough.
        for (chunk, few) in raws.chunks(CHUNK).enumerate() {
            for (index, opened) in self.open_all(few).into_iter().enumerate() {
                let judged = opened.and_then(|(tx, from)| judge.admit(&tx, from).map(|()| (tx, from)));
                entries.push(judged.map_err(|error| (chunk * CHUNK + index, error))?);
            }
        }
        Ok(entries)
    }
}
