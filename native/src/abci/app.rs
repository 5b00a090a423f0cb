//! The application: what its connections share, and which request goes where.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::B256;
use sha2::{Digest, Sha256};
use tendermint_proto::v0_38::abci::{
    ResponseEcho, ResponseExtendVote, ResponseFlush, ResponseQuery, ResponseVerifyVoteExtension, request, response,
    response_verify_vote_extension::VerifyStatus,
};

use super::ahead::Ahead;
use super::finalize::Finalized;
use super::handover::{Commit, Handover, Offer};
use super::pool::Pool;
use super::row::Row;
use super::server::Handler;
use super::snapshot::Maker;
use super::snapshot::restore::Restore;
use super::stats::Stats;
use super::{fail, start};
use crate::chain::engine::Chain;
use crate::error::{Class, Error};

/// Code of every refusal; which one it is stands in `codespace`.
pub(super) const REFUSED: u32 = 1;

/// An ABCI application around one chain.
pub struct Application {
    pub(super) chain: Arc<Chain>,
    pub(super) genesis: Vec<u8>,
    /// Held by whoever moves the height, and by a Commit until it is stored: Info never tells a height in between.
    pub(super) consensus: Mutex<Consensus>,
    pub(super) handover: Handover,
    pub(super) pool: Mutex<Pool>,
    /// The last good proposal.
    pub(super) ahead: Mutex<Option<Ahead>>,
    /// The pool is ready for a block, or nothing is answered any more.
    pub(super) wanted: Condvar,
    pub(super) stats: Arc<Stats>,
    /// None: this node makes and offers no snapshots.
    pub(super) snapshots: Option<Maker>,
    /// The snapshot that is being taken from others.
    pub(super) restoring: Mutex<Option<Restore>>,
    failure: Mutex<Option<Error>>,
    /// Nothing is answered any more.
    pub(super) closed: AtomicBool,
}

/// Where CometBFT stands.
pub(super) struct Consensus {
    /// What the last Commit stored.
    pub last: Row,
    /// InitChain came, or a height was committed before.
    pub started: bool,
    /// What FinalizeBlock made and Commit will store.
    pub finalized: Option<Finalized>,
}

