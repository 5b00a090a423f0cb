//! Signatures: Ed25519, ECDSA P-256 with SHA-256 (ES256), recoverable secp256k1 as Ethereum uses it.
//!
//! A signature is raw bytes and has one meaning whether it is checked alone or in a batch: Ed25519 is always checked
//! strictly (RFC 8032 without cofactor, no small-order keys), never by a randomised batch equation.

use alloy_primitives::keccak256;
use ed25519_dalek as ed;
use k256::ecdsa as k1;
use p256::ecdsa as r1;
use r1::signature::{Signer, Verifier};
use rayon::prelude::*;

use crate::error::{Class, Error, Result};

/// The algorithms of `verify_batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Public key 32 bytes, signature 64.
    Ed25519,
    /// Public key SEC1, signature r||s of 64 bytes over SHA-256.
    P256,
    /// Public: 20-byte address; message: 32-byte digest; signature r||s||v of 65 bytes.
    Secp256k1,
}

impl Algorithm {
    /// By its name in the door.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "ed25519" => Ok(Self::Ed25519),
            "p256" => Ok(Self::P256),
            "secp256k1" => Ok(Self::Secp256k1),
            _ => Err(Error::new(Class::InvalidInput, "signature.algorithm", "unknown signature algorithm")
                .hint("one of ed25519, p256, secp256k1")
                .values("ed25519 | p256 | secp256k1", name)),
        }
    }
}

/// One signature to check.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// How it was made.
    pub algorithm: Algorithm,
    /// Public key or address.
    pub public: &'a [u8],
    /// Message or digest.
    pub message: &'a [u8],
    /// Raw signature.
    pub signature: &'a [u8],
}

/// The 32-byte public key of a 32-byte seed.
pub fn ed25519_public(seed: &[u8; 32]) -> [u8; 32] {
    ed::SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// RFC 8032.
pub fn ed25519_sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    ed::SigningKey::from_bytes(seed).sign(message).to_bytes()
}

/// RFC 8032, strict: canonical encodings, no small-order key or R.
pub fn ed25519_verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let public: &[u8; 32] = public.try_into().map_err(|_| invalid("the Ed25519 public key is not 32 bytes"))?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| invalid("the Ed25519 signature is not 64 bytes"))?;
    let key = ed::VerifyingKey::from_bytes(public).map_err(|_| invalid("the Ed25519 public key is not a point"))?;
    key.verify_strict(message, &ed::Signature::from_bytes(signature)).map_err(|_| mismatch())
}

/// The 33-byte compressed point of a 32-byte secret.
pub fn p256_public(secret: &[u8; 32]) -> Result<[u8; 33]> {
    let key = r1::SigningKey::from_slice(secret).map_err(|_| bad_secret())?;
    let point = key.verifying_key().to_encoded_point(true);
    point.as_bytes().try_into().map_err(|_| bad_secret())
}

/// SHA-256, deterministic (RFC 6979), low s.
pub fn p256_sign(secret: &[u8; 32], message: &[u8]) -> Result<[u8; 64]> {
    let key = r1::SigningKey::from_slice(secret).map_err(|_| bad_secret())?;
    let signature: r1::Signature = key.sign(message);
    let signature = signature.normalize_s().unwrap_or(signature);
    Ok(signature.to_bytes().into())
}

/// ES256. The key is a compressed or uncompressed SEC1 point. High s is accepted, as ES256 does.
pub fn p256_verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let key = r1::VerifyingKey::from_sec1_bytes(public).map_err(|_| invalid("the P-256 public key is not a point"))?;
    let signature = r1::Signature::from_slice(signature).map_err(|_| invalid("the P-256 signature is not r||s"))?;
    key.verify(message, &signature).map_err(|_| mismatch())
}

/// The 64-byte uncompressed point (no 0x04) of a 32-byte secret.
pub fn secp256k1_public(secret: &[u8; 32]) -> Result<[u8; 64]> {
    let key = k1::SigningKey::from_slice(secret).map_err(|_| bad_secret())?;
    point_bytes(key.verifying_key())
}

/// 65 bytes r||s||v over a 32-byte digest; deterministic, low s, v in {0, 1}.
pub fn secp256k1_sign(secret: &[u8; 32], digest: &[u8; 32]) -> Result<[u8; 65]> {
    let key = k1::SigningKey::from_slice(secret).map_err(|_| bad_secret())?;
    let (signature, recovery) = key.sign_prehash_recoverable(digest).map_err(|_| bad_secret())?;
    let mut out = [0; 65];
    out[..64].copy_from_slice(&signature.to_bytes());
    out[64] = recovery.to_byte();
    Ok(out)
}

/// The 20-byte Ethereum address that signed. High s (EIP-2) and v outside {0, 1} are refused.
pub fn secp256k1_recover(digest: &[u8], signature: &[u8]) -> Result<[u8; 20]> {
    let digest: &[u8; 32] = digest.try_into().map_err(|_| invalid("the digest is not 32 bytes"))?;
    let signature: &[u8; 65] = signature.try_into().map_err(|_| invalid("the account signature is not 65 bytes"))?;
    if signature[64] > 1 {
        return Err(invalid("the recovery byte of the account signature is not 0 or 1"));
    }
    let parsed = k1::Signature::from_slice(&signature[..64]).map_err(|_| invalid("r or s is out of range"))?;
    if parsed.normalize_s().is_some() {
        return Err(invalid("the account signature has a high s"));
    }
    let recovery = k1::RecoveryId::from_byte(signature[64]).ok_or_else(mismatch)?;
    let key = k1::VerifyingKey::recover_from_prehash(digest, &parsed, recovery).map_err(|_| mismatch())?;
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256(point_bytes(&key)?)[12..]);
    Ok(address)
}

/// Raises UntrustedError(signature.invalid) unless the signature holds.
pub fn verify(item: &Signed<'_>) -> Result<()> {
    match item.algorithm {
        Algorithm::Ed25519 => ed25519_verify(item.public, item.message, item.signature),
        Algorithm::P256 => p256_verify(item.public, item.message, item.signature),
        Algorithm::Secp256k1 => {
            let signer = secp256k1_recover(item.message, item.signature)?;
            if signer == item.public { Ok(()) } else { Err(mismatch().bytes(item.public, &signer)) }
        }
    }
}

/// The indices of the signatures that fail, ascending. On all cores.
pub fn verify_batch(items: &[Signed<'_>]) -> Vec<usize> {
    items.par_iter().enumerate().filter(|(_, item)| verify(item).is_err()).map(|(index, _)| index).collect()
}

fn point_bytes(key: &k1::VerifyingKey) -> Result<[u8; 64]> {
    key.to_encoded_point(false).as_bytes()[1..].try_into().map_err(|_| invalid("the public key is not a point"))
}

fn invalid(message: &str) -> Error {
    Error::new(Class::Untrusted, "signature.invalid", message)
        .hint("do not act on the data; check the key and ask the signer to send it again")
}

fn mismatch() -> Error {
    invalid("the signature does not fit the message and the key")
}

fn bad_secret() -> Error {
    Error::new(Class::InvalidInput, "key.secret", "the secret key is zero or not below the group order")
        .hint("make a new key")
}
