//! The genesis file: read strictly, its constructors run, its addresses and code hashes checked.
//!
//! Version 2 is the genesis of a recovered city: it runs no constructor, it goes on from the head it names (`recovery`).

use std::collections::HashSet;

use alloy_primitives::{Address, B256, Bytes};
use alloy_trie::KECCAK_EMPTY;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::block::{Frame, Sealed, seal};
use super::evm::{Machine, Request};
use super::fail;
use super::rules::{DEPLOYER, Limits};
use super::state::{Changes, State, Undo};
use crate::error::Error;
use crate::json;

/// Longest genesis file: the contracts and some hundred members.
const MAX_GENESIS: usize = 8 << 20;
/// Deepest nesting of a genesis file.
const MAX_DEPTH: usize = 16;

/// The fields the state machine reads; the members are the business of the directory of members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "chainId")]
    chain_id: u64,
    contracts: Vec<Contract>,
    #[serde(rename = "engine")]
    _engine: IgnoredAny,
    limits: FileLimits,
    members: Vec<Member>,
    /// Version 2 only.
    #[serde(default)]
    recovery: Option<Recovery>,
    #[serde(rename = "region")]
    _region: IgnoredAny,
    time: String,
    v: u64,
}

/// Who votes on a recovered network; in version 1 the constructor of the Consortium says so.
#[derive(Deserialize)]
struct Member {
    uscc: String,
    validator: bool,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    role: String,
    material: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recovery {
    chain: String,
    #[serde(rename = "chainId")]
    _chain_id: IgnoredAny,
    hash: String,
    height: u64,
    #[serde(rename = "lost")]
    _lost: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    #[serde(rename = "blockGas")]
    block_gas: u64,
    #[serde(rename = "txBytes")]
    tx_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    name: String,
    address: String,
    code: String,
    #[serde(rename = "codeHash")]
    code_hash: String,
}

/// What a recovered city goes on from, and who votes then.
pub struct Continuation {
    /// SHA-256 of the new genesis file.
    pub digest: B256,
    /// Limits of the network.
    pub limits: Limits,
    /// SHA-256 of the genesis file before.
    pub chain: B256,
    /// Number of the head that is agreed on.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// Unix seconds.
    pub time: u64,
    /// Member (as on chain) and consensus key of every validator.
    pub validators: Vec<(B256, B256)>,
}

/// What a genesis file makes.
pub struct Genesis {
    /// SHA-256 of the file.
    pub digest: B256,
    /// Limits of the network.
    pub limits: Limits,
    /// Block 0.
    pub sealed: Sealed,
    /// State after the constructors.
    pub state: State,
    /// What the constructors did.
    pub changes: Changes,
    /// The way back to nothing.
    pub undo: Undo,
}

/// SHA-256 of a genesis file and the limits it sets. Errors: `genesis.*`.
pub fn read_limits(bytes: &[u8]) -> Result<(B256, Limits), Error> {
    let file = parse(bytes)?;
    Ok((digest(bytes), limits(&file)))
}

/// Number of the block that a chain of this genesis begins with. Errors: `genesis.*`.
pub fn first_block(bytes: &[u8]) -> Result<u64, Error> {
    Ok(parse(bytes)?.recovery.map_or(0, |recovery| recovery.height + 1))
}

/// The genesis file of a recovered city. Errors: `genesis.*`.
pub fn continuation(bytes: &[u8]) -> Result<Continuation, Error> {
    let file = parse(bytes)?;
    let limits = limits(&file);
    let Some(recovery) = file.recovery else {
        return Err(fail::invalid("genesis.recovery", "the genesis file founds a city, it recovers none"));
    };
    let mut validators = Vec::new();
    for member in file.members.iter().filter(|member| member.validator) {
        let mut keys = member.keys.iter().filter(|key| key.role == "consensus");
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(fail::invalid("genesis.validators", "a validator has exactly one consensus key"));
        };
        validators.push((member_word(&member.uscc)?, hex_value(&key.material, "a key")?));
    }
    Ok(Continuation {
        digest: digest(bytes),
        limits,
        chain: hex_value(&format!("0x{}", recovery.chain), "the chain before")?,
        height: recovery.height,
        hash: hex_value(&recovery.hash, "the hash of the head")?,
        time: parse_time(&file.time)?,
        validators,
    })
}

