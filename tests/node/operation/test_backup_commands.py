"""``civicledger log backup | restore | stat`` over the folders of real nodes, running and stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import ConflictError
from node.compose import Node
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually

ROOT = Path(__file__).resolve().parents[3]


def civicledger(*words: str, status: int = 0, language: str = "en") -> str:
    """Run the command; its standard output, after its exit status was the expected one."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": language, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_back_up_lose_restore_and_be_caught_when_older(tmp_path: Path) -> None:
    founded = found(tmp_path / "city", 3)
    folder, copy = founded.folders[1], tmp_path / "copy"
    node = ("--node", str(folder), "--json")
    with City(founded) as city:
        city.start()
        for number in range(300):
            city[1].core.log.append_record(record(city[1], number))
        published = city[1].publisher.publish_now(wait_witnessed_s=180)
        assert published is not None
        assert published.witnessed
        first = json.loads(civicledger("log", "backup", str(copy), *node))
        assert (first["size"], first["origin"]) == (published.size, city[1].core.log.origin)
        assert first["root"] == published.root.hex()
        running = json.loads(civicledger("log", "stat", *node))
        assert (running["published_size"], running["witnessed_size"]) == (published.size, published.size)
        assert running["checkpoint_age_ms"] is not None
        # What comes after the backup is witnessed by the others.
        later = city[1].core.log.append_record(record(city[1], 1_000))
        newer = city[1].publisher.publish_now(wait_witnessed_s=180)
        assert newer is not None
        assert newer.size > later
        city.stop(1)
        stopped = civicledger("log", "stat", "--node", str(folder), language="zh")
        assert "节点未响应" in stopped
        assert str(newer.size) in stopped

        # The disk is lost: the backup is older than what the witnesses saw.
        shutil.rmtree(folder / "log")
        restored = json.loads(civicledger("log", "restore", str(copy), *node))
        assert (restored["size"], restored["missing"], restored["kept"]) == (published.size, 0, None)
        reopened = Node.open(folder, environ={})
        city.nodes[1] = reopened
        reopened.start()
        eventually(lambda: (reason := reopened.closed_reason()) is not None and reason.code == "log.behind")
        with pytest.raises(ConflictError) as caught:
            reopened.core.log.publish()
        assert caught.value.code == "log.behind"
        assert "log restore" in caught.value.hint
        assert reopened.core.log.read(0, 1), "what is there is read"
        city.stop(1)
