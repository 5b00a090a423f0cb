"""Kill -9 on an issuer's node under issues, revocations and publications (``scripts/soak licences`` for more)."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.killing_licences import LicenceLoop

ROUNDS = 200 if os.environ.get("CIVICLEDGER_FAULTS") == "full" else 20


def test_no_place_is_given_twice_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    figures = LicenceLoop(tmp_path, seed=20_261_122).run(ROUNDS)
    assert figures.rounds == ROUNDS
    # Not one round without a licence, lists were published on the way, and answers did get lost.
    assert figures.records >= ROUNDS
    assert figures.transactions > 1
    assert figures.repeated > 0
