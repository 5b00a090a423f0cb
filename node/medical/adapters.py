"""How a notice leaves the node: as a file for another system to take, or to an HTTP service that sends messages.

Each carries the notice's key: a notice may be handed over again after a crash, and who takes it keeps one for a key (an
HTTP service by the ``Idempotency-Key`` header).

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ledger.errors import InvalidInputError, UnavailableError
from ledger.storage.keyfolder import cut_short, destroy_file, disk_errors, write_file

_TIMEOUT_S = 15.0
_MAX_ANSWER = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """``key``: 32 bytes, the same for every attempt; ``phone``: E.164."""

    key: bytes
    phone: str
    text: str
    language: str

    def to_json(self) -> bytes:
        """What a receiver gets."""
        value = {"key": self.key.hex(), "language": self.language, "text": self.text, "to": self.phone}
        return json.dumps(value, ensure_ascii=False).encode()


class Adapter(Protocol):
    """A way out."""

    def send(self, message: Message) -> None:
        """Hand a message over; it is the receiver's on return. Raises: UnavailableError(notice.*)."""

    def forget(self, key: bytes) -> None:
        """Take back what was not yet taken. Raises: UnavailableError(disk.failed)."""


class FileAdapter:
    """One file a notice in a folder, ``<key>.json``, whole or not there; who sends them takes them away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        """Write the file; the same key again is the same file."""
        with disk_errors(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(self._file(message.key), message.to_json() + b"\n")

    def forget(self, key: bytes) -> None:
        """Destroy the file, where it was not taken yet."""
        with disk_errors(self._folder):
            destroy_file(cut_short(self._file(key)))
            destroy_file(self._file(key))

    def _file(self, key: bytes) -> Path:
        return self._folder / f"{key.hex()}.json"


class WebhookAdapter:
    """POST of a JSON object to a service that sends messages (a vendor's, or the city's): 2xx is taken."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        """``url``: https, or http on loopback; ``token_file``: holds a bearer token.

        Raises: InvalidInputError(notice.url).
        """
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.fragment:
            raise _bad_url("it is not an https address")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise _bad_url("phone numbers go over https only, but on this machine")
        self._parts = parts
        self._token_file = token_file

    def send(self, message: Message) -> None:
        """Deliver it. Raises: UnavailableError(notice.unreachable | notice.refused)."""
        parts = self._parts
        host, port = parts.hostname or "", parts.port
        headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{message.key.hex()}"'}
        connection: http.client.HTTPConnection | None = None
        try:
            if self._token_file is not None:
                headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
            if parts.scheme == "https":
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
            else:
                connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, message.to_json(), headers)
            answer = connection.getresponse()
            answer.read(_MAX_ANSWER)
            status = answer.status
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(
                "notice.unreachable",
                f"the service that sends messages cannot be reached: {type(error).__name__}",
                hint="check medical.notice_url and the service; it is tried again by itself",
            ) from error
        finally:
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.close()
        if not 200 <= status < 300:
            raise UnavailableError(
                "notice.refused",
                f"the service that sends messages answered {status}",
                hint="check its account and medical.notice_token_file; it is tried again by itself",
                actual=status,
            )

    def forget(self, key: bytes) -> None:
        """What was handed over is the service's."""


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bad_url(why: str) -> InvalidInputError:
    return InvalidInputError(
        "notice.url", f"medical.notice_url: {why}", hint="for example https://sms.example.cn/v1/messages"
    )
