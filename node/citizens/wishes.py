"""A patient's word on sharing, given at the gateway's page: forbid or allow, to all hospitals or to one (ADR 32)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ledger.codec import decode_record
from ledger.errors import InvalidInputError, NotFoundError
from ledger.model import Roles
from node.citizens.results import sharing, subject_of
from node.medical.consents import ALL

if TYPE_CHECKING:
    from node.context import NodeContext

#: How a hospital's records of consent name this way.
VIA: Final = "citizen"


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``asker``: the hospital (USCC) that is forbidden or allowed to be shown results, or ``*``."""

    asker: str
    permit: bool


def read_wish(context: NodeContext, body: bytes) -> Wish:
    """What a citizen asks. Raises: InvalidInputError(citizen.wish | citizen.asker)."""
    try:
        wish = msgspec.json.decode(body, type=Wish)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InvalidInputError(
            "citizen.wish", "this is no wish about sharing", hint='{"asker": "*", "permit": false}'
        ) from None
    info = None if wish.asker == ALL else context.contracts.consortium.member(wish.asker)
    if wish.asker != ALL and (info is None or Roles.HOSPITAL not in info.roles or wish.asker == context.member):
        raise InvalidInputError(
            "citizen.asker",
            "sharing is forbidden or allowed to another hospital of the city, or to all",
            hint="what a hospital does with its own results is no sharing",
            actual=ascii(wish.asker)[:40],
        )
    return wish


def carry_out(context: NodeContext, identity: str, wish: Wish) -> dict[str, Any]:
    """Do it: in force, and on record, on return. ``outcome``: ``changed`` (with ``record``, ``time``, ``commitment``),
    ``unchanged`` where it holds already, ``unknown`` for somebody of whom nothing is kept here.

    Raises: UnavailableError(disk.full).
    """
    medical = context.medical
    subject = subject_of(medical, identity)
    nothing: dict[str, Any] = {"outcome": "unknown", "record": -1, "time": 0, "commitment": "", "sharing": None}
    if subject is None:
        return nothing
    now_s = context.clock() // 1_000
    rule = medical.consents.standing(subject, now_s).get(wish.asker)
    # Where nothing was said, everything is allowed to all; what holds for all is no word about one hospital.
    said = wish.asker == ALL and wish.permit if rule is None else rule.permit == wish.permit and not rule.ends
    answer = nothing | {"outcome": "unchanged"}
    if not said:
        try:
            index = medical.consents.change(subject, permit=wish.permit, asker=wish.asker, via=VIA)
        except NotFoundError:
            # Erased at this moment.
            return nothing
        record = decode_record(context.log.read(index, 1)[0])
        answer |= {
            "outcome": "changed",
            "record": index,
            "time": record.time_ms,
            "commitment": str(record.body["commitment"]),
        }
    return answer | {"sharing": sharing(medical, subject, context.clock() // 1_000)}
