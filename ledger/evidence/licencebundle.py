"""What a bundle of a licence holds beside the bundle of its issue record: the licence, and its issuer's standing.

The record's anchor shows by when the licence existed; the issuer's key and accreditation are proven under a block of
their own, at or after the anchor's, because they may end later: what is said of them is as of that block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ledger.codec import b64, unb64
from ledger.evidence.fields import array, fields, integer, text
from ledger.evidence.pieces import (
    ContractEvidence,
    Finality,
    LicenceEvidence,
    contract_object,
    finality_object,
    read_contract,
    read_finality,
)

#: The type line of the commitment in an issue record; its value is the issuer-signed JWT, the part before the first ~.
ISSUED_TYPE: Final = "licence.issued/licence"
#: The most spans of accreditation one bundle carries.
MAX_SPANS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusProof:
    """A status list and what binds it to the chain. ``token``: the signed list; ``key``: the SubjectPublicKeyInfo that
    it is signed with, which ``signer`` proves; ``version``: the newest that the chain has of the list ``number``, which
    ``head`` proves."""

    token: str
    key: bytes
    number: int
    version: int
    signer: LicenceEvidence
    head: LicenceEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceProof:
    """A licence and its issuer's standing in a block.

    ``presentation``: SD-JWT with the disclosures that are shown; ``salt``: opens the issue record's commitment (32
    bytes); ``header``: RLP of the block, which ``finality`` proves; ``members``: the number of active members in it;
    ``key``: SubjectPublicKeyInfo of the licence's key; ``spans``: the accreditations that are proven, by number.
    """

    presentation: str
    salt: bytes
    header: bytes
    finality: Finality
    members: ContractEvidence
    key: bytes
    spans: tuple[int, ...]
    issuer: LicenceEvidence
    status: StatusProof | None = None


def subject_object(record: bytes, proof: LicenceProof) -> dict[str, Any]:
    """The field ``subject`` of a licence's bundle."""
    return {"kind": "credential", "licence": proof.presentation, "record": b64(record), "salt": b64(proof.salt)}


def issuer_object(proof: LicenceProof) -> dict[str, Any]:
    """The field ``issuer`` of a licence's bundle."""
    value: dict[str, Any] = {
        "consortium": contract_object(proof.issuer.consortium),
        "finality": finality_object(proof.finality),
        "header": b64(proof.header),
        "key": b64(proof.key),
        "licences": contract_object(proof.issuer.licences),
        "members": contract_object(proof.members),
        "spans": list(proof.spans),
    }
    if proof.status is not None:
        value["status"] = {
            "head": _evidence_object(proof.status.head),
            "key": b64(proof.status.key),
            "number": proof.status.number,
            "signer": _evidence_object(proof.status.signer),
            "token": proof.status.token,
            "version": proof.status.version,
        }
    return value


def read_proof(subject: Any, issuer: Any) -> tuple[bytes, LicenceProof]:
    """The record and the licence in the fields ``subject`` and ``issuer``. Raises: InvalidInputError(json.* | …)."""
    shown = fields(subject, frozenset({"kind", "licence", "record", "salt"}))
    said = fields(
        issuer,
        frozenset({"consortium", "finality", "header", "key", "licences", "members", "spans"}),
        frozenset({"status"}),
    )
    proof = LicenceProof(
        presentation=text(shown["licence"]),
        salt=unb64(text(shown["salt"]), 32),
        header=unb64(text(said["header"])),
        finality=read_finality(said["finality"]),
        members=read_contract(said["members"]),
        key=unb64(text(said["key"])),
        spans=tuple(integer(number) for number in array(said["spans"], MAX_SPANS)),
        issuer=LicenceEvidence(consortium=read_contract(said["consortium"]), licences=read_contract(said["licences"])),
        status=_read_status(said["status"]) if "status" in said else None,
    )
    return unb64(text(shown["record"])), proof


def _read_status(value: Any) -> StatusProof:
    said = fields(value, frozenset({"head", "key", "number", "signer", "token", "version"}))
    return StatusProof(
        token=text(said["token"]),
        key=unb64(text(said["key"])),
        number=integer(said["number"]),
        version=integer(said["version"]),
        signer=_read_evidence(said["signer"]),
        head=_read_evidence(said["head"]),
    )


def _evidence_object(evidence: LicenceEvidence) -> dict[str, Any]:
    return {"consortium": contract_object(evidence.consortium), "licences": contract_object(evidence.licences)}


def _read_evidence(value: Any) -> LicenceEvidence:
    said = fields(value, frozenset({"consortium", "licences"}))
    return LicenceEvidence(consortium=read_contract(said["consortium"]), licences=read_contract(said["licences"]))
