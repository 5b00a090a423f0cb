"""An office's side of one examination for several certificates: from what a hospital gave to the order of a licence.

Which report of which hospital bears the finding out stands in the certificate (docs/adr/0033), and which certificates
rest on a report that was corrected or withdrawn since is worked out from what the hospital told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from ledger.codec import decode
from ledger.days import day_of
from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError, UntrustedError
from ledger.licences import templates
from ledger.licences.fields import CITIZEN_HOLDER, Kind, read_citizen, read_day
from ledger.storage.changes import ChangeEntry
from ledger.storage.examinations import Used
from ledger.storage.exchanges import ExchangeEntry
from ledger.storage.licencerows import LicenceRow
from node.licences.fetching import HOLDER
from node.licences.issuer import Issued
from node.licences.making import VALID_FROM, VALID_UNTIL, Order, decode_order

if TYPE_CHECKING:
    from node.context import NodeContext

MAX_PAYLOAD: Final = 65_536
HOLDER_TYPE: Final = "CZZTDMLXDM"
FINDING, EXAMINED_ON, HOSPITAL = "KZ_TJJL", "KZ_TJRQ", "KZ_TJJGDM"
REPORT, VERSION = "KZ_TJBGBS", "KZ_TJBGBB"
FIT: Final = "合格"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a clerk asks for. ``fields``: what comes neither from the examination nor from the holder's code."""

    holder: str
    type: str
    form: templates.Template
    fields: Mapping[str, str]
    holder_key: Mapping[str, Any] | None
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the hospital gave. ``report``: 32 bytes; ``facts``: fields of the certificate."""

    report: bytes
    version: int
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """A certificate and the examination it rests on; ``change``: what the hospital told since of a later version."""

    used: Used
    licence: LicenceRow | None
    change: ChangeEntry | None

    @property
    def matters(self) -> bool:
        """Whether a licence that somebody may rely on rests on what is no longer so."""
        return self.change is not None and self.licence is not None and self.licence.state in ("valid", "suspended")


def check(context: NodeContext, wanted: Application) -> None:
    """Refuse what could not be issued whatever the hospital says, before anybody is asked about a person.

    Raises: InvalidInputError(licence.no-examination | licence.examination-fixed | licence.citizen | licence.fields |
    licence.type-unknown), NotAllowedError(licence.not-accredited).
    """
    form = wanted.form
    if not form.examination:
        raise InvalidInputError(
            "licence.no-examination",
            f"a licence of the template {form.id} is made of no medical examination",
            hint="civicledger licence issue",
        )
    fixed = sorted(set(wanted.fields) & {*form.examined, HOLDER, HOLDER_TYPE})
    if fixed:
        raise InvalidInputError(
            "licence.examination-fixed",
            f"these fields come from the examination and from whom it is about: {', '.join(fixed)}",
            hint="leave them out",
        )
    read_citizen(wanted.holder)
    today = day_of(context.clock()).isoformat()
    stand_in = {Kind.DAY: today, Kind.USCC: context.member}
    examined = {
        item.name: item.choices[0] if item.choices else stand_in.get(item.kind, "1")
        for item in form.own
        if item.name in form.examined
    }
    row = {VALID_FROM: today, VALID_UNTIL: today, HOLDER: wanted.holder, HOLDER_TYPE: CITIZEN_HOLDER, **examined}
    templates.check(form, row | dict(wanted.fields))
    context.licences.issuer.require_accredited(wanted.type)


def request_id(exchange: bytes) -> str:
    """The id of the order of a certificate: one exchange, one certificate."""
    return f"exam:{exchange.hex()[:48]}"


def issued_before(context: NodeContext, wanted: Application, exchange: bytes) -> Issued | None:
    """The certificate that was made of an exchange already. Raises: ConflictError(licence.other-request)."""
    store = context.licences.store
    row = store.of_request(request_id(exchange))
    if row is None or row.state == "begun":
        return None
    payload = store.payload(row.id)
    if payload is not None:
        asked = decode_order(payload.asked)
        same = (asked.type, asked.template, asked.serial, asked.holder_key) == (
            wanted.type,
            wanted.form.id,
            wanted.serial,
            wanted.holder_key,
        )
        if not same or any(asked.fields.get(name) != text for name, text in wanted.fields.items()):
            raise ConflictError(
                "licence.other-request",
                "another certificate was made of this exchange",
                hint="use a fresh nonce (leave it empty)",
            )
    return Issued(row=row, payload=payload)


def decode_facts(data: bytes, form: templates.Template, entry: ExchangeEntry) -> Given:
    """What the hospital gave, as far as it is what was asked for.

    Raises: UntrustedError(licence.examination), InvalidInputError(licence.examination-incomplete).
    """
    try:
        value = decode(data, max_bytes=MAX_PAYLOAD)
    except LedgerError as error:
        raise _not_ours("it cannot be read") from error
    if not isinstance(value, dict) or set(value) != {"examination", "facts", "v"} or value["v"] != 1:
        raise _not_ours("it has another form")
    facts = value["facts"]
    if not isinstance(facts, dict) or not all(isinstance(text, str) for text in facts.values()):
        raise _not_ours("it has another form")
    if value["examination"] != form.examination:
        raise _not_ours(f"it is an examination for {ascii(value['examination'])[:40]}")
    if facts.get(HOSPITAL, entry.counterpart) != entry.counterpart:
        raise _not_ours("it names another hospital")
    missing = [item for item in form.own if item.name in form.examined and item.name not in facts]
    if missing or set(facts) - set(form.examined):
        raise InvalidInputError(
            "licence.examination-incomplete",
            "the examination, or what the grant shows of it, lacks: " + ", ".join(f"{i.zh} {i.en}" for i in missing),
            hint="the hospital completes the examination, or the grant gets these fields",
        )
    try:
        return Given(report=_hex32(facts[REPORT]), version=int(facts[VERSION]), facts=facts)
    except ValueError:
        raise _not_ours("its report or version is no such thing") from None


def order_of(context: NodeContext, wanted: Application, given: Given, exchange: bytes) -> Order:
    """The order of the certificate: valid until the clerk's day, and no longer than its examination allows.

    Raises: NotAllowedError(licence.unfit | licence.examination-old).
    """
    if given.facts[FINDING] != FIT:
        raise NotAllowedError(
            "licence.unfit",
            "the hospital finds this person unfit: no certificate is issued",
            hint="the finding is on record at the hospital; the person is examined again there",
        )
    limit = date.fromisoformat(given.facts[EXAMINED_ON]) + timedelta(days=wanted.form.valid_days)
    until = read_day(wanted.fields.get(VALID_UNTIL) or limit.isoformat())
    if until > limit.isoformat() or limit < day_of(context.clock()):
        raise NotAllowedError(
            "licence.examination-old",
            f"an examination of {given.facts[EXAMINED_ON]} bears a certificate until {limit}",
            hint="choose an earlier last day, or have the person examined again",
            expected=limit,
            actual=until,
        )
    fields = {**wanted.fields, **given.facts, HOLDER: wanted.holder, HOLDER_TYPE: CITIZEN_HOLDER, VALID_UNTIL: until}
    return Order(
        request=request_id(exchange),
        type=wanted.type,
        template=wanted.form.id,
        fields=fields,
        holder_key=wanted.holder_key,
        serial=wanted.serial,
        examination=exchange,
    )


def resting(
    context: NodeContext, *, size: int, token: bytes = b"", changed: bool = False
) -> tuple[tuple[Resting, ...], bytes]:
    """(certificates that were made of examinations, each in its newest version; token of the next page or ``b""``).

    ``changed``: those that need a decision; then ``size`` is how many are looked through.
    Raises: InvalidInputError(page.token).
    """
    used, following = context.medical.examinations.page(size=size, token=token)
    found = (rests_on(context, one) for one in used)
    return tuple(one for one in found if one.matters or not changed), following


def rests_on(context: NodeContext, used: Used) -> Resting:
    """What became of a certificate and of its examination."""
    store = context.licences.store
    row = store.of_request(used.request)
    while row is not None and row.replaced_by:
        row = store.get(row.replaced_by)
    change = context.medical.speaking.changes.of(used.institution, used.report)
    if change is not None and change.change == "corrected" and change.version <= used.version:
        change = None
    return Resting(used=used, licence=row, change=change)


def _hex32(text: str) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != 32:
        raise ValueError(len(data))
    return data


def _not_ours(problem: str) -> UntrustedError:
    return UntrustedError(
        "licence.examination",
        f"what the hospital gave is not the examination that was asked for: {problem}",
        hint="keep the receipt as evidence, and ask the hospital; compare the versions of both nodes",
    )
