"""Answers of the city in memory that are put together natively, and the same as the Python code writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger.licences import batch
from ledger.licences.judging import Terms
from ledger.licences.ready import Opened, ReadyVerdicts
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import Verdict
from ledger.v1 import gateway_pb2 as pb
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import ISSUER

KEYS = batch.known_keys({ISSUER.kid: ISSUER.spki})
NOW_MS = city.NOW * 1_000
#: For how long the city's answers are ready.
TIMES_MS = (NOW_MS, NOW_MS + 2_000)


def wire(verdict: Verdict) -> bytes:
    """A verdict as the gateway answers it, without the key."""
    return pb.LicenceVerdict(code=verdict.code, verdict=msgspec.json.encode(verdict.told())).SerializeToString()


def opened(text: str) -> Opened:
    """A licence opened, and nothing ready."""
    found = ReadyVerdicts().answer(text, KEYS, NOW_MS)
    assert not isinstance(found, bytes)
    return found


def learned(
    trust: IssuerTrust | None = None, listed: VerifiedStatusList | None = None, times_ms: tuple[int, int] = TIMES_MS
) -> ReadyVerdicts:
    """Answers made ready with the licence of the city."""
    made = ReadyVerdicts()
    made.learn(
        opened(city.licence()),
        trust=trust or city.trust(),
        listed=listed or city.listed(),
        times_ms=times_ms,
        told=Verdict.told,
    )
    return made


def alike(
    made: ReadyVerdicts, text: str, *, trust: IssuerTrust, listed: VerifiedStatusList, now_ms: int = NOW_MS
) -> bool:
    """Whether an answer was ready; it is the Python code's, and so is the verdict where none was."""
    found = made.answer(text, KEYS, now_ms)
    given: dict[str, Any] = {"trust": lambda *_: trust, "status": lambda _: listed}
    expected = batch.judge_one(text, terms=Terms(now_ms=now_ms), keys=KEYS, **given)
    if isinstance(found, bytes):
        assert found == wire(expected)
        return True
    terms = Terms(now_ms=now_ms)
    assert wire(batch.judge_done(found, 0, text, terms, given["trust"], given["status"])) == wire(expected)
    return False


_CITY = learned()


def answered(text: str) -> bytes | None:
    """The answer of the city as it is, where one is ready."""
    found = _CITY.answer(text, KEYS, NOW_MS)
    return found if isinstance(found, bytes) else None
