//! The rows a caller stores for us, and their reading back.
//!
//! | first byte | rest of the key | value |
//! | --- | --- | --- |
//! | `g` | | genesis digest (32) |
//! | `h` | | head: height u64be, block hash (32) |
//! | `a` | keccak256(address) | nonce u64be, balance (32), code hash (32) |
//! | `s` | keccak256(address), keccak256(slot) | value, big-endian, no leading zeros |
//! | `c` | code hash | deployed code |
//! | `d` | height u64be | header length u32be, header RLP, then the way back to the parent (see `encode_undo`) |
//!
//! The trie nodes are not stored: they are rebuilt from `a` and `s`, and the root is compared with the head's. The roots
//! of older blocks inside the proof window are re-made from the `d` rows; a block's writes also delete the `d` rows that
//! leave the window.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::KECCAK_EMPTY;

use super::block::Sealed;
use super::evm::Code;
use super::fail;
use super::state::{Account, Changes, Fields, State, Undo, UndoAccount};
use super::trie::Trie;
use crate::error::Error;

/// A row to put, or to delete when the value is None.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// A row as it stands in the store.
pub type Entry = (Vec<u8>, Vec<u8>);

const FIELDS: usize = 8 + 32 + 32;

/// The rows of a block: what really changed (`undo` names it), the way back, the head.
pub fn block_rows(sealed: &Sealed, state: &State, changes: &Changes, undo: &Undo) -> Vec<Write> {
    let mut rows = Vec::with_capacity(undo.accounts.iter().map(|a| a.slots.len() + 1).sum::<usize>() + 3);
    for before in &undo.accounts {
        let account = state.account_hashed(&before.key);
        rows.push((key(b'a', &[before.key.as_slice()]), account.map(|a| encode_fields(&a.fields))));
        for (slot, _) in &before.slots {
            let value = account.and_then(|a| a.storage.get(slot)).map(|v| v.to_be_bytes_trimmed_vec());
            rows.push((key(b's', &[before.key.as_slice(), slot.as_slice()]), value));
        }
    }
    rows.extend(changes.codes.iter().map(|(hash, code)| put(code_entry(hash, code))));
    rows.push(put(undo_entry(sealed, undo)));
    rows.push(put(head_entry(sealed)));
    rows
}

fn put((key, value): Entry) -> Write {
    (key, Some(value))
}

/// The row that ties the store to its genesis.
pub fn genesis_row(digest: &B256) -> Write {
    put(genesis_entry(digest))
}

/// Row `g`.
pub fn genesis_entry(digest: &B256) -> Entry {
    (vec![b'g'], digest.to_vec())
}

/// Row `h`.
pub fn head_entry(sealed: &Sealed) -> Entry {
    (vec![b'h'], [sealed.header.number.to_be_bytes().as_slice(), sealed.hash.as_slice()].concat())
}

/// Row `a`; `account` is keccak256 of its address.
pub fn account_entry(account: &B256, fields: &Fields) -> Entry {
    (key(b'a', &[account.as_slice()]), encode_fields(fields))
}

/// Row `s`; `account` and `slot` are hashed.
pub fn slot_entry(account: &B256, slot: &B256, value: &U256) -> Entry {
    (key(b's', &[account.as_slice(), slot.as_slice()]), value.to_be_bytes_trimmed_vec())
}

/// Row `c`.
pub fn code_entry(hash: &B256, code: &Code) -> Entry {
    (key(b'c', &[hash.as_slice()]), code.bytes().to_vec())
}

/// Row `d`.
pub fn undo_entry(sealed: &Sealed, undo: &Undo) -> Entry {
    (undo_key(sealed.header.number), encode_undo(sealed, undo))
}

/// The row that forgets how to go back from a block that left the proof window.
pub fn forget_row(height: u64) -> Write {
    (undo_key(height), None)
}

fn undo_key(height: u64) -> Vec<u8> {
    key(b'd', &[&height.to_be_bytes()])
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    std::iter::once(kind).chain(parts.iter().flat_map(|part| part.iter().copied())).collect()
}

fn encode_fields(fields: &Fields) -> Vec<u8> {
    [&fields.nonce.to_be_bytes()[..], &fields.balance.to_be_bytes::<32>(), fields.code_hash.as_slice()].concat()
}

/// Per account: key (32), 0 or 1 and its fields before, slot count u32be, then (slot key, value before) of 32 bytes each.
fn encode_undo(sealed: &Sealed, undo: &Undo) -> Vec<u8> {
    let mut out = (sealed.rlp.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&sealed.rlp);
    for account in &undo.accounts {
        out.extend_from_slice(account.key.as_slice());
        match &account.fields {
            None => out.push(0),
            Some(fields) => {
                out.push(1);
                out.extend_from_slice(&encode_fields(fields));
            }
        }
        out.extend_from_slice(&(account.slots.len() as u32).to_be_bytes());
        for (slot, value) in &account.slots {
            out.extend_from_slice(slot.as_slice());
            out.extend_from_slice(&value.to_be_bytes::<32>());
        }
    }
    out
}

