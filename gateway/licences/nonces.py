"""Nonces for key bindings: each is good once and for five minutes.

A nonce names its time and carries a tag under a secret of this process, so that giving one out needs no memory and
nobody can push out another's by asking for many. Only spent ones are remembered, until they would have ended anyway; a
gateway that was started anew knows none of the old ones.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError, UnavailableError
from ledger.licences import b64

LIFETIME_MS: Final = 300_000
#: Spent nonces remembered: more than this in five minutes and further ones wait.
MAX_SPENT: Final = 100_000
_TIME_BYTES: Final = 8
_RANDOM_BYTES: Final = 16
_TAG_BYTES: Final = 16
_BYTES: Final = _TIME_BYTES + _RANDOM_BYTES + _TAG_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonce:
    """``text``: 54 characters; ``expires_ms``: Unix milliseconds."""

    text: str
    expires_ms: int


class Nonces:
    """Gives nonces out and takes each back once. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, clock: Callable[[], int], *, max_spent: int = MAX_SPENT) -> None:
        self._clock = clock
        self._max_spent = max_spent
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._spent: OrderedDict[str, int] = OrderedDict()

    def give(self) -> Nonce:
        """A fresh nonce."""
        now = self._clock()
        body = now.to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        return Nonce(text=b64.encode(body + self._tag(body)), expires_ms=now + LIFETIME_MS)

    def spend(self, text: str) -> bool:
        """Whether a nonce was given out here, less than five minutes ago, and never spent; it is spent now.

        Raises: UnavailableError(licence.nonces-full).
        """
        made_ms = self._opened(text)
        now = self._clock()
        if made_ms is None or not 0 <= now - made_ms < LIFETIME_MS:
            return False
        with self._lock:
            # In the order of spending, whose ends differ by less than a lifetime: look at what could have ended.
            for old in [old for old, ends in list(self._spent.items())[:64] if ends <= now]:
                del self._spent[old]
            if text in self._spent:
                return False
            if len(self._spent) >= self._max_spent:
                raise UnavailableError(
                    "licence.nonces-full",
                    "too many licences were presented to this gateway in the last minutes",
                    hint="try again in a minute",
                )
            self._spent[text] = made_ms + LIFETIME_MS
        return True

    def _opened(self, text: str) -> int | None:
        try:
            data = b64.decode(text) if len(text) <= 2 * _BYTES else b""
        except InvalidInputError:
            return None
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if len(data) != _BYTES or not hmac.compare_digest(tag, self._tag(body)):
            return None
        return int.from_bytes(body[:_TIME_BYTES], "big")

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)[:_TAG_BYTES]
