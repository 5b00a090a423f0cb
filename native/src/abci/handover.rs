//! A Commit waits here until the caller has stored what it carries.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::B256;

use super::fail;
use crate::chain::engine::{Chain, Executed};
use crate::chain::store::Entry;
use crate::error::{Class, Error};

/// What has to be stored in one synced batch before CometBFT gets its answer.
pub struct Commit {
    /// Consensus height.
    pub height: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// The chain block; None when the height made none.
    pub block: Option<Arc<Executed>>,
    /// The consensus row.
    pub consensus: Vec<u8>,
    /// Transactions left out: (hash, why).
    pub refused: Vec<(B256, Error)>,
    /// Consensus keys in force two heights later, ascending.
    pub validators: Vec<B256>,
    /// Every state row of a snapshot that was taken; they replace all that is stored.
    pub restored: Option<Vec<Entry>>,
}

/// A Commit, and the chain to continue from when it restores one.
pub struct Offer {
    pub commit: Arc<Commit>,
    pub restored: Option<Chain>,
}

#[derive(Default)]
struct Inner {
    offer: Option<Offer>,
    /// The offer was stored and its Commit has not been answered yet.
    stored: bool,
    closed: bool,
}

/// One Commit at a time.
#[derive(Default)]
pub struct Handover {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Handover {
    /// Hand over and wait until it is stored. Errors: `abci.stopped`.
    pub fn offer(&self, offer: Offer) -> Result<(), Error> {
        let mut inner = self.lock();
        inner.offer = Some(offer);
        inner.stored = false;
        self.changed.notify_all();
        while !inner.stored && !inner.closed {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        // Stored at the last moment still counts: it is on disk.
        if std::mem::take(&mut inner.stored) { Ok(()) } else { Err(fail::gone("the application was stopped")) }
    }

    /// What has to be stored, as soon as there is something; the same again until it is resolved. None after the timeout,
    /// and at once when closed.
    pub fn next(&self, timeout: Duration) -> Option<Arc<Commit>> {
        let inner = self.lock();
        let waiting = |inner: &mut Inner| inner.offer.is_none() && !inner.closed;
        let (inner, _) =
            self.changed.wait_timeout_while(inner, timeout, waiting).unwrap_or_else(PoisonError::into_inner);
        if inner.closed {
            return None;
        }
        inner.offer.as_ref().map(|offer| Arc::clone(&offer.commit))
    }

    /// It is stored: `apply` makes it the head, and the Commit is answered. Errors: `abci.no-commit`, those of `apply`.
    pub fn resolve(&self, apply: impl FnOnce(Offer) -> Result<(), Error>) -> Result<(), Error> {
        let mut inner = self.lock();
        let offer = inner
            .offer
            .take()
            .ok_or_else(|| Error::new(Class::Conflict, "abci.no-commit", "no Commit waits to be stored"))?;
        apply(offer)?;
        inner.stored = true;
        self.changed.notify_all();
        Ok(())
    }

    /// Nobody waits any more. What was handed over may still be resolved.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
