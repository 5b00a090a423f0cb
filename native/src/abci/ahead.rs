//! A proposal that was found good is executed while the validators still vote on it: mostly it is what they decide.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use prost::bytes::Bytes;

use crate::chain::build::Built;
use crate::chain::engine::Chain;
use crate::chain::known::Entry;
use crate::error::Error;

/// A block under way, and what it is made of.
pub struct Ahead {
    height: u64,
    time_ms: u64,
    txs: Vec<Bytes>,
    made: JoinHandle<Result<Built, Error>>,
}

impl Ahead {
    /// Begin with what `txs` were found to be, after `before` has ended: there is one pending block.
    pub fn begin(
        chain: &Arc<Chain>,
        (height, time_ms): (u64, u64),
        (txs, entries): (Vec<Bytes>, Vec<Entry>),
        before: Option<Self>,
    ) -> Self {
        let chain = Arc::clone(chain);
        let made = thread::spawn(move || {
            if let Some(before) = before {
                before.end();
            }
            chain.finalize_opened(&entries, time_ms, height)
        });
        Self { height, time_ms, txs, made }
    }

    /// What it came to, if it is this very block; it is pending then.
    pub fn take(self, height: u64, time_ms: u64, txs: &[Bytes]) -> Option<Built> {
        let same = (self.height, self.time_ms) == (height, time_ms) && self.txs == txs;
        let made = self.made.join();
        // What failed here fails again, where it is told.
        made.ok()?.ok().filter(|_| same)
    }

    /// Wait for its end.
    pub fn end(self) {
        drop(self.made.join());
    }
}
