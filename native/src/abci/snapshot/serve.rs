//! The four requests of ABCI about snapshots.

use std::sync::Arc;

use prost::bytes::Bytes;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestLoadSnapshotChunk, RequestOfferSnapshot, ResponseApplySnapshotChunk,
    ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot, Snapshot,
    response_apply_snapshot_chunk::Result as Applied, response_offer_snapshot::Result as Offered,
};

use super::FORMAT;
use super::restore::{Restore, Taken};
use crate::abci::app::{Application, lock};
use crate::abci::handover::{Commit, Offer};
use crate::abci::row::Row;
use crate::chain::consortium::validators;
use crate::chain::engine::Chain;
use crate::chain::store::Entry;
use crate::error::Error;

/// Heights after a snapshot's own that a light client needs to verify it.
const LIGHT_CLIENT_NEEDS: u64 = 2;

impl Application {
    pub(in crate::abci) fn list_snapshots(&self) -> ResponseListSnapshots {
        let Some(maker) = &self.snapshots else { return ResponseListSnapshots::default() };
        let Some(newest) = self.stats.height.get().checked_sub(LIGHT_CLIENT_NEEDS) else {
            return ResponseListSnapshots::default();
        };
        let offered = maker.folder.up_to(newest).into_iter().map(|(height, kept)| Snapshot {
            height,
            format: FORMAT,
            chunks: kept.metadata.chunks.len() as u32,
            hash: Bytes::copy_from_slice(kept.hash.as_slice()),
            metadata: kept.metadata.encode().into(),
        });
        ResponseListSnapshots { snapshots: offered.collect() }
    }

    /// An empty chunk says that it is not here.
    pub(in crate::abci) fn load_chunk(&self, request: &RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        let chunk = self
            .snapshots
            .as_ref()
            .filter(|_| request.format == FORMAT)
            .and_then(|maker| maker.folder.chunk(request.height, request.chunk as usize));
        self.stats.chunks_served.add(usize::from(chunk.is_some()));
        ResponseLoadSnapshotChunk { chunk: chunk.unwrap_or_default().into() }
    }

    pub(in crate::abci) fn offer_snapshot(&self, request: &RequestOfferSnapshot) -> ResponseOfferSnapshot {
        let answer = |result: Offered| ResponseOfferSnapshot { result: result as i32 };
        let Some(snapshot) = &request.snapshot else { return answer(Offered::Reject) };
        // CometBFT asks for one only when it has nothing itself. We may have: it died before it knew of the last one, or its
        // data were removed. Then a newer state is taken, or the same, never an older.
        if snapshot.height < lock(&self.consensus).last.height {
            return answer(Offered::Reject);
        }
        if snapshot.format != FORMAT {
            return answer(Offered::RejectFormat);
        }
        let genesis = self.chain.genesis_digest();
        let begun = Restore::begin(snapshot.height, &snapshot.hash, &snapshot.metadata, genesis, &request.app_hash)
            .filter(|restore| restore.chunks() == snapshot.chunks as usize);
        let result = if begun.is_some() { Offered::Accept } else { Offered::Reject };
        *lock(&self.restoring) = begun;
        answer(result)
    }

    /// The last chunk is answered once the caller has stored the rows. Errors: `abci.stopped`.
    pub(in crate::abci) fn apply_chunk(
        &self,
        request: &RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Error> {
        let answer = |result: Applied| ResponseApplySnapshotChunk { result: result as i32, ..Default::default() };
        let mut restoring = lock(&self.restoring);
        let Some(restore) = restoring.as_mut() else { return Ok(answer(Applied::Abort)) };
        let taken = restore.take(request.index as usize, &request.chunk);
        self.stats.chunks_applied.add(1);
        Ok(match taken {
            Taken::Next => answer(Applied::Accept),
            Taken::Wrong => {
                self.stats.chunks_refused.add(1);
                ResponseApplySnapshotChunk {
                    refetch_chunks: vec![request.index],
                    reject_senders: vec![request.sender.clone()],
                    ..answer(Applied::Retry)
                }
            }
            Taken::OutOfOrder | Taken::Broken => {
                self.stats.chunks_refused.add(1);
                *restoring = None;
                answer(Applied::RejectSnapshot)
            }
            Taken::Last => {
                let height = restore.height;
                match restoring.take().and_then(|restore| restore.finish(&self.genesis)) {
                    None => answer(Applied::RejectSnapshot),
                    Some((chain, rows)) => {
                        self.restore(height, chain, rows)?;
                        answer(Applied::Accept)
                    }
                }
            }
        })
    }

    fn restore(&self, height: u64, chain: Chain, rows: Vec<Entry>) -> Result<(), Error> {
        let mut consensus = lock(&self.consensus);
        let head = chain.head();
        // Nothing of it is taken on trust: the time is the block's, the validators are the contract's. CometBFT takes its
        // own from the light client.
        let row = Row {
            height,
            time_ms: head.sealed.header.timestamp.saturating_mul(1000),
            app_hash: head.sealed.hash,
            chain_height: head.sealed.header.number,
            validators: validators(&head.state),
        };
        let commit = Arc::new(Commit {
            height,
            time_ms: row.time_ms,
            block: None,
            consensus: row.encode(),
            refused: Vec::new(),
            validators: row.validators.iter().copied().collect(),
            restored: Some(rows),
        });
        self.handover.offer(Offer { commit, restored: Some(chain) })?;
        consensus.last = row;
        consensus.started = true;
        consensus.finalized = None;
        Ok(())
    }
}
