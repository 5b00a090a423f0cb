"""Openings of the department's own trail: kept for queries by subject, erased on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.codec import encode_record
from ledger.errors import NotFoundError, UntrustedError
from ledger.events import LABEL
from ledger.model import Record
from ledger.storage.openings import MAX_SUBJECT, SUBJECT_FIELD, Opening
from ledger.v1 import department_pb2
from node.services import fields

if TYPE_CHECKING:
    from node.context import NodeContext

#: Most openings of one request.
MAX_OPENINGS = 1_000


def keep(context: NodeContext, request: department_pb2.KeepOpeningsRequest) -> department_pb2.KeepOpeningsResponse:
    """Check every opening against its record and keep them all, or none.

    Raises: InvalidInputError(input.field | opening.subject | commitment.salt), NotFoundError(record.range),
    UntrustedError(opening.other), the record does not hold that commitment.
    """
    _bounded("openings", len(request.openings))
    size = context.log.size
    made = [_opening(context, given, size) for given in request.openings]
    return department_pb2.KeepOpeningsResponse(count=context.openings.keep(made))


def erase(context: NodeContext, request: department_pb2.EraseOpeningsRequest) -> department_pb2.EraseOpeningsResponse:
    """Delete openings and write one ``erasure.done`` for each commitment, in the order given.

    Deleted first: the trail never tells of an erasure that has not happened. A repeat after a crash in between finds
    nothing more to delete and writes the records.
    """
    _bounded("commitments", len(request.commitments))
    names = [fields.id32("commitments", name) for name in request.commitments]
    if not LABEL.accepts(request.basis):
        raise fields.refuse("basis", f"is not: {LABEL.meaning}", hint='a code of the law, such as "PIPL/47"')
    count = context.openings.erase(names)
    now = context.clock()
    records = [
        encode_record(
            Record(
                type="erasure.done",
                member=context.member,
                time_ms=now,
                body={"basis": request.basis, "commitment": name.hex()},
            )
        )
        for name in names
    ]
    first, _ = context.log.append(records)
    return department_pb2.EraseOpeningsResponse(count=count, first=first)


def _opening(context: NodeContext, given: department_pb2.Opening, size: int) -> Opening:
    if given.index >= size:
        raise NotFoundError(
            "record.range",
            f"this log has {size} records",
            hint="append the record first",
            expected=size,
            actual=given.index,
        )
    subject = fields.text("subject", given.subject, limit=MAX_SUBJECT)
    opening = Opening(index=given.index, salt=bytes(given.salt), subject=subject)
    if opening.record_time(context.log.read(given.index, 1)[0]) is None:
        raise UntrustedError(
            "opening.other",
            f"record {given.index} does not hold the commitment that this salt and pseudonym make",
            hint=f'commit with the type line "access.used/subject" in the field {SUBJECT_FIELD}',
            expected=opening.commitment(),
            actual=given.index,
        )
    return opening


def _bounded(field: str, count: int) -> None:
    if not 1 <= count <= MAX_OPENINGS:
        raise fields.refuse(field, f"are 1 to {MAX_OPENINGS} in one request", expected=MAX_OPENINGS, actual=count)
