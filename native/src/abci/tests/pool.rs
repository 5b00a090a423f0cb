//! What waits: how it comes in, when CometBFT is told, and why it leaves.

use std::time::Duration;

use super::*;
use crate::abci::pool::{MAX_BYTES, Pool};
use crate::chain::rules::{CONSORTIUM, NONCE_WINDOW};
use crate::chain::tests::{draft, put, sign, store_address, write};
use crate::chain::tx::Transaction;
use crate::error::Class;

const ROOM: i64 = 1 << 20;
const SOON: Duration = Duration::from_millis(1);

fn reason(node: &Node, raw: &[u8]) -> &'static str {
    node.application.reasons(&[keccak256(raw)])[0].as_ref().map_or("", |(code, _)| code)
}

#[test]
fn a_nonce_is_taken_once_while_its_transaction_waits() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let (first, second) = (write(&member(1), 0, 1, 1), write(&member(1), 0, 1, 2));
    assert_eq!(node.hand_in(&[first.clone(), first.clone(), second.clone()]), ["", "", "tx.nonce-taken"]);
    let (_, refused) = node.application.hand_in(std::slice::from_ref(&second), true).remove(0);
    assert!(refused.expect_err("refused").message.contains(&format!("{}", keccak256(&first))));
    let more: Vec<_> = (1..=NONCE_WINDOW + 1).map(|nonce| write(&member(1), nonce, 1, 1)).collect();
    let codes = node.hand_in(&more);
    assert!(codes[..64].iter().all(|code| code.is_empty()));
    assert_eq!(codes[64], "tx.nonce-gap");
    let from = member(1).account;
    assert_eq!((node.application.waiting().0, node.application.pending_nonce(&from)), (65, 65));
    assert_eq!(node.application.find(&keccak256(&first)).map(|tx| tx.raw.to_vec()), Some(first.clone()));
    // In a block: gone, and never taken again.
    node.height(&mut client, 1, std::slice::from_ref(&first));
    assert_eq!((node.application.waiting().0, node.application.pending_nonce(&from)), (64, 65));
    assert_eq!(node.hand_in(&[first.clone(), second]), ["tx.nonce-low", "tx.nonce-low"]);
    assert!(node.application.find(&keccak256(&first)).is_none());
    assert_eq!(reason(&node, &first), "", "a block is no refusal");
    // A CometBFT that starts anew takes nothing from here.
    client.info();
    assert_eq!(node.application.waiting().0, 64);
}

#[test]
fn who_was_overtaken_by_another_transaction_hears_of_it() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let (mine, rival) = (write(&member(1), 0, 1, 1), write(&member(1), 0, 1, 2));
    assert_eq!(node.hand_in(std::slice::from_ref(&mine)), [""]);
    node.height(&mut client, 1, &[rival]);
    assert_eq!((node.application.waiting().0, reason(&node, &mine)), (0, "tx.nonce-low"));
}

#[test]
fn a_suspended_member_is_out_of_the_pool_and_of_proposals() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let waiting = write(&member(2), 0, 1, 1);
    assert_eq!(node.hand_in(std::slice::from_ref(&waiting)), [""]);
    let suspend = sign(&member(1), draft(0, Some(CONSORTIUM), put(mapping(member(2).id, 1), U256::from(2))));
    // In the same block the parent state still holds it.
    assert!(client.process(1, &[suspend.clone(), waiting.clone()]));
    node.height(&mut client, 1, &[suspend]);
    assert_eq!((node.application.waiting(), reason(&node, &waiting)), ((0, 0, false), "tx.not-member"));
    assert_eq!(node.hand_in(std::slice::from_ref(&waiting)), ["tx.not-member"]);
    assert!(!client.process(2, std::slice::from_ref(&waiting)));
    assert!(client.prepare(2, ROOM).is_empty());
    let stats: BTreeMap<_, _> = node.application.stats().into_iter().collect();
    assert_eq!((stats["handed_in"], stats["handed_in_refused"], stats["dropped"]), (2, 1, 1));
}

#[test]
fn a_left_out_transaction_stays_where_a_later_block_may_hold_it() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let (gap, reverting) = (write(&member(1), 1, 1, 1), write(&member(2), 0, 1, 1));
    assert_eq!(node.hand_in(&[gap.clone(), reverting.clone()]), ["", ""]);
    // A hostile majority decides on a gap: left out, and it still waits for its place.
    node.height(&mut client, 1, &[gap.clone(), reverting]);
    assert_eq!((node.application.waiting().0, node.application.waiting().2, reason(&node, &gap)), (1, false, ""));
    assert_eq!(node.hand_in(&[write(&member(1), 0, 1, 9)]), [""]);
    assert!(node.application.waiting().2);
    assert_eq!(client.prepare(2, ROOM).len(), 2);
}

#[test]
fn the_pool_is_bounded_in_all_and_the_same_one_again_needs_no_room() {
    let mut pool = Pool::default();
    let from = |n: u8| alloy_primitives::Address::repeat_byte(n);
    let large = |n: u8, nonce: u64| {
        let raw = sign(&member(n), draft(nonce, Some(store_address()), vec![7; 1 << 20].into()));
        Arc::new(Transaction::decode(&raw, 2 << 20).expect("a transaction"))
    };
    let mut taken = 0;
    for n in 1..=7 {
        for nonce in 0..9 {
            taken += usize::from(pool.enter(large(n, nonce), from(n), 0, true).is_ok());
        }
    }
    let (count, bytes) = pool.size();
    assert_eq!(count, taken);
    assert!(bytes <= MAX_BYTES && bytes + (1 << 20) + 200 > MAX_BYTES && taken == 63, "{taken} of {bytes} bytes");
    let full = pool.enter(large(9, 1), from(9), 0, true).expect_err("full");
    assert_eq!((full.code, full.class), ("tx.pool-full", Class::Unavailable));
    pool.enter(large(1, 0), from(1), 0, true).expect("it waits already");
    assert_eq!(pool.size(), (count, bytes));
    assert!(pool.runs().iter().all(|(sender, _)| *sender != from(9)), "who was refused leaves nothing behind");
}

