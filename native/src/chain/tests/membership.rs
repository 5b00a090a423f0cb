//! Who may change state.

use alloy_consensus::{SignableTransaction, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, Signature, TxKind, U256};

use super::*;
use crate::chain::rules::{CONSORTIUM, NONCE_WINDOW};
use crate::error::Class;

fn code_of(chain: &Chain, raw: &[u8]) -> &'static str {
    chain.check_tx(raw).err().map_or("taken", |error| error.code)
}

/// Slot of member `n`'s packed word in the Consortium.
fn status_slot(n: u8) -> U256 {
    mapping(member(n).id, 1)
}

#[test]
fn the_consortium_is_the_deployers_first_contract() {
    assert_eq!(CONSORTIUM, DEPLOYER.create(0));
}

#[test]
fn all_three_types_of_a_member_are_taken() {
    let (chain, ..) = network();
    let (m, to) = (member(1), TxKind::Call(store_address()));
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        gas_limit: 100_000,
        to,
        input: put(U256::ONE, U256::ONE),
        ..TxLegacy::default()
    };
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_limit: 100_000,
        to,
        input: put(U256::ONE, U256::ZERO),
        ..TxEip2930::default()
    };
    let raws = [sign_legacy(&m, legacy), sign_2930(&m, listed), write(&m, 2, 1, 3)];
    for (nonce, raw) in (0..).zip(&raws) {
        let (hash, from, at) = chain.check_tx(raw).expect("taken");
        assert_eq!((hash, from, at), (alloy_primitives::keccak256(raw), m.account, nonce));
    }
    let block = advance(&chain, &raws);
    assert_eq!(
        block.included.iter().map(|i| (i.tx.kind, i.outcome.success)).collect::<Vec<_>>(),
        [(0, true), (1, true), (2, true)]
    );
}

#[test]
fn an_outsider_never_changes_state() {
    let (chain, ..) = network();
    let root = chain.head().state.root();
    let raw = write(&member(3), 0, 1, 1);
    let error = chain.check_tx(&raw).expect_err("refused");
    assert_eq!((error.code, error.class), ("tx.not-member", Class::NotAllowed));
    assert!(chain.execute(std::slice::from_ref(&raw), GENESIS_MS, 1, 9).expect("no fault").is_none());
    let block = advance(&chain, &[raw.clone(), write(&member(1), 0, 1, 1)]);
    assert_eq!(block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(), [(0, "tx.not-member")]);
    assert!(chain.head().state.account(&member(3).account).is_none());
    assert_ne!(chain.head().state.root(), root);
}

#[test]
fn a_suspension_takes_effect_in_the_next_block() {
    let (chain, ..) = network();
    // Member 1 suspends member 2 (the imitation lets anybody write); member 2's write in the same block still counts.
    let suspend = sign(&member(1), draft(0, Some(CONSORTIUM), put(status_slot(2), U256::from(2))));
    let block = advance(&chain, &[suspend, write(&member(2), 0, 1, 1)]);
    assert_eq!(block.included.len(), 2);
    assert_eq!(code_of(&chain, &write(&member(2), 1, 1, 2)), "tx.not-member");
    let back = sign(&member(1), draft(1, Some(CONSORTIUM), put(status_slot(2), U256::from(1))));
    let block = advance(&chain, &[back, write(&member(2), 1, 1, 2)]);
    assert_eq!(block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(), [(1, "tx.not-member")]);
    assert_eq!(code_of(&chain, &write(&member(2), 1, 1, 2)), "taken");
}

#[test]
fn an_account_whose_key_ended_is_nobody() {
    let (chain, ..) = network();
    let ended =
        sign(&member(1), draft(0, Some(CONSORTIUM), put(mapping(member(2).account.into_word(), 0), U256::ZERO)));
    advance(&chain, &[ended]);
    assert_eq!(code_of(&chain, &write(&member(2), 0, 1, 1)), "tx.not-member");
}

