"""A licence offline: what its bundle proves of the time of issue and of its issuer, and the verdict that follows.

The record of issue is anchored: that block's time is an upper bound of the time of issue, and nobody can back-date it.
The issuer's key and accreditation are proven under a later block of their own, as of which the verdict speaks: what
ended by then leaves licences anchored before it good, and others ``issue-time-unproven``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger.codec import commitment
from ledger.errors import UntrustedError
from ledger.evidence import state
from ledger.evidence.final import Judged, verify_finality
from ledger.evidence.finality import HeaderFields
from ledger.evidence.licencebundle import ISSUED_TYPE, LicenceProof, StatusProof
from ledger.evidence.licencestate import ProvenIssuer, read_issuer, read_list
from ledger.evidence.policy import TrustPolicy
from ledger.evidence.proven import open_contract
from ledger.evidence.seal import Seal
from ledger.licences import credential, sdjwt, statustoken
from ledger.licences.judging import Terms
from ledger.licences.sdjwt import SdJwt
from ledger.licences.statuschain import check_list
from ledger.licences.statustoken import ListKey, VerifiedStatusList
from ledger.licences.suites import kid_of
from ledger.licences.trust import Accreditation, IssuerTrust, Proven, key_end
from ledger.licences.verdict import Outcome, Verdict
from ledger.licences.verify import judge_under
from ledger.model import Record, StatusHeadInfo, format_time
from ledger.verifylinks import Check, check_header, link, quorum_needed

#: The checks of a licence that are about the bundle itself: one that fails is a broken link, not a verdict.
_OF_THE_BUNDLE: Final = ("structure", "signature")
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFinding:
    """The verdict on a bundle's licence, and the block that its issuer's standing is proven under."""

    verdict: Verdict
    final: Judged
    issuer: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What the bundle says of the licence, in words."""
        head = self.final.head
        return (
            Check(
                name="issuer",
                ok=True,
                detail=f"key and accreditation of {self.issuer} proven in block {head.height}, "
                f"as of {format_time(head.time_ms)}",
            ),
            Check(name="licence", ok=self.verdict.accepted, detail=self.verdict.code),
        )


def open_record(proof: LicenceProof, record: Record) -> SdJwt:
    """The licence that a record says was issued.

    Raises: UntrustedError(record.licence), InvalidInputError(licence.*).
    """
    shown = sdjwt.parse(proof.presentation)
    if shown.key_binding is not None:
        raise UntrustedError("licence.bound", "a bundle holds the licence without a proof of its holder")
    if record.type != "licence.issued":
        raise _other("the record is not of the issue of a licence", "licence.issued", record.type)
    named = commitment(ISSUED_TYPE, proof.salt, shown.issued.encode("ascii")).hex()
    if record.body["licence"] != named:
        raise _other("the record is of the issue of another licence", record.body["licence"], named)
    issuer = credential.parse_issuer(shown.claims.get("iss"))
    if issuer != record.member:
        raise _other("the record is in the log of another body than the licence's issuer", issuer, record.member)
    code = credential.parse_vct(shown.claims.get("vct"))
    if code != record.body["type"]:
        raise _other("the record is of another type of licence", code, record.body["type"])
    return shown


def judge_licence(
    proof: LicenceProof,
    shown: SdJwt,
    record: Record,
    trust: TrustPolicy,
    *,
    anchored_s: int,
    anchor: HeaderFields,
    at_ms: int | None,
    without_status: bool = False,
    status_age_s: int | None = None,
) -> LicenceFinding:
    """The verdict on a licence whose issue record is proven to have been anchored at ``anchored_s`` (Unix seconds), in
    the state of the block ``anchor`` or before.

    ``at_ms``: the time of judging; None takes the newest time that policy, proven block and status list state;
    ``without_status``: a bundle without a status list is taken, too; ``status_age_s``: how old its list may be. Raises:
    UntrustedError with a code that names the broken link.
    """
    with link("policy"):
        code_hash = _licences_code(trust)
    with link("finality"):
        header = check_header(proof.header, proof.finality, trust)
        if header.height < anchor.height:
            raise UntrustedError(
                "state.older",
                "the issuer's standing is proven in a block before the one that anchors the record",
                expected=f"at least {anchor.height}",
                actual=header.height,
            )
    with link("state"):
        members = open_contract(
            proof.members, header.state_root, trust.consortium, trust.consortium_code_hash, "Consortium"
        )
        active = state.decode_count(members.take(state.active_count_slot(), "the number of active members"))
        members.done()
        codes = {
            "consortium": trust.consortium,
            "consortium_code_hash": trust.consortium_code_hash,
            "licences_code_hash": code_hash,
        }
        issuer = read_issuer(
            proof.issuer,
            header.state_root,
            code=str(record.body["type"]),
            member=record.member,
            key=hashlib.sha256(proof.key).digest(),
            numbers=proof.spans,
            **codes,
        )
    with link("finality"):
        final = verify_finality(proof.finality, trust, quorum_needed(active, trust))
    with link("licence"):
        known = _trust_of(issuer, proof.key, final)
        listed = None if proof.status is None else _status_list(proof.status, shown, header.state_root, record, codes)
        verdict = judge_under(
            proof.presentation,
            terms=Terms(
                now_ms=_newest_ms(trust, final, listed) if at_ms is None else at_ms,
                issue_time=1_000 * anchored_s,
                as_of=True,
                without_status=without_status,
                status_age_s=status_age_s,
            ),
            trust=lambda kid, _iss, _vct: known if kid == kid_of(known.spki) else None,
            status=lambda _: listed,
        )
        _require_whole(verdict)
    return LicenceFinding(verdict=verdict, final=final, issuer=record.member, seal=_SEAL)


