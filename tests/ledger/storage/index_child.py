"""A process that appends and follows until it is killed: ``python -m tests.ledger.storage.index_child FOLDER SEED``.

Every line it prints says that another step is done.
"""

import random
import sys
from pathlib import Path

from ledger.storage.indexes import RecordIndex
from ledger.storage.openings import Openings
from ledger.storage.store import Store
from tests.ledger.storage.index_cases import IDS, MEMBERS, SUBJECTS, TYPES, Log, Parts, opened_log, opening, record


def step(log: Log, index: RecordIndex, openings: Openings, chance: random.Random) -> None:
    """Append some records, keep or erase some openings, follow some of the way."""
    size = log.size
    parts = [
        Parts(
            time=chance.choice([chance.randrange(10_000), 10 * (size + n)]),
            type=chance.choice(TYPES),
            dataset=chance.choice([None, *IDS]),
            grant=chance.choice([None, *IDS]),
            counterpart=chance.choice([None, *MEMBERS]),
            subject=chance.choice([None, *SUBJECTS]),
        )
        for n in range(chance.randrange(1, 40))
    ]
    log.add(record(part, size + n) for n, part in enumerate(parts))
    openings.keep([opening(size + n, part.subject) for n, part in enumerate(parts) if part.subject is not None])
    if chance.random() < 0.2:
        openings.erase([name for name, _ in openings if chance.random() < 0.1])
    index.follow(log, limit=chance.choice([None, chance.randrange(1, 60)]))


def main(folder: Path, seed: int) -> None:
    """Work until killed."""
    chance = random.Random(seed)
    with Store.open(folder / "values") as values, opened_log(folder / "log") as log:
        openings = Openings(values)
        index = RecordIndex.open(folder / "index", openings)
        while True:
            step(log, index, openings, chance)
            print(log.size, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
