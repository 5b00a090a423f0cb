//! Raw transactions: strict decoding (legacy with chain id, EIP-2930, EIP-1559) and sender recovery.

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::evm::Request;
use super::fail;
use super::recover::recover;
use crate::error::Error;

/// A decoded transaction; its sender may still be unknown.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// keccak256 of `raw`.
    pub hash: B256,
    /// The bytes as sent.
    pub raw: Bytes,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// EIP-2718 type: 0, 1 or 2.
    pub kind: u8,
    /// Nonce of the sender.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// Callee; None creates a contract.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Calldata or creation code.
    pub input: Bytes,
    envelope: TxEnvelope,
}

impl Transaction {
    /// Decode. Errors: `tx.malformed`, `tx.chain-id` (a legacy transaction that names no chain).
    pub fn decode(raw: &[u8], max_bytes: usize) -> Result<Self, Error> {
        if raw.len() > max_bytes {
            return Err(malformed(format!("the transaction has {} bytes, at most {max_bytes} are taken", raw.len())));
        }
        match raw.first() {
            Some(0x01 | 0x02 | 0xc0..=0xff) => {}
            Some(0x00..=0x7f) => return Err(malformed(format!("transaction type {} is not taken here", raw[0]))),
            _ => return Err(malformed("the bytes are no transaction".into())),
        }
        let envelope = TxEnvelope::decode_2718_exact(raw)
            .map_err(|error| malformed(format!("the bytes are no transaction: {error}")))?;
        // One transaction, one encoding: the hash is over the bytes as sent.
        if envelope.encoded_2718() != raw {
            return Err(malformed("the transaction is not in its canonical encoding".into()));
        }
        let chain_id = envelope.chain_id().ok_or_else(|| {
            fail::invalid("tx.chain-id", "a transaction without a chain id (before EIP-155) is not taken")
        })?;
        Ok(Self {
            hash: *envelope.tx_hash(),
            raw: Bytes::copy_from_slice(raw),
            chain_id,
            kind: envelope.tx_type() as u8,
            nonce: envelope.nonce(),
            gas: envelope.gas_limit(),
            to: envelope.to(),
            value: envelope.value(),
            input: envelope.input().clone(),
            envelope,
        })
    }

    /// The account that signed. Errors: `tx.signature` (no signature of anybody, or a high s).
    pub fn recover(&self) -> Result<Address, Error> {
        recover(self.envelope.signature_hash(), self.envelope.signature())
            .ok_or_else(|| fail::invalid("tx.signature", "nobody signed this transaction, or its s is not the low one"))
    }

    /// Gas price, or the highest fee of type 2.
    pub fn max_fee(&self) -> u128 {
        self.envelope.max_fee_per_gas()
    }

    /// Gas price of types 0 and 1.
    pub fn gas_price(&self) -> Option<u128> {
        self.envelope.gas_price()
    }

    /// Highest priority fee of type 2.
    pub fn max_priority_fee(&self) -> Option<u128> {
        self.envelope.max_priority_fee_per_gas()
    }

    /// (address, slots) to warm.
    pub fn access_list(&self) -> Vec<(Address, Vec<B256>)> {
        let items = self.envelope.access_list().map(|list| list.0.as_slice()).unwrap_or_default();
        items.iter().map(|item| (item.address, item.storage_keys.clone())).collect()
    }

    /// (r, s, y parity).
    pub fn signature(&self) -> (U256, U256, bool) {
        let signature = self.envelope.signature();
        (signature.r(), signature.s(), signature.v())
    }

    /// What the EVM runs.
    pub fn request(&self, from: Address) -> Request {
        Request {
            kind: self.kind,
            from,
            to: self.to,
            nonce: self.nonce,
            gas: self.gas,
            price: self.max_fee(),
            priority: self.max_priority_fee(),
            value: self.value,
            input: self.input.clone(),
            access_list: self.access_list(),
        }
    }
}

fn malformed(message: String) -> Error {
    fail::invalid("tx.malformed", message)
}
