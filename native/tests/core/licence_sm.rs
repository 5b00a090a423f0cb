//! SM2 and SM3 against the standards' examples and against themselves.

use crate::common::vectors::{folder, hex};
use _native::licence::sm;
use serde_json::Value;

// GB/T 32905, Annex A.
const ABC: &str = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
const ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn less(number: &str, by: u8) -> [u8; 32] {
    let mut out: [u8; 32] = bytes(number).try_into().unwrap();
    out[31] -= by;
    out
}

#[test]
fn sm3_of_the_standard() {
    assert_eq!(sm::digest(b"abc").to_vec(), bytes(ABC));
}

#[test]
fn sm2_of_the_standard() {
    let Some(file) = folder("china") else { return };
    let facts: Value = serde_json::from_slice(&std::fs::read(file.join("vectors.json")).unwrap()).unwrap();
    let case = &facts["sm2_sign"];
    assert_eq!(case["id"], sm::IDENTIFIER);
    let point = [&[4][..], &hex(&case["x"]), &hex(&case["y"])].concat();
    let secret: [u8; 32] = hex(&case["d"]).try_into().unwrap();
    assert_eq!(sm::public(&secret).unwrap().to_vec(), point);
    let message = case["message"].as_str().unwrap().as_bytes();
    let signature = [hex(&case["r"]), hex(&case["s"])].concat();
    sm::verify(&point, message, &signature).unwrap();
    assert_eq!(sm::verify(&point, b"message digesT", &signature).unwrap_err().code, "licence.signature");
    sm::verify(&point, message, &sm::sign(&secret, message).unwrap()).unwrap();
    assert_eq!(sm::digest("abcd".repeat(16).as_bytes()).to_vec(), hex(&facts["sm3"]["abcd*16"]));
}

#[test]
fn every_changed_bit_is_refused() {
    let secret = [9; 32];
    let point = sm::public(&secret).unwrap();
    let signature = sm::sign(&secret, b"content").unwrap();
    sm::verify(&point, b"content", &signature).unwrap();
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(sm::verify(&point, b"content", &changed).unwrap_err().code, "licence.signature");
    }
    for short in [0, 63, 65] {
        let cut: Vec<u8> = signature.iter().copied().cycle().take(short).collect();
        assert_eq!(sm::verify(&point, b"content", &cut).unwrap_err().code, "licence.signature");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let point = sm::public(&[9; 32]).unwrap();
    let signature = sm::sign(&[9; 32], b"content").unwrap();
    let mut off = point;
    off[64] ^= 1;
    let compressed = [&[2 + point[64] % 2][..], &point[1..33]].concat();
    for odd in [&off[..], &point[..64], &compressed, &[0], &[]] {
        assert_eq!(sm::verify(odd, b"content", &signature).unwrap_err().code, "licence.key");
    }
}

#[test]
fn secrets_out_of_range_are_refused() {
    for secret in [[0; 32], less(ORDER, 0), [0xff; 32]] {
        assert_eq!(sm::public(&secret).unwrap_err().code, "key.secret");
        assert_eq!(sm::sign(&secret, b"content").unwrap_err().code, "key.secret");
    }
    assert_eq!(sm::sign(&less(ORDER, 1), b"content").unwrap_err().code, "key.secret");
    assert!(sm::sign(&less(ORDER, 2), b"content").is_ok());
}
