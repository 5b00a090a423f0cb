"""Status list tokens: a status list signed by the body that issued the licences in it, and what it says at a time.

A JWT of type ``statuslist+jwt`` whose ``sub`` is the address that licences name. All its times are **seconds**.
Besides the draft's claims ours carry ``iss`` and ``version``, which other readers ignore: the version counts the
contents of one list from 1, and the chain holds ``list_digest``, the SHA-256 of the inflated list, of each. A list
signed anew before its ``ttl`` ends keeps version and list digest.
Source: draft-ietf-oauth-status-list, sections 5.1, 8.3 and 8.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.seal import Seal
from ledger.licences import b64, jws
from ledger.licences.status import MAX_DEFLATED_BYTES, StatusList
from ledger.licences.suites import Signer

TYP: Final = "statuslist+jwt"
MEDIA_TYPE: Final = "application/statuslist+jwt"
#: How far two clocks may disagree, in seconds.
SKEW_S: Final = 60
MAX_TOKEN_CHARACTERS: Final = MAX_DEFLATED_BYTES * 16 // 9 + 4096
_MAX_TIME_S: Final = 253_402_300_799
_MAX_VERSION: Final = 2**32 - 1
_MAX_URI: Final = 512
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKey:
    """Whose key a list may be signed with: ``issuer``: USCC; ``spki``: DER SubjectPublicKeyInfo."""

    issuer: str
    spki: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedStatusList:
    """A list whose signature, form and address were checked; how old it is, is asked for each use.

    ``issuer``: USCC of the key's owner; ``iat``, ``exp``, ``ttl``: seconds (``exp`` and ``ttl`` None where not
    stated); ``version``: None in lists of other makers; ``token_digest``: SHA-256 of this token's ASCII.
    """

    uri: str
    issuer: str
    kid: str
    iat: int
    exp: int | None
    ttl: int | None
    version: int | None
    list: StatusList
    token_digest: bytes
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(seal)

    @property
    def list_digest(self) -> bytes:
        """SHA-256 of the inflated list: what the chain holds for the version."""
        return self.list.digest

    @property
    def uri_digest(self) -> bytes:
        """SHA-256 of the address: what the chain holds for the list."""
        return hashlib.sha256(self.uri.encode("utf-8")).digest()

    @property
    def until_s(self) -> int | None:
        """The last second this token speaks for: the earlier of ``exp`` and ``iat + ttl``."""
        ends = [end for end in (self.exp, None if self.ttl is None else self.iat + self.ttl) if end is not None]
        return min(ends, default=None)


def make(
    signer: Signer, content: StatusList, *, issuer: str, uri: str, version: int, iat: int, ttl: int, exp: int
) -> str:
    """A signed list. Times in seconds. Raises: InvalidInputError(licence.status-claims)."""
    claims: dict[str, Any] = {
        "exp": exp,
        "iat": iat,
        "iss": f"urn:cn:uscc:{issuer}",
        "status_list": {"bits": content.bits, "lst": b64.encode(content.encode())},
        "sub": uri,
        "ttl": ttl,
        "version": version,
    }
    _check_claims(claims)
    return jws.make({"kid": signer.kid, "typ": TYP}, claims, signer)


def verify(
    token: str, *, uri: str, issuer: str, key_of: Callable[[str], ListKey | None], now_s: int | None = None
) -> VerifiedStatusList:
    """Check a list that was fetched from ``uri`` for a licence of ``issuer`` (USCC).

    ``key_of(kid)``: the key of that name and its owner, as the chain has them. With ``now_s`` also :func:`check_fresh`.
    Raises: InvalidInputError(licence.status-* | licence.json* | …), UntrustedError(licence.signature |
    licence.status-key | licence.status-other-issuer | licence.status-uri | licence.status-stale |
    licence.status-expired | licence.status-future).
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidInputError(
            "licence.status-size",
            "the status list token is too long",
            expected=MAX_TOKEN_CHARACTERS,
            actual=len(token),
        )
    parsed = jws.parse(token)
    parsed.require_typ(TYP)
    key = key_of(parsed.kid)
    if key is None:
        raise _untrusted("licence.status-key", "the status list is signed with a key that nobody vouches for")
    parsed.verify(key.spki)
    claims = parsed.claims()
    _check_claims(claims)
    stated = claims.get("iss", f"urn:cn:uscc:{key.issuer}")
    if key.issuer != issuer or stated != f"urn:cn:uscc:{issuer}":
        raise _untrusted(
            "licence.status-other-issuer",
            "the status list is signed by another body than the licence",
            f"urn:cn:uscc:{issuer}",
            f"urn:cn:uscc:{key.issuer}" if key.issuer != issuer else ascii(stated)[:60],
        )
    if claims["sub"] != uri:
        raise _untrusted("licence.status-uri", "the status list is of another address", uri, claims["sub"])
    content = StatusList.decode(claims["status_list"]["bits"], b64.decode(claims["status_list"]["lst"]))
    verified = VerifiedStatusList(
        uri=uri,
        issuer=issuer,
        kid=parsed.kid,
        iat=claims["iat"],
        exp=claims.get("exp"),
        ttl=claims.get("ttl"),
        version=claims.get("version"),
        list=content,
        token_digest=hashlib.sha256(token.encode("ascii")).digest(),
        seal=_SEAL,
    )
    if now_s is not None:
        check_fresh(verified, now_s)
    return verified


