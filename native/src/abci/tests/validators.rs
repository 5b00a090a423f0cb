//! The set CometBFT is told is the contract's.

use tendermint_proto::v0_38::crypto::public_key::Sum;

use super::*;
use crate::chain::consortium::validators;
use crate::chain::rules::CONSORTIUM;
use crate::chain::tests::{draft, put, sign};

/// Member 1 writes one of the Consortium's slots: the imitation lets everybody.
fn set(nonce: u64, slot: U256, value: U256) -> Vec<u8> {
    sign(&member(1), draft(nonce, Some(CONSORTIUM), put(slot, value)))
}

/// (key, power) of each update.
fn told(finalized: &ResponseFinalizeBlock) -> Vec<(B256, i64)> {
    let entry = |update: &tendermint_proto::v0_38::abci::ValidatorUpdate| match update
        .pub_key
        .as_ref()
        .and_then(|key| key.sum.as_ref())
    {
        Some(Sum::Ed25519(key)) => (B256::from_slice(key), update.power),
        other => panic!("{other:?}"),
    };
    finalized.validator_updates.iter().map(entry).collect()
}

fn keys(node: &Node) -> Vec<B256> {
    validators(&node.chain.head().state).into_iter().collect()
}

#[test]
fn only_what_changed_is_told_and_each_key_once() {
    let mut node = Node::found(3);
    let mut client = node.begin();
    assert_eq!(keys(&node), [key(1), key(2), key(3)]);
    assert!(told(&node.height(&mut client, 1, &[set(0, U256::from(99), U256::from(1))])).is_empty());
    // Member 3 rotates: its old key leaves, the new one enters.
    let rotate = [
        set(1, element(mapping(member(3).id, 9), 0), key(9).into()),
        set(2, mapping(key(9), 3) + U256::from(1), U256::from(0x0102)),
    ];
    assert_eq!(told(&node.height(&mut client, 2, &rotate)), [(key(3), 0), (key(9), 1)]);
    // Told once, also after a restart.
    let mut node = node.crash();
    let mut client = node.connect();
    assert!(told(&node.height(&mut client, 3, &[])).is_empty());
    let leave = set(3, mapping(member(2).id, 1), standing(false));
    assert_eq!(told(&node.height(&mut client, 4, &[leave])), [(key(2), 0)]);
    // There and back within one block is no change.
    let both = [set(4, mapping(member(2).id, 1), standing(true)), set(5, mapping(member(2).id, 1), standing(false))];
    assert!(told(&node.height(&mut client, 5, &both)).is_empty());
    assert_eq!(keys(&node), [key(1), key(9)]);
    assert_eq!(told(&node.height(&mut client, 6, &[set(6, mapping(member(2).id, 1), standing(true))])), [(key(2), 1)]);
}

#[test]
fn a_crash_between_finalize_and_commit_tells_the_same_again() {
    let mut node = Node::found(3);
    let mut client = node.begin();
    let leave = [set(0, mapping(member(2).id, 1), standing(false))];
    let first = told(&client.finalize(1, &leave).expect("executes"));
    assert_eq!(first, [(key(2), 0)]);
    // CometBFT may also ask twice in one life.
    assert_eq!(told(&client.finalize(1, &leave).expect("executes again")), first);
    node = node.crash();
    let mut client = node.begin();
    assert_eq!(told(&node.height(&mut client, 1, &leave)), first);
}

#[test]
fn an_empty_set_is_never_told() {
    let mut node = Node::found(1);
    let mut client = node.begin();
    assert!(told(&node.height(&mut client, 1, &[set(0, mapping(member(1).id, 1), standing(false))])).is_empty());
    assert!(keys(&node).is_empty());
    let mut node = node.crash();
    let mut client = node.connect();
    assert!(told(&node.height(&mut client, 2, &[])).is_empty());
    assert!(told(&node.height(&mut client, 3, &[set(1, mapping(member(1).id, 1), standing(true))])).is_empty());
}

#[test]
fn the_contracts_lists_are_read_as_the_contract_reads_them() {
    let mut node = Node::found(3);
    let mut client = node.begin();
    let list = mapping(member(2).id, 9);
    // An account key before the consensus key; a validator without a key; a length that no list has.
    let changes = [
        set(0, list, U256::from(2)),
        set(1, element(list, 1), key(2).into()),
        set(2, element(list, 0), key(7).into()),
        set(3, mapping(key(7), 3) + U256::from(1), U256::from(0x0101)),
        set(4, mapping(member(3).id, 9), U256::ZERO),
        set(5, U256::from(7), U256::MAX),
    ];
    assert_eq!(told(&node.height(&mut client, 1, &changes)), [(key(3), 0)]);
    assert_eq!(keys(&node), [key(1), key(2)]);
}
