"""The checks on an opened licence, one function for each line of the verdict.

The signer's own clock proves nothing: where a key or an accreditation has ended, only a record on the chain from before
that moment (``issue_time``) shows that the licence is from before too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from ledger.days import CST
from ledger.errors import LedgerError, UntrustedError
from ledger.licences import binding, copies, identifier, statustoken
from ledger.licences.credential import Credential
from ledger.licences.sdjwt import Presented
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.trust import Accreditation, IssuerTrust, KeyEnd
from ledger.licences.verdict import Check, Outcome, shared

#: Clocks may differ by this much.
SKEW_MS: Final = 60_000
_VALID, _INVALID, _SUSPENDED = 0, 1, 2
#: The last second of 9999 in China, Unix seconds.
_LAST_S: Final = 253_402_300_799 - 8 * 3_600

StatusSource = Callable[[str], VerifiedStatusList | None]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the verifier asks for. ``now_ms``: the time of judging; ``issue_time``: when the licence's record of issue
    was proven to be on the chain (Unix ms), None without such a proof; ``audience``, ``nonce``: what the key binding
    must state; ``copy_recipient``: the USCC of who is checking, for copies made for one body; ``as_of``: judged by
    proofs of an earlier time, where a status list says how it was then; ``without_status``: the verifier takes such
    proofs also without a status list; ``status_age_s``: how old a list of theirs may be (None: any)."""

    now_ms: int
    audience: str | None = None
    nonce: str | None = None
    require_binding: bool = False
    issue_time: int | None = None
    copy_recipient: str | None = None
    as_of: bool = False
    without_status: bool = False
    status_age_s: int | None = None


def check_issuer(trust: IssuerTrust, said: Credential, terms: Terms) -> Check:
    """Whether the key was in force when the licence was issued."""
    proven = terms.issue_time
    claimed = terms.now_ms if said.issued_at is None else said.issued_at * 1_000
    if min(claimed + SKEW_MS, terms.now_ms) < trust.key_from_ms or (proven or terms.now_ms) < trust.key_from_ms:
        return _fail("issuer", "licence.key-not-yet", since=when(trust.key_from_ms))
    if trust.key_ended_ms is None and trust.key_until_ms is None:
        return passed("issuer", issuer=trust.issuer)
    stolen = trust.key_ended_ms if trust.key_ended_kind is KeyEnd.COMPROMISED else None
    # The span of a key that was stolen after its end ended when it ended.
    ended = min((end for end in (trust.key_ended_ms, trust.key_until_ms) if end is not None), default=None)
    if ended is None or (ended > terms.now_ms and stolen is None):
        return passed("issuer", issuer=trust.issuer)
    if proven is not None and proven < ended:
        return Check(
            name="issuer",
            outcome=Outcome.PASS,
            code="key-ended",
            detail={"ended": when(ended), "proven": when(proven)},
        )
    if stolen is not None and (proven is None or proven >= stolen):
        return _fail("issuer", "licence.key-compromised", ended=when(stolen))
    return _fail("issuer", "licence.issue-time-unproven", ended=when(ended))


def check_accredited(trust: IssuerTrust, said: Credential, terms: Terms) -> Check:
    """Whether the issuer was accredited for the type when the licence was issued."""
    if not trust.type_known:
        return _fail("accredited", "licence.type-unknown")
    if not trust.accreditations:
        return _fail("accredited", "licence.not-accredited")
    proven = terms.issue_time
    claimed = proven if said.issued_at is None else said.issued_at * 1_000
    span: Accreditation | None
    if claimed is None:
        begun = [item for item in trust.accreditations if item.from_ms <= terms.now_ms]
        span = trust.accredited_at(terms.now_ms) or max(begun, key=lambda item: item.from_ms, default=None)
    else:
        span = (
            trust.accredited_at(claimed)
            or trust.accredited_at(claimed + SKEW_MS)
            or trust.accredited_at(claimed - SKEW_MS)
        )
    if span is None or (proven is not None and proven + SKEW_MS < span.from_ms):
        return _fail("accredited", "licence.not-accredited-then", issued=when(claimed or terms.now_ms))
    until = trust.unbroken_until(span)
    if until is None or until > terms.now_ms:
        return passed("accredited", by=span.by, since=when(span.from_ms))
    return _ended(span, until, proven)


