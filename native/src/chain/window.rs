//! The blocks whose state can still be asked for: the later of 256 blocks and ten minutes.
//!
//! The newest 16 states are held whole (they share what they have in common). Of the older ones every 32nd is, and the
//! ones between are made again from the next whole one by going back: at full speed ten minutes are thousands of
//! blocks, and a whole state costs about ten times what its way back does. What is let go soon is also freed while the
//! processor still has it at hand, and its memory serves the next block.

use std::collections::VecDeque;
use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;

use super::block::Sealed;
use super::fail;
use super::state::{State, Undo};
use crate::error::{Class, Error};

/// Blocks whose state stays provable, at least.
pub const WINDOW_BLOCKS: u64 = 256;
/// Seconds for which a state stays provable, at least.
pub const WINDOW_SECONDS: u64 = 600;
/// States held whole, the newest.
const WHOLE: u64 = 16;
/// Of the blocks before them, one in so many is held whole.
const SPARSE: u64 = 32;

/// A block with its state.
pub struct Snapshot {
    /// Header.
    pub sealed: Arc<Sealed>,
    /// State after the block.
    pub state: State,
}

/// A header and the way back to its parent.
pub type Step = (Arc<Sealed>, Arc<Undo>);

/// A block as the window holds it.
pub struct Held {
    sealed: Arc<Sealed>,
    /// The way back to the parent.
    undo: Arc<Undo>,
    whole: Option<Arc<Snapshot>>,
}

impl Held {
    /// A block with its state.
    pub fn new(sealed: Arc<Sealed>, state: State, undo: Undo) -> Self {
        let whole = Some(Arc::new(Snapshot { sealed: Arc::clone(&sealed), state }));
        Self { sealed, undo: Arc::new(undo), whole }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.sealed.header
    }

    /// The block with its state, when it is held whole.
    pub fn whole(&self) -> Option<Arc<Snapshot>> {
        self.whole.clone()
    }
}

/// Heights ascend without a gap; the last is the head. Never empty.
pub struct Window {
    held: VecDeque<Held>,
    head: Arc<Snapshot>,
}

/// A whole state and the ways back from it to the one asked for.
pub struct Path {
    from: Arc<Snapshot>,
    to: Arc<Sealed>,
    back: Vec<Arc<Undo>>,
}

impl Path {
    /// Walk it.
    pub fn walk(self) -> Arc<Snapshot> {
        if self.back.is_empty() {
            return self.from;
        }
        let mut state = self.from.state.clone();
        self.back.iter().for_each(|undo| state.revert(undo));
        Arc::new(Snapshot { sealed: self.to, state })
    }
}

impl Window {
    /// A window of one block.
    pub fn new(sealed: Arc<Sealed>, state: State, undo: Undo) -> Self {
        let head = Arc::new(Snapshot { sealed: Arc::clone(&sealed), state });
        let first = Held { sealed, undo: Arc::new(undo), whole: Some(Arc::clone(&head)) };
        Self { held: VecDeque::from([first]), head }
    }

    /// Put the parent of the oldest block in front (loading).
    pub fn push_front(&mut self, sealed: Arc<Sealed>, state: State, undo: Undo) {
        let mut older = Held::new(sealed, state, undo);
        let number = older.header().number;
        if self.head.sealed.header.number - number >= WHOLE && !number.is_multiple_of(SPARSE) {
            older.whole = None;
        }
        self.held.push_front(older);
    }

    /// The head.
    pub fn head(&self) -> &Arc<Snapshot> {
        &self.head
    }

    /// Height of the oldest block.
    pub fn oldest(&self) -> u64 {
        self.head.sealed.header.number + 1 - self.held.len() as u64
    }

    /// Hash of the block at a height.
    pub fn hash(&self, height: u64) -> Option<B256> {
        let place = height.checked_sub(self.oldest())?;
        self.held.get(usize::try_from(place).ok()?).map(|held| held.sealed.hash)
    }

    /// Headers and ways back of the newest `count` blocks, ascending.
    pub fn newest(&self, count: usize) -> Vec<Step> {
        let first = self.held.len().saturating_sub(count);
        self.held.range(first..).map(|held| (Arc::clone(&held.sealed), Arc::clone(&held.undo))).collect()
    }

    /// The way to the state at a height. Errors: `proof.window`, `chain.height`.
    pub fn path(&self, height: u64) -> Result<Path, Error> {
        let (oldest, newest) = (self.oldest(), self.head.sealed.header.number);
        if height > newest {
            return Err(fail::not_found(
                "chain.height",
                format!("block {height} is not there yet, the head is {newest}"),
            ));
        }
        let place = height.checked_sub(oldest).and_then(|place| usize::try_from(place).ok()).ok_or_else(|| {
            fail::not_found("proof.window", format!("the state of block {height} is gone, the oldest held is {oldest}"))
                .hint("take proofs while they are in the window, or use the ones kept with each anchor")
        })?;
        let mut back = Vec::new();
        for held in self.held.range(place..) {
            if let Some(from) = &held.whole {
                back.reverse();
                return Ok(Path { from: Arc::clone(from), to: Arc::clone(&self.held[place].sealed), back });
            }
            // The way back from this one's child, which is next.
            back.extend(
                self.held.get((held.header().number - oldest) as usize + 1).map(|child| Arc::clone(&child.undo)),
            );
        }
        Err(Error::new(Class::Fatal, "chain.state-broken", "the head's state is not held"))
    }

    /// Heights that leave the window when a block with this header becomes the head.
    pub fn leaving(&self, next: &Header) -> Vec<u64> {
        let leaves = |held: &&Held| {
            let old = held.header();
            next.number - old.number > WINDOW_BLOCKS && next.timestamp.saturating_sub(old.timestamp) > WINDOW_SECONDS
        };
        self.held.iter().take_while(leaves).map(|held| held.header().number).collect()
    }

    /// A new head; `leaving` of the oldest go. What is no longer held is handed out, to be freed outside a lock.
    pub fn push(&mut self, next: Held, leaving: usize) -> Vec<Arc<Snapshot>> {
        if let Some(whole) = &next.whole {
            self.head = Arc::clone(whole);
        }
        self.held.push_back(next);
        let mut gone: Vec<_> = self.held.drain(..leaving).filter_map(|held| held.whole).collect();
        if let Some(place) = self.held.len().checked_sub(WHOLE as usize + 1) {
            let aging = &mut self.held[place];
            if !aging.sealed.header.number.is_multiple_of(SPARSE) {
                gone.extend(aging.whole.take());
            }
        }
        gone
    }
}
