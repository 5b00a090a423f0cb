//! Many presentations at once on all cores: taken apart, signature and digests checked, disclosures in their places.

use std::collections::HashMap;

use rayon::prelude::*;

use super::Refusal;
use super::json::Value;
use super::opening::{self, Opened};
use super::presentation::{self, Presentation};
use super::reading::{self, Said};
use super::suite::{Key, Suite};

/// Presentations a thread takes at a time at least: below this handing them out costs more than it brings.
const PIECE: usize = 4;

/// A presentation whose issuer signed it, opened.
#[derive(Debug)]
pub struct Found {
    /// The key it was signed with.
    pub kid: String,
    /// Named by the header.
    pub suite: Suite,
    /// Claims and disclosures.
    pub opened: Opened,
    /// Bytes up to and including the last `~`; what follows is the key binding, if anything does.
    pub presented: usize,
}

/// Why one was refused, and the key it names, if it came so far.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// A code of `ledger.licences`.
    pub code: Refusal,
    /// Well-formed, and not verified.
    pub kid: Option<String>,
}

/// Every text in its place in the result. `keys`: the issuers' keys by kid; `typ`: what the header must say.
pub fn open(texts: &[&str], keys: &HashMap<String, Key>, typ: &str) -> Vec<Result<Found, Refused>> {
    each(texts, |text| one(text, keys, typ))
}

/// The same, and what judging asks of each that is as licences are made.
pub fn read(texts: &[&str], keys: &HashMap<String, Key>, typ: &str) -> Vec<Result<(Found, Option<Said>), Refused>> {
    each(texts, |text| {
        let found = one(text, keys, typ)?;
        let said = reading::read(&found.opened);
        Ok((found, said))
    })
}

fn each<T: Send>(texts: &[&str], work: impl Fn(&str) -> T + Sync) -> Vec<T> {
    if texts.len() < PIECE {
        return texts.iter().map(|text| work(text)).collect();
    }
    texts.par_iter().with_min_len(PIECE).map(|text| work(text)).collect()
}

fn one(text: &str, keys: &HashMap<String, Key>, typ: &str) -> Result<Found, Refused> {
    let early = |code| Refused { code, kid: None };
    let parts = presentation::parse(text).map_err(early)?;
    if parts.header.get("typ").and_then(Value::text) != Some(typ) {
        return Err(early("licence.typ"));
    }
    let kid = parts.kid().map_err(early)?.to_owned();
    let (suite, presented) = (parts.suite, parts.presented);
    match verified(parts, keys.get(&kid)) {
        Ok(opened) => Ok(Found { kid, suite, opened, presented }),
        Err(code) => Err(Refused { code, kid: Some(kid) }),
    }
}

fn verified(parts: Presentation<'_>, key: Option<&Key>) -> Result<Opened, Refusal> {
    let key = key.ok_or("licence.unknown-key")?;
    key.verify(parts.suite, parts.signing_input.as_bytes(), &parts.signature)?;
    opening::open(parts.payload, &parts.disclosures, parts.suite)
}
