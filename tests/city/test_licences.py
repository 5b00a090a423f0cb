"""The demonstration's licences: each verdict, and no word about their holder but in payloads and wallets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import plyvel
import pytest

from node.city.papers import CAUSE
from tests.city import traces
from tests.city.conftest import MEMBERS, NO_PATIENTS, Told

#: The holder's own side, and what the issuers keep about holders.
PRIVATE = frozenset({"wallets", "payloads"})
ISSUERS = ("civil", "transport")


@pytest.fixture(scope="module")
def values(story: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in story["wallets"]:
        licence = json.loads(Path(file).read_bytes())["licence"]
        found |= {f"{Path(file).stem} {name}": value for name, value in traces.holder_values(licence).items()}
    # Why a department fetched it is about the holder, too.
    return {**found, "fetched cause": CAUSE}


@pytest.fixture(scope="module")
def wanted(values: dict[str, str]) -> dict[bytes, str]:
    return traces.needles(values)


def test_every_verdict_of_the_story(story: dict[str, Any]) -> None:
    verdicts = {name: value for name, value in story.items() if name.startswith(("licence_", "copy_"))}
    types, bundle = verdicts.pop("licence_types"), verdicts.pop("licence_bundle")
    assert bundle["reached"] == "final"
    assert verdicts == {
        "licence_online": "valid",
        "licence_replayed": "replayed",
        "licence_slip": "valid",
        "licence_offline": "valid",
        "licence_suspended": "suspended",
        "licence_revoked": "revoked",
        "copy_there": "valid",
        "copy_elsewhere": "wrong-recipient",
        "licence_fetched": "valid",
    }
    assert sorted(story["fetch"]) == ["consumer", "provider", "receipt", "v"]
    assert len(types) == len(set(types.values())) == len(story["wallets"]) == 3


def test_wallets_are_for_their_holder_alone(told: Told) -> None:
    folder = told.folder / "wallets"
    assert folder.stat().st_mode & 0o077 == 0
    names = {path.name for path in folder.iterdir()}
    assert names >= {"driving-licence.json", "driving-licence.png", "household-page.txt", "copy.txt"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_what_is_looked_for_is_about_the_holder(values: dict[str, str], wanted: dict[bytes, str]) -> None:
    claims = {name.split(" ", 1)[1] for name in values}
    assert claims >= {
        "CZZT",
        "CZZTDM",
        "ZZBH",
        "ZZBS",
        "KZ_ZZ",
        "KZ_CSRQ",
        "KZ_POXM",
        "KZ_POZJHM",
        "KZ_HH",
        "disclosure 0",
    }
    assert min(len(needle) for needle in wanted) >= traces.LEAST_BYTES


def test_no_file_of_the_city_says_who_holds_a_licence(told: Told, wanted: dict[bytes, str]) -> None:
    looked_at = 0
    for name, data in traces.files(told.folder, PRIVATE):
        assert traces.search(wanted, data) == [], name
        looked_at += 1
    assert looked_at > 100


def test_no_store_of_the_city_says_who_holds_a_licence(told: Told, wanted: dict[bytes, str], tmp_path: Path) -> None:
    stores = traces.stores(told.folder, PRIVATE)
    assert len(stores) >= 15
    for store in stores:
        rows = list(traces.rows(store, tmp_path / "copy"))
        assert rows or store == told.folder / NO_PATIENTS, store
        assert traces.search(wanted, b"\n".join(rows)) == [], store


def test_no_server_said_who_holds_a_licence(told: Told, wanted: dict[bytes, str]) -> None:
    for name, (status, data) in told.answers.items():
        assert traces.search(wanted, data) == [], name
        assert status in (200, 404), (name, data[:300])
    answered = [name for name, (status, _) in told.answers.items() if status == 200]
    assert {f"gateway: {path}" for path in ("/", "/licence", "/metrics", "/v1/city")} <= set(answered)
    assert all(f"{issuer}: /licence/status/1" in answered for issuer in ISSUERS)
    assert sum(name.endswith("/metrics") for name in answered) == len(MEMBERS) + 1
    for name, data in told.printed.items():
        assert traces.search(wanted, data) == [], name


def test_payloads_of_who_issued_and_who_fetched_are_where_it_stands(
    told: Told, wanted: dict[bytes, str], tmp_path: Path
) -> None:
    for handle, kept in ((ISSUERS[0], "disclosure"), (ISSUERS[1], "disclosure"), ("labour", "fetched cause as")):
        rows = traces.rows(told.folder / handle / "payloads", tmp_path / "copy")
        found = traces.search(wanted, b"\n".join(rows))
        assert any("CZZTDM as" in name for name in found), handle
        assert any(kept in name for name in found), handle


def test_a_planted_value_is_found_in_every_form(values: dict[str, str]) -> None:
    for name, value in values.items():
        wanted = traces.needles({name: value})
        for form, data in traces.forms(value).items():
            assert traces.search(wanted, b"a line\n" + data + b"\nanother line\n"), form
        assert not traces.search(wanted, b"a line\n" + value.encode()[1:] + b"\nanother line\n")


def test_a_value_planted_in_a_file_of_the_city_is_found(
    told: Told, values: dict[str, str], wanted: dict[bytes, str], tmp_path: Path
) -> None:
    log = tmp_path / "city" / "civil" / "output.log"
    log.parent.mkdir(parents=True)
    log.write_bytes((told.folder / "civil" / "output.log").read_bytes())
    with log.open("a") as file:
        file.write(f'{{"event":"licence.issued","holder":"{values["household-page CZZT"]}"}}\n')
    private = tmp_path / "city" / "civil" / "payloads"
    private.mkdir()
    (private / "000003.log").write_text(values["household-page CZZT"])
    found = {name: traces.search(wanted, data) for name, data in traces.files(tmp_path / "city", PRIVATE)}
    assert list(found) == ["civil/output.log"]
    assert any("CZZT as UTF-8" in name for name in found["civil/output.log"])


@pytest.mark.parametrize("before", ["", "1", "12", "123"])
def test_base64_is_found_wherever_it_begins(before: str) -> None:
    text = f"{before}演示甲乙丙 and what follows"
    wanted = traces.needles({"CZZT": "演示甲乙丙"})
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert traces.search(wanted, encode(text.encode()))
    assert not traces.search(wanted, base64.b64encode("演示甲乙丁 and what follows".encode()))


def test_a_planted_value_is_found_in_a_compressed_store(values: dict[str, str], tmp_path: Path) -> None:
    value = next(value for name, value in values.items() if name.endswith(" KZ_ZZ"))
    wanted = traces.needles({"KZ_ZZ": value})
    store = tmp_path / "node" / "store"
    store.parent.mkdir()
    with plyvel.DB(str(store), create_if_missing=True) as db:
        # The same text before and behind: what is written is mostly references back, and no file has it in one piece.
        half = len(value) // 2
        db.put(b"a", (value[:half] * 40 + value[half:] * 40).encode())
        db.put(b"b", value.encode())
        db.compact_range()
    blocks = [data for name, data in traces.files(tmp_path, PRIVATE) if name.endswith(".ldb")]
    assert blocks
    assert not any(traces.search(wanted, data) for data in blocks)
    assert traces.stores(tmp_path, PRIVATE) == [store]
    assert traces.search(wanted, b"\n".join(traces.rows(store, tmp_path / "copy")))
