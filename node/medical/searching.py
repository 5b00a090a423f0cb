"""One question to all hospitals: what is there of this patient, and what of it may be recognised here and now?

All nodes are asked at once. The answer comes when the last of them answered, and at the latest at the deadline, without
those that did not and naming them. Offers hold no value; what the rules say of them is judged here, at the own head.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import InvalidInputError, LedgerError
from ledger.medical.model import OfferedReport
from ledger.medical.offers import decode_offer
from ledger.medical.recognise import Decision, recognise
from ledger.model import MemberStatus, Roles
from ledger.storage.steps import Shown
from ledger.v1 import medical_pb2
from node.medical.asking import Course, own_institution
from node.medical.judging import require_hospital, require_own_hospital
from node.medical.pseudonyms import MAX_KEYS
from node.medical.road import Absent, late

if TYPE_CHECKING:
    from ledger.medical.rules import RuleSet
    from ledger.medical.standing import Institution, Standing
    from ledger.model import MemberInfo
    from node.context import NodeContext
    from node.medical.dialogue import Dialogue

#: The most reports one hospital offers of one patient.
MAX_OFFERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An offered report and the decision about each of its items."""

    offer: OfferedReport
    decisions: tuple[Decision, ...]
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found. ``asked``: how many other hospitals; ``judged_s``: Unix seconds; ``rules``: judged by these."""

    found: tuple[Found, ...]
    absent: tuple[Absent, ...]
    asked: int
    rules_version: int
    rules: RuleSet
    judged_s: int


def search(dialogue: Dialogue, identity: str, purpose: str, course: Course, deadline_ms: int) -> Answer:
    """Ask all hospitals for what they offer of a patient: those of this region, and of the regions that have an
    agreement with it. ``identity`` goes to these regions' commissions alone.

    Raises: NotAllowedError(medical.not-hospital | medical.no-institution), UnavailableError(chain.stale | medical.*).
    """
    end = time.monotonic() + deadline_ms / 1_000
    context = dialogue.context
    context.require_fresh_chain()
    require_own_hospital(context)
    asker = own_institution(dialogue)
    at_s = context.clock() // 1_000
    standing = dialogue.rules.standing()
    near, far = _others(context, asker, standing, at_s)
    regions = Regions(dialogue, identity, purpose, end)
    regions.ask(far)
    left_s = max(0.001, end - time.monotonic())
    pseudonyms = tuple(pseudonym for _, pseudonym in dialogue.pseudonyms.of(identity, timeout_s=left_s))
    request = medical_pb2.PeerSearchRequest(pseudonyms=pseudonyms, purpose=purpose)
    offers, absent = _ask_all(dialogue, near, request, end)
    for more, missing in regions.answers():
        offers += more
        absent += missing
    offers += [(offer, True) for offer in offered(dialogue, pseudonyms, context.member)]
    version, _, rules = dialogue.rules.in_force(at_s)
    found = [
        Found(
            offer=offer,
            decisions=recognise(offer, asker=asker, at_s=at_s, course=course, rules=rules, standing=standing),
            own=own,
        )
        for offer, own in offers
    ]
    dialogue.steps.show(
        Shown(
            report=offer.report,
            version=offer.version,
            institution=offer.institution,
            at_s=at_s,
            items=tuple((facts.place, facts.item or "") for facts in offer.facts),
        )
        for offer, own in offers
        if not own
    )
    found.sort(key=lambda one: (-(one.offer.issued_s or 0), one.offer.institution, one.offer.report))
    return Answer(
        found=tuple(found),
        absent=tuple(sorted(absent, key=lambda one: one.member)),
        asked=len(near) + sum(map(len, far.values())),
        rules_version=version,
        rules=rules,
        judged_s=at_s,
    )


def _others(
    context: NodeContext, asker: Institution, standing: Standing, at_s: int
) -> tuple[list[str], dict[str, list[str]]]:
    """The other hospitals: those of the own region (and whom no commission entered), and by region those of the others
    with which an agreement is in force. Pseudonyms are a region's own: elsewhere they find nobody."""
    agreed = {
        region
        for agreement in standing.agreements
        if agreement.from_s <= at_s and (agreement.ended_s is None or at_s < agreement.ended_s)
        for region in (agreement.region_a, agreement.region_b)
        if asker.region in (agreement.region_a, agreement.region_b)
    }
    near: list[str] = []
    far: dict[str, list[str]] = {}
    for info in context.contracts.consortium.members():
        if not info.roles & Roles.HOSPITAL or info.status is not MemberStatus.ACTIVE or info.uscc == context.member:
            continue
        entry = standing.institution(info.uscc)
        if entry is None or entry.region == asker.region:
            near.append(info.uscc)
        elif entry.region in agreed:
            far.setdefault(entry.region, []).append(info.uscc)
    return near, far


