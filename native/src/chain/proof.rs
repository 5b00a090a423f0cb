//! Checking EIP-1186 proofs with bytes only.
//!
//! Strict: every node given must be used, every node must hash to what its parent names, all RLP is canonical.
//! An account or slot may be proven absent; an empty proof proves absence under the empty root only.

use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{Decodable, Header};
use alloy_trie::KECCAK_EMPTY;

use super::fail;
use super::trie::EMPTY_ROOT;
use crate::error::Error;

/// Longest proof looked at: 64 nibbles, an extension before each branch.
const MAX_NODES: usize = 129;

/// An account as a proof shows it; the values of an empty account when it is proven absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenAccount {
    /// Transactions sent (or contracts made).
    pub nonce: u64,
    /// Always zero on our networks; shown as proven.
    pub balance: U256,
    /// keccak256 of the code.
    pub code_hash: B256,
    /// Root of the account's storage trie.
    pub storage_hash: B256,
}

/// The account at `address` under `state_root`. Errors: `state.*`.
pub fn verify_account<P: AsRef<[u8]>>(state_root: B256, address: &[u8], proof: &[P]) -> Result<ProvenAccount, Error> {
    let Some(value) = verify(state_root, &keccak256(address), proof)? else {
        return Ok(ProvenAccount { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY, storage_hash: EMPTY_ROOT });
    };
    decode_account(&value).ok_or_else(|| malformed("the account leaf is not [nonce, balance, storage hash, code hash]"))
}

/// The value of `slot` under `storage_hash`, zero when proven absent. Errors: `state.*`.
pub fn verify_storage<P: AsRef<[u8]>>(storage_hash: B256, slot: B256, proof: &[P]) -> Result<U256, Error> {
    let Some(value) = verify(storage_hash, &keccak256(slot), proof)? else {
        return Ok(U256::ZERO);
    };
    let rest = &mut value.as_slice();
    match U256::decode(rest) {
        // A zero is stored by absence only: a leaf that spells it out is a second encoding.
        Ok(number) if rest.is_empty() && !number.is_zero() => Ok(number),
        _ => Err(malformed("the storage leaf is not one non-zero integer")),
    }
}

fn decode_account(value: &[u8]) -> Option<ProvenAccount> {
    let rest = &mut &*value;
    let header = Header::decode(rest).ok()?;
    if !header.list || header.payload_length != rest.len() {
        return None;
    }
    let nonce = u64::decode(rest).ok()?;
    let balance = U256::decode(rest).ok()?;
    let storage_hash = B256::decode(rest).ok()?;
    let code_hash = B256::decode(rest).ok()?;
    rest.is_empty().then_some(ProvenAccount { nonce, balance, code_hash, storage_hash })
}

