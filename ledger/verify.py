"""The offline verifier: a bundle and a policy in, a verdict out. No network, no files, no clock.

The chain of evidence, link by link: record -> inclusion proof -> checkpoint signed by the log and cosigned by a quorum
of other members -> the same head in the Anchors contract -> storage proofs under a block's state root, of that anchor
and of every key used -> the block's finality by validators the policy pins. A broken link raises ``UntrustedError``
whose code names it: ``bundle.*``, ``record.*``, ``inclusion.*``, ``checkpoint.*``, ``anchor.*``, ``state.*``,
``finality.*``, ``policy.*``; of a licence's bundle, which :mod:`ledger.verifylicence` goes on with, ``licence.*``.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Final, Literal

from ledger import codec
from ledger.errors import UntrustedError
from ledger.evidence import merkle
from ledger.evidence.bundle import Bundle, decode_bundle
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    Checkpoint,
    Note,
    VKey,
    WitnessedCheckpoint,
    parse_checkpoint,
    parse_note,
    parse_proof,
    verify_checkpoint,
)
from ledger.evidence.final import describe, describe_pin, verify_finality
from ledger.evidence.finality import HeaderFields
from ledger.evidence.network import UNPROVEN
from ledger.evidence.policy import TrustPolicy, decode_policy
from ledger.evidence.proven import ProvenState, check_log_key, check_witness_key, read_state
from ledger.evidence.seal import Seal
from ledger.licences.verdict import Verdict as LicenceVerdict
from ledger.model import MemberStatus, Record, format_time
from ledger.verifylicence import judge_licence, open_record
from ledger.verifylinks import LINKS, Check, check_header, link, quorum_needed

__all__ = ["LINKS", "Check", "Verdict", "verify_bundle"]

#: A bundle's signed time may be this far ahead of the clock of who judges it.
CLOCK_SKEW_MS: Final = 60_000
_SEAL: Final = Seal()

Outcome = Literal["verified", "expired", "unproven", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of :func:`verify_bundle`.

    ``verified``: every link holds and the policy vouches for the validators. ``expired``: every link holds, but the
    policy is too old to vouch for them (``code`` is then ``policy.expired``): a newer policy is needed. ``unproven``:
    every link holds but the last, because the network behind the engine ``external`` proves nothing of its blocks, and
    the policy takes that (``code`` is then ``finality.unproven``): what is reached is ``anchored``, never ``final``.

    ``licence``: the verdict on the licence that the record is the issue of. ``rejected``: every link holds, and that
    verdict is that the licence may not be relied on (``code`` is then ``licence.`` and the verdict's own code).
    """

    verdict: Outcome
    reached: Literal["final", "anchored"]
    finality: str
    checks: tuple[Check, ...]
    record: Record
    opened: tuple[tuple[str, str], ...]
    origin: str
    size: int
    index: int
    anchor_height: int
    anchor_time: int
    judged_at_ms: int
    seal: InitVar[object]
    code: str = ""
    licence: LicenceVerdict | None = None

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON."""
        subject: dict[str, Any] = {
            "kind": "record" if self.licence is None else "credential",
            "record": {
                "body": dict(self.record.body),
                "member": self.record.member,
                "time": format_time(self.record.time_ms),
                "type": self.record.type,
            },
        }
        if self.opened:
            subject["opened"] = dict(self.opened)
        value: dict[str, Any] = {
            "verdict": self.verdict,
            "reached": self.reached,
            "finality": self.finality,
            "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in self.checks],
            "subject": subject,
            "log": {"origin": self.origin, "size": self.size, "index": self.index},
            "anchor": {"height": self.anchor_height, "time": format_time(1000 * self.anchor_time)},
            "judged_at": format_time(self.judged_at_ms),
        }
        if self.code:
            value["code"] = self.code
        if self.licence is not None:
            value["licence"] = self.licence.to_dict()
        return value


def verify_bundle(
    bundle: bytes,
    policy: bytes,
    at_ms: int | None = None,
    *,
    without_status: bool = False,
    status_age_s: int | None = None,
) -> Verdict:
    """Judge a bundle file by a policy file, as of ``at_ms`` (Unix milliseconds; by default when the policy was made).

    ``without_status``: whoever judges takes a licence's bundle without a status list, too, which proves nothing of
    revocation; ``status_age_s``: how old the list may be at most (seconds; None: any age, which the verdict states).

    Raises: InvalidInputError(policy.format); UntrustedError with a code that names the broken link.
    """
    trust = decode_policy(policy)
    judged_at = trust.pinned.checked_at_ms if at_ms is None else at_ms
    with link("bundle"):
        content = decode_bundle(bundle)
    with link("record"):
        record, opened = _read_record(content)
        shown = None if content.licence is None else open_record(content.licence, record)
    with link("inclusion"):
        index, note = _check_inclusion(content)
    with link("checkpoint"):
        head = parse_checkpoint(note.text)
    with link("anchor"):
        header = check_header(content.anchor.header, content.finality, trust)
    with link("state"):
        proven = _read_state(content, trust, header, record)
    with link("policy"):
        # The sequencer is one of the active members; the log's member may have been suspended since.
        quorum = quorum_needed(proven.active_count, trust)
        witnesses = quorum_needed(proven.active_count + (proven.member.status != MemberStatus.ACTIVE), trust)
    with link("checkpoint"):
        witnessed = _check_checkpoint(note, proven, witnesses, trust)
    with link("anchor"):
        _check_anchor(witnessed.checkpoint, proven, header)
    with link("finality"):
        final = verify_finality(content.finality, trust, quorum)
    finding = None
    if content.licence is not None and shown is not None:
        finding = judge_licence(
            content.licence,
            shown,
            record,
            trust,
            anchored_s=proven.anchor.time,
            anchor=header,
            at_ms=at_ms,
            without_status=without_status,
            status_age_s=status_age_s,
        )
    newest_ms = max(final.head.time_ms, 0 if finding is None else finding.final.head.time_ms)
    if at_ms is not None and newest_ms > at_ms + CLOCK_SKEW_MS:
        raise UntrustedError(
            "finality.future",
            "the bundle is from after the time of judging",
            hint="judge it as of a later time, or compare the clocks",
            expected=format_time(at_ms),
            actual=format_time(newest_ms),
        )
    current = max(judged_at, newest_ms) <= trust.trusted_until_ms
    proven_final = final.kind != UNPROVEN
    checks = (
        Check(name="record", ok=True, detail=f"a {record.type} record of {record.member}"),
        Check(name="inclusion", ok=True, detail=f"entry {index} of {head.size} in {head.origin}"),
        Check(name="checkpoint", ok=True, detail=f"signed by the log, cosigned by {witnesses} other members"),
        Check(
            name="anchor",
            ok=True,
            detail=f"anchored at {format_time(1000 * proven.anchor.time)}; the log's member is "
            f"{proven.member.status.word}",
        ),
        Check(name="state", ok=True, detail=f"contracts, keys and members proven in block {header.height}"),
        Check(name="finality", ok=proven_final, detail=describe(final)),
        *(() if finding is None else finding.checks),
        Check(
            name="policy", ok=current, detail=f"{describe_pin(final, trust.pinned)}; {_trust_detail(current, trust)}"
        ),
    )
    outcome: Outcome
    if not current:
        outcome, code = "expired", "policy.expired"
    elif finding is not None and not finding.verdict.accepted:
        outcome, code = "rejected", f"licence.{finding.verdict.code}"
    else:
        outcome, code = ("verified", "") if proven_final else ("unproven", "finality.unproven")
    return Verdict(
        verdict=outcome,
        reached="final" if proven_final else "anchored",
        finality=final.kind,
        checks=checks,
        record=record,
        opened=opened,
        origin=head.origin,
        size=head.size,
        index=index,
        anchor_height=header.height,
        anchor_time=proven.anchor.time,
        judged_at_ms=judged_at,
        seal=_SEAL,
        code=code,
        licence=None if finding is None else finding.verdict,
    )


def _read_record(content: Bundle) -> tuple[Record, tuple[tuple[str, str], ...]]:
    record = codec.decode_record(content.record)
    opened: dict[str, str] = {}
    for item in content.disclosures:
        commitment = codec.commitment(item.type, item.salt, item.value).hex()
        if record.body.get(item.field) != commitment or item.field in opened:
            raise UntrustedError(
                "record.disclosure",
                f"what is disclosed does not open the field {ascii(item.field)[:40]}",
                expected=str(record.body.get(item.field, "no such field")),
                actual=commitment,
            )
        try:
            opened[item.field] = item.value.decode("utf-8")
        except UnicodeDecodeError:
            opened[item.field] = codec.b64(item.value)
    return record, tuple(opened.items())


def _check_inclusion(content: Bundle) -> tuple[int, Note]:
    proof = parse_proof(content.inclusion)
    if proof.extra is not None:
        raise UntrustedError("inclusion.extra", "a bundle's inclusion proof carries no extra data: nothing signs it")
    note = parse_note(proof.note)
    head = parse_checkpoint(note.text)
    merkle.verify_inclusion(merkle.leaf_hash(content.record), proof.index, head.size, head.root, proof.hashes)
    return proof.index, note


def _read_state(content: Bundle, trust: TrustPolicy, header: HeaderFields, record: Record) -> ProvenState:
    proven = read_state(
        content.anchor,
        header.state_root,
        record.member,
        consortium=trust.consortium,
        consortium_code_hash=trust.consortium_code_hash,
        anchors_code_hash=trust.anchors_code_hash,
    )
    check_log_key(proven.log_key, proven.anchor.time)
    return proven


def _check_checkpoint(note: Note, proven: ProvenState, quorum: int, trust: TrustPolicy) -> WitnessedCheckpoint:
    log = VKey(name=proven.member.origin, type=ED25519_NOTE, public=proven.log_key.material)
    witnesses = [
        VKey(name=item.member.witness_name, type=ED25519_COSIGNATURE, public=item.key.material)
        for item in proven.witnesses
    ]
    witnessed = verify_checkpoint(note, log, witnesses, quorum, exact=True)
    if [signature.name for signature in note.signatures[1:]] != [key.name for key in witnesses]:
        raise UntrustedError("checkpoint.signatures", "witness keys stand in the order of the cosignatures")
    for item, cosignature in zip(proven.witnesses, witnessed.cosignatures, strict=True):
        check_witness_key(item.key, cosignature.time, proven.anchor.time)
    pins = {pin.name: pin for pin in trust.pins}
    for key in (log, *witnesses):
        if trust.takes_unproven and key.name not in pins:
            raise UntrustedError(
                "policy.pin",
                f"the policy pins no key of {key.name}: where no block is proven, the chain cannot vouch for one",
                hint="take a newer policy from a member you trust",
                actual=key.public,
            )
        if pins.get(key.name, key) != key:
            raise UntrustedError("policy.pin", f"the policy pins another key of {key.name}", actual=key.public)
    return witnessed


def _check_anchor(head: Checkpoint, proven: ProvenState, header: HeaderFields) -> None:
    if proven.anchor.time > header.time:
        raise UntrustedError("anchor.time", "anchored after its block", expected=header.time, actual=proven.anchor.time)
    pairs: tuple[tuple[str, str, object, object], ...] = (
        ("anchor.generation", "the generation of the log", proven.member.generation, proven.anchor.generation),
        ("anchor.size", "the anchored size", proven.anchor.size, head.size),
        ("anchor.root", "the anchored root", proven.anchor.root, head.root),
    )
    for code, what, expected, actual in pairs:
        if expected != actual:
            raise UntrustedError(
                code,
                f"{what} is not the checkpoint's",
                hint="a bundle uses the newest anchored checkpoint: take it again from the node",
                expected=expected,
                actual=actual,
            )


def _trust_detail(current: bool, trust: TrustPolicy) -> str:
    until = format_time(trust.trusted_until_ms)
    return f"validators trusted until {until}" if current else f"validators were trusted until {until} only"
