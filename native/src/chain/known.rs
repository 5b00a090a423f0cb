//! Transactions that were decoded and whose sender is known: each is looked at on admission, again after every height
//! while it waits, in proposals and in its block, and opened once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, Bytes};

use super::tx::Transaction;

/// What one generation may hold, bytes: some 11,000 transactions of 400 bytes.
const GENERATION: usize = 16 << 20;
/// What a transaction takes beside its bytes, which are there as sent and as input.
const OVERHEAD: usize = 640;

/// A bounded cache of two generations: when the young one is full it becomes the old one, and the old one is forgotten.
/// The key is every byte of the transaction.
#[derive(Default)]
pub struct Known(Mutex<Generations>);

/// A transaction and who sent it.
pub type Entry = (Arc<Transaction>, Address);

#[derive(Default)]
struct Generations {
    young: HashMap<Bytes, Entry>,
    old: HashMap<Bytes, Entry>,
    /// Bytes that the young ones take.
    size: usize,
}

impl Known {
    /// The transaction and its sender, when it was seen before.
    pub fn get(&self, raw: &[u8]) -> Option<Entry> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.young.get(raw).or_else(|| known.old.get(raw)).cloned()
    }

    /// The same of many.
    pub fn get_all<R: AsRef<[u8]>>(&self, raws: &[R]) -> Vec<Option<Entry>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let get = |raw: &[u8]| known.young.get(raw).or_else(|| known.old.get(raw)).cloned();
        raws.iter().map(|raw| get(raw.as_ref())).collect()
    }

    /// Remember a transaction and its recovered sender.
    pub fn put(&self, tx: &Arc<Transaction>, sender: Address) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = HashMap::new();
        if known.size >= GENERATION {
            let full = std::mem::take(&mut known.young);
            gone = std::mem::replace(&mut known.old, full);
            known.size = 0;
        }
        if known.young.insert(tx.raw.clone(), (Arc::clone(tx), sender)).is_none() {
            known.size += OVERHEAD + 2 * tx.raw.len();
        }
        // Freed outside the lock.
        drop(known);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::{draft, member, sign};

    #[test]
    fn it_forgets_the_oldest_and_stays_bounded() {
        let cache = Known::default();
        let signer = member(1);
        let all: Vec<_> = (0..40)
            .map(|nonce| {
                let raw = sign(&signer, draft(nonce, None, vec![7; 1 << 20].into()));
                Arc::new(Transaction::decode(&raw, 1 << 21).expect("a transaction"))
            })
            .collect();
        for tx in &all {
            cache.put(tx, Address::with_last_byte(1));
        }
        assert!(cache.get(&all[0].raw).is_none());
        let (last, from) = cache.get(&all[39].raw).expect("the newest");
        assert_eq!((last.hash, from), (all[39].hash, Address::with_last_byte(1)));
        let mut other = all[39].raw.to_vec();
        other[9] ^= 1;
        assert!(cache.get(&other).is_none());
        let known = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(known.young.len() + known.old.len() <= GENERATION >> 20);
    }
}
