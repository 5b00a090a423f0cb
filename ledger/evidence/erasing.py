"""The statement of an erasure: which commitments mean nothing any more, and which epoch key is destroyed.

The log holds its digest in a ``medical.erased`` record; the statement and that record's bundle together are the proof
of erasure (``docs/formats.md``). Keys are named by fingerprints, which say nothing of them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.codec import domain_digest
from ledger.errors import InvalidInputError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.identifiers import parse_uscc
from ledger.model import format_time, parse_time

#: Type of the record that holds a statement's digest.
ERASED_TYPE: Final = "medical.erased"
#: Most commitments of one statement.
MAX_COMMITMENTS: Final = 10_000
#: Largest proof file: a bundle and the statement.
MAX_PROOF: Final = 4 << 20

_EPOCH = frozenset({"epoch", "key"})
_STATEMENT = frozenset({"basis", "begun", "commitments", "ended", "member", "time", "v"})
_PROOF = frozenset({"bundle", "statement", "v"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureStatement:
    """``ended``, ``begun``: number of the key store's epoch whose key is destroyed and of the one after it, with the
    fingerprints of both keys; ``commitments``: of the log's records, 32 bytes each,
    ascending; ``time_ms``: when it was begun."""

    member: str
    time_ms: int
    basis: str
    ended: int
    ended_key: bytes
    begun: int
    begun_key: bytes
    commitments: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The canonical bytes."""
        return codec.encode(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The statement as JSON."""
        return {
            "basis": self.basis,
            "begun": {"epoch": self.begun, "key": hex_of(self.begun_key)},
            "commitments": [hex_of(one) for one in self.commitments],
            "ended": {"epoch": self.ended, "key": hex_of(self.ended_key)},
            "member": self.member,
            "time": format_time(self.time_ms),
            "v": 1,
        }

    def digest(self) -> bytes:
        """What the record holds, 32 bytes."""
        return domain_digest("erasure", self.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureProof:
    """A proof of erasure: the statement, and the bundle of the record that holds its digest."""

    statement: ErasureStatement
    bundle: bytes

    def encode(self) -> bytes:
        """The bytes of the file."""
        return codec.encode(
            {"bundle": base64.b64encode(self.bundle).decode(), "statement": self.statement.to_dict(), "v": 1}
        )


def decode_statement(data: bytes) -> ErasureStatement:
    """A statement of its canonical bytes. Raises: InvalidInputError(json.* | identifier.* | record.time)."""
    return _statement(codec.decode(data, max_bytes=MAX_PROOF))


def decode_proof(data: bytes) -> ErasureProof:
    """A proof of erasure of its bytes, strictly.

    Raises: InvalidInputError(erasure.proof).
    """
    try:
        value = fields(codec.decode(data, max_bytes=MAX_PROOF), _PROOF)
        bundle = base64.b64decode(text(value["bundle"]).encode("ascii"), validate=True)
        proof = ErasureProof(statement=_statement(value["statement"]), bundle=bundle)
        if proof.encode() != data:
            raise InvalidInputError("json.canonical", "it is not written canonically")
    except (InvalidInputError, binascii.Error, UnicodeEncodeError) as error:
        said = error.message if isinstance(error, InvalidInputError) else "the bundle is not base64"
        raise InvalidInputError(
            "erasure.proof",
            f"this is no proof of erasure: {said}",
            hint="take the file as `civicledger medical erasure-proof` wrote it",
        ) from error
    return proof


def _statement(value: Any) -> ErasureStatement:
    value = fields(value, _STATEMENT)
    begun, ended = fields(value["begun"], _EPOCH), fields(value["ended"], _EPOCH)
    commitments = tuple(unhex(one) for one in array(value["commitments"], MAX_COMMITMENTS))
    if list(commitments) != sorted(set(commitments)):
        raise InvalidInputError("json.fields", "the commitments are not ascending, each once")
    statement = ErasureStatement(
        member=parse_uscc(text(value["member"])),
        time_ms=parse_time(text(value["time"])),
        basis=text(value["basis"]),
        ended=integer(ended["epoch"]),
        ended_key=unhex(ended["key"]),
        begun=integer(begun["epoch"]),
        begun_key=unhex(begun["key"]),
        commitments=commitments,
    )
    if statement.begun != statement.ended + 1 or statement.begun_key == statement.ended_key:
        raise InvalidInputError("json.fields", "the epochs do not follow each other")
    return statement
