"""One function judges a licence: the web page, the command, the services and the library all call it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ledger.errors import LedgerError
from ledger.evidence.seal import Seal
from ledger.licences import credential, judging, packing, sdjwt, texts
from ledger.licences.credential import Credential
from ledger.licences.judging import StatusSource, Terms
from ledger.licences.sdjwt import Presented, VerifiedClaims
from ledger.licences.suites import kid_of
from ledger.licences.texts_refusals import verdict_of
from ledger.licences.trust import IssuerTrust
from ledger.licences.verdict import CHECKS, Check, LicenceSummary, Outcome, Verdict, worst

#: (kid, iss, vct) -> what the chain says of that key and issuer for that type; None: no such key of that issuer.
TrustSource = Callable[[str, str, str], IssuerTrust | None]

#: Reasons that are about the signature or the key; all others are about the form.
_SIGNATURE: Final = frozenset({"licence.signature", "licence.alg-none"})
_ISSUER: Final = frozenset({"licence.unknown-key", "licence.key", "licence.key-mismatch", "licence.issuer-mismatch"})


def judge(
    presentation: str,
    *,
    now_ms: int,
    trust: TrustSource,
    status: StatusSource,
    audience: str | None = None,
    nonce: str | None = None,
    require_binding: bool = False,
    issue_time: int | None = None,
    copy_recipient: str | None = None,
) -> Verdict:
    """The verdict on a presentation of a licence, packed or not, at ``now_ms`` (Unix ms).

    ``trust`` and ``status`` answer from what the caller verified itself; an error that ``trust`` raises is the caller's
    own (a chain that cannot be asked) and passes through. The other arguments are those of :class:`Terms`.
    """
    terms = Terms(
        now_ms=now_ms,
        audience=audience,
        nonce=nonce,
        require_binding=require_binding,
        issue_time=issue_time,
        copy_recipient=copy_recipient,
    )
    return judge_under(presentation, terms=terms, trust=trust, status=status)


def judge_under(presentation: str, *, terms: Terms, trust: TrustSource, status: StatusSource) -> Verdict:
    """:func:`judge` with its terms put together already."""
    now_ms = terms.now_ms
    try:
        parsed = sdjwt.parse(packing.unpack(presentation) if packing.is_packed(presentation) else presentation)
        parsed.jws.require_typ(credential.TYP)
        kid = parsed.jws.kid
        credential.parse_issuer(parsed.claims.get("iss"))
        credential.parse_vct(parsed.claims.get("vct"))
    except LedgerError as error:
        return rejected(error.code, now_ms=now_ms)
    known = trust(kid, parsed.claims["iss"], parsed.claims["vct"])
    if known is None:
        return rejected("licence.unknown-key", now_ms=now_ms)
    try:
        check_key(parsed, parsed.claims["iss"], known)
        opened = sdjwt.verify(parsed, known.spki, typ=credential.TYP)
    except LedgerError as error:
        return rejected(error.code, now_ms=now_ms, trust=known)
    return judge_opened(parsed, opened, trust=known, status=status, terms=terms)


def check_key(parsed: Presented, iss: object, trust: IssuerTrust) -> None:
    """Whether what the caller knows is about the key and the issuer (``iss``) that the licence names.

    Raises: UntrustedError(licence.key-mismatch | licence.issuer-mismatch).
    """
    if _name_of(trust.spki) != parsed.kid:
        raise sdjwt.untrusted("licence.key-mismatch", "the key is not the one that the licence names")
    if credential.ISSUER_PREFIX + trust.issuer != iss:
        raise sdjwt.untrusted("licence.issuer-mismatch", "the key belongs to another body than the licence names")


#: What is known of an issuer is asked for with each of its licences.
_name_of = lru_cache(maxsize=256)(kid_of)


def judge_opened(
    parsed: Presented, opened: VerifiedClaims, *, trust: IssuerTrust, status: StatusSource, terms: Terms
) -> Verdict:
    """The verdict on a licence whose signature was verified under ``trust.spki`` and whose disclosures were opened."""
    try:
        check_key(parsed, opened.claims.get("iss"), trust)
        said = credential.read(opened)
    except LedgerError as error:
        return rejected(error.code, now_ms=terms.now_ms, trust=trust)
    return judge_read(parsed, said, trust=trust, status=status, terms=terms, seal=sdjwt.SEAL)


def judge_read(
    parsed: Presented,
    said: Credential,
    *,
    trust: IssuerTrust,
    status: StatusSource,
    terms: Terms,
    seal: Seal,
    identified: bool = False,
) -> Verdict:
    """The same where the licence was read as well (by :func:`ledger.licences.credential.read`, or natively by the
    batch), under a key that is its issuer's; ``identified``: its identifier was found right."""
    sdjwt.SEAL.check(seal)
    holder, bound = judging.check_holder(parsed, said, terms)
    listed, found = judging.check_status(said, status, terms)
    issuer, accredited = judging.check_issuer(trust, said, terms), judging.check_accredited(trust, said, terms)
    checks = (
        judging.passed("structure"),
        judging.passed("signature", alg=parsed.suite.alg),
        issuer,
        accredited,
        judging.check_time(said, terms),
        listed,
        holder,
        judging.check_audience(bound, terms),
        judging.passed("identifier") if identified else judging.check_identifier(said),
        judging.check_purpose(bound, terms),
    )
    return Verdict(
        code=worst(checks, when_issued=issuer.code == "key-ended" or accredited.code == "ended"),
        checks=checks,
        at_ms=terms.now_ms,
        licence=LicenceSummary(
            issuer=said.issuer,
            type_code=said.type_code,
            claims=said.facts,
            not_before_ms=None if said.not_before is None else said.not_before * 1_000,
            expires_ms=None if said.expires is None else said.expires * 1_000,
            hidden=said.hidden,
        ),
        view_height=trust.view_height,
        view_time_ms=trust.view_time_ms,
        proven=trust.proven.value,
        finality=trust.finality,
        status_time_ms=None if found is None else found.iat * 1_000,
        status_version=None if found is None else found.version,
    )


def rejected(reason: str, *, now_ms: int, trust: IssuerTrust | None = None) -> Verdict:
    """The verdict on what was refused before its content could be judged, by its reason."""
    failed = "signature" if reason in _SIGNATURE else "issuer" if reason in _ISSUER else "structure"
    lines = {name: Check(name=name, outcome=Outcome.SKIP, code=texts.NOT_REACHED) for name in CHECKS}
    if failed != "structure":
        lines["structure"] = Check(name="structure", outcome=Outcome.SKIP, code="unopened")
    if failed == "issuer":
        lines["signature"] = Check(name="signature", outcome=Outcome.SKIP, code="no-key")
    lines[failed] = Check(name=failed, outcome=Outcome.FAIL, code=reason)
    return Verdict(
        code=verdict_of(failed, reason),
        checks=tuple(lines.values()),
        at_ms=now_ms,
        view_height=None if trust is None else trust.view_height,
        view_time_ms=None if trust is None else trust.view_time_ms,
        proven=None if trust is None else trust.proven.value,
        finality=None if trust is None else trust.finality,
    )
