"""Making one licence of what a clerk ordered: its fields by the template, its identifier, its claims, its signature."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ledger.codec import decode, encode
from ledger.days import day_of, start_of
from ledger.errors import ConflictError
from ledger.licences import binding, identifier, issuing, templates
from ledger.licences.fields import COMMON, LONG_TERM, Field
from ledger.licences.suites import Signer

if TYPE_CHECKING:
    from node.context import NodeContext

#: First and last day of a licence's validity.
VALID_FROM, VALID_UNTIL = "ZZYXQQSRQ", "ZZYXQJZRQ"
TYP = "dc+sd-jwt"
_SALT_BYTES = 16
#: What a licence number may hold and a serial not.
_NOT_IN_SERIALS = str.maketrans("", "", "()（）〔〕-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a clerk asks for. ``template`` names the form; ``fields``: GB/T 36903 names to texts; ``holder_key``: the
    JWK of the holder's key; ``serial``: empty takes the licence number; ``replaces``: id of the version before."""

    request: str
    type: str
    template: str
    fields: Mapping[str, str]
    holder_key: Mapping[str, Any] | None = None
    serial: str = ""
    version: int = 1
    replaces: bytes = b""

    def encode(self) -> bytes:
        """Everything but the request id (JCS): what a repeat must ask for again."""
        return encode(
            {
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A licence that may be issued, but for its place in a status list. ``holder``: the holder's code; times are Unix
    milliseconds, ``expires_ms`` None for never."""

    order: Order
    identifier: str
    serial: str
    holder: str
    not_before_ms: int
    expires_ms: int | None
    claims: Mapping[str, Any] = field(repr=False)


def draft_of(context: NodeContext, order: Order) -> Draft:
    """Check an order by its template and make its claims.

    Raises: InvalidInputError(licence.fields | licence.serial | licence.cnf*), naming every wrong field,
    ConflictError(licence.expired).
    """
    form = templates.template(order.template)
    today = day_of(context.clock())
    given = {name: text for name, text in order.fields.items() if text}
    values = templates.check(form, {VALID_FROM: today.isoformat(), **given})
    until = values[VALID_UNTIL]
    expires_ms = None if until == LONG_TERM else start_of(date.fromisoformat(until) + timedelta(days=1))
    if expires_ms is not None and expires_ms <= context.clock():
        raise ConflictError(
            "licence.over", "its validity is over already", hint=f"give a later {VALID_UNTIL}", actual=until
        )
    serial = order.serial or values["ZZBH"].upper().translate(_NOT_IN_SERIALS)
    named = str(identifier.make(order.type, context.member, serial, order.version))
    not_before_ms = start_of(date.fromisoformat(values[VALID_FROM]))
    stated = {
        "ZZMC": form.zh,
        "ZZLXDM": order.type,
        "ZZBFJG": context.config.member.name or context.config.member.handle,
        "ZZBFJGDM": context.member,
        "ZZBFRQ": today.isoformat(),
        "ZZBS": named,
        **values,
    }
    known: dict[str, Field] = {**COMMON, **{item.name: item for item in form.fields}}
    claims: dict[str, Any] = {
        name: issuing.Hidden(value) if known[name].hidden else value for name, value in stated.items()
    }
    claims |= {
        "iss": f"urn:cn:uscc:{context.member}",
        "vct": f"urn:cn:elicence:{order.type}:1",
        "nbf": not_before_ms // 1_000,
    }
    if expires_ms is not None:
        claims["exp"] = expires_ms // 1_000
    if order.holder_key is not None:
        claims["cnf"] = {"jwk": dict(order.holder_key)}
        binding.holder_key(claims["cnf"])
    return Draft(
        order=order,
        identifier=named,
        serial=serial,
        holder=values["CZZTDM"],
        not_before_ms=not_before_ms,
        expires_ms=expires_ms,
        claims=claims,
    )


def sign(draft: Draft, signer: Signer, *, uri: str, index: int, issued_ms: int) -> str:
    """The signed licence with all its disclosures, at its place in a status list."""
    claims = {
        **draft.claims,
        "iat": issued_ms // 1_000,
        "status": {"status_list": {"idx": index, "uri": uri}},
    }
    drawn = secrets.token_bytes(_SALT_BYTES * issuing.salts_needed(claims))
    salts = (drawn[place : place + _SALT_BYTES] for place in range(0, len(drawn), _SALT_BYTES))
    return issuing.issue(claims, typ=TYP, signer=signer, salts=salts)