#[test]
fn malformed_foreign_and_forged_transactions_are_refused() {
    let (chain, ..) = network();
    let m = member(1);
    let good = write(&m, 0, 1, 1);
    assert_eq!(code_of(&chain, &[]), "tx.malformed");
    assert_eq!(code_of(&chain, &good[..good.len() - 1]), "tx.malformed");
    assert_eq!(code_of(&chain, &[good.clone(), vec![0]].concat()), "tx.malformed");
    assert_eq!(code_of(&chain, &[0x03, 0xc0]), "tx.malformed");
    assert_eq!(code_of(&chain, &vec![0x02; 131_073]), "tx.malformed");
    assert_eq!(code_of(&chain, &sign(&m, TxEip1559 { chain_id: 1, ..draft(0, None, Bytes::new()) })), "tx.chain-id");
    let unbound =
        TxLegacy { chain_id: None, gas_limit: 100_000, to: TxKind::Call(store_address()), ..TxLegacy::default() };
    assert_eq!(code_of(&chain, &sign_legacy(&m, unbound)), "tx.chain-id");
    // The same signature with s mirrored recovers the same account: only the low one is taken.
    let tx = draft(0, Some(store_address()), put(U256::ONE, U256::ONE));
    let low = signature(&m, tx.signature_hash());
    let order = U256::from_be_slice(&alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let high = Signature::new(low.r(), order - low.s(), !low.v());
    assert_eq!(code_of(&chain, &TxEnvelope::from(tx.clone().into_signed(high)).encoded_2718()), "tx.signature");
    let nobody = Signature::new(U256::ZERO, low.s(), false);
    assert_eq!(code_of(&chain, &TxEnvelope::from(tx.into_signed(nobody)).encoded_2718()), "tx.signature");
}

#[test]
fn nonces_have_no_gap() {
    let (chain, ..) = network();
    let m = member(1);
    assert_eq!(code_of(&chain, &write(&m, NONCE_WINDOW, 1, 1)), "taken");
    assert_eq!(code_of(&chain, &write(&m, NONCE_WINDOW + 1, 1, 1)), "tx.nonce-gap");
    let block = advance(&chain, &[write(&m, 1, 1, 1), write(&m, 0, 1, 2), write(&m, 0, 1, 3), write(&m, 1, 1, 4)]);
    assert_eq!(
        block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(),
        [(0, "tx.nonce-gap"), (2, "tx.nonce-low")]
    );
    assert_eq!(chain.head().state.storage(&store_address(), U256::ONE), U256::from(4));
    assert_eq!(code_of(&chain, &write(&m, 1, 1, 1)), "tx.nonce-low");
}

#[test]
fn gas_is_shared_between_members() {
    let (chain, ..) = network();
    let (a, b) = (member(1), member(2));
    // Two active members: half of the block each.
    let share = BLOCK_GAS / 2;
    let with_gas = |m: &Member, nonce, gas_limit| {
        sign(m, TxEip1559 { gas_limit, ..draft(nonce, Some(store_address()), put(U256::from(nonce), U256::ONE)) })
    };
    assert_eq!(code_of(&chain, &with_gas(&a, 0, 21_000)), "tx.gas");
    assert_eq!(code_of(&chain, &with_gas(&a, 0, share + 1)), "tx.gas");
    assert_eq!(code_of(&chain, &with_gas(&a, 0, share)), "taken");
    let half = share / 2;
    let raws = [
        with_gas(&a, 0, half),
        with_gas(&a, 1, half),
        with_gas(&a, 2, 100_000),
        with_gas(&b, 0, share),
        with_gas(&b, 1, 100_000),
    ];
    let block = advance(&chain, &raws);
    assert_eq!(
        block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(),
        [(2, "tx.gas-share"), (4, "tx.gas-share")]
    );
    let capped =
        chain.execute(&[write(&a, 2, 1, 1), write(&a, 3, 1, 1)], GENESIS_MS, 9, 1).expect("ok").expect("block");
    assert_eq!(capped.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(), [(1, "tx.block-full")]);
}

#[test]
fn the_block_has_one_gas_limit_for_all() {
    let members: Vec<_> = (1..=5).map(member).collect();
    let slots = consortium_slots(&members.iter().collect::<Vec<_>>(), &[]);
    let (chain, _) =
        Chain::genesis(&genesis_file(&[creation(&slots, KEYED_STORE), creation(&[], KEYED_STORE)])).expect("good");
    // Five members with a quarter of the block each: the fifth finds it full.
    let raws: Vec<_> = members
        .iter()
        .map(|m| {
            sign(
                m,
                TxEip1559 { gas_limit: BLOCK_GAS / 4, ..draft(0, Some(store_address()), put(U256::ONE, U256::ONE)) },
            )
        })
        .collect();
    let block = advance(&chain, &raws);
    assert_eq!(block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(), [(4, "tx.block-full")]);
}

#[test]
fn only_adopted_code_is_created() {
    let (chain, ..) = network();
    let m = member(1);
    let adopted = creation(&[], KEYED_STORE);
    let create = |nonce, code: Vec<u8>| sign(&m, TxEip1559 { gas_limit: 1_000_000, ..draft(nonce, None, code.into()) });
    let other = creation(&[(U256::ONE, U256::ONE)], KEYED_STORE);
    let error = chain.check_tx(&create(0, other)).expect_err("refused");
    assert_eq!((error.code, error.class), ("tx.create-not-adopted", Class::NotAllowed));
    let block = advance(&chain, &[create(0, adopted)]);
    let made = block.included[0].outcome.created.expect("a contract");
    assert_eq!(made, m.account.create(0));
    let head = chain.head();
    let code = head.state.account(&made).map(|account| account.fields.code_hash).expect("exists");
    assert_eq!(head.state.code(&code).map(|code| code.bytes()), Some(Bytes::from_static(KEYED_STORE)));
}

#[test]
fn what_costs_money_is_refused() {
    let (chain, ..) = network();
    let m = member(1);
    let base = || draft(0, Some(store_address()), put(U256::ONE, U256::ONE));
    assert_eq!(code_of(&chain, &sign(&m, TxEip1559 { max_fee_per_gas: 1, ..base() })), "tx.balance");
    assert_eq!(code_of(&chain, &sign(&m, TxEip1559 { value: U256::ONE, ..base() })), "tx.balance");
    assert_eq!(code_of(&chain, &sign(&m, TxEip1559 { max_priority_fee_per_gas: 1, ..base() })), "taken");
    // A tip above the highest fee is against EIP-1559: the EVM refuses it, and the sender's next one is a gap.
    let raws =
        [sign(&m, TxEip1559 { max_priority_fee_per_gas: 1, ..base() }), write(&m, 1, 1, 1), write(&member(2), 0, 1, 1)];
    let block = advance(&chain, &raws);
    assert_eq!(
        block.refused.iter().map(|(i, e)| (*i, e.code)).collect::<Vec<_>>(),
        [(0, "tx.invalid"), (1, "tx.nonce-gap")]
    );
}
