"""The commands of keeping and forgetting, as an operator runs them against a running node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.model import Roles
from tests.commands import command, document
from tests.node.core import city as core_city
from tests.node.core.city import City, found

ROOT = Path(__file__).resolve().parents[3]
PATIENT = ("--patient", "P-0017")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The first is the health commission and the second a hospital whose keys are backed up."""
    folder = tmp_path_factory.mktemp("keeping")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_city, "ROLES", {1: Roles.HEALTH, 2: Roles.HOSPITAL})
        founded = found(folder, 2)
    backup = folder / "key-backup"
    backup.mkdir()
    path = founded.folders[1] / "node.toml"
    text = path.read_text().replace('key_backup = ""', f'key_backup = "{backup}"')
    path.write_text(text.replace('\nnotices = ""', '\nnotices = "file"'))
    with City(founded) as running:
        running.start()
        yield running


def refused(city: City, number: int, *words: str) -> str:
    """The code of a command's refusal."""
    _, refusal = command("medical", *words, "--node", str(city.founded.folders[number]))
    assert refusal is not None
    return refusal.code


def asked(city: City, number: int, *words: str) -> Any:
    """What a command answers as JSON."""
    text, refusal = command("medical", *words, "--json", "--node", str(city.founded.folders[number]))
    assert refusal is None, refusal
    return document(text)


def test_from_consent_to_a_verified_erasure(city: City, tmp_path: Path) -> None:
    node = city[1]
    medical, backup = node.context.medical, node.core.config.folder.parent / "key-backup"
    assert refused(city, 1, "consent", "show", *PATIENT) == "vault.no-patient"
    subject = medical.vault.subject_of(b"P-0017")
    medical.vault.put(subject, b"report/1", b"a report", b"\x07" * 32)

    forbidden = asked(city, 1, "consent", "forbid", *PATIENT)
    assert (forbidden["permit"], forbidden["to"]) == (False, "*")
    other = city.founded.members[0]
    asked(city, 1, "consent", "allow", *PATIENT, "--to", "dept-1", "--until", "2099-01-01")
    now_s = node.core.clock() // 1_000
    assert medical.consents.allows(subject, other, now_s)
    assert not medical.consents.allows(subject, "11100000000013338W", now_s)
    rules = asked(city, 1, "consent", "show", *PATIENT)["rules"]
    assert [(rule["to"], rule["permit"], rule["until"]) for rule in rules] == [
        ("*", False, None),
        (other, True, "2098-12-31T16:00:00.000Z"),
    ]
    shown, _ = command("medical", "consent", "show", *PATIENT, "--node", str(city.founded.folders[1]))
    assert other in shown

    assert asked(city, 1, "contact", *PATIENT, "--phone", "+8613800000017") == {"told": True}
    assert refused(city, 1, "contact", *PATIENT, "--phone", "138") == "notice.phone"
    told = asked(city, 1, "notices")
    assert (told["waiting"], told["delivered"], told["dropped"], told["notices"]) == (0, 0, 0, [])

    copied = asked(city, 1, "backup-keys")
    assert (copied["folder"], copied["epoch"]) == (str(backup), 1)
    assert refused(city, 0, "backup-keys") == "vault.no-backup"

    assert refused(city, 1, "erase", "--patient", "", "--yes") == "input.field"
    erased = asked(city, 1, "erase", *PATIENT, "--yes")
    assert (erased["patients"], erased["epoch"], erased["backup"]) == (1, 2, True)
    assert erased["commitments"] == 3  # of the report and of two consents
    assert [path.name for path in backup.glob("*.key")] == ["epoch-2.key"]
    proof, policy = tmp_path / "erased.json", tmp_path / "city.policy"
    asked(city, 1, "erasure-proof", erased["statement"], "-o", str(proof), "--policy", str(policy), "--wait", "60")
    offline = ["verify-erasure", str(proof), "--policy", str(policy)]
    verdict = _offline(*offline, "--commitment", "07" * 32)
    assert verdict["verdict"] == "verified"
    assert verdict["statement"]["ended"]["epoch"] == 1
    assert _offline(*offline, "--commitment", "08" * 32, status=1)["code"] == "erasure.not-among"


def _offline(*words: str, status: int = 0) -> Any:
    """A command that needs no node."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "medical", *words, "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=False,
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_the_doctor_asks_for_a_backup_of_keys(city: City) -> None:
    """The commission has keys and no backup; the hospital has one."""
    asked(city, 0, "pseudonym-key", "rotate")
    codes = [{finding.code for finding in city[number].context.diagnose()} for number in (0, 1)]
    assert ["vault.no-backup" in found_ for found_ in codes] == [True, False]


def test_the_keys_of_pseudonyms(city: City) -> None:
    before = asked(city, 0, "pseudonym-key", "status")
    assert [key["year"] for key in before["keys"]] == [before["year"]]
    assert asked(city, 0, "pseudonym-key", "rotate") == {"made": [], "destroyed": []}
    done = asked(city, 0, "pseudonym-key", "rotate", "--replace")
    assert [key["number"] for key in done["made"]] == [2]
    assert done["destroyed"] == before["keys"]
    assert asked(city, 0, "pseudonym-key", "status")["keys"] == done["made"]
    assert refused(city, 1, "pseudonym-key", "status") == "pseudonym.not-commission"


def test_a_lost_key_store_is_put_back(city: City, tmp_path: Path) -> None:
    medical, folder = city[1].context.medical, city.founded.folders[1]
    subject = medical.vault.subject_of(b"P-0018")
    medical.vault.put(subject, b"report/2", b"another report")
    copied = asked(city, 1, "backup-keys")
    city.stop(1)
    shutil.move(folder / "medical" / "keys", tmp_path / "lost")
    put_back = asked(city, 1, "restore-keys", copied["folder"])
    assert put_back == {"epoch": copied["epoch"], "rows": copied["rows"]}
    assert refused(city, 1, "restore-keys", copied["folder"]) == "vault.not-empty"
    city.start(1)
    assert city[1].context.medical.vault.get(b"report/2") == b"another report"
    assert refused(city, 1, "restore-keys", copied["folder"]) == "store.locked"
