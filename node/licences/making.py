"""Making one licence of what a clerk ordered: its fields by the template, its identifier, its claims, its signature."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ledger.codec import decode, encode
from ledger.days import day_of, start_of
from ledger.errors import ConflictError, InvalidInputError
from ledger.licences import binding, credential, identifier, issuing, templates
from ledger.licences.fields import LONG_TERM, USCC_HOLDER
from ledger.licences.suites import Signer

if TYPE_CHECKING:
    from node.context import NodeContext

#: First and last day of a licence's validity.
VALID_FROM, VALID_UNTIL = "ZZYXQQSRQ", "ZZYXQJZRQ"
_SALT_BYTES = 16
#: A serial of 100 random bits.
_SERIAL = "0123456789ABCDEFGHJKLMNPQRSTUVWX"
_SERIAL_LENGTH = 20
#: What a licence number may hold and a serial not.
_NOT_IN_SERIALS = str.maketrans("", "", "()（）〔〕-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a clerk asks for. ``template`` names the form; ``fields``: GB/T 36903 names to texts; ``holder_key``: the
    JWK of the holder's key; ``serial``: empty takes the licence number; ``replaces``: id of the version before;
    ``examination``: of a medical certificate the exchange (32 bytes) that brought its finding."""

    request: str
    type: str
    template: str
    fields: Mapping[str, str]
    holder_key: Mapping[str, Any] | None = None
    serial: str = ""
    version: int = 1
    replaces: bytes = b""
    examination: bytes = b""

    def encode(self) -> bytes:
        """Everything but the request id (JCS): what a repeat must ask for again."""
        examined = {"examination": self.examination.hex()} if self.examination else {}
        return encode(
            {
                **examined,
                "fields": dict(self.fields),
                "holderKey": None if self.holder_key is None else dict(self.holder_key),
                "replaces": self.replaces.hex(),
                "serial": self.serial,
                "template": self.template,
                "type": self.type,
                "version": self.version,
            }
        )


def decode_order(data: bytes) -> Order:
    """The order of :meth:`Order.encode`, without a request id."""
    value = decode(data)
    return Order(
        request="",
        type=value["type"],
        template=value["template"],
        fields=value["fields"],
        holder_key=value["holderKey"],
        serial=value["serial"],
        version=value["version"],
        replaces=bytes.fromhex(value["replaces"]),
        examination=bytes.fromhex(value.get("examination", "")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A licence that may be issued, but for its place in a status list. ``values``: its fields in their stored form;
    ``holder_spki``: the holder's key; times are Unix milliseconds, ``expires_ms`` None for never."""

    order: Order
    form: templates.Template
    values: Mapping[str, str] = field(repr=False)
    identity: identifier.LicenceIdentifier = field(repr=False)
    holder_spki: bytes | None
    not_before_ms: int
    expires_ms: int | None

    @property
    def identifier(self) -> str:
        """GB/T 36904."""
        return str(self.identity)

    @property
    def holder(self) -> str:
        """The holder's code."""
        return self.values["CZZTDM"]


def draft_of(context: NodeContext, order: Order) -> Draft:
    """Check an order by its template, and name the licence.

    Raises: InvalidInputError(licence.examination-needed | licence.fields | licence.serial | licence.serial-personal |
    licence.cnf*), naming every wrong field, ConflictError(licence.over).
    """
    form = templates.template(order.template)
    if form.examination and not order.examination:
        raise InvalidInputError(
            "licence.examination-needed",
            f"a licence of the template {form.id} is made of a medical examination",
            hint="civicledger licence certify asks the examining hospital for it, under a grant",
        )
    now_ms = context.clock()
    given = {name: text for name, text in order.fields.items() if text}
    values = templates.check(form, {VALID_FROM: day_of(now_ms).isoformat(), **given})
    until = values[VALID_UNTIL]
    expires_ms = None if until == LONG_TERM else start_of(date.fromisoformat(until) + timedelta(days=1))
    if expires_ms is not None and expires_ms <= now_ms:
        raise ConflictError(
            "licence.over", "its validity is over already", hint=f"give a later {VALID_UNTIL}", actual=until
        )
    draft = Draft(
        order=order,
        form=form,
        values=values,
        identity=identifier.make(order.type, context.member, order.serial or _serial(values), order.version),
        holder_spki=None if order.holder_key is None else binding.holder_key({"jwk": dict(order.holder_key)}),
        not_before_ms=start_of(date.fromisoformat(values[VALID_FROM])),
        expires_ms=expires_ms,
    )
    # Whatever is wrong is said before a place is taken.
    _claims(context, draft, credential.StatusPlace(index=0, uri="https://"), now_ms)
    return draft


def sign(context: NodeContext, draft: Draft, signer: Signer, *, uri: str, index: int, issued_ms: int) -> str:
    """The signed licence with all its disclosures, at its place in a status list."""
    claims = _claims(context, draft, credential.StatusPlace(index=index, uri=uri), issued_ms)
    drawn = secrets.token_bytes(_SALT_BYTES * issuing.salts_needed(claims))
    salts = (drawn[place : place + _SALT_BYTES] for place in range(0, len(drawn), _SALT_BYTES))
    return issuing.issue(claims, typ=credential.TYP, signer=signer, salts=salts)


def _claims(context: NodeContext, draft: Draft, place: credential.StatusPlace, issued_ms: int) -> dict[str, Any]:
    section = context.config.member
    return credential.licence_claims(
        draft.form,
        draft.values,
        identity=draft.identity,
        issuer_name=section.name or section.handle,
        issued_at=issued_ms // 1_000,
        status=place,
        holder_spki=draft.holder_spki,
    )


def _serial(values: Mapping[str, str]) -> str:
    """The licence number; a random one where that number is the holder's own, as on a driving licence."""
    number = values["ZZBH"].upper().translate(_NOT_IN_SERIALS)
    personal = values["CZZTDMLXDM"] != USCC_HOLDER and values["CZZTDM"] in number
    return "".join(secrets.choice(_SERIAL) for _ in range(_SERIAL_LENGTH)) if personal else number
