"""Where a log can be read by tlog-tiles paths: a folder of an export, or a web server. Nothing is believed here."""

from __future__ import annotations

import http.client
import ssl
import threading
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from ledger.errors import InvalidInputError, LedgerError, NotAllowedError, NotFoundError, UnavailableError
from ledger.evidence.note import MAX_NOTE_BYTES
from ledger.evidence.tiles import MAX_BUNDLE_BYTES, TILE_WIDTH, Tile, narrower

_MAX_TILE: Final = TILE_WIDTH * 32


class LogSource(Protocol):
    """A log by its tlog-tiles paths. Thread-safe."""

    def note(self) -> bytes:
        """The checkpoint. Raises: NotFoundError(source.absent), UnavailableError(source.*)."""

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle, cut out of the full one where the partial is gone.

        Raises: NotFoundError(source.absent), NotAllowedError(source.refused), UnavailableError(source.*).
        """


class _ByPath(ABC):
    """The rules of reading that do not depend on where the bytes are."""

    def note(self) -> bytes:
        """The checkpoint."""
        return self.get("checkpoint", MAX_NOTE_BYTES)

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle."""
        most = MAX_BUNDLE_BYTES if tile.level is None else _MAX_TILE
        try:
            return self.get(tile.path, most)
        except NotFoundError:
            if tile.width == TILE_WIDTH:
                raise
        try:
            return narrower(tile, self.get(Tile(level=tile.level, index=tile.index).path, most))
        except NotFoundError:
            raise NotFoundError("source.absent", f"{tile.path} is not there, nor is the full tile") from None

    @abstractmethod
    def get(self, path: str, most: int) -> bytes:
        """The bytes at a path below the log's prefix, at most ``most``."""


class FolderSource(_ByPath):
    """An exported log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str, most: int) -> bytes:
        """The bytes of a file. Raises: NotFoundError(source.absent), UnavailableError(source.unreadable)."""
        try:
            with (self._folder / path).open("rb") as file:
                data = file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError("source.absent", f"{self._folder} has no {path}") from None
        except OSError as error:
            raise UnavailableError("source.unreadable", f"{self._folder / path}: {error.strerror}") from error
        return _bounded(data, most, path)


class HttpSource(_ByPath):
    """A log behind a URL prefix. ``context``: for https, whom to trust and which certificate to present."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None, timeout: float = 30.0) -> None:
        parts = split_url(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._context = context
        self._timeout = timeout
        self._kept = threading.local()

    def get(self, path: str, most: int) -> bytes:
        """The body of an answer 200. Raises: as :meth:`LogSource.tile`."""
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is not None:
            try:
                return self._ask(kept, path, most)
            except (OSError, http.client.HTTPException):
                # The server may have closed it while idle; a read may be repeated on a new connection.
                kept.close()
        fresh = (
            http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
            if self._secure
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        )
        self._kept.connection = fresh
        try:
            return self._ask(fresh, path, most)
        except ssl.SSLCertVerificationError as error:
            raise UnavailableError(
                "source.certificate",
                f"the certificate of {self._host} is not one that is trusted here: {error.verify_message}",
                hint="--ca FILE names the certificate to trust; a member's node is known by peers.json (--node)",
            ) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # a name no resolver takes
            fresh.close()
            raise UnavailableError(
                "source.unreachable",
                f"{self._host} does not answer to {path}: {error}",
                hint="check the address, and that the server runs",
            ) from error

    def _ask(self, connection: http.client.HTTPConnection, path: str, most: int) -> bytes:
        connection.request("GET", f"{self._prefix}/{path}", headers={"Accept-Encoding": "gzip, identity"})
        answer = connection.getresponse()
        # What does not compress grows a little by it.
        data = answer.read(most + (most >> 10) + 1_024)
        if answer.status != 200:
            if answer.length != 0 or answer.will_close:
                connection.close()
            raise _refused(self._host, path, answer.status)
        if answer.length:
            raise http.client.HTTPException("the answer is cut short or too large")
        if (answer.headers.get("Content-Encoding") or "").lower() == "gzip":
            unzip = zlib.decompressobj(wbits=31)
            try:
                data = unzip.decompress(data, most + 1)
            except zlib.error as error:
                raise http.client.HTTPException(f"the answer is not gzip: {error}") from error
        return _bounded(data, most, path)


def split_url(url: str) -> SplitResult:
    """The parts of a log's URL prefix, with a host and, where it names one, a port.

    Raises: InvalidInputError(source.url).
    """
    try:
        # urlsplit drops some control characters, and http.client refuses others only when it is about to send them.
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("a space, a control character or one outside ASCII")
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.port == 0
        ):
            raise ValueError("http or https with a host, without query and fragment")
    except ValueError as error:
        raise InvalidInputError(
            "source.url",
            f"not the URL of a log ({error}): {ascii(url)[1:-1][:120]}",
            hint="https://host:port/prefix, or a folder",
        ) from None
    return parts


def _bounded(data: bytes, most: int, path: str) -> bytes:
    if len(data) > most:
        raise UnavailableError("source.too-large", f"{path} has more than {most} bytes: it is no such tile")
    return data


def _refused(host: str, path: str, status: int) -> LedgerError:
    if status in (404, 410):
        return NotFoundError("source.absent", f"{host} has no {path}")
    if status in (401, 403):
        return NotAllowedError(
            "source.refused",
            f"{host} does not show {path} to this caller (HTTP {status})",
            hint="entries are for the log's own member, the supervisor and auditors: give --node of one of these",
        )
    return UnavailableError("source.answer", f"{host} answered HTTP {status} to {path}", hint="try again later")
