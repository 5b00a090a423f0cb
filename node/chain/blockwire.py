"""Heads and finality as protobuf messages: the one place where the two meet. The messages are also what is stored."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from ledger.errors import FatalError, InvalidInputError
from ledger.evidence.finality import Head, HeadSignature, SignedHead, SoloFinality
from ledger.v1 import peer_pb2

_MAX_COSIGNATURES = 512


def head_message(signed: SignedHead) -> peer_pb2.SignedHead:
    """A signed head as a message."""
    return _message(signed.head, signed.head_signature)


def head_of(message: peer_pb2.SignedHead) -> SignedHead:
    """A message as a signed head, lengths checked, nothing verified.

    Raises: InvalidInputError(head.malformed).
    """
    if (len(message.chain), len(message.hash), len(message.public_key), len(message.signature)) != (32, 32, 32, 64):
        raise InvalidInputError("head.malformed", "a signed head has fields of 32, 32, 32 and 64 bytes")
    head = Head(chain=message.chain, height=message.height, hash=message.hash, time_ms=message.time)
    return SignedHead(head=head, key=message.public_key, signature=message.signature)


def finality_message(finality: SoloFinality) -> peer_pb2.Finality:
    """A finality as a message."""
    return peer_pb2.Finality(
        head=_message(finality.head, finality.sequencer),
        cosignatures=[_message(finality.head, item) for item in finality.cosignatures],
    )


def finality_of(message: peer_pb2.Finality) -> SoloFinality:
    """A message as a finality, nothing verified.

    Raises: InvalidInputError(head.malformed).
    """
    if len(message.cosignatures) > _MAX_COSIGNATURES:
        raise InvalidInputError("head.malformed", f"more than {_MAX_COSIGNATURES} cosignatures")
    signed = head_of(message.head)
    cosignatures = tuple(head_of(item) for item in message.cosignatures)
    if any(item.head != signed.head for item in cosignatures):
        raise InvalidInputError("head.malformed", "a cosignature is over another head")
    return SoloFinality(
        head=signed.head,
        sequencer=signed.head_signature,
        cosignatures=tuple(item.head_signature for item in cosignatures),
    )


def stored_finality(data: bytes) -> SoloFinality:
    """Read a finality back from the chain store.

    Raises: FatalError(store.corrupt).
    """
    try:
        return finality_of(peer_pb2.Finality.FromString(data))
    except (DecodeError, InvalidInputError) as error:
        raise FatalError(
            "store.corrupt", "a stored finality does not decode", hint="restore the node's store from a backup"
        ) from error


def _message(head: Head, item: HeadSignature) -> peer_pb2.SignedHead:
    return peer_pb2.SignedHead(
        chain=head.chain,
        height=head.height,
        hash=head.hash,
        time=head.time_ms,
        public_key=item.key,
        signature=item.signature,
    )
