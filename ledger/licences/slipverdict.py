"""The verdict on a slip: the same checks, words and codes as on a licence shown online.

A slip proves no holder: it shows a masked name, and a person compares it with the holder's own document. Nothing proves
when a slip was signed (the record of issue is the licence's, not the slip's): under a key or an accreditation that has
ended it is not relied on, and the holder asks for a new one.
"""

from __future__ import annotations

from ledger.errors import LedgerError
from ledger.licences import b64, judging, slip
from ledger.licences.copies import CopyTerms
from ledger.licences.credential import ISSUER_PREFIX, Credential, StatusPlace
from ledger.licences.judging import SKEW_MS, StatusSource, Terms
from ledger.licences.slip import SignedSlip, Slip
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import Check, LicenceSummary, Outcome, Verdict, worst
from ledger.licences.verify import TrustSource, rejected


def judge_slip(
    text: str,
    *,
    now_ms: int,
    trust: TrustSource,
    status: StatusSource,
    copy_recipient: str | None = None,
) -> Verdict:
    """The verdict on a slip at ``now_ms`` (Unix ms), from the same sources as
    :func:`ledger.licences.verify.judge`.

    ``trust(kid, iss, vct)`` gets as ``kid`` the base64url of the first eight bytes of the key's digest, which is all
    that a slip has room for: the answer is the issuer's key whose digest begins so.
    """
    terms = Terms(now_ms=now_ms, copy_recipient=copy_recipient)
    try:
        found = slip.read(text)
    except LedgerError as error:
        return rejected(error.code, now_ms=now_ms)
    issuer = found.slip.parts.issuer
    known = trust(b64.encode(found.signed.key_prefix), ISSUER_PREFIX + issuer, found.slip.vct)
    if known is None:
        return rejected("licence.unknown-key", now_ms=now_ms)
    try:
        found.signed.verify(known.spki)
    except LedgerError as error:
        return rejected(error.code, now_ms=now_ms, trust=known)
    if known.issuer != issuer:
        return rejected("licence.issuer-mismatch", now_ms=now_ms, trust=known)
    return _judged(found, known, status, terms)


def _judged(found: SignedSlip, trust: IssuerTrust, source: StatusSource, terms: Terms) -> Verdict:
    said = _credential(found.slip)
    listed, newest = judging.check_status(said, source, terms)
    checks = (
        Check(name="structure", outcome=Outcome.PASS, code="slip"),
        Check(name="signature", outcome=Outcome.PASS, code="ok", detail={"alg": found.signed.suite.alg}),
        judging.check_issuer(trust, said, terms),
        judging.check_accredited(trust, said, terms),
        _check_time(found.slip, said, terms),
        listed,
        Check(name="holder", outcome=Outcome.SKIP, code="slip"),
        Check(name="audience", outcome=Outcome.SKIP, code="any"),
        judging.check_identifier(said),
        _check_purpose(found.slip.copy, terms),
    )
    return Verdict(
        code=worst(checks, when_issued=False),
        checks=checks,
        at_ms=terms.now_ms,
        licence=LicenceSummary(
            issuer=said.issuer,
            type_code=said.type_code,
            claims=said.facts,
            not_before_ms=found.slip.valid_from_s * 1_000,
            expires_ms=None if found.slip.valid_until_s is None else found.slip.valid_until_s * 1_000,
        ),
        view_height=trust.view_height,
        view_time_ms=trust.view_time_ms,
        proven=trust.proven.value,
        finality=trust.finality,
        status_time_ms=None if newest is None else newest.iat * 1_000,
        status_version=None if newest is None else newest.version,
    )


def _credential(given: Slip) -> Credential:
    return Credential(
        issuer=given.parts.issuer,
        type_code=given.parts.type_code,
        issued_at=given.made_s,
        not_before=given.valid_from_s,
        expires=given.valid_until_s,
        holder_spki=None,
        status=StatusPlace(uri=given.status_uri, index=given.status_index),
        facts={"ZZMC": given.title, "CZZT": given.holder, "ZZBS": given.identifier},
        hidden=0,
    )


def _check_time(given: Slip, said: Credential, terms: Terms) -> Check:
    """The licence's validity, and that of the slip itself; a copy's end is its purpose's line."""
    of_licence = judging.check_time(said, terms)
    over = terms.now_ms - SKEW_MS >= given.ends_s * 1_000
    if of_licence.outcome is Outcome.FAIL or given.copy is not None or not over:
        return of_licence
    until = judging.when(given.ends_s * 1_000)
    return Check(name="time", outcome=Outcome.FAIL, code="licence.slip-ended", detail={"until": until})


def _check_purpose(copy: CopyTerms | None, terms: Terms) -> Check:
    if copy is None:
        return Check(name="purpose", outcome=Outcome.SKIP, code="none")
    return judging.check_copy_terms(copy, terms)
