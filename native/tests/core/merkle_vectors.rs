//! Merkle trees against our vectors, the fold of all small trees, and the vectors of others.

use crate::common::vectors::{base64, folder, hex, json_files, ours};
use _native::merkle::{self, Hash, Leaves};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The values of `tests/native/fold.py`, whose docstring defines the fold.
const FOLD: &str = "506b142d82fa755fdc431fb814e394571c4a6e70cddc77dc1531d36a062a892e";

fn fixed(bytes: Vec<u8>) -> Option<Hash> {
    bytes.try_into().ok()
}

fn hashes(value: &Value, decode: impl Fn(&Value) -> Vec<u8>) -> Option<Vec<Hash>> {
    value.as_array().map_or(Some(Vec::new()), |list| list.iter().map(|item| fixed(decode(item))).collect())
}

fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap()
}

#[test]
fn the_fold_of_all_trees_to_130() {
    let leaves: Vec<Hash> = (0..130u32).map(|entry| merkle::leaf_hash(&entry.to_be_bytes())).collect();
    let nodes = Leaves(&leaves);
    let roots: Vec<Hash> = (0..=130).map(|size| merkle::root(&nodes, size).unwrap()).collect();
    let chain =
        |before: Hash, item: &[u8]| -> Hash { Sha256::new_with_prefix(before).chain_update(item).finalize().into() };
    let item = |one: u64, two: u64, left: &Hash, right: &Hash, proof: &[Hash]| {
        let sizes = [(one as u32).to_be_bytes(), (two as u32).to_be_bytes()].concat();
        [&sizes, left.as_slice(), right, &[proof.len() as u8], proof.as_flattened()].concat()
    };
    let (mut inclusion, mut consistency) = ([0; 32], [0; 32]);
    for size in 1..=130u64 {
        let root = &roots[size as usize];
        for index in 0..size {
            let leaf = &leaves[index as usize];
            let proof = merkle::inclusion_proof(&nodes, index, size).unwrap();
            merkle::verify_inclusion(leaf, index, size, root, &proof).unwrap();
            inclusion = chain(inclusion, &item(index, size, leaf, root, &proof));
            let old = &roots[index as usize + 1];
            let proof = merkle::consistency_proof(&nodes, index + 1, size).unwrap();
            merkle::verify_consistency(index + 1, size, old, root, &proof).unwrap();
            consistency = chain(consistency, &item(index + 1, size, old, root, &proof));
        }
    }
    let all = roots.iter().fold([0; 32], |before, root| chain(before, root));
    let fold = Sha256::digest([all, inclusion, consistency].as_flattened());
    assert_eq!(alloy_primitives::hex::encode(fold), FOLD);
}

#[test]
fn our_vectors() {
    let cases = ours("tests/native/merkle_vectors.json");
    for case in cases["inclusion"].as_array().unwrap() {
        let (leaf, root) = (fixed(hex(&case["leaf"])).unwrap(), fixed(hex(&case["root"])).unwrap());
        let proof = hashes(&case["proof"], hex).unwrap();
        let verdict = merkle::verify_inclusion(&leaf, number(case, "index"), number(case, "size"), &root, &proof);
        assert_eq!(verdict.is_ok(), case["ok"].as_bool().unwrap(), "{case}");
    }
    for case in cases["consistency"].as_array().unwrap() {
        let (old, new) = (fixed(hex(&case["root1"])).unwrap(), fixed(hex(&case["root2"])).unwrap());
        let proof = hashes(&case["proof"], hex).unwrap();
        let verdict = merkle::verify_consistency(number(case, "size1"), number(case, "size2"), &old, &new, &proof);
        assert_eq!(verdict.is_ok(), case["ok"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn inclusion_vectors_of_others() {
    let Some(folder) = folder("transparency-dev-merkle/testdata/inclusion") else { return };
    let cases = json_files(&folder);
    assert_eq!(cases.len(), 98);
    for (path, case) in cases {
        let parts = (fixed(base64(&case["leafHash"])), fixed(base64(&case["root"])), hashes(&case["proof"], base64));
        let accepted = match parts {
            (Some(leaf), Some(root), Some(proof)) => {
                merkle::verify_inclusion(&leaf, number(&case, "leafIdx"), number(&case, "treeSize"), &root, &proof)
                    .is_ok()
            }
            // Not a hash: refused when decoded.
            _ => false,
        };
        assert_eq!(accepted, !case["wantErr"].as_bool().unwrap(), "{}", path.display());
    }
}

#[test]
fn consistency_vectors_of_others() {
    let Some(folder) = folder("transparency-dev-merkle/testdata/consistency") else { return };
    let cases = json_files(&folder);
    assert_eq!(cases.len(), 98);
    // Some roots are 12-byte placeholders; as in Solidity's bytes32 they are padded, which keeps (in)equality.
    let padded = |value: &Value| {
        let mut root = base64(value);
        root.resize(32, 0);
        fixed(root).unwrap()
    };
    for (path, case) in cases {
        let accepted = hashes(&case["proof"], base64).is_some_and(|proof| {
            let (old, new) = (padded(&case["root1"]), padded(&case["root2"]));
            merkle::verify_consistency(number(&case, "size1"), number(&case, "size2"), &old, &new, &proof).is_ok()
        });
        assert_eq!(accepted, !case["wantErr"].as_bool().unwrap(), "{}", path.display());
    }
}

#[test]
fn the_reference_tree() {
    let Some(folder) = folder("rfc6962-reference-tree") else { return };
    let tree = &json_files(&folder)[0].1;
    let entries = tree["leaves_hex"].as_array().unwrap();
    let leaves: Vec<Hash> = entries.iter().map(|entry| merkle::leaf_hash(&hex(entry))).collect();
    for (size, root) in tree["roots_by_size"].as_array().unwrap().iter().enumerate() {
        assert_eq!(merkle::root(&Leaves(&leaves), size as u64).unwrap().as_slice(), hex(root));
    }
}
