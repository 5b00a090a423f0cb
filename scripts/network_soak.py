"""Random kills in a network of four validators under load: nothing acknowledged may be lost, all states stay equal.

Each round kills a node (its CometBFT dies with it), a CometBFT alone, or two nodes at once (the network halts until one
is back), at a moment nobody chose, and goes on when the killed ones follow again and writes are acknowledged. A run can
be stopped and resumed: what was done and acknowledged is in its folder.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError
from node.config import ChainSection, LogSection
from scripts.network import Network
from scripts.network_load import Journal, Writers, check_acknowledged
from scripts.network_node import OPEN_S, NetworkError, NetworkNode

_STATE = "soak.json"
_JOURNAL = "acknowledged.jsonl"
#: Longest wait between the moment a network is well and a kill, seconds.
_MOMENT_S = 0.4
#: What is killed, and how often of ten.
_KINDS = {"node": 5, "comet": 4, "two": 1}


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a run did so far, resumed parts included. ``longest_pause_s``: without an acknowledged write while at most
    one validator was away."""

    seed: int
    kills: int = 0
    rounds: int = 0
    nodes_killed: int = 0
    comets_killed: int = 0
    halts: int = 0
    acknowledged: int = 0
    height: int = 0
    head: str = ""
    state_root: str = ""
    longest_pause_s: float = 0.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}


class NetworkSoak:
    """A network in a folder, and the rounds. ``seed`` chooses victims and moments."""

    def __init__(self, folder: Path, seed: int, *, resume: bool = False) -> None:
        self._folder = folder
        city = folder / "city"
        state = folder / _STATE
        if resume:
            if not state.exists():
                raise NetworkError(f"{folder} holds no soak to resume: run it without --resume first")
            self.figures = Figures(**json.loads(state.read_text("ascii")))
            if self.figures.seed != seed:
                raise NetworkError(f"the run in {folder} has seed {self.figures.seed}, not {seed}")
            self._network = Network(city, validators=4)
        else:
            if state.exists():
                raise NetworkError(f"{folder} holds a soak already: go on with --resume, or choose another folder")
            self.figures = Figures(seed=seed)
            self._network = Network.found(
                city,
                chain=ChainSection(heartbeat_interval=5),
                log=LogSection(anchor_interval_ms=10_000),
            )
            self._save()

    def run(self, kills: int, progress: Callable[[Figures], None] = lambda _figures: None) -> Figures:
        """Kill until ``kills`` processes were killed in all, then check every node.

        Raises: NetworkError, LedgerError, with the last lines of what was killed last.
        """
        journal = Journal(self._folder / _JOURNAL)
        began, before = time.monotonic(), self.figures.seconds
        try:
            with self._network:
                self._network.start()
                writers = Writers(self._network, journal, self._network.accounts())
                with writers.running():
                    writers.wait_more(1, OPEN_S)
                    while self.figures.kills < kills:
                        self._round(writers, journal)
                        self.figures.acknowledged = len(journal)
                        self.figures.seconds = before + time.monotonic() - began
                        self._save()
                        progress(self.figures)
                head = check_acknowledged(self._network, journal)
                self._network.stop()
        finally:
            journal.close()
        self.figures.height, self.figures.head, self.figures.state_root = head
        self.figures.acknowledged = len(journal)
        self.figures.seconds = before + time.monotonic() - began
        self._save()
        return self.figures

    def _round(self, writers: Writers, journal: Journal) -> None:
        figures = self.figures
        # Of the round's number: a resumed run takes the same choices.
        choice = random.Random(f"{figures.seed}/{figures.rounds}")  # noqa: S311 - moments of killing, no secrets
        kind = choice.choices(list(_KINDS), list(_KINDS.values()))[0]
        victims = choice.sample(self._network.nodes, 2 if kind == "two" else 1)
        time.sleep(choice.uniform(0.0, _MOMENT_S))
        journal.begin()
        for victim in victims:
            if kind == "comet":
                victim.kill_comet()
                figures.comets_killed += 1
            else:
                victim.kill()
                figures.nodes_killed += 1
        try:
            self._recover(victims, writers)
        except (NetworkError, LedgerError) as error:
            told = "\n".join(victim.tail() for victim in victims)
            names = " and ".join(victim.name for victim in victims)
            raise NetworkError(f"round {figures.rounds}, {kind} of {names}: {error}\n{told}") from error
        figures.rounds += 1
        figures.kills += len(victims)
        if kind == "two":
            figures.halts += 1
        else:
            figures.longest_pause_s = max(figures.longest_pause_s, journal.longest_pause)

    def _recover(self, victims: list[NetworkNode], writers: Writers) -> None:
        for victim in victims:
            if not victim.alive:
                victim.start()
        for victim in victims:
            victim.wait_serving()
        writers.wait_more(2, OPEN_S)
        # The killed ones follow again: they reach what the others had when they came back.
        target = max(node.height() or 0 for node in self._network.nodes)
        for victim in victims:
            victim.wait_height(target)

    def _save(self) -> None:
        path = self._folder / _STATE
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self.figures)) + "\n", "ascii")
        os.replace(fresh, path)
