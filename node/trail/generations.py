"""Generations of the department log: a log that the members retired by vote is frozen, its successor names its head.

The chain says which generation is in force. A running node that sees its log retired writes nothing more, ends, and is
opened again with the next one (``node.daemon``); the folder of the retired log stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ledger.errors import LedgerError, NotFoundError
from ledger.evidence.bundle import assemble, decode_parts
from ledger.evidence.merkle import EMPTY_ROOT
from ledger.identifiers import member_bytes32, origin
from ledger.log import DepartmentLog, open_reader
from ledger.model import KeyRole
from node.loops import Loop
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.core import NodeCore

logger = structlog.get_logger("node.generations")


class RetirementWatch:
    """Looks at the chain whenever a block came; tells once that this log was retired."""

    def __init__(self, core: NodeCore, on_retired: Callable[[], None], on_fatal: Callable[[LedgerError], None]) -> None:
        self._core = core
        self._on_retired = on_retired
        self._told = False
        self.loop = Loop("retirement", self._step, metrics=core.metrics, on_fatal=on_fatal)

    def _step(self) -> None:
        info = self._core.rosters.current().members.get(self._core.member)
        if info is not None and info.generation > self._core.generation and not self._told:
            self._told = True
            logger.warning("log.retired", origin=info.origin, member=info.uscc)
            self._on_retired()


def anchor_key(member: str, generation: int) -> bytes:
    """Under what the kept anchors of one generation stand: the member's id on chain, whose last two bytes are free."""
    plain = member_bytes32(member)
    return plain if generation == 1 else plain[:30] + generation.to_bytes(2, "big")


def is_retired(context: NodeContext, generation: int) -> bool:
    """Whether a generation that was asked for (0: the present one) is another than the present one."""
    section = context.config.member
    return generation != 0 and origin(section.region, section.handle, generation) != context.log.origin


def retired_bundle(context: NodeContext, generation: int, index: int) -> bytes:
    """The proof file of a record of a retired log, from the last anchor of that log.

    Raises: NotFoundError(log.no-generation | record.range).
    """
    kept = context.chain.store.anchor(anchor_key(context.member, generation))
    folder = context.config.log_folder_of(generation)
    if kept is None or not folder.is_dir():
        raise NotFoundError(
            "log.no-generation",
            f"no anchored log of generation {generation} is kept here",
            hint="`civicledger log generations` lists those that are",
            actual=generation,
        )
    size, parts = kept
    if index >= size:
        raise NotFoundError(
            "record.range",
            f"the last anchor of generation {generation} is of {size} records",
            hint="records after it are covered by the first record of the log that followed",
            expected=size,
            actual=index,
        )
    reader = open_reader(folder, size)
    return assemble(reader.read(index, 1)[0], index, reader.inclusion_proof(index, size), decode_parts(parts))


def continue_log(core: NodeCore, context: NodeContext) -> int | None:
    """The first record of a further generation names the head of the log before it; its index, None where there is
    nothing to say.

    The head is that of all records kept here when they extend what the chain has anchored, else the anchored one: then
    the records are lost, and ``held`` says how many of them are left.
    """
    if core.generation == 1 or core.log.size:
        return None
    before = core.generation - 1
    anchored = core.contracts.anchors.retired(core.member, before)
    size, root = (anchored.size, anchored.root) if anchored is not None else (0, EMPTY_ROOT)
    held = 0
    folder = core.config.log_folder_of(before)
    if folder.is_dir():
        try:
            with DepartmentLog.open(
                folder,
                origin=origin(core.config.member.region, core.config.member.handle, before),
                signer=core.keys[KeyRole.LOG],
                clock=core.clock,
            ) as old:
                held = old.size
                if held >= size and old.root(size) == root:
                    size, root = held, old.root()
        except LedgerError as error:
            # Damaged for good: what the chain has anchored is what can be said.
            logger.warning("log.before-unreadable", code=error.code, message=error.message)
    body = {"generation": core.generation, "size": size, "root": root.hex(), "held": held}
    return trail.write(context, "log.continued", body)
