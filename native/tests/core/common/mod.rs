//! What the integration tests share: a disk that fails on demand, a seeded generator, the naive model of a log.

pub mod content;
pub mod disk;
pub mod fault;
pub mod vectors;

use std::sync::Arc;

use _native::log::fsck::fsck_storage;
use _native::log::storage::Storage;
use _native::log::{LogEngine, Options};
use _native::merkle::{self, Hash, Leaves};

/// xorshift64*: the same numbers in every run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

pub fn open(storage: Arc<dyn Storage>) -> LogEngine {
    LogEngine::open(storage, Options::default()).unwrap()
}

pub fn append(log: &LogEngine, entries: &[Vec<u8>]) -> (u64, u64) {
    log.append(&borrow(entries), None).unwrap()
}

pub fn borrow(entries: &[Vec<u8>]) -> Vec<&[u8]> {
    entries.iter().map(Vec::as_slice).collect()
}

pub fn read(log: &LogEngine, first: u64, count: u64) -> Vec<Vec<u8>> {
    let (bytes, ranges) = log.read(first, count).unwrap();
    ranges.into_iter().map(|(from, to)| bytes[from..to].to_vec()).collect()
}

pub fn leaves(entries: &[Vec<u8>]) -> Vec<Hash> {
    entries.iter().map(|entry| merkle::leaf_hash(entry)).collect()
}

pub fn root(entries: &[Vec<u8>]) -> Hash {
    merkle::root(&Leaves(&leaves(entries)), entries.len() as u64).unwrap()
}

/// The log holds exactly these entries: bytes, hashes, root and the oracle agree.
pub fn assert_holds(log: &LogEngine, storage: Arc<dyn Storage>, entries: &[Vec<u8>]) {
    assert_eq!(log.size(), entries.len() as u64);
    assert_eq!(read(log, 0, entries.len() as u64), entries);
    assert_eq!(log.root(None).unwrap(), root(entries));
    let report = fsck_storage(storage, true, 0);
    assert_eq!(report.problems, vec![]);
    assert_eq!((report.size, report.root), (entries.len() as u64, root(entries)));
}
