"""Fork evidence: two checkpoints of one log, both signed by it, that no single append-only log can have.

Either two roots of one size, or a smaller tree that is not the beginning of the larger one. The second case carries
the hashes that show it: they hash to the signed root of the larger tree, and the first part of that same tree has
another root than the signed smaller one. Only the holder of the log's key can make such a pair, so it convinces
anybody who knows that key.

Sources: C2SP signed-note, tlog-checkpoint; RFC 6962, section 2.1.2; RFC 9162, section 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any, Final, Self

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, verify_log_signature
from ledger.evidence.fields import array, fields, text
from ledger.evidence.note import MAX_NOTE_BYTES, Note, VKey, check_name, parse_note, parse_vkey
from ledger.evidence.seal import Seal

FORMAT: Final = "civicledger/fork-evidence/v1"
MAX_EVIDENCE_BYTES: Final = 32_768
#: The hash of the first part and at most 63 of a consistency proof.
MAX_PATH: Final = 64
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFork:
    """A fork that was proven: the two heads, the smaller first. Made by :meth:`ForkEvidence.verify` only."""

    origin: str
    first: Checkpoint
    second: Checkpoint
    keys: tuple[VKey, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkEvidence:
    """Two signed notes of one origin that contradict each other; nothing is verified but the form.

    ``keys``: the log's keys the notes are signed with, as the maker knew them. ``first``, ``second``: the notes, the
    smaller tree first, one signature each. ``path``: empty for two roots of one size; else the RFC 6962 consistency
    path in the larger tree *with* the hash it starts from (``PROOF`` with ``b = false``), 32 bytes each.
    """

    origin: str
    keys: tuple[VKey, ...]
    first: bytes
    second: bytes
    path: tuple[bytes, ...] = ()

    @classmethod
    def make(cls, one: bytes, other: bytes, keys: Sequence[VKey], path: Sequence[bytes] = ()) -> Self:
        """The evidence of two notes, in its one form: cosignatures dropped, the smaller tree first.

        Raises: InvalidInputError(fork.*, note.*, checkpoint.*), UntrustedError(checkpoint.log-signature, fork.none).
        """
        pairs = sorted((_bare(data, keys) for data in (one, other)), key=lambda pair: (pair[1].size, pair[1].root))
        used = {str(key): key for _, _, key in pairs}
        found = cls(
            origin=pairs[0][1].origin,
            keys=tuple(used[name] for name in sorted(used)),
            first=pairs[0][0],
            second=pairs[1][0],
            path=tuple(path),
        )
        found.verify(found.keys)
        return found

    @property
    def digest(self) -> bytes:
        """32 bytes that name this evidence: the SHA-256 of its document."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """The document: JCS, see ``docs/formats.md``."""
        value: dict[str, Any] = {
            "first": self.first.decode(),
            "format": FORMAT,
            "keys": [str(key) for key in self.keys],
            "origin": self.origin,
            "path": [codec.b64(item) for item in self.path],
            "second": self.second.decode(),
        }
        return codec.encode(value)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse of :meth:`encode`; only its exact bytes. Raises: InvalidInputError(fork.format)."""
        try:
            value = fields(
                codec.decode(data, max_bytes=MAX_EVIDENCE_BYTES),
                frozenset({"first", "format", "keys", "origin", "path", "second"}),
            )
            if value["format"] != FORMAT:
                raise InvalidInputError(
                    "fork.format", f"this library knows {FORMAT}", actual=text(value["format"])[:66]
                )
            names = [text(item) for item in array(value["keys"], 2)]
            if not names or names != sorted(set(names)):
                raise InvalidInputError("fork.format", "one or two keys, in order")
            first, second = (_text_note(value[name]) for name in ("first", "second"))
            return cls(
                origin=check_name(text(value["origin"])),
                keys=tuple(parse_vkey(name) for name in names),
                first=first,
                second=second,
                path=tuple(codec.unb64(text(item), 32) for item in array(value["path"], MAX_PATH)),
            )
        except LedgerError as error:
            raise InvalidInputError(
                "fork.format",
                f"not a fork evidence document: {error.message}",
                hint="take the file exactly as `civicledger witness evidence --out` wrote it",
            ) from None

    def verify(self, keys: Sequence[VKey]) -> VerifiedFork:
        """Check the whole proof with keys that are known to be the log's (from the chain, a policy, or its owner).

        Raises: UntrustedError(checkpoint.log-signature), UntrustedError(fork.none) when the two do not contradict
        each other, InvalidInputError(fork.format) for another form than :meth:`make` gives.
        """
        (_, first, key1), (_, second, key2) = (_bare(data, keys, exact=True) for data in (self.first, self.second))
        if not first.origin == second.origin == self.origin:
            raise _none("the two checkpoints are of different logs")
        used = {str(key1): key1, str(key2): key2}
        if tuple(sorted(used)) != tuple(str(key) for key in self.keys):
            raise InvalidInputError("fork.format", "the keys named are not those the notes are signed with")
        if (first.size, first.root) > (second.size, second.root):
            raise InvalidInputError("fork.format", "the smaller tree comes first")
        if first.size == second.size:
            if first.root == second.root or self.path:
                raise _none("one size and one root, or a path where none belongs")
        else:
            _contradict(first, second, self.path)
        return VerifiedFork(
            origin=self.origin, first=first, second=second, keys=tuple(used[n] for n in sorted(used)), seal=_SEAL
        )


