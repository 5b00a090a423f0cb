"""The keys that a health commission makes pseudonyms with: one a year, the last year's beside it, older ones destroyed.

A pseudonym is HMAC-SHA-256 under the year's key: the same in every hospital that asks for it, not to be guessed by one
who has not the key, and meaningless once the key is gone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError
from ledger.storage.keyfolder import KeyFolder

_PREFIX: Final = "pseudonym-"
_NAME = re.compile(r"pseudonym-(\d{4})-(\d{1,4})\Z")
#: An identity as text: its kind, and its value as its issuer writes it.
_IDENTITY = re.compile(r"[a-z][a-z0-9-]{0,15}:[0-9A-Za-z][0-9A-Za-z._/-]{0,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class YearKey:
    """A key in use. ``number``: 1, one more each time it was replaced within the year; ``fingerprint``: 32 bytes."""

    year: int
    number: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did; each is on the commission's record."""

    made: tuple[YearKey, ...]
    destroyed: tuple[YearKey, ...]


def check_identity(identity: str) -> str:
    """An identity in its one form: ``ric:11010119900307793X``, letters of the value in capitals.

    Raises: InvalidInputError(pseudonym.identity), which does not repeat it.
    """
    kind, colon, value = identity.strip().partition(":")
    text = f"{kind.lower()}{colon}{value.strip().upper()}"
    if not _IDENTITY.match(text):
        raise InvalidInputError(
            "pseudonym.identity",
            "an identity is a kind, a colon and 1 to 64 letters and digits",
            hint="for example ric: and the number of the identity card",
        )
    return text


def derive(secret: bytes, identity: str) -> bytes:
    """The pseudonym of an identity under a key, 32 bytes."""
    return hmac.new(secret, b"civicledger/pseudonym/v1\n" + identity.encode("ascii"), hashlib.sha256).digest()


class PseudonymKeys:
    """The keys in a folder. Thread-safe. Years are those of China."""

    __slots__ = ("_folder", "_kept", "_lock")

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._kept: dict[str, tuple[YearKey, bytes]] = {}

    def in_use(self) -> tuple[YearKey, ...]:
        """The keys in use, newest year first. Raises: InvalidInputError(key.passphrase), FatalError(key.broken)."""
        return tuple(key for key, _ in self._all())

    def secrets(self) -> tuple[tuple[YearKey, bytes], ...]:
        """The same with their secrets."""
        return self._all()

    def rotate(self, year: int, *, replace: bool = False) -> Rotation:
        """What the year demands: a key for it, none of the year before last. ``replace``: a new key for this year, and
        the present one destroyed (it fell into other hands). Nothing, where nothing is due.

        Raises: UnavailableError(disk.*).
        """
        with self._lock:
            before = self._all()
            own = [key for key, _ in before if key.year == year]
            made: list[YearKey] = []
            if replace or not own:
                number = 1 + max((key.number for key in own), default=0)
                secret = secrets.token_bytes(32)
                self._folder.make(f"{_PREFIX}{year}-{number}", secret)
                made.append(_key(year, number, secret))
            destroyed = [
                key for key, _ in before if key.year < year - 1 or (key.year == year and made and made[0].year == year)
            ]
            self._sweep(year)
            return Rotation(made=tuple(made), destroyed=tuple(destroyed))

    def _sweep(self, year: int) -> None:
        """Destroy the keys of years gone by, and of each year all but the newest."""
        found = self._files()
        for name, (of, number) in found.items():
            newest = max(other for owner, other in found.values() if owner == of)
            if of < year - 1 or number < newest:
                self._folder.destroy(name)
                self._kept.pop(name, None)

    def _all(self) -> tuple[tuple[YearKey, bytes], ...]:
        with self._lock:
            newest: dict[int, tuple[YearKey, bytes]] = {}
            for name, (year, number) in sorted(self._files().items(), key=lambda item: item[1]):
                if name not in self._kept:
                    secret = self._folder.read(name)
                    self._kept[name] = (_key(year, number, secret), secret)
                newest[year] = self._kept[name]
            return tuple(newest[year] for year in sorted(newest, reverse=True))

    def _files(self) -> dict[str, tuple[int, int]]:
        return {
            name: (int(match[1]), int(match[2]))
            for name in self._folder.names()
            if (match := _NAME.match(name)) is not None
        }


def _key(year: int, number: int, secret: bytes) -> YearKey:
    fingerprint = hashlib.sha256(b"civicledger/pseudonym-key/v1\n" + secret).digest()
    return YearKey(year=year, number=number, fingerprint=fingerprint)
