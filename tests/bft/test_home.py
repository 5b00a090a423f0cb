"""CometBFT's home: everything it knows is written, it takes what is written, and what it signed is never forgotten."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.devnet import dev_genesis, dev_members
from ledger.errors import FatalError, InvalidInputError
from ledger.identifiers import consensus_chain_id
from ledger.model import KeyRole
from node.comet.home import encode_document, forget_blocks, signed_before, write_home, write_keys
from node.comet.keys import key_address, node_id
from node.comet.settings import NODE_KEY, PRIVATE_KEY, SIGN_STATE, StateSync, encode_settings
from tests.bft.comet_homes import TIME_MS, cometbft, genesis_of, make_members, settings_of

MEMBERS = make_members()


@pytest.fixture(scope="module")
def genesis() -> bytes:
    return genesis_of(MEMBERS, 4)


def keys_of(table: dict[str, Any]) -> set[str]:
    """Section and key of every setting."""
    found = {name for name, value in table.items() if not isinstance(value, dict)}
    for section, values in table.items():
        if isinstance(values, dict):
            found |= {f"{section}.{name}" for name in values}
    return found


def comet(*arguments: str, home: Path) -> str:
    done = subprocess.run(
        [cometbft(), *arguments, "--home", home], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_setting_that_cometbft_knows_is_written_and_no_other(tmp_path: Path) -> None:
    comet("init", home=tmp_path)
    known = keys_of(tomllib.loads((tmp_path / "config" / "config.toml").read_text()))
    assert keys_of(tomllib.loads(encode_settings(settings_of(tmp_path)).decode())) == known


@pytest.mark.parametrize("joining", [False, True])
def test_cometbft_takes_the_configuration_and_the_keys(tmp_path: Path, genesis: bytes, joining: bool) -> None:
    sync = StateSync(sources=("unix:///a", "unix:///b"), height=7, hash=b"\xab" * 32, period_s=3_600)
    settings = settings_of(tmp_path, name='a "quoted" \\ name 局\x7f', state_sync=sync if joining else None)
    write_home(tmp_path, genesis=genesis, settings=settings)
    member = MEMBERS[0]
    write_keys(tmp_path, consensus=member.seeds[KeyRole.CONSENSUS], p2p=member.seeds[KeyRole.P2P])
    told = json.loads(comet("show-validator", home=tmp_path))
    written = json.loads((tmp_path / PRIVATE_KEY).read_text())
    assert told == written["pub_key"]
    assert bytes.fromhex(written["address"]) == key_address(member.signer(KeyRole.CONSENSUS).public)
    assert comet("show-node-id", home=tmp_path) == node_id(member.signer(KeyRole.P2P).public)
    for name in (PRIVATE_KEY, NODE_KEY, SIGN_STATE):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_keys(tmp_path, consensus=bytes(32), p2p=bytes(32))


def test_the_document_carries_the_genesis_file_and_its_validators(genesis: bytes) -> None:
    document = json.loads(encode_document(genesis))
    assert base64.b64decode(document["app_state"]) == genesis
    assert document["chain_id"] == consensus_chain_id(hashlib.sha256(genesis).digest())
    keys = [base64.b64decode(one["pub_key"]["value"]) for one in document["validators"]]
    assert keys == [member.signer(KeyRole.CONSENSUS).public for member in MEMBERS[:4]]
    assert {one["power"] for one in document["validators"]} == {"1"}
    assert document["genesis_time"] == "2025-11-22T04:00:00.000Z"


def test_a_city_on_another_engine_has_no_document() -> None:
    with pytest.raises(InvalidInputError) as refused:
        encode_document(dev_genesis(dev_members(), time_ms=TIME_MS))
    assert refused.value.code == "comet.engine"


def test_the_signing_state_is_never_touched_and_ends_the_waiting(tmp_path: Path, genesis: bytes) -> None:
    def check() -> int:
        write_home(tmp_path, genesis=genesis, settings=settings_of(tmp_path, double_sign_check=5))
        table = tomllib.loads((tmp_path / "config" / "config.toml").read_text())
        return int(table["consensus"]["double_sign_check_height"])

    assert check() == 5
    assert not signed_before(tmp_path)
    state = '{"height":"12","round":1,"step":3,"signature":"c2ln","signbytes":"AA"}'
    (tmp_path / SIGN_STATE).write_text(state)
    assert check() == 0
    assert (tmp_path / SIGN_STATE).read_text() == state
    (tmp_path / SIGN_STATE).write_text("{")
    with pytest.raises(FatalError) as refused:
        check()
    assert refused.value.code == "comet.sign-state"
    assert (tmp_path / SIGN_STATE).read_text() == "{"


def test_a_home_of_another_network_is_refused_once_it_has_data(tmp_path: Path, genesis: bytes) -> None:
    settings = settings_of(tmp_path)
    write_home(tmp_path, genesis=genesis, settings=settings)
    write_home(tmp_path, genesis=genesis_of(MEMBERS, 5), settings=settings)
    (tmp_path / "data" / "state.db").mkdir()
    write_home(tmp_path, genesis=genesis_of(MEMBERS, 5), settings=settings)
    with pytest.raises(FatalError) as refused:
        write_home(tmp_path, genesis=genesis, settings=settings)
    assert refused.value.code == "comet.other-genesis"


def test_blocks_are_forgotten_and_the_signing_state_is_not(tmp_path: Path, genesis: bytes) -> None:
    write_home(tmp_path, genesis=genesis, settings=settings_of(tmp_path))
    (tmp_path / SIGN_STATE).write_text("kept")
    (tmp_path / "data" / "state.db").mkdir()
    (tmp_path / "data" / "state.db" / "CURRENT").write_text("x")
    (tmp_path / "data" / "addrbook.json").write_text("{}")
    forget_blocks(tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [Path(SIGN_STATE).name]
    assert (tmp_path / SIGN_STATE).read_text() == "kept"


def test_only_a_private_socket_may_be_told_to_dial(tmp_path: Path) -> None:
    for address, unsafe in (("unix:///x", True), ("tcp://127.0.0.1:1", False)):
        table = tomllib.loads(encode_settings(settings_of(tmp_path, rpc=address)).decode())
        assert table["rpc"]["unsafe"] is unsafe
    table = tomllib.loads(encode_settings(settings_of(tmp_path, p2p="10.0.0.7:1", peers=("aa@b:1", "cc@d:2"))).decode())
    p2p = table["p2p"]
    assert (p2p["allow_duplicate_ip"], p2p["addr_book_strict"], p2p["pex"]) == (False, True, False)
    assert (p2p["persistent_peers"], p2p["unconditional_peer_ids"]) == ("aa@b:1,cc@d:2", "aa,cc")
