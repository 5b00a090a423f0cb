"""Public figures: counted by month, and no small one told, nor one by which it could be worked out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest

from ledger.days import start_of
from ledger.errors import LedgerError
from ledger.keys import Ed25519Signer
from ledger.medical.figuresfile import (
    HospitalFigures,
    HospitalMonth,
    ItemWord,
    decode_figures,
    month_number,
    month_word,
    sign_figures,
    steps_digest,
    verify_figures,
)
from ledger.medical.published import LEAST, OPENED, Month, Row, month_of, months, no_figures, withheld
from ledger.medical.statistics import Step, StepEvent
from ledger.model import KeyRole

ASKER, ISSUER, OTHER = "11430000006122244L", "11100000000013338W", "12310000MB2F30001K"
#: 2026-11-10, noon in China.
NOW = 1_794_283_200
DAY = 86_400
SIGNER = Ed25519Signer(KeyRole.RECEIPT, b"figures!" * 4)


def steps(
    count: int,
    *kinds: Step,
    start: int = 0,
    item: str = "wbc",
    provider: str = ISSUER,
    at_s: int = NOW,
    reason: str = "",
) -> list[StepEvent]:
    """The same steps of so many reports of one item."""
    return [
        StepEvent(
            kind=kind,
            report=f"{item}{provider}{start + number}".encode().ljust(32, b"."),
            version=1,
            place=0,
            item=item,
            provider=provider,
            asker=ASKER,
            at_s=at_s,
            reason=reason if kind is Step.RETESTED else None,
        )
        for number in range(count)
        for kind in kinds
    ]


def only(events: list[StepEvent]) -> Month:
    (month,) = months(events, ASKER).values()
    return month


def test_what_became_of_items_is_counted_and_opened_is_the_sum_of_both() -> None:
    events = [
        *steps(30, Step.OFFERED),
        *steps(20, Step.OPENED),
        *steps(12, Step.RECOGNISED),
        *steps(8, Step.RETESTED, start=12, reason="emergency"),
    ]
    random.Random(7).shuffle(events)
    month = only(events + events[:10])
    assert month.month == "2026-11"
    assert month.total == Row(offered=30, recognised=12, unrecognised=8, retested=8)
    assert (month.items, month.providers) == ({"wbc": month.total}, {ISSUER: month.total})
    assert month.reasons == {"emergency": 8}


def test_an_item_counts_in_the_month_it_was_opened_in() -> None:
    # China's midnight, eight hours before that of UTC.
    december = start_of(date(2026, 12, 1)) // 1_000
    assert (month_of(december - 1), month_of(december)) == ("2026-11", "2026-12")
    told = months(
        [
            *steps(6, Step.OFFERED, at_s=NOW - 40 * DAY),
            *steps(6, Step.OPENED),
            *steps(6, Step.RECOGNISED, at_s=NOW + 40 * DAY),
            *steps(7, Step.OFFERED, start=6, at_s=NOW - 40 * DAY),
        ],
        ASKER,
    )
    assert {word: month.total for word, month in told.items()} == {
        "2026-10": Row(offered=7, recognised=0, unrecognised=0, retested=0),
        "2026-11": Row(offered=6, recognised=6, unrecognised=0, retested=0),
    }


def test_only_what_this_hospital_asked_for_is_counted() -> None:
    assert months(steps(9, Step.OPENED), ISSUER) == {}
    assert no_figures("2026-01").total == Row(offered=0, recognised=0, unrecognised=0, retested=0)


def test_a_small_figure_takes_another_with_it() -> None:
    month = only([*steps(40, Step.OFFERED), *steps(30, Step.OFFERED, item="ua"), *steps(2, Step.OFFERED, item="k")])
    assert month.total.offered == 72
    assert {key: row.offered for key, row in month.items.items()} == {"wbc": 40, "ua": None, "k": None}
    # The other columns have nothing to hide.
    assert {row.recognised for row in month.items.values()} == {0}
    assert month.providers[ISSUER].offered == 72


def test_a_small_sum_hides_its_parts_in_every_table() -> None:
    month = only([*steps(9, Step.OFFERED), *steps(3, Step.OPENED, Step.RETESTED, reason="emergency")])
    assert month.total == Row(offered=9, recognised=None, unrecognised=None, retested=None)
    assert month.items["wbc"] == month.providers[ISSUER] == month.total
    assert month.reasons == {"emergency": None}


def test_a_sum_that_cannot_be_told_in_one_table_is_told_in_none() -> None:
    # By hospital two and three, known to be at least one each: five in all would say that both are below five.
    month = only([*steps(2, Step.OFFERED), *steps(3, Step.OFFERED, provider=OTHER)])
    assert month.total.offered is None
    assert {row.offered for row in (*month.items.values(), *month.providers.values())} == {None}


def test_with_a_small_figure_the_zeros_are_withheld_and_the_sum_is_told() -> None:
    offered = [event for number in range(9) for event in steps(9, Step.OFFERED, item=f"i{number}")]
    opened = [event for number in range(6) for event in steps(1, Step.OPENED, Step.RECOGNISED, item=f"i{number}")]
    month = only(offered + opened)
    assert month.total == Row(offered=81, recognised=6, unrecognised=0, retested=0)
    assert {(row.offered, row.recognised, row.unrecognised) for row in month.items.values()} == {(9, None, None)}


def test_what_was_not_recognised_does_not_tell_what_was() -> None:
    """All that was offered was opened, so that eight less five would be the three that were recognised."""
    events = [
        *steps(8, Step.OFFERED, Step.OPENED, item="k"),
        *steps(3, Step.RECOGNISED, item="k"),
        *steps(10, Step.OFFERED, Step.OPENED),
        *steps(5, Step.RECOGNISED),
    ]
    month = only(events)
    assert month.total == Row(offered=18, recognised=8, unrecognised=10, retested=0)
    assert set(month.items.values()) == {
        Row(offered=8, recognised=None, unrecognised=None, retested=None),
        Row(offered=10, recognised=None, unrecognised=None, retested=None),
    }
    # The same in all: six offered, five of them opened and not recognised, one recognised.
    single = only([*steps(6, Step.OFFERED, Step.OPENED), *steps(1, Step.RECOGNISED)])
    assert single.total == Row(offered=6, recognised=None, unrecognised=None, retested=None)


def filled(total: Row, rows: list[Row]) -> Iterator[list[tuple[int, int, int, int]]]:
    """Every way to fill the withheld figures of a table of two rows that fits all its sums and columns."""
    sums = (total.offered, total.recognised, total.unrecognised, total.retested)

    def cells(place: int) -> Iterator[tuple[int, int, int, int]]:
        told = (rows[place].offered, rows[place].recognised, rows[place].unrecognised, rows[place].retested)
        for offered in [told[0]] if told[0] is not None else range(1, (sums[0] or 20) + 1):
            for recognised in [told[1]] if told[1] is not None else range(offered + 1):
                for unrecognised in [told[2]] if told[2] is not None else range(offered - recognised + 1):
                    for retested in [told[3]] if told[3] is not None else range(recognised + unrecognised + 1):
                        if recognised + unrecognised <= offered and retested <= recognised + unrecognised:
                            yield offered, recognised, unrecognised, retested

    known = list(cells(1))
    index: dict[tuple[int | None, ...], list[tuple[int, int, int, int]]] = {}
    for second in known:
        key = tuple(value if sums[column] is not None else None for column, value in enumerate(second))
        index.setdefault(key, []).append(second)
    for first in cells(0):
        rest = tuple(None if whole is None else whole - first[column] for column, whole in enumerate(sums))
        for second in index.get(rest, ()):
            yield [first, second]


def test_by_all_columns_together_no_small_figure_can_be_worked_out() -> None:
    drawn = random.Random(38)
    hid = 0
    for _ in range(120):
        events = []
        for item in ("a", "b"):
            offered = drawn.randint(1, 9)
            opened = drawn.choice((offered, offered, drawn.randint(0, offered)))
            recognised = drawn.choice((opened, 0, drawn.randint(0, opened)))
            events += steps(offered, Step.OFFERED, item=item)
            events += steps(opened, Step.OPENED, item=item)
            events += steps(recognised, Step.RECOGNISED, item=item)
            events += steps(opened - recognised, Step.RETESTED, item=item, start=recognised, reason="emergency")
        month = only(events)
        if month.total.offered is None:
            continue
        rows = [month.items[key] for key in ("a", "b")]
        most = [[0] * 4, [0] * 4]
        for way in filled(month.total, rows):
            for place, row in enumerate(way):
                most[place] = [max(pair) for pair in zip(most[place], row, strict=True)]
        for place, row in enumerate(rows):
            cells = (row.offered, row.recognised, row.unrecognised, row.retested)
            for column, cell in enumerate(cells):
                if cell is None:
                    hid += 1
                    known = (month.total.offered, *(getattr(month.total, name) for name in OPENED))[column]
                    # Where nothing of a column was counted in all, that is told.
                    assert most[place][column] >= LEAST or known == 0, (month.total, rows)
                else:
                    assert cell == 0 or cell >= LEAST
    assert hid > 100


def sums(total: int, count: int, each: int) -> Iterator[tuple[int, ...]]:
    """Every way in which so many figures, of at least ``each``, add up."""
    if count == 1:
        yield from [(total,)] if total >= each else []
        return
    for first in range(each, total - each * (count - 1) + 1):
        yield from ((first, *rest) for rest in sums(total - first, count - 1, each))


@pytest.mark.parametrize("each", [0, 1])
def test_no_small_figure_can_be_worked_out(each: int) -> None:
    """Against every way to fill what is withheld with figures that add up: each may be from the least known to five."""
    drawn = random.Random(20)
    hid = 0
    for _ in range(400):
        parts = {
            f"p{number}": max(each, drawn.choice((0, 1, 2, 3, 4, 5, 6, 9))) for number in range(drawn.randint(1, 4))
        }
        total = sum(parts.values())
        hidden = withheld(total, parts, each=each)
        if hidden is None:
            assert any(0 < value < LEAST for value in parts.values())
            continue
        assert all(not 0 < value < LEAST for key, value in parts.items() if key not in hidden)
        rest = total - sum(value for key, value in parts.items() if key not in hidden)
        ways = list(sums(rest, len(hidden), each)) if hidden else []
        for place in range(len(hidden)):
            assert {way[place] for way in ways} >= set(range(each, LEAST + 1)), parts
        hid += bool(hidden)
    assert hid > 100


def test_sums_of_what_is_told_never_say_more_than_was_counted() -> None:
    drawn = random.Random(3)
    events = []
    for number in range(300):
        kinds = [Step.OFFERED, Step.OPENED, drawn.choice((Step.RECOGNISED, Step.RETESTED))][: drawn.randint(1, 3)]
        item, provider = drawn.choice(("wbc", "wbc", "wbc", "ua", "k")), drawn.choice((ISSUER, ISSUER, OTHER))
        reason = drawn.choice(("emergency", "other-need"))
        events += steps(1, *kinds, start=number, item=item, provider=provider, reason=reason)
    month = only(events)
    truth = Counter(event.item for event in events if event.kind is Step.OFFERED)
    for key, row in month.items.items():
        assert row.offered in (None, truth[key])
    assert month.total.offered == 300


def figures(**changed: object) -> HospitalFigures:
    month = only([*steps(30, Step.OFFERED), *steps(2, Step.OPENED, Step.RETESTED, reason="emergency")])
    plain: dict[str, object] = {
        "chain": b"\1" * 32,
        "hospital": ASKER,
        "as_of_ms": NOW * 1_000,
        "months": (HospitalMonth(figures=month, asked={ISSUER: steps_digest([b"b", b"a"])}, examined={}),),
        "items": {"wbc": ItemWord(zh="白细胞", en="White cells", specialty="haematology", price_cents=600)},
        "reasons": {"emergency": ("急诊", "Emergency")},
    }
    return HospitalFigures(**(plain | changed))  # type: ignore[arg-type]


def test_the_file_is_signed_and_read_back_to_the_same() -> None:
    data = sign_figures(SIGNER, figures())
    assert verify_figures(data, [b"\2" * 32, SIGNER.public]) == figures() == decode_figures(data)
    assert steps_digest([b"a", b"b"]) == figures().months[0].asked[ISSUER] != steps_digest([b"a"])
    for keys in ([], [b"\2" * 32], [Ed25519Signer(KeyRole.RECEIPT, b"x" * 32).public]):
        with pytest.raises(LedgerError) as refused:
            verify_figures(data, keys)
        assert refused.value.code == "medical.figures-signature"
    with pytest.raises(LedgerError) as refused:
        sign_figures(Ed25519Signer(KeyRole.LOG, b"x" * 32), figures())
    assert refused.value.code == "key.role"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"total":"30 * * *"', b'"total":"30 * *"'),
        (b'"total":"30 * * *"', b'"total":"030 * * *"'),
        (b'"total":"30 * * *"', b'"total":"-3 * * *"'),
        (b'"month":"2026-11"', b'"month":"2026-13"'),
        (b'"emergency":"*"', b'"emergency":"few"'),
        (b'"price":{"wbc":600}', b'"price":{}'),
        (b'"price":{"wbc":600}', b'"price":{"wbc":-1}'),
        (b'"asked":', b'"askedd":'),
        (b'"v":1}', b'"v":2}'),
        (b'{"figures"', b' {"figures"'),
    ],
)
def test_what_is_no_such_file_is_refused(old: bytes, new: bytes) -> None:
    data = sign_figures(SIGNER, figures())
    assert old in data
    with pytest.raises(LedgerError) as refused:
        decode_figures(data.replace(old, new))
    assert refused.value.code == "medical.figures"


def test_months_stand_in_order_and_each_once() -> None:
    for words in (("2026-11", "2026-10"), ("2026-10", "2026-10")):
        told = tuple(HospitalMonth(figures=no_figures(word), asked={}, examined={}) for word in words)
        with pytest.raises(LedgerError) as refused:
            decode_figures(sign_figures(SIGNER, figures(months=told)))
        assert refused.value.code == "medical.figures"


def test_months_are_numbered() -> None:
    assert month_number("2027-01") - month_number("2026-12") == 1
    assert all(month_word(month_number(word)) == word for word in ("2026-01", "2026-11", "2026-12"))
    for word in ("2026-00", "2026-1", "2026-11-01", "", "0x26-11"):
        with pytest.raises(LedgerError) as refused:
            month_number(word)
        assert refused.value.code == "medical.month"
