"""An offer's canonical bytes: what one hospital tells another of a report before it is opened.

A JCS object; its digest stands in the receipt of the opening, so that both hospitals agree on what was offered.
"""

from __future__ import annotations

from typing import Any, Final

from ledger import codec
from ledger.codec import domain_digest
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.fields import array, fields, flag, hex_of, integer, text, unhex
from ledger.identifiers import parse_uscc
from ledger.medical.model import MAX_ITEMS, Category, Facts, OfferedReport

MAX_OFFER_BYTES: Final = 1 << 20
_FIELDS: Final = frozenset(
    {"category", "concluded", "facts", "institution", "issued", "report", "status", "v", "version"}
)
_FACTS: Final = frozenset({"item", "method", "place", "specimen", "state", "status", "taken", "valued"})


def encode_offer(offer: OfferedReport) -> bytes:
    """The canonical bytes. Raises: InvalidInputError(json.* | identifier.uscc)."""
    return codec.encode(
        {
            "category": offer.category.value,
            "concluded": offer.concluded,
            "facts": [
                {
                    "item": facts.item,
                    "method": facts.method,
                    "place": facts.place,
                    "specimen": facts.specimen,
                    "state": facts.state,
                    "status": facts.status,
                    "taken": facts.taken_s,
                    "valued": facts.valued,
                }
                for facts in offer.facts
            ],
            "institution": parse_uscc(offer.institution),
            "issued": offer.issued_s,
            "report": hex_of(offer.report),
            "status": offer.status,
            "v": 1,
            "version": offer.version,
        }
    )


def decode_offer(data: bytes) -> OfferedReport:
    """The offer in canonical bytes, and in nothing else. Raises: InvalidInputError(medical.offer)."""
    try:
        value = fields(codec.decode(data, max_bytes=MAX_OFFER_BYTES), _FIELDS)
        return OfferedReport(
            report=unhex(value["report"]),
            institution=parse_uscc(text(value["institution"])),
            category=Category(text(value["category"])),
            status=text(value["status"]),
            issued_s=_time(value["issued"]),
            facts=tuple(_facts(item) for item in array(value["facts"], MAX_ITEMS)),
            version=integer(value["version"]),
            concluded=flag(value["concluded"]),
        )
    except (LedgerError, ValueError) as error:
        raise InvalidInputError(
            "medical.offer",
            f"not an offer of a report: {error}",
            hint="compare the versions of both nodes",
        ) from None


def offer_digest(offer: OfferedReport) -> bytes:
    """32 bytes: the domain digest ``medical-offer`` of the canonical bytes. The report's random id inside keeps it
    from being guessed."""
    return domain_digest("medical-offer", encode_offer(offer))


def _facts(value: Any) -> Facts:
    fields(value, _FACTS)
    return Facts(
        place=integer(value["place"]),
        item=_word(value["item"]),
        state=value["state"],
        status=text(value["status"]),
        taken_s=_time(value["taken"]),
        method=_word(value["method"]),
        specimen=_word(value["specimen"]),
        valued=flag(value["valued"]),
    )


def _word(value: Any) -> str | None:
    return None if value is None else text(value)


def _time(value: Any) -> int | None:
    return None if value is None else integer(value)
