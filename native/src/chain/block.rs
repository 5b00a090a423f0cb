//! Headers, receipts and their roots. The header has the 16 fields up to London; `docs/formats.md` says which are fixed.

use std::sync::Arc;

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::{Eip658Value, Header, Receipt, TxReceipt};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::root::ordered_trie_root_encoded;

use super::evm::{BlockContext, Outcome};
use super::fail;
use super::tx::Transaction;
use crate::error::Error;

/// RLP of a header never exceeds this (508 to 560 bytes for ours).
const MAX_HEADER: usize = 700;

/// A header with its hash.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The 16 fields.
    pub header: Header,
    /// Their RLP.
    pub rlp: Bytes,
    /// keccak256 of the RLP.
    pub hash: B256,
}

impl Sealed {
    /// Encode and hash.
    pub fn new(header: Header) -> Self {
        let rlp: Bytes = alloy_rlp::encode(&header).into();
        Self { hash: keccak256(&rlp), header, rlp }
    }

    /// Strict decode: 16 fields, canonical RLP, the fixed fields fixed. Errors: `header.malformed`, `header.field`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_HEADER {
            return Err(fail::invalid("header.malformed", format!("a header has at most {MAX_HEADER} bytes")));
        }
        let rest = &mut &*bytes;
        let header = Header::decode(rest)
            .map_err(|error| fail::invalid("header.malformed", format!("the bytes are no header: {error}")))?;
        if !rest.is_empty() {
            return Err(fail::invalid("header.malformed", "bytes follow the header"));
        }
        let sealed = Self::new(header);
        if sealed.rlp.as_ref() != bytes {
            return Err(fail::invalid("header.malformed", "the header is not in its canonical encoding"));
        }
        sealed.check_fixed()?;
        Ok(sealed)
    }

    fn check_fixed(&self) -> Result<(), Error> {
        let header = &self.header;
        let fixed = [
            ("field count", header.withdrawals_root.is_none() && header.base_fee_per_gas.is_some()),
            ("ommers hash", header.ommers_hash == EMPTY_OMMER_ROOT_HASH),
            ("beneficiary", header.beneficiary == Address::ZERO),
            ("difficulty", header.difficulty == U256::ZERO),
            ("extra data", header.extra_data.len() == 8),
            ("mix hash", header.mix_hash == keccak256(header.parent_hash)),
            ("nonce", header.nonce == B64::ZERO),
            ("base fee", header.base_fee_per_gas == Some(0)),
        ];
        match fixed.iter().find(|(_, holds)| !holds) {
            None => Ok(()),
            Some((field, _)) => {
                Err(fail::invalid("header.field", format!("the header's {field} has not its fixed value")))
            }
        }
    }

    /// Height in the ordering engine.
    pub fn consensus_height(&self) -> u64 {
        self.header.extra_data.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// What calls on this block see.
    pub fn context(&self, chain_id: u64) -> BlockContext {
        BlockContext {
            chain_id,
            number: self.header.number,
            timestamp: self.header.timestamp,
            gas_limit: self.header.gas_limit,
            mix_hash: self.header.mix_hash,
        }
    }
}

/// A transaction in its block, with what became of it.
#[derive(Clone, Debug)]
pub struct Included {
    /// The transaction.
    pub tx: Arc<Transaction>,
    /// Its sender.
    pub from: Address,
    /// Its outcome.
    pub outcome: Outcome,
    /// Gas used in the block up to and with it.
    pub cumulative_gas: u64,
}

impl Included {
    /// Consensus encoding: type byte (for types 1 and 2), then [status, cumulative gas, bloom, logs].
    fn receipt(&self) -> (Vec<u8>, Bloom) {
        let receipt = Receipt::<Log> {
            status: Eip658Value::Eip658(self.outcome.success),
            cumulative_gas_used: self.cumulative_gas,
            logs: self.outcome.logs.clone(),
        }
        .with_bloom();
        let mut out = Vec::with_capacity(512);
        if self.tx.kind != 0 {
            out.push(self.tx.kind);
        }
        receipt.encode(&mut out);
        (out, receipt.bloom())
    }
}

/// What a header says beside its transactions.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Hash of the parent; zero for genesis.
    pub parent: B256,
    /// Block number.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
    /// Gas limit, a genesis parameter.
    pub gas_limit: u64,
    /// Height in the ordering engine.
    pub consensus_height: u64,
}

/// Seal a block.
pub fn seal(frame: Frame, state_root: B256, included: &[Included]) -> Sealed {
    let receipts: Vec<_> = included.iter().map(Included::receipt).collect();
    let encoded: Vec<_> = receipts.iter().map(|(bytes, _)| bytes.as_slice()).collect();
    let mut logs_bloom = Bloom::ZERO;
    receipts.iter().for_each(|(_, bloom)| logs_bloom.accrue_bloom(bloom));
    let raws: Vec<_> = included.iter().map(|i| i.tx.raw.as_ref()).collect();
    Sealed::new(Header {
        parent_hash: frame.parent,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: Address::ZERO,
        state_root,
        transactions_root: ordered_trie_root_encoded(&raws),
        receipts_root: ordered_trie_root_encoded(&encoded),
        logs_bloom,
        difficulty: U256::ZERO,
        number: frame.number,
        gas_limit: frame.gas_limit,
        gas_used: included.last().map_or(0, |i| i.cumulative_gas),
        timestamp: frame.timestamp,
        extra_data: frame.consensus_height.to_be_bytes().to_vec().into(),
        mix_hash: keccak256(frame.parent),
        nonce: B64::ZERO,
        base_fee_per_gas: Some(0),
        ..Header::default()
    })
}

/// The first field in which two headers differ: (error code, name, expected, actual).
pub fn first_difference(expected: &Header, actual: &Header) -> Option<(&'static str, &'static str, String, String)> {
    macro_rules! compare {
        ($(($code:literal, $name:literal, $field:ident)),+ $(,)?) => {
            $(if expected.$field != actual.$field {
                return Some(($code, $name, format!("{:?}", expected.$field), format!("{:?}", actual.$field)));
            })+
        };
    }
    // In the order in which a difference explains the ones after it.
    compare!(
        ("block.parent", "parent hash", parent_hash),
        ("block.height", "number", number),
        ("block.gas-limit", "gas limit", gas_limit),
        ("block.time", "time", timestamp),
        ("block.consensus-height", "consensus height", extra_data),
        ("block.transactions-root", "transactions root", transactions_root),
        ("block.gas-used", "gas used", gas_used),
        ("block.receipts-root", "receipts root", receipts_root),
        ("block.logs-bloom", "logs bloom", logs_bloom),
        ("block.state-root", "state root", state_root),
    );
    None
}
