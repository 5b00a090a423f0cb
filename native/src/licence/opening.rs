//! Disclosures put in their places: the claims of an SD-JWT as the holder shows them. The order of the checks is that of
//! `ledger.licences.sdjwt.open_claims`. Source: RFC 9901, 7.1, steps 2 to 5.

use std::collections::HashSet;

use compact_str::CompactString;

use super::json::{self, MAX_DEPTH, Value};
use super::suite::Suite;
use super::{Refusal, b64};

const SD: &str = "_sd";
const SD_ALG: &str = "_sd_alg";
const ELEMENT: &str = "...";

/// One step of a claim path: a name in an object, or a place in an array as it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A name.
    Name(CompactString),
    /// A place, from 0.
    Place(usize),
}

/// A disclosure that was found by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// Its place among those that came.
    pub index: usize,
    /// Of what it discloses.
    pub path: Vec<Step>,
    /// Places of the disclosures it lies in, from the outermost.
    pub parents: Vec<usize>,
}

/// The payload with what was disclosed put in its place and all digests taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// An object.
    pub claims: Value,
    /// In the order they were found.
    pub disclosures: Vec<Disclosure>,
    /// Digests without a disclosure: held back, or decoys.
    pub hidden: usize,
}

/// Every disclosure in its place.
pub fn open(payload: Value, disclosures: &[&str], suite: Suite) -> Result<Opened, Refusal> {
    let named = payload.get(SD_ALG).map_or(Some("sha-256"), Value::text);
    if named != Some(suite.sd_alg()) {
        return Err("licence.sd-alg");
    }
    let mut given: Vec<(String, usize)> = disclosures
        .iter()
        .enumerate()
        .map(|(index, text)| (b64::encode(&suite.digest(text.as_bytes())), index))
        .collect();
    given.sort_unstable();
    if given.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("licence.disclosure-twice");
    }
    let mut opening = Opening {
        texts: disclosures,
        given,
        seen: Seen { few: Vec::with_capacity(Seen::FEW), many: HashSet::new(), count: 0 },
        found: Vec::with_capacity(disclosures.len()),
        path: vec![],
        parents: vec![],
    };
    let claims = opening.value(payload)?;
    if opening.found.len() != disclosures.len() {
        return Err("licence.unreferenced");
    }
    Ok(Opened { claims, hidden: opening.seen.count - opening.found.len(), disclosures: opening.found })
}

/// One walk over a payload. `path` and `parents` are of the value it is at.
struct Opening<'a> {
    texts: &'a [&'a str],
    /// (digest, place), sorted.
    given: Vec<(String, usize)>,
    seen: Seen,
    found: Vec<Disclosure>,
    path: Vec<Step>,
    parents: Vec<usize>,
}

