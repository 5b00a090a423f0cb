//! Proposals: the same rules for those we make and those we judge, on the parent's state, without executing.

use prost::bytes::Bytes;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, ResponsePrepareProposal, ResponseProcessProposal,
    response_process_proposal::ProposalStatus,
};

use super::app::Application;
use crate::error::Error;

impl Application {
    /// Errors: `chain.version`.
    pub(super) fn prepare_proposal(&self, request: &RequestPrepareProposal) -> Result<ResponsePrepareProposal, Error> {
        self.chain.check_next_version()?;
        self.stats.proposals_made.add(1);
        let room = usize::try_from(request.max_tx_bytes).unwrap_or(0);
        let turn = u64::try_from(request.height).unwrap_or(0);
        let chosen = self.chain.choose(&request.txs, room, size, turn);
        let txs: Vec<Bytes> = chosen.into_iter().map(|index| request.txs[index].clone()).collect();
        Ok(ResponsePrepareProposal { txs })
    }

    /// Errors: `chain.version`.
    pub(super) fn process_proposal(&self, request: &RequestProcessProposal) -> Result<ResponseProcessProposal, Error> {
        self.chain.check_next_version()?;
        self.stats.proposals_judged.add(1);
        let status = match self.chain.judge_all(&request.txs) {
            Ok(()) => ProposalStatus::Accept,
            Err(_) => {
                self.stats.proposals_refused.add(1);
                ProposalStatus::Reject
            }
        };
        Ok(ResponseProcessProposal { status: status as i32 })
    }
}

/// Bytes of a transaction in CometBFT's protobuf list of them, which is what `max_tx_bytes` bounds.
fn size(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}