class Regions:
    """Other regions' hospitals, asked each under the pseudonyms of its region, all regions at once."""

    def __init__(self, dialogue: Dialogue, identity: str, purpose: str, end: float) -> None:
        self._dialogue, self._identity, self._purpose, self._end = dialogue, identity, purpose, end
        self._asked: dict[str, tuple[list[str], threading.Thread]] = {}
        self._found: dict[str, tuple[list[tuple[OfferedReport, bool]], list[Absent]]] = {}

    def ask(self, regions: Mapping[str, list[str]]) -> None:
        """Begin to ask hospitals by region."""
        for region, members in regions.items():
            thread = threading.Thread(target=self._ask, args=(region, members), name="medical-region", daemon=True)
            self._asked[region] = members, thread
            thread.start()

    def answers(self) -> Iterator[tuple[list[tuple[OfferedReport, bool]], list[Absent]]]:
        """What each region's hospitals offer, and who is absent; at the end of the time without what is not there."""
        for region, (members, thread) in self._asked.items():
            thread.join(max(0.0, self._end - time.monotonic()))
            yield self._found.get(region) or ([], [late(member) for member in members])

    def _ask(self, region: str, members: list[str]) -> None:
        try:
            left_s = max(0.001, self._end - time.monotonic())
            pseudonyms = [one for _, one in self._dialogue.pseudonyms.of(self._identity, region, left_s)]
            request = medical_pb2.PeerSearchRequest(pseudonyms=pseudonyms, purpose=self._purpose)
            self._found[region] = _ask_all(self._dialogue, members, request, self._end)
        except LedgerError as error:
            absent = [Absent(member=member, code=error.code, message=error.message) for member in members]
            self._found[region] = [], absent


def offered(dialogue: Dialogue, pseudonyms: Sequence[bytes], asker: str) -> list[OfferedReport]:
    """What this hospital offers another (or itself) of the patient behind pseudonyms; nothing that he forbids."""
    return _offered(dialogue, _subjects(dialogue, pseudonyms), asker)


def _subjects(dialogue: Dialogue, pseudonyms: Sequence[bytes]) -> set[bytes]:
    found = {dialogue.pseudonyms.find(pseudonym) for pseudonym in pseudonyms}
    return {subject for subject in found if subject is not None}


def _offered(dialogue: Dialogue, subjects: set[bytes], asker: str) -> list[OfferedReport]:
    at_s = dialogue.context.clock() // 1_000
    found: dict[bytes, OfferedReport] = {}
    for subject in subjects:
        if asker == dialogue.context.member or dialogue.consents.allows(subject, asker, at_s):
            found.update({offer.report: offer for offer in dialogue.reports.offers(subject)})
    newest = sorted(found.values(), key=lambda offer: -(offer.issued_s or 0))
    return newest[:MAX_OFFERS]


def answer_peer(
    dialogue: Dialogue, caller: MemberInfo, pseudonyms: Sequence[bytes], purpose: str = ""
) -> list[OfferedReport]:
    """What another hospital's search finds here; that it searched, and for what, is kept for the patient.

    Raises: NotAllowedError(medical.not-hospital), UnavailableError(chain.stale), InvalidInputError(input.field).
    """
    dialogue.context.require_fresh_chain()
    require_own_hospital(dialogue.context)
    require_hospital(dialogue.context, caller, "the asking member")
    if not 1 <= len(pseudonyms) <= MAX_KEYS or any(len(one) != 32 for one in pseudonyms):
        raise InvalidInputError("input.field", f"pseudonyms: 1 to {MAX_KEYS} of 32 bytes each", actual=len(pseudonyms))
    subjects = _subjects(dialogue, pseudonyms)
    found = _offered(dialogue, subjects, caller.uscc)
    if dialogue.asked is not None:
        for subject in subjects:
            dialogue.asked.note(subject, caller.uscc, purpose, len(found))
    return found


def _ask_all(
    dialogue: Dialogue, others: Sequence[str], request: medical_pb2.PeerSearchRequest, end: float
) -> tuple[list[tuple[OfferedReport, bool]], list[Absent]]:
    heard = dialogue.road.search(dialogue.context, others, request, end)
    absent = list(heard.absent)
    offers: list[tuple[OfferedReport, bool]] = []
    for member, answer in heard.answers:
        try:
            offers += [(offer, False) for offer in _offers(member, answer)]
        except LedgerError as error:
            absent.append(Absent(member=member, code=error.code, message=error.message))
    return offers, absent


def _offers(member: str, answer: medical_pb2.PeerSearchResponse) -> list[OfferedReport]:
    """What a hospital answered. Raises: InvalidInputError(medical.offer)."""
    if len(answer.offers) > MAX_OFFERS:
        raise InvalidInputError("medical.offer", f"{member} offers more reports than a search takes", hint="ask it")
    offers = [decode_offer(bytes(data)) for data in answer.offers]
    for offer in offers:
        if offer.institution != member:
            raise InvalidInputError(
                "medical.offer", f"{member} offers a report of {offer.institution}", hint="ask it", actual=member
            )
    return offers
