"""Running a node until it is told to stop: ``python -m node.daemon FOLDER``."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

import structlog

from ledger.ending import Ending
from ledger.errors import FatalError, LedgerError
from node.compose import Node
from node.config import load_config
from node.core import report
from node.logging import configure_logging

logger = structlog.get_logger("node.daemon")

#: How long a drain may take beyond the grace of the calls under way, seconds.
_DRAIN_LIMIT_S = 60


def run(folder: str) -> int:
    """Open, start, serve until SIGTERM or SIGINT, drain. Returns the exit code: 0 after a clean stop, 1 after an error,
    which is one message with its code and next step on standard error, or when the drain hangs.

    Prints one JSON line ``{"event": "listening", …}`` on standard output when the ports answer, and ``{"event":
    "serving", …}`` when all services do, for whoever started the process. When the members retire the node's log, it is
    opened again with the next one, after a line ``{"event": "reopening", …}``.
    """
    # A crash below Python leaves the stacks of all threads in the output, not nothing.
    faulthandler.enable()
    ending = Ending()
    while True:
        try:
            config = load_config(folder)
            configure_logging(config.logging.level, Path(folder) / config.logging.file if config.logging.file else None)
            node = Node.open(folder)
            node.start()
            # What a start leaves stays: the collector need not walk through it again and again under load.
            gc.collect()
            gc.freeze()
        except LedgerError as error:
            return _refuse(error)
        except OSError as error:
            return _refuse(
                FatalError("os.error", str(error), hint="check the disk and the rights of the node's folder")
            )
        ports = {"grpc": config.grpc.port, "https": config.https.port, "local": config.local.port}
        _say("listening", **ports)
        stop = threading.Event()
        threading.Thread(target=_tell_when_open, args=(node, stop), name="opening-watch", daemon=True).start()
        for event, name in ((node.failed, "failure-watch"), (node.retired, "retirement-watch")):
            threading.Thread(target=_end_when, args=(event, ending), name=name, daemon=True).start()
        while not (ending.asked or node.failed.is_set() or node.retired.is_set()):
            ending.wait()
        stop.set()
        # Whatever hangs, the process ends: with the stacks of all threads, and as safely as by kill -9.
        faulthandler.dump_traceback_later(config.drain_grace + _DRAIN_LIMIT_S, exit=True)
        node.drain()
        faulthandler.cancel_dump_traceback_later()
        failure = node.failure or node.standstill.reason
        if failure is not None:
            return _refuse(failure)
        if ending.asked or not node.retired.is_set():
            return 0
        # The members retired its log: the same folder is opened again, with the log of the next generation.
        _say("reopening", generation=node.core.generation + 1)


def _refuse(error: LedgerError) -> int:
    with contextlib.suppress(OSError):
        print(report(error), file=sys.stderr, flush=True)
    return 1


def _tell_when_open(node: Node, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            if node.wait_open(1.0):
                _say("serving", size=node.core.log.size, height=node.core.chain.head().height)
                return
        except LedgerError:
            return


def _end_when(event: threading.Event, ending: Ending) -> None:
    event.wait()
    ending.wake()


def _say(event: str, **figures: int) -> None:
    # Whoever started the node may have gone, or its output may be a file on a full disk: the node serves all the same.
    with contextlib.suppress(OSError):
        print(json.dumps({"event": event, **figures}), flush=True)


def leave(code: int) -> NoReturn:
    """End the process now. Everything is closed and synced by then; taking the interpreter down beside the threads of
    gRPC's core, which come back for a lock that is gone, ends now and then in SIGABRT instead of ``code``."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def main() -> NoReturn:
    """The command line: one argument, the node's folder."""
    if len(sys.argv) != 2:
        print("usage: python -m node.daemon FOLDER", file=sys.stderr)
        leave(2)
    leave(run(sys.argv[1]))


if __name__ == "__main__":
    main()