/// An identifier of a member as the contracts hold it: its ASCII, left-aligned.
fn member_word(uscc: &str) -> Result<B256, Error> {
    if uscc.len() != 18 || !uscc.is_ascii() {
        return Err(fail::invalid("genesis.field", "a member's identifier has 18 characters"));
    }
    let mut word = B256::ZERO;
    word[..18].copy_from_slice(uscc.as_bytes());
    Ok(word)
}

/// Run a genesis file. Errors: `genesis.*`.
pub fn run(bytes: &[u8]) -> Result<Genesis, Error> {
    let file = parse(bytes)?;
    if file.recovery.is_some() {
        return Err(fail::invalid(
            "genesis.recovered",
            "a recovered city goes on from the state before, which is not in its genesis file",
        )
        .hint("take recovery.json and state from recovery/ of another member: civicledger city recover start FILE --state STATE"));
    }
    let limits = limits(&file);
    let frame = Frame {
        parent: B256::ZERO,
        number: 0,
        timestamp: parse_time(&file.time)?,
        gas_limit: limits.block_gas,
        consensus_height: 0,
    };
    let context = seal(frame, B256::ZERO, &[]).context(limits.chain_id);
    let mut state = State::default();
    let empty = State::default();
    let mut machine = Machine::new(&empty, context, &|_| None);
    for (nonce, contract) in (0_u64..).zip(&file.contracts) {
        construct(&mut machine, nonce, contract, limits.block_gas)?;
    }
    let changes = machine.finish();
    let undo = state.apply(&changes);
    for contract in &file.contracts {
        let listed: B256 = hex_value(&contract.code_hash, "a code hash")?;
        let actual =
            state.account(&hex_value(&contract.address, "an address")?).map_or(KECCAK_EMPTY, |a| a.fields.code_hash);
        if listed != actual {
            return Err(listed_value("genesis.code-hash", contract, "code hash", &listed, &actual));
        }
    }
    let sealed = seal(frame, state.root(), &[]);
    Ok(Genesis { digest: digest(bytes), limits, sealed, state, changes, undo })
}

fn construct(machine: &mut Machine<'_>, nonce: u64, contract: &Contract, gas: u64) -> Result<(), Error> {
    let listed: Address = hex_value(&contract.address, "an address")?;
    let expected = DEPLOYER.create(nonce);
    if listed != expected {
        return Err(listed_value("genesis.address", contract, "address", &listed, &expected));
    }
    let request = Request { from: DEPLOYER, nonce, gas, input: hex_bytes(&contract.code)?, ..Request::default() };
    let refused = |why: String| {
        fail::invalid("genesis.constructor", format!("the constructor of {} did not succeed: {why}", contract.name))
    };
    let outcome = machine.transact(&request).map_err(|reason| refused(format!("{reason:?}")))?;
    if outcome.success { Ok(()) } else { Err(refused(format!("it reverted with {}", outcome.output))) }
}

fn limits(file: &File) -> Limits {
    Limits { chain_id: file.chain_id, block_gas: file.limits.block_gas, tx_bytes: file.limits.tx_bytes }
}

fn digest(bytes: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(bytes))
}

