"""Signed notes and verifier keys. Source: C2SP signed-note v1.0.0."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError

#: Signature type bytes: an Ed25519 signature of the text; a timestamped Ed25519 cosignature.
ED25519_NOTE: Final = 0x01
ED25519_COSIGNATURE: Final = 0x04

MAX_NOTE_BYTES: Final = 65_536
#: The specification asks for at least 16.
MAX_SIGNATURES: Final = 64

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}\Z")
_VKEY = re.compile(r"([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{4,200})\Z")
_LINE_START: Final = "\u2014 "


@dataclass(frozen=True, slots=True, kw_only=True)
class VKey:
    """A verifier key: key name, signature type byte, Ed25519 public key (32 bytes)."""

    name: str
    type: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """4 bytes: ``SHA-256(name || 0x0A || type || public)[:4]``."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return vkey(self.name, self.type, self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """A signature line: key name, key id (4 bytes), the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_LINE_START}{self.name} {b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A parsed note: the text that is signed (with its last line feed) and the signatures, not yet verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __bytes__(self) -> bytes:
        return f"{self.text}\n{''.join(str(signature) for signature in self.signatures)}".encode()


def vkey(name: str, type_: int, public: bytes) -> str:
    """A verifier key as text: ``name+<key id in hex>+<base64 of type and key>``."""
    key = VKey(name=check_name(name), type=type_, public=public)
    return f"{name}+{key.key_id.hex()}+{b64(bytes([type_]) + public)}"


def parse_vkey(text: str) -> VKey:
    """The inverse of :func:`vkey`; the key id must fit. Raises: InvalidInputError(note.vkey)."""
    match = _VKEY.match(text)
    try:
        if match is None:
            raise InvalidInputError("note.vkey", "not name+id+key")
        name, key_id, encoded = match.groups()
        raw = unb64(encoded, 33)
        key = VKey(name=check_name(name), type=raw[0], public=raw[1:])
    except LedgerError as error:
        raise InvalidInputError("note.vkey", f"not a verifier key: {error.message}", actual=text[:80]) from None
    if key.type not in (ED25519_NOTE, ED25519_COSIGNATURE):
        raise InvalidInputError("note.vkey", f"signature type {key.type:#04x} is not spoken here", actual=key.type)
    if key.key_id.hex() != key_id:
        raise InvalidInputError("note.vkey", "the key id does not fit name and key", expected=key.key_id, actual=key_id)
    return key


def parse_note(data: bytes) -> Note:
    """Split a note into text and signature lines; nothing is verified yet.

    Raises: InvalidInputError(note.*).
    """
    if len(data) > MAX_NOTE_BYTES:
        raise InvalidInputError("note.too-large", f"a note has at most {MAX_NOTE_BYTES} bytes", actual=len(data))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError("note.text", "a note is UTF-8") from None
    if any(char < " " and char != "\n" for char in text):
        raise InvalidInputError("note.text", "a note has no control characters but line feeds")
    # The text may hold empty lines: the last one separates it from the signatures.
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not body or not tail.endswith("\n"):
        raise InvalidInputError("note.structure", "a note is text, an empty line, and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidInputError("note.signatures", f"at most {MAX_SIGNATURES} signatures", actual=len(lines))
    return Note(text=body + "\n", signatures=tuple(parse_signature_line(line + "\n") for line in lines))


def parse_signature_line(line: str) -> NoteSignature:
    """One signature line, its line feed included. Raises: InvalidInputError(note.signature)."""
    try:
        start, name, encoded = line[:2], *line[2:-1].split(" ")
        if start != _LINE_START or not line.endswith("\n"):
            raise ValueError
        raw = unb64(encoded)
        if len(raw) <= 4:
            raise ValueError
        return NoteSignature(name=check_name(name), key_id=raw[:4], signature=raw[4:])
    except (ValueError, LedgerError):
        raise InvalidInputError("note.signature", "not a signature line", actual=ascii(line)[:80]) from None


def add_signature(note: bytes, line: str) -> bytes:
    """The note with a signature line more; one by the same key is replaced, so that a retry changes nothing else.

    Raises: InvalidInputError(note.*).
    """
    parsed, added = parse_note(note), parse_signature_line(line)
    kept = tuple(s for s in parsed.signatures if (s.name, s.key_id) != (added.name, added.key_id))
    if len(kept) >= MAX_SIGNATURES:
        raise InvalidInputError("note.signatures", f"at most {MAX_SIGNATURES} signatures", actual=len(kept) + 1)
    return bytes(Note(text=parsed.text, signatures=(*kept, added)))


def check_name(name: str) -> str:
    """A key name: no blank of any script, no plus sign. Raises: InvalidInputError(note.name)."""
    if not _NAME.match(name):
        raise InvalidInputError("note.name", f"not a key name: {ascii(name)[:66]}", actual=ascii(name)[:66])
    return name