def _ended(span: Accreditation, ended: int, proven: int | None) -> Check:
    if proven is None or proven >= ended:
        return _fail("accredited", "licence.issue-time-unproven", ended=when(ended))
    return Check(
        name="accredited",
        outcome=Outcome.PASS,
        code="ended",
        detail={"by": span.by, "ended": when(ended), "proven": when(proven)},
    )


def check_time(said: Credential, terms: Terms) -> Check:
    """Whether the licence is in its validity; a minute's difference of clocks is allowed. Source: RFC 7519, 4.1."""
    first = max(said.not_before or 0, said.issued_at or 0) * 1_000
    if terms.now_ms + SKEW_MS < first:
        return _fail("time", "licence.not-yet-valid", since=when(first))
    if said.expires is None:
        return Check(name="time", outcome=Outcome.PASS, code="no-end")
    until = when(said.expires * 1_000)
    if terms.now_ms - SKEW_MS >= said.expires * 1_000:
        return _fail("time", "licence.expired", until=until)
    return passed("time", until=until)


def check_status(said: Credential, source: StatusSource, terms: Terms) -> tuple[Check, VerifiedStatusList | None]:
    """Whether the licence is revoked or suspended, and the list that says so.

    The code of an error that ``source`` raises is the line's reason; without an answer the status is unknown.
    """
    place = said.status
    if place is None:
        return Check(name="status", outcome=Outcome.WARN, code="none"), None
    found: VerifiedStatusList | None = None
    try:
        found = source(place.uri)
        if found is None and terms.as_of and terms.without_status:
            return Check(name="status", outcome=Outcome.WARN, code="not-included"), None
        if found is None:
            return _fail("status", f"licence.status-{'not-included' if terms.as_of else 'unavailable'}"), None
        aged = not _is_fresh(found, terms)
        value = statustoken.status_of(found, uri=place.uri, issuer=said.issuer, index=place.index)
    except LedgerError as error:
        return _fail("status", error.code, **_list(found)), found
    if value == _VALID and aged:
        return Check(name="status", outcome=Outcome.WARN, code="as-of", detail=_list(found)), found
    if value == _VALID:
        return _clean(found.iat, found.version), found
    code = {_INVALID: "licence.revoked", _SUSPENDED: "licence.suspended"}.get(value, "licence.status-reserved")
    return _fail("status", code, **_list(found)), found


