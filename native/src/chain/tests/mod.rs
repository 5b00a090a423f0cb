//! A small network for tests: hand-assembled contracts whose storage imitates the Consortium's frozen slots.

mod blocks;
mod membership;
mod proofs;
mod storage;
mod tries;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use k256::ecdsa::SigningKey;
use serde_json::json;

use super::engine::{Chain, Executed};
use super::evm::{BlockContext, Machine, Request};
use super::rules::DEPLOYER;
use super::state::State;
use super::store::{Loader, Write};

pub const CHAIN_ID: u64 = 330_000;
pub const BLOCK_GAS: u64 = 40_000_000;
/// 2026-11-22T00:00:00.000Z.
pub const GENESIS_MS: u64 = 1_795_305_600_000;

/// Two words of calldata: store the second at the first and log it. One word: return the slot. Else: revert with 0xdead.
pub const KEYED_STORE: &[u8] = &hex!(
    "3660401460195736602014602a5761dead60005260206000fd"
    "5b6020356000355560003560006000a100"
    "5b6000355460005260206000f3"
);

/// A member of the test network: its account key and its id.
pub struct Member {
    pub key: SigningKey,
    pub account: Address,
    pub id: B256,
}

pub fn member(n: u8) -> Member {
    let key = SigningKey::from_slice(&[n; 32]).expect("a small number is a valid key");
    let account = Address::from_public_key(key.verifying_key());
    Member { key, account, id: B256::right_padding_from(format!("11310000MB2F3000{n:02}").as_bytes()) }
}

pub fn mapping(key: B256, base: u64) -> U256 {
    U256::from_be_bytes(keccak256([key.0, U256::from(base).to_be_bytes()].concat()).0)
}

/// Slots that make the members active, and adopt the creation codes.
pub fn consortium_slots(members: &[&Member], adopted: &[&[u8]]) -> Vec<(U256, U256)> {
    let mut slots = vec![(U256::from(2), U256::from(members.len()))];
    for member in members {
        slots.push((mapping(member.account.into_word(), 0), member.id.into()));
        slots.push((mapping(member.id, 1), U256::from(1)));
    }
    slots.extend(adopted.iter().map(|code| (mapping(keccak256(code), 4), U256::ONE)));
    slots
}

/// Creation code: store the slots, then leave `runtime`.
pub fn creation(slots: &[(U256, U256)], runtime: &[u8]) -> Vec<u8> {
    let mut code = Vec::new();
    for (slot, value) in slots {
        code.push(0x7f);
        code.extend_from_slice(&value.to_be_bytes::<32>());
        code.push(0x7f);
        code.extend_from_slice(&slot.to_be_bytes::<32>());
        code.push(0x55);
    }
    let length = u16::try_from(runtime.len()).expect("short runtime").to_be_bytes();
    let offset = u16::try_from(code.len() + 15).expect("short constructor").to_be_bytes();
    // PUSH2 length PUSH2 offset PUSH1 0 CODECOPY PUSH2 length PUSH1 0 RETURN
    code.extend_from_slice(
        &[&[0x61], &length[..], &[0x61], &offset, &[0x60, 0, 0x39, 0x61], &length, &[0x60, 0, 0xf3]].concat(),
    );
    code.extend_from_slice(runtime);
    code
}

/// A genesis file with these contracts; the first is the Consortium.
pub fn genesis_file(contracts: &[Vec<u8>]) -> Vec<u8> {
    let names = ["Consortium", "Directory", "Grants", "Anchors"];
    let listed: Vec<_> = contracts
        .iter()
        .enumerate()
        .map(|(i, code)| {
            json!({"address": format!("{:?}", DEPLOYER.create(i as u64)), "code": format!("0x{}", hex::encode(code)),
                   "codeHash": format!("{:?}", runtime_hash(i as u64, code)), "name": names[i]})
        })
        .collect();
    let file = json!({"chainId": CHAIN_ID, "contracts": listed, "engine": {"name": "solo", "sequencer": "x"},
        "limits": {"blockGas": BLOCK_GAS, "txBytes": 131_072}, "members": [], "region": "310000",
        "time": "2026-11-22T00:00:00.000Z", "v": 1});
    // serde_json keeps objects sorted by key, which for these ASCII keys is the canonical order.
    serde_json::to_vec(&file).expect("serialisable")
}

