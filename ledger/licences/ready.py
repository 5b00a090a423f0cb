"""Answers about sound licences that are put together natively.

Most of a verdict is the same for all sound licences of an issuer, a type and a status list while nothing is read anew.
That much is made ready here, by judging licences as :func:`ledger.licences.verify.judge` does, and cut where something
is of one licence; the native code opens a licence, fills the gaps, and leaves everything that is not plainly valid to
the judge. The answer is the serialised ``LicenceVerdict`` of the gateway, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec

from ledger import _native
from ledger.licences import credential
from ledger.licences.batch import KnownKeys, Shown
from ledger.licences.credential import Credential, StatusPlace
from ledger.licences.judging import Terms, when
from ledger.licences.sdjwt import SEAL
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.suites import suite_of
from ledger.licences.templates import LABELS
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import CHECKS, LicenceSummary, Verdict
from ledger.licences.verify import judge_read

Opened = _native.OpenedLicences
#: The licence in a serialised ``LicencePresentation`` that states nothing else, has no key binding and is no slip,
#: reference, bundle or packed licence; None of every other message.
alone = _native.licence_alone

#: What is of one licence is cut out here: JSON has no such character.
_GAP: Final = msgspec.Raw(b"\0")
#: The last moment that is shown as an end: where it stands in the line, any other may stand. Unix seconds.
_END: Final = 253_402_271_999
_END_TEXT: Final = when(_END * 1_000).encode()
_LINES: Final = tuple(CHECKS.index(name) for name in ("accredited", "time", "holder"))
#: Of a licence that names its holder's key only that it does is told.
_SOME_KEY: Final = b"\0"
#: After every time of issue, Unix milliseconds.
_NEVER: Final = 1 << 62


class ReadyVerdicts:
    """Answers made ready, for as long as the caller says. Thread-safe."""

    def __init__(self) -> None:
        self._native = _native.ReadyVerdicts(credential.TYP, dict(_heads()))

    def answer(self, text: str, keys: KnownKeys, now_ms: int) -> bytes | Opened:
        """The answer about a licence (of :func:`alone`) as of ``now_ms``, or the licence opened, to be judged."""
        return self._native.answer(text, keys, now_ms)

    def learn(
        self,
        opened: Opened,
        *,
        trust: IssuerTrust,
        listed: VerifiedStatusList,
        times_ms: tuple[int, int],
        told: Callable[[Verdict], dict[str, Any]],
    ) -> None:
        """Make ready what a licence that was judged valid shares with others; ``trust`` and ``listed``: what it was
        judged by; ``times_ms``: from when to before when they may be used; ``told``: a verdict as it is answered."""
        read, (first, end) = opened.said(0), times_ms
        if read is None or read[8] is None or end <= first:
            return
        kid, alg, iss, vct, (uri, index) = *read[:4], read[8]
        name = (kid, iss, vct, uri)
        if self._native.knows(name, first):
            return
        shown = Shown(kid=kid, suite=suite_of(alg), key_binding=None, presented="")
        said = Credential(
            issuer=credential.parse_issuer(iss),
            type_code=credential.parse_vct(vct),
            issued_at=None,
            not_before=None,
            expires=_END,
            holder_spki=_SOME_KEY,
            status=StatusPlace(uri=uri, index=index),
            facts={},
            hidden=0,
        )

        def judged(now_ms: int, **changes: Any) -> Verdict:
            return judge_read(
                shown,
                msgspec.structs.replace(said, **changes),
                trust=trust,
                status=lambda _: listed,
                terms=Terms(now_ms=now_ms),
                seal=SEAL,
                identified=True,
            )

        spans = list(_spans(trust, judged, first, end - 1))
        if not spans:
            return
        frame = told(judged(first))
        lines = frame["checks"]
        _, until, proven = (lines[at] for at in _LINES)
        endless = told(judged(first, expires=None, holder_spki=None))["checks"]
        for at in _LINES:
            lines[at] = _GAP
        frame |= {"at": _GAP, "claims": _GAP, "hidden": _GAP}
        frame["view"]["age_ms"] = _GAP
        self._native.learn(
            name,
            times=times_ms,
            pieces=msgspec.json.encode(frame).split(bytes(_GAP)),
            spans=spans,
            until=bytes(until).split(_END_TEXT),
            endless=bytes(endless[_LINES[1]]),
            holder=(bytes(proven), bytes(endless[_LINES[2]])),
            view=trust.view_time_ms,
            bits=listed.list.bits,
            entries=listed.list.packed,
        )


def _spans(
    trust: IssuerTrust, judged: Callable[..., Verdict], first: int, last: int
) -> Iterator[tuple[int, int, bytes]]:
    """The spans of issue in which a licence is valid at both moments, with its line of accreditation. What ends does
    not begin again, so that it is valid in between as well."""
    ends = [_NEVER if span.until_ms is None else span.until_ms for span in trust.accreditations]
    bounds = sorted({trust.key_from_ms, *(span.from_ms for span in trust.accreditations), *ends})
    for start, end in pairwise(bounds):
        second = -(-start // 1_000)
        if start < trust.key_from_ms or second * 1_000 >= min(end, first + 1) or trust.accredited_at(start) is None:
            continue
        early, late = judged(first, issued_at=second), judged(last, issued_at=second)
        if early.code == late.code == "valid" and early.checks == late.checks:
            yield start, end, bytes(early.told()["checks"][_LINES[0]])


def _heads() -> Iterator[tuple[str, bytes]]:
    """How the claims of licences begin in a verdict, up to their value, by their names."""
    said = LicenceSummary(issuer="", type_code="", claims=dict.fromkeys(LABELS, _GAP))
    for claim in Verdict(code="valid", checks=(), at_ms=0, licence=said).told()["claims"]:
        yield claim["name"], msgspec.json.encode(claim).split(bytes(_GAP))[0]
