//! A process that dies at any step comes back to where CometBFT can go on.

use std::thread;

use super::*;
use crate::abci::row::Row;
use crate::chain::tests::write;

/// The transactions of a height; heights 3 and 6 are empty.
fn txs(height: i64) -> Vec<Vec<u8>> {
    match height {
        3 | 6 => Vec::new(),
        // Member 1's nonces grow by one each height that has transactions.
        _ => {
            vec![write(&member(1), height as u64 - 1 - u64::from(height > 3) - u64::from(height > 6), height as u64, 5)]
        }
    }
}

/// Where the process dies, once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    BeforeFinalize,
    AfterFinalize,
    CommitAsked,
    Stored,
    Committed,
    Answered,
}

const STEPS: [Step; 6] =
    [Step::BeforeFinalize, Step::AfterFinalize, Step::CommitAsked, Step::Stored, Step::Committed, Step::Answered];

/// One height; what CometBFT does when the application dies at `step`: handshake, then play back what is missing.
fn height(mut node: Node, number: i64, step: Option<Step>) -> (Node, Vec<u8>) {
    let dies = |at: Step| step == Some(at);
    let mut client = node.connect();
    if number == 1 {
        client.init_chain(node.init_request()).expect("taken");
    }
    if !dies(Step::BeforeFinalize) {
        let hash = client.finalize(number, &txs(number)).expect("executes").app_hash;
        if !dies(Step::AfterFinalize) {
            client.send(request::Value::Commit(RequestCommit {}));
            if !dies(Step::CommitAsked) {
                node.keep();
                if !dies(Step::Stored) {
                    node.application.committed().expect("stored");
                    if !dies(Step::Committed) {
                        assert!(matches!(client.receive(), Some(response::Value::Commit(_))));
                        if !dies(Step::Answered) {
                            return (node, hash.to_vec());
                        }
                    }
                }
            } else {
                // Asked for, and not stored.
                node.application.next_commit(PATIENCE).expect("waits");
            }
        }
    }
    node = node.crash();
    let mut client = node.connect();
    let info = client.info();
    if info.last_block_height == number {
        return (node, info.last_block_app_hash.to_vec());
    }
    assert_eq!(info.last_block_height, number - 1);
    if number == 1 {
        client.init_chain(node.init_request()).expect("taken again");
    }
    let hash = node.height(&mut client, number, &txs(number)).app_hash;
    (node, hash.to_vec())
}

#[test]
fn every_step_of_every_height_can_be_the_last() {
    let run = |at: Option<(i64, Step)>| {
        let mut node = Node::found(2);
        let mut hashes = Vec::new();
        for number in 1..=7 {
            let hash;
            (node, hash) = height(node, number, at.filter(|(when, _)| *when == number).map(|(_, step)| step));
            hashes.push(hash);
        }
        (hashes, node.row.clone(), node.rows.clone(), node.root())
    };
    let whole = run(None);
    for number in [1, 2, 3, 7] {
        for step in STEPS {
            assert!(run(Some((number, step))) == whole, "{step:?} of height {number}");
        }
    }
}

#[test]
fn cometbft_may_die_while_a_commit_waits() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    client.finalize(1, &[write(&member(1), 0, 1, 1)]).expect("executes");
    client.send(request::Value::Commit(RequestCommit {}));
    node.keep();
    drop(client);
    // The next CometBFT asks where we are: it hears of the height that is being stored, never of the one before.
    let mut next = node.connect();
    next.send(request::Value::Info(RequestInfo::default()));
    node.application.committed().expect("stored");
    match next.receive() {
        Some(response::Value::Info(info)) => assert_eq!(info.last_block_height, 1),
        other => panic!("{other:?}"),
    }
    node.height(&mut next, 2, &[write(&member(1), 1, 1, 2)]);
}

