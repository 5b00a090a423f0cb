"""What the gateway answers about licences in JSON."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from gateway.licences.issuers import ShownIssuer
from gateway.licences.judging import Judged
from ledger.licences.trust import Accreditation

_JSON: Final = msgspec.json.Encoder()


def verdict(judged: Judged) -> bytes:
    """The verdict's own JSON; ``key``: what it was checked with, for whoever checks again; ``presentation``: what
    waited behind a reference."""
    return _JSON.encode(judged.told())


def issuer(found: ShownIssuer) -> dict[str, Any]:
    """An issuer's keys and accreditations."""
    return {
        "issuer": found.issuer,
        "keys": [
            {
                "kid": key.published.kid,
                "alg": key.published.alg,
                "spki": _base64(key.published.spki),
                "status": key.chain.status,
                "from": key.chain.valid_from * 1000,
                "ended": key.ended_ms,
            }
            for key in found.keys
        ],
        "accreditations": [_span(span) for span in found.accreditations],
        "view": {"height": found.view_height, "time": found.view_time_ms},
    }


def _span(span: Accreditation) -> dict[str, Any]:
    return {"from": span.from_ms, "until": span.until_ms, "by": span.by}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
