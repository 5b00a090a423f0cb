//! The head as rows, for a node that joins late, and taking over what such a node was given.

use std::sync::Arc;

use alloy_primitives::B256;

use super::block::Sealed;
use super::engine::Chain;
use super::store;
use super::window::{Snapshot, Step, WINDOW_BLOCKS};
use crate::error::{Class, Error};

/// The head of a moment. Holding it costs what the chain changes meanwhile.
pub struct Export {
    digest: B256,
    head: Arc<Snapshot>,
    back: Vec<Step>,
}

impl Chain {
    /// The head, and the way back of the blocks that a contract can name (256 before it).
    pub fn export(&self) -> Export {
        let (head, back) = self.newest(WINDOW_BLOCKS as usize + 1);
        Export { digest: self.genesis_digest(), head, back }
    }

    /// Continue from another chain of the same genesis. Errors: `chain.genesis-mismatch`.
    pub fn take_over(&self, other: Self) -> Result<(), Error> {
        let (ours, theirs) = (self.genesis_digest(), other.genesis_digest());
        if ours != theirs {
            let error = Error::new(Class::Fatal, "chain.genesis-mismatch", "the store belongs to another genesis file");
            return Err(error.values(ours, theirs));
        }
        self.replace(other);
        Ok(())
    }
}

impl Export {
    /// SHA-256 of the genesis file.
    pub fn genesis(&self) -> B256 {
        self.digest
    }

    /// Header of the head.
    pub fn sealed(&self) -> &Sealed {
        &self.head.sealed
    }

    /// Every row in a fixed order, so that two nodes at one height write the same bytes. The first error ends it.
    pub fn rows(&self, mut put: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
        let mut done = Ok(());
        let mut row = |(key, value): (Vec<u8>, Vec<u8>)| {
            if done.is_ok() {
                done = put(key, value);
            }
        };
        let state = &self.head.state;
        row(store::genesis_entry(&self.digest));
        row(store::head_entry(&self.head.sealed));
        for (hash, code) in state.codes() {
            row(store::code_entry(hash, code));
        }
        state.for_each(|key, account| {
            row(store::account_entry(key, &account.fields));
            account.storage.for_each(|slot, value| row(store::slot_entry(key, slot, value)));
        });
        for (sealed, undo) in &self.back {
            row(store::undo_entry(sealed, undo));
        }
        done
    }
}
