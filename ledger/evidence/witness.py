"""The pure part of a tlog-witness: what to answer to ``add-checkpoint``. The caller persists, then cosigns.

Source: C2SP tlog-witness v1.0.0. Checking the old size and storing the new checkpoint is one atomic step of the
caller: two requests judged against the same stored state must not both be stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    MAX_PROOF_HASHES,
    Checkpoint,
    Note,
    NoteSignature,
    VKey,
    parse_checkpoint,
    parse_note,
    parse_signature_line,
    parse_size,
    verify_log_signature,
)

MAX_REQUEST_BYTES: Final = 81_920
#: A witness may sign with several keys; more lines than this are none of its business.
MAX_ANSWER_LINES: Final = 16
_MAX_ANSWER_BYTES: Final = 65_536
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A parsed request: the size the log believes we hold, the proof from there, the note and its checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An HTTP answer. With status 200, ``update`` is stored first and the body is then the cosignature line."""

    status: int
    body: bytes
    content_type: str
    update: Checkpoint | None = None


def format_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of an ``add-checkpoint`` request."""
    path = "".join(f"{b64(item)}\n" for item in proof)
    return f"old {old}\n{path}\n".encode() + note


def parse_request(body: bytes) -> AddCheckpoint:
    """The inverse of :func:`format_request`. Raises: InvalidInputError(witness.request); the answer is status 400."""
    try:
        if len(body) > MAX_REQUEST_BYTES:
            raise ValueError(f"at most {MAX_REQUEST_BYTES} bytes")
        head, separator, note_bytes = body.partition(b"\n\n")
        first, *path = head.decode("ascii").split("\n")
        if not separator or not first.startswith("old "):
            raise ValueError("the first line is the old size")
        if len(path) > MAX_PROOF_HASHES:
            raise ValueError(f"at most {MAX_PROOF_HASHES} proof lines")
        note = parse_note(note_bytes)
        return AddCheckpoint(
            old=parse_size(first.removeprefix("old ")),
            proof=tuple(unb64(line, 32) for line in path),
            note=note,
            checkpoint=parse_checkpoint(note.text),
        )
    except (ValueError, LedgerError) as error:
        raise InvalidInputError("witness.request", f"not an add-checkpoint request: {error}") from None


def parse_answer(body: bytes) -> tuple[NoteSignature, ...]:
    """The signature lines of an answer with status 200; nothing is verified, unknown keys are the caller's to ignore.

    Raises: InvalidInputError(witness.answer).
    """
    try:
        if len(body) > _MAX_ANSWER_BYTES:
            raise ValueError(f"at most {_MAX_ANSWER_BYTES} bytes")
        lines = body.decode("utf-8").split("\n")
        if lines.pop() or not 1 <= len(lines) <= MAX_ANSWER_LINES:
            raise ValueError(f"1 to {MAX_ANSWER_LINES} whole lines")
        return tuple(parse_signature_line(f"{line}\n") for line in lines)
    except (ValueError, LedgerError) as error:
        raise InvalidInputError("witness.answer", f"not the answer of a witness: {error}") from None


def parse_held(body: bytes) -> int:
    """The size in an answer with status 409. Raises: InvalidInputError(witness.answer)."""
    try:
        if len(body) > 20 or not body.endswith(b"\n"):
            raise ValueError("a size and a line feed")
        return parse_size(body[:-1].decode("ascii"))
    except (ValueError, LedgerError) as error:
        raise InvalidInputError("witness.answer", f"not the size a witness holds: {error}") from None


def judge(request: AddCheckpoint, log_key: VKey | None, stored: Checkpoint | None) -> Judgement:
    """What a witness answers, given the log's key (None: origin unknown) and what it cosigned last (None: nothing)."""
    new = request.checkpoint
    if log_key is None or log_key.name != new.origin:
        return _refusal(404, "unknown origin")
    try:
        verify_log_signature(request.note, log_key)
    except LedgerError as error:
        return _refusal(403, error.message)
    if request.old > new.size:
        return _refusal(400, "the old size is beyond the checkpoint's")
    held = stored or Checkpoint(origin=new.origin, size=0, root=merkle.EMPTY_ROOT)
    if request.old != held.size:
        return Judgement(status=409, body=f"{held.size}\n".encode(), content_type=SIZE_TYPE)
    try:
        if held.size == 0:
            _check_first(request)
        else:
            merkle.verify_consistency(held.size, new.size, held.root, new.root, request.proof)
    except LedgerError as error:
        return _refusal(422, error.message)
    return Judgement(status=200, body=b"", content_type=TEXT_TYPE, update=new)


def _check_first(request: AddCheckpoint) -> None:
    """From size 0 everything is consistent, so nothing may be offered as a proof of it."""
    if request.proof:
        raise InvalidInputError("witness.proof", "a proof from size 0 is empty")
    if request.checkpoint.size == 0 and request.checkpoint.root != merkle.EMPTY_ROOT:
        raise InvalidInputError("witness.root", "the empty tree has one root")


def _refusal(status: int, message: str) -> Judgement:
    return Judgement(status=status, body=f"{message}\n".encode(), content_type=TEXT_TYPE)
