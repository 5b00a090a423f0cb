//! From InitChain on, height by height.

use std::os::unix::fs::PermissionsExt;

use alloy_primitives::B256;
use tendermint_proto::v0_38::abci::{
    RequestEcho, RequestExtendVote, RequestFlush, RequestQuery, RequestVerifyVoteExtension,
};

use super::*;
use crate::abci::row::Row;
use crate::chain::consortium::VERSION;
use crate::chain::rules::CONSORTIUM;
use crate::chain::tests::{draft, put, sign, write};

fn hash(node: &Node) -> Vec<u8> {
    node.chain.head().sealed.hash.to_vec()
}

#[test]
fn a_height_goes_from_the_pool_to_the_head() {
    let mut node = Node::found(2);
    let mut client = node.connect();
    let info = client.info();
    assert_eq!((info.last_block_height, info.last_block_app_hash.len(), info.app_version), (0, 0, 1));
    assert_eq!(client.init_chain(node.init_request()).expect("taken").to_vec(), hash(&node));
    let raws = [write(&member(1), 0, 7, 70), write(&member(2), 0, 8, 80)];
    assert_eq!(node.hand_in(&raws), ["", ""]);
    let proposal = client.prepare(1, 1 << 20);
    assert_eq!(proposal.len(), 2);
    assert!(client.process(1, &proposal));
    let finalized = node.height(&mut client, 1, &proposal);
    assert_eq!(finalized.app_hash.to_vec(), hash(&node));
    assert_eq!(codes(&finalized.tx_results), [(0, ""), (0, "")]);
    assert!(finalized.tx_results.iter().all(|result| result.data.as_ref() == [1] && result.gas_used > 21_000));
    let head = node.chain.head();
    assert_eq!((head.sealed.header.number, head.sealed.consensus_height()), (1, 1));
    assert_eq!(head.sealed.header.timestamp, GENESIS_MS / 1000 + 1);
    let info = client.info();
    assert_eq!((info.last_block_height, info.last_block_app_hash.to_vec()), (1, hash(&node)));
}

#[test]
fn a_height_without_valid_transactions_makes_no_block() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    node.height(&mut client, 1, &[write(&member(1), 0, 1, 1)]);
    let before = hash(&node);
    let empty = node.height(&mut client, 2, &[]);
    let invalid = node.height(&mut client, 3, &[write(&member(9), 0, 1, 1), b"?".to_vec(), write(&member(1), 0, 1, 2)]);
    assert_eq!(
        (empty.app_hash.to_vec(), invalid.app_hash.to_vec(), hash(&node)),
        (before.clone(), before.clone(), before)
    );
    assert_eq!(codes(&invalid.tx_results), [(1, "tx.not-member"), (1, "tx.malformed"), (1, "tx.nonce-low")]);
    let row = Row::decode(node.row.as_deref().expect("stored")).expect("whole");
    assert_eq!((row.height, row.chain_height, row.time_ms), (3, 1, GENESIS_MS + 3_700));
    // The next block is number 2, of consensus height 4.
    node.height(&mut client, 4, &[write(&member(1), 1, 1, 3)]);
    let head = node.chain.head();
    assert_eq!((head.sealed.header.number, head.sealed.consensus_height()), (2, 4));
}

#[test]
fn what_is_invalid_is_left_out_of_a_block_and_named() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    let outsider = write(&member(9), 0, 1, 1);
    let reverts = sign(&member(2), draft(0, Some(crate::chain::tests::store_address()), b"?".as_slice().into()));
    let txs = [outsider.clone(), write(&member(1), 0, 1, 1), write(&member(1), 0, 1, 2), reverts];
    let finalized = client.finalize(1, &txs).expect("executes");
    assert_eq!(codes(&finalized.tx_results), [(1, "tx.not-member"), (0, ""), (1, "tx.nonce-low"), (0, "")]);
    // A revert is an outcome.
    assert_eq!(finalized.tx_results[3].data.as_ref(), [0]);
    client.send(request::Value::Commit(RequestCommit {}));
    let commit = node.keep();
    assert_eq!((commit.height, commit.time_ms), (1, GENESIS_MS + 1_700));
    let refused: Vec<_> = commit.refused.iter().map(|(hash, error)| (*hash, error.code)).collect();
    assert_eq!(refused, [(keccak256(&outsider), "tx.not-member"), (keccak256(&txs[2]), "tx.nonce-low")]);
    assert_eq!(commit.validators, [key(1), key(2)]);
    assert_eq!(commit.block.as_ref().map(|block| block.included.len()), Some(2));
    node.application.committed().expect("stored");
    assert!(matches!(client.receive(), Some(response::Value::Commit(answer)) if answer.retain_height == 0));
    assert_eq!(node.application.committed().err().map(|error| error.code), Some("abci.no-commit"));
}

