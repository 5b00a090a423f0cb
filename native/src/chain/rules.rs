//! Who may change state: judged by everybody alike, on the parent's state, once per block.
//!
//! The Consortium's first storage slots are frozen for this (see `contracts/storageLayout.json`):
//! 0 `_memberOf`, 1 `_members`, 2 `_activeCount`, 4 `_adopted`.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, U256, address, keccak256};

use super::evm::Rejected;
use super::fail;
use super::state::State;
use super::tx::Transaction;
use crate::error::{Class, Error};

/// Who runs the constructors of the genesis file.
pub const DEPLOYER: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// How far ahead of the committed nonce a transaction may wait.
pub const NONCE_WINDOW: u64 = 64;

/// Limits of the network, from the genesis file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas limit of a block.
    pub block_gas: u64,
    /// Longest raw transaction, bytes.
    pub tx_bytes: usize,
}

/// Address of the Consortium contract: the first one the deployer makes.
pub const CONSORTIUM: Address = address!("0xb464f7314d55ec6a9a0cf6f7f6df17af8ed5b352");

/// Slot of `mapping(K => V)` at `base` for a 32-byte key word.
pub(super) fn mapping_slot(key: B256, base: u64) -> U256 {
    let mut bytes = [0_u8; 64];
    bytes[..32].copy_from_slice(key.as_slice());
    bytes[56..].copy_from_slice(&base.to_be_bytes());
    U256::from_be_bytes(keccak256(bytes).0)
}

/// The active member that `sender` is the account of.
pub fn member_of(state: &State, sender: Address) -> Option<B256> {
    let contract = state.account(&CONSORTIUM)?;
    let member = B256::from(contract.slot(mapping_slot(sender.into_word(), 0)));
    let word = contract.slot(mapping_slot(member, 1));
    (!member.is_zero() && word.byte(0) == 1).then_some(member)
}

/// Whether members may create with this creation code (constructor arguments included).
pub fn is_adopted(state: &State, init_code: &[u8]) -> bool {
    !state.storage(&CONSORTIUM, mapping_slot(keccak256(init_code), 4)).is_zero()
}

/// The most gas the transactions of one member may ask for in a block.
pub fn member_share(state: &State, block_gas: u64) -> u64 {
    let active = state.storage(&CONSORTIUM, U256::from(2)).saturating_to::<u64>().max(1);
    (block_gas / 4).max(block_gas / active)
}

/// Rules that look at one transaction and the parent's state only, nonce aside; `share` and `member` are what that state
/// says of the block and the sender. Returns the sender's member.
pub(super) fn judge_as(
    state: &State,
    limits: &Limits,
    share: u64,
    tx: &Transaction,
    from: Address,
    member: Option<B256>,
) -> Result<B256, Error> {
    if tx.chain_id != limits.chain_id {
        let error = fail::invalid("tx.chain-id", "the transaction is for another chain");
        return Err(error.numbers(limits.chain_id, tx.chain_id).hint("sign it with this chain's id"));
    }
    let member = member.ok_or_else(|| {
        fail::not_allowed(
            "tx.not-member",
            format!("{from} is not the active account of an active member"),
            "sign with the member's active account key; a suspension ends by vote",
        )
    })?;
    let least = intrinsic_gas(tx);
    if tx.gas < least || tx.gas > share {
        let gas = tx.gas;
        return Err(fail::invalid("tx.gas", format!("the gas limit is {gas}; it must be from {least} to {share}"))
            .hint("take eth_estimateGas and some more"));
    }
    if tx.to.is_none() && !is_adopted(state, &tx.input) {
        return Err(fail::not_allowed(
            "tx.create-not-adopted",
            format!("no vote adopted creation code {}", keccak256(&tx.input)),
            "propose the code's hash to the Consortium and have it voted",
        ));
    }
    check_balance(state, tx, from)?;
    Ok(member)
}

/// No account holds money here, so a price or a value can only be paid by one that was given some.
fn check_balance(state: &State, tx: &Transaction, from: Address) -> Result<(), Error> {
    if tx.max_fee() == 0 && tx.value.is_zero() {
        return Ok(());
    }
    let cost = U256::from(tx.max_fee()).checked_mul(U256::from(tx.gas)).and_then(|fee| fee.checked_add(tx.value));
    let balance = state.account(&from).map_or(U256::ZERO, |account| account.fields.balance);
    if cost.is_some_and(|cost| cost <= balance) {
        return Ok(());
    }
    let error = fail::invalid("tx.balance", "the sender cannot pay the gas price and value of the transaction");
    Err(error.hint("set gas price, fees and value to 0: this network takes no payment"))
}

