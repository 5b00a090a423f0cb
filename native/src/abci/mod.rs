//! The state machine as an ABCI 2.0 application of CometBFT v0.38, over a unix socket.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `frame` | length-delimited messages, bounded |
//! | `server` | the socket, its connections, stopping |
//! | `inbox` | what has come over a connection and is not answered yet |
//! | `app` | the application: what is shared, and which request goes where |
//! | `start` | Info, InitChain |
//! | `proposal` | PrepareProposal, ProcessProposal |
//! | `ahead` | a good proposal is executed while it is voted on |
//! | `finalize` | FinalizeBlock, Commit |
//! | `pool` | what waits for a block, by sender and nonce, and why others no longer do |
//! | `entry` | transactions come in, CometBFT is told that they wait: CheckTx |
//! | `bell` | the one transaction that CometBFT's own mempool ever holds |
//! | `handover` | a Commit waits until the caller has stored it |
//! | `row` | the stored consensus row |
//! | `snapshot` | the state for nodes that join late |
//! | `stats` | counters |
//!
//! Nothing here writes to the chain's store: `next_commit` hands out what has to be stored, `committed` says it is.

mod ahead;
pub mod app;
pub mod bell;
mod entry;
mod fail;
mod finalize;
pub mod frame;
mod handover;
mod inbox;
pub mod pool;
mod proposal;
pub mod row;
pub mod server;
pub mod snapshot;
mod start;
mod stats;

#[cfg(test)]
mod tests;

pub use app::Application;
pub use handover::Commit;
pub use server::{Handler, Server};
