//! The consensus row: where CometBFT stands, stored in the same batch as the block it belongs to.
//!
//! `1`, consensus height u64be, its time in Unix milliseconds u64be, app hash (32), height of the chain block that hash
//! is of u64be, number of validators u16be, their consensus keys (32 each) ascending.

use std::collections::BTreeSet;

use alloy_primitives::B256;

use super::fail;
use crate::error::Error;

/// Version of this layout.
const VERSION: u8 = 1;
/// Bytes before the keys.
const HEAD: usize = 1 + 8 + 8 + 32 + 8 + 2;

/// What stands after a consensus height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Consensus height; 0 before the first.
    pub height: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// Hash of the newest chain block.
    pub app_hash: B256,
    /// Number of that block.
    pub chain_height: u64,
    /// Consensus keys as last told to CometBFT.
    pub validators: BTreeSet<B256>,
}

impl Row {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let count = u16::try_from(self.validators.len()).unwrap_or(u16::MAX);
        let mut out = Vec::with_capacity(HEAD + 32 * usize::from(count));
        out.push(VERSION);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.extend_from_slice(self.app_hash.as_slice());
        out.extend_from_slice(&self.chain_height.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        self.validators.iter().take(usize::from(count)).for_each(|key| out.extend_from_slice(key.as_slice()));
        out
    }

    /// Strict. Errors: `abci.row-version`, `abci.row`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => {
                let error = fail::stored(
                    "abci.row-version",
                    format!("the stored consensus row has version {version}; this release reads {VERSION}"),
                );
                return Err(error.hint("start the release that wrote it, or a newer one"));
            }
            None => return Err(malformed()),
        }
        Self::fields(bytes).ok_or_else(malformed)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let (head, keys) = bytes.split_at_checked(HEAD)?;
        let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let count = u16::from_be_bytes(head[HEAD - 2..].try_into().ok()?);
        if keys.len() != 32 * usize::from(count) {
            return None;
        }
        let keys: Vec<_> = keys.chunks_exact(32).map(B256::from_slice).collect();
        if !keys.windows(2).all(|pair| pair[0] < pair[1]) {
            return None;
        }
        Some(Self {
            height: number(1)?,
            time_ms: number(9)?,
            app_hash: B256::from_slice(&head[17..49]),
            chain_height: number(49)?,
            validators: keys.into_iter().collect(),
        })
    }
}

fn malformed() -> Error {
    fail::stored("abci.row", "the stored consensus row is not as it was written")
}
