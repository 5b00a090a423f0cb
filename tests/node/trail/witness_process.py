"""A witness as a process of its own, for tests that kill it or watch its system calls: ``witness_process FOLDER PORT``.

Plain HTTP on loopback, so that its answers can be told apart in a trace; everything else is the node's own code.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from ledger.storage.store import Store
from ledger.storage.witness import WitnessStore
from node.context import system_clock
from node.metrics import Metrics
from node.trail.witnessing import LogWitness
from node.web.webserver import WebServer
from tests.node.trail.town import Town, witness_app


def main(folder: Path, port: int) -> None:
    """Serve until killed."""
    town = Town(folder, 2)
    body = town.bodies[1]
    witness = LogWitness(
        member=body.uscc, name=body.info.witness_name, signer=lambda: body.witness,
        store=WitnessStore(Store.open(folder / "held")), roster=town.roster, clock=system_clock, metrics=Metrics(),
        alarms=town.alarms(),
    )  # fmt: skip
    WebServer(witness_app(witness), "127.0.0.1", port, None, name="witness").start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
