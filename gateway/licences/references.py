"""Presentations that wait behind a reference: a holder leaves one here and shows a code that says nothing else.

In memory only, for five minutes, as often as the code is scanned in that time.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError, NotFoundError, UnavailableError
from ledger.licences import sdjwt
from ledger.licences.reference import TOKEN_BYTES, Reference, make_reference, parse_reference

LIFETIME_MS: Final = 300_000
#: Characters of all presentations that wait at one time.
MAX_CHARACTERS: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A presentation left here, and until when it waits."""

    reference: Reference
    expires_ms: int


class References:
    """Keeps presentations for five minutes. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, clock: Callable[[], int], *, max_characters: int = MAX_CHARACTERS) -> None:
        self._clock = clock
        self._max = max_characters
        self._lock = threading.Lock()
        self._waiting: OrderedDict[bytes, tuple[int, str]] = OrderedDict()
        self._characters = 0

    def leave(self, host: str, presentation: str) -> Waiting:
        """Keep a presentation and name it at this gateway's host.

        Raises: InvalidInputError(licence.*) for what is no presentation; UnavailableError(licence.references-full).
        """
        if len(presentation) <= sdjwt.MAX_BYTES:
            presentation = presentation.strip()
        sdjwt.parse(presentation)
        if not presentation.isascii():
            # No licence is, and other characters take up to four times the memory that is counted.
            raise InvalidInputError("licence.base64", "a presentation has other characters than base64url's")
        reference = make_reference(host, secrets.token_bytes(TOKEN_BYTES))
        expires = self._clock() + LIFETIME_MS
        with self._lock:
            self._forget()
            if self._characters + len(presentation) > self._max:
                raise UnavailableError(
                    "licence.references-full", "too many licences wait at this gateway", hint="try again in a minute"
                )
            self._waiting[reference.token] = (expires, presentation)
            self._characters += len(presentation)
        return Waiting(reference=reference, expires_ms=expires)

    def presentation(self, url: str) -> str:
        """What waits behind a reference.

        Raises: InvalidInputError(licence.reference), NotFoundError(licence.reference-unknown).
        """
        reference = parse_reference(url)
        with self._lock:
            self._forget()
            found = self._waiting.get(reference.token)
        if found is None:
            raise NotFoundError(
                "licence.reference-unknown",
                "nothing waits behind this code any more",
                hint="the code is good for five minutes: ask the holder to show a new one",
            )
        return found[1]

    def _forget(self) -> None:
        now = self._clock()
        while self._waiting:
            token, (expires, text) = next(iter(self._waiting.items()))
            if expires > now:
                return
            del self._waiting[token]
            self._characters -= len(text)


def is_reference(text: str) -> bool:
    """Whether a text is a reference; anything else is judged as a licence, and found to be none."""
    if not text.startswith("HTTPS://"):
        return False
    try:
        parse_reference(text)
    except InvalidInputError:
        return False
    return True
