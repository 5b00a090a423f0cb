"""Long runs that look for what a test suite is too short for. One so far: ``kill``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import structlog

from scripts.kill_load import LostError
from scripts.killing import Figures, KillLoop


def main() -> int:
    """``scripts/soak kill [--rounds N] [--seed S] [--folder DIR] [--json]``: exit 0 when nothing was lost, else 1."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    kill = commands.add_parser("kill", help="kill -9 a node under load, again and again")
    kill.add_argument("--rounds", type=int, default=1_000)
    kill.add_argument("--seed", type=int, default=1, help="chooses the moments")
    kill.add_argument("--folder", type=Path, help="keep the city's folders here (default: a temporary folder)")
    kill.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="civicledger-soak-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)

        def progress(figures: Figures) -> None:
            if not options.json and (figures.rounds % 10 == 0 or figures.rounds == options.rounds):
                print(json.dumps(figures.to_dict()), flush=True)

        try:
            figures = KillLoop(folder, options.seed).run(options.rounds, progress)
        except LostError as error:
            print(f"lost: {error}", file=sys.stderr)
            if options.folder is None:
                print("  next step: run it again with --folder to keep the city's folders", file=sys.stderr)
            return 1
    print(json.dumps({"command": "kill", "seed": options.seed, "lost": 0, **figures.to_dict()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
