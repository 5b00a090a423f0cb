//! The address that signed a digest, by secp256k1 public key recovery (SEC 1, 4.1.6).
//!
//! The arithmetic is k256's. Its own recovery verifies the signature once more with the key it has just computed from
//! it, which cannot fail and doubles the cost of the dearest step of a block: here the key is computed once, and not in
//! constant time, because nothing of it is secret.

use alloy_primitives::{Address, B256, Signature, U256};
use k256::elliptic_curve::ops::{Invert, Reduce};
use k256::elliptic_curve::point::DecompressPoint;
use k256::elliptic_curve::sec1::ToEncodedPoint;
use k256::elliptic_curve::{Group, PrimeField};
use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::combine::combine;

/// Half of the group order: a higher s is a second signature for the same message (EIP-2).
const HALF_ORDER: U256 = alloy_consensus::crypto::SECP256K1N_HALF;

/// The signer, or None when nobody signed this (r or s out of range, high s, r on no point).
pub fn recover(digest: B256, signature: &Signature) -> Option<Address> {
    if signature.s() > HALF_ORDER {
        return None;
    }
    let scalar = |value: U256| Option::<Scalar>::from(Scalar::from_repr(value.to_be_bytes::<32>().into()));
    let (r, s) = (scalar(signature.r())?, scalar(signature.s())?);
    if bool::from(s.is_zero()) {
        return None;
    }
    // Ethereum's v says the parity only: an r that stands for x = r + n is not used (the chance is 2^-127).
    let x = signature.r().to_be_bytes::<32>().into();
    let point: Option<AffinePoint> = AffinePoint::decompress(&x, u8::from(signature.v()).into()).into();
    let inverse: Option<Scalar> = r.invert_vartime().into();
    let (point, inverse) = (ProjectivePoint::from(point?), inverse?);
    let z = <Scalar as Reduce<k256::U256>>::reduce_bytes(&digest.0.into());
    // Q = r^-1 (s R - z G)
    let key = combine(&-(inverse * z), &(inverse * s), &point);
    if bool::from(key.is_identity()) {
        return None;
    }
    Some(Address::from_raw_public_key(&key.to_affine().to_encoded_point(false).as_bytes()[1..]))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use k256::ecdsa::SigningKey;

    use super::*;

    fn signed(secret: u64, message: u64) -> (B256, Signature, Address) {
        let key = SigningKey::from_slice(B256::left_padding_from(&secret.to_be_bytes()).as_slice()).expect("a key");
        let digest = keccak256(message.to_be_bytes());
        let (made, id) = key.sign_prehash_recoverable(digest.as_slice()).expect("signs");
        let number = |bytes: &[u8]| U256::from_be_slice(bytes);
        let signature = Signature::new(number(&made.r().to_bytes()), number(&made.s().to_bytes()), id.is_y_odd());
        (digest, signature, Address::from_public_key(key.verifying_key()))
    }

    #[test]
    fn it_finds_the_signer_as_k256_does() {
        for n in 1..200 {
            let (digest, signature, signer) = signed(n * 7919, n);
            assert_eq!(recover(digest, &signature), Some(signer));
            assert_eq!(signature.recover_address_from_prehash(&digest).ok(), Some(signer));
            let other = keccak256(digest);
            let stranger = recover(other, &signature);
            assert_ne!(stranger, Some(signer));
            assert_eq!(signature.recover_address_from_prehash(&other).ok(), stranger);
        }
    }

    #[test]
    fn what_nobody_signed_is_refused() {
        let (digest, good, _) = signed(5, 5);
        let order = HALF_ORDER * U256::from(2) + U256::ONE;
        let zero = U256::ZERO;
        for (r, s, v) in [
            (zero, good.s(), good.v()),
            (good.r(), zero, good.v()),
            (order, good.s(), good.v()),
            (U256::MAX, good.s(), good.v()),
            (good.r(), order - good.s(), !good.v()),
            (good.r(), U256::MAX, good.v()),
        ] {
            assert_eq!(recover(digest, &Signature::new(r, s, v)), None, "{r} {s}");
        }
        // x = 5 is on no point of the curve.
        assert_eq!(recover(digest, &Signature::new(U256::from(5), good.s(), false)), None);
    }
}