/// Nonce rule of admission: [committed, committed + 64].
pub(super) fn judge_nonce(tx: &Transaction, next: u64) -> Result<(), Error> {
    if tx.nonce < next {
        return Err(nonce_low(tx.nonce, next));
    }
    if tx.nonce > next.saturating_add(NONCE_WINDOW) {
        return Err(nonce_gap(tx.nonce, next));
    }
    Ok(())
}

/// The nonce an account uses next.
pub fn next_nonce(state: &State, from: Address) -> u64 {
    state.account(&from).map_or(0, |account| account.fields.nonce)
}

fn nonce_low(nonce: u64, next: u64) -> Error {
    fail::invalid("tx.nonce-low", format!("nonce {nonce} is used; the sender's next is {next}"))
        .hint("sign again with the next nonce; if it was this very transaction, its receipt is there")
}

fn nonce_gap(nonce: u64, next: u64) -> Error {
    fail::invalid("tx.nonce-gap", format!("nonce {nonce} is too far ahead; the sender's next is {next}"))
        .hint("send the ones in between first")
}

/// Gas that the bytes of a transaction cost before it runs (yellow paper g0 with EIP-2028 and EIP-2930).
fn intrinsic_gas(tx: &Transaction) -> u64 {
    let zeros = tx.input.iter().filter(|byte| **byte == 0).count() as u64;
    let data = zeros * 4 + (tx.input.len() as u64 - zeros) * 16;
    let list: u64 = tx.access_list().iter().map(|(_, slots)| 2400 + 1900 * slots.len() as u64).sum();
    21_000 + if tx.to.is_none() { 32_000 } else { 0 } + data + list
}

/// The judge of one block.
pub struct Judge<'a> {
    parent: &'a State,
    limits: &'a Limits,
    share: u64,
    total: u64,
    by_member: HashMap<B256, u64>,
    senders: HashMap<Address, Standing>,
}

/// What the judge knows of a sender.
struct Standing {
    member: Option<B256>,
    next: u64,
}

impl<'a> Judge<'a> {
    /// A judge over the parent's state.
    pub fn new(parent: &'a State, limits: &'a Limits) -> Self {
        let share = member_share(parent, limits.block_gas);
        Self { parent, limits, share, total: 0, by_member: HashMap::new(), senders: HashMap::new() }
    }

    /// Judge the next transaction in order; on success it counts. Errors: `tx.*`.
    pub fn admit(&mut self, tx: &Transaction, from: Address) -> Result<(), Error> {
        let parent = self.parent;
        let standing = self
            .senders
            .entry(from)
            .or_insert_with(|| Standing { member: member_of(parent, from), next: next_nonce(parent, from) });
        let member = judge_as(parent, self.limits, self.share, tx, from, standing.member)?;
        if tx.nonce < standing.next {
            return Err(nonce_low(tx.nonce, standing.next));
        }
        if tx.nonce > standing.next {
            return Err(nonce_gap(tx.nonce, standing.next));
        }
        let used = self.by_member.entry(member).or_default();
        if used.saturating_add(tx.gas) > self.share {
            let share = self.share;
            return Err(fail::invalid(
                "tx.gas-share",
                format!("the member asks for more than its share of {share} gas"),
            )
            .hint("it can go into a later block"));
        }
        if self.total.saturating_add(tx.gas) > self.limits.block_gas {
            return Err(block_full());
        }
        *used += tx.gas;
        self.total += tx.gas;
        standing.next += 1;
        Ok(())
    }

    /// An admitted transaction that the EVM would not run: the sender's later ones are now ahead of it.
    pub fn withdraw(&mut self, tx: &Transaction, from: Address) {
        if let Some(standing) = self.senders.get_mut(&from) {
            standing.next = tx.nonce;
        }
    }
}

/// No room left in this block.
pub fn block_full() -> Error {
    fail::invalid("tx.block-full", "the block is full").hint("it can go into a later block")
}

/// The error for a transaction that passed our rules and not the EVM's.
pub fn rejected(reason: Rejected) -> Error {
    match reason {
        Rejected::Gas(text) => fail::invalid("tx.gas", text),
        Rejected::Balance(text) => fail::invalid("tx.balance", text),
        Rejected::NonceLow(text) => fail::invalid("tx.nonce-low", text),
        Rejected::NonceGap(text) => fail::invalid("tx.nonce-gap", text),
        Rejected::Other(text) => fail::invalid("tx.invalid", text),
        Rejected::Broken(text) => Error::new(Class::Fatal, "chain.state-broken", text),
    }
}
