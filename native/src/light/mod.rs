//! Finality of the cometbft engine: signed headers judged by `tendermint-light-client-verifier`. Pure functions of bytes;
//! how old a trust may be is the caller's matter, since this module has no clock.
//!
//! Source: CometBFT v0.38, specification of the light client, core verification.

mod form;

use std::time::Duration;

use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::Set;
use tendermint::{Hash, trust_threshold::TrustThreshold as _};
use tendermint_light_client_verifier::errors::VerificationErrorDetail as Detail;
use tendermint_light_client_verifier::operations::{ProdVotingPowerCalculator, VotingPowerCalculator};
use tendermint_light_client_verifier::options::Options;
use tendermint_light_client_verifier::types::{TrustThreshold, TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{ProdVerifier, Verdict};

use crate::error::{Class, Error, Result};

/// Validators of a set: what one answer of CometBFT's RPC holds.
pub const MAX_VALIDATORS: usize = 100;
/// A light block of so many validators.
pub const MAX_BYTES: usize = 65_536;
/// Blocks of a hand-over with the block it leads to.
pub const MAX_BLOCKS: usize = 33;
/// Total power of a set: what canonical JSON can say.
const MAX_POWER: u64 = (1 << 53) - 1;

/// A decoded light block: a signed header and the set that signed it.
#[derive(Debug)]
pub struct LightBlock {
    signed_header: SignedHeader,
    validators: Set,
    hash: Hash,
    signed: u64,
    total: u64,
}

/// What a verifier trusts: the hash of the header and of the validators at a height.
#[derive(Debug)]
pub struct Pin {
    /// Consensus height.
    pub height: u64,
    /// Hash of the header.
    pub hash: [u8; 32],
    /// Hash of the validators of that height.
    pub validators: [u8; 32],
}

/// What was found about a verified light block.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// Hash of the header.
    pub hash: Vec<u8>,
    /// Power that signed.
    pub signed: u64,
    /// Power of the whole set.
    pub total: u64,
}

/// Verify a chain of light blocks: each signed by more than two thirds of its own validators, each handing over to the
/// next, and, with a pin, the pin vouching for the last. `blocks` are canonical JSON.
///
/// A pin vouches for the set of the first block that is not below it, and through the hand-over for all that follow.
/// Blocks before that one must be signed by more than a third of the next set, so that they too are vouched for.
pub fn verify(blocks: &[&[u8]], chain_id: &str, pin: Option<&Pin>) -> Result<Vec<Facts>> {
    if blocks.is_empty() || blocks.len() > MAX_BLOCKS {
        return Err(invalid("finality.handover", format!("a hand-over has at most {} light blocks", MAX_BLOCKS - 1))
            .numbers(MAX_BLOCKS as u64, blocks.len() as u64));
    }
    let blocks = blocks.iter().map(|data| form::decode(data)).collect::<Result<Vec<_>>>()?;
    for block in &blocks {
        block.verify_itself(chain_id)?;
    }
    for pair in blocks.windows(2) {
        pair[0].verify_next(&pair[1])?;
    }
    if let Some(pin) = pin {
        vouch(&blocks, pin)?;
    }
    Ok(blocks.iter().map(LightBlock::facts).collect())
}

impl LightBlock {
    fn height(&self) -> u64 {
        self.signed_header.header.height.value()
    }

    fn validators_hash(&self) -> Hash {
        self.signed_header.header.validators_hash
    }

    fn next_validators_hash(&self) -> Hash {
        self.signed_header.header.next_validators_hash
    }

    fn facts(&self) -> Facts {
        Facts { hash: self.hash.as_bytes().to_vec(), signed: self.signed, total: self.total }
    }

