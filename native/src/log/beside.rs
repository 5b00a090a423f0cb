//! A second thread for the disk: two files synced at once cost about as much as the slower one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::error::Result;
use crate::log::disk;
use crate::log::storage::Blob;

/// Syncs one file on a thread of its own while its owner syncs another one.
pub struct Beside {
    /// Taken when it ends.
    ask: Option<SyncSender<()>>,
    done: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// For this file. Raises log.failed when no thread can be had.
    pub fn new(blob: Arc<dyn Blob>) -> Result<Self> {
        let (ask, asked) = sync_channel::<()>(1);
        let (tell, done) = sync_channel(1);
        let run = move || {
            while asked.recv().is_ok() {
                if tell.send(blob.sync()).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new()
            .name("log-frame".into())
            .spawn(run)
            .map_err(|error| disk("starting the log's threads", &error))?;
        Ok(Self { ask: Some(ask), done, thread: Some(thread) })
    }

    /// Sync both: how the other one ended, and how ours did.
    pub fn sync_with(&self, other: &dyn Blob) -> (io::Result<()>, io::Result<()>) {
        let asked = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        let first = other.sync();
        let second = if asked { self.done.recv().unwrap_or_else(|_| Err(gone())) } else { Err(gone()) };
        (first, second)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take() {
            // It only syncs: a panic in there was told as a failure already.
            let _ = thread.join();
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs it is gone")
}