/// What the rows hold once they are all read.
pub struct Stored {
    /// Block hash of the head.
    pub head_hash: B256,
    /// State of the head, rebuilt.
    pub state: State,
    /// Ascending and without a gap: header and way back of every block in the window.
    pub window: Vec<(Sealed, Undo)>,
}

/// Takes rows in any order, one by one.
#[derive(Default)]
pub struct Loader {
    genesis: Option<B256>,
    head: Option<(u64, B256)>,
    fields: HashMap<B256, Fields>,
    storage: HashMap<B256, Trie<U256>>,
    state: State,
    window: BTreeMap<u64, (Sealed, Undo)>,
}

impl Loader {
    /// Read one row. Errors: `chain.row`.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.read(key, value).ok_or_else(|| {
            let shown = alloy_primitives::hex::encode(&key[..key.len().min(72)]);
            fail::fatal("chain.row", format!("the stored row {shown} is not as it was written"))
        })
    }

    fn read(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (kind, rest) = key.split_first()?;
        match (kind, rest.len()) {
            (b'g', 0) => self.genesis = Some(B256::try_from(value).ok()?),
            (b'h', 0) => {
                let (height, hash) = value.split_first_chunk()?;
                self.head = Some((u64::from_be_bytes(*height), B256::try_from(hash).ok()?));
            }
            (b'a', 32) => {
                let mut input = value;
                self.fields.insert(B256::from_slice(rest), decode_fields(&mut input)?);
                return input.is_empty().then_some(());
            }
            (b's', 64) => {
                let number = U256::try_from_be_slice(value)?;
                if value.first().is_none_or(|first| *first == 0) {
                    return None;
                }
                let trie = self.storage.entry(B256::from_slice(&rest[..32])).or_default();
                trie.insert(B256::from_slice(&rest[32..]), number);
            }
            (b'c', 32) => {
                let code = Bytes::copy_from_slice(value);
                let hash = alloy_primitives::keccak256(&code);
                if hash != B256::from_slice(rest) {
                    return None;
                }
                self.state.put_code(hash, Code::new(code));
            }
            (b'd', 8) => {
                let height = u64::from_be_bytes(rest.try_into().ok()?);
                self.window.insert(height, decode_undo(value)?);
            }
            _ => return None,
        }
        Some(())
    }

    /// All rows are in: join them and check that they fit together. Errors: `chain.row`, `chain.genesis-mismatch`.
    pub fn finish(mut self, genesis: &B256) -> Result<Stored, Error> {
        let torn = |what: &str| fail::fatal("chain.row", format!("the stored chain is incomplete: {what}"));
        match self.genesis {
            Some(digest) if digest == *genesis => {}
            Some(digest) => {
                let error = fail::fatal("chain.genesis-mismatch", "the store belongs to another genesis file");
                return Err(error.values(genesis, digest));
            }
            None => return Err(torn("it names no genesis")),
        }
        let (height, head_hash) = self.head.ok_or_else(|| torn("it names no head"))?;
        for (key, fields) in self.fields {
            if fields.code_hash != KECCAK_EMPTY && self.state.code(&fields.code_hash).is_none() {
                return Err(torn("the code of an account is missing"));
            }
            let storage = self.storage.remove(&key).unwrap_or_default();
            self.state.put_account(key, Account { fields, storage });
        }
        if !self.storage.is_empty() {
            return Err(torn("it holds slots of an account that does not exist"));
        }
        let newest = self.window.last_key_value().map(|(newest, _)| *newest);
        let oldest = self.window.first_key_value().map_or(height, |(oldest, _)| *oldest);
        if newest != Some(height) || self.window.len() as u64 != (height - oldest).saturating_add(1) {
            return Err(torn("headers of its proof window are missing"));
        }
        Ok(Stored { head_hash, state: self.state, window: self.window.into_values().collect() })
    }
}

fn decode_fields(input: &mut &[u8]) -> Option<Fields> {
    let (bytes, rest) = input.split_at_checked(FIELDS)?;
    *input = rest;
    Some(Fields {
        nonce: u64::from_be_bytes(bytes[..8].try_into().ok()?),
        balance: U256::from_be_slice(&bytes[8..40]),
        code_hash: B256::from_slice(&bytes[40..]),
    })
}

fn decode_undo(value: &[u8]) -> Option<(Sealed, Undo)> {
    let input = &mut &*value;
    let length = take_u32(input)?;
    let sealed = Sealed::decode(take(input, length)?).ok()?;
    let mut undo = Undo::default();
    while !input.is_empty() {
        let key = B256::from_slice(take(input, 32)?);
        let fields = match take(input, 1)? {
            [0] => None,
            [1] => Some(decode_fields(input)?),
            _ => return None,
        };
        let count = take_u32(input)?;
        let slots = take(input, count.checked_mul(64)?)?;
        let slots =
            slots.chunks_exact(64).map(|c| (B256::from_slice(&c[..32]), U256::from_be_slice(&c[32..]))).collect();
        undo.accounts.push(UndoAccount { key, fields, slots });
    }
    Some((sealed, undo))
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(bytes)
}

fn take_u32(input: &mut &[u8]) -> Option<usize> {
    let (bytes, rest) = input.split_first_chunk()?;
    *input = rest;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}