fn runtime_hash(nonce: u64, code: &[u8]) -> B256 {
    let state = State::default();
    let context =
        BlockContext { chain_id: CHAIN_ID, number: 0, timestamp: 1, gas_limit: BLOCK_GAS, mix_hash: B256::ZERO };
    let mut machine = Machine::for_calls(&state, context, &|_| None);
    let request = Request { from: DEPLOYER, nonce, gas: BLOCK_GAS, input: code.to_vec().into(), ..Request::default() };
    keccak256(machine.call(&request).expect("runs").output)
}

/// Two contracts (a Consortium imitation and a keyed store), and members 1 and 2 active.
pub fn network() -> (Chain, Vec<Write>, Vec<u8>) {
    let slots = consortium_slots(&[&member(1), &member(2)], &[&creation(&[], KEYED_STORE)]);
    let file = genesis_file(&[creation(&slots, KEYED_STORE), creation(&[], KEYED_STORE)]);
    let (chain, rows) = Chain::genesis(&file).expect("a good genesis");
    (chain, rows, file)
}

/// The keyed store of the test network.
pub fn store_address() -> Address {
    DEPLOYER.create(1)
}

/// Calldata that stores `value` at `slot`.
pub fn put(slot: U256, value: U256) -> Bytes {
    [slot.to_be_bytes::<32>(), value.to_be_bytes::<32>()].concat().into()
}

/// A type 2 transaction with every field settable.
pub fn draft(nonce: u64, to: Option<Address>, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        to: to.map_or(TxKind::Create, TxKind::Call),
        input,
        ..TxEip1559::default()
    }
}

pub fn signature(member: &Member, hash: B256) -> Signature {
    let (signature, recovery) = member.key.sign_prehash_recoverable(hash.as_slice()).expect("signs");
    Signature::new(
        U256::from_be_slice(&signature.r().to_bytes()),
        U256::from_be_slice(&signature.s().to_bytes()),
        recovery.is_y_odd(),
    )
}

pub fn sign(member: &Member, tx: TxEip1559) -> Vec<u8> {
    let signature = signature(member, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
}

pub fn sign_legacy(member: &Member, tx: TxLegacy) -> Vec<u8> {
    let signature = signature(member, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
}

pub fn sign_2930(member: &Member, tx: TxEip2930) -> Vec<u8> {
    let signature = signature(member, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
}

/// A member stores one value in the keyed store.
pub fn write(member: &Member, nonce: u64, slot: u64, value: u64) -> Vec<u8> {
    sign(member, draft(nonce, Some(store_address()), put(U256::from(slot), U256::from(value))))
}

/// Execute on top of the head a second later, commit, and return the block.
pub fn advance(chain: &Chain, raws: &[Vec<u8>]) -> std::sync::Arc<Executed> {
    let head = chain.head();
    let number = head.sealed.header.number + 1;
    let time = (head.sealed.header.timestamp + 1) * 1000;
    let block = chain.execute(raws, time, number, usize::MAX).expect("no fault").expect("something valid");
    chain.commit().expect("pending");
    block
}

/// Apply writes to rows kept in memory.
pub fn store(rows: &mut std::collections::BTreeMap<Vec<u8>, Vec<u8>>, writes: &[Write]) {
    for (key, value) in writes {
        match value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
}

pub fn reload(file: &[u8], rows: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Chain, crate::error::Error> {
    let mut loader = Loader::default();
    for (key, value) in rows {
        loader.row(key, value)?;
    }
    Chain::load(file, loader)
}

/// A deterministic stream of numbers (splitmix64): tests need variety, not chance.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
