//! Proposals: the same rules for those we make and those we judge, on the parent's state, without executing.

use prost::bytes::Bytes;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, ResponsePrepareProposal, ResponseProcessProposal,
    response_process_proposal::ProposalStatus,
};

use super::ahead::Ahead;
use super::app::{Application, lock};
use super::finalize::milliseconds;
use crate::chain::known::Entry;
use crate::error::Error;

/// Transactions of a proposal at most: what waits behind them is executed while the next proposal travels.
const MOST: usize = 500;

impl Application {
    /// Errors: `chain.version`.
    pub(super) fn prepare_proposal(&self, request: &RequestPrepareProposal) -> Result<ResponsePrepareProposal, Error> {
        self.chain.check_next_version()?;
        self.stats.proposals_made.add(1);
        let room = usize::try_from(request.max_tx_bytes).unwrap_or(0);
        let turn = u64::try_from(request.height).unwrap_or(0);
        // Of what CometBFT offers, which is the bell, nothing.
        let runs = lock(&self.pool).runs();
        let chosen = self.chain.choose(runs, MOST, room, size, turn);
        let txs: Vec<Bytes> = chosen.into_iter().map(|tx| tx.raw.0.clone()).collect();
        Ok(ResponsePrepareProposal { txs })
    }

    /// Errors: `chain.version`.
    pub(super) fn process_proposal(&self, request: &RequestProcessProposal) -> Result<ResponseProcessProposal, Error> {
        self.chain.check_next_version()?;
        self.stats.proposals_judged.add(1);
        let status = match self.chain.judge_all(&request.txs) {
            Ok(entries) => {
                self.begin(request, entries);
                ProposalStatus::Accept
            }
            Err(_) => {
                self.stats.proposals_refused.add(1);
                ProposalStatus::Reject
            }
        };
        Ok(ResponseProcessProposal { status: status as i32 })
    }

    /// Execute a good proposal while it is voted on.
    fn begin(&self, request: &RequestProcessProposal, entries: Vec<Entry>) {
        let (Ok(height), Ok(time_ms)) = (u64::try_from(request.height), milliseconds(request.time.as_ref())) else {
            return;
        };
        if !request.txs.is_empty() {
            let mut ahead = lock(&self.ahead);
            let block = (request.txs.clone(), entries);
            *ahead = Some(Ahead::begin(&self.chain, (height, time_ms), block, ahead.take()));
        }
    }
}

/// Bytes of a transaction in CometBFT's protobuf list of them, which is what `max_tx_bytes` bounds.
fn size(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}
