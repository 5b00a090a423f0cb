//! What is proposed, and what is accepted.

use alloy_consensus::TxEip1559;
use alloy_primitives::Bytes;

use super::*;
use crate::chain::tests::{BLOCK_GAS, CHAIN_ID, draft, put, sign, store_address, write};

const ROOM: i64 = 1 << 20;

/// A write that asks for so much gas.
fn heavy(n: u8, nonce: u64, gas_limit: u64) -> Vec<u8> {
    let input = put(U256::from(nonce), U256::from(9));
    sign(&member(n), TxEip1559 { gas_limit, ..draft(nonce, Some(store_address()), input) })
}

#[test]
fn a_proposal_that_breaks_a_rule_is_refused() {
    let node = Node::found(2);
    let mut client = node.begin();
    let good = [write(&member(1), 0, 1, 1), write(&member(2), 0, 1, 2), write(&member(1), 1, 1, 3)];
    assert!(client.process(1, &[]));
    assert!(client.process(1, &good));
    let other_chain = TxEip1559 { chain_id: CHAIN_ID + 1, ..draft(0, Some(store_address()), Bytes::new()) };
    let mut torn = write(&member(1), 0, 1, 1);
    torn.pop();
    let long = sign(&member(1), draft(0, Some(store_address()), vec![0; 140_000].into()));
    let share = BLOCK_GAS / 2;
    let bad: [(&str, Vec<Vec<u8>>); 12] = [
        ("an outsider", vec![write(&member(9), 0, 1, 1)]),
        ("an outsider among members", [&good[..], &[write(&member(9), 0, 1, 1)]].concat()),
        ("a gap", vec![write(&member(1), 1, 1, 1)]),
        ("the wrong order", vec![good[2].clone(), good[0].clone()]),
        ("twice the same", vec![good[0].clone(), good[0].clone()]),
        ("two of one nonce", vec![good[0].clone(), write(&member(1), 0, 1, 7)]),
        ("another chain", vec![sign(&member(1), other_chain)]),
        ("no transaction", vec![b"?".to_vec()]),
        ("nothing", vec![Vec::new()]),
        ("half a transaction", vec![torn]),
        ("a long transaction", vec![long]),
        ("more than a member's share", vec![heavy(1, 0, share), heavy(1, 1, 30_000)]),
    ];
    for (what, txs) in bad {
        assert!(!client.process(1, &txs), "{what}");
    }
    // Each member may have its half.
    assert!(client.process(1, &[heavy(1, 0, share), heavy(2, 0, share)]));
    let stats: BTreeMap<_, _> = node.application.stats().into_iter().collect();
    assert_eq!((stats["proposals_judged"], stats["proposals_refused"]), (15, 12));
    // Nothing was executed.
    assert_eq!(node.chain.head().sealed.header.number, 0);
}

#[test]
fn what_is_proposed_is_accepted_by_everybody() {
    let node = Node::found(3);
    let mut client = node.begin();
    let pool = [
        write(&member(1), 2, 1, 12),
        write(&member(1), 0, 1, 10),
        write(&member(2), 1, 1, 21),
        write(&member(1), 1, 1, 11),
        write(&member(3), 0, 1, 30),
        heavy(3, 2, 30_000),
    ];
    assert_eq!(node.hand_in(&pool), [""; 6]);
    let proposal = client.prepare(1, ROOM);
    // Runs from the committed nonce: of member 1 three, of member 2 none (its nonce 0 is not here), of member 3 one. The
    // bell, which CometBFT offers, is not among them.
    let mut places: Vec<_> =
        proposal.iter().map(|raw| pool.iter().position(|other| other == raw).expect("of the pool")).collect();
    assert!(client.process(1, &proposal));
    places.sort_unstable();
    assert_eq!(places, [0, 1, 3, 4]);
    assert!(!client.process(1, &[&proposal[..], &[BELL.to_vec()]].concat()), "a proposal with the bell");
}

#[test]
fn a_proposal_is_judged_to_its_end() {
    let node = Node::found(2);
    let mut client = node.begin();
    let of = |n: u8, count: u64| (0..count).map(move |nonce| heavy(n, nonce, 30_000)).collect::<Vec<_>>();
    // More than are decoded together; the last one is wrong.
    let good = [of(1, 300), of(2, 300)].concat();
    assert!(client.process(1, &good));
    for last in [Vec::new(), write(&member(9), 0, 1, 1), good[0].clone()] {
        assert!(!client.process(1, &[&good[..], &[last]].concat()));
    }
    // A million that are nothing are refused at the first.
    assert!(!client.process(1, &vec![Vec::new(); 1_000_000]));
}