#[test]
fn who_fills_the_pool_with_gaps_keeps_nobody_out() {
    let mut pool = Pool::default();
    let from = |n: u8| alloy_primitives::Address::repeat_byte(n);
    let sized = |n: u8, nonce: u64, bytes: usize| {
        let raw = sign(&member(n), draft(nonce, Some(store_address()), vec![7; bytes].into()));
        Arc::new(Transaction::decode(&raw, 2 << 20).expect("a transaction"))
    };
    for nonce in 1..=NONCE_WINDOW {
        let _ = pool.enter(sized(1, nonce, 1 << 20), from(1), 0, false);
    }
    assert!(!pool.ready(), "no block can hold any of it");
    assert_eq!(pool.enter(sized(2, 1, 1 << 20), from(2), 0, true).expect_err("full").code, "tx.pool-full");
    pool.enter(sized(2, 0, 1 << 20), from(2), 0, true).expect("its next one");
    assert!(pool.ready());
    // One of each sender.
    assert_eq!(pool.enter(sized(2, 0, 100), from(2), 0, true).expect_err("taken").code, "tx.nonce-taken");
    assert_eq!(pool.enter(sized(2, 1, 1 << 20), from(2), 0, true).expect_err("full").code, "tx.pool-full");
}

#[test]
fn only_the_own_members_are_handed_on_again() {
    let node = Node::found(2);
    let (own, theirs) = (write(&member(1), 0, 1, 1), write(&member(2), 0, 1, 1));
    node.application.hand_in(std::slice::from_ref(&own), true);
    node.application.hand_in(&[theirs.clone(), own.clone()], false);
    let again = |age| node.application.own(age).iter().map(|tx| tx.raw.to_vec()).collect::<Vec<_>>();
    assert_eq!(again(Duration::ZERO), [own]);
    assert!(again(Duration::from_secs(3_600)).is_empty());
    // What came from another node first, and then from the own people, is theirs as well.
    node.application.hand_in(&[theirs], true);
    assert_eq!(again(Duration::ZERO).len(), 2);
}

#[test]
fn the_bell_is_the_only_thing_that_cometbfts_mempool_takes() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let (first, gap) = (write(&member(1), 0, 1, 1), write(&member(1), 2, 1, 1));
    let code = |client: &mut Client, raw: &[u8], again| client.check(raw, again).codespace;
    assert_eq!(code(&mut client, BELL, false), "tx.none-wait");
    assert!(!node.application.next_bell(SOON));
    // Nothing of it fits the next block.
    assert_eq!(node.hand_in(&[gap]), [""]);
    assert!(!node.application.next_bell(SOON));
    assert_eq!(code(&mut client, BELL, false), "tx.none-wait");
    assert_eq!(node.hand_in(std::slice::from_ref(&first)), [""]);
    assert!(node.application.next_bell(PATIENCE));
    assert_eq!(code(&mut client, BELL, false), "");
    for other in [&first[..], b"", &BELL[1..], b"civicledger: transactions wait "] {
        assert_eq!(code(&mut client, other, false), "tx.not-here");
    }
    // It stays as long as something waits for the next block, and is not rung again meanwhile.
    node.height(&mut client, 1, &[]);
    assert_eq!(code(&mut client, BELL, true), "");
    assert!(!node.application.next_bell(SOON));
    node.height(&mut client, 2, std::slice::from_ref(&first));
    assert_eq!(code(&mut client, BELL, true), "tx.none-wait");
    assert!(!node.application.next_bell(SOON));
    // Rung anew as soon as something comes.
    assert_eq!(node.hand_in(&[write(&member(1), 1, 1, 1)]), [""]);
    assert!(node.application.next_bell(PATIENCE));
    let stats: BTreeMap<_, _> = node.application.stats().into_iter().collect();
    assert_eq!((stats["bells"], stats["bells_refused"], stats["check_tx_refused"]), (2, 3, 4));
}

#[test]
fn a_bell_that_was_lost_is_rung_again() {
    let node = Node::found(2);
    let mut client = node.begin();
    assert_eq!(node.hand_in(&[write(&member(1), 0, 1, 1)]), [""]);
    assert!(node.application.next_bell(PATIENCE));
    // On its way: no height comes.
    assert!(node.application.next_bell(PATIENCE));
    // In a CometBFT that ended: at once.
    assert_eq!(client.check(BELL, false).code, 0);
    client.info();
    assert!(node.application.next_bell(PATIENCE));
    // Nobody waits for the bell of an application that was stopped.
    node.server.stop();
    assert!(!node.application.next_bell(PATIENCE));
}

#[test]
fn who_waits_for_the_bell_is_woken_by_what_comes() {
    let node = Node::found(2);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| node.application.next_bell(PATIENCE));
        assert_eq!(node.hand_in(&[write(&member(1), 0, 1, 1)]), [""]);
        assert!(waiter.join().expect("ended"));
    });
}
