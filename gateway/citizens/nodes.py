"""Members' nodes asked in a citizen's name: with the citizen's own token, and a proof for that node alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from gateway.citizens.sessions import Session
from gateway.config import SignIn
from gateway.views import CityView
from ledger.errors import LedgerError, UntrustedError

#: How long it is remembered whether a node answers citizens, milliseconds.
_KEEP_MS: Final = 30_000


class City(Protocol):
    """Where the members' nodes are known."""

    def view(self) -> CityView:
        """The last reading."""

    def ask(self, uscc: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a member's node at a public path."""

    def post(self, uscc: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a member's node's answer to what is sent to a public path."""


class _About(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    issuer: str
    audience: str


class CitizenNodes:
    """Asks nodes for citizens. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, city: City, settings: SignIn, clock: Callable[[], int]) -> None:
        self.city = city
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._about: dict[str, tuple[int, bool]] = {}

    def answers(self, uscc: str) -> bool:
        """Whether a node takes tokens of this provider for this gateway: to any other none is sent.

        Raises: as ``City.ask``; UntrustedError(node.answer).
        """
        now = self._clock()
        with self._lock:
            kept = self._about.get(uscc)
        if kept is not None and 0 <= now - kept[0] < _KEEP_MS:
            return kept[1]
        try:
            about = decode(self.city.ask(uscc, "/citizen"), _About)
        except LedgerError as error:
            if error.code != "http.path":
                raise
            found = False
        else:
            wanted = (uscc, self._settings.issuer, self._settings.client_id)
            found = (about.member, about.issuer, about.audience) == wanted
        with self._lock:
            self._about[uscc] = now, found
        return found

    def forget(self) -> None:
        """Look anew whether nodes answer citizens."""
        with self._lock:
            self._about.clear()

    def ask(self, session: Session, uscc: str, path: str) -> bytes:
        """What a node answers the citizen at a path. Raises: as ``City.ask``."""
        return self.city.ask(uscc, path, self._headers(session, uscc, None))

    def tell(self, session: Session, uscc: str, path: str, body: bytes) -> bytes:
        """What a node answers to the citizen's wish, for which the proof is made. Raises: as ``City.post``."""
        return self.city.post(uscc, path, body, self._headers(session, uscc, body))

    def _headers(self, session: Session, uscc: str, deed: bytes | None) -> dict[str, str]:
        proof = session.key.prove(session.token, uscc, self._clock() // 1_000, deed)
        return {"Authorization": f"Bearer {session.token}", "Civicledger-Proof": proof}


def decode(data: bytes, kind: type[Any]) -> Any:
    """What a node answered, in its form. Raises: UntrustedError(node.answer)."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise odd() from None


def odd() -> UntrustedError:
    """A node's answer that is none."""
    return UntrustedError("node.answer", "the member's node answered with something that is no answer to a citizen")
