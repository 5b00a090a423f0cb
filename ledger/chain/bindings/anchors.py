"""The Anchors contract: heads of the members' logs, reported forks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.chain.bindings.base import Binding, reading
from ledger.identifiers import member_bytes32, member_from_bytes32


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorInfo:
    """A member's anchored log head. ``time``: unix seconds of the block."""

    member: str
    size: int
    root: bytes
    index_root: bytes
    time: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkInfo:
    """Two contradicting heads of a member's log, as reported by ``reporter``."""

    member: str
    reporter: str
    time: int
    digest: bytes


class Anchors(Binding):
    """Reads and calldata of Anchors."""

    contract = "Anchors"

    def anchor(self, uscc: str, height: int | None = None) -> AnchorInfo | None:
        """The newest anchor of a member; None before its first."""
        return self._anchor("anchor", uscc, self._read("anchor", member_bytes32(uscc), height=height)[0])

    def retired(self, uscc: str, generation: int, height: int | None = None) -> AnchorInfo | None:
        """The last anchor of a retired generation of a member's log; None when it never had one."""
        kept = self._read("retired", member_bytes32(uscc), generation, height=height)[0]
        found = self._anchor("retired", uscc, kept)
        if found is None:
            # The contract moves it aside when the next generation is anchored first.
            last = self.anchor(uscc, height)
            return last if last is not None and last.generation == generation else None
        return found

    def _anchor(self, function: str, uscc: str, value: tuple[Any, ...]) -> AnchorInfo | None:
        row = self._named(function, value)
        if row["size"] == 0:
            return None
        return AnchorInfo(
            member=uscc,
            size=row["size"],
            root=row["root"],
            index_root=row["indexRoot"],
            time=row["time"],
            generation=row["generation"],
        )

    def forks(self, first: int = 0, count: int = 200, height: int | None = None) -> tuple[ForkInfo, ...]:
        """Reported forks, oldest first."""
        rows = self._read("forks", first, count, height=height)[0]
        named = (self._named("forks", row) for row in rows)
        with reading("report of a fork"):
            return tuple(
                ForkInfo(
                    member=member_from_bytes32(row["member"]),
                    reporter=member_from_bytes32(row["reporter"]),
                    time=row["time"],
                    digest=row["digest"],
                )
                for row in named
            )

    def encode_record(
        self, uscc: str, size: int, root: bytes, proof: Sequence[bytes], index_root: bytes = bytes(32)
    ) -> bytes:
        """Move the head of the sender's log: RFC 6962 root and consistency proof from the anchored size."""
        return self.encode("record", member_bytes32(uscc), size, root, index_root, list(proof))

    def encode_report_fork(self, uscc: str, note_a: bytes, note_b: bytes) -> bytes:
        """Accuse a log of two contradicting signed heads."""
        return self.encode("reportFork", member_bytes32(uscc), note_a, note_b)
