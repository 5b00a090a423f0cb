"""Licences as SD-JWT VC: which claims a licence has, which of them may never be held back, and what they may hold.

Source: draft-ietf-oauth-sd-jwt-vc, sections 2.2 and 2.3 (``typ``, ``vct``, claims that are not disclosed selectively);
draft-ietf-oauth-status-list, 6.2 (``status``); GB/T 36903 (the other claims).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from ledger import days
from ledger.errors import InvalidInputError, LedgerError
from ledger.identifiers import parse_uscc
from ledger.licences import binding, identifier
from ledger.licences.fields import COMMON, LONG_TERM, USCC_HOLDER
from ledger.licences.issuing import Hidden
from ledger.licences.sdjwt import SD_ALG, Claims
from ledger.licences.templates import Template

TYP: Final = "dc+sd-jwt"
ISSUER_PREFIX: Final = "urn:cn:uscc:"
TYPE_PREFIX: Final = "urn:cn:elicence:"
MAX_URI: Final = 512
MAX_INDEX: Final = 2**32 - 1

#: Claims that would change what a licence means if the holder could leave them out.
NEVER_HIDDEN: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status", SD_ALG})
_REGISTERED: Final = NEVER_HIDDEN | {"iat", "sub", "jti"}
_URI: Final = re.compile(r"https://[A-Za-z0-9._:\[\]-]+/[A-Za-z0-9._~/%-]*\Z")
_MAX_NAME: Final = 64
_MAX_TIME: Final = 253_402_300_799
_HINT: Final = "ask the issuer for the licence anew: this one was not made as licences are"


class StatusPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a licence's status stands: the address of the list, and the place in it."""

    uri: str
    index: int


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What a licence says. ``issuer``: USCC; ``type_code``: 21 characters; times: Unix seconds, None where not stated;
    ``holder_spki``: DER SubjectPublicKeyInfo of the holder's key; ``facts``: the other claims that are visible, by
    their GB/T 36903 names; ``hidden``: how many were held back."""

    issuer: str
    type_code: str
    issued_at: int | None
    not_before: int | None
    expires: int | None
    holder_spki: bytes | None
    status: StatusPlace | None
    facts: Mapping[str, Any]
    hidden: int


def licence_claims(
    form: Template,
    values: Mapping[str, str],
    *,
    identity: identifier.LicenceIdentifier,
    issuer_name: str,
    issued_at: int,
    status: StatusPlace,
    holder_spki: bytes | None = None,
) -> dict[str, Any]:
    """The claims of a licence, ready to be issued, with :class:`Hidden` around what says something about the holder.

    ``values``: checked by :func:`ledger.licences.templates.check`; ``issued_at``: Unix seconds. Validity runs from the
    first moment of its first day to the last of its last, in China.

    Raises: InvalidInputError(licence.serial-personal) where the identifier repeats the holder's code.
    """
    # A firm's code is public, a person's number is not.
    if values["CZZTDMLXDM"] != USCC_HOLDER and values["CZZTDM"] in identity.serial:
        raise InvalidInputError(
            "licence.serial-personal",
            "the serial of the identifier repeats the holder's code",
            hint="give another serial, or none: a random one is made",
        )
    facts = {
        **values,
        "ZZMC": form.zh,
        "ZZLXDM": identity.type_code,
        "ZZBFJG": issuer_name,
        "ZZBFJGDM": identity.issuer,
        "ZZBFRQ": days.day_of(issued_at * 1_000).isoformat(),
        "ZZBS": str(identity),
    }
    shown = {item.name for item in COMMON.values() if not item.hidden}
    claims: dict[str, Any] = {name: value if name in shown else Hidden(value) for name, value in facts.items()}
    claims |= {
        "iat": issued_at,
        "iss": ISSUER_PREFIX + identity.issuer,
        "nbf": days.start_of(date.fromisoformat(values["ZZYXQQSRQ"])) // 1_000,
        "status": {"status_list": {"idx": status.index, "uri": status.uri}},
        "vct": f"{TYPE_PREFIX}{identity.type_code}:1",
    }
    if values["ZZYXQJZRQ"] != LONG_TERM:
        claims["exp"] = days.start_of(date.fromisoformat(values["ZZYXQJZRQ"]) + timedelta(days=1)) // 1_000
    if holder_spki is not None:
        claims["cnf"] = binding.confirmation(holder_spki)
    return claims


def read(opened: Claims) -> Credential:
    """The licence in an opened SD-JWT.

    Raises: InvalidInputError(licence.hidden-claim | licence.vct-missing | licence.vct | licence.iss |
    licence.time-claim | licence.time-order | licence.cnf* | licence.status-reference | licence.status-place |
    licence.status-address).
    """
    for name in opened.names:
        if name in NEVER_HIDDEN:
            raise _malformed("licence.hidden-claim", "a claim is selectively disclosable that may not be", name)
    claims = opened.claims
    type_code = parse_vct(claims.get("vct"))
    issuer = parse_issuer(claims.get("iss"))
    not_before, expires = _time(claims, "nbf"), _time(claims, "exp")
    if not_before is not None and expires is not None and expires <= not_before:
        raise _malformed("licence.time-order", "the licence ends before it begins")
    return Credential(
        issuer=issuer,
        type_code=type_code,
        issued_at=_time(claims, "iat"),
        not_before=not_before,
        expires=expires,
        holder_spki=binding.holder_key(claims["cnf"]) if "cnf" in claims else None,
        status=_status(claims["status"]) if "status" in claims else None,
        facts={name: value for name, value in claims.items() if name not in _REGISTERED},
        hidden=opened.hidden,
    )


def parse_issuer(iss: Any) -> str:
    """The USCC in an ``iss`` claim. Raises: InvalidInputError(licence.iss)."""
    issuer = _issuer(iss) if isinstance(iss, str) and len(iss) <= _MAX_NAME else None
    if issuer is not None:
        return issuer
    raise _malformed("licence.iss", f"the issuer is not named as {ISSUER_PREFIX}<code>", iss)


def parse_vct(vct: Any) -> str:
    """The type code in a ``vct`` claim. Raises: InvalidInputError(licence.vct-missing | licence.vct)."""
    if vct is None:
        raise _malformed("licence.vct-missing", "the licence does not say what type it is of")
    type_code = _type_code(vct) if isinstance(vct, str) and len(vct) <= _MAX_NAME else None
    if type_code is not None:
        return type_code
    raise _malformed("licence.vct", f"the type is not named as {TYPE_PREFIX}<type code>:1", vct)


# Licences share their issuers and types. What is kept comes from texts that nobody has verified: only short ones are.
@lru_cache(maxsize=1_024)
def _issuer(iss: str) -> str | None:
    if not iss.startswith(ISSUER_PREFIX):
        return None
    try:
        return parse_uscc(iss.removeprefix(ISSUER_PREFIX))
    except LedgerError:
        return None


@lru_cache(maxsize=1_024)
def _type_code(vct: str) -> str | None:
    if not (vct.startswith(TYPE_PREFIX) and vct.endswith(":1")):
        return None
    try:
        return identifier.parse_type_code(vct[len(TYPE_PREFIX) : -2])
    except LedgerError:
        return None


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int or not 0 <= value <= _MAX_TIME:
        raise _malformed("licence.time-claim", f"{name} is not a time in seconds", value)
    return value


def _status(status: Any) -> StatusPlace:
    place = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(place, dict):
        raise _malformed("licence.status-reference", "status names no status list")
    index, uri = place.get("idx"), place.get("uri")
    if type(index) is not int or not 0 <= index <= MAX_INDEX:
        raise _malformed("licence.status-place", "the place in the status list is no number from 0 on", index)
    if not isinstance(uri, str) or len(uri) > MAX_URI or not _URI.match(uri):
        raise _malformed("licence.status-address", "the status list has no https address", uri)
    return StatusPlace(uri=uri, index=index)


def _malformed(code: str, message: str, actual: object = None) -> InvalidInputError:
    return InvalidInputError(code, message, hint=_HINT, actual=None if actual is None else ascii(actual)[:80])
