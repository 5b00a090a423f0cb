"""`log fsck`, `log export` and `mirror status` as an operator meets them, over a running city."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.errors import LedgerError
from node.cli.main import build
from node.config import MirrorSection
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually
from tests.node.mirror.test_serving import mirrored, set_mirrors

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    founded = found(tmp_path_factory.mktemp("commands"), 4)
    set_mirrors(founded.folders[1], MirrorSection(members=("all",), interval=1))
    with City(founded) as running:
        running.start()
        for number in range(300):
            running[0].core.log.append_record(record(running[0], number))
        published = running[0].publisher.publish_now(wait_witnessed_s=180)
        assert published is not None
        assert published.witnessed
        eventually(lambda: running[0].anchors.anchored_size() > 300, seconds=300)
        yield running


def command(*words: str) -> tuple[int, str, LedgerError | None]:
    """Exit status, standard output, and the refusal if there was one; in this process, which has started already."""
    done = CliRunner().invoke(build(words), list(words))
    refusal = done.exception if isinstance(done.exception, LedgerError) else None
    assert refusal is not None or done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return 1 if refusal is not None else done.exit_code, done.stdout, refusal


def chinese(*words: str) -> tuple[int, str]:
    """The same as people see it who read Chinese."""
    environment = {**os.environ, "CIVICLEDGER_LANG": "zh", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", *words],
        capture_output=True, text=True, env=environment, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.returncode, done.stdout


def answer(*words: str) -> tuple[int, Any]:
    code, text, refusal = command(*words, "--json")
    assert refusal is None, refusal
    # The nodes of this process write their own lines in between; a document is written at once.
    return code, json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]


def outcomes(found: Any) -> dict[str, str]:
    return {check["check"]: check["outcome"] for check in found["checks"]}


def test_the_own_log_is_compared_with_everybody_s_view(city: City) -> None:
    code, found = answer("log", "fsck", "--node", str(city.founded.folders[0]))
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    assert found["entries"] == found["size"] >= 300
    said = outcomes(found)
    assert said["signature"] == said["anchor"] == said["quorum"] == "ok"
    assert [said[f"witness dept-{number}"] for number in (2, 3, 4)] == ["ok"] * 3
    code, text = chinese("log", "fsck", "--node", str(city.founded.folders[0]))
    assert code == 0
    assert "无误" in text


def test_a_served_log_is_checked_by_those_who_may_read_it(city: City) -> None:
    peer = city[0].core.peers[city[0].core.member]
    for caller, hashed in ((1, True), (3, False)):
        code, found = answer(
            "log", "fsck", "--from", f"https://{peer.https}", "--node", str(city.founded.folders[caller])
        )
        assert (code, found["ok"]) == (0, True)
        assert (found["entries"] == found["size"]) is hashed
        assert outcomes(found)["signature"] == "ok"
        assert ("entries" in outcomes(found)) is not hashed


def test_a_mirror_is_checked_like_the_log_itself(city: City) -> None:
    mirrored(city, 1)
    host = city[1].core.peers[city[1].core.member].https
    digest = hashlib.sha256(city[0].core.log.origin.encode()).hexdigest()
    own = str(city.founded.folders[0])
    code, found = answer("log", "fsck", "--from", f"https://{host}/mirror/{digest}", "--node", own)
    assert (code, found["ok"], found["origin"]) == (0, True, city[0].core.log.origin)


def test_an_export_is_checked_by_a_policy_alone(city: City, tmp_path: Path) -> None:
    own = str(city.founded.folders[0])
    out = tmp_path / "out"
    code, made = answer("log", "export", str(out), "--node", own)
    assert code == 0
    assert made["size"] >= 300
    code, made = answer("log", "export", str(out), "--node", own)
    assert (code, made["written"]) == (0, 0)
    policy = tmp_path / "city.policy"
    code, text, error = command("witness", "policy", "--node", own)
    assert code == 0, error
    policy.write_text(text, encoding="utf-8")
    code, found = answer("log", "fsck", "--from", str(out), "--policy", str(policy))
    assert (code, outcomes(found)) == (0, {"signature": "ok", "quorum": "ok"})
    code, found = answer("log", "fsck", "--from", str(out), "--alone")
    assert (code, outcomes(found)) == (0, {"signature": "unchecked"})
    # What was changed is named, and the exit says so.
    file = out / "tile" / "entries" / "000"
    file.write_bytes(file.read_bytes().replace(b'"M-7"', b'"M-8"'))
    code, found = answer("log", "fsck", "--from", str(out), "--policy", str(policy))
    assert (code, found["ok"]) == (1, False)
    assert found["problems"][0]["file"] == "tile/entries/000"
    code, text, _ = command("log", "fsck", "--from", str(out), "--policy", str(policy))
    assert code == 1
    assert "tile/entries/000" in text
    stranger = tmp_path / "stranger.policy"
    lines = policy.read_text(encoding="utf-8").splitlines()
    stranger.write_text("\n".join(line for line in lines if not line.startswith("log ")) + "\n", encoding="utf-8")
    code, found = answer("log", "fsck", "--from", str(out), "--policy", str(stranger))
    assert (code, outcomes(found)["signature"]) == (1, "differs")


def test_a_place_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for place, code in ((str(tmp_path / "nothing"), "source.absent"), ("http://127.0.0.1:1/", "source.unreachable")):
        status, _, refusal = command("log", "fsck", "--from", place, "--alone")
        assert status == 1
        assert refusal is not None
        assert (refusal.code, bool(refusal.hint)) == (code, True)


def test_the_mirrors_are_listed(city: City) -> None:
    folder = str(city.founded.folders[1])
    mirrored(city, 1)

    def all_three() -> Any:
        found = answer("mirror", "status", "--node", folder)[1]["mirrors"]
        return found if len([one for one in found if one["good_ms"]]) == 3 else None

    found = eventually(all_three, seconds=300)
    assert {one["member"] for one in found} == set(city.founded.members) - {city.founded.members[1]}
    assert all(not one["alarm"] and not one["open_alarms"] for one in found)
    code, text, _ = command("mirror", "status", "--node", folder)
    assert code == 0
    assert "good" in text
    code, text, _ = command("mirror", "status", "--node", str(city.founded.folders[3]))
    assert code == 0
    assert "no log is followed" in text