/// The leaf value at the (already hashed) `key`, or None when its absence is proven.
pub fn verify<P: AsRef<[u8]>>(root: B256, key: &B256, proof: &[P]) -> Result<Option<Vec<u8>>, Error> {
    if proof.len() > MAX_NODES {
        return Err(malformed("the proof has more nodes than a path can have"));
    }
    if proof.is_empty() {
        return if root == EMPTY_ROOT { Ok(None) } else { Err(missing(root)) };
    }
    let mut nodes = proof.iter().map(AsRef::as_ref);
    let mut depth = 0;
    let mut reference = Reference::Hash(root);
    let outcome = loop {
        let node = match &reference {
            Reference::Empty => break None,
            Reference::Embedded(node) => node.clone(),
            Reference::Hash(hash) => {
                let node = nodes.next().ok_or_else(|| missing(*hash))?;
                let actual = keccak256(node);
                if actual != *hash {
                    return Err(fail::untrusted(
                        "state.node-hash",
                        "a node of the proof is not the one its parent names",
                    )
                    .values(hash, actual));
                }
                node.to_vec()
            }
        };
        let items = list_items(&node)?;
        match items.len() {
            17 => {
                // All keys have 64 nibbles: a branch below that, or one with a value, cannot stand in such a trie.
                if depth >= 64 || items[16] != [alloy_rlp::EMPTY_STRING_CODE] {
                    return Err(malformed("a branch holds a value or lies below the end of the key"));
                }
                reference = Reference::of(items[nibble(key, depth)])?;
                depth += 1;
            }
            2 => {
                let (path, leaf) = expand(string(items[0])?)?;
                let agrees = depth + path.len() <= 64
                    && path.iter().enumerate().all(|(i, n)| nibble(key, depth + i) == usize::from(*n));
                if leaf {
                    if depth + path.len() != 64 {
                        return Err(malformed("a leaf's path does not end where the key ends"));
                    }
                    break if agrees { Some(string(items[1])?.to_vec()) } else { None };
                }
                if path.is_empty() {
                    return Err(malformed("an extension without a path"));
                }
                let next = Reference::of(items[1])?;
                if matches!(next, Reference::Empty) {
                    return Err(malformed("an extension that leads nowhere"));
                }
                if !agrees {
                    break None;
                }
                depth += path.len();
                reference = next;
            }
            _ => return Err(malformed("a node is neither a branch nor a pair")),
        }
    };
    match nodes.next() {
        None => Ok(outcome),
        Some(_) => Err(fail::untrusted("state.node-unused", "the proof holds a node that is not on the path")),
    }
}

enum Reference {
    Empty,
    Hash(B256),
    Embedded(Vec<u8>),
}

impl Reference {
    fn of(item: &[u8]) -> Result<Self, Error> {
        match item {
            [alloy_rlp::EMPTY_STRING_CODE] => Ok(Self::Empty),
            [0xa0, hash @ ..] if hash.len() == 32 => Ok(Self::Hash(B256::from_slice(hash))),
            [0xc0..=0xff, ..] if item.len() < 32 => Ok(Self::Embedded(item.to_vec())),
            _ => Err(malformed("a reference is neither empty, a hash nor an embedded node")),
        }
    }
}

/// The items of an RLP list, each with its header.
fn list_items(node: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut rest = node;
    let header = Header::decode(&mut rest).map_err(|_| malformed("a node is not RLP"))?;
    if !header.list || header.payload_length != rest.len() {
        return Err(malformed("a node is not exactly one RLP list"));
    }
    let mut items = Vec::with_capacity(17);
    while !rest.is_empty() {
        let start = rest;
        let item = Header::decode(&mut rest).map_err(|_| malformed("an item of a node is not RLP"))?;
        rest = rest.get(item.payload_length..).ok_or_else(|| malformed("an item of a node is cut short"))?;
        items.push(&start[..start.len() - rest.len()]);
        if items.len() > 17 {
            return Err(malformed("a node has more than 17 items"));
        }
    }
    Ok(items)
}

fn string(item: &[u8]) -> Result<&[u8], Error> {
    let mut rest = item;
    Header::decode_bytes(&mut rest, false).map_err(|_| malformed("an item of a node is not a byte string"))
}

/// Undo the hex-prefix encoding: (nibbles, is a leaf).
fn expand(path: &[u8]) -> Result<(Vec<u8>, bool), Error> {
    let (first, rest) = path.split_first().ok_or_else(|| malformed("an empty path"))?;
    let odd = first & 0x10 != 0;
    if first & 0xc0 != 0 || (!odd && first & 0x0f != 0) {
        return Err(malformed("a path with unknown flags"));
    }
    let head = odd.then_some(first & 0x0f);
    let nibbles = head.into_iter().chain(rest.iter().flat_map(|b| [b >> 4, b & 0x0f])).collect();
    Ok((nibbles, first & 0x20 != 0))
}

fn nibble(key: &B256, i: usize) -> usize {
    let byte = key.0[i / 2];
    usize::from(if i.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

fn malformed(what: &str) -> Error {
    fail::untrusted("state.node-malformed", what)
}

fn missing(hash: B256) -> Error {
    fail::untrusted("state.node-missing", format!("the proof ends before node {hash}"))
}
