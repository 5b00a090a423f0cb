//! Messages on the socket: the length as an unsigned varint, then protobuf. Source: CometBFT v0.38 `libs/protoio`.

use std::io::{BufRead, Read, Write};

use prost::Message;
use prost::bytes::Bytes;

use super::fail;
use crate::error::Error;

/// Longest message, bytes: CometBFT's own bound of a message.
pub const MAX_FRAME: usize = 100 << 20;

/// The next message; None when the peer has closed between two. Errors: `abci.frame` (no message, or too long),
/// `abci.stopped` (closed inside a message).
pub fn read<M: Message + Default>(input: &mut impl BufRead) -> Result<Option<M>, Error> {
    let Some(length) = read_length(input)? else { return Ok(None) };
    // Grown as the bytes come: a length alone takes no memory.
    let mut body = Vec::with_capacity(length.min(1 << 16));
    let read = input.take(length as u64).read_to_end(&mut body).map_err(closed)?;
    if read < length {
        return Err(fail::gone(format!("the connection ended {} bytes before its message did", length - read)));
    }
    M::decode(Bytes::from(body)).map(Some).map_err(|error| fail::frame(format!("the message does not decode: {error}")))
}

/// Write a message. Errors: `abci.stopped`.
pub fn write(output: &mut impl Write, message: &impl Message) -> Result<(), Error> {
    output.write_all(&message.encode_length_delimited_to_vec()).map_err(closed)
}

fn read_length(input: &mut impl BufRead) -> Result<Option<usize>, Error> {
    let mut length = 0_usize;
    for place in 0..4 {
        let mut byte = [0];
        if input.read(&mut byte).map_err(closed)? == 0 {
            return match place {
                0 => Ok(None),
                _ => Err(fail::gone("the connection ended inside a length")),
            };
        }
        length |= usize::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            return match length {
                0..=MAX_FRAME => Ok(Some(length)),
                _ => Err(too_long()),
            };
        }
    }
    Err(too_long())
}

fn too_long() -> Error {
    fail::frame(format!("a message has at most {MAX_FRAME} bytes"))
}

/// The peer is gone; what the system says about it is the message.
pub fn closed(error: std::io::Error) -> Error {
    fail::gone(format!("the connection ended: {error}"))
}
