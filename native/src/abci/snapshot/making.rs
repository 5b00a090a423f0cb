//! Snapshots are written on a thread of their own, one at a time, from a clone of the state that costs nothing.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::folder::Folder;
use crate::abci::app::lock;
use crate::abci::stats::Stats;
use crate::chain::engine::Chain;

/// Makes a snapshot of every so many consensus heights.
pub struct Maker {
    /// Where they are.
    pub folder: Arc<Folder>,
    every: u64,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Maker {
    /// `every`: consensus heights between two; at least 1.
    pub fn new(folder: Folder, every: u64) -> Self {
        Self { folder: Arc::new(folder), every: every.max(1), running: Mutex::default() }
    }

    /// A height is committed. While the last snapshot is still being written none is begun.
    pub fn committed(&self, height: u64, chain: &Chain, stats: &Arc<Stats>) {
        if !height.is_multiple_of(self.every) {
            return;
        }
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (export, folder, stats) = (chain.export(), Arc::clone(&self.folder), Arc::clone(stats));
        *running = Some(thread::spawn(move || match folder.make(height, &export) {
            Ok(()) => stats.snapshots_made.add(1),
            // A network lives without them; the next height tries again.
            Err(_) => stats.snapshots_failed.add(1),
        }));
    }

    /// Wait for the one that is being written.
    pub fn finish(&self) {
        let running = lock(&self.running).take();
        running.into_iter().for_each(|thread| drop(thread.join()));
    }
}
