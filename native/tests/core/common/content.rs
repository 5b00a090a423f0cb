//! One file of the disk in memory: what programs see, what is on the platter, and what waits between the two.

use super::Numbers;
use super::fault::{Crash, Part, cut_point};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone)]
pub enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
    Become(Vec<u8>),
}

impl Change {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => put(bytes, *at, data),
            Self::Cut(length) => bytes.truncate(*length),
            Self::Become(content) => bytes.clone_from(content),
        }
    }

    pub fn part(&self, part: Part) -> Option<Self> {
        match self {
            Self::Write(at, data) if !data.is_empty() => {
                Some(Self::Write(*at, data[..cut_point(data.len(), part)].to_vec()))
            }
            // Names and lengths change whole or not at all.
            Self::Write(..) | Self::Cut(_) | Self::Become(_) => None,
        }
    }
}

#[derive(Clone, Default)]
pub struct Content {
    pub seen: Vec<u8>,
    pub platter: Vec<u8>,
    pub pending: Vec<Change>,
    pub named: bool,
    /// A liar's name: no sync of the folder makes it last.
    pub ghost: bool,
}

impl Content {
    pub fn settled(bytes: Vec<u8>) -> Self {
        Self { seen: bytes.clone(), platter: bytes, pending: Vec::new(), named: true, ghost: false }
    }

    pub fn flush(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.platter);
        }
    }
}

impl Content {
    pub fn left(&self, crash: Crash, numbers: &mut Numbers) -> Vec<u8> {
        let mut left = self.platter.clone();
        for change in &self.pending {
            match (crash, change) {
                (Crash::LosesAll | Crash::Killed, _) => {}
                (Crash::KeepsAll, _) => change.apply(&mut left),
                (Crash::KeepsSome(_), Change::Write(at, data)) => match numbers.below(4) {
                    0 => {}
                    1 => put(&mut left, *at, data),
                    2 => put(&mut left, *at, &data[..numbers.below(data.len() as u64 + 1) as usize]),
                    _ => scatter(&mut left, *at, data, numbers),
                },
                (Crash::KeepsSome(_), _) => {
                    if numbers.below(2) == 0 {
                        change.apply(&mut left);
                    }
                }
            }
        }
        left
    }
}

/// Any of the sectors reach the platter, in no order; the file may be longer before its bytes are there.
fn scatter(bytes: &mut Vec<u8>, at: usize, data: &[u8], numbers: &mut Numbers) {
    if numbers.below(2) == 0 && bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    let mut from = 0;
    while from < data.len() {
        let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
        if numbers.below(2) == 0 {
            put(bytes, at + from, &data[from..to]);
        }
        from = to;
    }
}

pub fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}
