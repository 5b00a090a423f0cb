"""The page of figures, its CSV file and its JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.medical.collecting import Collected, FiguresReader
from gateway.medical.figures import CityRow, Figure
from gateway.medical.figurestexts import FIGURES_TEXTS
from gateway.medical.figuresview import view_of
from gateway.page import StaticFile, addresses, environment
from gateway.texts import TEXTS, choose
from ledger.errors import STATUS, LedgerError
from ledger.model import format_time
from ledger.spreadsheets import plain_cell

#: Answers a request: (route, request, behaviour).
Answer = Callable[[str, Request, Callable[[], Awaitable[Response]]], Awaitable[Response]]
_NO_CACHE: Final = {"Cache-Control": "no-cache"}
_SHARED: Final = ("theme", "other_language", "ago_s", "ago_m", "ago_h", "ago_d")


class FiguresRoutes:
    """``/figures``, ``/figures.csv`` and ``/v1/figures``. ``clock``: Unix milliseconds."""

    def __init__(self, reader: FiguresReader, static: Mapping[str, StaticFile], clock: Callable[[], int]) -> None:
        self._reader = reader
        self._clock = clock
        self._template = environment().get_template("figures.html")
        self._static = addresses(static)

    def close(self) -> None:
        """Ask no hospital any more."""
        self._reader.close()

    def routes(self, answer: Answer) -> list[Route]:
        """The routes, each wrapped by ``answer``."""

        def route(path: str, work: Callable[[Request], Response]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await answer(path, request, lambda: run_in_threadpool(work, request))

            return Route(path, endpoint, methods=["GET"])

        return [
            route("/figures", self._page),
            route("/figures.csv", self._csv),
            route("/v1/figures", self._json),
        ]

    def _page(self, request: Request) -> Response:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        texts = _texts(language)
        view, problem, status = None, None, 200
        try:
            view = view_of(self._read(request), texts, language, self._clock())
        except LedgerError as error:
            problem = error
            status = next((STATUS[base][1] for base in type(error).__mro__ if base in STATUS), 500)
        text = self._template.render(
            t=texts,
            language=language,
            other="en" if language == "zh" else "zh",
            query="".join(f"&{name}={quote(request.query_params.get(name, ''))}" for name in ("from", "to")),
            static=self._static,
            view=view,
            problem=problem,
        )
        return HTMLResponse(text, status_code=status, headers=_NO_CACHE | {"Vary": "Accept-Language"})

    def _csv(self, request: Request) -> Response:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        found = self._read(request)
        period = f"{found.figures.first}_{found.figures.last}"
        name = f"{FIGURES_TEXTS[language]['csv_file']}-{period}.csv"
        # The name twice: browsers take the second, which is not ASCII (RFC 6266, section 4.3).
        named = f"attachment; filename=\"recognition-{period}.csv\"; filename*=UTF-8''{quote(name)}"
        headers = _NO_CACHE | {"Content-Disposition": named, "Content-Type": "text/csv; charset=utf-8"}
        return Response(csv_of(found, FIGURES_TEXTS[language], language), headers=headers)

    def _json(self, request: Request) -> Response:
        return JSONResponse(json_of(self._read(request)), headers=_NO_CACHE)

    def _read(self, request: Request) -> Collected:
        return self._reader.read(request.query_params.get("from", ""), request.query_params.get("to", ""))


def _texts(language: str) -> dict[str, str]:
    return {**FIGURES_TEXTS[language], **{key: TEXTS[language][key] for key in _SHARED}}


def csv_of(found: Collected, texts: Mapping[str, str], language: str) -> bytes:
    """All figures for a spreadsheet: UTF-8 with a byte order mark, by which Excel knows it. What is at least so much
    is written ``>=``."""
    file = io.StringIO()
    writer = csv.writer(file)
    counts = ("offered", "opened", "recognised", "unrecognised", "retested", "saved")
    writer.writerow([texts["period"], texts["by_what"], texts["key"], texts["name"], *(texts[name] for name in counts)])
    period = f"{found.figures.first}/{found.figures.last}"
    for by, key, name, row in _rows(found, texts, language):
        cells = _cells(row) if isinstance(row, CityRow) else ["", "", "", "", _cell(row), ""]
        writer.writerow([period, by, plain_cell(key), plain_cell(name), *cells])
    for one in found.absent:
        writer.writerow([period, texts["absent_row"], one.uscc, plain_cell(one.name), *[""] * 6])
    return b"\xef\xbb\xbf" + file.getvalue().encode()


def _rows(
    found: Collected, texts: Mapping[str, str], language: str
) -> Iterator[tuple[str, str, str, CityRow | Figure]]:
    figures, place = found.figures, 0 if language == "zh" else 1
    yield texts["total"], "", "", figures.total
    for month, row in figures.months.items():
        yield texts["month"], month, month, row
    for by, rows in (("by_asker", figures.askers), ("by_provider", figures.providers)):
        for key, row in rows.items():
            yield texts[by], key, found.names.get(key, key), row
    for key, row in figures.items.items():
        yield texts["item"], key, getattr(figures.item_words[key], language), row
    for key, row in figures.specialties.items():
        yield texts["specialty"], key, texts.get(f"specialty_{key}", key), row
    for key, figure in figures.reasons.items():
        yield texts["by_reason"], key, figures.reason_words[key][place], figure


def _cells(row: CityRow) -> list[str]:
    counts = (row.offered, row.opened, row.recognised, row.unrecognised, row.retested)
    saved = "" if row.saved_cents is None else _cell(row.saved_cents, money=True)
    return [*map(_cell, counts), saved]


def _cell(figure: Figure, *, money: bool = False) -> str:
    if figure.withheld and not figure.least:
        return "*"
    value = f"{figure.least // 100}.{figure.least % 100:02}" if money else str(figure.least)
    return f">={value}" if figure.withheld else value


def json_of(found: Collected) -> dict[str, Any]:
    """The figures as ``/v1/figures`` gives them."""
    figures = found.figures
    return {
        "from": figures.first,
        "to": figures.last,
        "asOf": format_time(found.as_of_ms),
        "readAt": format_time(found.read_ms),
        "asked": found.asked,
        "absent": [
            {"uscc": one.uscc, "name": one.name, "code": one.code, "asOf": format_time(one.as_of_ms)}
            for one in found.absent
        ],
        "total": _row_object(figures.total),
        "months": {key: _row_object(row) for key, row in figures.months.items()},
        "askers": {key: _row_object(row) for key, row in figures.askers.items()},
        "providers": {key: _row_object(row) for key, row in figures.providers.items()},
        "items": {
            key: {"zh": figures.item_words[key].zh, "en": figures.item_words[key].en, **_row_object(row)}
            for key, row in figures.items.items()
        },
        "specialties": {key: _row_object(row) for key, row in figures.specialties.items()},
        "reasons": {
            key: {
                "zh": figures.reason_words[key][0],
                "en": figures.reason_words[key][1],
                "retested": _figure_object(figure),
            }
            for key, figure in figures.reasons.items()
        },
        "sides": {
            "compared": figures.compared,
            "differing": [
                {"month": pair.month, "asker": pair.asker, "provider": pair.provider} for pair in figures.differing
            ],
        },
    }


def _row_object(row: CityRow) -> dict[str, Any]:
    return {
        "offered": _figure_object(row.offered),
        "opened": _figure_object(row.opened),
        "recognised": _figure_object(row.recognised),
        "openedNotRecognised": _figure_object(row.unrecognised),
        "retested": _figure_object(row.retested),
        "savedCents": None if row.saved_cents is None else _figure_object(row.saved_cents),
    }


def _figure_object(figure: Figure) -> dict[str, int]:
    return {"least": figure.least, "withheld": figure.withheld}
