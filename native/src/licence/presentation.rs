//! An SD-JWT presentation taken apart: `<JWT>~<disclosure>~…~[<KB-JWT>]`. Source: RFC 9901, section 4; RFC 7515.

use super::json::{self, Value};
use super::suite::Suite;
use super::{Refusal, b64};

/// The longest presentation, and the most disclosures.
pub const MAX_BYTES: usize = 65_536;
const MAX_DISCLOSURES: usize = 256;
const SIGNATURE_BYTES: usize = 64;
const MAX_KID: usize = 128;

/// The parts, well-formed but not verified. Spans are positions in the text.
#[derive(Debug)]
pub struct Presentation<'a> {
    /// Header and payload as they were signed.
    pub signing_input: &'a str,
    /// What the header says.
    pub header: Value,
    /// Named by the header.
    pub suite: Suite,
    /// The claims with the digests in them.
    pub payload: Value,
    /// r || s
    pub signature: Vec<u8>,
    /// Their texts in order.
    pub disclosures: Vec<&'a str>,
    /// Bytes up to and including the last `~`; what follows is the key binding, if anything does.
    pub presented: usize,
}

/// An ASCII text taken apart. The order of the checks is that of `ledger.licences.sdjwt.parse`.
pub fn parse(text: &str) -> Result<Presentation<'_>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err("licence.size");
    }
    let (issued, rest) = text.split_once('~').ok_or("licence.no-tilde")?;
    let mut disclosures: Vec<&str> = rest.split('~').collect();
    let binding = disclosures.pop().map_or(0, str::len);
    if disclosures.len() > MAX_DISCLOSURES {
        return Err("licence.disclosures");
    }
    if disclosures.contains(&"") {
        return Err("licence.empty-disclosure");
    }
    let mut segments = issued.split('.');
    let (Some(head), Some(body), Some(tail), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err("licence.segments");
    };
    let header = object(&b64::decode(head.as_bytes())?, "licence.header")?;
    let suite = suite(&header)?;
    if header.get("crit").is_some() {
        return Err("licence.crit");
    }
    let signature = b64::decode(tail.as_bytes())?;
    if signature.len() != SIGNATURE_BYTES {
        return Err("licence.signature-length");
    }
    let payload = object(&b64::decode(body.as_bytes())?, "licence.payload")?;
    Ok(Presentation {
        signing_input: &issued[..head.len() + 1 + body.len()],
        header,
        suite,
        payload,
        signature,
        disclosures,
        presented: text.len() - binding,
    })
}

impl Presentation<'_> {
    /// The key named in the header.
    pub fn kid(&self) -> Result<&str, Refusal> {
        // Counted in characters, as Python does.
        let fits = |kid: &&str| (1..=MAX_KID).contains(&kid.chars().count());
        self.header.get("kid").and_then(Value::text).filter(fits).ok_or("licence.kid")
    }
}

fn object(data: &[u8], code: Refusal) -> Result<Value, Refusal> {
    let value = json::read(data)?;
    if matches!(value, Value::Object(_)) { Ok(value) } else { Err(code) }
}

fn suite(header: &Value) -> Result<Suite, Refusal> {
    match header.get("alg") {
        None => Err("licence.alg-missing"),
        Some(Value::Text(alg)) if alg.to_lowercase() == "none" => Err("licence.alg-none"),
        Some(alg) => alg.text().and_then(Suite::of).ok_or("licence.alg"),
    }
}
