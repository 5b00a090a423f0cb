"""The node's own log lines: JSON, one per event, and never a field that could carry personal data."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from ledger.errors import FatalError

#: The only fields a line may carry. Request bodies, queries, records and operators' names have no field here, so they
#: cannot reach a log line by accident: an unknown field is dropped and its name counted under ``dropped``.
FIELDS = frozenset(
    {
        "event", "level", "timestamp", "logger", "member", "peer", "method", "status", "code", "message", "hint",
        "loop", "height", "size", "hash", "transaction", "dataset", "grant", "exchange", "port", "seconds", "count",
        "cosignatures", "quorum", "origin", "reason", "exception", "version", "signal", "role", "material", "table",
    }
)  # fmt: skip
_MAX_TEXT = 2_000
#: Calls named of an exception.
_DEPTH = 12


def only_known_fields(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: keep ``FIELDS``, bound texts, show bytes as hex."""
    kept: dict[str, Any] = {}
    dropped = 0
    for key, value in event.items():
        if key not in FIELDS:
            dropped += 1
        elif isinstance(value, bytes):
            kept[key] = value.hex()
        elif isinstance(value, str):
            kept[key] = value[:_MAX_TEXT]
        else:
            kept[key] = value if isinstance(value, bool | int | float | None) else str(value)[:_MAX_TEXT]
    if dropped:
        kept["dropped"] = dropped
    return kept


def where_it_broke(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: of an exception its kind and the innermost calls. Never what it said: the text of an error
    can hold a piece of what somebody handed in, a name in a licence."""
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-_DEPTH:]
        calls = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
        event["exception"] = f"{type(error).__qualname__} at {' < '.join(calls)}"
    return event


def configure_logging(level: str, file: Path | None) -> None:
    """Send the process's log lines to a file (appended) or to standard error. Called once, by the daemon.

    Raises: FatalError(logging.file).
    """
    try:
        stream = _Lines(file.open("a", encoding="utf-8") if file else sys.stderr)
    except OSError as error:
        raise FatalError(
            "logging.file", f"{file} cannot be opened: {error.strerror}", hint="make it writable, or set logging.file"
        ) from error
    number = {"debug": 10, "info": 20, "warning": 30, "error": 40}[level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            where_it_broke,
            only_known_fields,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module (uvicorn, grpc): their warnings only, as lines of the same form.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LibraryLines())
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


class _Lines:
    """A stream that drops what it cannot write: a full disk or a closed pipe must not end the thread that tells it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or drop."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, or drop."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _LibraryLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """A library's line as JSON. Its text may quote a request, so only its fixed template is kept."""
        line = {
            "event": "library",
            "logger": record.name,
            "message": str(record.msg)[:_MAX_TEXT],
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)
