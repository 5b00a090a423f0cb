//! Presentations opened natively: the signature against Wycheproof, and the parts of one that holds. Every rule of
//! refusal is compared with the Python code by `tests/ledger/licences/test_batch.py`.

use std::collections::HashMap;

use _native::licence::batch::{self, Refused};
use _native::licence::json::{self, Value};
use _native::licence::opening::Step;
use _native::licence::suite::{Key, Suite};
use _native::licence::{b64, sm};
use _native::sign;
use serde_json::{Value as Facts, json};

use crate::common::vectors::{folder, hex};

const SECRET: [u8; 32] = [7; 32];
const TYP: &str = "dc+sd-jwt";

fn spki(header: &str, point: &[u8]) -> Vec<u8> {
    [&hex(&json!(header))[..], point].concat()
}

fn p256_spki() -> Vec<u8> {
    let key = p256::ecdsa::SigningKey::from_slice(&SECRET).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    spki("3059301306072a8648ce3d020106082a8648ce3d030107034200", point.as_bytes())
}

fn sm2_spki() -> Vec<u8> {
    spki("3059301306072a8648ce3d020106082a811ccf5501822d034200", &sm::public(&SECRET).unwrap())
}

fn keys() -> HashMap<String, Key> {
    HashMap::from([
        ("one".to_owned(), Key::read(&p256_spki())),
        ("two".to_owned(), Key::read(&sm2_spki())),
        ("none".to_owned(), Key::read(b"no key")),
    ])
}

fn signed(header: &Facts, payload: &Facts, disclosures: &[String]) -> String {
    let [head, body] = [header, payload].map(|part| b64::encode(part.to_string().as_bytes()));
    let input = format!("{head}.{body}");
    let signature = if header["alg"] == "SM2SM3" {
        sm::sign(&SECRET, input.as_bytes()).unwrap()
    } else {
        sign::p256_sign(&SECRET, input.as_bytes()).unwrap()
    };
    let shown: String = disclosures.iter().map(|text| format!("{text}~")).collect();
    format!("{input}.{}~{shown}", b64::encode(&signature))
}

fn one(text: &str) -> Result<batch::Found, Refused> {
    batch::open(&[text], &keys(), TYP).remove(0)
}

#[test]
fn p256_of_wycheproof() {
    let Some(file) = folder("wycheproof/testvectors_v1") else { return };
    let data = std::fs::read(file.join("ecdsa_secp256r1_sha256_p1363_test.json")).unwrap();
    let facts: Facts = serde_json::from_slice(&data).unwrap();
    let mut count = 0;
    for group in facts["testGroups"].as_array().unwrap() {
        let key = Key::read(&hex(&group["publicKeyDer"]));
        for test in group["tests"].as_array().unwrap() {
            let verdict = key.verify(Suite::Es256, &hex(&test["msg"]), &hex(&test["sig"]));
            assert_eq!(verdict.is_ok(), test["result"] == "valid", "{test}");
            count += 1;
        }
    }
    assert_eq!(count, facts["numberOfTests"]);
}

#[test]
fn disclosures_stand_in_their_places() {
    for (kid, alg, suite) in [("one", "ES256", Suite::Es256), ("two", "SM2SM3", Suite::Sm2Sm3)] {
        let texts =
            [json!(["s1", "inner", 7]), json!(["s2", "Berlin"])].map(|part| b64::encode(part.to_string().as_bytes()));
        let [inner, element] = [0, 1].map(|at| b64::encode(&suite.digest(texts[at].as_bytes())));
        let outer = b64::encode(json!(["s3", "outer", {"_sd": [inner]}]).to_string().as_bytes());
        let digest = b64::encode(&suite.digest(outer.as_bytes()));
        let payload = json!({"_sd": [digest, "decoy"], "_sd_alg": suite.sd_alg(), "a": ["x", {"...": element}]});
        let shown = [texts[0].clone(), texts[1].clone(), outer];
        let text = signed(&json!({"alg": alg, "kid": kid, "typ": TYP}), &payload, &shown);
        let found = one(&text).unwrap();
        assert_eq!((found.kid.as_str(), found.suite, found.presented), (kid, suite, text.len()));
        let expected = json!({"a": ["x", "Berlin"], "outer": {"inner": 7}});
        assert_eq!(found.opened.claims, json::read(expected.to_string().as_bytes()).unwrap());
        assert_eq!(found.opened.hidden, 1);
        let places: Vec<(usize, Vec<usize>)> =
            found.opened.disclosures.iter().map(|item| (item.index, item.parents.clone())).collect();
        assert_eq!(places, [(1, vec![]), (2, vec![]), (0, vec![2])]);
        assert_eq!(found.opened.disclosures[0].path, [Step::Name("a".into()), Step::Place(1)]);
        let bound = one(&format!("{text}holder")).unwrap();
        assert_eq!(bound.presented, text.len());
    }
}

#[test]
fn every_item_has_its_own_answer() {
    let header = json!({"alg": "ES256", "kid": "one", "typ": TYP});
    let good = signed(&header, &json!({"a": 1}), &[]);
    let other = |name: &str, value: &str| {
        let mut changed = header.clone();
        changed[name] = json!(value);
        signed(&changed, &json!({"a": 1}), &[])
    };
    let texts: Vec<String> = (0..50)
        .map(|at| match at % 6 {
            0 => good.clone(),
            1 => other("kid", "stranger"),
            2 => other("kid", "none"),
            3 => other("alg", "SM2SM3"),
            4 => format!("{good}x~"),
            _ => good.replacen('.', "", 1),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let codes = ["licence.unknown-key", "licence.key", "licence.key", "licence.unreferenced", "licence.segments"];
    for (at, result) in batch::open(&texts, &keys(), TYP).into_iter().enumerate() {
        match at % 6 {
            0 => assert_eq!(result.unwrap().opened.claims, Value::Object(vec![("a".into(), Value::Integer(1))])),
            place => {
                let refused = result.unwrap_err();
                assert_eq!(refused.code, codes[place - 1]);
                assert_eq!(refused.kid.is_some(), place < 5);
            }
        }
    }
}

#[test]
fn every_changed_character_is_refused() {
    let text = signed(&json!({"alg": "ES256", "kid": "one", "typ": TYP}), &json!({"a": 1}), &[]);
    assert!(one(&text).is_ok());
    for at in 0..text.len() - 1 {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(one(&String::from_utf8(changed).unwrap()).is_err(), "{at}");
    }
}
