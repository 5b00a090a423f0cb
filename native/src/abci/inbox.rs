//! What has come over a connection and is not answered yet: one thread reads, another answers.
//!
//! The socket is emptied whatever the application does, because CometBFT's client must not find it full: while its
//! sending waits, the timer of its flushes, which is meant to be 20 milliseconds and is 20 nanoseconds (abci/client/
//! socket_client.go, v0.38), fires without a pause and takes a whole core.

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use prost::Message;
use tendermint_proto::v0_38::abci::{Request, request};

use super::{fail, frame};
use crate::error::Error;

/// Bytes of requests that may wait; then the socket is left full all the same.
const ROOM: usize = 64 << 20;

/// A request, the end of the connection (None), or why it cannot go on. Nothing follows the last two.
pub type Arrived = Result<Option<request::Value>, Error>;

/// The requests of one connection, in order.
#[derive(Default)]
pub struct Inbox {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Arrived>,
    bytes: usize,
    /// Nobody takes any more.
    closed: bool,
}

impl Inbox {
    /// Read until the connection ends, a message is none, or nobody takes any more.
    pub fn fill(&self, mut input: impl BufRead) {
        loop {
            let (arrived, size) = match frame::read::<Request>(&mut input) {
                Ok(Some(request)) => {
                    let size = request.encoded_len();
                    let value = request.value.ok_or_else(|| fail::frame("the request is none that ABCI 2.0 has"));
                    (value.map(Some), size)
                }
                Ok(None) => (Ok(None), 0),
                Err(error) => (Err(error), 0),
            };
            let goes_on = matches!(arrived, Ok(Some(_)));
            if !self.put(arrived, size) || !goes_on {
                return;
            }
        }
    }

    /// Everything that has come, at least one; the last time it ends with an end or an error.
    pub fn take(&self) -> VecDeque<Arrived> {
        let inner = self.lock();
        let mut inner =
            self.changed.wait_while(inner, |inner| inner.waiting.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let was_full = std::mem::take(&mut inner.bytes) > ROOM;
        let taken = std::mem::take(&mut inner.waiting);
        drop(inner);
        if was_full {
            self.changed.notify_one();
        }
        taken
    }

    /// Nothing is taken any more: `fill` returns with its next request.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn put(&self, arrived: Arrived, size: usize) -> bool {
        let full = |inner: &mut Inner| inner.bytes > ROOM && !inner.closed;
        let mut inner = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        let was_empty = inner.waiting.is_empty();
        inner.waiting.push_back(arrived);
        inner.bytes += size;
        let open = !inner.closed;
        drop(inner);
        // Either side waits only where the other has just changed that.
        if was_empty {
            self.changed.notify_one();
        }
        open
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
