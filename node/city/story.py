"""What happened in the demonstration: lines and tables for people, facts for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of its own, after the summary."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, for the summary and for ``--json``."""

    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def tell(self, what: str, result: str, **facts: Any) -> None:
        """One line of the summary and the facts behind it."""
        self.lines.append((what, result))
        self.facts.update(facts)
