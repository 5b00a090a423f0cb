//! How CometBFT hears that something waits: the one transaction its own mempool ever holds.
//!
//! CometBFT makes no empty blocks, and begins a height when its mempool has something. What waits is not there but in
//! `pool`; so the node hands in the bell, which is admitted while the pool has something for the next block. Checked
//! again after every height, it stays as long as that is so. It is in no proposal.

use std::time::{Duration, Instant};

/// The bell's bytes: no transaction begins like this.
pub const BELL: &[u8] = b"civicledger: transactions wait";
/// A bell may get lost on its way, or in a CometBFT that ends: rung again when no height came for so long.
const AGAIN: Duration = Duration::from_millis(500);

/// What is known of the bell in CometBFT's mempool.
#[derive(Default)]
pub struct Bell {
    /// It was handed in or admitted, and not dropped since.
    hangs: bool,
    /// When it was last handed in or admitted, or a height came.
    heard: Option<Instant>,
}

impl Bell {
    /// How long until it has to be rung, while something waits.
    pub fn due_in(&self) -> Duration {
        match self.heard {
            Some(heard) if self.hangs => AGAIN.saturating_sub(heard.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// It is handed in, or CometBFT asked about it and `hangs` was the answer.
    pub fn told(&mut self, hangs: bool) {
        self.hangs = hangs;
        self.heard = Some(Instant::now());
    }

    /// A height came.
    pub fn moved(&mut self) {
        self.heard = Some(Instant::now());
    }

    /// CometBFT starts, with an empty mempool.
    pub fn lost(&mut self) {
        self.hangs = false;
    }
}
