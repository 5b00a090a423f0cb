"""Bundles: one file with everything needed to check a record offline (``.civic``; ``docs/formats.md``, bundle).

This module reads and writes the file; :mod:`ledger.verify` judges it. A bundle is JCS and its own re-encoding, so that
no byte of it can be changed without changing what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence import state
from ledger.evidence.checkpoint import VKey, format_proof, quorum_of, select_cosignatures
from ledger.evidence.fields import array, fields, hex_of, text, unhex
from ledger.evidence.licencebundle import LicenceProof, issuer_object, read_proof, subject_object
from ledger.evidence.pieces import (
    MAX_WITNESSES,
    ContractEvidence,
    Finality,
    SlotProof,
    contract_evidence,
    contract_object,
    finality_object,
    malformed,
    read_contract,
    read_finality,
)

__all__ = [
    "MAX_WITNESSES",
    "AnchorEvidence",
    "AnchorParts",
    "Bundle",
    "ContractEvidence",
    "Disclosure",
    "Finality",
    "LicenceProof",
    "SlotProof",
    "anchors_slots",
    "assemble",
    "consortium_slots",
    "contract_evidence",
    "decode_bundle",
    "decode_parts",
    "encode_bundle",
    "encode_parts",
    "exact_note",
]

MAX_BUNDLE_BYTES: Final = 1_048_576
MEDIA_TYPE: Final = "application/civicledger-bundle+json"
SUFFIX: Final = ".civic"

MAX_DISCLOSURES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorEvidence:
    """A block header (RLP) and what is proven under its state root.

    ``log_key`` and ``witness_keys`` (32 bytes each, in the order of the cosignatures) say which keys the slots are of.
    """

    header: bytes
    log_key: bytes
    witness_keys: tuple[bytes, ...]
    consortium: ContractEvidence
    anchors: ContractEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """An opened commitment: the body field that holds it, the commitment's type line, salt (32 bytes) and value."""

    field: str
    type: str
    salt: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorParts:
    """What a node keeps for every anchor: the note with its exact quorum, the chain's evidence, the finality."""

    note: bytes
    anchor: AnchorEvidence
    finality: Finality


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle's content. ``record``: canonical bytes; ``inclusion``: tlog-proof text; ``licence``: the licence that
    the record is the issue of, where the bundle is of one; it has no ``disclosures`` then."""

    record: bytes
    inclusion: str
    anchor: AnchorEvidence
    finality: Finality
    disclosures: tuple[Disclosure, ...] = ()
    licence: LicenceProof | None = None


def consortium_slots(member: str, log_key: bytes, witnesses: Sequence[tuple[bytes, str]]) -> tuple[bytes, ...]:
    """The Consortium slots a bundle proves, in their order; ``witnesses``: (key, member) by witness key name.

    The address of Anchors, the number of active members, the log's member (flags, handle), the log key (member, flags),
    and for every witness its key (member, flags) and its member (flags, handle).
    """
    slots = [state.contract_slot("Anchors"), state.active_count_slot(), *_member(member), *_key(log_key)]
    for key, owner in witnesses:
        slots += [*_key(key), *_member(owner)]
    return tuple(slots)


def anchors_slots(member: str) -> tuple[bytes, ...]:
    """The Anchors slots a bundle proves: root; size, time and generation."""
    slots = state.anchor_slots(member)
    return slots.root, slots.packed


def exact_note(note: bytes, log: VKey, witnesses: Sequence[VKey], active_members: int) -> bytes:
    """The note with exactly the quorum that a bundle carries. Raises: UntrustedError(checkpoint.*)."""
    return select_cosignatures(note, log, witnesses, quorum_of(active_members))


def assemble(
    record: bytes,
    index: int,
    hashes: Sequence[bytes],
    parts: AnchorParts,
    disclosures: Sequence[Disclosure] = (),
    licence: LicenceProof | None = None,
) -> bytes:
    """The bundle file of a record at ``index``; ``hashes``: its inclusion proof in the anchored tree; ``licence``: the
    one that this is the record of.

    Raises: InvalidInputError(bundle.*).
    """
    return encode_bundle(
        Bundle(
            record=record,
            inclusion=format_proof(index, hashes, parts.note),
            anchor=parts.anchor,
            finality=parts.finality,
            disclosures=tuple(disclosures),
            licence=licence,
        )
    )


def encode_bundle(bundle: Bundle) -> bytes:
    """The file's bytes. Raises: InvalidInputError(bundle.too-large)."""
    value: dict[str, Any] = {
        "anchor": _anchor_object(bundle.anchor),
        "finality": finality_object(bundle.finality),
        "inclusion": bundle.inclusion,
        "subject": {"kind": "record", "record": b64(bundle.record)},
        "v": 1,
    }
    if bundle.licence is not None:
        value["subject"] = subject_object(bundle.record, bundle.licence)
        value["issuer"] = issuer_object(bundle.licence)
    if bundle.disclosures:
        value["disclosures"] = [
            {"field": item.field, "salt": b64(item.salt), "type": item.type, "value": b64(item.value)}
            for item in bundle.disclosures
        ]
    data = codec.encode(value)
    if len(data) > MAX_BUNDLE_BYTES:
        raise InvalidInputError(
            "bundle.too-large", "a bundle has at most 1 MiB", expected=MAX_BUNDLE_BYTES, actual=len(data)
        )
    return data


