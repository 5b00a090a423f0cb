//! Proofs that others made: the eth_getProof answers of ethereum/execution-apis under block 54 of its chain.

use std::path::PathBuf;

use alloy_consensus::Header as BlockHeader;
use alloy_primitives::{Address, B256, U256, hex};
use alloy_rlp::{Decodable, Header};
use serde_json::Value;

use crate::chain::proof::{verify_account, verify_storage};

fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("CIVICLEDGER_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"), PathBuf::from);
    let folder = root.join("eth_getProof-execution-apis/tests");
    folder.is_dir().then_some(folder)
}

fn header_of(chain: &[u8], number: u64) -> BlockHeader {
    let mut rest = chain;
    while !rest.is_empty() {
        let block = Header::decode_bytes(&mut rest, true).expect("a block");
        let header = BlockHeader::decode(&mut &*block).expect("a header");
        if header.number == number {
            return header;
        }
    }
    panic!("chain.rlp holds no block {number}");
}

fn nodes(proof: &Value) -> Vec<Vec<u8>> {
    let nodes = proof.as_array().expect("a list").iter();
    nodes.map(|node| hex::decode(node.as_str().expect("text")).expect("hex")).collect()
}

#[test]
fn the_answers_of_execution_apis_verify() {
    let Some(folder) = vectors() else {
        eprintln!("skipped: no vectors in $CIVICLEDGER_VECTORS or ../shared/vectors");
        return;
    };
    let chain = std::fs::read(folder.join("chain.rlp")).expect("chain.rlp");
    let root = header_of(&chain, 54).state_root;
    let mut answers = 0;
    for entry in std::fs::read_dir(folder.join("eth_getProof")).expect("folder") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("text");
        for line in text.lines().filter_map(|line| line.strip_prefix("<< ")) {
            let answer = &serde_json::from_str::<Value>(line).expect("JSON")["result"];
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let address: Address = text(&answer["address"]).parse().expect("address");
            let proof = nodes(&answer["accountProof"]);
            let account = verify_account(root, address.as_slice(), &proof).expect("the answer verifies");
            assert_eq!(format!("{:?}", account.storage_hash), text(&answer["storageHash"]));
            assert_eq!(format!("{:?}", account.code_hash), text(&answer["codeHash"]));
            assert_eq!(format!("{:#x}", account.nonce), text(&answer["nonce"]));
            assert_eq!(format!("{:#x}", account.balance), text(&answer["balance"]));
            for slot in answer["storageProof"].as_array().expect("a list") {
                let key = B256::from(text(&slot["key"]).parse::<U256>().expect("a number"));
                let value = verify_storage(account.storage_hash, key, &nodes(&slot["proof"])).expect("verifies");
                assert_eq!(format!("{value:#x}"), text(&slot["value"]));
            }
            let short = &proof[..proof.len() - 1];
            assert_eq!(
                verify_account(root, address.as_slice(), short).err().map(|e| e.code),
                Some("state.node-missing")
            );
            let long = [proof.clone(), vec![proof[0].clone()]].concat();
            assert_eq!(
                verify_account(root, address.as_slice(), &long).err().map(|e| e.code),
                Some("state.node-unused")
            );
            assert_eq!(
                verify_account(B256::ZERO, address.as_slice(), &proof).err().map(|e| e.code),
                Some("state.node-hash")
            );
            answers += 1;
        }
    }
    assert_eq!(answers, 4);
}

#[test]
fn absence_needs_a_proof_too() {
    let empty: [Vec<u8>; 0] = [];
    let nobody = verify_account(crate::chain::trie::EMPTY_ROOT, &[1; 20], &empty).expect("an empty state holds nobody");
    assert_eq!((nobody.nonce, nobody.balance), (0, U256::ZERO));
    assert_eq!(verify_account(B256::ZERO, &[1; 20], &empty).err().map(|e| e.code), Some("state.node-missing"));
    assert_eq!(verify_storage(crate::chain::trie::EMPTY_ROOT, B256::ZERO, &empty).expect("no slots"), U256::ZERO);
}
