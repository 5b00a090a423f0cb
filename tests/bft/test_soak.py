"""``scripts/soak network``: kills, a stop, and going on in the same folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import NotFoundError
from node.comet.binary import find_cometbft
from scripts.network_load import Journal, Write
from scripts.network_node import NetworkError
from scripts.network_soak import NetworkSoak


def test_a_soak_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    try:
        find_cometbft()
    except NotFoundError as error:
        pytest.skip(f"{error.message}; {error.hint}")
    first = NetworkSoak(tmp_path, seed=5).run(1)
    assert first.kills >= 1
    assert first.acknowledged > 0
    with pytest.raises(NetworkError, match="holds a soak already"):
        NetworkSoak(tmp_path, seed=5)
    with pytest.raises(NetworkError, match="has seed 5, not 6"):
        NetworkSoak(tmp_path, seed=6, resume=True)
    rounds: list[int] = []
    second = NetworkSoak(tmp_path, seed=5, resume=True).run(
        first.kills + 1, lambda figures: rounds.append(figures.rounds)
    )
    assert rounds == [first.rounds + 1]
    assert second.kills > first.kills
    assert second.acknowledged > first.acknowledged
    assert second.height > first.height


def test_a_line_that_a_killed_run_left_torn_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.jsonl"
    journal = Journal(path)
    journal.add(Write(transaction="0x01", height=1))
    journal.close()
    with path.open("a", encoding="ascii") as file:
        file.write('{"transaction": "0x02", "hei')
    again = Journal(path)
    assert again.writes == [Write(transaction="0x01", height=1)]
    again.add(Write(transaction="0x03", height=3))
    again.close()
    assert [write.height for write in Journal(path).writes] == [1, 3]


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="holds no soak to resume"):
        NetworkSoak(tmp_path, seed=1, resume=True)
