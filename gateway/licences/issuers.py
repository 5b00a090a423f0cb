"""What the gateway shows of issuers: their keys, their accreditations, their status lists."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.licences.lists import KeptList, StatusLists
from gateway.licences.sources import IssuerKey
from gateway.licences.state import ChainWord
from gateway.licences.trusts import IssuerTrusts, spans
from ledger.errors import InvalidInputError
from ledger.licences.trust import Accreditation, key_end
from ledger.model import MAX_TIME_MS, KeyInfo

MAX_NUMBER = 999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A key as its issuer publishes it and as the chain has it. ``ended_ms``: None in force."""

    published: IssuerKey
    chain: KeyInfo
    ended_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownIssuer:
    """``accreditations``: for the type asked for. ``view_time_ms``: the chain's newest signed time."""

    issuer: str
    keys: tuple[ShownKey, ...]
    accreditations: tuple[Accreditation, ...]
    view_height: int
    view_time_ms: int


class Issuers:
    """Issuers as shown to anybody. Thread-safe."""

    def __init__(self, state: ChainWord, trusts: IssuerTrusts, lists: StatusLists) -> None:
        self._state = state
        self._trusts = trusts
        self._lists = lists

    def issuer(self, uscc: str, code: str | None) -> ShownIssuer:
        """An issuer's keys that are on the chain, and its accreditations for a type of licence.

        Raises: NotFoundError(member.*), UnavailableError(chain.* | node.*), UntrustedError(state.* | node.*).
        """
        published = self._trusts.keys(uscc)
        at = self._state.moment()
        keys = []
        for key in published.values():
            chain = self._state.key(at, key.digest, uscc)
            if chain is not None:
                keys.append(ShownKey(published=key, chain=chain, ended_ms=key_end(chain)[0]))
        return ShownIssuer(
            issuer=uscc,
            keys=tuple(keys),
            accreditations=() if code is None else spans(self._state.standing(at, code, uscc)),
            view_height=at.head.height,
            view_time_ms=at.time_ms,
        )

    def status_list(self, uscc: str, number: int, time_s: int | None = None) -> KeptList:
        """A list of an issuer: the newest, or the one that spoke at a time (Unix seconds).

        Raises: InvalidInputError(http.number) and as ``StatusLists.by_number``.
        """
        if not 1 <= number <= MAX_NUMBER or (time_s is not None and not 0 <= time_s <= MAX_TIME_MS // 1000):
            raise InvalidInputError("http.number", "there is no such list, or no such time", actual=number)
        return self._lists.by_number(uscc, number, time_s)
