"""What the gateway knows of issuers: keys from their nodes, confirmed by the chain; accreditations from the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.licences.kept import Kept
from gateway.licences.sources import IssuerKey, IssuerNodes
from gateway.licences.state import ChainWord, Standing
from ledger.errors import InvalidInputError, NotFoundError, UnavailableError
from ledger.licences import b64, credential
from ledger.licences.batch import KnownKeys, known_keys
from ledger.licences.trust import Accreditation, IssuerTrust, Proven, key_end

#: What was read this recently is not read again. Also how long a change on the chain may stay unseen.
FRESH_MS: Final = 2_000
#: Issuers with a key and a type that are known at one time.
MAX_TRUSTS: Final = 1_024
MAX_ISSUERS: Final = 256
#: Keys handed to the native part with every licence: each costs it a little.
MAX_AT_HAND: Final = 32
#: A key proves itself by its digest for ever.
_FOR_EVER_MS: Final = 1 << 62
_DIGEST_BYTES: Final = 32
_SHORT_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssuer:
    """What is known of a key and an issuer for a type, both None where nothing is; ``until_ms``: before when it holds
    without being read anew, Unix milliseconds."""

    trust: IssuerTrust | None
    key: IssuerKey | None
    until_ms: int


class IssuerTrusts:
    """Issuers by key, name and type of licence. Thread-safe; ``clock``: Unix milliseconds; ``max_age_ms``: how old a
    view of the chain may be."""

    def __init__(self, state: ChainWord, nodes: IssuerNodes, clock: Callable[[], int], *, max_age_ms: int) -> None:
        self._state = state
        self._nodes = nodes
        self._clock = clock
        self._max_age_ms = max_age_ms
        self._keys = Kept(self._read_keys, clock, size=MAX_ISSUERS, fresh_ms=FRESH_MS, keep_ms=_FOR_EVER_MS)
        self._used: dict[str, bytes] = {}
        self._at_hand = known_keys({})
        self._trusts = Kept(self._read_trust, clock, size=MAX_TRUSTS, fresh_ms=FRESH_MS, keep_ms=max_age_ms)

    def trust(self, kid: str, iss: str, vct: str) -> IssuerTrust | None:
        """What a licence's header and claims name, in this city; None where no such key is on the chain.

        Raises: UnavailableError(chain.stale | chain.* | node.*), UntrustedError(state.* | node.*).
        """
        return self.judged_by(kid, iss, vct).trust

    def judged_by(self, kid: str, iss: str, vct: str) -> KnownIssuer:
        """The same with the key as its issuer publishes it. Raises: as :meth:`trust`."""
        reading = self._trusts.get((kid, iss, vct))
        found, key = reading.value
        until_ms = reading.read_ms + FRESH_MS
        if found is None or key is None:
            return KnownIssuer(trust=None, key=None, until_ms=until_ms)
        if self._clock() - found.view_time_ms > self._max_age_ms:
            raise UnavailableError(
                "chain.stale",
                "the newest signed time of the chain is too long ago to judge licences by",
                hint="the city's operator sees the cause with civicledger doctor; try again later",
                expected=f"at most {self._max_age_ms} ms",
                actual=self._clock() - found.view_time_ms,
            )
        until_ms = min(until_ms, found.view_time_ms + self._max_age_ms + 1)
        return KnownIssuer(trust=found, key=key, until_ms=until_ms)

    def at_hand(self) -> KnownKeys:
        """Keys in recent use: what can be opened without asking anybody."""
        return self._at_hand

    def keys(self, uscc: str) -> dict[str, IssuerKey]:
        """An issuer's keys by kid, as its node publishes them; also while it is away.

        Raises: NotFoundError(member.*), UnavailableError(node.*), UntrustedError(node.*).
        """
        return self._keys.get(uscc).value

    def key(self, uscc: str, kid: str) -> IssuerKey:
        """The key of that name. Raises: UnavailableError(licence.issuer-key) and as :meth:`keys`."""
        key = self.keys(uscc).get(kid)
        if key is None:
            raise UnavailableError(
                "licence.issuer-key",
                "the issuer's node does not publish this key, which the chain has",
                hint="right after a key rotation try again in a few seconds; otherwise tell the issuer",
                actual=kid,
            )
        return key

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read_keys(self, uscc: str, before: dict[str, IssuerKey] | None) -> dict[str, IssuerKey]:
        return (before or {}) | self._nodes.keys(uscc)

    def _read_trust(self, name: tuple[str, str, str], _before: object) -> tuple[IssuerTrust | None, IssuerKey | None]:
        kid, iss, vct = name
        try:
            digest, issuer, code = _digest_of(kid), credential.parse_issuer(iss), credential.parse_vct(vct)
        except InvalidInputError:
            # Nothing of this city is called so.
            return None, None
        if len(digest) == _SHORT_BYTES:
            try:
                theirs = self.keys(issuer)
            except NotFoundError as error:
                if error.code == "member.unknown":
                    # A slip of another city, or of nobody.
                    return None, None
                raise UnavailableError(error.code, error.message, hint=error.hint) from error
            named = [key for key in theirs.values() if key.digest.startswith(digest)]
            if len(named) != 1:
                return None, None
            kid, digest = named[0].kid, named[0].digest
        at = self._state.moment()
        key = self._state.key(at, digest, issuer)
        if key is None:
            return None, None
        standing = self._state.standing(at, code, issuer)
        ended_ms, kind = key_end(key)
        try:
            published = self.key(issuer, kid)
        except NotFoundError as error:
            # A member without an address here: the key may be good, but nobody here has it.
            raise UnavailableError(error.code, error.message, hint=error.hint) from error
        self._use(published)
        trust = IssuerTrust(
            issuer=issuer,
            spki=published.spki,
            key_from_ms=key.valid_from * 1000,
            key_ended_ms=ended_ms,
            key_ended_kind=kind,
            key_until_ms=key.valid_to * 1000 or None,
            accreditations=spans(standing),
            type_known=standing.known,
            view_height=at.head.height,
            view_time_ms=at.time_ms,
            proven=Proven.STORAGE_PROOF,
            finality=at.finality,
        )
        return trust, published

    def _use(self, key: IssuerKey) -> None:
        kept = {kid: spki for kid, spki in self._used.items() if kid != key.kid}
        newest = list(kept.items())[-(MAX_AT_HAND - 1) :]
        # Replaced as a whole: a batch under way keeps the keys it began with.
        used = dict(newest) | {key.kid: key.spki}
        if used != self._used:
            self._at_hand = known_keys(used)
        self._used = used


def spans(standing: Standing) -> tuple[Accreditation, ...]:
    """The accreditations in which licences could be issued: none reaches beyond the type's withdrawal."""
    found = []
    for span in standing.spans:
        ends = [end for end in (span.valid_until, standing.withdrawn_at) if end]
        until = min(ends) * 1000 if ends else None
        if until is None or span.valid_from * 1000 < until:
            found.append(Accreditation(from_ms=span.valid_from * 1000, until_ms=until, by=span.by))
    return tuple(found)


def _digest_of(kid: str) -> bytes:
    """The 32 bytes that a key's name stands for, or the 8 it begins with: a slip has no room for more."""
    data = b64.decode(kid) if len(kid) <= 2 * _DIGEST_BYTES else b""
    if len(data) not in (_DIGEST_BYTES, _SHORT_BYTES):
        raise InvalidInputError("licence.kid", "not the name of a key on this chain")
    return data
