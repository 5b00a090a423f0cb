//! Proposals of a BFT network: what a proposer chooses, and what the others judge, both without executing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use alloy_primitives::{Address, B256};
use rayon::prelude::*;

use super::build::Opened;
use super::consortium::check_version;
use super::engine::Chain;
use super::rules::{Judge, member_of};
use crate::error::Error;

/// Transactions of a proposal that are decoded together before they are judged.
const CHUNK: usize = 256;

impl Chain {
    /// Whether this code may make the block after the head. Errors: `chain.version`.
    pub fn check_next_version(&self) -> Result<(), Error> {
        let head = self.head();
        check_version(&head.state, head.sealed.header.number + 1)
    }

    /// Indices of what goes into the next block, in its order: from each sender a contiguous run of nonces, one by one in
    /// turn by member, as long as the rules admit it and the sum of `size` of the transactions' lengths stays within
    /// `room`. The members' turns start with another one for every `turn`.
    pub fn choose<R: AsRef<[u8]> + Sync>(
        &self,
        raws: &[R],
        room: usize,
        size: impl Fn(usize) -> usize,
        turn: u64,
    ) -> Vec<usize> {
        let head = self.head();
        let opened = self.open_all(raws);
        let mut members: HashMap<Address, Option<B256>> = HashMap::new();
        let mut queues: BTreeMap<B256, BTreeMap<(Address, u64), usize>> = BTreeMap::new();
        for (index, entry) in opened.iter().enumerate() {
            let Ok((tx, from)) = entry else { continue };
            let member = members.entry(*from).or_insert_with(|| member_of(&head.state, *from));
            if let Some(member) = member {
                // Of two with one nonce the first that came stays.
                queues.entry(*member).or_default().entry((*from, tx.nonce)).or_insert(index);
            }
        }
        let mut turns: VecDeque<VecDeque<usize>> =
            queues.into_values().map(|queue| queue.into_values().collect()).collect();
        if !turns.is_empty() {
            turns.rotate_left((turn % turns.len() as u64) as usize);
        }
        let mut judge = Judge::new(&head.state, self.limits());
        let (mut chosen, mut used) = (Vec::new(), 0_usize);
        while let Some(mut queue) = turns.pop_front() {
            // What is not admitted is passed over: later nonces of its sender are then ahead, and not admitted either.
            while let Some(index) = queue.pop_front() {
                let Ok((tx, from)) = &opened[index] else { continue };
                let after = used.saturating_add(size(tx.raw.len()));
                if after <= room && judge.admit(tx, *from).is_ok() {
                    used = after;
                    chosen.push(index);
                    turns.push_back(queue);
                    break;
                }
            }
        }
        chosen
    }

    /// Judge all transactions of a proposal on the parent's state, in order. Errors: index and `tx.*` of the first that
    /// breaks a rule.
    pub fn judge_all<R: AsRef<[u8]> + Sync>(&self, raws: &[R]) -> Result<(), (usize, Error)> {
        let head = self.head();
        let mut judge = Judge::new(&head.state, self.limits());
        // Few at a time: of millions of wrong ones the first is enough.
        for (chunk, few) in raws.chunks(CHUNK).enumerate() {
            for (index, opened) in self.open_all(few).into_iter().enumerate() {
                opened.and_then(|(tx, from)| judge.admit(&tx, from)).map_err(|error| (chunk * CHUNK + index, error))?;
            }
        }
        Ok(())
    }

    fn open_all<R: AsRef<[u8]> + Sync>(&self, raws: &[R]) -> Vec<Opened> {
        raws.par_iter().map(|raw| self.open(raw.as_ref())).collect()
    }
}