    fn untrusted(&self) -> UntrustedBlockState<'_> {
        UntrustedBlockState { signed_header: &self.signed_header, validators: &self.validators, next_validators: None }
    }

    /// The set is the header's, and more than two thirds of it signed the header.
    fn verify_itself(&self, chain_id: &str) -> Result<()> {
        let header = &self.signed_header.header;
        if header.chain_id.as_str() != chain_id {
            return Err(untrusted("finality.chain", "the signed header is of another chain")
                .values(chain_id, header.chain_id.as_str()));
        }
        let verifier = ProdVerifier::default();
        self.judge(verifier.verify_validator_sets(&self.untrusted()))?;
        self.judge(verifier.verify_commit(&self.untrusted()))
    }

    /// This block, trusted, vouches for `next`: by the set that it names for what follows it, or, where the hand-over
    /// skips heights, by more than a third of it.
    fn verify_next(&self, next: &Self) -> Result<()> {
        let (trusted, untrusted_header) = (&self.signed_header.header, &next.signed_header.header);
        if next.height() <= self.height() {
            return Err(untrusted("finality.handover", "light blocks of a hand-over stand in ascending order")
                .numbers(self.height() + 1, next.height()));
        }
        if next.validators_hash() == self.validators_hash() {
            return Err(untrusted("finality.handover", "a light block of the hand-over hands over to its own set"));
        }
        let known = if self.next_validators_hash() == next.validators_hash() {
            &next.validators
        } else if self.next_validators_hash() == self.validators_hash() {
            &self.validators
        } else {
            return Err(untrusted(
                "finality.handover",
                "a light block of the hand-over is missing: the set changed in between",
            )
            .bytes(self.next_validators_hash().as_bytes(), next.validators_hash().as_bytes()));
        };
        // The trusting period is judged by the caller against its pin; here the step alone counts.
        let between = untrusted_header
            .time
            .duration_since(trusted.time)
            .map_err(|_| untrusted("finality.time", "a light block is signed for a time before the one it follows"))?;
        let options = Options {
            trust_threshold: TrustThreshold::ONE_THIRD,
            trusting_period: between + Duration::from_secs(1),
            clock_drift: Duration::ZERO,
        };
        let state = TrustedBlockState {
            chain_id: &trusted.chain_id,
            header_time: trusted.time,
            height: trusted.height,
            next_validators: known,
            next_validators_hash: self.next_validators_hash(),
        };
        let verifier = ProdVerifier::default();
        next.judge(verifier.validate_against_trusted(&next.untrusted(), &state, &options, untrusted_header.time))?;
        next.judge(verifier.verify_commit_against_trusted(&next.untrusted(), &state, &options))
    }

    /// More than a third of the set of `next` signed this block.
    fn verify_backwards(&self, next: &Self) -> Result<()> {
        let tally = ProdVotingPowerCalculator::default()
            .voting_power_in(&self.signed_header, &next.validators, TrustThreshold::ONE_THIRD)
            .map_err(|error| self.broken(error.0))?;
        if tally.trust_threshold.is_enough_power(tally.tallied, tally.total) {
            return Ok(());
        }
        Err(untrusted(
            "finality.handover",
            "a light block before the pinned one is not signed by a third of the next set",
        )
        .hint("take the bundle again from the node")
        .numbers(tally.total / 3 + 1, tally.tallied))
    }

    fn judge(&self, verdict: Verdict) -> Result<()> {
        match verdict {
            Verdict::Success => Ok(()),
            Verdict::NotEnoughTrust(tally) => {
                Err(untrusted("finality.handover", "a third of the trusted set or less signed the next light block")
                    .hint("the bundle lacks a light block of the hand-over in between: take it again from the node")
                    .numbers(tally.total / 3 + 1, tally.tallied))
            }
            Verdict::Invalid(detail) => Err(self.broken(detail)),
        }
    }

    /// The library's words for what is wrong, as codes that name the link.
    fn broken(&self, detail: Detail) -> Error {
        let height = self.height();
        match detail {
            Detail::InvalidValidatorSet(found) => {
                untrusted("finality.validators", format!("these are not the validators of height {height}"))
                    .bytes(found.header_validators_hash.as_bytes(), found.validators_hash.as_bytes())
            }
            Detail::InvalidNextValidatorSet(found) => {
                untrusted("finality.handover", format!("height {height} does not hand over to the next light block"))
                    .bytes(found.next_validators_hash.as_bytes(), found.header_next_validators_hash.as_bytes())
            }
            Detail::InsufficientSignersOverlap(found) => {
                untrusted("finality.quorum", format!("two thirds of the validators or less signed height {height}"))
                    .numbers(2 * found.tally.total / 3 + 1, found.tally.tallied)
            }
            Detail::InvalidSignature(found) => untrusted(
                "finality.signature",
                format!("a validator's signature over the header of height {height} does not verify"),
            )
            .actual_bytes(found.validator.pub_key.to_bytes()),
            Detail::NonMonotonicBftTime(found) => {
                untrusted("finality.time", format!("height {height} is signed for a time before the one it follows"))
                    .values(found.trusted_header_bft_time, found.header_bft_time)
            }
            other => untrusted("finality.light", format!("the light block of height {height} is refused: {other}")),
        }
    }
}

/// The pin's set is that of the first block not below the pin, and the blocks before are vouched for by what follows.
fn vouch(blocks: &[LightBlock], pin: &Pin) -> Result<()> {
    if let Some(same) = blocks.iter().find(|block| block.height() == pin.height)
        && same.hash.as_bytes() != pin.hash
    {
        return Err(untrusted("finality.pin", "another header of the pinned height is signed")
            .hint("keep both and report them: validators may have signed two chains")
            .bytes(&pin.hash, same.hash.as_bytes()));
    }
    let start = blocks.iter().position(|block| block.height() >= pin.height).unwrap_or(blocks.len() - 1);
    if blocks[start].validators_hash().as_bytes() != pin.validators {
        return Err(untrusted("finality.validators", "the block is not signed by the validators the policy pins")
            .hint("the set changed between policy and bundle: take both again from a member you trust")
            .bytes(&pin.validators, blocks[start].validators_hash().as_bytes()));
    }
    for pair in blocks[..=start].windows(2).rev() {
        pair[0].verify_backwards(&pair[1])?;
    }
    Ok(())
}

fn invalid(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::InvalidInput, code, message)
}

fn untrusted(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Untrusted, code, message)
}