fn parse(bytes: &[u8]) -> Result<File, Error> {
    json::check_canonical(bytes, MAX_GENESIS, MAX_DEPTH).map_err(|error| {
        fail::invalid("genesis.json", format!("the genesis file is not canonical JSON: {}", error.message))
    })?;
    let file: File = serde_json::from_slice(bytes).map_err(|error| {
        fail::invalid("genesis.field", format!("the genesis file is not as formats.md says: {error}"))
    })?;
    let names: HashSet<_> = file.contracts.iter().map(|contract| contract.name.as_str()).collect();
    let wrong = if file.v != if file.recovery.is_some() { 2 } else { 1 } {
        Some("its version is neither 1, nor 2 with a recovery")
    } else if file.recovery.as_ref().is_some_and(|recovery| recovery.height > 1 << 53) {
        Some("the height it goes on from is beyond 2^53")
    } else if file.chain_id == 0 || file.chain_id > u64::from(u32::MAX) {
        Some("chainId must be from 1 to 2^32 - 1")
    } else if !(1_000_000..=10_000_000_000).contains(&file.limits.block_gas) {
        Some("limits.blockGas must be from 10^6 to 10^10")
    } else if !(1024..=1 << 20).contains(&file.limits.tx_bytes) {
        Some("limits.txBytes must be from 1,024 to 1,048,576")
    } else if file.contracts.first().is_none_or(|contract| contract.name != "Consortium") {
        Some("its first contract must be the Consortium")
    } else if file.contracts.len() > 16 || names.len() != file.contracts.len() {
        Some("it lists more than 16 contracts, or one name twice")
    } else {
        None
    };
    match wrong {
        None => Ok(file),
        Some(why) => Err(fail::invalid("genesis.field", format!("the genesis file is refused: {why}"))),
    }
}

fn listed_value(
    code: &'static str,
    contract: &Contract,
    what: &str,
    listed: &impl ToString,
    actual: &impl ToString,
) -> Error {
    fail::invalid(code, format!("the {what} of {} does not come out as listed", contract.name))
        .values(listed.to_string(), actual.to_string())
}

fn hex_bytes(text: &str) -> Result<Bytes, Error> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match alloy_primitives::hex::decode(digits) {
        Ok(bytes) if lower && !bytes.is_empty() => Ok(bytes.into()),
        _ => Err(fail::invalid("genesis.field", "code must be 0x and an even number of lower-case hex digits")),
    }
}

fn hex_value<T: for<'a> TryFrom<&'a [u8]>>(text: &str, what: &str) -> Result<T, Error> {
    let bytes = hex_bytes(text)?;
    T::try_from(&bytes).map_err(|_| fail::invalid("genesis.field", format!("{what} has the wrong length")))
}

/// Unix seconds of `2026-11-22T00:00:00.000Z`.
fn parse_time(text: &str) -> Result<u64, Error> {
    let wrong = || fail::invalid("genesis.field", "time must look like 2026-11-22T00:00:00.000Z and lie after 1970");
    let shape = b"dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = text.len() == shape.len()
        && text.bytes().zip(shape).all(|(c, s)| if *s == b'd' { c.is_ascii_digit() } else { c == *s });
    if !fits {
        return Err(wrong());
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().map_err(|_| wrong());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = usize::try_from(month).ok().and_then(|m| lengths.get(m.checked_sub(1)?)).ok_or_else(wrong)?;
    if year < 1970 || day == 0 || day > *length || hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    let years = (1970..year).map(|y| if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) { 366 } else { 365 }).sum::<u64>();
    let months = lengths.iter().take(usize::try_from(month).unwrap_or(1) - 1).sum::<u64>();
    Ok((years + months + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn times_are_read_strictly() {
        assert_eq!(parse_time("1970-01-01T00:00:00.000Z").ok(), Some(0));
        assert_eq!(parse_time("2026-11-22T00:00:00.000Z").ok(), Some(1_795_305_600));
        assert_eq!(parse_time("2028-02-29T23:59:59.999Z").ok(), Some(1_835_481_599));
        for wrong in [
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-11-22T24:00:00.000Z",
            "2026-11-22 00:00:00.000Z",
            "2026-11-22T00:00:00Z",
            "1969-12-31T23:59:59.000Z",
            "",
        ] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
