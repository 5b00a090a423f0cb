"""Notices between hospitals: a report that was opened was corrected or withdrawn (``docs/formats.md``, medical notice).

``{"notice": {...}, "signature": base64, "v": 1}`` in JCS; the hospital that has the report signs the domain digest
``medical-notice`` of the inner object's bytes with its receipt key. Both logs record the digest of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from ledger import codec
from ledger.codec import b64, domain_digest, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.fields import fields, hex_of, integer, text, unhex
from ledger.evidence.request import check_receipt_signer, verify_party
from ledger.identifiers import parse_uscc
from ledger.keys import Signer
from ledger.model import format_time, parse_time

MAX_NOTICE_BYTES: Final = 4_096
_FIELDS: Final = frozenset({"chain", "change", "consumer", "provider", "report", "time", "version"})

Change = Literal["corrected", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNotice:
    """What a hospital tells another that had opened its report. ``chain``, ``report``: 32 bytes; ``version``: of the
    report after the change; ``time_ms``: Unix milliseconds."""

    chain: bytes
    provider: str
    consumer: str
    report: bytes
    version: int
    change: Change
    time_ms: int


def sign_notice(signer: Signer, notice: ChangeNotice) -> bytes:
    """The signed notice's bytes. Raises: InvalidInputError(key.role | json.*)."""
    check_receipt_signer(signer)
    inner = _object(notice)
    signature = signer.sign(domain_digest("medical-notice", codec.encode(inner)))
    return codec.encode({"notice": inner, "signature": b64(signature), "v": 1})


def decode_notice(data: bytes) -> ChangeNotice:
    """The notice in signed bytes, its signature not yet checked. Raises: InvalidInputError(medical.notice)."""
    return _decode(data)[0]


def verify_notice(data: bytes, provider_key: bytes) -> ChangeNotice:
    """Check form and the provider's signature (``provider_key``: its receipt key, 32 bytes).

    Raises: InvalidInputError(medical.notice), UntrustedError(medical.notice-signature).
    """
    notice, inner, signature = _decode(data)
    verify_party(
        provider_key, domain_digest("medical-notice", inner), signature, "medical.notice-signature", notice.provider
    )
    return notice


def notice_digest(data: bytes) -> bytes:
    """32 bytes: the domain digest ``medical-notice-file`` of a notice's bytes, as it stands in both logs."""
    return domain_digest("medical-notice-file", data)


def _object(notice: ChangeNotice) -> dict[str, Any]:
    return {
        "chain": hex_of(notice.chain),
        "change": notice.change,
        "consumer": parse_uscc(notice.consumer),
        "provider": parse_uscc(notice.provider),
        "report": hex_of(notice.report),
        "time": format_time(notice.time_ms),
        "version": notice.version,
    }


def _decode(data: bytes) -> tuple[ChangeNotice, bytes, bytes]:
    try:
        value = codec.decode(data, max_bytes=MAX_NOTICE_BYTES)
        fields(value, frozenset({"notice", "signature", "v"}))
        inner = fields(value["notice"], _FIELDS)
        notice = ChangeNotice(
            chain=unhex(inner["chain"]),
            provider=parse_uscc(text(inner["provider"])),
            consumer=parse_uscc(text(inner["consumer"])),
            report=unhex(inner["report"]),
            version=integer(inner["version"]),
            change=_change(text(inner["change"])),
            time_ms=parse_time(text(inner["time"])),
        )
        return notice, codec.encode(inner), unb64(text(value["signature"]), 64)
    except LedgerError as error:
        raise InvalidInputError("medical.notice", f"not a notice of a changed report: {error}") from None


def _change(word: str) -> Change:
    if word == "corrected":
        return "corrected"
    if word == "withdrawn":
        return "withdrawn"
    raise InvalidInputError("json.fields", "a report is corrected or withdrawn", actual=word[:40])
