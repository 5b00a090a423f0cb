"""Who is signed in: in this process's memory, for a quarter of an hour, and nowhere else.

A browser holds a random name of its session; here it is known by its digest. What a sign-in needs until the provider
sends the browser back travels sealed in the browser itself, so that sign-ins begun by anybody fill nothing here.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from ledger.errors import NotAllowedError
from ledger.openid.proof import ProofKey

#: A session ends when it was not used for so long, and at the latest so long after the token was issued, seconds.
IDLE_S: Final = 900
LONGEST_S: Final = 900
#: A sign-in that was begun is finished within this time, seconds.
BEGUN_S: Final = 600
MAX_SESSIONS: Final = 10_000
MAX_COOKIE: Final = 4_096

#: Pages that a sign-in leads back to: no address is ever taken from a request.
Page = Literal["wallet", "patient"]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in under way. ``verifier``: of PKCE; ``secret``: of the proof key; ``language``, ``page``: where to."""

    state: str
    verifier: str
    secret: bytes
    language: str
    page: Page


class Seal:
    """Seals what was begun for the browser to carry. ``clock``: Unix milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._fernet = Fernet(Fernet.generate_key())
        self._clock = clock

    def close(self, begun: Begun) -> str:
        """The cookie's value."""
        return self._fernet.encrypt_at_time(msgspec.json.encode(begun), self._clock() // 1_000).decode("ascii")

    def open(self, text: str) -> Begun:
        """What was sealed here in the last ten minutes. Raises: NotAllowedError(citizen.state)."""
        try:
            data = self._fernet.decrypt_at_time(text[:MAX_COOKIE].encode(), BEGUN_S, self._clock() // 1_000)
            return msgspec.json.decode(data, type=Begun)
        except (InvalidToken, msgspec.MsgspecError, UnicodeEncodeError):
            raise wrong_state() from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A citizen who is signed in. ``until_ms``: the latest end; nothing of it is shown when it is printed."""

    token: str = field(repr=False)
    key: ProofKey = field(repr=False)
    until_ms: int


class Sessions:
    """The sessions by their names' digests. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, clock: Callable[[], int], *, most: int = MAX_SESSIONS) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        # In the order of use: what was not used for longest stands first.
        self._held: OrderedDict[bytes, tuple[int, Session]] = OrderedDict()

    def begin(self, session: Session) -> str:
        """A session's new name, 43 characters, for the browser alone."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._drop_ended()
            while len(self._held) >= self._most:
                self._held.popitem(last=False)
            self._held[_digest(name)] = self._clock(), session
        return name

    def get(self, name: str) -> Session | None:
        """The session of a name, used now; None where there is none any more."""
        with self._lock:
            self._drop_ended()
            found = self._held.pop(_digest(name), None)
            if found is None or found[1].until_ms <= self._clock():
                return None
            self._held[_digest(name)] = self._clock(), found[1]
            return found[1]

    def end(self, name: str) -> None:
        """Forget a session."""
        with self._lock:
            self._held.pop(_digest(name), None)

    def __len__(self) -> int:
        return len(self._held)

    def _drop_ended(self) -> None:
        now = self._clock()
        while self._held:
            digest, (seen_ms, _) = next(iter(self._held.items()))
            if now - seen_ms < IDLE_S * 1_000:
                return
            del self._held[digest]


def wrong_state() -> NotAllowedError:
    """The browser comes back from a sign-in that it did not begin here."""
    return NotAllowedError(
        "citizen.state",
        "this sign-in was not begun in this browser, or too long ago",
        hint="begin again from the page, and allow its cookie",
    )


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
