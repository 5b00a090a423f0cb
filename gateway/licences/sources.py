"""What issuers' nodes serve about licences over their public HTTPS: their keys and their status list tokens.

Both prove themselves: a key by its digest on the chain, a list by its signature. Where they came from adds nothing, and
no address is ever taken from a licence: a node's stands in ``peers.json``, its certificate on the chain.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from ledger.errors import InvalidInputError, UntrustedError
from ledger.licences.suites import SPKI_BYTES, kid_of, suite_of

#: Keys of one issuer that are read: one a year for a century, and room.
MAX_KEYS: Final = 256
_STATUS_URI: Final = re.compile(r"https://[^/?#\s]{1,200}/licence/status/([1-9][0-9]{0,5})\Z")


class City(Protocol):
    """Where the members' nodes are known."""

    def ask(self, uscc: str, path: str) -> bytes:
        """The body of a member's node at a public path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerKey:
    """A key as its issuer publishes it. ``kid``: base64url of ``digest``, the SHA-256 of ``spki`` (DER)."""

    kid: str
    alg: str
    spki: bytes

    @property
    def digest(self) -> bytes:
        """32 bytes: the key's material on chain."""
        return hashlib.sha256(self.spki).digest()


class _KeyRow(msgspec.Struct, frozen=True):
    kid: str
    alg: str
    spki: str


class _KeysFile(msgspec.Struct, frozen=True):
    issuer: str
    keys: list[_KeyRow]


class IssuerNodes:
    """Reads from the nodes of issuers."""

    def __init__(self, city: City) -> None:
        self._city = city

    def keys(self, uscc: str) -> dict[str, IssuerKey]:
        """The present and former issuer keys of a member by their ``kid``, whose digests were recomputed.

        Raises: NotFoundError(member.*), UnavailableError(node.*), UntrustedError(node.*).
        """
        try:
            file = msgspec.json.decode(self._city.ask(uscc, "/licence/issuer"), type=_KeysFile)
            if file.issuer != uscc or len(file.keys) > MAX_KEYS:
                raise ValueError("another issuer, or too many keys")
            return {row.kid: _key(row) for row in file.keys}
        except (msgspec.MsgspecError, ValueError, binascii.Error, InvalidInputError) as error:
            raise UntrustedError(
                "node.answer",
                "the issuer's node answered with something that is no list of its keys",
                hint="its operator sees the cause with civicledger doctor",
            ) from error

    def token(self, uscc: str, number: int, time_s: int | None = None) -> str:
        """The signed token of a member's status list, not verified: the newest, or the one that spoke at a second.

        Raises: NotFoundError(member.* | licence.*), UnavailableError(node.*), UntrustedError(node.*).
        """
        query = "" if time_s is None else f"?time={time_s}"
        data = self._city.ask(uscc, f"/licence/status/{number}{query}")
        try:
            return data.decode("ascii")
        except UnicodeDecodeError as error:
            raise UntrustedError("node.answer", "the issuer's node answered with something that is no token") from error


def list_number(uri: str) -> int:
    """The number of the list that a licence's status address names.

    Raises: UntrustedError(licence.status-uri).
    """
    found = _STATUS_URI.match(uri)
    if found is None:
        raise UntrustedError(
            "licence.status-uri",
            "the licence names no status list of a node of this city",
            hint="only lists of its members are read here: ask the issuer",
            expected="https://<host>/licence/status/<number>",
            actual=ascii(uri)[:80],
        )
    return int(found[1])


def _key(row: _KeyRow) -> IssuerKey:
    spki = base64.b64decode(row.spki, validate=True)
    suite_of(row.alg)
    if len(spki) != SPKI_BYTES or kid_of(spki) != row.kid:
        raise ValueError("a key under another name")
    return IssuerKey(kid=row.kid, alg=row.alg, spki=spki)