def check_fresh(given: VerifiedStatusList, now_s: int) -> None:
    """Refuse a list that no longer, or not yet, speaks for this second (clocks may disagree by 60 s).

    Raises: UntrustedError(licence.status-future | licence.status-stale | licence.status-expired).
    """
    if given.iat > now_s + SKEW_S:
        raise _untrusted("licence.status-future", "the status list is from the future", f"at most {now_s}", given.iat)
    if given.ttl is not None and now_s > given.iat + given.ttl + SKEW_S:
        raise _untrusted(
            "licence.status-stale", "the status list is older than it may be", given.iat + given.ttl, now_s
        )
    if given.exp is not None and now_s >= given.exp + SKEW_S:
        raise _untrusted("licence.status-expired", "the status list has expired", f"before {given.exp}", now_s)


def status_of(given: VerifiedStatusList, *, uri: str, issuer: str, index: int) -> int:
    """The value of a licence's place, after checking that the list is the one the licence names.

    Raises: UntrustedError(licence.status-uri | licence.status-other-issuer | licence.status-index).
    """
    if given.uri != uri:
        raise _untrusted("licence.status-uri", "the status list is of another address", uri, given.uri)
    if given.issuer != issuer:
        raise _untrusted(
            "licence.status-other-issuer", "the status list is of another body than the licence", issuer, given.issuer
        )
    return given.list.get(index)


def list_at(versions: Sequence[VerifiedStatusList], time_s: int) -> VerifiedStatusList | None:
    """The token that spoke for a second in the past: the newest one made by then whose time covers it.

    ``versions``: tokens of one address, in any order. None where none does: no answer is better than a guess.
    """
    made = [item for item in versions if item.iat <= time_s]
    newest = max(made, key=lambda item: (item.iat, item.version or 0), default=None)
    if newest is None or (newest.until_s is not None and time_s > newest.until_s):
        return None
    return newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From ``from_s`` (seconds) on a place had ``value``, first said by ``version``."""

    from_s: int
    value: int
    version: int | None


def history(versions: Sequence[VerifiedStatusList], index: int) -> tuple[Change, ...]:
    """When the value of a place changed, oldest first. Tokens in which the place did not exist yet say nothing.

    Raises: UntrustedError(licence.status-chain) where the tokens contradict each other: of two addresses or bodies,
    a version that falls with time, or one version with two contents.
    """
    ordered = sorted(versions, key=lambda item: (item.iat, item.version or 0))
    changes: list[Change] = []
    for before, item in zip([None, *ordered], ordered, strict=False):
        if before is not None:
            _check_follows(before, item)
        if index < len(item.list):
            value = item.list.get(index)
            if not changes or changes[-1].value != value:
                changes.append(Change(from_s=item.iat, value=value, version=item.version))
    return tuple(changes)


def _check_follows(before: VerifiedStatusList, item: VerifiedStatusList) -> None:
    falls = (item.version or 0) < (before.version or 0)
    differs = item.version is not None and item.version == before.version and item.list_digest != before.list_digest
    if (before.uri, before.issuer) != (item.uri, item.issuer) or falls or differs:
        raise _untrusted(
            "licence.status-chain",
            "two status lists of this history contradict each other",
            f"after version {before.version} of {before.uri}",
            f"version {item.version} of {item.uri}",
        )


def _check_claims(claims: dict[str, Any]) -> None:
    content = claims.get("status_list")
    if not isinstance(content, dict) or not isinstance(content.get("lst"), str) or "bits" not in content:
        raise _claim("status_list", "{bits, lst}", content)
    uri = claims.get("sub")
    if not isinstance(uri, str) or not 1 <= len(uri) <= _MAX_URI:
        raise _claim("sub", "the address of the list", uri)
    if "iat" not in claims:
        raise _claim("iat", "seconds", None)
    bounds = (("iat", 0, _MAX_TIME_S), ("exp", 0, _MAX_TIME_S), ("ttl", 1, _MAX_TIME_S), ("version", 1, _MAX_VERSION))
    for name, low, high in bounds:
        value = claims.get(name, low)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _claim(name, f"an integer from {low} to {high}", value)


def _claim(name: str, expected: str, actual: object) -> InvalidInputError:
    return InvalidInputError(
        "licence.status-claims",
        f"a status list token without a proper {name}",
        hint="the issuer's node makes these tokens; ask it again",
        expected=expected,
        actual=ascii(actual)[:40],
    )


def _untrusted(code: str, message: str, expected: object = None, actual: object = None) -> UntrustedError:
    return UntrustedError(
        code,
        message,
        hint="fetch the list again from the address in the licence; if that does not help, ask the issuer",
        expected=expected,
        actual=actual,
    )
