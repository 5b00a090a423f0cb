//! Short constructors of the errors this part raises; `docs/errors.md` lists the codes.

use std::fmt::Display;

use crate::error::{Class, Error};

const RESTART: &str =
    "restart the node: CometBFT and the application agree on the height again; if it stays, see `civicledger doctor`";

/// CometBFT asked for what cannot be: nothing is answered from then on.
pub fn protocol(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Fatal, code, message).hint(RESTART)
}

/// What is stored does not fit the chain.
pub fn stored(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::Fatal, code, message).hint(
        "stop the node and let it rejoin: remove its chain folder and CometBFT's data together, never one of them",
    )
}

/// CometBFT's genesis is not ours.
pub fn genesis(message: impl Display) -> Error {
    Error::new(Class::Fatal, "abci.genesis", format!("CometBFT's genesis is not made from this city's: {message}"))
        .hint("make CometBFT's genesis.json from the city's genesis file again (civicledger city join does)")
}

/// The caller's argument is wrong.
pub fn invalid(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Class::InvalidInput, code, message)
}

/// A frame that is none.
pub fn frame(message: impl Display) -> Error {
    Error::new(Class::InvalidInput, "abci.frame", format!("not a message of ABCI 2.0: {message}"))
}

/// The server was stopped, or the peer is gone: the connection ends without an answer.
pub fn gone(message: impl Display) -> Error {
    Error::new(Class::Unavailable, "abci.stopped", format!("nothing is answered here any more: {message}"))
}
