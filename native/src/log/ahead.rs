//! Zeros behind the end of `entries.dat`, written before they are needed.
//!
//! A sync after which a file is longer waits for the file system's journal as well; one that fills what is there already
//! waits for its own bytes. Small commits wait for little else, so a run of them writes zeros ahead now and then; for
//! large ones that would double the bytes. What counts is told by the frames alone: recovery cuts the zeros, and so does
//! closing.

/// How many zeros at a time.
pub const STEP: u64 = 256 << 10;
/// Commits below this size are small.
const SMALL: u64 = 64 << 10;
/// So many small ones in a row make it worth while.
const CALM: u32 = 4;

/// How far the zeros reach.
#[derive(Default)]
pub struct Ahead {
    until: u64,
    calm: u32,
}

impl Ahead {
    /// Whether to write [`STEP`] zeros behind a commit of so many bytes that ends at `end`.
    pub fn wants(&mut self, end: u64, bytes: u64) -> bool {
        self.calm = if bytes < SMALL { (self.calm + 1).min(CALM) } else { 0 };
        self.calm == CALM && end > self.until
    }

    /// They were written there.
    pub fn written(&mut self, end: u64) {
        self.until = end + STEP;
    }

    /// There is no room for them: none any more, until the log is opened again.
    pub fn give_up(&mut self) {
        self.until = u64::MAX;
    }

    /// Whether there are any behind `end`.
    pub fn reaches(&self, end: u64) -> bool {
        self.until > end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_small_commits_is_written_ahead() {
        let mut ahead = Ahead::default();
        let wants = |ahead: &mut Ahead, end, bytes| {
            let wanted = ahead.wants(end, bytes);
            if wanted {
                ahead.written(end);
            }
            wanted
        };
        assert_eq!([1, 2, 3, 4, 5].map(|end| wants(&mut ahead, end, 1)), [false, false, false, true, false]);
        assert!(ahead.reaches(5) && !ahead.reaches(4 + STEP));
        assert!(!wants(&mut ahead, 4 + STEP, 1) && wants(&mut ahead, 5 + STEP, 1));
        // A large one ends the run, wherever it ends.
        assert!(!wants(&mut ahead, 5 + 3 * STEP, SMALL));
        assert_eq!([6, 7, 8, 9].map(|end| wants(&mut ahead, end + 3 * STEP, 1)), [false, false, false, true]);
        ahead.give_up();
        assert_eq!([5, 6, 7, 8, 9].map(|steps| wants(&mut ahead, steps * STEP, 1)), [false; 5]);
    }
}
