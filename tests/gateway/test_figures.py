"""The city's figures: added up, absent hospitals named, small figures withheld, and the two sides compared."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.medical.collecting import FRESH_MS, RETRY_MS, FiguresReader
from gateway.medical.figures import NONE, CityRow, Figure, Pair, combine
from gateway.medical.figuresroutes import csv_of, json_of
from gateway.medical.figurestexts import FIGURES_TEXTS
from gateway.medical.figuresview import share, shown, view_of, yuan
from gateway.texts import TEXTS
from ledger.errors import LedgerError, UnavailableError
from ledger.medical.figuresfile import sign_figures, steps_digest
from ledger.model import MemberStatus, Roles
from node.city.roster import demo_uscc
from tests.gateway.figure_parts import (
    AS_OF_MS,
    CHAIN,
    NAMES,
    NOW_MS,
    SIGNERS,
    USCC,
    Nodes,
    busy_city,
    hospital,
    member,
    month,
    row,
)


def exact(value: int) -> Figure:
    return Figure(least=value)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def reader(nodes: Nodes) -> Iterator[FiguresReader]:
    made = FiguresReader(nodes, CHAIN, lambda: NOW_MS, deadline_s=60)  # type: ignore[arg-type]
    yield made
    made.close()


# --- adding up --------------------------------------------------------------------------------------------------------


def test_each_item_counts_once_at_the_hospital_that_asked() -> None:
    same = steps_digest([b"1"])
    east = hospital(
        0,
        month(
            total=row(40, 20, 10, 7),
            items={"wbc": row(40, 20, 10, 7)},
            providers={USCC[1]: row(40, 20, 10, 7)},
            reasons={"emergency": 7},
            asked={USCC[1]: same},
        ),
    )
    # What others made of its results is no figure of the hospital that examined.
    west = hospital(1, month(examined={USCC[0]: same}))
    found = combine([west, east], "2026-11", "2026-11")
    saved = hospital(0, month(items={"wbc": row(1, 1, 1)})).items["wbc"].price_cents * 20
    assert found.total == CityRow(
        offered=exact(40), recognised=exact(20), unrecognised=exact(10), retested=exact(7), saved_cents=exact(saved)
    )
    assert found.total.opened == exact(30)
    assert list(found.askers) == [USCC[0]]
    assert found.askers[USCC[0]] == found.items["wbc"] == found.months["2026-11"] == found.total
    assert found.specialties == {"haematology": found.total}
    # By examining hospital nobody tells which items they were.
    assert found.providers == {USCC[1]: replace(found.total, saved_cents=None)}
    assert found.reasons == {"emergency": exact(7)}
    assert (found.compared, found.differing) == (1, ())


def test_a_sum_with_withheld_figures_is_told_as_at_least() -> None:
    found = combine(
        [
            hospital(0, month(total=row(30, 12, None), items={"wbc": row(30, 12, None)})),
            hospital(1, month(total=row(50, None, 9), items={"wbc": row(50, None, 9)})),
        ],
        "2026-11",
        "2026-11",
    )
    assert found.total.offered == exact(80)
    assert found.total.recognised == Figure(least=12, withheld=1)
    assert found.total.unrecognised == Figure(least=9, withheld=1)
    assert found.total.opened == Figure(least=21, withheld=2)
    assert found.total.saved_cents is not None
    assert found.total.saved_cents.withheld == 1
    assert [shown(one) for one in (exact(1234), Figure(least=12, withheld=1), Figure(withheld=2), NONE)] == [
        "1,234",
        "≥ 12",
        "*",
        "0",
    ]
    money = (exact(123_456), Figure(least=705, withheld=1), Figure(withheld=1), None)
    assert [yuan(one) for one in money] == ["1,234.56", "≥ 7.05", "*", "–"]
    assert share(exact(1), exact(8)) == "12.5 %"
    assert share(exact(1), Figure(least=8, withheld=1)) == "≈ 12.5 %"
    assert {share(NONE, NONE), share(Figure(withheld=1), exact(8))} == {"–"}


def test_what_is_withheld_item_by_item_saved_at_least_the_lowest_price() -> None:
    told = hospital(0, month(total=row(90, 25, 0), items={key: row(30, None, 0) for key in ("wbc", "crp")}))
    prices = sorted(word.price_cents for word in told.items.values())
    assert prices[0] < prices[1]
    found = combine([told], "2026-11", "2026-11")
    assert found.total.saved_cents == Figure(least=25 * prices[0], withheld=2)
    assert found.items["wbc"].saved_cents == Figure(withheld=1)
    # With an item of an unknown price among them, nobody knows.
    unknown = replace(told, items={key: word for key, word in told.items.items() if key == "wbc"})
    assert combine([unknown], "2026-11", "2026-11").total.saved_cents == Figure(withheld=2)
    assert combine([unknown], "2026-11", "2026-11").item_words["crp"].zh == "crp"


def test_months_outside_the_period_do_not_count() -> None:
    told = [hospital(0, *(month(word, row(10, 0, 0)) for word in ("2026-09", "2026-10", "2026-11")))]
    assert combine(told, "2026-10", "2026-11").total.offered == exact(20)
    assert list(combine(told, "2026-09", "2026-10").months) == ["2026-09", "2026-10"]


@pytest.mark.parametrize("missing", [False, True])
def test_where_the_two_sides_differ_is_said_and_counted_by_the_asker(missing: bool) -> None:
    one, other = steps_digest([b"1"]), steps_digest([b"1", b"2"])
    east = hospital(0, month(total=row(9, 5, 0), asked={USCC[1]: one, USCC[2]: one, USCC[3]: one}))
    west = hospital(1, month(examined={} if missing else {USCC[0]: other}))
    north = hospital(2, month(examined={USCC[0]: one}))
    found = combine([east, west, north], "2026-11", "2026-11")
    assert found.compared == 2  # nobody knows the fourth hospital's side
    assert found.differing == (Pair(month="2026-11", asker=USCC[0], provider=USCC[1]),)
    assert found.total.offered == exact(9)


def test_sides_that_end_at_other_times_are_not_compared() -> None:
    east = hospital(0, month(asked={USCC[1]: steps_digest([b"1"])}))
    west = hospital(1, month(), as_of_ms=AS_OF_MS + 1)
    assert combine([east, west], "2026-11", "2026-11").compared == 0


# --- asking hospitals -------------------------------------------------------------------------------------------------


def test_every_hospital_is_asked_once_a_minute_and_for_the_same(nodes: Nodes) -> None:
    now = [NOW_MS]
    reader = FiguresReader(nodes, CHAIN, lambda: now[0], deadline_s=60)  # type: ignore[arg-type]
    nodes.extra = (
        member(demo_uscc("310000", 599), "卫健委", Roles.HEALTH),
        member(demo_uscc("310000", 598), "已退出", status=MemberStatus.REMOVED),
    )
    nodes.tell(busy_city())
    first = reader.read()
    assert (first.asked, first.absent, first.read_ms, first.as_of_ms) == (4, (), NOW_MS, AS_OF_MS)
    assert (first.figures.first, first.figures.last) == ("2025-12", "2026-11")
    assert first.names[USCC[0]] == NAMES[0]
    assert reader.read("2026-10", "2026-10").figures.months.keys() == {"2026-10"}
    assert sorted(nodes.asked) == [(uscc, "/medical/figures?from=2024-12&to=2026-11") for uscc in sorted(USCC)]
    now[0] += FRESH_MS
    assert reader.read().read_ms == now[0]
    assert len(nodes.asked) == 8
    reader.close()


def test_a_hospital_that_does_not_answer_is_named_and_counted_by_what_it_last_told(nodes: Nodes) -> None:
    now = [NOW_MS]
    reader = FiguresReader(nodes, CHAIN, lambda: now[0], deadline_s=60)  # type: ignore[arg-type]
    nodes.tell([hospital(place, month(total=row(10, 0, 0))) for place in range(3)])
    nodes.told[USCC[2]] = UnavailableError("node.unreachable", "away")
    found = reader.read()
    assert [(one.uscc, one.name, one.code, one.as_of_ms) for one in found.absent] == [
        (USCC[2], NAMES[2], "node.unreachable", 0)
    ]
    assert found.figures.total.offered == exact(20)
    nodes.told[USCC[1]] = UnavailableError("node.unreachable", "away")
    # Where one is missing, all are asked again sooner.
    now[0] += RETRY_MS - 1
    assert reader.read() == found
    now[0] += 1
    found = reader.read()
    assert [(one.uscc, one.as_of_ms) for one in found.absent] == [(USCC[1], AS_OF_MS), (USCC[2], 0)]
    assert found.figures.total.offered == exact(20)
    reader.close()


def test_a_slow_hospital_does_not_hold_the_answer_and_counts_once_it_told(nodes: Nodes) -> None:
    now, answer = [NOW_MS], threading.Event()
    reader = FiguresReader(nodes, CHAIN, lambda: now[0], deadline_s=0.05)  # type: ignore[arg-type]
    nodes.told[USCC[0]] = answer
    for _ in range(2):
        found = reader.read()
        assert [(one.uscc, one.code) for one in found.absent] == [(USCC[0], "node.slow")]
        now[0] += FRESH_MS
    assert len(nodes.asked) == 1, "who has not answered is not asked again"
    nodes.tell([hospital(0, month(total=row(10, 0, 0)))])
    answer.set()
    for _ in range(2_000):
        if not (found := reader.read()).absent:
            break
        now[0] += FRESH_MS
    assert found.figures.total.offered == exact(10)
    reader.close()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda told: told.replace(b'"total":"10', b'"total":"90'), "medical.figures-signature"),
        (lambda _: b"<html>", "medical.figures"),
        (lambda _: sign_figures(SIGNERS[USCC[1]], hospital(1)), "medical.figures-signature"),
        (lambda _: sign_figures(SIGNERS[USCC[0]], hospital(1)), "medical.figures-other"),
        (lambda _: sign_figures(SIGNERS[USCC[0]], hospital(0, chain=b"\1" * 32)), "medical.figures-other"),
        (lambda _: sign_figures(SIGNERS[USCC[0]], hospital(0, as_of_ms=NOW_MS + 600_000)), "medical.figures-other"),
    ],
)
def test_what_a_hospital_did_not_sign_so_is_not_counted(
    nodes: Nodes, reader: FiguresReader, spoil: Any, code: str
) -> None:
    nodes.tell([hospital(0, month(total=row(10, 0, 0)))])
    nodes.told[USCC[0]] = spoil(nodes.told[USCC[0]])
    found = reader.read()
    assert [one.code for one in found.absent] == [code]
    assert not found.figures.total.offered


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2026-11", "2026-10", "medical.months"),
        ("2024-11", "2026-11", "medical.months"),
        ("", "2026-12", "medical.months"),
        ("2026", "", "medical.month"),
        ("2026-11", "soon", "medical.month"),
    ],
)
def test_only_months_there_may_be_are_shown(reader: FiguresReader, first: str, last: str, code: str) -> None:
    with pytest.raises(LedgerError) as refused:
        reader.read(first, last)
    assert refused.value.code == code


# --- what readers get -------------------------------------------------------------------------------------------------


def test_the_file_is_one_that_excel_opens_and_sums_to_the_total(nodes: Nodes, reader: FiguresReader) -> None:
    nodes.tell(busy_city())
    found = reader.read()
    for language in ("zh", "en"):
        data = csv_of(found, FIGURES_TEXTS[language], language)
        assert data.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        assert {len(line) for line in rows} == {10}
        assert rows[0][4:] == [
            FIGURES_TEXTS[language][name]
            for name in ("offered", "opened", "recognised", "unrecognised", "retested", "saved")
        ]
        total = found.figures.total
        assert rows[1][4:9] == [
            str(one.least)
            for one in (total.offered, total.opened, total.recognised, total.unrecognised, total.retested)
        ]
        by = [line for line in rows if line[1] == FIGURES_TEXTS[language]["by_asker"]]
        assert [line[3] for line in by] == [found.names[line[2]] for line in by]
        assert sum(int(line[4]) for line in by) == total.offered.least
        assert any(">=" in "".join(line) for line in rows)


def test_a_name_is_no_formula(nodes: Nodes, reader: FiguresReader) -> None:
    told = hospital(0, month(total=row(10, 0, 0), items={"wbc": row(10, 0, 0)}))
    words = {"wbc": replace(told.items["wbc"], zh="=HYPERLINK(1)")}
    nodes.tell([replace(told, items=words)])
    assert "'=HYPERLINK(1)" in csv_of(reader.read(), FIGURES_TEXTS["zh"], "zh").decode()


def test_the_json_has_every_figure_and_how_much_of_it_is_withheld(nodes: Nodes, reader: FiguresReader) -> None:
    nodes.tell(busy_city())
    nodes.told[USCC[3]] = UnavailableError("node.unreachable", "away")
    found = reader.read()
    value = json_of(found)
    assert (value["from"], value["to"], value["asked"]) == ("2025-12", "2026-11", 4)
    assert value["total"]["openedNotRecognised"] == {
        "least": found.figures.total.unrecognised.least,
        "withheld": found.figures.total.unrecognised.withheld,
    }
    assert value["absent"][0]["code"] == "node.unreachable"
    assert value["sides"]["differing"] == [{"month": "2026-11", "asker": USCC[1], "provider": USCC[0]}]
    assert all(one["savedCents"] is None for one in value["providers"].values())


def test_the_words_are_the_same_in_both_languages_and_each_error_of_a_row_is_a_word(
    nodes: Nodes, reader: FiguresReader
) -> None:
    assert FIGURES_TEXTS["zh"].keys() == FIGURES_TEXTS["en"].keys()
    nodes.tell(busy_city())
    for language in ("zh", "en"):
        texts = {**TEXTS[language], **FIGURES_TEXTS[language]}
        view = view_of(reader.read(), texts, language, NOW_MS + 30_000)
        assert [chart.id for chart in view.charts] == ["asker", "provider", "item", "specialty", "reason"]
        assert len(view.months) == 12
        assert len(view.differing) == 1
        assert [stage.length for stage in view.stages] == sorted((s.length for s in view.stages), reverse=True)
        assert sum(chosen for _, _, chosen in view.periods) == 1
