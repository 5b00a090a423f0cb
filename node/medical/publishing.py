"""The figures that a hospital's node shows everybody: counted anew at the end of each interval, signed when asked for.

What both sides of a step take for its time is that of the signed request, so that they count it in the same month.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.days import day_of, start_of
from ledger.errors import InvalidInputError, UnavailableError
from ledger.evidence.medicalstep import decode_step
from ledger.medical.figuresfile import (
    MAX_MONTHS,
    HospitalFigures,
    HospitalMonth,
    ItemWord,
    month_number,
    month_word,
    sign_figures,
    steps_digest,
)
from ledger.medical.published import Month, month_of, months, no_figures
from ledger.medical.reasons import retest_reasons
from ledger.medical.ruleset import RuleSet
from ledger.medical.statistics import UNLISTED, Step, StepEvent
from ledger.model import KeyRole
from ledger.storage.steps import StepEntry, StepStore
from node.medical.counting import STEPS
from node.medical.judging import require_own_hospital

if TYPE_CHECKING:
    from node.medical.dialogue import Dialogue

#: An item whose code is not mapped to one of the rule set.
_UNMAPPED = ("未对应的项目", "not mapped to an item")
#: Digests by month, role and the other hospital.
_Digests = Mapping[str, Mapping[str, Mapping[str, bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    as_of_ms: int
    months: Mapping[str, Month]
    sides: _Digests


class Publishing:
    """The public figures of one hospital. Thread-safe."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._context = dialogue.context
        self._lock = threading.Lock()
        self._counted: _Counted | None = None

    def file(self, first: str, last: str) -> bytes:
        """The signed figures of some months, from ``first`` to ``last``; none named: the newest there may be.

        Raises: NotAllowedError(medical.not-hospital), InvalidInputError(medical.month | medical.months),
        UnavailableError(medical.figures-counting), and what ``Rules.in_force`` raises.
        """
        context = self._context
        require_own_hospital(context)
        now_ms = context.clock()
        until = month_number(last) if last else month_number(month_of(now_ms // 1_000))
        begin = month_number(first) if first else until - MAX_MONTHS + 1
        if not 0 <= until - begin < MAX_MONTHS:
            raise InvalidInputError(
                "medical.months",
                f"figures are told of at most {MAX_MONTHS} months at once, the first before the last",
                hint="from=2026-01&to=2026-11",
            )
        rules = self._dialogue.rules.in_force(now_ms // 1_000)[2]
        found = self._count(cut_off(now_ms, context.config.medical.figures_interval))
        known = found.months.keys() | found.sides.keys()
        told = tuple(_month(word, found) for number in range(begin, until + 1) if (word := month_word(number)) in known)
        figures = HospitalFigures(
            chain=context.genesis_digest,
            hospital=context.member,
            as_of_ms=found.as_of_ms,
            months=told,
            items={key: _item(key, rules) for key in sorted({key for one in told for key in one.figures.items})},
            reasons=_reasons({key for one in told for key in one.figures.reasons}, rules),
        )
        return sign_figures(context.signers[KeyRole.RECEIPT], figures)

    def _count(self, as_of_ms: int) -> _Counted:
        known = self._counted
        if known is not None and known.as_of_ms == as_of_ms:
            return known
        # One counts; the others are not kept waiting, for they would take the door's workers with them.
        if not self._lock.acquire(blocking=False):
            if known is not None:
                return known
            raise UnavailableError(
                "medical.figures-counting", "the figures are being counted", hint="ask again in a minute"
            )
        try:
            sides = _Sides()
            counted = months(_events(self._dialogue.steps, self._context.member, as_of_ms, sides), self._context.member)
            self._counted = _Counted(as_of_ms=as_of_ms, months=counted, sides=sides.digests())
            return self._counted
        finally:
            self._lock.release()


class _Sides:
    """The steps of both roles, by month and the other hospital."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, dict[str, list[bytes]]]] = {}

    def add(self, step: StepEntry, time_ms: int) -> None:
        roles = self._ids.setdefault(month_of(time_ms // 1_000), {"consumer": {}, "provider": {}})
        roles[step.role].setdefault(step.counterpart, []).append(step.id)

    def digests(self) -> _Digests:
        """What the other side's are compared with."""
        return {
            month: {
                role: {other: steps_digest(found) for other, found in sorted(others.items())}
                for role, others in roles.items()
            }
            for month, roles in self._ids.items()
        }


def cut_off(now_ms: int, interval_s: int) -> int:
    """The end of the newest whole interval, Unix milliseconds: intervals are counted from a midnight of China, so that
    a day's ends at midnight."""
    interval_ms = interval_s * 1_000
    midnight = start_of(day_of(0))
    return midnight + (now_ms - midnight) // interval_ms * interval_ms


def _events(steps: StepStore, member: str, as_of_ms: int, sides: _Sides) -> Iterator[StepEvent]:
    """What was offered to this hospital, and what it made of it, before a time; every step goes to ``sides``."""
    for one in steps.shown():
        if one.at_s * 1_000 < as_of_ms:
            for place, item in one.items:
                yield StepEvent(
                    kind=Step.OFFERED,
                    report=one.report,
                    version=one.version,
                    place=place,
                    item=item,
                    provider=one.institution,
                    asker=member,
                    at_s=one.at_s,
                )
    for step in steps.every():
        if step.state != "complete" or (time_ms := decode_step(step.request).time_ms) >= as_of_ms:
            continue
        sides.add(step, time_ms)
        if step.role == "provider":
            continue
        for place, item in step.items:
            yield StepEvent(
                kind=STEPS[step.kind],
                report=step.report,
                version=step.version,
                place=place,
                item=item,
                provider=step.counterpart,
                asker=member,
                at_s=time_ms // 1_000,
                reason=step.reason or None,
            )


def _month(word: str, found: _Counted) -> HospitalMonth:
    roles = found.sides.get(word, {})
    # Where there were others' steps alone, this hospital's own figures are none.
    figures = found.months.get(word) or no_figures(word)
    return HospitalMonth(figures=figures, asked=roles.get("consumer", {}), examined=roles.get("provider", {}))


def _item(key: str, rules: RuleSet) -> ItemWord:
    item = rules.item(key)
    if item is not None:
        return ItemWord(zh=item.zh, en=item.en, specialty=item.specialty, price_cents=item.price_cents)
    zh, en = (key, key) if key else _UNMAPPED
    return ItemWord(zh=zh, en=en, specialty=UNLISTED, price_cents=0)


def _reasons(keys: set[str], rules: RuleSet) -> dict[str, tuple[str, str]]:
    known = {reason.code: (reason.zh, reason.en) for reason in retest_reasons(rules)}
    return {key: known.get(key, (key, key)) for key in sorted(keys)}