def _licences_code(trust: TrustPolicy) -> bytes:
    if trust.licences_code_hash is None:
        raise UntrustedError(
            "policy.licences",
            "the policy does not say which contract of licences it trusts",
            hint="take a newer policy from a member you trust; the city's contract of licences must be in force",
        )
    if trust.takes_unproven:
        raise UntrustedError(
            "policy.unproven",
            "where no block is proven, the chain cannot vouch for an issuer's key",
            hint="check the licence online, at the city's gateway or a member's node",
        )
    return trust.licences_code_hash


def _newest_ms(trust: TrustPolicy, final: Judged, listed: VerifiedStatusList | None) -> int:
    # On an idle chain the newest block is older than a list that was signed anew since.
    return max(trust.pinned.checked_at_ms, final.head.time_ms, 0 if listed is None else 1_000 * listed.iat)


def _trust_of(found: ProvenIssuer, spki: bytes, final: Judged) -> IssuerTrust:
    ended_ms, kind = key_end(found.key)
    spans = []
    for span in found.spans:
        # None reaches beyond the type's withdrawal.
        ends = [end for end in (span.valid_until, found.withdrawn_at) if end]
        until_ms = 1_000 * min(ends) if ends else None
        if until_ms is None or 1_000 * span.valid_from < until_ms:
            spans.append(Accreditation(from_ms=1_000 * span.valid_from, until_ms=until_ms, by=span.by))
    return IssuerTrust(
        issuer=found.member,
        spki=spki,
        key_from_ms=1_000 * found.key.valid_from,
        key_ended_ms=ended_ms,
        key_ended_kind=kind,
        key_until_ms=1_000 * found.key.valid_to or None,
        accreditations=tuple(spans),
        view_height=final.head.height,
        view_time_ms=final.head.time_ms,
        proven=Proven.STORAGE_PROOF,
        finality=final.kind,
    )


def _status_list(
    proof: StatusProof, shown: SdJwt, state_root: bytes, record: Record, codes: Mapping[str, bytes]
) -> VerifiedStatusList:
    """The status list in a bundle, held against the chain by the rule that everybody has who takes one."""
    signer = read_issuer(
        proof.signer,
        state_root,
        code=str(record.body["type"]),
        member=record.member,
        key=hashlib.sha256(proof.key).digest(),
        numbers=(),
        **codes,
    )
    uri = _status_uri(shown.claims)
    found = statustoken.verify(
        proof.token,
        uri=uri,
        issuer=record.member,
        key_of=lambda kid: ListKey(issuer=record.member, spki=proof.key) if kid == kid_of(proof.key) else None,
    )
    head = read_list(proof.head, state_root, issuer=record.member, number=proof.number, version=proof.version, **codes)
    if head.versions != proof.version:
        raise UntrustedError("licence.status-chain", "what is proven of the status list is not its newest version")
    check_list(found, key=signer.key, head=StatusHeadInfo(uri_digest=head.uri_digest, newest=head.version))
    return found


def _status_uri(claims: Mapping[str, Any]) -> str:
    status = claims.get("status")
    place = status.get("status_list") if isinstance(status, dict) else None
    uri = place.get("uri") if isinstance(place, dict) else None
    if not isinstance(uri, str):
        raise UntrustedError("licence.status-uri", "the licence names no status list, and the bundle has one")
    return uri


def _require_whole(verdict: Verdict) -> None:
    """A licence that was changed is a broken link of the bundle, like any other changed byte of it."""
    for check in verdict.checks:
        if check.outcome is Outcome.FAIL and (check.name in _OF_THE_BUNDLE or verdict.licence is None):
            raise UntrustedError(
                check.code,
                f"the licence in the bundle does not hold: {check.name}",
                hint="the file was changed or made of something else: take it again from the issuer's node",
            )


def _other(message: str, expected: object, actual: object) -> UntrustedError:
    return UntrustedError("record.licence", message, expected=expected, actual=actual)
