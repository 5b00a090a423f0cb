//! What admission knows of a sender, asked of the state once per block and sender.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256};

use super::rules::{Limits, judge_as, judge_nonce, member_of, member_share, next_nonce};
use super::state::State;
use super::tx::Transaction;
use super::window::Snapshot;
use crate::error::Error;

/// Senders remembered; strangers fill it in vain.
const MOST: usize = 4_096;

/// What the head's state says of a sender.
#[derive(Clone, Copy)]
pub struct Standing {
    member: Option<B256>,
    next: u64,
    share: u64,
}

impl Standing {
    fn of(head: &Snapshot, share: u64, from: Address) -> Self {
        Self { member: member_of(&head.state, from), next: next_nonce(&head.state, from), share }
    }

    /// The nonce the sender uses next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Admission: every rule that looks at one transaction, and a nonce that may wait. Errors: `tx.*`.
    pub fn judge(&self, state: &State, limits: &Limits, tx: &Transaction, from: Address) -> Result<(), Error> {
        judge_as(state, limits, self.share, tx, from, self.member)?;
        judge_nonce(tx, self.next)
    }
}

/// The standings at one head.
#[derive(Default)]
pub struct Standings(Mutex<AtHead>);

#[derive(Default)]
struct AtHead {
    head: B256,
    share: u64,
    senders: HashMap<Address, Standing>,
}

impl Standings {
    /// The standing of a sender at `head`.
    pub fn of(&self, head: &Snapshot, limits: &Limits, from: Address) -> Standing {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.head != head.sealed.hash {
            known.head = head.sealed.hash;
            known.share = member_share(&head.state, limits.block_gas);
            known.senders.clear();
        }
        let share = known.share;
        if known.senders.len() >= MOST && !known.senders.contains_key(&from) {
            known.senders.clear();
        }
        *known.senders.entry(from).or_insert_with(|| Standing::of(head, share, from))
    }
}
