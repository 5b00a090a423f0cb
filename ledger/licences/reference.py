"""Reference URLs: a QR code that names a presentation waiting at a gateway and says nothing else.

``HTTPS://GATEWAY.EXAMPLE/R/<32 characters>``: capitals and digits only, so that the code uses the alphanumeric mode
(three modules per side fewer than bytes). The token is 160 bits of the operating system's randomness in Base32: who
has not seen it cannot guess it, and it carries no name, number or type. Scheme and host are case-insensitive (RFC
3986, section 6.2.2.1); the path is not, and gateways serve ``/R/``.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError

TOKEN_BYTES: Final = 20
PATH: Final = "/R/"
MAX_URL: Final = 160
_TOKEN = re.compile(r"[A-Z2-7]{32}\Z")
_HOST = re.compile(
    r"(?=[^:]{1,100}(:|\Z))[A-Z0-9]([A-Z0-9-]*[A-Z0-9])?(\.[A-Z0-9]([A-Z0-9-]*[A-Z0-9])?)*(:[1-9][0-9]{0,4})?\Z"
)
_URL = re.compile(r"HTTPS://([^/]*)/R/([^/]*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``host``: in capitals, with a port where it is not 443; ``token``: 20 bytes."""

    host: str
    token: bytes

    @property
    def url(self) -> str:
        """What the QR code holds."""
        return f"HTTPS://{self.host}{PATH}{token_text(self.token)}"


def make_reference(host: str, token: bytes) -> Reference:
    """The reference of a fresh token at a gateway's host (``gateway.example`` or ``gateway.example:8443``).

    Raises: InvalidInputError(licence.reference).
    """
    return parse_reference(Reference(host=host.upper(), token=token).url)


def parse_reference(text: str) -> Reference:
    """A reference as a scanner reads it: exactly the form that is made, nothing around it.

    Raises: InvalidInputError(licence.reference).
    """
    found = _URL.match(text) if len(text) <= MAX_URL else None
    if found is None or not _HOST.match(found[1]):
        raise _error("not a reference to a licence at a gateway", text)
    return Reference(host=found[1], token=parse_token(found[2]))


def token_text(token: bytes) -> str:
    """The last part of the path: 32 characters A-Z and 2-7. Raises: InvalidInputError(licence.reference)."""
    if len(token) != TOKEN_BYTES:
        raise _error(f"a reference's token has {TOKEN_BYTES} bytes, not {len(token)}", "")
    return base64.b32encode(token).decode("ascii")


def parse_token(text: str) -> bytes:
    """The token in the last part of a path. Raises: InvalidInputError(licence.reference)."""
    if not _TOKEN.match(text):
        raise _error("not the token of a reference", text)
    return base64.b32decode(text)


def _error(message: str, text: str) -> InvalidInputError:
    return InvalidInputError(
        "licence.reference",
        message,
        hint="scan the code of the licence itself: HTTPS://<gateway>/R/<32 characters>",
        actual=ascii(text)[:40],
    )
