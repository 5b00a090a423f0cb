"""``record reindex`` on a stopped node's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger._native import LogEngine
from ledger.storage.indexes import RecordFilter, RecordIndex
from node.cli.records_query import app
from node.config import Listen, MemberSection, NodeConfig, encode_config
from tests.ledger.storage.index_cases import IDS, Parts, filed, record

MEMBER = MemberSection(uscc="11100000000013338W", handle="audit", region="310000")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A node's folder as a stopped node leaves it: settings, and a log of 2,000 records."""
    listen = Listen(port=1)
    (tmp_path / "node.toml").write_bytes(
        encode_config(NodeConfig(member=MEMBER, grpc=listen, https=listen, local=listen))
    )
    engine = LogEngine.open(str(tmp_path / "log"))
    engine.append_batch([record(Parts(time=n * 50, dataset=IDS[n % 3])) for n in range(2_000)])
    engine.close()
    return tmp_path


def reindex(folder: Path, *words: str) -> Any:
    """The command's answer, or the error it ends with."""
    done = CliRunner().invoke(app, ["reindex", "--node", str(folder), "--json", *words])
    if done.exception is not None:
        return done.exception
    return json.loads(done.stdout)


def test_the_index_is_made_anew_and_an_interrupted_run_goes_on(folder: Path) -> None:
    answer = reindex(folder)
    assert (answer["size"], answer["resumed_at"]) == (2_000, 0)
    rows = filed(folder / "store" / "index")
    assert len(rows) == 3 * 2_000
    # Interrupted: a run that got to 700.
    engine = LogEngine.open(str(folder / "log"))
    index = RecordIndex.open(folder / "store" / "index")
    index.renew()

    class Half:
        """The log as the index sees it, 700 records long in what it makes."""

        size = 2_000
        read, leaf, index_rows = engine.read, engine.leaf, engine.index_rows

    index.follow(Half(), limit=700)
    index.close()
    assert reindex(folder).code == "log.locked"
    engine.close()
    answer = reindex(folder)
    assert (answer["size"], answer["resumed_at"]) == (2_000, 700)
    assert filed(folder / "store" / "index") == rows
    assert reindex(folder, "--fresh")["resumed_at"] == 0
    index = RecordIndex.open(folder / "store" / "index")
    assert index.remaking is None
    assert len(index.query(RecordFilter(dataset=IDS[0]), 1_000).rows) == 667
    index.close()


def test_a_folder_without_a_log_is_refused(folder: Path) -> None:
    (folder / "log").rename(folder / "elsewhere")
    assert reindex(folder).code == "log.missing"
