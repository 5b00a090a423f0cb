"""A node's process whose clock is off: the node's own time only, CometBFT beside it keeps the machine's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ledger.ending import Ending
from node.compose import Node
from node.context import system_clock
from node.daemon import leave
from scripts.network_node import die_with_parent


def run_skewed(folder: str, offset_ms: int) -> None:
    """Run until SIGTERM."""
    with (Path(folder) / "node.log").open("a", encoding="utf-8") as lines:
        os.dup2(lines.fileno(), 1)
        os.dup2(lines.fileno(), 2)
    threading.Thread(target=die_with_parent, daemon=True).start()
    ending = Ending()
    node = Node.open(folder, clock=lambda: system_clock() + offset_ms)
    node.start()
    while not ending.wait():
        pass
    node.drain()
    leave(0)
