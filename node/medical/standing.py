"""What the chain says for a decision, read at one head and kept until it changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ledger.chain.bindings.recognition import Recorded, hospitals, recorded
from node.chain.state import proof

if TYPE_CHECKING:
    from ledger.medical.standing import Standing
    from node.context import NodeContext


class StandingReader:
    """Reads Recognition again only when its storage is another, and the members when the Consortium's is. Thread-safe.

    Assessments are many and change seldom; a vote or a new key must not cost reading them all.
    """

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._recorded: tuple[bytes, Recorded] | None = None
        self._standing: tuple[bytes, Standing] | None = None

    def read(self) -> Standing:
        """The standing at the present head. Raises: ConflictError(medical.not-founded)."""
        contracts, chain = self._context.contracts, self._context.chain
        recognition, consortium = contracts.recognition, contracts.consortium
        # Said by the binding; a proof of an address that is no contract would say nothing.
        recognition.require_founded()
        with self._lock:
            height = chain.head().height
            root, members = (
                bytes(proof(chain, address, (), height)["storage_hash"])
                for address in (recognition.address, consortium.address)
            )
            kept = recognition.address + root
            if self._recorded is None or self._recorded[0] != kept:
                self._recorded = (kept, recorded(recognition, height))
                self._standing = None
            if self._standing is None or self._standing[0] != members:
                self._standing = (members, self._recorded[1].standing(hospitals(consortium, height)))
            return self._standing[1]
