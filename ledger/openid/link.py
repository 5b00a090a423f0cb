"""Bounded requests to an OpenID provider: TLS, or plain HTTP on this machine's loopback; redirects are not followed."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ledger.errors import InvalidInputError, UnavailableError

#: A provider's documents are a few KiB.
MAX_ANSWER: Final = 1 << 18
#: Opening brackets of an answer: JSON nested without end must reach no decoder.
MAX_BRACKETS: Final = 2_000
TIMEOUT_S: Final = 5.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_MAX_URL: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes


def check_url(text: str, name: str) -> SplitResult:
    """An absolute address of a provider, without user, fragment or blanks; plain ``http`` on loopback only.

    Raises: InvalidInputError(citizen.address).
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        parts, port, host = urlsplit(""), None, ""
    plain = parts.scheme == "http" and host in _LOOPBACK
    clean = text.isascii() and text.isprintable() and " " not in text and len(text) <= _MAX_URL and "\\" not in text
    named = bool(host) and parts.username is None and parts.password is None and port != 0
    if not (clean and named and not parts.fragment and (parts.scheme == "https" or plain)):
        raise InvalidInputError(
            "citizen.address",
            f"{name} is no https address (http on loopback only)",
            hint="docs/operations.md, citizens sign in",
            actual=ascii(text)[:100],
        )
    return parts


class Link:
    """Requests to one provider. ``ca_file``: PEM of the authorities it is trusted by; None: those of the system."""

    def __init__(self, ca_file: Path | None = None) -> None:
        """Raises: InvalidInputError(citizen.authorities)."""
        try:
            self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise InvalidInputError(
                "citizen.authorities",
                "the file with the provider's certificate authorities cannot be read",
                hint="a PEM file in the folder of the settings",
            ) from error
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    def get(self, url: str) -> Answer:
        """Raises: UnavailableError(citizen.provider-away), InvalidInputError(citizen.address)."""
        return self._ask("GET", url, None, {})

    def post(self, url: str, form: bytes, headers: Mapping[str, str]) -> Answer:
        """A form. Raises: as :meth:`get`."""
        return self._ask("POST", url, form, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        parts = check_url(url, "the provider's address")
        host = parts.hostname or ""
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=self._context)
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
        )
        try:
            connection.request(method, path, body, {"Accept": "application/json", **headers})
            response = connection.getresponse()
            data = _bounded(response, time.monotonic() + TIMEOUT_S)
            status = response.status
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                "citizen.provider-away",
                f"the service that citizens sign in at does not answer: {type(error).__name__}",
                hint="try again in some minutes; its operator and the issuer in the settings can say more",
            ) from error
        finally:
            connection.close()
        return Answer(status=status, body=data)


def _bounded(response: http.client.HTTPResponse, deadline: float) -> bytes:
    data = bytearray()
    while chunk := response.read1(1 << 14):
        data += chunk
        if len(data) > MAX_ANSWER or time.monotonic() > deadline:
            raise http.client.HTTPException("too much, or too slowly")
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise http.client.HTTPException("nested like nothing a provider sends")
    return bytes(data)
