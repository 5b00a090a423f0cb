"""The citywide figures as a reader sees them: numbers in words, bars in parts of a hundred, rows in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.medical.collecting import Collected
from gateway.medical.figures import NONE, CityFigures, CityRow, Figure
from gateway.texts import ago
from ledger.days import CST
from ledger.medical.figuresfile import month_number, month_word

#: Items on the page: the rest is in the CSV file.
SHOWN_ITEMS: Final = 15
#: Periods a reader may choose, in months.
PERIODS: Final = (1, 3, 12, 24)
COUNTS: Final = ("offered", "opened", "recognised", "unrecognised", "retested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of a table and its bar. ``cells``: (column, text); ``good``, ``bad``: lengths of its two parts, of 1,000;
    ``start``: where the second begins."""

    name: str
    cells: tuple[tuple[str, str], ...]
    good: int
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A table with bars. ``head``: what its rows are; ``columns``: names of the cells' columns; ``more``: rows that are
    not shown."""

    id: str
    title: str
    note: str
    head: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step of the funnel. ``length``: of its bar, of 1,000; ``rest``: of what was not recognised, behind it;
    ``share``: of the step before, in words."""

    key: str
    name: str
    note: str
    value: str
    length: int
    rest: int
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresView:
    """Everything the page shows. ``periods``: (address, name, chosen)."""

    range: str
    as_of: str
    periods: tuple[tuple[str, str, bool], ...]
    csv: str
    absent: tuple[str, ...]
    empty: str
    headline: str
    headline_share: str
    saved: str
    stages: tuple[Stage, ...]
    months: tuple[Line, ...]
    charts: tuple[Chart, ...]
    sides: str
    differing: tuple[str, ...]


def shown(figure: Figure) -> str:
    """``1,234``; ``≥ 1,234`` where something of it is withheld; ``*`` where all is."""
    if not figure.withheld:
        return f"{figure.least:,}"
    return f"≥ {figure.least:,}" if figure.least else "*"


def yuan(cents: Figure | None) -> str:
    """The same of money, from cents; a dash where it is unknown."""
    if cents is None:
        return "–"
    if cents.withheld and not cents.least:
        return "*"
    return ("≥ " if cents.withheld else "") + f"{cents.least // 100:,}.{cents.least % 100:02}"


def share(part: Figure, whole: Figure) -> str:
    """``31.4 %``, by what was told (``≈`` where something is withheld); a dash of nothing."""
    if not whole.least or (part.withheld and not part.least):
        return "–"
    about = "≈ " if part.withheld or whole.withheld else ""
    return f"{about}{100 * part.least / whole.least:.1f} %"


