//! What the state machine reads of the Consortium beside membership: the validators, and the version in force.
//!
//! Slots (see `contracts/storageLayout.json`): 1 `_members`, 3 `_keys`, 6 `_activeVersion`, 7 `_memberIds`,
//! 9 `_activeKeys`; a recovery also sets 13 `_inSet` and 14 `_setSize`. The Consortium cannot be replaced, so in a living network none of them ever moves.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256, keccak256};

use super::rules::{CONSORTIUM, mapping_slot};
use super::state::{Account, State};
use crate::error::{Class, Error};

/// The version of the state machine's rules that this code has.
pub const VERSION: u32 = 1;

/// `KEY_CONSENSUS` of the contracts.
const ROLE_CONSENSUS: u8 = 2;
/// Byte of a member's first word (from the low end) that says whether it validates.
pub(super) const VALIDATOR_BYTE: usize = 19;
/// Most keys of a member looked at; the contract allows 32 active ones.
const MAX_KEYS: u64 = 64;

/// The consensus keys of the validators, ascending, each once. As `validators()` of the contract.
pub fn validators(state: &State) -> BTreeSet<B256> {
    let Some(contract) = state.account(&CONSORTIUM) else { return BTreeSet::new() };
    members(contract)
        .filter(|member| contract.slot(mapping_slot(*member, 1)).byte(VALIDATOR_BYTE) == 1)
        .filter_map(|member| consensus_key(contract, member))
        .collect()
}

/// Every member there ever was.
pub(super) fn members(contract: &Account) -> impl Iterator<Item = B256> {
    let count = contract.slot(U256::from(7)).saturating_to::<u64>();
    let first = first_element(U256::from(7));
    // A length that no list has would make this loop endless: the list ends where nobody is any more.
    (0..count).map_while(move |place| {
        let member = B256::from(contract.slot(first.wrapping_add(U256::from(place))));
        (!member.is_zero()).then_some(member)
    })
}

/// The first active key of a member with the consensus role.
pub(super) fn consensus_key(contract: &Account, member: B256) -> Option<B256> {
    let list = mapping_slot(member, 9);
    let count = contract.slot(list).saturating_to::<u64>().min(MAX_KEYS);
    let first = first_element(list);
    (0..count).map(|place| B256::from(contract.slot(first.wrapping_add(U256::from(place))))).find(|key| {
        let role = contract.slot(mapping_slot(*key, 3).wrapping_add(U256::ONE)).byte(0);
        !key.is_zero() && role == ROLE_CONSENSUS
    })
}

/// Slot of the first element of the array whose length is at `slot`.
fn first_element(slot: U256) -> U256 {
    U256::from_be_bytes(keccak256(slot.to_be_bytes::<32>()).0)
}

/// Whether this code may make block `height` on this parent. Errors: `chain.version`.
pub fn check_version(parent: &State, height: u64) -> Result<(), Error> {
    let [low, high, ..] = parent.storage(&CONSORTIUM, U256::from(6)).into_limbs();
    // version u32, then height u64, from the low end.
    let (version, from) = (low & u64::from(u32::MAX), low >> 32 | (high & u64::from(u32::MAX)) << 32);
    if version <= u64::from(VERSION) || height < from {
        return Ok(());
    }
    let error = Error::new(
        Class::Fatal,
        "chain.version",
        format!("from block {from} on this network runs version {version} of its rules; this node has {VERSION}"),
    );
    Err(error
        .numbers(u64::from(VERSION), version)
        .hint("install the release that has this version and start the node again"))
}
