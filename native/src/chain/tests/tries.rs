//! The trie against alloy-trie's HashBuilder, known roots and its own proofs.

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256, b256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};

use super::Numbers;
use crate::chain::proof::verify;
use crate::chain::trie::{EMPTY_ROOT, Trie};

fn reference_root(model: &BTreeMap<B256, U256>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
    }
    builder.root()
}

/// Keys that share long prefixes now and then, so that every shape of node occurs, embedded ones included.
fn key(numbers: &mut Numbers) -> B256 {
    let mut key = match numbers.below(3) {
        0 => keccak256(numbers.below(400).to_be_bytes()),
        1 => B256::ZERO,
        _ => B256::repeat_byte(0x5a),
    };
    for _ in 0..numbers.below(3) {
        let at = 31 - numbers.below(4) as usize;
        key.0[at] = numbers.below(256) as u8;
    }
    key
}

#[test]
fn known_roots() {
    let mut trie = Trie::default();
    assert_eq!(trie.root(), EMPTY_ROOT);
    assert!(trie.prove(&B256::ZERO).is_empty());
    trie.insert(keccak256([0; 32]), U256::from(1));
    // A contract with 1 in slot 0, as go-ethereum and others give it.
    assert_eq!(trie.root(), b256!("821e2556a290c86405f8160a2d662042a431ba456b9db265c79bb837c04be5f0"));
    assert!(trie.remove(&keccak256([0; 32])));
    assert!(trie.is_empty());
    assert_eq!(trie.root(), EMPTY_ROOT);
}

#[test]
fn random_inserts_and_removes_agree_with_the_hash_builder() {
    for seed in 0..20 {
        let mut numbers = Numbers(seed);
        let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
        for step in 0..600 {
            let key = key(&mut numbers);
            if numbers.below(3) == 0 {
                assert_eq!(trie.remove(&key), model.remove(&key).is_some());
            } else {
                let value = U256::from(numbers.next()) << (numbers.below(200) as usize);
                let value = if value.is_zero() { U256::ONE } else { value };
                trie.insert(key, value);
                model.insert(key, value);
            }
            if step % 20 == 0 {
                assert_eq!(trie.root(), reference_root(&model), "seed {seed}, step {step}");
            }
        }
        assert_eq!(trie.root(), reference_root(&model));
        let mut leaves = Vec::new();
        trie.for_each(|key, value| leaves.push((*key, *value)));
        assert_eq!(leaves, model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn many_changes_at_once_are_the_same_changes_one_by_one() {
    let mut numbers = Numbers(17);
    let (mut one_by_one, mut at_once) = (Trie::default(), Trie::default());
    for round in 0..120 {
        // Now and then nearly everything goes, so that the root loses its children.
        let (count, removed) = if round % 10 == 9 { (1_200, 100) } else { (numbers.below(300), 3) };
        let mut changes = BTreeMap::new();
        for _ in 0..count {
            let value = (numbers.below(removed) == 0).then(|| U256::from(numbers.below(5) + 1));
            changes.insert(key(&mut numbers), value);
        }
        let mut priors = Vec::new();
        for (key, value) in &changes {
            let prior = one_by_one.get(key).copied();
            if prior != *value {
                priors.push((*key, prior));
            }
            match value {
                Some(value) => one_by_one.insert(*key, *value),
                None => drop(one_by_one.remove(key)),
            }
        }
        let before = (at_once.clone(), at_once.root());
        assert_eq!(at_once.update(&changes.into_iter().collect::<Vec<_>>()), priors, "round {round}");
        assert_eq!(at_once.root(), one_by_one.root(), "round {round}");
        assert_eq!(before.0.root(), before.1);
    }
    let all: Vec<_> = {
        let mut keys = Vec::new();
        at_once.for_each(|key, _| keys.push((*key, None)));
        keys
    };
    at_once.update(&all);
    assert!(at_once.is_empty());
}

#[test]
fn a_snapshot_does_not_change_with_its_successor() {
    let mut numbers = Numbers(7);
    let mut trie = Trie::default();
    let mut history = Vec::new();
    for _ in 0..60 {
        for _ in 0..10 {
            let key = key(&mut numbers);
            if numbers.below(4) == 0 {
                trie.remove(&key);
            } else {
                trie.insert(key, U256::from(numbers.next() | 1));
            }
        }
        history.push((trie.clone(), trie.root()));
    }
    for (snapshot, root) in &history {
        assert_eq!(snapshot.root(), *root);
        let mut model = BTreeMap::new();
        snapshot.for_each(|key, value| {
            model.insert(*key, *value);
        });
        assert_eq!(reference_root(&model), *root);
    }
}

#[test]
fn every_key_is_proven_present_or_absent() {
    let mut numbers = Numbers(11);
    let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
    for _ in 0..400 {
        let (key, value) = (key(&mut numbers), U256::from(numbers.below(300) + 1));
        trie.insert(key, value);
        model.insert(key, value);
    }
    let root = trie.root();
    for _ in 0..1_500 {
        let key = key(&mut numbers);
        let proof = trie.prove(&key);
        let proven = verify(root, &key, &proof).expect("our own proof verifies");
        assert_eq!(proven, model.get(&key).map(alloy_rlp::encode), "{key}");
    }
}

#[test]
fn a_changed_proof_never_verifies_to_something_else() {
    let mut numbers = Numbers(13);
    let mut trie = Trie::default();
    for i in 0..300_u64 {
        trie.insert(keccak256(i.to_be_bytes()), U256::from(i + 1));
    }
    let root = trie.root();
    for i in 0..300_u64 {
        let key = keccak256(i.to_be_bytes());
        let mut proof: Vec<Vec<u8>> = trie.prove(&key).iter().map(|node| node.to_vec()).collect();
        match numbers.below(4) {
            0 => {
                let node = numbers.below(proof.len() as u64) as usize;
                let byte = numbers.below(proof[node].len() as u64) as usize;
                proof[node][byte] ^= 1 << numbers.below(8);
            }
            1 => proof.push(trie.prove(&keccak256([1]))[0].to_vec()),
            2 => {
                proof.pop();
            }
            _ => proof.swap(0, 1),
        }
        assert!(verify(root, &key, &proof).is_err(), "key {i}");
    }
}
