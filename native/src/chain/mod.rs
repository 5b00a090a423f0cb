//! The chain state machine: EVM rules of Paris, base fee 0, membership judged on the parent's state.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `tx` | raw transactions, strictly decoded |
//! | `recover`, `senders` | who signed a transaction, found once |
//! | `trie` | the persistent Merkle Patricia trie |
//! | `proof` | checking EIP-1186 proofs |
//! | `state` | accounts and storage of one block, forwards and back |
//! | `evm` | revm, and nothing of it outside |
//! | `rules` | who may change state |
//! | `block` | headers and receipts |
//! | `genesis` | block 0 from its file |
//! | `store` | rows that the caller keeps for us |
//! | `window` | the states that can still be asked for |
//! | `engine` | the chain: head, window, pending block |
//! | `build` | making a block and re-making a foreign one |
//! | `call` | calls and gas estimates |

pub mod block;
mod build;
pub mod call;
pub mod engine;
pub mod evm;
mod fail;
pub mod genesis;
pub mod proof;
mod recover;
pub mod rules;
mod senders;
pub mod state;
pub mod store;
pub mod trie;
pub mod tx;
pub mod window;

#[cfg(test)]
mod tests;
