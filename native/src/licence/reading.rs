//! What judging asks of an opened licence, read where it is as licences are made. Of every other one nothing is said here:
//! `ledger.licences.credential.read` and `ledger.licences.judging.check_identifier` say what is wrong, and with which code.

use p256::elliptic_curve::sec1::FromEncodedPoint;
use p256::{EncodedPoint, PublicKey};

use super::b64;
use super::json::Value;
use super::opening::{Opened, Step};
use super::suite::P256_HEADER;

const ISSUER_PREFIX: &str = "urn:cn:uscc:";
const TYPE_PREFIX: &str = "urn:cn:elicence:";
const ROOT: &str = "1.2.156.3005.2.";
const MAX_SERIAL: usize = 64;
const MAX_URI: usize = 512;
const MAX_INDEX: i64 = u32::MAX as i64;
const MAX_TIME: i64 = 253_402_300_799;
/// Claims that would change what a licence means if the holder could leave them out.
const NEVER_HIDDEN: [&str; 9] = ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "_sd_alg"];
const FURTHER_REGISTERED: [&str; 3] = ["iat", "sub", "jti"];

/// Of a licence as licences are made. Times: Unix seconds, none where not stated.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// `iat`
    pub issued_at: Option<i64>,
    /// `nbf`
    pub not_before: Option<i64>,
    /// `exp`
    pub expires: Option<i64>,
    /// SubjectPublicKeyInfo in DER of the holder's key.
    pub holder: Option<[u8; 91]>,
    /// The place in the status list that `status` names.
    pub index: Option<i64>,
    /// The identifier is shown, of the type and issuer that `vct` and `iss` name, with the standard's check character.
    pub identified: bool,
}

/// Nothing where any part is not as it must be.
pub fn read(opened: &Opened) -> Option<Said> {
    let hidden = |step: &Step| matches!(step, Step::Name(name) if NEVER_HIDDEN.contains(&name.as_str()));
    if opened.disclosures.iter().filter_map(|item| item.path.first()).any(hidden) {
        return None;
    }
    let claims = &opened.claims;
    let (not_before, expires) = (time(claims, "nbf")?, time(claims, "exp")?);
    if let (Some(first), Some(end)) = (not_before, expires)
        && end <= first
    {
        return None;
    }
    Some(Said {
        issued_at: time(claims, "iat")?,
        not_before,
        expires,
        holder: stated(claims.get("cnf"), holder)?,
        index: stated(claims.get("status"), place)?,
        identified: identified(claims),
    })
}

/// Whether a claim says something of the licence's content, and is no claim of the token.
pub fn is_fact(name: &str) -> bool {
    !NEVER_HIDDEN.contains(&name) && !FURTHER_REGISTERED.contains(&name)
}

/// The address of the status list.
pub fn address(claims: &Value) -> Option<&str> {
    claims.get("status")?.get("status_list")?.get("uri")?.text()
}

/// What is not stated is as it must be.
fn stated<T>(value: Option<&Value>, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| read(value).map(Some))
}

fn time(claims: &Value, name: &str) -> Option<Option<i64>> {
    stated(claims.get(name), |value| match value {
        Value::Integer(seconds) if (0..=MAX_TIME).contains(seconds) => Some(*seconds),
        _ => None,
    })
}

/// Source: RFC 7800, 3.2; RFC 7518, 6.2.1.
fn holder(cnf: &Value) -> Option<[u8; 91]> {
    let jwk = cnf.get("jwk")?;
    let is = |name: &str, value: &str| jwk.get(name).and_then(Value::text) == Some(value);
    if jwk.get("d").is_some() || !is("kty", "EC") || !is("crv", "P-256") {
        return None;
    }
    let coordinate = |name: &str| <[u8; 32]>::try_from(b64::decode(jwk.get(name)?.text()?.as_bytes()).ok()?).ok();
    let (x, y) = (coordinate("x")?, coordinate("y")?);
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    if !bool::from(PublicKey::from_encoded_point(&point).is_some()) {
        return None;
    }
    let mut spki = [0; 91];
    spki[..26].copy_from_slice(&P256_HEADER);
    spki[26..].copy_from_slice(point.as_bytes());
    Some(spki)
}

fn place(status: &Value) -> Option<i64> {
    let list = status.get("status_list")?;
    let Some(Value::Integer(index)) = list.get("idx") else { return None };
    let uri = list.get("uri")?.text()?;
    ((0..=MAX_INDEX).contains(index) && is_address(uri)).then_some(*index)
}

fn is_address(uri: &str) -> bool {
    let of = |text: &str, further: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || further.contains(one));
    let split = uri.strip_prefix("https://").and_then(|rest| rest.split_once('/'));
    uri.len() <= MAX_URI
        && split.is_some_and(|(host, path)| !host.is_empty() && of(host, "._:[]-") && of(path, "._~/%-"))
}

/// Source: GB/T 36904-2018; ISO 7064, MOD 37,36.
fn identified(claims: &Value) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::text);
    let issuer = text("iss").and_then(|iss| iss.strip_prefix(ISSUER_PREFIX));
    let kind = text("vct").and_then(|vct| vct.strip_prefix(TYPE_PREFIX)?.strip_suffix(":1"));
    let (Some(issuer), Some(kind)) = (issuer, kind) else { return false };
    let Some(parts) = text("ZZBS").and_then(|whole| whole.strip_prefix(ROOT)) else { return false };
    let mut split = parts.split('.');
    let (Some(first), Some(second), Some(serial), Some(version), Some(check), None) =
        (split.next(), split.next(), split.next(), split.next(), split.next(), split.next())
    else {
        return false;
    };
    let counted = version.len() == 3 && version != "000" && version.bytes().all(|digit| digit.is_ascii_digit());
    if first != kind || second != issuer || !(1..=MAX_SERIAL).contains(&serial.len()) || !counted {
        return false;
    }
    let body = [first, second, serial, version];
    let product = body.iter().flat_map(|part| part.bytes()).try_fold(36, |product, character| {
        let sum = (product + value(character)?) % 36;
        Some((if sum == 0 { 36 } else { sum }) * 2 % 37)
    });
    let [check] = check.as_bytes() else { return false };
    product.zip(value(*check)).is_some_and(|(product, check)| (product + check) % 36 == 1)
}

fn value(character: u8) -> Option<u32> {
    match character {
        b'0'..=b'9' => Some(u32::from(character - b'0')),
        b'A'..=b'Z' => Some(u32::from(character - b'A') + 10),
        _ => None,
    }
}
