"""A city's hospitals on this machine, every node a process of its own, with its health commission and quality centre:
rules in force, levels entered, every item assessed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node.city import ward
from node.city.found import init_city
from node.city.processes import CityProcesses
from node.city.roster import Founder, demo_uscc
from node.cli.connect import Connection, connect
from node.config import ChainSection, LogSection

REGION, CHAIN_ID = "310000", 620_312
HEALTH, QUALITY = "health", "quality"

Progress = Callable[[str, int, int], None]


@contextmanager
def hospitals(count: int, progress: Progress) -> Iterator[list[Connection]]:
    """Connections to so many governed hospitals, each with its own key; everything ends with the block."""
    roles = {HEALTH: ("health",), QUALITY: ("quality",)} | {f"h{number}": ("hospital",) for number in range(count)}
    founders = [
        Founder(
            uscc=demo_uscc(REGION, 400 + number),
            name=handle,
            handle=handle,
            region=REGION,
            roles=role,
            sequencer=handle == HEALTH,
        )
        for number, (handle, role) in enumerate(roles.items())
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="civicledger-bench-")))
        progress("founding", 0, len(roles))
        city = init_city(
            folder / "city",
            founders,
            chain_id=CHAIN_ID,
            chain=ChainSection(heartbeat_interval=60),
            log=LogSection(checkpoint_interval_ms=2_000, anchor_interval_ms=60_000),
        )
        processes = stack.enter_context(CityProcesses(city))
        progress("starting", 0, len(roles))
        processes.start_nodes()
        of: Mapping[str, Connection] = {
            handle: stack.enter_context(connect(city.member_folder(handle))) for handle in city.handles
        }
        found = [of[handle] for handle in roles if handle not in (HEALTH, QUALITY)]
        progress("rules and assessments", 0, 1)
        ward.govern(of[HEALTH], of[QUALITY], found)
        yield found