def _is_fresh(found: VerifiedStatusList, terms: Terms) -> bool:
    """Whether a list still speaks now. Where it is no more than asked that it spoke once, an old one is not refused."""
    age_s = terms.now_ms // 1_000 - found.iat
    if terms.status_age_s is not None and age_s > terms.status_age_s + statustoken.SKEW_S:
        raise UntrustedError("licence.status-stale", "the status list is older than the verifier takes")
    try:
        statustoken.check_fresh(found, terms.now_ms // 1_000)
    except LedgerError as error:
        if not terms.as_of or error.code == "licence.status-future":
            raise
        return False
    return True


_UNPROVEN: Final = shared(Check(name="holder", outcome=Outcome.WARN, code="unproven"))


def check_holder(shown: Presented, said: Credential, terms: Terms) -> tuple[Check, binding.KeyBinding | None]:
    """Whether the holder's key presented the licence, and what the binding says."""
    if shown.key_binding is None:
        if terms.require_binding:
            return _fail("holder", "licence.binding-missing"), None
        if said.holder_spki is not None:
            # Whoever was given a copy can cut the holder's proof off, and with it for whom the copy was made.
            return _UNPROVEN, None
        return _skip("holder", "unbound"), None
    if said.holder_spki is None:
        return _fail("holder", "licence.binding-unbound"), None
    try:
        bound = binding.verify(shown, said.holder_spki, now_s=terms.now_ms // 1_000, max_age_s=None)
        if not copies.is_copy(bound.claims):
            # A copy ends by its own expiry, everything else five minutes after it was made.
            binding.check_age(bound, terms.now_ms // 1_000)
    except LedgerError as error:
        return _fail("holder", error.code), None
    return passed("holder", time=when(bound.issued_at * 1_000)), bound


def check_audience(bound: binding.KeyBinding | None, terms: Terms) -> Check:
    """Whether the presentation is for this verifier and this question. A copy is judged by its recipient; it
    answers no question, so that a verifier who asked one does not take it."""
    expected = terms.audience
    if bound is not None and copies.is_copy(bound.claims):
        expected = None
    if bound is None or (expected is None and terms.nonce is None):
        return _skip("audience", "any")
    if expected is not None and bound.audience != expected:
        return _fail("audience", "licence.binding-audience", audience=ascii(bound.audience)[1:-1][:80])
    if terms.nonce is not None and bound.nonce != terms.nonce:
        return _fail("audience", "licence.binding-nonce")
    return passed("audience")


def check_identifier(said: Credential) -> Check:
    """Whether the identifier, where it is shown, is of this type and issuer, and its check character right."""
    text = said.facts.get("ZZBS")
    if text is None:
        return _skip("identifier", "hidden")
    try:
        found = identifier.parse(text if isinstance(text, str) else "")
    except LedgerError as error:
        return _fail("identifier", error.code)
    if found.type_code != said.type_code:
        return _fail("identifier", "licence.identifier-type")
    if found.issuer not in (said.issuer, said.issuer[2:8], said.issuer[8:17]):
        return _fail("identifier", "licence.identifier-issuer")
    if found.rule is identifier.CheckRule.STANDARD:
        return passed("identifier")
    if found.rule is identifier.CheckRule.WIDESPREAD:
        return Check(name="identifier", outcome=Outcome.WARN, code="licence.check-widespread")
    return _fail("identifier", "licence.check-wrong")


def check_purpose(bound: binding.KeyBinding | None, terms: Terms) -> Check:
    """Whether a copy made for one body and matter is shown to that body, in its time."""
    if bound is None or not copies.is_copy(bound.claims):
        return _skip("purpose", "none")
    try:
        copy = copies.copy_in(bound)
    except LedgerError:
        copy = None
    if copy is None:
        return _fail("purpose", "licence.copy-terms")
    return check_copy_terms(copy, terms)


def check_copy_terms(copy: copies.CopyTerms, terms: Terms) -> Check:
    """Whether a copy of these terms is shown to its recipient, in its time."""
    detail = {"recipient": copy.recipient, "matter": copy.matter, "until": when(copy.expires_s * 1_000)}
    try:
        copies.check_copy(copy, now_s=terms.now_ms // 1_000, recipient=terms.copy_recipient)
    except LedgerError as error:
        return _fail("purpose", error.code, **detail)
    if terms.copy_recipient is None:
        return _fail("purpose", "licence.copy-unnamed", **detail)
    return Check(name="purpose", outcome=Outcome.PASS, code="ok", detail=detail)


def _list(found: VerifiedStatusList | None) -> dict[str, str]:
    return {} if found is None else _named(found.iat, found.version)


def _named(iat: int, version: int | None) -> dict[str, str]:
    return {"time": when(iat * 1_000), "version": "—" if version is None else str(version)}


@lru_cache(maxsize=256)
def _clean(iat: int, version: int | None) -> Check:
    return passed("status", **_named(iat, version))


def when(time_ms: int) -> str:
    """A time as people here read it: China's, to the second."""
    return _second(time_ms // 1_000)


@lru_cache(maxsize=4_096)
def _second(time_s: int) -> str:
    # Licences share their days and the lists they are in. "For ever" is often the last second of 9999 in UTC, which in
    # China lies in a year that no calendar here has.
    if not 0 <= time_s <= _LAST_S:
        return "9999-12-31 23:59:59+08:00" if time_s > 0 else "—"
    return datetime.fromtimestamp(time_s, UTC).astimezone(CST).isoformat(sep=" ")


@lru_cache(maxsize=4_096)
def passed(name: str, **detail: str) -> Check:
    """The line of a check that passed."""
    # Of a thousand licences nearly all lines say the same.
    return shared(Check(name=name, outcome=Outcome.PASS, code="ok", detail=detail))


@lru_cache(maxsize=64)
def _skip(name: str, reason: str) -> Check:
    return shared(Check(name=name, outcome=Outcome.SKIP, code=reason))


def _fail(name: str, reason: str, **detail: str) -> Check:
    return Check(name=name, outcome=Outcome.FAIL, code=reason, detail=detail)
