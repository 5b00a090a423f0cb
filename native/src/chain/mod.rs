//! The chain state machine: EVM rules of Paris, base fee 0, membership judged on the parent's state.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `tx` | raw transactions, strictly decoded |
//! | `recover`, `combine` | who signed a transaction; the arithmetic of it |
//! | `known` | transactions seen before: decoded and recovered once |
//! | `standing` | what admission knows of a sender, until the next block |
//! | `trie` | the persistent Merkle Patricia trie |
//! | `proof` | checking EIP-1186 proofs |
//! | `state` | accounts and storage of one block, forwards and back |
//! | `evm` | revm, and nothing of it outside |
//! | `rules` | who may change state |
//! | `consortium` | validators and the version in force |
//! | `block` | headers and receipts |
//! | `genesis` | block 0 from its file |
//! | `recovery` | the block that a recovered city goes on with |
//! | `store` | rows that the caller keeps for us |
//! | `window` | the states that can still be asked for |
//! | `engine` | the chain: head, window, pending block |
//! | `build` | making a block and re-making a foreign one |
//! | `propose` | proposals of a BFT network: choosing and judging without executing |
//! | `export` | the rows of the head for a late joiner, and taking them over |
//! | `call` | calls and gas estimates |

pub mod block;
pub mod build;
pub mod call;
mod combine;
pub mod consortium;
pub mod engine;
pub mod evm;
pub mod export;
mod fail;
pub mod genesis;
pub mod known;
pub mod proof;
pub mod propose;
mod recover;
mod recovery;
pub mod rules;
pub mod standing;
pub mod state;
pub mod store;
pub mod trie;
pub mod tx;
pub mod window;

#[cfg(test)]
pub(crate) mod tests;
