"""Tables of the demonstration on what became of medical results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.medical.reasons import NATIONAL
from node.city.story import Table
from node.cli.texts import LANG, t

#: Figures of a hospital, as its node names them.
FIGURES: Final = ("offered", "opened", "recognised", "retested", "opened_not_recognised", "saved_cents")


def became(rows: Mapping[str, Any], total: Mapping[str, int]) -> Table:
    """What became of the results; ``rows``: a hospital's handle -> its figures."""
    columns = (
        t("asking hospital", "接诊医院"),
        t("offered", "提供"),
        t("opened", "调阅"),
        t("recognised", "互认"),
        t("re-tested", "重检"),
        t("opened, not recognised", "调阅未互认"),
        t("saved (yuan)", "节省（元）"),
    )
    shown = [(handle, *_cells({name: getattr(row, name) for name in FIGURES})) for handle, row in rows.items()]
    return Table(
        title=t("What became of the results, in items", "结果的去向（按项目计）"),
        columns=columns,
        rows=[*shown, (t("all", "合计"), *_cells(total))],
    )


def why(reasons: Mapping[str, int]) -> Table:
    """Why it was tested again; ``reasons``: a reason's code -> items."""
    return Table(
        title=t("Why it was tested again", "重检理由"),
        columns=(t("reason", "理由"), t("code", "代码"), t("items", "项目数")),
        rows=[(NATIONAL[code][LANG == "en"], code, str(count)) for code, count in sorted(reasons.items())],
    )


def _cells(figures: Mapping[str, int]) -> list[str]:
    return [f"{value / 100:,.2f}" if name == "saved_cents" else f"{value:,}" for name, value in figures.items()]