impl Application {
    /// Continue from the stored consensus row; None before the first Commit. Errors: `abci.genesis`, `abci.row-version`,
    /// `abci.row`, `abci.row-mismatch`.
    pub fn new(
        chain: Arc<Chain>,
        genesis: &[u8],
        consensus: Option<&[u8]>,
        snapshots: Option<Maker>,
    ) -> Result<Self, Error> {
        if B256::from_slice(&Sha256::digest(genesis)) != chain.genesis_digest() {
            return Err(fail::invalid("abci.genesis", "the genesis file is not the one the chain was made from"));
        }
        let last = start::stored_row(&chain, genesis, consensus)?;
        let stats = Arc::new(Stats::default());
        stats.height.set(last.height);
        let started = last.height > 0;
        Ok(Self {
            chain,
            genesis: genesis.to_vec(),
            consensus: Mutex::new(Consensus { last, started, finalized: None }),
            handover: Handover::default(),
            pool: Mutex::default(),
            ahead: Mutex::default(),
            wanted: Condvar::new(),
            stats,
            snapshots,
            restoring: Mutex::default(),
            failure: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// What CometBFT asked to commit and must be stored now; the same until it is. None after the timeout, and at once
    /// when the application is closed.
    pub fn next_commit(&self, timeout: Duration) -> Option<Arc<Commit>> {
        self.handover.next(timeout)
    }

    /// It is stored: it becomes the head, and CometBFT gets its answer. Errors: `abci.no-commit`, `abci.pending`.
    pub fn committed(&self) -> Result<(), Error> {
        let done = self.handover.resolve(|offer| self.apply(offer));
        // Stored, and not to be continued from in memory: only a new start can.
        if let Err(error) = done.as_ref().map_err(Clone::clone)
            && error.class == Class::Fatal
        {
            self.close(Some(&error));
        }
        done
    }

    /// It could not be stored: nothing is answered any more.
    pub fn fail(&self, message: &str) -> Error {
        let error =
            Error::new(Class::Fatal, "abci.store", format!("what CometBFT committed could not be stored: {message}"))
                .hint("check the disk and start the node again: CometBFT plays the height back");
        self.close(Some(&error));
        error
    }

    fn apply(&self, Offer { commit, restored }: Offer) -> Result<(), Error> {
        if let Some(chain) = restored {
            self.chain.take_over(chain)?;
        } else if let Some(block) = &commit.block {
            let pending = self.chain.pending().map(|pending| pending.sealed.hash);
            if pending != Some(block.sealed.hash) {
                let error =
                    Error::new(Class::Fatal, "abci.pending", "the block that was stored is no longer the pending one");
                return Err(error.hint("start the node again: nothing but CometBFT may make blocks here"));
            }
            self.chain.commit()?;
            self.stats.blocks.add(1);
            self.stats.transactions.add(block.included.len());
        }
        self.stats.left_out.add(commit.refused.len());
        self.stats.heights.add(1);
        self.stats.height.set(commit.height);
        self.settle(&commit);
        if let Some(maker) = &self.snapshots {
            maker.committed(commit.height, &self.chain, &self.stats);
        }
        Ok(())
    }

    /// Why nothing is answered any more; None while all is well, or after an ordinary stop.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).clone()
    }

    /// Counters by name.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        self.stats.read()
    }
}

impl Handler for Application {
    fn handle(&self, request: request::Value) -> Result<response::Value, Error> {
        use request::Value as Ask;
        use response::Value as Say;
        if let Some(error) = self.failure() {
            return Err(error);
        }
        Ok(match request {
            Ask::Echo(echo) => Say::Echo(ResponseEcho { message: echo.message }),
            Ask::Flush(_) => Say::Flush(ResponseFlush {}),
            Ask::Info(_) => Say::Info(self.info()),
            Ask::InitChain(request) => Say::InitChain(self.init_chain(&request)?),
            Ask::Query(_) => Say::Query(ResponseQuery {
                code: REFUSED,
                codespace: "abci.query".into(),
                log: "ask the node's own JSON-RPC or gRPC".into(),
                ..ResponseQuery::default()
            }),
            Ask::CheckTx(request) => Say::CheckTx(self.check_tx(&request)),
            Ask::PrepareProposal(request) => Say::PrepareProposal(self.prepare_proposal(&request)?),
            Ask::ProcessProposal(request) => Say::ProcessProposal(self.process_proposal(&request)?),
            // Vote extensions are off: nothing is added to a vote, and nothing may have been.
            Ask::ExtendVote(_) => Say::ExtendVote(ResponseExtendVote::default()),
            Ask::VerifyVoteExtension(request) => {
                let status =
                    if request.vote_extension.is_empty() { VerifyStatus::Accept } else { VerifyStatus::Reject };
                Say::VerifyVoteExtension(ResponseVerifyVoteExtension { status: status as i32 })
            }
            Ask::FinalizeBlock(request) => Say::FinalizeBlock(self.finalize_block(&request)?),
            Ask::Commit(_) => Say::Commit(self.commit()?),
            Ask::ListSnapshots(_) => Say::ListSnapshots(self.list_snapshots()),
            Ask::OfferSnapshot(request) => Say::OfferSnapshot(self.offer_snapshot(&request)),
            Ask::LoadSnapshotChunk(request) => Say::LoadSnapshotChunk(self.load_chunk(&request)),
            Ask::ApplySnapshotChunk(request) => Say::ApplySnapshotChunk(self.apply_chunk(&request)?),
        })
    }

    fn close(&self, failure: Option<&Error>) {
        if let Some(error) = failure {
            lock(&self.failure).get_or_insert_with(|| error.clone());
        }
        self.closed.store(true, Ordering::Release);
        self.wanted.notify_all();
        self.handover.close();
    }

    fn finish(&self) {
        let ahead = lock(&self.ahead).take();
        if let Some(ahead) = ahead {
            ahead.end();
        }
        if let Some(maker) = &self.snapshots {
            maker.finish();
        }
    }
}

/// A lock whose data is whole even if a holder panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As protobuf carries numbers that are never negative here.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
