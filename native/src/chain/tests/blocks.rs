//! Genesis, execution, verification of foreign blocks, calls.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;

use super::*;
use crate::chain::block::Sealed;
use crate::chain::call::Call;
use crate::error::Class;

#[test]
fn genesis_is_a_function_of_the_file() {
    let (a, rows_a, file) = network();
    let (b, rows_b, _) = network();
    assert_eq!(a.head().sealed.hash, b.head().sealed.hash);
    assert_eq!(rows_a, rows_b);
    let header = &a.head().sealed.header;
    assert_eq!((header.number, header.timestamp, header.gas_limit), (0, GENESIS_MS / 1000, BLOCK_GAS));
    assert_eq!(header.mix_hash, keccak256(B256::ZERO));
    assert_eq!(header.extra_data.as_ref(), [0; 8]);
    // The deployer's nonce counts the contracts; a contract starts at 1 (EIP-161).
    let state = &a.head().state;
    assert_eq!(state.account(&DEPLOYER).map(|account| account.fields.nonce), Some(2));
    assert_eq!(state.account(&store_address()).map(|account| account.fields.nonce), Some(1));
    let text = String::from_utf8(file).expect("JSON");
    let later = text.replace("2026-11-22T00", "2026-11-22T01");
    assert_ne!(Chain::genesis(later.as_bytes()).expect("good").0.head().sealed.hash, a.head().sealed.hash);
}