def view_of(found: Collected, texts: Mapping[str, str], language: str, now_ms: int) -> FiguresView:
    """What the page shows of the figures, in a language."""
    figures, total = found.figures, found.figures.total
    newest = month_number(_month_at(now_ms))
    columns = (*(texts[name] for name in COUNTS), texts["share"], texts["saved"])
    words = {key: getattr(word, language) for key, word in figures.item_words.items()}
    place = 0 if language == "zh" else 1
    specialties = {key: texts.get(f"specialty_{key}", key) for key in figures.specialties}
    charts = [
        _chart("asker", "hospital", texts, columns, _rows(figures.askers, found.names)),
        _chart("provider", "hospital", texts, columns[:-1], _rows(figures.providers, found.names)),
        _chart("item", "item", texts, columns, _rows(figures.items, words)),
        _chart("specialty", "specialty", texts, columns, _rows(figures.specialties, specialties)),
        _reasons(figures, place, texts),
    ]
    return FiguresView(
        range=texts["range_one" if figures.first == figures.last else "range"].format(
            first=figures.first, last=figures.last
        ),
        as_of=texts["as_of"].format(
            time=_time(found.as_of_ms), asked=found.asked, ago=ago((now_ms - found.read_ms) // 1_000, texts)
        ),
        periods=tuple(
            (
                f"?lang={language}&from={month_word(newest - count + 1)}&to={month_word(newest)}",
                texts[f"months_{count}"],
                (figures.first, figures.last) == (month_word(newest - count + 1), month_word(newest)),
            )
            for count in PERIODS
        ),
        csv=f"/figures.csv?lang={language}&from={figures.first}&to={figures.last}",
        absent=tuple(
            texts["absent_known" if one.as_of_ms else "absent_unknown"].format(name=one.name, time=_time(one.as_of_ms))
            for one in found.absent
        ),
        empty=texts["no_hospitals"] if not found.asked else "" if total.offered else texts["nothing"],
        headline=shown(total.unrecognised),
        headline_share=texts["headline_share"].format(share=share(total.unrecognised, total.opened)),
        saved=yuan(total.saved_cents),
        stages=_stages(total, texts),
        months=_months(figures, columns),
        charts=tuple(chart for chart in charts if chart.lines),
        sides=_sides(figures, texts),
        differing=tuple(
            texts["sides_line"].format(
                month=pair.month,
                asker=found.names.get(pair.asker, pair.asker),
                provider=found.names.get(pair.provider, pair.provider),
            )
            for pair in figures.differing
        ),
    )


def _stages(total: CityRow, texts: Mapping[str, str]) -> tuple[Stage, ...]:
    most = max(1, total.offered.least)
    stages = []
    for key, before in (("offered", ""), ("opened", "offered"), ("recognised", "opened"), ("retested", "opened")):
        value: Figure = getattr(total, key)
        part = "" if not before else share(value, getattr(total, before))
        stages.append(
            Stage(
                key=key,
                name=texts[key],
                note=texts[f"{key}_note"],
                value=shown(value),
                length=1_000 * value.least // most,
                rest=1_000 * total.unrecognised.least // most if key == "recognised" else 0,
                share=texts["share_of"].format(what=texts[before].lower(), share=part) if before else "",
            )
        )
    return tuple(stages)


def _rows(rows: Mapping[str, CityRow], names: Mapping[str, str]) -> list[tuple[str, CityRow]]:
    """Those with most opened and not recognised first."""
    ordered = sorted(rows.items(), key=lambda one: (-one[1].unrecognised.least, -one[1].opened.least, one[0]))
    return [(names.get(key, key), row) for key, row in ordered]


def _chart(
    key: str, head: str, texts: Mapping[str, str], columns: tuple[str, ...], rows: list[tuple[str, CityRow]]
) -> Chart:
    lines = _lines(rows[:SHOWN_ITEMS], columns)
    hidden = len(rows) - len(lines)
    return Chart(
        id=key,
        title=texts[f"by_{key}"],
        note=texts.get(f"by_{key}_note", ""),
        head=texts[head],
        columns=columns,
        lines=lines,
        more=texts["more"].format(n=hidden) if hidden else "",
    )


def _lines(rows: Iterable[tuple[str, CityRow]], columns: tuple[str, ...]) -> tuple[Line, ...]:
    rows = list(rows)
    most = max((row.opened.least for _, row in rows), default=0) or 1
    made = []
    for name, row in rows:
        cells = [shown(getattr(row, count)) for count in COUNTS]
        cells += [share(row.unrecognised, row.opened), yuan(row.saved_cents)]
        made.append(
            Line(
                name=name,
                cells=tuple(zip(columns, cells, strict=False)),
                good=1_000 * row.recognised.least // most,
                bad=1_000 * row.unrecognised.least // most,
            )
        )
    return tuple(made)


def _months(figures: CityFigures, columns: tuple[str, ...]) -> tuple[Line, ...]:
    """Every month of the period, also those in which nothing was offered."""
    numbers = range(month_number(figures.first), month_number(figures.last) + 1)
    return _lines(((word, figures.months.get(word, CityRow())) for word in map(month_word, numbers)), columns)


def _reasons(figures: CityFigures, place: int, texts: Mapping[str, str]) -> Chart:
    whole = sum(figures.reasons.values(), NONE)
    ordered = sorted(figures.reasons.items(), key=lambda one: (-one[1].least, one[0]))
    most = max((figure.least for figure in figures.reasons.values()), default=0) or 1
    columns = (texts["count"], texts["share_reason"])
    return Chart(
        id="reason",
        title=texts["by_reason"],
        note=texts["by_reason_note"],
        head=texts["reason"],
        columns=columns,
        lines=tuple(
            Line(
                name=figures.reason_words[key][place],
                cells=tuple(zip(columns, (shown(figure), share(figure, whole)), strict=True)),
                good=0,
                bad=1_000 * figure.least // most,
            )
            for key, figure in ordered
        ),
    )


def _sides(figures: CityFigures, texts: Mapping[str, str]) -> str:
    if figures.differing:
        return texts["sides_differ"].format(n=figures.compared, m=len(figures.differing))
    return texts["sides_same"].format(n=figures.compared) if figures.compared else texts["sides_none"]


def _time(time_ms: int) -> str:
    """Minutes, in China."""
    if not time_ms:
        return "–"
    return datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(CST).strftime("%Y-%m-%d %H:%M")


def _month_at(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(CST).strftime("%Y-%m")
