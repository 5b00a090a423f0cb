"""What is on its way into a hospital's reports, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.medical.fhirproblems import Problem
    from node.medical.drafts import Draft
    from node.medical.reportrows import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of something that was sent. ``report``: 32 bytes, empty where it was refused."""

    state: State
    problems: tuple[Problem, ...]
    report: bytes = b""
    version: int = 0

    @property
    def refused(self) -> bool:
        """Whether nothing of it was kept."""
        return self.state == "refused"


@dataclass(slots=True, eq=False)
class Incoming:
    """Something on its way in: the bytes, what was read of them, and by which version of the rules (0: none).

    ``done`` or ``error`` is set when it is over.
    """

    data: bytes
    via: str
    now_ms: int
    rules: int
    draft: Draft
    done: Ingested | None = None
    error: Exception | None = None

    @property
    def over(self) -> bool:
        """Whether it is known what became of it."""
        return self.done is not None or self.error is not None

    @property
    def changes(self) -> bool:
        """Whether others are to be told of it: it is no first version."""
        return self.done is not None and self.done.state != "known" and self.done.version > 1

    def result(self) -> Ingested | Exception:
        """What became of it, or why it could not be kept; once it is over."""
        if self.done is not None:
            return self.done
        return self.error or RuntimeError("not over")
