"""Long runs that look for what a test suite is too short for: kill -9 on ``kill`` one node, ``licences`` an issuer's
node, ``network`` nodes among validators."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from ledger.errors import LedgerError
from scripts.kill_load import LostError
from scripts.killing import KillLoop
from scripts.killing_licences import LicenceLoop
from scripts.network_node import NetworkError
from scripts.network_soak import NetworkSoak

Progress = Callable[[dict[str, Any], bool], None]


def main() -> int:
    """``scripts/soak kill|licences [--rounds N] [--seed S] [--folder DIR] [--json]``, ``scripts/soak network
    [--kills N] [--seed S] [--folder DIR] [--resume] [--json]``: exit 0 when nothing was lost, else 1."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    kill = commands.add_parser("kill", help="kill -9 a node under load, again and again")
    kill.add_argument("--rounds", type=int, default=1_000)
    licences = commands.add_parser("licences", help="kill -9 an issuer's node while it issues, revokes and publishes")
    licences.add_argument("--rounds", type=int, default=500)
    network = commands.add_parser("network", help="kill -9 processes of four validators under load, again and again")
    network.add_argument("--kills", type=int, default=200, help="processes killed in all, resumed parts included")
    network.add_argument("--resume", action="store_true", help="go on with the run in --folder")
    for command in (kill, licences, network):
        command.add_argument("--seed", type=int, default=1, help="chooses the moments")
        command.add_argument("--folder", type=Path, help="keep the city's folders here (default: a temporary folder)")
        command.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    if options.command == "network" and options.resume and options.folder is None:
        parser.error("--resume needs the --folder of the run")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="civicledger-soak-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)

        def progress(figures: dict[str, Any], told: bool) -> None:
            if not options.json and told:
                print(json.dumps(figures), flush=True)

        try:
            figures = _RUNS[options.command](folder, options, progress)
        except (LostError, NetworkError, LedgerError) as error:
            print(f"lost: {error}", file=sys.stderr)
            if options.folder is None:
                print("  next step: run it again with --folder to keep the city's folders", file=sys.stderr)
            return 1
    print(json.dumps({"command": options.command, "seed": options.seed, "lost": 0, **figures}))
    return 0


def _kill(folder: Path, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    loop = (LicenceLoop if options.command == "licences" else KillLoop)(folder, options.seed)
    done = loop.run(
        options.rounds, lambda now: progress(now.to_dict(), now.rounds % 10 == 0 or now.rounds == options.rounds)
    )
    return done.to_dict()


def _network(folder: Path, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    soak = NetworkSoak(folder, options.seed, resume=options.resume)
    last = options.kills
    done = soak.run(last, lambda now: progress(now.to_dict(), now.rounds % 10 == 0 or now.kills >= last))
    return done.to_dict()


_RUNS = {"kill": _kill, "licences": _kill, "network": _network}


if __name__ == "__main__":
    sys.exit(main())
