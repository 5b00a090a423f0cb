//! What is stored is enough to come back, and a window of the past comes back with it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256};

use super::*;

use crate::chain::proof::{verify_account, verify_storage};
use crate::chain::window::{WINDOW_BLOCKS, WINDOW_SECONDS};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Calldata that writes random slots of few, so that values are set, changed and removed.
fn random_block(numbers: &mut Numbers, nonce: &mut u64) -> Vec<Vec<u8>> {
    (0..=numbers.below(6))
        .map(|_| {
            let raw = write(&member(1), *nonce, numbers.below(50), numbers.below(4));
            *nonce += 1;
            raw
        })
        .collect()
}

#[test]
fn loaded_equals_memory_after_random_blocks() {
    let (chain, first, file) = network();
    let mut rows = BTreeMap::new();
    store(&mut rows, &first);
    let (mut numbers, mut nonce) = (Numbers(5), 0);
    for round in 0..40 {
        let mut raws = random_block(&mut numbers, &mut nonce);
        if round % 7 == 3 {
            let code: Bytes = creation(&[], KEYED_STORE).into();
            raws.push(sign(&member(1), TxEip1559 { gas_limit: 900_000, ..draft(nonce, None, code) }));
            nonce += 1;
        }
        let block = advance(&chain, &raws);
        store(&mut rows, &block.writes);
        if round % 5 == 0 {
            let loaded = reload(&file, &rows).expect("whole");
            assert_eq!(loaded.head().sealed.hash, chain.head().sealed.hash);
            assert_eq!(loaded.head().state.root(), chain.head().state.root());
            assert_eq!(loaded.oldest(), 0);
        }
    }
    let loaded = reload(&file, &rows).expect("whole");
    for height in 0..=chain.head().sealed.header.number {
        let (ours, theirs) =
            (chain.at_height(Some(height)).expect("held"), loaded.at_height(Some(height)).expect("held"));
        assert_eq!(ours.sealed.hash, theirs.sealed.hash);
        for slot in 0..50 {
            let slot = U256::from(slot);
            let value = ours.state.storage(&store_address(), slot);
            assert_eq!(theirs.state.storage(&store_address(), slot), value);
            let proof = theirs.state.prove(&store_address());
            let account =
                verify_account(theirs.sealed.header.state_root, store_address().as_slice(), &proof).expect("proof");
            let storage = &theirs.state.account(&store_address()).expect("there").storage;
            let nodes = storage.prove(&alloy_primitives::keccak256(slot.to_be_bytes::<32>()));
            assert_eq!(verify_storage(account.storage_hash, slot.into(), &nodes).expect("proof"), value);
        }
    }
    // Both go on alike.
    let raws = [write(&member(2), 0, 1, 9)];
    assert_eq!(advance(&chain, &raws).sealed.hash, advance(&loaded, &raws).sealed.hash);
}

#[test]
fn the_window_moves_with_blocks_and_time() {
    let (chain, first, file) = network();
    let kept = std::cell::RefCell::new(BTreeMap::new());
    store(&mut kept.borrow_mut(), &first);
    let mut nonce = 0;
    let mut next = |seconds: u64| {
        let head = chain.head();
        let time = (head.sealed.header.timestamp + seconds) * 1000;
        let raws = [write(&member(1), nonce, nonce % 10, nonce + 1)];
        nonce += 1;
        let block = chain.execute(&raws, time, head.sealed.header.number + 1, 9).expect("ok").expect("block");
        store(&mut kept.borrow_mut(), &block.writes);
        chain.commit().expect("pending");
    };
    (0..WINDOW_BLOCKS + 40).for_each(|_| next(1));
    // 296 blocks in 296 seconds: ten minutes are the later bound.
    assert_eq!(chain.oldest(), 0);
    // Each block writes its number to slot number % 10: states held whole and states made again tell the same.
    let states = |chain: &Chain| {
        for height in 0..=chain.head().sealed.header.number {
            let on = chain.at_height(Some(height)).expect("held");
            assert_eq!((on.sealed.header.number, on.state.root()), (height, on.sealed.header.state_root));
            if let Some(last) = height.checked_sub(1) {
                assert_eq!(on.state.storage(&store_address(), U256::from(last % 10)), U256::from(height));
            }
        }
    };
    states(&chain);
    states(&reload(&file, &kept.borrow()).expect("whole"));
    next(WINDOW_SECONDS);
    assert_eq!(chain.oldest(), WINDOW_BLOCKS + 41 - WINDOW_BLOCKS);
    (0..10).for_each(|_| next(WINDOW_SECONDS));
    let head = chain.head().sealed.header.number;
    assert_eq!(chain.oldest(), head - WINDOW_BLOCKS);
    assert_eq!(chain.at_height(Some(0)).err().map(|e| e.code), Some("proof.window"));
    let rows = kept.borrow();
    assert_eq!(rows.keys().filter(|key| key[0] == b'd').count() as u64, WINDOW_BLOCKS + 1);
    let loaded = reload(&file, &rows).expect("whole");
    assert_eq!((loaded.oldest(), loaded.head().sealed.hash), (chain.oldest(), chain.head().sealed.hash));
}