impl Opening<'_> {
    fn value(&mut self, value: Value) -> Result<Value, Refusal> {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => self.array(items),
            other => Ok(other),
        }
    }

    fn at(&mut self, step: impl FnOnce() -> Step, value: Value) -> Result<Value, Refusal> {
        if !matches!(value, Value::Object(_) | Value::Array(_)) {
            return Ok(value);
        }
        self.path.push(step());
        let opened = self.value(value)?;
        self.path.pop();
        Ok(opened)
    }

    /// A disclosed value at the place of its digest.
    fn disclosed(&mut self, index: usize, step: Step, value: Value) -> Result<Value, Refusal> {
        self.path.push(step);
        self.found.push(Disclosure { index, path: self.path.clone(), parents: self.parents.clone() });
        self.parents.push(index);
        let opened = self.value(value)?;
        self.parents.pop();
        self.path.pop();
        Ok(opened)
    }

    /// Steps 3.c.ii, 3.e and 3.f.
    fn object(&mut self, fields: Vec<(CompactString, Value)>) -> Result<Value, Refusal> {
        self.check_depth()?;
        let mut opened = Vec::with_capacity(fields.len());
        let mut listed = None;
        for (name, item) in fields {
            match name.as_str() {
                SD => listed = Some(item),
                ELEMENT => return Err("licence.array-placeholder"),
                SD_ALG if self.path.is_empty() => {}
                SD_ALG => return Err("licence.sd-alg-nested"),
                _ => {
                    let item = self.at(|| Step::Name(name.clone()), item)?;
                    opened.push((name, item));
                }
            }
        }
        for digest in digests(listed)? {
            if let Some(index) = self.take(digest)? {
                let (name, item) = property(self.texts[index])?;
                if opened.iter().any(|field: &(CompactString, Value)| field.0 == name) {
                    return Err("licence.claim-exists");
                }
                let item = self.disclosed(index, Step::Name(name.clone()), item)?;
                opened.push((name, item));
            }
        }
        Ok(Value::Object(opened))
    }

    /// Steps 3.c.iii and 3.d: what is not disclosed is left out.
    fn array(&mut self, items: Vec<Value>) -> Result<Value, Refusal> {
        self.check_depth()?;
        let mut opened = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let Value::Object(fields) = item else {
                opened.push(self.at(|| Step::Place(place), item)?);
                continue;
            };
            if !fields.iter().any(|field| field.0 == ELEMENT) {
                opened.push(self.at(|| Step::Place(place), Value::Object(fields))?);
                continue;
            }
            let [(_, digest)] = <[_; 1]>::try_from(fields).map_err(|_| "licence.array-placeholder")?;
            let Value::Text(digest) = digest else { return Err("licence.array-digest") };
            if let Some(index) = self.take(digest)? {
                let item = element(self.texts[index])?;
                opened.push(self.disclosed(index, Step::Place(place), item)?);
            }
        }
        Ok(Value::Array(opened))
    }

    /// Disclosures in disclosures could nest deeper than any of them does alone.
    fn check_depth(&self) -> Result<(), Refusal> {
        if self.path.len() > MAX_DEPTH { Err("licence.json-depth") } else { Ok(()) }
    }

    /// The disclosure of a digest, if it came; a digest stands once in the whole. Step 4.
    fn take(&mut self, digest: CompactString) -> Result<Option<usize>, Refusal> {
        let place = self.given.binary_search_by(|known| known.0.as_str().cmp(digest.as_str())).ok();
        let index = place.map(|place| self.given[place].1);
        if self.seen.insert(digest) { Ok(index) } else { Err("licence.digest-twice") }
    }
}

/// Digests seen: the first of them in a list, because nearly every licence has few and these are compared sooner than
/// hashed.
struct Seen {
    few: Vec<CompactString>,
    many: HashSet<CompactString>,
    count: usize,
}

impl Seen {
    const FEW: usize = 24;

    /// False where it was there.
    fn insert(&mut self, digest: CompactString) -> bool {
        self.count += 1;
        if self.few.contains(&digest) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(digest);
            return true;
        }
        self.many.insert(digest)
    }
}

fn digests(listed: Option<Value>) -> Result<Vec<CompactString>, Refusal> {
    let Some(listed) = listed else { return Ok(vec![]) };
    let Value::Array(items) = listed else { return Err("licence.sd-array") };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let Value::Text(text) = item else { return Err("licence.sd-digest") };
        texts.push(text);
    }
    Ok(texts)
}

fn read(text: &str) -> Result<Vec<Value>, Refusal> {
    let Value::Array(parts) = json::read(&b64::decode(text.as_bytes())?)? else {
        return Err("licence.disclosure-form");
    };
    if parts.first().is_some_and(|salt| salt.text().is_none()) {
        return Err("licence.salt");
    }
    Ok(parts)
}

fn property(text: &str) -> Result<(CompactString, Value), Refusal> {
    let [_, name, value] = <[_; 3]>::try_from(read(text)?).map_err(|_| "licence.disclosure-length")?;
    let Value::Text(name) = name else { return Err("licence.claim-name-type") };
    match name.as_str() {
        SD => Err("licence.claim-name"),
        ELEMENT => Err("licence.claim-name-dots"),
        _ => Ok((name, value)),
    }
}

fn element(text: &str) -> Result<Value, Refusal> {
    let [_, value] = <[_; 2]>::try_from(read(text)?).map_err(|_| "licence.element-length")?;
    Ok(value)
}
