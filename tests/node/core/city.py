"""A city of real nodes in this process: real folders, TLS, chain, logs; only the machine is shared."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger.model import Record, Roles
from node.city.ports import free_ports
from node.compose import Node
from node.config import ChainSection, LogSection
from node.context import system_clock
from node.founding import Founding, MemberPlan, found_city, found_member
from tests.node.core.makers import make_uscc

ROLES = {2: Roles.SUPERVISOR, 3: Roles.AUDITOR}
#: Fast enough for tests; the order of magnitude between them is that of the defaults.
CHAIN = ChainSection(block_interval_ms=10, heartbeat_interval=1, max_view_age=180, head_interval_ms=20)
LOG = LogSection(checkpoint_interval_ms=50, anchor_interval_ms=200, witness_timeout=20)


def make_plan(number: int, handle: str) -> MemberPlan:
    """A member's plan with free ports."""
    grpc_port, https_port, local_port = free_ports(3)
    return MemberPlan(
        uscc=make_uscc(number),
        name=f"Department {handle}",
        handle=handle,
        region="310000",
        roles=ROLES.get(number, Roles(0)),
        grpc_port=grpc_port,
        https_port=https_port,
        local_port=local_port,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """The folders of a city; the first member is the sequencer."""

    foundings: tuple[Founding, ...]

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(founding.folder for founding in self.foundings)

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(founding.member.uscc for founding in self.foundings)


def found(folder: Path, count: int, *, chain: ChainSection = CHAIN, log: LogSection = LOG) -> Founded:
    """Found a city of ``count`` members."""
    now = system_clock()
    foundings = tuple(
        found_member(
            folder / f"dept-{number}",
            make_plan(number, f"dept-{number}"),
            random=os.urandom,
            now_ms=now,
            chain=chain,
            log=log,
        )
        for number in range(1, count + 1)
    )
    found_city(foundings, chain_id=31_337, region="310000", time_ms=now, sequencer=foundings[0].member.uscc)
    return Founded(foundings=foundings)


class City:
    """Nodes of a founded city, started and stopped one by one or together."""

    def __init__(self, founded: Founded) -> None:
        self.founded = founded
        self.nodes: dict[int, Node] = {}

    def start(self, *which: int, wait: float = 300.0) -> None:
        """Start nodes (all without arguments) and wait until all of them serve."""
        chosen = which or tuple(range(len(self.founded.foundings)))
        for number in chosen:
            node = Node.open(self.founded.folders[number], environ={})
            self.nodes[number] = node
            node.start()
        for number in chosen:
            assert self.nodes[number].wait_open(wait), [
                (finding.code, finding.message) for finding in self.nodes[number].context.diagnose()
            ]

    def stop(self, *which: int) -> None:
        """Drain nodes (all without arguments), together as a whole city would."""
        chosen = [self.nodes.pop(number) for number in (which or tuple(self.nodes))]
        threads = [threading.Thread(target=node.drain) for node in chosen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.nodes:
            self.stop()


def record(node: Node, number: int) -> Record:
    """A small department record, different for each number."""
    return Record(
        type="access.used",
        member=node.core.member,
        time_ms=system_clock(),
        body={"system": "portal", "matter": f"M-{number}", "purpose": "testing", "operator": "0" * 64},
    )
