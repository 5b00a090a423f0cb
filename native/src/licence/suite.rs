//! The algorithms of licences and the issuers' keys, as `ledger.licences.suites` has them.

use p256::elliptic_curve::sec1::FromEncodedPoint;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use sm2::dsa::VerifyingKey;
use sm2::dsa::signature::Verifier;

use super::{Refusal, sm};

/// SubjectPublicKeyInfo up to the uncompressed point. Source: RFC 5480, 2; GM/T 0006.
pub const P256_HEADER: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const SM2_HEADER: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";

/// One signature algorithm and one digest that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// ECDSA P-256 with SHA-256.
    Es256,
    /// SM2 with SM3: the closed profile.
    Sm2Sm3,
}

impl Suite {
    /// By the `alg` of a protected header.
    pub fn of(alg: &str) -> Option<Self> {
        [Self::Es256, Self::Sm2Sm3].into_iter().find(|suite| suite.alg() == alg)
    }

    /// The JOSE name.
    pub fn alg(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Sm2Sm3 => "SM2SM3",
        }
    }

    /// The name of the digest in `_sd_alg`.
    pub fn sd_alg(self) -> &'static str {
        match self {
            Self::Es256 => "sha-256",
            Self::Sm2Sm3 => "sm3",
        }
    }

    /// 32 bytes.
    pub fn digest(self, data: &[u8]) -> [u8; 32] {
        match self {
            Self::Es256 => Sha256::digest(data).into(),
            Self::Sm2Sm3 => sm::digest(data),
        }
    }
}

/// An issuer's key, read once for a batch.
#[derive(Debug)]
pub enum Key {
    /// An uncompressed point on P-256.
    Es256([u8; 65]),
    /// With the national default identifier.
    Sm2Sm3(Box<VerifyingKey>),
    /// No key as the chain names it.
    Unusable,
}

impl Key {
    /// From a SubjectPublicKeyInfo in DER.
    pub fn read(spki: &[u8]) -> Self {
        Self::p256(spki).or_else(|| Self::sm2(spki)).unwrap_or(Self::Unusable)
    }

    fn p256(spki: &[u8]) -> Option<Self> {
        let point: [u8; 65] = spki.strip_prefix(&P256_HEADER)?.try_into().ok()?;
        let encoded = p256::EncodedPoint::from_bytes(point).ok()?;
        let on_curve = bool::from(p256::PublicKey::from_encoded_point(&encoded).is_some());
        on_curve.then_some(Self::Es256(point))
    }

    fn sm2(spki: &[u8]) -> Option<Self> {
        sm::key(spki.strip_prefix(&SM2_HEADER)?).ok().map(|key| Self::Sm2Sm3(Box::new(key)))
    }

    /// Refuses with licence.signature, and with licence.key where the key is none of the suite.
    pub fn verify(&self, suite: Suite, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        match (self, suite) {
            (Self::Es256(point), Suite::Es256) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .map_err(|_| "licence.signature"),
            (Self::Sm2Sm3(key), Suite::Sm2Sm3) => sm2::dsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| "licence.signature"),
            _ => Err("licence.key"),
        }
    }
}
