"""A city on somebody's network, founded by members on machines of their own; and what the commands refuse there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.genesis import decode_genesis
from node.chain.external import NetworkBoard
from node.city.ports import free_ports
from node.compose import Node
from node.config import load_config
from node.identity.peers import decode_peers
from tests.commands import command, document
from tests.native_chain import anvil
from tests.node.core.city import record
from tests.node.core.makers import make_uscc

CHAIN_ID = 680_319
HANDLES = ("data", "civil")
NOW_MS = 1_795_318_800_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with anvil.running("--chain-id", str(CHAIN_ID), "--gas-limit", "1000000000") as network:
        network.call("evm_setAutomine", True)
        yield network.url


def cards(folder: Path, *more: str) -> list[str]:
    """Each member's folder with keys, and the card it gives away."""
    made = []
    for number, handle in enumerate(HANDLES, start=1):
        home = folder / handle
        text, refusal = command(
            *("node", "init", str(home), "--uscc", make_uscc(number), "--handle", handle, "--region", "310000"),
            *("--name", f"Office {handle}", "--engine", "external", *more),
        )
        assert refusal is None, refusal
        card, settings = document(text), (home / "node.toml").read_text("utf-8")
        for old, new in zip((7001, 7002, 7003), free_ports(3), strict=True):
            settings = settings.replace(f"port = {old}\n", f"port = {new}\n")
            for name in ("grpc", "https"):
                card[name] = card[name].replace(f":{old}", f":{new}")
        (home / "node.toml").write_text(settings, "utf-8")
        path = folder / f"{handle}.json"
        path.write_text(json.dumps(card), "utf-8")
        made.append(str(path))
    return made


def test_two_members_found_a_city_on_a_network_of_another(tmp_path: Path, url: str) -> None:
    given = cards(tmp_path, "--rpc", url)
    assert "sequencer" not in json.loads(Path(given[0]).read_text("utf-8"))["keys"]
    founding = tmp_path / "founding"
    words = ("city", "found", *given, "--out", str(founding), "--region", "310000", "--engine", "external")
    told = document(command(*words, "--rpc", url, "--deployer", str(tmp_path / "data"), "--json")[0])
    assert told["engine"] == "external"
    genesis = decode_genesis((founding / "genesis.json").read_bytes())
    assert (genesis.chain_id, genesis.digest.hex()) == (CHAIN_ID, told["chain"])
    files = ("--genesis", str(founding / "genesis.json"), "--peers", str(founding / "peers.json"))
    for handle in HANDLES:
        _, refusal = command("node", "join", *files, "--node", str(tmp_path / handle))
        assert refusal is None, refusal
    assert len(decode_peers((tmp_path / "data" / "peers.json").read_bytes())) == len(HANDLES)
    nodes = [Node.open(tmp_path / handle, environ={}) for handle in HANDLES]
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            assert node.wait_open(90), [finding.code for finding in node.context.diagnose()]
        index = nodes[1].core.log.append_record(record(nodes[1], 0))
        assert nodes[1].anchors.parts(index, 180).size > index
    finally:
        for node in nodes:
            node.drain()


def test_a_body_joins_with_its_own_way_to_the_network(tmp_path: Path, url: str) -> None:
    settings = ("--uscc", make_uscc(7), "--handle", "late", "--region", "310000")
    command("node", "init", str(tmp_path / "late"), *settings)
    roster = tmp_path / "roster.json"
    members = [{"uscc": make_uscc(1), "name": "One", "handle": "one", "roles": ["supervisor"]}]
    roster.write_text(json.dumps({"region": "310000", "members": members}), "utf-8")
    city = tmp_path / "city"
    command("city", "init", str(city), "--roster", str(roster), "--engine", "external", "--rpc", url)
    files = ("--genesis", str(city / "one" / "genesis.json"), "--peers", str(city / "one" / "peers.json"))
    _, refusal = command("node", "join", *files, "--node", str(tmp_path / "late"))
    assert refusal is not None
    assert refusal.code == "join.rpc"
    _, refusal = command("node", "join", *files, "--rpc", url, "--node", str(tmp_path / "late"))
    assert refusal is None
    assert load_config(tmp_path / "late").external.rpc == url


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("city", "init", "{folder}/c", "--engine", "external"), "city.rpc"),
        (("city", "init", "{folder}/c", "--rpc", "{url}"), "city.rpc"),
        (("city", "init", "{folder}/c", "--engine", "external", "--rpc", "http://192.0.2.1:1"), "chain.address"),
        (
            ("city", "init", "{folder}/c", "--engine", "external", "--rpc", "http://127.0.0.1:{free}"),
            "chain.unreachable",
        ),
        (
            ("node", "init", "{folder}/n", *("--uscc", "x", "--handle", "x", "--region", "1"), "--rpc", "{url}"),
            "city.rpc",
        ),
        (
            (*("city", "found", "{folder}/none.json", "--out", "{folder}/f", "--region", "310000"), "--rpc", "{url}"),
            "city.rpc",
        ),
    ],
)
def test_a_network_is_named_where_it_belongs(tmp_path: Path, url: str, words: tuple[str, ...], code: str) -> None:
    free = free_ports(1)[0]
    _, refusal = command(*(word.format(folder=tmp_path, url=url, free=free) for word in words))
    assert refusal is not None
    assert refusal.code == code
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_view_is_as_old_as_the_newest_block() -> None:
    now = [NOW_MS]
    board = NetworkBoard(
        clock=lambda: now[0], block_hash=lambda _height: None, founded=None, oldest_time_ms=NOW_MS - 5_000
    )
    assert (board.age_ms(), board.final_height(), board.proves, board.role) == (5_000, 0, False, "member")
    board.reached(NOW_MS - 1_000)
    assert board.age_ms() == 1_000
    board.reached(NOW_MS + 3_600_000)
    now[0] += 200_000
    assert board.age_ms() >= 160_000, "a network whose clock runs ahead does not hide that it stands still"
    assert board.wait_final(1, 0.01) is None