#[test]
fn genesis_that_does_not_come_out_as_listed_is_refused() {
    let (_, _, file) = network();
    let text = String::from_utf8(file).expect("JSON");
    let address = format!("{:?}", store_address());
    let hash = format!("{:?}", keccak256(KEYED_STORE));
    for (from, to, code) in [
        (address.as_str(), "0x00000000000000000000000000000000000000aa", "genesis.address"),
        (hash.as_str(), "0x00000000000000000000000000000000000000000000000000000000000000aa", "genesis.code-hash"),
        ("\"code\":\"0x7f", "\"code\":\"0xfe7f", "genesis.constructor"),
        ("\"v\":1", "\"v\":2", "genesis.field"),
        ("\"v\":1", "\"v\":1,\"w\":1", "genesis.field"),
        ("\"txBytes\":131072", "\"txBytes\":131072,\"x\":0", "genesis.field"),
        ("T00:00:00.000Z", "T00:00:00Z", "genesis.field"),
        ("\"chainId\":330000", "\"chainId\":0", "genesis.field"),
        ("\"name\":\"Consortium\"", "\"name\":\"Consortiun\"", "genesis.field"),
        ("\"v\":1", "\"v\": 1", "genesis.json"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = Chain::genesis(changed.as_bytes()).err().expect(code);
        assert_eq!(error.code, code, "{error}");
    }
}

#[test]
fn a_block_has_the_fields_of_the_formats_page() {
    let (chain, ..) = network();
    let parent = chain.head();
    let raws = [write(&member(1), 0, 5, 7), write(&member(2), 0, 6, 8)];
    // Time below the parent's is raised to it.
    let block = chain.execute(&raws, 1_000, 9, 100).expect("no fault").expect("valid");
    assert_eq!(chain.head().sealed.hash, parent.sealed.hash, "the head waits for commit");
    chain.commit().expect("pending");
    assert_eq!(chain.head().sealed.hash, block.sealed.hash);
    let header = Header::decode(&mut block.sealed.rlp.as_ref()).expect("RLP");
    assert_eq!(header.parent_hash, parent.sealed.hash);
    assert_eq!(header.timestamp, parent.sealed.header.timestamp);
    assert_eq!(header.mix_hash, keccak256(parent.sealed.hash));
    assert_eq!(header.extra_data.as_ref(), 9_u64.to_be_bytes());
    assert_eq!((header.base_fee_per_gas, header.withdrawals_root), (Some(0), None));
    assert_eq!(header.beneficiary, Address::ZERO);
    assert_eq!(header.gas_used, block.included.iter().map(|i| i.outcome.gas_used).sum::<u64>());
    // The log's address and topic are in the bloom.
    assert!(header.logs_bloom.contains_input(alloy_primitives::BloomInput::Raw(store_address().as_slice())));
    assert_eq!(header.state_root, chain.head().state.root());
    assert_eq!(chain.head().state.storage(&store_address(), U256::from(6)), U256::from(8));
    assert_eq!(Sealed::decode(&block.sealed.rlp).expect("strict").hash, block.sealed.hash);
}

#[test]
fn headers_are_decoded_strictly() {
    let (chain, ..) = network();
    let good = advance(&chain, &[write(&member(1), 0, 1, 1)]).sealed.clone();
    let mut spaced = good.rlp.to_vec();
    spaced.push(0);
    assert_eq!(Sealed::decode(&spaced).err().map(|e| e.code), Some("header.malformed"));
    assert_eq!(Sealed::decode(&[]).err().map(|e| e.code), Some("header.malformed"));
    let fields: [Change; 8] = [
        |h| h.base_fee_per_gas = Some(1),
        |h| h.base_fee_per_gas = None,
        |h| h.withdrawals_root = Some(B256::ZERO),
        |h| h.beneficiary = Address::with_last_byte(1),
        |h| h.difficulty = U256::ONE,
        |h| h.mix_hash = B256::ZERO,
        |h| h.nonce = 1_u64.into(),
        |h| h.extra_data = vec![0; 9].into(),
    ];
    for (i, change) in fields.into_iter().enumerate() {
        let mut header = good.header.clone();
        change(&mut header);
        assert_eq!(Sealed::decode(&alloy_rlp::encode(&header)).err().map(|e| e.code), Some("header.field"), "{i}");
    }
}

#[test]
fn execute_replaces_pending_and_nothing_valid_is_no_block() {
    let (chain, ..) = network();
    let time = GENESIS_MS + 1000;
    let first = chain.execute(&[write(&member(1), 0, 1, 1)], time, 1, 9).expect("ok").expect("block");
    let second = chain.execute(&[write(&member(1), 0, 1, 2)], time, 1, 9).expect("ok").expect("block");
    assert_ne!(first.sealed.hash, second.sealed.hash);
    chain.commit().expect("pending");
    assert_eq!(chain.head().sealed.hash, second.sealed.hash);
    assert_eq!(chain.commit().err().map(|e| e.code), Some("chain.no-pending"));
    let none = chain.execute(&[write(&member(9), 0, 1, 1), vec![1, 2, 3]], time, 2, 9).expect("ok");
    assert!(none.is_none());
    assert_eq!(chain.commit().err().map(|e| e.code), Some("chain.no-pending"));
    let again = chain.execute(&[write(&member(1), 1, 1, 1)], time, 1, 9);
    assert_eq!(again.err().map(|e| e.code), Some("block.consensus-height"));
}

#[test]
fn a_revert_is_a_receipt_with_its_data() {
    let (chain, ..) = network();
    let raw = sign(&member(1), draft(0, Some(store_address()), Bytes::from_static(b"neither")));
    let block = advance(&chain, &[raw, write(&member(1), 1, 3, 4)]);
    let (reverted, stored) = (&block.included[0], &block.included[1]);
    assert!(!reverted.outcome.success);
    assert_eq!(U256::from_be_slice(&reverted.outcome.output), U256::from(0xdead));
    assert!(reverted.outcome.logs.is_empty());
    assert!(stored.outcome.success);
    assert_eq!(stored.outcome.logs.len(), 1);
    assert_eq!(stored.cumulative_gas, reverted.outcome.gas_used + stored.outcome.gas_used);
    assert_eq!(chain.head().state.account(&member(1).account).map(|a| a.fields.nonce), Some(2));
}

#[test]
fn a_follower_comes_to_the_same_block() {
    let (leader, ..) = network();
    let (follower, ..) = network();
    let mut numbers = Numbers(3);
    for round in 0..20_u64 {
        let raws: Vec<_> =
            (0..5).map(|i| write(&member(1), round * 5 + i, numbers.below(40), numbers.below(5))).collect();
        let block = advance(&leader, &raws);
        let verified = follower.verify_block(&block.sealed.rlp, &raws).expect("the same");
        assert_eq!(verified.writes, block.writes);
        follower.commit().expect("pending");
    }
    assert_eq!(leader.head().sealed.hash, follower.head().sealed.hash);
}

type Change = fn(&mut Header);

#[test]
fn verify_block_names_the_first_difference() {
    let (leader, ..) = network();
    let (follower, ..) = network();
    let raws = [write(&member(1), 0, 1, 1)];
    let good = advance(&leader, &raws).sealed.header.clone();
    let changes: [(&str, Change); 10] = [
        ("block.height", |h| h.number += 1),
        ("block.parent", |h| {
            h.parent_hash = B256::ZERO;
            h.mix_hash = keccak256(B256::ZERO);
        }),
        ("block.time", |h| h.timestamp = 0),
        ("block.consensus-height", |h| h.extra_data = vec![0; 8].into()),
        ("block.gas-limit", |h| h.gas_limit -= 1),
        ("block.transactions-root", |h| h.transactions_root = B256::ZERO),
        ("block.gas-used", |h| h.gas_used += 1),
        ("block.receipts-root", |h| h.receipts_root = B256::ZERO),
        ("block.logs-bloom", |h| h.logs_bloom = alloy_primitives::Bloom::ZERO),
        ("block.state-root", |h| h.state_root = B256::ZERO),
    ];
    for (code, change) in changes {
        let mut header = good.clone();
        change(&mut header);
        let error = follower.verify_block(&alloy_rlp::encode(&header), &raws).err().expect(code);
        assert_eq!((error.code, error.class), (code, Class::Untrusted), "{error}");
        assert!(error.expected.is_some() && error.actual.is_some(), "{code} carries both values");
        assert_eq!(follower.commit().err().map(|e| e.code), Some("chain.no-pending"), "{code} leaves nothing pending");
    }
    let rlp = alloy_rlp::encode(&good);
    let outsider = [write(&member(1), 0, 1, 1), write(&member(9), 0, 1, 1)];
    assert_eq!(follower.verify_block(&rlp, &outsider).err().map(|e| e.code), Some("block.transaction"));
    assert_eq!(follower.verify_block::<Vec<u8>>(&rlp, &[]).err().map(|e| e.code), Some("block.empty"));
    assert_eq!(follower.verify_block(&rlp[1..], &raws).err().map(|e| e.code), Some("block.header"));
    follower.verify_block(&rlp, &raws).expect("the true block still fits");
}

#[test]
fn calls_see_their_block_and_leave_no_trace() {
    let (chain, ..) = network();
    advance(&chain, &[write(&member(1), 0, 1, 11)]);
    advance(&chain, &[write(&member(1), 1, 1, 22)]);
    let read = Call { to: Some(store_address()), input: U256::ONE.to_be_bytes::<32>().into(), ..Call::default() };
    for (height, value) in [(Some(0), 0), (Some(1), 11), (Some(2), 22), (None, 22)] {
        let on = chain.at_height(height).expect("held");
        let outcome = chain.call(&on, &read).expect("runs");
        assert!(outcome.success);
        assert_eq!(U256::from_be_slice(&outcome.output), U256::from(value), "{height:?}");
    }
    let head = chain.head();
    let stores = Call { input: put(U256::ONE, U256::from(33)), ..read.clone() };
    assert!(chain.call(&head, &stores).expect("runs").success);
    assert_eq!(chain.head().state.storage(&store_address(), U256::ONE), U256::from(22));
    assert_eq!(chain.at_height(Some(3)).err().map(|e| e.code), Some("chain.height"));
    let greedy = Call { gas: Some(BLOCK_GAS + 1), ..read.clone() };
    assert_eq!(chain.call(&head, &greedy).err().map(|e| e.code), Some("evm.gas"));
    let poor = Call { value: U256::ONE, ..read };
    assert_eq!(chain.call(&head, &poor).err().map(|e| e.code), Some("evm.refused"));
}

#[test]
fn an_estimate_is_the_least_gas_that_succeeds() {
    let (chain, ..) = network();
    let head = chain.head();
    let stores = Call {
        from: member(1).account,
        to: Some(store_address()),
        input: put(U256::ONE, U256::ONE),
        ..Call::default()
    };
    let least = chain.estimate_gas(&head, &stores).expect("succeeds");
    assert!(chain.call(&head, &Call { gas: Some(least), ..stores.clone() }).expect("runs").success);
    assert!(!chain.call(&head, &Call { gas: Some(least - 1), ..stores.clone() }).is_ok_and(|outcome| outcome.success));
    let reverts = Call { input: Bytes::new(), ..stores };
    let error = chain.estimate_gas(&head, &reverts).expect_err("reverts");
    let data = U256::from(0xdead).to_be_bytes::<32>().to_vec();
    assert_eq!((error.code, error.actual), ("evm.revert", Some(crate::error::Value::Bytes(data))));
}
