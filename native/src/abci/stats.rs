//! Counters since the start.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters; read without a lock.
        #[derive(Default)]
        pub struct Stats { $($(#[$doc])* pub $name: Counter),+ }

        impl Stats {
            /// Name and value of each.
            pub fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get())),+]
            }
        }
    };
}

counters! {
    /// Consensus height committed last.
    height,
    /// Consensus heights committed.
    heights,
    /// Chain blocks committed.
    blocks,
    /// Transactions in them.
    transactions,
    /// Transactions of decided blocks that were left out.
    left_out,
    /// Transactions handed in.
    handed_in,
    /// Of those, refused.
    handed_in_refused,
    /// Waiting transactions that the rules no longer admitted.
    dropped,
    /// Times the bell was handed to CometBFT.
    bells,
    /// Times it asked about the bell, and nothing was ready.
    bells_refused,
    /// What it asked about and was no bell: refused.
    check_tx_refused,
    /// Proposals made.
    proposals_made,
    /// Proposals of others judged.
    proposals_judged,
    /// Of those, refused.
    proposals_refused,
    /// Blocks that were executed while they were voted on.
    executed_ahead,
    /// Validators told to CometBFT as changed.
    validator_updates,
    /// Snapshots written.
    snapshots_made,
    /// Snapshots that could not be written.
    snapshots_failed,
    /// Chunks given to nodes that join.
    chunks_served,
    /// Chunks of a snapshot taken from others.
    chunks_applied,
    /// Of those, refused.
    chunks_refused,
}

/// One counter.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Count more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Set to a value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
