"""Status lists as the gateway keeps them: whole, verified, and held against the chain's newest version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.licences.kept import Kept, Reading
from gateway.licences.sources import IssuerNodes, list_number
from gateway.licences.state import ChainWord, Moment
from gateway.licences.trusts import FRESH_MS, IssuerTrusts
from ledger.errors import InvalidInputError, UnavailableError, UntrustedError
from ledger.licences import b64, jws, statustoken
from ledger.licences.statuschain import check_list
from ledger.licences.statustoken import ListKey, VerifiedStatusList

#: Lists kept at one time. One takes what its issuer's licences take: 32 KiB for 131,072 of them, at most 4 MiB.
MAX_LISTS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptList:
    """A verified list, its token, and the newest version the chain has of it (0: none yet)."""

    token: str
    content: VerifiedStatusList
    chain_version: int


class StatusLists:
    """The newest status lists of this city's issuers. Thread-safe."""

    def __init__(
        self,
        state: ChainWord,
        nodes: IssuerNodes,
        trusts: IssuerTrusts,
        clock: Callable[[], int],
        *,
        max_age_ms: int,
    ) -> None:
        self._state = state
        self._nodes = nodes
        self._trusts = trusts
        self._clock = clock
        self._kept = Kept(self._read, clock, size=MAX_LISTS, fresh_ms=FRESH_MS, keep_ms=max_age_ms)

    def newest(self, issuer: str, uri: str) -> Reading[KeptList]:
        """The newest list of the number that a licence of this issuer (USCC) names; whether it is of the licence's
        address, and how old it may be, is the judge's matter.

        Raises: UntrustedError, InvalidInputError(licence.*), UnavailableError(node.* | chain.*), NotFoundError.
        """
        return self._kept.get((issuer, list_number(uri)))

    def by_number(self, issuer: str, number: int, time_s: int | None = None) -> KeptList:
        """An issuer's list by number: the newest, or as it spoke at a second. Raises: as :meth:`newest`."""
        if time_s is None:
            return self._kept.get((issuer, number)).value
        at = self._state.moment()
        token = self._nodes.token(issuer, number, time_s)
        content = self._verified(at, token, issuer, number)
        statustoken.check_fresh(content, time_s)
        return KeptList(token=token, content=content, chain_version=self._check(at, content, number, newest=False))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read(self, name: tuple[str, int], before: KeptList | None) -> KeptList:
        issuer, number = name
        try:
            token = self._nodes.token(issuer, number)
        except UnavailableError:
            if before is not None:
                # The old list is used on only where the chain has no newer one: keeping the issuer's node away must not
                # keep a revocation away.
                self._check(self._state.moment(), before.content, number, newest=True)
            raise
        at = self._state.moment()
        if before is not None and before.token == token:
            content = before.content
        else:
            content = self._verified(at, token, issuer, number)
        return KeptList(token=token, content=content, chain_version=self._check(at, content, number, newest=True))

    def _verified(self, at: Moment, token: str, issuer: str, number: int) -> VerifiedStatusList:
        def key_of(kid: str) -> ListKey | None:
            return self._key(at, issuer, kid)

        try:
            content = statustoken.verify(token, uri=_named(token, number), issuer=issuer, key_of=key_of)
        except (InvalidInputError, UntrustedError) as error:
            if error.code.startswith("licence.status-"):
                raise
            # What is wrong with a list must not read like something wrong with the licence.
            raise _untrusted("licence.status-token", "the issuer's node serves no status list", error.code) from error
        return content

    def _key(self, at: Moment, issuer: str, kid: str) -> ListKey | None:
        try:
            material = b64.decode(kid)
        except InvalidInputError:
            return None
        if len(material) != hashlib.sha256().digest_size or self._state.key(at, material, issuer) is None:
            return None
        return ListKey(issuer=issuer, spki=self._trusts.key(issuer, kid).spki)

    def _check(self, at: Moment, content: VerifiedStatusList, number: int, *, newest: bool) -> int:
        """Hold a list against the chain; the chain's newest version."""
        key = self._state.key(at, b64.decode(content.kid), content.issuer)
        return check_list(content, key=key, head=self._state.list_head(at, content.issuer, number), newest=newest)


def _named(token: str, number: int) -> str:
    """The address a token says it has, where it is of that number. What it says is verified afterwards."""
    uri = jws.parse(token).claims().get("sub")
    if not isinstance(uri, str) or list_number(uri) != number:
        raise _untrusted("licence.status-uri", "the issuer's node answered with another list", number)
    return uri


def _untrusted(code: str, message: str, actual: object) -> UntrustedError:
    return UntrustedError(
        code, message, hint="ask the issuer; until this is cleared nobody knows the licence's status", actual=actual
    )
