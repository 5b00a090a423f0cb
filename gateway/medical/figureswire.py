"""The city's figures as messages of RecognitionService."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.medical.collecting import Collected
from gateway.medical.figures import CityRow, Figure
from ledger.v1 import recognition_pb2 as pb


def figures(found: Collected) -> pb.CityFiguresResponse:
    """What hospitals told, added up; who did not tell."""
    told = found.figures
    return pb.CityFiguresResponse(
        first=told.first,
        last=told.last,
        figures=list(_rows(found)),
        reasons=[
            pb.CityReason(
                reason=key,
                zh=told.reason_words[key][0],
                en=told.reason_words[key][1],
                retested=_sum(figure),
            )
            for key, figure in told.reasons.items()
        ],
        absent=[pb.AbsentFigures(member=one.uscc, code=one.code, as_of_ms=one.as_of_ms) for one in found.absent],
        asked=found.asked,
        read_ms=found.read_ms,
        as_of_ms=found.as_of_ms,
        differing=len(told.differing),
        compared=told.compared,
    )


def _rows(found: Collected) -> Iterator[pb.CityFigure]:
    told = found.figures
    parts = {
        "total": {"": told.total},
        "month": told.months,
        "asker": told.askers,
        "provider": told.providers,
        "item": told.items,
        "specialty": told.specialties,
    }
    for by, part in parts.items():
        for key, row in part.items():
            yield _figure(by, key, row)


def _figure(by: str, key: str, row: CityRow) -> pb.CityFigure:
    return pb.CityFigure(
        by=by,
        key=key,
        offered=_sum(row.offered),
        opened=_sum(row.opened),
        recognised=_sum(row.recognised),
        opened_not_recognised=_sum(row.unrecognised),
        retested=_sum(row.retested),
        saved_cents=None if row.saved_cents is None else _sum(row.saved_cents),
    )


def _sum(figure: Figure) -> pb.CitySum:
    return pb.CitySum(least=figure.least, withheld=figure.withheld)
