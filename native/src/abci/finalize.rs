//! A decided height: FinalizeBlock executes it, Commit has it stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_primitives::{B256, keccak256};
use prost::bytes::Bytes;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestFinalizeBlock, ResponseCommit, ResponseFinalizeBlock, ValidatorUpdate,
};

use super::app::{Application, Consensus, REFUSED, lock, signed};
use super::fail;
use super::handover::{Commit, Offer};
use super::row::Row;
use super::start::{app_hash, update};
use crate::chain::build::Built;
use crate::chain::consortium::validators;
use crate::chain::engine::Executed;
use crate::error::Error;

/// What FinalizeBlock made.
pub struct Finalized {
    block: Option<Arc<Executed>>,
    refused: Vec<(B256, Error)>,
    row: Row,
}

impl Application {
    /// Errors: `abci.order`, `abci.height`, `abci.time`, `chain.version`, what the state machine cannot do.
    pub(super) fn finalize_block(&self, request: &RequestFinalizeBlock) -> Result<ResponseFinalizeBlock, Error> {
        let mut consensus = lock(&self.consensus);
        let height = expected_height(&consensus, request.height)?;
        let time_ms = milliseconds(request.time.as_ref())?;
        self.chain.check_next_version()?;
        let (block, refused) = match self.executed(height, time_ms, &request.txs)? {
            Ok(block) => {
                let refused = block.refused.clone();
                (Some(block), refused)
            }
            Err(refused) => (None, refused),
        };
        let tx_results = results(request.txs.len(), block.as_deref(), &refused);
        let last = &consensus.last;
        let (hash, chain_height) = match &block {
            Some(block) => (block.sealed.hash, block.sealed.header.number),
            None => (last.app_hash, last.chain_height),
        };
        // Only a chain block changes the contract's set.
        let next = match self.chain.pending() {
            Some(pending) => in_force(validators(&pending.state), &last.validators),
            None => last.validators.clone(),
        };
        let validator_updates = difference(&last.validators, &next);
        self.stats.validator_updates.add(validator_updates.len());
        let refused = refused.into_iter().map(|(index, error)| (keccak256(&request.txs[index]), error)).collect();
        let row = Row { height, time_ms, app_hash: hash, chain_height, validators: next };
        consensus.finalized = Some(Finalized { block, refused, row });
        Ok(ResponseFinalizeBlock {
            tx_results,
            validator_updates,
            app_hash: app_hash(&hash),
            ..ResponseFinalizeBlock::default()
        })
    }

    /// The pending block of these transactions: made ahead, or now.
    fn executed(&self, height: u64, time_ms: u64, txs: &[Bytes]) -> Result<Built, Error> {
        let ahead = lock(&self.ahead).take();
        if let Some(made) = ahead.and_then(|ahead| ahead.take(height, time_ms, txs)) {
            self.stats.executed_ahead.add(1);
            return Ok(made);
        }
        self.chain.drop_pending();
        if txs.is_empty() { Ok(Err(Vec::new())) } else { self.chain.finalize(txs, time_ms, height, usize::MAX) }
    }

    /// Answered once the caller has stored it. Errors: `abci.order`, `abci.stopped`.
    pub(super) fn commit(&self) -> Result<ResponseCommit, Error> {
        let mut consensus = lock(&self.consensus);
        let Finalized { block, refused, row } = consensus
            .finalized
            .take()
            .ok_or_else(|| fail::protocol("abci.order", "Commit came without FinalizeBlock"))?;
        let commit = Arc::new(Commit {
            height: row.height,
            time_ms: row.time_ms,
            block,
            consensus: row.encode(),
            refused,
            validators: row.validators.iter().copied().collect(),
            restored: None,
        });
        self.handover.offer(Offer { commit, restored: None })?;
        consensus.last = row;
        // 0: CometBFT keeps its blocks, proofs of finality are made from them.
        Ok(ResponseCommit { retain_height: 0 })
    }
}

fn expected_height(consensus: &Consensus, asked: i64) -> Result<u64, Error> {
    if !consensus.started {
        return Err(fail::protocol("abci.order", "FinalizeBlock came before InitChain"));
    }
    let expected = consensus.last.height + 1;
    match u64::try_from(asked) {
        Ok(height) if height == expected => Ok(height),
        _ => {
            let error =
                fail::protocol("abci.height", format!("FinalizeBlock is for height {asked}, the next is {expected}"));
            Err(error.values(expected, asked))
        }
    }
}

pub(super) fn milliseconds(time: Option<&Timestamp>) -> Result<u64, Error> {
    time.and_then(|time| {
        let seconds = u64::try_from(time.seconds).ok()?.checked_mul(1000)?;
        Some(seconds + u64::from(u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)? / 1_000_000))
    })
    .ok_or_else(|| fail::protocol("abci.time", "FinalizeBlock states no time after 1970"))
}

/// One result per transaction, of fields that all nodes agree on. Whether it reverted is in its receipt: data is its status.
fn results(count: usize, block: Option<&Executed>, refused: &[(usize, Error)]) -> Vec<ExecTxResult> {
    let mut results: Vec<Option<ExecTxResult>> = vec![None; count];
    for (index, error) in refused {
        let codespace = error.code.to_owned();
        results[*index] = Some(ExecTxResult { code: REFUSED, codespace, ..ExecTxResult::default() });
    }
    let mut included = block.map_or(&[][..], |block| &block.included).iter();
    let made = results.into_iter().map(|result| {
        result.or_else(|| {
            included.next().map(|included| ExecTxResult {
                data: Bytes::from_static(if included.outcome.success { &[1] } else { &[0] }),
                gas_wanted: signed(included.tx.gas),
                gas_used: signed(included.outcome.gas_used),
                ..ExecTxResult::default()
            })
        })
    });
    made.map(Option::unwrap_or_default).collect()
}

/// The set CometBFT gets: the contract's. Never none: a network without validators could not even be repaired by vote.
fn in_force(contract: BTreeSet<B256>, last: &BTreeSet<B256>) -> BTreeSet<B256> {
    if contract.is_empty() { last.clone() } else { contract }
}

/// What changed, one entry per key: power 0 for those that leave, 1 for those that enter.
fn difference(last: &BTreeSet<B256>, next: &BTreeSet<B256>) -> Vec<ValidatorUpdate> {
    let left = last.difference(next).map(|key| update(key, 0));
    left.chain(next.difference(last).map(|key| update(key, 1))).collect()
}
