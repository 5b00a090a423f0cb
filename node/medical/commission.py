"""The health commission's side of pseudonyms: derives them for hospitals, turns its keys with the year, keeps count.

What is counted is how many identities a hospital asked for in a day, never which.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ledger.days import day_of
from ledger.errors import InvalidInputError, NotAllowedError
from ledger.model import Roles
from ledger.storage.pseudonymkeys import PseudonymKeys, Rotation, YearKey, check_identity, derive
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.keeping import Keeping

#: Most identities of one call.
MAX_IDENTITIES: Final = 1_000
_COUNT, _KEY = b"c", b"k"


class Commission:
    """The keys of pseudonyms of this node, and who asked for how many."""

    def __init__(self, context: NodeContext, keeping: Keeping) -> None:
        self._context = context
        self._keeping = keeping
        self._rows = context.medical.rows.sub(b"commission/")
        self._lock = threading.Lock()
        self._made: PseudonymKeys | None = None

    @property
    def is_one(self) -> bool:
        """Whether this node's member is a health commission at the present head."""
        info = self._context.contracts.consortium.member(self._context.member)
        return info is not None and Roles.HEALTH in info.roles

    def derive(
        self, hospital: str, roles: Roles, identities: Sequence[str]
    ) -> tuple[tuple[YearKey, ...], tuple[tuple[bytes, ...], ...]]:
        """The keys in use, and for each identity its pseudonym under each of them.

        Raises: NotAllowedError(pseudonym.not-commission | pseudonym.not-hospital),
        InvalidInputError(pseudonym.identity | pseudonym.too-many).
        """
        self._require()
        if Roles.HOSPITAL not in roles:
            raise NotAllowedError(
                "pseudonym.not-hospital",
                f"{hospital} has not the role of a hospital",
                hint="the members give roles by vote: civicledger member propose set-roles",
                actual=hospital,
            )
        if len(identities) > MAX_IDENTITIES:
            raise InvalidInputError(
                "pseudonym.too-many",
                f"at most {MAX_IDENTITIES} identities in one call",
                expected=MAX_IDENTITIES,
                actual=len(identities),
            )
        named = [check_identity(identity) for identity in identities]
        self._turn()
        kept = self._keys().secrets()
        if named:
            self._count(hospital, len(named))
        return tuple(key for key, _ in kept), tuple(tuple(derive(one, name) for _, one in kept) for name in named)

    def in_use(self) -> tuple[YearKey, ...]:
        """The keys in use. Raises: NotAllowedError(pseudonym.not-commission)."""
        self._require()
        self._turn()
        return self._keys().in_use()

    def rotate(self, *, replace: bool) -> Rotation:
        """Turn the keys to the present year; ``replace``: also exchange this year's, which hospitals notice and derive
        anew. On record before it returns.

        Raises: NotAllowedError(pseudonym.not-commission), UnavailableError(disk.*).
        """
        self._require()
        # Told before it goes: what was in use for an hour only is on record, too.
        self._record_keys()
        done = self._turn(replace=replace)
        self._record_keys()
        self._keeping.follow_copies(self._context.clock())
        return done

    def upkeep(self) -> None:
        """At a commission: turn the keys, record what changed, and the counts of days that are over."""
        if not self.is_one:
            return
        self._turn()
        self._record_keys()
        self._record_counts()

    @property
    def year(self) -> int:
        """The present year in China."""
        return day_of(self._context.clock()).year

    def _turn(self, *, replace: bool = False) -> Rotation:
        return self._keys().rotate(self.year, replace=replace)

    def _keys(self) -> PseudonymKeys:
        with self._lock:
            if self._made is None:
                self._made = PseudonymKeys(self._keeping.keys)
            return self._made

    def _require(self) -> None:
        if not self.is_one:
            raise NotAllowedError(
                "pseudonym.not-commission",
                "this node's member is no health commission: it has no keys of pseudonyms",
                hint="ask the node of the region's health commission",
                actual=self._context.member,
            )

    def _count(self, hospital: str, count: int) -> None:
        key = _COUNT + day_of(self._context.clock()).isoformat().encode() + b"/" + hospital.encode()
        with self._lock:
            before = int.from_bytes(self._rows.get(key) or b"", "big")
            self._rows.put(key, (before + count).to_bytes(8, "big"))

    def _record_counts(self) -> None:
        today = day_of(self._context.clock()).isoformat().encode()
        for key, value in list(self._rows.scan(_COUNT, stop=_COUNT + today)):
            day, hospital = key[1:].decode().split("/")
            body = {"counterpart": hospital, "day": day, "count": int.from_bytes(value, "big")}
            time_ms = self._context.clock()
            trail.write_once(self._context, "medical.pseudonyms-derived", body, time_ms, key)
            self._rows.delete(key)

    def _record_keys(self) -> None:
        """The trail follows the folder: whatever a crash left between them is told now."""
        with self._lock:
            present = {key.fingerprint: key for key in (self._made or PseudonymKeys(self._keeping.keys)).in_use()}
            told = {key[1:]: int.from_bytes(row, "big") for key, row in list(self._rows.scan(_KEY))}
            for mark, key in present.items():
                if mark not in told:
                    self._tell(key.year, mark, "made")
                    self._rows.put(_KEY + mark, key.year.to_bytes(2, "big"))
            for mark, year in told.items():
                if mark not in present:
                    self._tell(year, mark, "destroyed")
                    self._rows.delete(_KEY + mark)

    def _tell(self, year: int, mark: bytes, state: str) -> None:
        trail.write(self._context, "medical.pseudonym-key", {"year": year, "key": mark.hex(), "state": state})
