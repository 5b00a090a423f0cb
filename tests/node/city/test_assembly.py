"""A city founded by members on machines of their own: each makes its keys, one puts the cards together, all join."""

from __future__ import annotations

import json
from pathlib import Path

from ledger.chain.genesis import decode_genesis
from node.city.ports import free_ports
from node.compose import Node
from node.identity.peers import decode_peers
from tests.commands import command, document
from tests.node.core.city import record
from tests.node.core.makers import make_uscc

HANDLES = ("data", "civil", "labour", "audit")


def cards(folder: Path, count: int, engine: str) -> list[str]:
    """Each member's own work: a folder with keys, and the card it gives away."""
    made = []
    for at, handle in enumerate(HANDLES[:count]):
        home = folder / handle
        text, refusal = command(
            "node", "init", str(home), "--uscc", make_uscc(at + 1), "--handle", handle, "--region", "310000",
            "--name", f"Office {handle}", "--host", f"127.0.0.{at + 1}", "--engine", engine, "--p2p-port", "26700",
        )  # fmt: skip
        assert refusal is None, refusal
        # The ports of the example may be taken on this machine: the settings are the operator's to change.
        card, settings = document(text), (home / "node.toml").read_text("utf-8")
        for old, new in zip((7001, 7002, 7003), free_ports(3), strict=True):
            settings = settings.replace(f"port = {old}\n", f"port = {new}\n")
            for name in ("grpc", "https"):
                card[name] = card[name].replace(f":{old}", f":{new}")
        (home / "node.toml").write_text(settings, "utf-8")
        path = folder / f"{handle}.json"
        path.write_text(json.dumps(card), "utf-8")
        assert "PRIVATE" not in json.dumps(card)
        made.append(str(path))
    return made


def test_four_validators_found_a_network_without_showing_a_key(tmp_path: Path) -> None:
    given, out = cards(tmp_path, 4, "cometbft"), tmp_path / "founding"
    common = ("--chain-id", "4401", "--region", "310000")
    _, refusal = command("city", "found", *given[:3], "--out", str(out), *common)
    assert refusal is not None
    assert refusal.code == "found.validators"
    for words, code in (
        (("--role", "nobody=auditor"), "found.handle"),
        (("--role", "audit"), "city.role"),
        (("--engine", "solo"), "city.engine"),
        (("--sequencer", "data"), "city.engine"),
        ((given[0],), "found.handle"),
    ):
        _, refusal = command("city", "found", *given, *words, "--out", str(out), *common)
        assert refusal is not None, words
        assert refusal.code == code
    assert not out.exists()
    roles = ("--role", "data=supervisor", "--role", "audit=auditor")
    text, refusal = command("city", "found", *given, "--out", str(out), *common, *roles, "--json")
    assert refusal is None, refusal
    told = document(text)
    city = decode_genesis((out / "genesis.json").read_bytes())
    assert (told["chain"], city.engine, city.sequencer) == (city.digest.hex(), "cometbft", "")
    assert [one.handle for one in city.validators] == list(HANDLES)
    assert city.members[0].name == "Office data"
    assert [one.roles.words for one in city.members] == [("supervisor",), (), (), ("auditor",)]
    assert all(peer.p2p.endswith(":26700") for peer in decode_peers((out / "peers.json").read_bytes()))
    _, refusal = command("city", "found", *given, "--out", str(out), *common)
    assert refusal is not None
    assert refusal.code == "city.exists"
    for at, handle in enumerate(HANDLES):
        files = ("--genesis", str(out / "genesis.json"), "--peers", str(out / "peers.json"))
        text, refusal = command("node", "join", *files, "--node", str(tmp_path / handle))
        assert refusal is None, refusal
        card = document(text)
        assert card["p2p"].endswith(f"@127.0.0.{at + 1}:26700")
        founded = json.loads(Path(given[at]).read_text("utf-8"))
        assert {name: card[name] for name in ("account", "keys", "p2p")} == {
            name: founded[name] for name in ("account", "keys", "p2p")
        }
    # A folder of one city takes no files of another.
    other = tmp_path / "other"
    _, refusal = command("city", "found", *given, "--out", str(other), "--chain-id", "4402", "--region", "310000")
    assert refusal is None, refusal
    files = ("--genesis", str(other / "genesis.json"), "--peers", str(other / "peers.json"))
    _, refusal = command("node", "join", *files, "--node", str(tmp_path / "data"))
    assert refusal is not None
    assert refusal.code == "join.other-city"


def test_a_city_made_of_cards_works(tmp_path: Path) -> None:
    given, out = cards(tmp_path, 2, "solo"), tmp_path / "founding"
    words = ("--chain-id", "4403", "--region", "310000", "--engine", "solo", "--sequencer", "civil")
    _, refusal = command("city", "found", *given, "--out", str(out), *words)
    assert refusal is None, refusal
    nodes = []
    try:
        for handle in HANDLES[:2]:
            files = ("--genesis", str(out / "genesis.json"), "--peers", str(out / "peers.json"))
            _, refusal = command("node", "join", *files, "--node", str(tmp_path / handle))
            assert refusal is None, refusal
            node = Node.open(tmp_path / handle, environ={})
            nodes.append(node)
            node.start()
        for node in nodes:
            assert node.wait_open(180)
        index = nodes[0].core.log.append_record(record(nodes[0], 1))
        assert nodes[0].anchors.parts(index, 180).size > index
    finally:
        for node in nodes:
            node.drain()
