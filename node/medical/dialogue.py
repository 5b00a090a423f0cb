"""What both sides of the dialogue between hospitals work with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.errors import ConflictError
from ledger.storage.steps import StepStore
from node.medical.road import Direct, Road

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.ports import (
        AskedSink,
        ConsentSource,
        NoticeSink,
        PseudonymSource,
        ReportSource,
        RuleSource,
    )

#: How long a repeat waits for the call before it to end, seconds.
ENDING_S = 20.0


class Active:
    """The steps under way in this process: one call at a time for each."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: set[bytes] = set()

    def __contains__(self, name: bytes) -> bool:
        return name in self._names

    @contextmanager
    def only(self, name: bytes) -> Iterator[None]:
        """Wait until no other call has the name, then have it. Raises: ConflictError(medical.in-progress)."""
        with self._changed:
            if not self._changed.wait_for(lambda: name not in self._names, ENDING_S):
                raise ConflictError(
                    "medical.in-progress",
                    "this step is being carried out at this moment",
                    hint="wait for the other call to end, then repeat with the same nonce",
                )
            self._names.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._names.discard(name)
                self._changed.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """The node, its steps, and the parts of the desk that a step touches."""

    context: NodeContext
    steps: StepStore
    reports: ReportSource
    pseudonyms: PseudonymSource
    consents: ConsentSource
    notices: NoticeSink
    rules: RuleSource
    #: Where it is kept who searched for a patient's results; None: nowhere.
    asked: AskedSink | None = None
    #: How the other hospitals' nodes are reached.
    road: Road = field(default_factory=Direct)
    #: Steps under way here, by id at the provider and by nonce at the consumer.
    active: Active = field(default_factory=Active)
    #: Held while decisions are compared with those made before.
    deciding: threading.Lock = field(default_factory=threading.Lock)