#[test]
fn members_take_turns_and_the_first_turn_goes_around() {
    let node = Node::found(3);
    let mut client = node.begin();
    let pool: Vec<_> = (1..=3).flat_map(|n| (0..4).map(move |nonce| write(&member(n), nonce, 1, 1))).collect();
    let senders = |proposal: &[Vec<u8>]| -> Vec<usize> {
        proposal.iter().map(|raw| pool.iter().position(|other| other == raw).expect("of the pool") / 4).collect()
    };
    assert_eq!(node.hand_in(&pool), [""; 12]);
    let mut firsts = Vec::new();
    for height in 1..=3 {
        let order = senders(&client.prepare(height, ROOM));
        assert_eq!(order.len(), 12);
        // Round after round the same order.
        assert!(order.chunks(3).all(|round| round == &order[..3] && round.iter().sum::<usize>() == 3), "{order:?}");
        firsts.push(order[0]);
    }
    firsts.sort_unstable();
    assert_eq!(firsts, [0, 1, 2]);
    // Room for five: nobody has more than two. A transaction takes a tag and its length beside its bytes.
    let room = client.prepare(1, ROOM)[..5].iter().map(|raw| raw.len() as i64 + 3).sum();
    let order = senders(&client.prepare(1, room));
    assert_eq!(order.len(), 5);
    assert!((0..3).all(|member| order.iter().filter(|sender| **sender == member).count() <= 2), "{order:?}");
    assert!(client.prepare(1, room - 1).len() <= 5);
    assert_ne!(client.prepare(1, room - 1), client.prepare(1, room));
    assert!(client.prepare(1, 0).is_empty());
    assert!(client.prepare(1, -1).is_empty());
}

#[test]
fn a_block_of_proposals_respects_the_gas_of_all() {
    let node = Node::found(5);
    let mut client = node.begin();
    let quarter = BLOCK_GAS / 4;
    let pool: Vec<_> =
        (1..=5).flat_map(|n| [heavy(n, 0, quarter / 2), heavy(n, 1, quarter / 2), heavy(n, 2, 30_000)]).collect();
    assert_eq!(node.hand_in(&pool), [""; 15]);
    let proposal = client.prepare(1, ROOM);
    // Eight halves of a quarter fill the block; nobody has three.
    assert_eq!(proposal.len(), 8);
    assert!(client.process(1, &proposal));
    let more = [&proposal[..], &[pool.iter().find(|raw| !proposal.contains(raw)).expect("left").clone()]].concat();
    assert!(!client.process(1, &more));
}

#[test]
fn a_proposal_has_a_bounded_number_of_transactions() {
    let node = Node::found(9);
    let mut client = node.begin();
    for n in 1..=9 {
        let raws: Vec<_> = (0..65).map(|nonce| heavy(n, nonce, 30_000)).collect();
        assert!(node.hand_in(&raws).iter().all(|code| code.is_empty()));
    }
    let proposal = client.prepare(1, 4 << 20);
    assert_eq!(proposal.len(), 500);
    assert!(client.process(1, &proposal));
}

#[test]
fn what_was_voted_on_is_executed_once_and_anything_else_when_it_is_decided() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let ahead = |node: &Node| node.application.stats().iter().find(|(name, _)| *name == "executed_ahead").map(|s| s.1);
    let (first, other) = ([write(&member(1), 0, 1, 1)], [write(&member(2), 0, 1, 2)]);
    assert!(client.process(1, &first));
    node.height(&mut client, 1, &first);
    assert_eq!((ahead(&node), node.chain.head().sealed.header.number), (Some(1), 1));
    // Two rounds were proposed, and something else was decided.
    assert!(client.process(2, &[write(&member(1), 1, 1, 3)]));
    assert!(client.process(2, &[write(&member(1), 1, 1, 4)]));
    node.height(&mut client, 2, &other);
    assert_eq!((ahead(&node), node.chain.head().sealed.header.number), (Some(1), 2));
    // Nothing was decided.
    assert!(client.process(3, &[write(&member(1), 1, 1, 3)]));
    node.height(&mut client, 3, &[]);
    assert_eq!((ahead(&node), node.chain.head().sealed.header.number), (Some(1), 2));
    // The same transactions at another height make another block.
    let late = [write(&member(1), 1, 1, 5)];
    assert!(client.process(5, &late));
    node.height(&mut client, 4, &late);
    assert_eq!((ahead(&node), node.chain.head().sealed.consensus_height()), (Some(1), 4));
    assert!(node.chain.pending().is_none());
}
