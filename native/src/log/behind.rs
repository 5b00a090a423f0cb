//! Entries written long ago leave the page cache, so that the hashes, which proofs read, stay in it.
//!
//! A large city's day is 24 GB of entries and 3.2 GB of hashes. A proof reads hashes alone, anywhere in the log; an entry
//! is read soon after it was written, by the index and by followers, or hardly ever. Left to itself the kernel keeps
//! whatever was written last, and a proof waits for the disk.

use std::ops::Range;

/// Bytes of the newest entries that are left to the kernel.
pub const KEPT: u64 = 1 << 30;
/// Given back in pieces of at least this many bytes: each costs a call to the kernel and a walk over the pages.
const STEP: u64 = 64 << 20;

/// How far the entries were given back.
pub struct Behind {
    until: u64,
}

impl Behind {
    /// For a log that is opened with `end` bytes of entries: what was written before is not in its way.
    pub fn new(end: u64) -> Self {
        Self { until: end.saturating_sub(KEPT) }
    }

    /// What to give back now that `end` bytes are on the disk; nothing while it is little.
    pub fn next(&mut self, end: u64) -> Option<Range<u64>> {
        let from = self.until;
        let to = end.saturating_sub(KEPT);
        if to < from.saturating_add(STEP) {
            return None;
        }
        self.until = to;
        Some(from..to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_the_rest_goes_once_in_order() {
        let mut behind = Behind::new(0);
        assert_eq!(behind.next(0), None);
        assert_eq!(behind.next(KEPT + STEP - 1), None);
        assert_eq!(behind.next(KEPT + STEP), Some(0..STEP));
        assert_eq!(behind.next(KEPT + STEP), None);
        assert_eq!(behind.next(KEPT + 3 * STEP + 5), Some(STEP..3 * STEP + 5));
        assert_eq!(behind.next(KEPT + 4 * STEP), None);
    }

    #[test]
    fn a_log_that_was_opened_gives_back_what_it_writes() {
        let mut behind = Behind::new(7 * KEPT);
        assert_eq!(behind.next(7 * KEPT), None);
        assert_eq!(behind.next(7 * KEPT + STEP), Some(6 * KEPT..6 * KEPT + STEP));
        assert_eq!(Behind::new(5).next(KEPT), None);
    }
}
