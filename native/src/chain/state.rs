//! The state of one block: accounts with their storage, and code by hash. Cloning is a snapshot.
//!
//! Keys are hashed (keccak256 of address and slot), as the tries need them; nobody asks for the preimages.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{KECCAK_EMPTY, TrieAccount};

use super::evm::Code;
use super::trie::{Leaf, Trie};

impl Leaf for U256 {
    fn encode(&self, out: &mut Vec<u8>) {
        Encodable::encode(self, out);
    }
}

impl Leaf for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        TrieAccount {
            nonce: self.fields.nonce,
            balance: self.fields.balance,
            storage_root: self.storage.root(),
            code_hash: self.fields.code_hash,
        }
        .encode(out);
    }
}

/// What an account holds beside its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Transactions sent, or contracts made by a contract.
    pub nonce: u64,
    /// Wei; always zero on our networks.
    pub balance: U256,
    /// keccak256 of the code.
    pub code_hash: B256,
}

impl Default for Fields {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY }
    }
}

impl Fields {
    /// Empty accounts are not stored (EIP-161).
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One account.
#[derive(Clone, Default)]
pub struct Account {
    /// Nonce, balance, code hash.
    pub fields: Fields,
    /// keccak256(slot) -> non-zero value.
    pub storage: Trie<U256>,
}

/// The state after a block.
#[derive(Clone, Default)]
pub struct State {
    accounts: Trie<Account>,
    codes: Arc<HashMap<B256, Code>>,
}

/// What a block does to one account.
#[derive(Clone, Debug)]
pub struct AccountChange {
    /// keccak256 of the address.
    pub key: B256,
    /// The account afterwards; None when it ceases to exist.
    pub fields: Option<Fields>,
    /// The storage before is gone (destroyed, or made anew).
    pub cleared: bool,
    /// keccak256(slot) and its value afterwards, in key order; zero removes.
    pub slots: Vec<(B256, U256)>,
}

/// What a block does, in key order.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Accounts touched.
    pub accounts: Vec<AccountChange>,
    /// Code deployed.
    pub codes: Vec<(B256, Code)>,
}

/// What it takes to go back one block: the values before, of what really changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// In key order.
    pub accounts: Vec<UndoAccount>,
}

/// One account before the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoAccount {
    /// keccak256 of the address.
    pub key: B256,
    /// None when it did not exist.
    pub fields: Option<Fields>,
    /// keccak256(slot) and the value before; zero when it was absent.
    pub slots: Vec<(B256, U256)>,
}

impl State {
    /// The state root.
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// The account at an address.
    pub fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    /// The account at a hashed address.
    pub fn account_hashed(&self, key: &B256) -> Option<&Account> {
        self.accounts.get(key)
    }

    /// The value of a slot, zero when absent.
    pub fn storage(&self, address: &Address, slot: U256) -> U256 {
        self.account(address).map_or(U256::ZERO, |account| account.slot(slot))
    }

    /// Deployed code by its hash.
    pub fn code(&self, hash: &B256) -> Option<&Code> {
        self.codes.get(hash)
    }

    /// Every account by its hashed address, in key order.
    pub fn for_each(&self, f: impl FnMut(&B256, &Account)) {
        self.accounts.for_each(f);
    }

    /// All code by its hash, in the hashes' order.
    pub fn codes(&self) -> Vec<(&B256, &Code)> {
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_unstable_by_key(|(hash, _)| **hash);
        codes
    }

    /// Proof of an account: nodes from the root.
    pub fn prove(&self, address: &Address) -> Vec<Bytes> {
        self.accounts.prove(&keccak256(address))
    }

    /// Apply a block's changes; returns the way back, which also names what really changed.
    pub fn apply(&mut self, changes: &Changes) -> Undo {
        if !changes.codes.is_empty() {
            Arc::make_mut(&mut self.codes).extend(changes.codes.iter().cloned());
        }
        let mut undo = Undo::default();
        for change in &changes.accounts {
            undo.accounts.extend(self.apply_account(change));
        }
        undo
    }

    fn apply_account(&mut self, change: &AccountChange) -> Option<UndoAccount> {
        let before = self.accounts.get(&change.key).cloned();
        let prior_fields = before.as_ref().map(|account| account.fields);
        let mut prior_slots = Vec::new();
        let mut account = before.clone().unwrap_or_default();
        if change.cleared || change.fields.is_none() {
            account.storage.for_each(|slot, value| prior_slots.push((*slot, *value)));
            account.storage = Trie::default();
        }
        if change.fields.is_some() {
            let slots: Vec<_> =
                change.slots.iter().map(|(slot, value)| (*slot, (!value.is_zero()).then_some(*value))).collect();
            let changed = account.storage.update(&slots).into_iter();
            // A cleared storage has put its slots on the way back already.
            let noted = |slot: &B256| {
                change.cleared && before.as_ref().is_some_and(|before| before.storage.get(slot).is_some())
            };
            let changed = changed.filter(|(slot, _)| !noted(slot));
            prior_slots.extend(changed.map(|(slot, prior)| (slot, prior.unwrap_or_default())));
        }
        if prior_fields == change.fields && prior_slots.is_empty() {
            return None;
        }
        match change.fields {
            Some(fields) => {
                account.fields = fields;
                self.accounts.insert(change.key, account);
            }
            None => {
                self.accounts.remove(&change.key);
            }
        }
        prior_slots.sort_unstable_by_key(|(slot, _)| *slot);
        Some(UndoAccount { key: change.key, fields: prior_fields, slots: prior_slots })
    }

    /// Go back one block.
    pub fn revert(&mut self, undo: &Undo) {
        for before in &undo.accounts {
            let Some(fields) = before.fields else {
                self.accounts.remove(&before.key);
                continue;
            };
            let mut account = self.accounts.get(&before.key).cloned().unwrap_or_default();
            account.fields = fields;
            for (slot, value) in &before.slots {
                account.set_slot(*slot, *value);
            }
            self.accounts.insert(before.key, account);
        }
    }

    /// Put one account as stored (loading).
    pub fn put_account(&mut self, key: B256, account: Account) {
        self.accounts.insert(key, account);
    }

    /// Put code as stored (loading).
    pub fn put_code(&mut self, hash: B256, code: Code) {
        Arc::make_mut(&mut self.codes).insert(hash, code);
    }
}

impl Account {
    /// The value of a slot, zero when absent.
    pub fn slot(&self, slot: U256) -> U256 {
        self.storage.get(&keccak256(slot.to_be_bytes::<32>())).copied().unwrap_or_default()
    }

    /// Set a slot by its hashed key; zero removes it.
    pub fn set_slot(&mut self, key: B256, value: U256) {
        if value.is_zero() {
            self.storage.remove(&key);
        } else {
            self.storage.insert(key, value);
        }
    }
}
