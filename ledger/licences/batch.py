"""Many presentations at once: taken apart, signatures, digests and disclosures checked in native code on all cores.

The verdict on each is the one of :func:`ledger.licences.verify.judge`: what the native code does not accept, and what
it has no key for, is judged there, so that every refusal has one source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger import _native
from ledger.errors import LedgerError
from ledger.licences import credential
from ledger.licences.credential import Credential, StatusPlace
from ledger.licences.judging import StatusSource, Terms
from ledger.licences.sdjwt import SEAL, Disclosure, Opened, VerifiedOpening, verified
from ledger.licences.suites import Suite, kid_of, suite_of
from ledger.licences.verdict import Verdict
from ledger.licences.verify import TrustSource, check_key, judge_read, judge_under, rejected

#: Presentations in one native call: long enough for all cores, and judged while the next ones are being opened.
PIECE: Final = 128
#: Calls under way: no core waits for the next one while verdicts are put together.
AHEAD: Final = 3
#: Issuers' keys, read once for as many batches as they are known for.
KnownKeys = _native.LicenceKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A presentation that the issuer's key of this ``kid`` signed, opened. ``presented``: everything up to and
    including the last ``~``; ``key_binding``: the KB-JWT, if one came, not verified."""

    kid: str
    suite: Suite
    key_binding: str | None
    presented: str
    opened: VerifiedOpening


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a presentation is refused: ``code`` as :func:`ledger.licences.sdjwt.parse`, ``verify`` and ``open_claims``
    raise it, ``licence.unknown-key`` where no key was given for ``kid``; ``kid``: None where it was not reached."""

    code: str
    kid: str | None


def open_batch(
    texts: Sequence[str], keys: Mapping[str, bytes], *, typ: str = credential.TYP
) -> list[Found | Refused | None]:
    """Every presentation of ``texts`` opened, or why not, in its place; None where the text is not ASCII.

    ``keys``: the issuers' keys that the caller trusts, SubjectPublicKeyInfo by kid; ``typ``: what the headers must say.
    """
    done = begin(texts, KnownKeys(dict(keys)), typ=typ).result()
    return [_item(done, place, text) for place, text in enumerate(texts)]


def begin(texts: Sequence[str], keys: KnownKeys, *, typ: str = credential.TYP) -> _native.PendingLicences:
    """Begin to open presentations on all cores; the caller goes on and waits for the result when it needs it."""
    return _native.licence_begin(texts, keys, typ)


def known_keys(keys: Mapping[str, bytes]) -> KnownKeys:
    """Keys for :func:`judge_batch`, SubjectPublicKeyInfo by kid; one that its kid does not name is left out."""
    return KnownKeys({kid: spki for kid, spki in keys.items() if kid_of(spki) == kid})


def judge_batch(
    presentations: Sequence[str],
    *,
    terms: Terms,
    trust: TrustSource,
    status: StatusSource,
    keys: KnownKeys,
) -> Iterator[Verdict]:
    """The verdicts on presentations, in order, each as :func:`ledger.licences.verify.judge` gives it.

    ``keys``: the issuers' keys the caller has at hand (:func:`known_keys`); they only save time: whose key is missing
    is judged one by one, and ``trust`` is asked for every presentation.
    """
    pieces = [presentations[at : at + PIECE] for at in range(0, len(presentations), PIECE)]
    ahead = deque(begin(piece, keys) for piece in pieces[:AHEAD])
    for number, piece in enumerate(pieces):
        done = ahead.popleft().result()
        if number + AHEAD < len(pieces):
            ahead.append(begin(pieces[number + AHEAD], keys))
        for place, text in enumerate(piece):
            yield judge_done(done, place, text, terms, trust, status)


def judge_one(presentation: str, *, terms: Terms, trust: TrustSource, status: StatusSource, keys: KnownKeys) -> Verdict:
    """The verdict on one presentation; the arguments are those of :func:`judge_batch`."""
    return judge_done(begin((presentation,), keys).result(), 0, presentation, terms, trust, status)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What judging asks of the presentation that a licence came in."""

    kid: str
    suite: Suite
    key_binding: str | None
    presented: str


def judge_done(
    done: _native.OpenedLicences, place: int, text: str, terms: Terms, trust: TrustSource, status: StatusSource
) -> Verdict:
    """The verdict on one presentation of a batch that is opened."""
    read = done.said(place)
    if read is None:
        return judge_under(text, terms=terms, trust=trust, status=status)
    kid, alg, iss, vct, issued_at, not_before, expires, holder, listed, facts, identified, hidden, end = read
    try:
        issuer, type_code = credential.parse_issuer(iss), credential.parse_vct(vct)
    except LedgerError:
        return judge_under(text, terms=terms, trust=trust, status=status)
    known = trust(kid, iss, vct)
    if known is None:
        return rejected("licence.unknown-key", now_ms=terms.now_ms)
    shown = Shown(kid=kid, suite=suite_of(alg), key_binding=text[end:] or None, presented=text[:end])
    try:
        check_key(shown, iss, known)
    except LedgerError as error:
        return rejected(error.code, now_ms=terms.now_ms, trust=known)
    said = Credential(
        issuer=issuer,
        type_code=type_code,
        issued_at=issued_at,
        not_before=not_before,
        expires=expires,
        holder_spki=holder,
        status=None if listed is None else StatusPlace(uri=listed[0], index=listed[1]),
        facts=facts,
        hidden=hidden,
    )
    return judge_read(shown, said, trust=known, status=status, terms=terms, seal=SEAL, identified=identified)


def _item(done: _native.OpenedLicences, place: int, text: str) -> Found | Refused | None:
    parts = done.parts(place)
    if parts is None:
        refusal = done.refusal(place)
        return refusal and Refused(code=refusal[0], kid=refusal[1])
    kid, alg, claims, found, hidden, end = parts
    texts = text.split("~")
    disclosures = tuple(
        Disclosure(text=texts[1 + at], path=path, parents=tuple(texts[1 + parent] for parent in parents))
        for at, path, parents in found
    )
    return Found(
        kid=kid,
        suite=suite_of(alg),
        key_binding=text[end:] or None,
        presented=text[:end],
        opened=verified(Opened(claims=claims, disclosures=disclosures, hidden=hidden)),
    )
