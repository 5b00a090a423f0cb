//! How CometBFT and the application find each other's height: Info and InitChain.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use prost::bytes::Bytes;
use tendermint_proto::v0_38::abci::{RequestInitChain, ResponseInfo, ResponseInitChain, ValidatorUpdate};
use tendermint_proto::v0_38::crypto::{PublicKey, public_key::Sum};

use super::app::{Application, lock, signed};
use super::fail;
use super::row::Row;
use crate::chain::consortium::validators;
use crate::chain::engine::Chain;
use crate::chain::genesis::first_block;
use crate::error::Error;

/// Protocol of the application as headers state it; the version of the rules is in the Consortium.
const APP_VERSION: u64 = 1;

/// The row that the last Commit stored, checked against the chain. Errors: `abci.row*`.
pub fn stored_row(chain: &Chain, genesis: &[u8], stored: Option<&[u8]>) -> Result<Row, Error> {
    let head = &chain.head().sealed;
    let Some(bytes) = stored else {
        let first = first_block(genesis)?;
        if head.header.number == first {
            let time_ms = head.header.timestamp.saturating_mul(1000);
            return Ok(Row {
                height: 0,
                time_ms,
                app_hash: head.hash,
                chain_height: first,
                validators: BTreeSet::new(),
            });
        }
        return Err(fail::stored("abci.row", "the store holds blocks and no consensus row"));
    };
    let row = Row::decode(bytes)?;
    if row.chain_height != head.header.number || row.app_hash != head.hash || row.height < head.consensus_height() {
        let error =
            fail::stored("abci.row-mismatch", "the stored consensus row and the stored head are not of one Commit");
        return Err(error.values(
            format!("block {} {}", row.chain_height, row.app_hash),
            format!("block {} {}", head.header.number, head.hash),
        ));
    }
    Ok(row)
}

impl Application {
    pub(super) fn info(&self) -> ResponseInfo {
        let consensus = lock(&self.consensus);
        // Asked when CometBFT starts, with an empty mempool.
        lock(&self.pool).bell.lost();
        let last = &consensus.last;
        ResponseInfo {
            data: "civicledger".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            app_version: APP_VERSION,
            last_block_height: signed(last.height),
            last_block_app_hash: if last.height == 0 { Bytes::new() } else { app_hash(&last.app_hash) },
        }
    }

    /// Errors: `abci.genesis` when CometBFT's genesis is not made from ours, `abci.order`.
    pub(super) fn init_chain(&self, request: &RequestInitChain) -> Result<ResponseInitChain, Error> {
        let mut consensus = lock(&self.consensus);
        if consensus.last.height > 0 {
            return Err(fail::protocol("abci.order", "InitChain came after the first height"));
        }
        let digest = self.chain.genesis_digest();
        let chain_id = format!("civic-{}", &alloy_primitives::hex::encode(digest)[..16]);
        if request.chain_id != chain_id {
            return Err(fail::genesis("its chain_id names another file").values(chain_id, &request.chain_id));
        }
        if request.initial_height > 1 {
            return Err(fail::genesis("its initial_height is not 1").values(1, request.initial_height));
        }
        if request.app_state_bytes.as_ref() != app_state(&self.genesis).as_bytes() {
            return Err(fail::genesis("its app_state is not the genesis file in base64"));
        }
        let head = self.chain.head();
        let ours = validators(&head.state);
        let theirs = named(&request.validators)
            .ok_or_else(|| fail::genesis("a validator is no Ed25519 key of power 1, or is there twice"))?;
        if ours != theirs {
            let error = fail::genesis("its validators are not the contract's");
            return Err(error.values(listed(&ours), listed(&theirs)));
        }
        consensus.last.validators = ours;
        consensus.started = true;
        Ok(ResponseInitChain { app_hash: app_hash(&head.sealed.hash), ..ResponseInitChain::default() })
    }
}

/// A hash as CometBFT carries it.
pub(super) fn app_hash(hash: &B256) -> Bytes {
    Bytes::copy_from_slice(hash.as_slice())
}

/// One key's entry in a validator update.
pub(super) fn update(key: &B256, power: i64) -> ValidatorUpdate {
    ValidatorUpdate { pub_key: Some(PublicKey { sum: Some(Sum::Ed25519(key.to_vec())) }), power }
}

/// The keys, when all are Ed25519 of power 1 and none is there twice.
fn named(updates: &[ValidatorUpdate]) -> Option<BTreeSet<B256>> {
    let keys: BTreeSet<_> = updates
        .iter()
        .map(|update| match update.pub_key.as_ref()?.sum.as_ref()? {
            Sum::Ed25519(key) if update.power == 1 => B256::try_from(key.as_slice()).ok(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    (keys.len() == updates.len()).then_some(keys)
}

fn listed(keys: &BTreeSet<B256>) -> String {
    keys.iter().map(|key| key.to_string()).collect::<Vec<_>>().join(" ")
}

/// `app_state` of genesis.json: a JSON string, the file in base64 (RFC 4648, padded).
pub(super) fn app_state(file: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(file.len().div_ceil(3) * 4 + 2);
    out.push('"');
    for group in file.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { digit as char } else { '=' });
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::app_state;

    #[test]
    fn base64_as_rfc_4648_has_it() {
        let shown: Vec<_> =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| app_state(text.as_bytes())).into();
        let expected =
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"].map(|text| format!("\"{text}\""));
        assert_eq!(shown, expected);
        assert_eq!(app_state(&[0xfb, 0xff, 0xfe]), "\"+//+\"");
    }
}