#[test]
fn the_same_commit_is_handed_out_until_it_is_stored() {
    let node = Node::found(2);
    let mut client = node.begin();
    assert!(node.application.next_commit(Duration::ZERO).is_none());
    client.finalize(1, &[]).expect("executes");
    client.send(request::Value::Commit(RequestCommit {}));
    let first = node.application.next_commit(PATIENCE).expect("waits");
    assert!(Arc::ptr_eq(&first, &node.application.next_commit(PATIENCE).expect("waits still")));
    node.application.committed().expect("stored");
    assert!(matches!(client.receive(), Some(response::Value::Commit(_))));
    assert!(node.application.next_commit(Duration::ZERO).is_none());
}

#[test]
fn a_store_that_fails_ends_everything_unanswered() {
    let node = Node::found(2);
    let mut client = node.begin();
    client.finalize(1, &[]).expect("executes");
    client.send(request::Value::Commit(RequestCommit {}));
    node.application.next_commit(PATIENCE).expect("waits");
    let error = node.application.fail("no space left");
    node.server.shut(&error);
    assert!(client.receive().is_none());
    let failure = node.application.failure().expect("kept");
    assert_eq!(failure.code, "abci.store");
    assert!(failure.message.ends_with("no space left"));
    node.server.stop();
}

#[test]
fn stopping_ends_a_commit_that_waits_and_may_be_repeated() {
    let node = Node::found(2);
    let mut client = node.begin();
    client.finalize(1, &[]).expect("executes");
    client.send(request::Value::Commit(RequestCommit {}));
    node.application.next_commit(PATIENCE).expect("waits");
    let waiter = {
        let application = Arc::clone(&node.application);
        thread::spawn(move || {
            // Somebody else waits for the height after this.
            while application.next_commit(PATIENCE).is_some() {
                thread::yield_now();
            }
        })
    };
    node.server.stop();
    node.server.stop();
    waiter.join().expect("woken");
    assert!(client.receive().is_none());
    assert!(node.application.failure().is_none());
    assert!(!node.path.exists());
    // It was on its way to the disk: that it got there still counts.
    node.application.committed().expect("stored");
    assert_eq!(node.server.listen(&node.path).err().map(|error| error.code), Some("abci.stopped"));
}

#[test]
fn a_row_that_does_not_fit_the_chain_is_named() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    node.height(&mut client, 1, &txs(1));
    node.height(&mut client, 2, &txs(2));
    let good = Row::decode(node.row.as_deref().expect("stored")).expect("whole");
    assert_eq!((good.height, good.chain_height, good.validators.len()), (2, 2, 2));
    let starts = |row: Option<Vec<u8>>| {
        let chain = Arc::new(reload(&node.file, &node.rows).expect("whole"));
        Application::new(chain, &node.file, row.as_deref(), None).err().map_or("starts", |error| error.code)
    };
    assert_eq!(starts(node.row.clone()), "starts");
    assert_eq!(starts(None), "abci.row");
    assert_eq!(starts(Some(Row { chain_height: 1, ..good.clone() }.encode())), "abci.row-mismatch");
    assert_eq!(starts(Some(Row { app_hash: B256::ZERO, ..good.clone() }.encode())), "abci.row-mismatch");
    assert_eq!(starts(Some(Row { height: 1, ..good.clone() }.encode())), "abci.row-mismatch");
    // Empty heights after the block.
    assert_eq!(starts(Some(Row { height: 9, ..good.clone() }.encode())), "starts");
    let bytes = good.encode();
    for cut in 1..bytes.len() {
        assert_eq!(starts(Some(bytes[..cut].to_vec())), "abci.row", "{cut}");
    }
    let changed = |at: usize, to: u8| {
        let mut changed = bytes.clone();
        changed[at] = to;
        starts(Some(changed))
    };
    assert_eq!(starts(Some([&bytes[..], &[0]].concat())), "abci.row");
    assert_eq!(starts(Some(Vec::new())), "abci.row");
    assert_eq!(changed(0, 2), "abci.row-version");
    // The keys no longer ascend.
    assert_eq!(changed(59, 0xff), "abci.row");
    let other = [b"{}", &node.file[..]].concat();
    let chain = Arc::new(reload(&node.file, &node.rows).expect("whole"));
    let error = Application::new(chain, &other, node.row.as_deref(), None).err().expect("refused");
    assert_eq!(error.code, "abci.genesis");
}
