"""The pieces that bundles are made of, and their JSON: proven slots of a contract, and the finality of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.bft import BFT, BftFinality, bft_object, read_bft
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.finality import SOLO, Head, HeadSignature, SoloFinality
from ledger.evidence.network import UNPROVEN, NetworkFinality, UnprovenFinality, network_object, read_network
from ledger.evidence.qbftfinality import QBFT, QbftFinality
from ledger.model import format_time, parse_time

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
class LicenceEvidence:
    """Proofs of the slots of Consortium and of Licences under one state root, in the order in which they are read."""

    consortium: ContractEvidence
    licences: ContractEvidence


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


def contract_object(contract: ContractEvidence) -> dict[str, Any]:
    """A contract's evidence as JSON."""
    return {
        "account": [b64(node) for node in contract.account],
        "storage": [
            {"proof": [b64(node) for node in item.proof], "slot": hex_of(item.slot)} for item in contract.storage
        ],
    }


def read_contract(value: Any) -> ContractEvidence:
    """The inverse of :func:`contract_object`. Raises: InvalidInputError(json.fields | base64.*)."""
    contract = fields(value, frozenset({"account", "storage"}))
    storage = []
    for entry in array(contract["storage"], _MAX_SLOTS):
        item = fields(entry, frozenset({"proof", "slot"}))
        storage.append(SlotProof(slot=unhex(item["slot"]), proof=_nodes(item["proof"])))
    return ContractEvidence(account=_nodes(contract["account"]), storage=tuple(storage))


def _nodes(value: Any) -> tuple[bytes, ...]:
    return tuple(unb64(text(node)) for node in array(value, _MAX_NODES))


def finality_object(finality: Finality) -> dict[str, Any]:
    """A finality of any engine as JSON."""
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


def read_finality(value: Any) -> Finality:
    """The inverse of :func:`finality_object`. Raises: InvalidInputError(json.fields | finality.engine | …)."""
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


def malformed(code: str, error: LedgerError) -> InvalidInputError:
    """The refusal of a file that is no bundle, from what its reader said."""
    return InvalidInputError(
        code,
        f"not a bundle: {error.message} ({error.code})",
        hint="the file was changed, cut or re-formatted: take it again from where it was made",
        expected=error.expected,
        actual=error.actual,
    )
