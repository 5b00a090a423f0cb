"""Bundles: one file with everything needed to check a record offline (``.civic``; ``docs/formats.md``, bundle).

This module reads and writes the file; :mod:`ledger.verify` judges it. A bundle is JCS and its own re-encoding, so that
no byte of it can be changed without changing what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence import state
from ledger.evidence.bft import BFT, BftFinality, bft_object, read_bft
from ledger.evidence.checkpoint import VKey, format_proof, quorum_of, select_cosignatures
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.finality import SOLO, Head, HeadSignature, SoloFinality
from ledger.evidence.network import UNPROVEN, NetworkFinality, UnprovenFinality, network_object, read_network
from ledger.evidence.qbftfinality import QBFT, QbftFinality
from ledger.model import format_time, parse_time

MAX_BUNDLE_BYTES: Final = 1_048_576
MEDIA_TYPE: Final = "application/civicledger-bundle+json"
SUFFIX: Final = ".civic"

MAX_DISCLOSURES: Final = 16
MAX_WITNESSES: Final = 63
#: The proof that the block is final, as its engine gives it.
Finality = SoloFinality | BftFinality | NetworkFinality
_MAX_NODES: Final = 65
_MAX_SLOTS: Final = 7 + 4 * MAX_WITNESSES


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotProof:
    """A storage slot (32 bytes) and the trie nodes that prove its value, from the root down."""

    slot: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEvidence:
    """Trie nodes that prove a contract's account, and its slots that are used."""

    account: tuple[bytes, ...]
    storage: tuple[SlotProof, ...]


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
    """A bundle's content. ``record``: canonical bytes; ``inclusion``: tlog-proof text."""

    record: bytes
    inclusion: str
    anchor: AnchorEvidence
    finality: Finality
    disclosures: tuple[Disclosure, ...] = ()


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


def contract_evidence(proof: Mapping[str, object], slots: Sequence[bytes]) -> ContractEvidence:
    """An EIP-1186 answer of the native chain (``account_proof``, ``storage``), its slots as asked for.

    Raises: InvalidInputError(bundle.slots) when the answer is for other slots.
    """
    account, storage = proof["account_proof"], proof["storage"]
    if not isinstance(account, Sequence) or not isinstance(storage, Sequence):
        raise InvalidInputError("bundle.slots", "not an account proof with storage")
    if [item["key"] for item in storage] != list(slots):
        raise InvalidInputError("bundle.slots", "the proof is for other slots")
    return ContractEvidence(
        account=tuple(account),
        storage=tuple(SlotProof(slot=item["key"], proof=tuple(item["proof"])) for item in storage),
    )


def exact_note(note: bytes, log: VKey, witnesses: Sequence[VKey], active_members: int) -> bytes:
    """The note with exactly the quorum that a bundle carries. Raises: UntrustedError(checkpoint.*)."""
    return select_cosignatures(note, log, witnesses, quorum_of(active_members))


def assemble(
    record: bytes, index: int, hashes: Sequence[bytes], parts: AnchorParts, disclosures: Sequence[Disclosure] = ()
) -> bytes:
    """The bundle file of a record at ``index``; ``hashes``: its inclusion proof in the anchored tree.

    Raises: InvalidInputError(bundle.*).
    """
    return encode_bundle(
        Bundle(
            record=record,
            inclusion=format_proof(index, hashes, parts.note),
            anchor=parts.anchor,
            finality=parts.finality,
            disclosures=tuple(disclosures),
        )
    )


def encode_bundle(bundle: Bundle) -> bytes:
    """The file's bytes. Raises: InvalidInputError(bundle.too-large)."""
    value: dict[str, Any] = {
        "anchor": _anchor_object(bundle.anchor),
        "finality": _finality_object(bundle.finality),
        "inclusion": bundle.inclusion,
        "subject": {"kind": "record", "record": b64(bundle.record)},
        "v": 1,
    }
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
            frozenset({"disclosures"}),
        )
    except LedgerError as error:
        raise _malformed("bundle.format", error) from None
    try:
        subject = fields(value["subject"], frozenset({"kind", "record"}))
        if subject["kind"] != "record":
            raise InvalidInputError("bundle.subject", "this library knows subjects of the kind record")
        record = unb64(text(subject["record"]))
    except LedgerError as error:
        raise _malformed("bundle.subject", error) from None
    try:
        disclosures = tuple(_disclosure(item) for item in array(value.get("disclosures", []), MAX_DISCLOSURES))
        if value.get("disclosures") == []:
            raise InvalidInputError("bundle.disclosures", "no disclosures means no field")
    except LedgerError as error:
        raise _malformed("bundle.disclosures", error) from None
    try:
        inclusion = text(value["inclusion"])
    except LedgerError as error:
        raise _malformed("bundle.inclusion", error) from None
    try:
        anchor = _anchor(value["anchor"])
    except LedgerError as error:
        raise _malformed("bundle.anchor", error) from None
    try:
        finality = _finality(value["finality"])
    except LedgerError as error:
        raise _malformed("bundle.finality", error) from None
    return Bundle(record=record, inclusion=inclusion, anchor=anchor, finality=finality, disclosures=disclosures)


