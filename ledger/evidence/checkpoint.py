"""Checkpoints: a log's signed size and root, cosigned by witnesses; inclusion receipts on top of them.

Sources: C2SP tlog-checkpoint v1.0.0, tlog-cosignature v1.0.1 (Ed25519), tlog-proof v1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Final

from ledger import keys
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.note import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    Note,
    NoteSignature,
    VKey,
    add_signature,
    check_name,
    parse_note,
    parse_signature_line,
    parse_vkey,
    vkey,
)
from ledger.evidence.seal import Seal
from ledger.keys import Signer
from ledger.model import KeyRole

__all__ = [
    "ED25519_COSIGNATURE",
    "ED25519_NOTE",
    "Checkpoint",
    "Cosignature",
    "Note",
    "NoteSignature",
    "TlogProof",
    "VKey",
    "WitnessedCheckpoint",
    "add_signature",
    "cosign",
    "format_checkpoint",
    "format_proof",
    "parse_checkpoint",
    "parse_note",
    "parse_proof",
    "parse_signature_line",
    "parse_size",
    "parse_vkey",
    "quorum_of",
    "select_cosignatures",
    "sign_note",
    "verify_checkpoint",
    "verify_cosignature",
    "verify_log_signature",
    "vkey",
]

MAX_SIZE: Final = 2**63 - 1
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
_PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
_SEAL: Final = Seal()
#: A tree of 2^63 leaves has paths of 63 hashes.
MAX_PROOF_HASHES: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's state: origin line, number of entries, root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified cosignature: the witness's key and the Unix second it put under the checkpoint."""

    key: VKey
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedCheckpoint:
    """A checkpoint whose log signature and cosignatures verified; made by :func:`verify_checkpoint` only."""

    checkpoint: Checkpoint
    log: VKey
    cosignatures: tuple[Cosignature, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A parsed inclusion receipt; nothing verified yet. ``note``: the checkpoint note's bytes."""

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None


def quorum_of(active_members: int) -> int:
    """How many *other* active members must have signed: with n of them and f = floor((n-1)/3), floor((n+f)/2) + 1.

    Two quorums then share an honest member as long as at most f of the n are not. With nobody else there the quorum
    is 1, which nobody can reach. Raises: InvalidInputError(checkpoint.members).
    """
    if active_members < 1:
        raise InvalidInputError("checkpoint.members", "there is no active member", actual=active_members)
    others = active_members - 1
    faulty = max(others - 1, 0) // 3
    return (others + faulty) // 2 + 1


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text: origin, size and root, one a line."""
    return f"{check_name(checkpoint.origin)}\n{checkpoint.size}\n{b64(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The inverse of :func:`format_checkpoint`; extension lines are refused, since nothing here would judge them.

    Raises: InvalidInputError(checkpoint.format).
    """
    lines = text.split("\n")
    try:
        if len(lines) != 4 or lines[3]:
            raise ValueError("three lines: origin, size, root")
        return Checkpoint(origin=check_name(lines[0]), size=parse_size(lines[1]), root=unb64(lines[2], 32))
    except (ValueError, LedgerError) as error:
        raise InvalidInputError("checkpoint.format", f"not a checkpoint: {error}", actual=ascii(text)[:120]) from None


def parse_size(text: str) -> int:
    """A decimal without leading zeros, below 2^63. Raises: InvalidInputError(checkpoint.size)."""
    if not _SIZE.match(text) or int(text) > MAX_SIZE:
        raise InvalidInputError("checkpoint.size", f"not a tree size or index: {ascii(text)[:40]}")
    return int(text)


def sign_note(text: str, name: str, signer: Signer) -> bytes:
    """A note over the text with one signature of type 0x01 (the log's)."""
    _check_signer(signer, KeyRole.LOG)
    key = VKey(name=check_name(name), type=ED25519_NOTE, public=signer.public)
    signature = NoteSignature(name=name, key_id=key.key_id, signature=signer.sign(text.encode()))
    return bytes(Note(text=text, signatures=(signature,)))


def cosign(note_text: str, name: str, signer: Signer, time_s: int) -> str:
    """The signature line of a witness: type 0x04, over the time and the whole text."""
    _check_signer(signer, KeyRole.WITNESS)
    if not 0 < time_s < 2**63:
        raise InvalidInputError("checkpoint.time", "a cosignature's time is in Unix seconds", actual=time_s)
    key = VKey(name=check_name(name), type=ED25519_COSIGNATURE, public=signer.public)
    signature = time_s.to_bytes(8, "big") + signer.sign(_cosigned_bytes(note_text, time_s))
    return str(NoteSignature(name=name, key_id=key.key_id, signature=signature))


def verify_log_signature(note: Note, log: VKey) -> None:
    """Check the log's own signature. Raises: UntrustedError(checkpoint.log-signature)."""
    found = [s for s in note.signatures if (s.name, s.key_id) == (log.name, log.key_id)]
    if log.type != ED25519_NOTE or len(found) != 1:
        raise UntrustedError(
            "checkpoint.log-signature",
            f"the checkpoint has no signature of the log's key {log.name}+{log.key_id.hex()}",
            expected=log.key_id,
            actual=", ".join(f"{s.name}+{s.key_id.hex()}" for s in note.signatures)[:300],
        )
    try:
        keys.verify(keys.ED25519, log.public, note.text.encode(), found[0].signature)
    except UntrustedError:
        raise UntrustedError(
            "checkpoint.log-signature", "the log's signature does not verify", actual=log.name
        ) from None


def verify_cosignature(note: Note, witness: VKey) -> Cosignature | None:
    """The witness's cosignature, None when there is none. Raises: UntrustedError(checkpoint.cosignature)."""
    found = [s for s in note.signatures if (s.name, s.key_id) == (witness.name, witness.key_id)]
    if not found:
        return None
    if witness.type != ED25519_COSIGNATURE or len(found) > 1 or len(found[0].signature) != 72:
        raise UntrustedError("checkpoint.cosignature", "not one cosignature of 8 + 64 bytes", actual=witness.name)
    time_s = int.from_bytes(found[0].signature[:8], "big")
    try:
        keys.verify(keys.ED25519, witness.public, _cosigned_bytes(note.text, time_s), found[0].signature[8:])
    except UntrustedError:
        raise UntrustedError(
            "checkpoint.cosignature", f"the cosignature of {witness.name} does not verify", actual=witness.name
        ) from None
    return Cosignature(key=witness, time=time_s)


def verify_checkpoint(
    note: Note | bytes, log: VKey, witnesses: Sequence[VKey], quorum: int, *, exact: bool = False
) -> WitnessedCheckpoint:
    """Check the log's signature and that at least ``quorum`` of the witnesses cosigned.

    Signatures of unknown keys are ignored, as signed notes ask for; a known key that fails sinks the note. With
    ``exact`` (bundles) nothing is ignored: the log's signature first, then exactly ``quorum`` cosignatures in the order
    of their key names. Witness keys must be of distinct members: the caller sees to that.

    Raises: UntrustedError(checkpoint.*).
    """
    parsed = parse_note(note) if isinstance(note, bytes) else note
    checkpoint = parse_checkpoint(parsed.text)
    if checkpoint.origin != log.name:
        raise UntrustedError(
            "checkpoint.origin",
            "the checkpoint is of another log",
            expected=log.name,
            actual=checkpoint.origin,
        )
    verify_log_signature(parsed, log)
    checked = (verify_cosignature(parsed, witness) for witness in witnesses)
    cosignatures = tuple(cosignature for cosignature in checked if cosignature is not None)
    # One key under two names must not count twice: the Ed25519 form does not commit to the name.
    count = len({cosignature.key.public for cosignature in cosignatures})
    if count < quorum:
        raise UntrustedError(
            "checkpoint.quorum",
            f"{count} members cosigned the checkpoint; {quorum} are needed",
            hint="wait until more members' nodes answer, or take a newer checkpoint",
            expected=quorum,
            actual=count,
        )
    if exact:
        _check_exact(parsed, log, cosignatures, quorum)
    return WitnessedCheckpoint(checkpoint=checkpoint, log=log, cosignatures=cosignatures, seal=_SEAL)


def select_cosignatures(note: bytes, log: VKey, witnesses: Sequence[VKey], quorum: int) -> bytes:
    """The note with the log's signature and exactly ``quorum`` verified cosignatures, as a bundle wants it.

    Raises: UntrustedError(checkpoint.*).
    """
    parsed = parse_note(note)
    witnessed = verify_checkpoint(parsed, log, witnesses, quorum)
    chosen = sorted({c.key.public: c.key for c in witnessed.cosignatures}.values(), key=lambda key: key.name)[:quorum]
    lines = {(s.name, s.key_id): s for s in parsed.signatures}
    return bytes(Note(text=parsed.text, signatures=tuple(lines[key.name, key.key_id] for key in (log, *chosen))))


def format_proof(index: int, hashes: Sequence[bytes], note: bytes) -> str:
    """An inclusion receipt as text (``.tlog-proof``)."""
    path = "".join(f"{b64(item)}\n" for item in hashes)
    return f"{_PROOF_HEADER}\nindex {index}\n{path}\n{note.decode()}"


def parse_proof(text: str) -> TlogProof:
    """The inverse of :func:`format_proof`; an ``extra`` line is kept, unauthenticated.

    Raises: InvalidInputError(inclusion.format).
    """
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    try:
        if not separator or lines.pop(0) != _PROOF_HEADER:
            raise ValueError(f"the first line is {_PROOF_HEADER}")
        extra = unb64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise ValueError("an index line")
        index = parse_size(lines.pop(0).removeprefix("index "))
        if len(lines) > MAX_PROOF_HASHES:
            raise ValueError(f"at most {MAX_PROOF_HASHES} hashes")
        return TlogProof(index=index, hashes=tuple(unb64(line, 32) for line in lines), note=note.encode(), extra=extra)
    except (ValueError, LedgerError) as error:
        raise InvalidInputError("inclusion.format", f"not a tlog-proof: {error}", actual=ascii(text)[:80]) from None


def _cosigned_bytes(note_text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{note_text}".encode()


def _check_exact(note: Note, log: VKey, cosignatures: Sequence[Cosignature], quorum: int) -> None:
    names = [signature.name for signature in note.signatures]
    used = {(log.name, log.key_id)} | {(c.key.name, c.key.key_id) for c in cosignatures}
    if {(s.name, s.key_id) for s in note.signatures} != used or len(names) != 1 + quorum:
        raise UntrustedError(
            "checkpoint.signatures",
            f"a bundle's checkpoint carries the log's signature and exactly {quorum} known cosignatures",
            expected=1 + quorum,
            actual=len(names),
        )
    if names[0] != log.name or names[1:] != sorted(set(names[1:])):
        raise UntrustedError("checkpoint.signatures", "signatures are the log's, then the witnesses' by name")


def _check_signer(signer: Signer, role: KeyRole) -> None:
    if signer.role != role:
        raise InvalidInputError(
            "key.role", f"a {role.word} key signs this", expected=role.word, actual=signer.role.word
        )
