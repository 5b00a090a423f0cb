//! Signatures against Wycheproof and against themselves.

use crate::common::vectors::{folder, hex};
use _native::sign::{self, Algorithm, Signed};
use alloy_primitives::keccak256;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// (group, test) of a Wycheproof file; `None` when it is not on this machine.
fn wycheproof(name: &str) -> Option<Vec<(Value, Value)>> {
    let file = folder("wycheproof/testvectors_v1")?.join(name);
    let facts: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let groups = facts["testGroups"].as_array().unwrap();
    let pairs: Vec<(Value, Value)> = groups
        .iter()
        .flat_map(|group| group["tests"].as_array().unwrap().iter().map(|test| (group.clone(), test.clone())))
        .collect();
    assert_eq!(pairs.len() as u64, facts["numberOfTests"].as_u64().unwrap());
    Some(pairs)
}

fn valid(test: &Value) -> bool {
    test["result"] == "valid"
}

#[test]
fn ed25519_of_wycheproof() {
    let Some(cases) = wycheproof("ed25519_test.json") else { return };
    for (group, test) in cases {
        let verdict = sign::ed25519_verify(&hex(&group["publicKey"]["pk"]), &hex(&test["msg"]), &hex(&test["sig"]));
        assert_eq!(verdict.is_ok(), valid(&test), "{test}");
    }
}

#[test]
fn p256_of_wycheproof() {
    let Some(cases) = wycheproof("ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    for (group, test) in cases {
        let key = hex(&group["publicKey"]["uncompressed"]);
        let verdict = sign::p256_verify(&key, &hex(&test["msg"]), &hex(&test["sig"]));
        assert_eq!(verdict.is_ok(), valid(&test), "{test}");
    }
}

#[test]
fn secp256k1_of_wycheproof() {
    let Some(cases) = wycheproof("ecdsa_secp256k1_sha256_bitcoin_test.json") else { return };
    for (group, test) in cases {
        // Valid ECDSA whose point has x over the group order: it needs v in {2, 3}, which Ethereum does not have.
        if test["comment"] == "k*G has a large x-coordinate" {
            continue;
        }
        let key = hex(&group["publicKey"]["uncompressed"]);
        let address = &keccak256(&key[1..])[12..];
        let digest = Sha256::digest(hex(&test["msg"]));
        // Our signatures are r||s||v: the DER of the set is opened strictly, and either v may be the right one.
        let accepted = k256::ecdsa::Signature::from_der(&hex(&test["sig"])).is_ok_and(|signature| {
            let raw = signature.to_bytes();
            (0..2).any(|v| {
                let signature = [&raw[..], &[v]].concat();
                sign::secp256k1_recover(&digest, &signature).is_ok_and(|signer| signer == address)
            })
        });
        assert_eq!(accepted, valid(&test), "{test}");
    }
}

#[test]
fn what_is_signed_verifies_and_nothing_else() {
    for number in 1..20u8 {
        let secret = [number; 32];
        let digest: [u8; 32] = Sha256::digest([number]).into();
        let account = sign::secp256k1_sign(&secret, &digest).unwrap();
        let address = sign::secp256k1_recover(&digest, &account).unwrap();
        assert_eq!(address, keccak256(sign::secp256k1_public(&secret).unwrap())[12..]);
        let made = [
            (Algorithm::Ed25519, sign::ed25519_public(&secret).to_vec(), sign::ed25519_sign(&secret, &digest).to_vec()),
            (
                Algorithm::P256,
                sign::p256_public(&secret).unwrap().to_vec(),
                sign::p256_sign(&secret, &digest).unwrap().to_vec(),
            ),
            (Algorithm::Secp256k1, address.to_vec(), account.to_vec()),
        ];
        for (algorithm, public, signature) in made {
            let check = |message: &[u8], signature: &[u8]| {
                sign::verify(&Signed { algorithm, public: &public, message, signature })
            };
            check(&digest, &signature).unwrap();
            for byte in 0..signature.len() {
                let mut changed = signature.clone();
                changed[byte] ^= 1 << (byte % 8);
                assert_eq!(check(&digest, &changed).unwrap_err().code, "signature.invalid", "{algorithm:?} {byte}");
            }
            assert!(check(&[number; 32], &signature).is_err());
            assert!(check(&digest, &signature[1..]).is_err());
        }
    }
}

#[test]
fn a_batch_names_the_wrong_ones() {
    let secret = [3; 32];
    let public = sign::ed25519_public(&secret);
    let messages: Vec<[u8; 4]> = (0..100u32).map(u32::to_be_bytes).collect();
    let mut signatures: Vec<[u8; 64]> = messages.iter().map(|message| sign::ed25519_sign(&secret, message)).collect();
    for wrong in [0, 57, 99] {
        signatures[wrong][40] ^= 1;
    }
    let items: Vec<Signed<'_>> = messages
        .iter()
        .zip(&signatures)
        .map(|(message, signature)| Signed { algorithm: Algorithm::Ed25519, public: &public, message, signature })
        .collect();
    assert_eq!(sign::verify_batch(&items), vec![0, 57, 99]);
}

#[test]
fn secrets_and_names_out_of_range_are_refused() {
    for secret in [[0; 32], [0xff; 32]] {
        assert_eq!(sign::p256_public(&secret).unwrap_err().code, "key.secret");
        assert_eq!(sign::secp256k1_sign(&secret, &[1; 32]).unwrap_err().code, "key.secret");
    }
    assert_eq!(Algorithm::parse("rsa").unwrap_err().code, "signature.algorithm");
    let mut high = sign::secp256k1_sign(&[5; 32], &[1; 32]).unwrap();
    high[64] = 2;
    assert_eq!(sign::secp256k1_recover(&[1; 32], &high).unwrap_err().code, "signature.invalid");
}