#[test]
fn a_genesis_of_another_city_is_refused() {
    let refused = |change: &dyn Fn(&mut RequestInitChain)| {
        let node = Node::found(2);
        let mut request = node.init_request();
        change(&mut request);
        let error = node.connect().init_chain(request).expect_err("refused");
        assert!(error.contains("[abci.genesis]"), "{error}");
        assert_eq!(node.application.failure().map(|error| error.code), Some("abci.genesis"));
    };
    refused(&|request| request.chain_id = "civic-0000000000000000".into());
    refused(&|request| request.app_state_bytes = b"\"\"".as_slice().into());
    refused(&|request| request.app_state_bytes = [&request.app_state_bytes[..], b" "].concat().into());
    refused(&|request| request.initial_height = 5);
    refused(&|request| drop(request.validators.pop()));
    refused(&|request| request.validators[0] = update(&B256::repeat_byte(9), 1));
    refused(&|request| request.validators[0].power = 2);
    refused(&|request| request.validators.push(request.validators[0].clone()));
    refused(&|request| request.validators[0].pub_key = None);
}

#[test]
fn heights_come_one_after_the_other_or_not_at_all() {
    let stopped = |asked: &dyn Fn(&mut Node, &mut Client) -> String, code: &str| {
        let mut node = Node::found(2);
        let mut client = node.connect();
        let error = asked(&mut node, &mut client);
        assert!(error.contains(code), "{error}");
        assert_eq!(node.application.failure().map(|error| error.code), Some(code));
        assert!(node.application.next_commit(PATIENCE).is_none());
        // Everything is closed, and says so.
        assert!(client.receive().is_none());
        assert!(UnixStream::connect(&node.path).is_err());
    };
    let commit = |client: &mut Client| client.ask(request::Value::Commit(RequestCommit {})).expect_err("refused");
    stopped(&|_, client| client.finalize(1, &[]).expect_err("no InitChain"), "abci.order");
    stopped(&|node, _| commit(&mut node.begin()), "abci.order");
    stopped(&|node, _| node.begin().finalize(2, &[]).expect_err("too high"), "abci.height");
    stopped(&|node, _| node.begin().finalize(-1, &[]).expect_err("none"), "abci.height");
    stopped(
        &|node, _| {
            let mut client = node.begin();
            node.height(&mut client, 1, &[]);
            client.finalize(1, &[]).expect_err("again")
        },
        "abci.height",
    );
    stopped(
        &|node, _| {
            let mut client = node.begin();
            node.height(&mut client, 1, &[]);
            client.init_chain(node.init_request()).expect_err("too late")
        },
        "abci.order",
    );
}

#[test]
fn a_version_that_this_release_lacks_halts_with_its_name() {
    let mut node = Node::found(2);
    let mut client = node.begin();
    // From block 2 on.
    let word = U256::from(VERSION + 1) | U256::from(2) << 32;
    let activate = sign(&member(1), draft(0, Some(CONSORTIUM), put(U256::from(6), word)));
    node.height(&mut client, 1, &[activate]);
    let error = client.finalize(2, &[]).expect_err("halts");
    assert!(error.contains("[chain.version]") && error.contains("install the release"), "{error}");
    let node = node.crash();
    let mut client = node.connect();
    assert_eq!(client.info().last_block_height, 1);
    let request = RequestProcessProposal { height: 2, ..RequestProcessProposal::default() };
    let error = client.ask(request::Value::ProcessProposal(request)).expect_err("halts");
    assert!(error.contains("[chain.version]"), "{error}");
    assert_eq!(node.chain.execute(&[write(&member(2), 0, 1, 1)], 0, 2, 9).err().map(|e| e.code), Some("chain.version"));
}

#[test]
fn the_small_requests_have_their_answers() {
    let node = Node::found(2);
    assert_eq!(std::fs::metadata(&node.path).expect("there").permissions().mode() & 0o777, 0o600);
    let mut client = node.connect();
    match client.ask(request::Value::Echo(RequestEcho { message: "who".into() })) {
        Ok(response::Value::Echo(echo)) => assert_eq!(echo.message, "who"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.ask(request::Value::Flush(RequestFlush {})), Ok(response::Value::Flush(_))));
    match client.ask(request::Value::Query(RequestQuery::default())) {
        Ok(response::Value::Query(answer)) => assert_eq!((answer.code, answer.codespace.as_str()), (1, "abci.query")),
        other => panic!("{other:?}"),
    }
    match client.ask(request::Value::ExtendVote(RequestExtendVote::default())) {
        Ok(response::Value::ExtendVote(answer)) => assert!(answer.vote_extension.is_empty()),
        other => panic!("{other:?}"),
    }
    for (extension, status) in [(b"".as_slice(), 1), (b"x", 2)] {
        let request = RequestVerifyVoteExtension { vote_extension: extension.into(), ..Default::default() };
        match client.ask(request::Value::VerifyVoteExtension(request)) {
            Ok(response::Value::VerifyVoteExtension(answer)) => assert_eq!(answer.status, status),
            other => panic!("{other:?}"),
        }
    }
}