#[test]
fn a_damaged_store_is_named() {
    let (chain, first, file) = network();
    let mut rows = BTreeMap::new();
    store(&mut rows, &first);
    for nonce in 0..4 {
        store(&mut rows, &advance(&chain, &[write(&member(1), nonce, nonce, 5)]).writes);
    }
    let fails = |change: &dyn Fn(&mut Rows)| {
        let mut changed = rows.clone();
        change(&mut changed);
        assert_ne!(changed, rows);
        reload(&file, &changed).err().map_or("loaded", |error| error.code)
    };
    let first_of = |kind: u8| rows.keys().find(|key| key[0] == kind).cloned().expect("a row of each kind");
    for kind in [b'a', b'c', b's', b'd', b'h', b'g'] {
        let gone = fails(&|rows| {
            rows.remove(&first_of(kind));
        });
        let expected = match kind {
            // Slots without their account, or a root that lacks one.
            b'a' => ["chain.row", "chain.root-mismatch"].as_slice(),
            b's' => &["chain.root-mismatch"],
            // The oldest way back missing only shortens the window.
            b'd' => &["loaded"],
            _ => &["chain.row"],
        };
        assert!(expected.contains(&gone), "{}: {gone}", kind as char);
    }
    let last = rows.keys().rfind(|key| key[0] == b'd').cloned().expect("a way back");
    assert_eq!(fails(&|rows| drop(rows.remove(&last))), "chain.row");
    assert_eq!(fails(&|rows| rows.get_mut(&last).expect("it")[700] ^= 1), "chain.root-mismatch");
    assert_eq!(fails(&|rows| rows.get_mut(&first_of(b's')).expect("a slot").push(0)), "chain.root-mismatch");
    assert_eq!(fails(&|rows| rows.get_mut(&first_of(b's')).expect("a slot").insert(0, 0)), "chain.row");
    assert_eq!(fails(&|rows| rows.get_mut(&first_of(b'c')).expect("code").push(0)), "chain.row");
    assert_eq!(fails(&|rows| drop(rows.insert(b"zz".to_vec(), vec![])),), "chain.row");
    assert_eq!(fails(&|rows| rows.get_mut(&first_of(b'g')).expect("it")[0] ^= 1), "chain.genesis-mismatch");
    assert_eq!(reload(&file, &BTreeMap::new()).err().map(|e| e.code), Some("chain.row"));
}

/// Creation code of a contract that stores 1 at slots 1 and 2 and destroys itself when called with nothing, and that on
/// any calldata stores 3 at slot 3.
fn mortal() -> Vec<u8> {
    let runtime = alloy_primitives::hex!("366007576000ff5b600360035500");
    creation(&[(U256::from(1), U256::ONE), (U256::from(2), U256::ONE)], &runtime)
}

#[test]
fn a_destroyed_contract_leaves_nothing_and_comes_back_in_the_past() {
    let code = mortal();
    let slots = consortium_slots(&[&member(1)], &[&code]);
    let file = genesis_file(&[creation(&slots, KEYED_STORE), creation(&[], KEYED_STORE)]);
    let (chain, first) = Chain::genesis(&file).expect("good");
    let mut rows = BTreeMap::new();
    store(&mut rows, &first);
    let m = member(1);
    let made: Address = m.account.create(0);
    let call = |nonce, input: &'static [u8]| sign(&m, draft(nonce, Some(made), Bytes::from_static(input)));
    let create = sign(&m, TxEip1559 { gas_limit: 900_000, ..draft(0, None, code.into()) });
    store(&mut rows, &advance(&chain, &[create, call(1, b"x")]).writes);
    assert_eq!(chain.head().state.storage(&made, U256::from(3)), U256::from(3));
    store(&mut rows, &advance(&chain, &[call(2, b""), call(3, b"x")]).writes);
    assert!(chain.head().state.account(&made).is_none());
    let key = alloy_primitives::keccak256(made);
    assert!(!rows.keys().any(|row| matches!(row[0], b'a' | b's') && row[1..33] == key[..]), "its rows are deleted");
    let loaded = reload(&file, &rows).expect("whole");
    let past = loaded.at_height(Some(1)).expect("held");
    assert_eq!(past.state.storage(&made, U256::from(2)), U256::ONE);
    assert!(loaded.head().state.account(&made).is_none());
}
