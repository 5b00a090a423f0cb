//! Recovered senders by transaction hash: a transaction is checked on admission and executed later, recovered once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256};

/// Entries of one generation.
const GENERATION: usize = 32_768;

/// A bounded cache of two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
pub struct Senders(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<B256, Address>,
    old: HashMap<B256, Address>,
}

impl Senders {
    /// The sender, when the transaction was seen before.
    pub fn get(&self, hash: &B256) -> Option<Address> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.young.get(hash).or_else(|| known.old.get(hash)).copied()
    }

    /// Remember a recovered sender.
    pub fn put(&self, hash: B256, sender: Address) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.young.len() >= GENERATION {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(hash, sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_and_stays_bounded() {
        let cache = Senders::default();
        let hash = |i: usize| B256::left_padding_from(&i.to_be_bytes());
        for i in 0..3 * GENERATION {
            cache.put(hash(i), Address::with_last_byte(1));
        }
        assert_eq!(cache.get(&hash(0)), None);
        assert_eq!(cache.get(&hash(3 * GENERATION - 1)), Some(Address::with_last_byte(1)));
        let known = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
    }
}
