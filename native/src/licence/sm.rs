//! SM2 signatures over SM3 digests: the closed suite. Source: GB/T 32918.2 and 32918.5 (curve), GB/T 32905 (digest).
//!
//! Stated because every profile must: the signer's identifier is the national default `1234567812345678` (GM/T 0009,
//! clause 7), a signature is r || s, a key is an uncompressed point. The nonce is made as RFC 6979 makes it, with SM3.

use sm2::dsa::signature::{Signer, Verifier};
use sm2::dsa::{Signature, SigningKey, VerifyingKey};
use sm2::elliptic_curve::sec1::ToEncodedPoint;
use sm2::{PublicKey, SecretKey};
use sm3::{Digest, Sm3};

use crate::error::{Class, Error, Result};

/// The identifier that goes into every signature.
pub const IDENTIFIER: &str = "1234567812345678";

/// SM3.
pub fn digest(data: &[u8]) -> [u8; 32] {
    Sm3::digest(data).into()
}

/// The uncompressed point (65 bytes) of a 32-byte secret.
pub fn public(secret: &[u8; 32]) -> Result<[u8; 65]> {
    let point = SecretKey::from_slice(secret).map_err(|_| bad_secret())?.public_key().to_encoded_point(false);
    point.as_bytes().try_into().map_err(|_| bad_secret())
}

/// r || s over SM3(Z || message).
pub fn sign(secret: &[u8; 32], message: &[u8]) -> Result<[u8; 64]> {
    let key = SigningKey::from_slice(IDENTIFIER, secret).map_err(|_| bad_secret())?;
    // Only the secret n - 1, whose 1 + d has no inverse, cannot sign.
    let signature: Signature = key.try_sign(message).map_err(|_| bad_secret())?;
    Ok(signature.to_bytes())
}

/// Raises UntrustedError(licence.signature) unless r || s holds, InvalidInputError(licence.key) for no such point.
pub fn verify(point: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let key = key(point)?;
    let signature = Signature::from_slice(signature).map_err(|_| mismatch())?;
    key.verify(message, &signature).map_err(|_| mismatch())
}

/// The key of an uncompressed point on the curve.
pub fn key(point: &[u8]) -> Result<VerifyingKey> {
    // 65 bytes: the compressed form would be a second name of the same key.
    let known = if point.len() == 65 { PublicKey::from_sec1_bytes(point).ok() } else { None };
    known.and_then(|public| VerifyingKey::new(IDENTIFIER, public).ok()).ok_or_else(|| {
        Error::new(Class::InvalidInput, "licence.key", "not an uncompressed point of the SM2 curve")
            .hint("take the key from the issuer's entry on the chain")
    })
}

fn mismatch() -> Error {
    Error::new(Class::Untrusted, "licence.signature", "the SM2 signature does not fit the content and the key")
        .hint("do not act on this licence; ask its issuer whether it is genuine")
}

fn bad_secret() -> Error {
    Error::new(Class::InvalidInput, "key.secret", "an SM2 secret lies between 1 and the group order less two")
        .hint("make a new key")
}
