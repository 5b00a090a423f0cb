"""``record reindex`` on a stopped node's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger._native import LogEngine
from ledger.storage.indexes import RecordFilter, RecordIndex
from node.config import Listen, MemberSection, NodeConfig, encode_config
from tests.ledger.storage.index_cases import IDS, Parts, filed, record

ROOT = Path(__file__).resolve().parents[3]
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


def reindex(folder: Path, *words: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "record", "reindex", "--node", str(folder), "--json", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": "en", "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_index_is_made_anew_and_an_interrupted_run_goes_on(folder: Path) -> None:
    status, answer = reindex(folder)
    assert (status, answer["size"], answer["resumed_at"]) == (0, 2_000, 0)
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
    status, answer = reindex(folder)
    assert status == 1
    assert answer["error"]["code"] == "log.locked"
    engine.close()
    status, answer = reindex(folder)
    assert (status, answer["size"], answer["resumed_at"]) == (0, 2_000, 700)
    assert filed(folder / "store" / "index") == rows
    status, answer = reindex(folder, "--fresh")
    assert (status, answer["resumed_at"]) == (0, 0)
    index = RecordIndex.open(folder / "store" / "index")
    assert index.remaking is None
    assert len(index.query(RecordFilter(dataset=IDS[0]), 1_000).rows) == 667
    index.close()


def test_a_folder_without_a_log_is_refused(folder: Path) -> None:
    (folder / "log").rename(folder / "elsewhere")
    status, answer = reindex(folder)
    assert status == 1
    assert answer["error"]["code"] == "log.missing"