def encode_parts(parts: AnchorParts) -> bytes:
    """Anchor parts as a node stores them: JCS."""
    return codec.encode(
        {
            "anchor": _anchor_object(parts.anchor),
            "finality": _finality_object(parts.finality),
            "note": parts.note.decode("utf-8"),
            "v": 1,
        }
    )


def decode_parts(data: bytes) -> AnchorParts:
    """The inverse of :func:`encode_parts`. Raises: InvalidInputError(bundle.parts)."""
    try:
        value = fields(codec.decode(data, max_bytes=MAX_BUNDLE_BYTES), frozenset({"anchor", "finality", "note", "v"}))
        return AnchorParts(
            note=text(value["note"]).encode(), anchor=_anchor(value["anchor"]), finality=_finality(value["finality"])
        )
    except LedgerError as error:
        raise _malformed("bundle.parts", error) from None


def _member(uscc: str) -> tuple[bytes, bytes]:
    slots = state.member_slots(uscc)
    return slots.packed, slots.handle


def _key(material: bytes) -> tuple[bytes, bytes]:
    slots = state.key_slots(material)
    return slots.member, slots.packed


def _anchor_object(anchor: AnchorEvidence) -> dict[str, Any]:
    return {
        "anchors": _contract_object(anchor.anchors),
        "consortium": _contract_object(anchor.consortium),
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
        consortium=_contract(anchor["consortium"]),
        anchors=_contract(anchor["anchors"]),
    )


def _contract_object(contract: ContractEvidence) -> dict[str, Any]:
    return {
        "account": [b64(node) for node in contract.account],
        "storage": [
            {"proof": [b64(node) for node in item.proof], "slot": hex_of(item.slot)} for item in contract.storage
        ],
    }


def _contract(value: Any) -> ContractEvidence:
    contract = fields(value, frozenset({"account", "storage"}))
    storage = []
    for entry in array(contract["storage"], _MAX_SLOTS):
        item = fields(entry, frozenset({"proof", "slot"}))
        storage.append(SlotProof(slot=unhex(item["slot"]), proof=_nodes(item["proof"])))
    return ContractEvidence(account=_nodes(contract["account"]), storage=tuple(storage))


def _nodes(value: Any) -> tuple[bytes, ...]:
    return tuple(unb64(text(node)) for node in array(value, _MAX_NODES))


def _finality_object(finality: Finality) -> dict[str, Any]:
    if isinstance(finality, BftFinality):
        return bft_object(finality)
    if isinstance(finality, QbftFinality | UnprovenFinality):
        return network_object(finality)
    return {
        "chain": hex_of(finality.head.chain),
        "cosignatures": [_signature_object(item) for item in finality.cosignatures],
        "engine": SOLO,
        "hash": hex_of(finality.head.hash),
        "height": finality.head.height,
        "sequencer": _signature_object(finality.sequencer),
        "time": format_time(finality.head.time_ms),
    }


def _finality(value: Any) -> Finality:
    if isinstance(value, dict) and value.get("engine") == BFT:
        return read_bft(value)
    if isinstance(value, dict) and value.get("engine") in (QBFT, UNPROVEN):
        return read_network(value)
    finality = fields(value, frozenset({"chain", "cosignatures", "engine", "hash", "height", "sequencer", "time"}))
    if finality["engine"] != SOLO:
        raise InvalidInputError("finality.engine", f"this library reads {SOLO}, {BFT}, {QBFT} and {UNPROVEN}")
    return SoloFinality(
        head=Head(
            chain=unhex(finality["chain"]),
            height=integer(finality["height"]),
            hash=unhex(finality["hash"]),
            time_ms=parse_time(text(finality["time"])),
        ),
        sequencer=_signature(finality["sequencer"]),
        cosignatures=tuple(_signature(item) for item in array(finality["cosignatures"], MAX_WITNESSES)),
    )


def _signature_object(item: HeadSignature) -> dict[str, str]:
    return {"key": hex_of(item.key), "signature": b64(item.signature)}


def _signature(value: Any) -> HeadSignature:
    item = fields(value, frozenset({"key", "signature"}))
    return HeadSignature(key=unhex(item["key"]), signature=unb64(text(item["signature"]), 64))


def _disclosure(value: Any) -> Disclosure:
    item = fields(value, frozenset({"field", "salt", "type", "value"}))
    return Disclosure(
        field=text(item["field"]),
        type=text(item["type"]),
        salt=unb64(text(item["salt"]), 32),
        value=unb64(text(item["value"])),
    )


def _malformed(code: str, error: LedgerError) -> InvalidInputError:
    return InvalidInputError(
        code,
        f"not a bundle: {error.message} ({error.code})",
        hint="the file was changed, cut or re-formatted: take it again from where it was made",
        expected=error.expected,
        actual=error.actual,
    )
