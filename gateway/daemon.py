"""Running a gateway until it is told to stop."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from ledger.ending import Ending
from ledger.errors import LedgerError


def main(arguments: Sequence[str]) -> int:
    """One argument, the gateway's folder. Serves until SIGTERM or SIGINT; 0 after a clean stop, 1 after an error, 2 for
    misuse. Prints ``{"event": "listening", …}`` on standard output when both ports answer."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m gateway FOLDER", file=sys.stderr)
        return 2
    # After the check above: the servers and the chain client take a second to load.
    from gateway.config import load_config
    from gateway.serving import Gateway

    ending = Ending()
    _configure_logging()
    try:
        gateway = Gateway(load_config(Path(arguments[0])))
    except LedgerError as error:
        print(f"{error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr, flush=True)
        return 1
    gateway.start()
    print(json.dumps({"event": "listening", "https": gateway.https_port, "grpc": gateway.grpc_port}), flush=True)
    while not ending.wait():
        pass
    gateway.close()
    return 0


def _configure_logging() -> None:
    """JSON lines on standard error: events of the gateway itself, never a request's content or a reader's address."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