def path_roots(size1: int, size2: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the first ``size1`` leaves and of the whole tree of ``size2`` that a consistency path with its
    starting hash leads to. 0 < ``size1`` < ``size2``.

    Raises: InvalidInputError(fork.path) for a path of another length.
    """
    if not 0 < size1 < size2 or not path:
        raise InvalidInputError("fork.path", "a path leads from a smaller tree that is not empty to a larger one")
    low, high = size1 - 1, size2 - 1
    while low & 1:
        low, high = low >> 1, high >> 1
    small = large = path[0]
    for item in path[1:]:
        if high == 0:
            raise InvalidInputError("fork.path", "the path is too long")
        if low & 1 or low == high:
            small, large = merkle.node_hash(item, small), merkle.node_hash(item, large)
            while not low & 1 and low:
                low, high = low >> 1, high >> 1
        else:
            large = merkle.node_hash(large, item)
        low, high = low >> 1, high >> 1
    if high:
        raise InvalidInputError("fork.path", "the path is too short")
    return small, large


def _contradict(first: Checkpoint, second: Checkpoint, path: Sequence[bytes]) -> None:
    if first.size == 0:
        raise _none("every log extends the empty one")
    small, large = path_roots(first.size, second.size, path)
    if large != second.root:
        raise _none("the path does not lead to the larger checkpoint's root")
    if small == first.root:
        raise _none("the larger tree extends the smaller one")


def _bare(data: bytes, keys: Sequence[VKey], *, exact: bool = False) -> tuple[bytes, Checkpoint, VKey]:
    """A note with the log's signature alone, its checkpoint, and the key that verified it."""
    if len(data) > MAX_NOTE_BYTES:
        raise InvalidInputError("fork.format", "a note is too large")
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    failure: LedgerError = UntrustedError("checkpoint.log-signature", "no key of the log was given")
    for key in keys:
        if key.name != checkpoint.origin:
            continue
        try:
            verify_log_signature(note, key)
        except LedgerError as error:
            failure = error
            continue
        signature = next(item for item in note.signatures if (item.name, item.key_id) == (key.name, key.key_id))
        bare = bytes(Note(text=note.text, signatures=(signature,)))
        if exact and bare != data:
            raise InvalidInputError("fork.format", "a note here carries the log's signature and no other")
        return bare, checkpoint, key
    raise failure


def _text_note(value: Any) -> bytes:
    return text(value).encode("utf-8")


def _none(reason: str) -> UntrustedError:
    return UntrustedError("fork.none", f"this proves no fork: {reason}", hint="nothing follows from it: keep the log")
