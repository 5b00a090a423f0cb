"""What is written down when an answer could not be made: where, and by what kind of error. Never what it said: the text
of an error can hold a piece of what somebody handed in, a name in a licence."""

from __future__ import annotations

import traceback
from pathlib import Path

import structlog

logger = structlog.get_logger("gateway")
_ROOT = Path(__file__).resolve().parent.parent
#: Calls named, the innermost ones.
_DEPTH = 12


def report(event: str, error: Exception, **where: str) -> None:
    """One line about a defect; ``where``: which method or route."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEPTH:]
    calls = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    logger.error(event, error=type(error).__qualname__, calls=calls, **where)


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name