def decode_bundle(data: bytes) -> Bundle:
    """The bundle in a file; nothing is verified yet. Raises: InvalidInputError(bundle.*)."""
    try:
        value = fields(
            codec.decode(data, max_bytes=MAX_BUNDLE_BYTES),
            frozenset({"anchor", "finality", "inclusion", "subject", "v"}),
            frozenset({"disclosures", "issuer"}),
        )
    except LedgerError as error:
        raise malformed("bundle.format", error) from None
    try:
        record, licence = _subject(value)
    except LedgerError as error:
        raise malformed("bundle.subject", error) from None
    try:
        disclosures = tuple(_disclosure(item) for item in array(value.get("disclosures", []), MAX_DISCLOSURES))
        if value.get("disclosures") == []:
            raise InvalidInputError("bundle.disclosures", "no disclosures means no field")
        if disclosures and licence is not None:
            raise InvalidInputError("bundle.disclosures", "a licence's record is opened by the licence")
    except LedgerError as error:
        raise malformed("bundle.disclosures", error) from None
    try:
        inclusion = text(value["inclusion"])
    except LedgerError as error:
        raise malformed("bundle.inclusion", error) from None
    try:
        anchor = _anchor(value["anchor"])
    except LedgerError as error:
        raise malformed("bundle.anchor", error) from None
    try:
        finality = read_finality(value["finality"])
    except LedgerError as error:
        raise malformed("bundle.finality", error) from None
    return Bundle(
        record=record,
        inclusion=inclusion,
        anchor=anchor,
        finality=finality,
        disclosures=disclosures,
        licence=licence,
    )


def encode_parts(parts: AnchorParts) -> bytes:
    """Anchor parts as a node stores them: JCS."""
    return codec.encode(
        {
            "anchor": _anchor_object(parts.anchor),
            "finality": finality_object(parts.finality),
            "note": parts.note.decode("utf-8"),
            "v": 1,
        }
    )


def decode_parts(data: bytes) -> AnchorParts:
    """The inverse of :func:`encode_parts`. Raises: InvalidInputError(bundle.parts)."""
    try:
        value = fields(codec.decode(data, max_bytes=MAX_BUNDLE_BYTES), frozenset({"anchor", "finality", "note", "v"}))
        return AnchorParts(
            note=text(value["note"]).encode(),
            anchor=_anchor(value["anchor"]),
            finality=read_finality(value["finality"]),
        )
    except LedgerError as error:
        raise malformed("bundle.parts", error) from None


def _subject(value: dict[str, Any]) -> tuple[bytes, LicenceProof | None]:
    """The record, and the licence where that is what the bundle proves."""
    kind = value["subject"].get("kind") if isinstance(value["subject"], dict) else None
    if kind == "credential" and "issuer" in value:
        return read_proof(value["subject"], value["issuer"])
    subject = fields(value["subject"], frozenset({"kind", "record"}))
    if kind != "record" or "issuer" in value:
        raise InvalidInputError("bundle.subject", "a bundle is of a record, or of a credential with its issuer")
    return unb64(text(subject["record"])), None


def _member(uscc: str) -> tuple[bytes, bytes]:
    slots = state.member_slots(uscc)
    return slots.packed, slots.handle


def _key(material: bytes) -> tuple[bytes, bytes]:
    slots = state.key_slots(material)
    return slots.member, slots.packed


def _anchor_object(anchor: AnchorEvidence) -> dict[str, Any]:
    return {
        "anchors": contract_object(anchor.anchors),
        "consortium": contract_object(anchor.consortium),
        "header": b64(anchor.header),
        "keys": {"log": hex_of(anchor.log_key), "witnesses": [hex_of(key) for key in anchor.witness_keys]},
    }


def _anchor(value: Any) -> AnchorEvidence:
    anchor = fields(value, frozenset({"anchors", "consortium", "header", "keys"}))
    used = fields(anchor["keys"], frozenset({"log", "witnesses"}))
    return AnchorEvidence(
        header=unb64(text(anchor["header"])),
        log_key=unhex(used["log"]),
        witness_keys=tuple(unhex(key) for key in array(used["witnesses"], MAX_WITNESSES)),
        consortium=read_contract(anchor["consortium"]),
        anchors=read_contract(anchor["anchors"]),
    )


def _disclosure(value: Any) -> Disclosure:
    item = fields(value, frozenset({"field", "salt", "type", "value"}))
    return Disclosure(
        field=text(item["field"]),
        type=text(item["type"]),
        salt=unb64(text(item["salt"]), 32),
        value=unb64(text(item["value"])),
    )
