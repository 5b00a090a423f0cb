//! The block that a recovered city goes on with: the state of the agreed head, with other validators.
//!
//! It has the next number and the head as its parent, no transaction, and consensus height 0, because the new network
//! counts from 1. It changes in the Consortium: `_members[..].validator`, `_inSet` (13) and `_setSize` (14). The journal of
//! changes has no entry for it, as it has none for founders: the new set is what it was before the first change.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, U256, keccak256};

use super::block::{Frame, Sealed, seal};
use super::consortium::{VALIDATOR_BYTE, consensus_key, members, validators};
use super::fail;
use super::genesis::Continuation;
use super::rules::{CONSORTIUM, mapping_slot};
use super::state::{Account, AccountChange, Changes, State, Undo};
use super::window::Snapshot;
use crate::error::Error;

/// Fewest validators of a recovered network: one of them may be away.
const MINIMUM: usize = 4;

/// The block and what it does.
pub struct Recovered {
    /// Header.
    pub sealed: Sealed,
    /// State after it.
    pub state: State,
    /// What it changes.
    pub changes: Changes,
    /// The way back to the head before.
    pub undo: Undo,
}

/// Go on from a head. Errors: `recovery.other-head`, `recovery.validator`, `recovery.too-few-validators`.
pub fn recover(next: &Continuation, head: &Snapshot) -> Result<Recovered, Error> {
    let header = &head.sealed.header;
    if (header.number, head.sealed.hash) != (next.height, next.hash) {
        let error = fail::invalid("recovery.other-head", "the stored chain has another head than the agreed one");
        return Err(error.values(
            format!("block {} {}", next.height, next.hash),
            format!("block {} {}", header.number, head.sealed.hash),
        ));
    }
    let contract = head.state.account(&CONSORTIUM).ok_or_else(|| refused("there is no Consortium"))?;
    let changes = change(contract, &next.validators)?;
    let mut state = head.state.clone();
    let undo = state.apply(&changes);
    let keys: BTreeSet<_> = next.validators.iter().map(|(_, key)| *key).collect();
    if validators(&state) != keys {
        return Err(refused("the contract would name other validators than the genesis file"));
    }
    let frame = Frame {
        parent: head.sealed.hash,
        number: header.number + 1,
        timestamp: next.time.max(header.timestamp),
        gas_limit: next.limits.block_gas,
        consensus_height: 0,
    };
    let sealed = seal(frame, state.root(), &[]);
    Ok(Recovered { sealed, state, changes, undo })
}

fn change(contract: &Account, voters: &[(B256, B256)]) -> Result<Changes, Error> {
    let wanted: BTreeMap<B256, B256> = voters.iter().copied().collect();
    let keys: BTreeSet<_> = wanted.values().collect();
    if wanted.len() < MINIMUM || wanted.len() != voters.len() || keys.len() != voters.len() {
        let error = fail::invalid(
            "recovery.too-few-validators",
            "a recovered network needs at least four validators, each with a key of its own",
        );
        return Err(error.numbers(MINIMUM as u64, keys.len() as u64));
    }
    for (member, key) in &wanted {
        let active = contract.slot(mapping_slot(*member, 1)).byte(0) == 1;
        if !active || consensus_key(contract, *member) != Some(*key) {
            let shown = String::from_utf8_lossy(&member[..18]).into_owned();
            return Err(refused(&format!("{shown} is no active member with that consensus key at the agreed head")));
        }
    }
    let mut slots = vec![(U256::from(14), U256::from(wanted.len()))];
    for member in members(contract) {
        let at = mapping_slot(member, 1);
        let word = contract.slot(at);
        let votes = wanted.contains_key(&member);
        if (word.byte(VALIDATOR_BYTE) == 1) == votes {
            continue;
        }
        let bit = U256::from(1) << (8 * VALIDATOR_BYTE);
        slots.push((at, if votes { word | bit } else { word & !bit }));
        if let Some(key) = consensus_key(contract, member) {
            slots.push((mapping_slot(key, 13), U256::from(u8::from(votes))));
        }
    }
    let mut slots: Vec<_> =
        slots.into_iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), value)).collect();
    slots.sort_unstable_by_key(|(slot, _)| *slot);
    let account = AccountChange { key: keccak256(CONSORTIUM), fields: Some(contract.fields), cleared: false, slots };
    Ok(Changes { accounts: vec![account], codes: Vec::new() })
}

fn refused(why: &str) -> Error {
    fail::invalid("recovery.validator", format!("the recovery cannot be carried out: {why}"))
}
