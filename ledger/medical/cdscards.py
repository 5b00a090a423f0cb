"""Cards for a hospital's order system: of what is ordered, that a recognisable result exists already.

A card says what was examined, when, where, under which label and why it may be recognised or not. It never says a
result: the physician opens the report, decides, and both are on record.
Source: CDS Hooks 2.0, "CDS Service Response"; Markdown as GitHub writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.days import day_of
from ledger.medical.cdsrequest import PATIENT, Ordered
from ledger.medical.cdswords import SERVICES, WORDS
from ledger.medical.model import OfferedReport
from ledger.medical.reasons import retest_reasons
from ledger.medical.recognise import Decision
from ledger.medical.ruleset import RuleSet
from ledger.medical.texts import Language, reason

#: The code system of the reasons to examine again.
REASON_SYSTEM: Final = "urn:civicledger:retest-reasons"
UNMAPPED: Final = "civicledger-unmapped"
#: A summary has fewer than 140 characters.
MAX_SUMMARY: Final = 139
#: Results of one item that a card lists, and where it is one of several; absent hospitals that are named.
_LISTED: Final = 5
_LISTED_IN_PANEL: Final = 2
_NAMED: Final = 20
#: What Markdown, or HTML in it, would read as more than a text.
_MARKED: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A search as cards are made of it. ``found``: reports with the decision about each item; ``absent``: hospitals
    (USCC) that did not answer of ``asked``; ``names`` by USCC; ``judged_s``: Unix seconds."""

    member: str
    found: Sequence[tuple[OfferedReport, Sequence[Decision]]]
    absent: Sequence[str]
    asked: int
    names: Mapping[str, str]
    rules: RuleSet
    rules_version: int
    judged_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One result of an item."""

    offer: OfferedReport
    decision: Decision

    @property
    def age_s(self) -> int:
        """Results without a time come last."""
        return 1 << 53 if self.decision.age_s is None else self.decision.age_s


def discovery(language: Language) -> dict[str, Any]:
    """The services, and what a client prefetches for them."""
    prefetch = {PATIENT: "Patient/{{context.patientId}}"}
    return {
        "services": [
            {"hook": hook, "id": service, **words[language], "prefetch": prefetch}
            for service, (hook, words) in SERVICES.items()
        ]
    }


def answer(ordered: Ordered, searched: Searched | None, language: Language) -> dict[str, Any]:
    """The response. ``searched``: none where nothing that was ordered is an item, and so nobody was asked."""
    cards = [] if searched is None else list(_cards(ordered.orders, searched, language))
    if not ordered.unmapped:
        return {"cards": cards}
    # For whoever connects an order system: which of its codes the rules do not know.
    unmapped = [{"system": system, "code": code} if system else {"code": code} for system, code in ordered.unmapped]
    return {"cards": cards, "extension": {UNMAPPED: unmapped}}


def _cards(orders: Iterable[Sequence[str]], searched: Searched, language: Language) -> Iterator[dict[str, Any]]:
    words = WORDS[language]
    seen: dict[str, list[_Seen]] = {}
    for offer, decisions in searched.found:
        for decision in decisions:
            if decision.item is not None:
                seen.setdefault(decision.item, []).append(_Seen(offer=offer, decision=decision))
    for found in seen.values():
        # What may be recognised first, the newest of it on top.
        found.sort(key=lambda one: (not one.decision.recognisable, one.age_s))
    source = {"label": words["source"].format(rules=searched.rules_version)}
    reasons = [
        {"system": REASON_SYSTEM, "code": entry.code, "display": entry.zh if language == "zh" else entry.en}
        for entry in retest_reasons(searched.rules)
    ]
    for items in orders:
        fit = {item: rows for item in items if (rows := seen.get(item)) and rows[0].decision.recognisable}
        if fit:
            rest = [item for item in items if item not in fit]
            yield {
                "summary": _summary(fit, searched, language),
                "indicator": "info",
                "detail": "\n".join(_detail(fit, rest, searched, language)),
                "source": source,
                "overrideReasons": reasons,
            }
    if searched.absent:
        names = [_plain(searched.names.get(member, member)) for member in searched.absent]
        more = [words["more"].format(n=len(names) - _NAMED)] if len(names) > _NAMED else []
        yield {
            "summary": words["absent"].format(n=len(names), asked=searched.asked),
            "indicator": "info",
            "detail": "\n".join([*(f"- {name}" for name in names[:_NAMED]), *more]),
            "source": source,
        }


def _summary(fit: Mapping[str, Sequence[_Seen]], searched: Searched, language: Language) -> str:
    """Of one item, or of the newest of a panel's."""
    words = WORDS[language]
    newest = min((rows[0] for rows in fit.values()), key=lambda one: one.age_s)
    name = _item_name(next(iter(fit)), searched.rules, language)
    text = words["summary"].format(
        item=name if len(fit) == 1 else words["panel"].format(item=name, n=len(fit), more=len(fit) - 1),
        day=_day(newest, searched.judged_s, language),
        where=_where(newest, searched, language),
    )
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"


def _detail(
    fit: Mapping[str, Sequence[_Seen]], rest: Sequence[str], searched: Searched, language: Language
) -> Iterator[str]:
    """Each item with its results, then those that have none to recognise, then what to do."""
    words, single = WORDS[language], len(fit) == 1 and not rest
    for item, rows in fit.items():
        if not single:
            yield f"**{_plain(_item_name(item, searched.rules, language))}**"
            yield ""
        yield from _results(rows, _LISTED if single else _LISTED_IN_PANEL, searched, language)
        yield ""
    if rest:
        names = words["and"].join(_item_name(item, searched.rules, language) for item in rest)
        yield words["without"].format(items=_plain(names))
        yield ""
    yield words["todo"]


def _results(rows: Sequence[_Seen], most: int, searched: Searched, language: Language) -> Iterator[str]:
    words = WORDS[language]
    for seen in rows[:most]:
        decision = seen.decision
        if decision.recognisable:
            state, why = words["recognisable"], words["label"].format(label=_plain(decision.label or ""))
        else:
            told = (reason(one.code, language, one.detail) for one in decision.reasons)
            state, why = words["not"], _plain(words["and"].join(told))
        where, day = _plain(_where(seen, searched, language)), _day(seen, searched.judged_s, language)
        report = seen.offer.report.hex()
        yield f"- **{state}**{words['colon']}{day}{words['comma']}{where}{words['semicolon']}{why} (`{report}`)"
        for note in decision.notes:
            yield f"  - {reason(note.code, language, note.detail)}"
    if len(rows) > most:
        yield ""
        yield words["more"].format(n=len(rows) - most)


def _day(seen: _Seen, judged_s: int, language: Language) -> str:
    words, age_s = WORDS[language], seen.decision.age_s
    if age_s is None:
        return words["no_day"]
    day = day_of((judged_s - age_s) * 1_000)
    ago = (day_of(judged_s * 1_000) - day).days
    said = words["today"] if ago == 0 else words["yesterday"] if ago == 1 else words["ago"].format(n=ago)
    return words["day"].format(day=day.isoformat(), ago=said)


def _where(seen: _Seen, searched: Searched, language: Language) -> str:
    if seen.offer.institution == searched.member:
        return WORDS[language]["here"]
    return searched.names.get(seen.offer.institution, seen.offer.institution)


def _item_name(item: str, rules: RuleSet, language: Language) -> str:
    known = rules.item(item)
    if known is None:
        return item
    return known.zh if language == "zh" else known.en


def _plain(text: str) -> str:
    """A text that Markdown shows as it is: names come from other members."""
    return _MARKED.sub(r"\\\1", " ".join(text.split()))
