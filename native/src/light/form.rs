//! A light block as it stands in a bundle (docs/formats.md, finality of the cometbft engine): canonical JSON, decoded into
//! the types of the light client library.
//!
//! Nothing that follows from something else is written: the block id is the header's hash, addresses are those of the
//! keys, and votes that do not count (absent, for nil, beyond two thirds) have no place, so that no byte can be changed
//! without changing what was signed.

use std::cmp::Reverse;

use base64ct::{Base64, Encoding};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tendermint::block::{self, Commit, CommitSig, Header, Height, Round, parts, signed_header::SignedHeader};
use tendermint::validator::{Info, Set};
use tendermint::vote::Power;
use tendermint::{AppHash, Hash, PublicKey, Signature, Time, account, chain};

use super::{LightBlock, MAX_BYTES, MAX_POWER, MAX_VALIDATORS, invalid, untrusted};
use crate::error::Result;
use crate::json;

/// Open objects and arrays in a light block: a vote's object in the commit's list.
const MAX_DEPTH: usize = 8;
/// Parts of a block: CometBFT's bound on a block, in parts of 64 KiB.
const MAX_PARTS: u32 = 1601;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LightBlockForm {
    commit: CommitForm,
    header: HeaderForm,
    validators: Vec<ValidatorForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitForm {
    parts: PartsForm,
    round: u32,
    votes: Vec<Option<VoteForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartsForm {
    hash: Hex<32>,
    total: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteForm {
    signature: Base64Of<64>,
    time: Stamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidatorForm {
    key: Hex<32>,
    power: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockIdForm {
    hash: Hex<32>,
    parts: PartsForm,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeaderForm {
    app_hash: AppHashForm,
    app_version: u64,
    block_version: u64,
    chain_id: String,
    consensus_hash: Hex<32>,
    data_hash: Hex<32>,
    evidence_hash: Hex<32>,
    height: u64,
    // A missing field is refused even though the value may be null.
    #[serde(deserialize_with = "Option::deserialize")]
    last_block_id: Option<BlockIdForm>,
    last_commit_hash: Hex<32>,
    last_results_hash: Hex<32>,
    next_validators_hash: Hex<32>,
    proposer: Hex<20>,
    time: Stamp,
    validators_hash: Hex<32>,
}

/// Lower-case hex of exactly N bytes.
struct Hex<const N: usize>([u8; N]);

/// Standard base64 with padding of exactly N bytes.
struct Base64Of<const N: usize>([u8; N]);

/// At most 32 bytes as lower-case hex.
struct AppHashForm(Vec<u8>);

/// `2026-11-22T03:41:45.684123456Z`, always with nine decimals.
struct Stamp(Time);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let bytes = unhex(<&str>::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not lower-case hex"))?;
        bytes.try_into().map(Self).map_err(|_| D::Error::custom(format!("not {N} bytes of hex")))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Base64Of<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let bytes = Base64::decode_vec(text).map_err(|_| D::Error::custom("not standard base64"))?;
        if Base64::encode_string(&bytes) != text {
            return Err(D::Error::custom("base64 with unused bits set"));
        }
        bytes.try_into().map(Self).map_err(|_| D::Error::custom(format!("not {N} bytes of base64")))
    }
}

impl<'de> Deserialize<'de> for AppHashForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let bytes = unhex(<&str>::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not lower-case hex"))?;
        if bytes.len() > 32 { Err(D::Error::custom("more than 32 bytes")) } else { Ok(Self(bytes)) }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let form = || D::Error::custom("not a time like 2026-11-22T03:41:45.684123456Z");
        let seconds = text.get(..19).ok_or_else(form)?;
        if text.len() != 30 || text.as_bytes()[19] != b'.' || !text.ends_with('Z') {
            return Err(form());
        }
        let time = Time::parse_from_rfc3339(text).map_err(|_| form())?;
        // Other spellings of the same instant (a leap second, a small "t") do not come back like this.
        let nanos = time.unix_timestamp_nanos().rem_euclid(1_000_000_000);
        let whole = Time::from_unix_timestamp(time.unix_timestamp(), 0).map_err(|_| form())?.to_rfc3339();
        if whole != format!("{seconds}Z") || text[20..29] != format!("{nanos:09}") || time.unix_timestamp() < 0 {
            return Err(form());
        }
        Ok(Self(time))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Decode a light block and check its form: the set in its canonical order, and exactly the smallest prefix of votes over
/// two thirds of its power. No signature is checked yet.
pub(super) fn decode(data: &[u8]) -> Result<LightBlock> {
    json::check_canonical(data, MAX_BYTES, MAX_DEPTH)?;
    let form: LightBlockForm = serde_json::from_slice(data)
        .map_err(|error| invalid("finality.light", format!("not a light block: {error}")))?;
    let validators = validators(&form.validators)?;
    let total: u64 = validators.iter().map(Info::power).sum();
    let signed = check_prefix(&form.commit.votes, &validators, total)?;
    let (votes, round, parts) = (form.commit.votes, form.commit.round, form.commit.parts);
    let header = header(form.header).map_err(|error| invalid("finality.light", format!("not a header: {error}")))?;
    let hash = header.hash();
    let commit = commit(&header, hash, votes, round, &parts, &validators)
        .map_err(|error| invalid("finality.light", format!("not a commit: {error}")))?;
    let signed_header = SignedHeader::new(header, commit)
        .map_err(|error| invalid("finality.light", format!("not a signed header: {error}")))?;
    Ok(LightBlock { signed_header, validators: Set::without_proposer(validators), hash, signed, total })
}

/// In CometBFT's order: by power downwards, then by address upwards.
fn validators(forms: &[ValidatorForm]) -> Result<Vec<Info>> {
    if forms.is_empty() || forms.len() > MAX_VALIDATORS {
        return Err(invalid("finality.validators", format!("a set has 1 to {MAX_VALIDATORS} validators"))
            .numbers(MAX_VALIDATORS as u64, forms.len() as u64));
    }
    let mut set: Vec<Info> = Vec::with_capacity(forms.len());
    for form in forms {
        if form.power == 0 || form.power > MAX_POWER / MAX_VALIDATORS as u64 {
            return Err(invalid("finality.validators", "a validator's power is out of bounds")
                .numbers(MAX_POWER / MAX_VALIDATORS as u64, form.power));
        }
        let key = PublicKey::from_raw_ed25519(&form.key.0)
            .ok_or_else(|| invalid("finality.validators", "a validator's key is no Ed25519 key"))?;
        let power = Power::try_from(form.power)
            .map_err(|_| invalid("finality.validators", "a validator's power is out of bounds"))?;
        let next = Info::new(key, power);
        if set.last().is_some_and(|last| order(last) >= order(&next)) {
            return Err(untrusted(
                "finality.validators",
                "validators stand in order of power downwards, then of address, each once",
            ));
        }
        set.push(next);
    }
    Ok(set)
}

fn order(info: &Info) -> (Reverse<Power>, account::Id) {
    (Reverse(info.power), info.address)
}

/// The power that signed. Every vote stands at its validator's place; the last one is the one that made it two thirds.
fn check_prefix(votes: &[Option<VoteForm>], validators: &[Info], total: u64) -> Result<u64> {
    if votes.len() > validators.len() {
        return Err(untrusted("finality.prefix", "there are more votes than validators")
            .numbers(validators.len() as u64, votes.len() as u64));
    }
    let power = |count: usize| -> u64 {
        votes[..count].iter().zip(validators).filter(|(vote, _)| vote.is_some()).map(|(_, info)| info.power()).sum()
    };
    let signed = power(votes.len());
    if 3 * signed <= 2 * total {
        return Err(untrusted("finality.quorum", "two thirds of the validators' power or less signed the block")
            .hint("take it again from the node: a final block is signed by more than two thirds")
            .numbers(2 * total / 3 + 1, signed));
    }
    if votes.last().is_none_or(Option::is_none) || 3 * power(votes.len() - 1) > 2 * total {
        return Err(untrusted("finality.prefix", "there are more votes than the smallest number over two thirds"));
    }
    Ok(signed)
}

fn header(form: HeaderForm) -> std::result::Result<Header, tendermint::Error> {
    let last_block_id = form.last_block_id.map(|id| block_id(Hash::Sha256(id.hash.0), &id.parts)).transpose()?;
    if last_block_id.is_none() != (form.height == 1) {
        return Err(tendermint::Error::invalid_first_header());
    }
    Ok(Header {
        version: block::header::Version { block: form.block_version, app: form.app_version },
        chain_id: chain::Id::try_from(form.chain_id)?,
        height: Height::try_from(form.height)?,
        time: form.time.0,
        last_block_id,
        last_commit_hash: Some(Hash::Sha256(form.last_commit_hash.0)),
        data_hash: Some(Hash::Sha256(form.data_hash.0)),
        validators_hash: Hash::Sha256(form.validators_hash.0),
        next_validators_hash: Hash::Sha256(form.next_validators_hash.0),
        consensus_hash: Hash::Sha256(form.consensus_hash.0),
        app_hash: AppHash::try_from(form.app_hash.0)?,
        last_results_hash: Some(Hash::Sha256(form.last_results_hash.0)),
        evidence_hash: Some(Hash::Sha256(form.evidence_hash.0)),
        proposer_address: account::Id::new(form.proposer.0),
    })
}

fn block_id(hash: Hash, form: &PartsForm) -> std::result::Result<block::Id, tendermint::Error> {
    if form.total == 0 || form.total > MAX_PARTS {
        return Err(tendermint::Error::invalid_block(format!("a block has 1 to {MAX_PARTS} parts")));
    }
    Ok(block::Id { hash, part_set_header: parts::Header::new(form.total, Hash::Sha256(form.hash.0))? })
}

/// The commit as the library takes it: one place for each validator, absent where there is no vote.
fn commit(
    header: &Header,
    hash: Hash,
    votes: Vec<Option<VoteForm>>,
    round: u32,
    parts: &PartsForm,
    validators: &[Info],
) -> std::result::Result<Commit, tendermint::Error> {
    let mut votes = votes.into_iter();
    let signatures = validators
        .iter()
        .map(|info| match votes.next().flatten() {
            None => Ok(CommitSig::BlockIdFlagAbsent),
            Some(vote) => Ok(CommitSig::BlockIdFlagCommit {
                validator_address: info.address,
                timestamp: vote.time.0,
                signature: Signature::new(vote.signature.0)?,
            }),
        })
        .collect::<std::result::Result<_, tendermint::Error>>()?;
    Ok(Commit { height: header.height, round: Round::try_from(round)?, block_id: block_id(hash, parts)?, signatures })
}
