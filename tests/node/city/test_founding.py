"""Rosters, founding on disk, and the real input of the demonstration."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.genesis import decode_genesis
from ledger.codec import encode
from ledger.directory.catalogue import decode_metadata
from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.identifiers import parse_uscc
from ledger.model import KeyRole
from node.city.data import divisions, holidays, own_files
from node.city.found import init_city, load_city, make_member_folder
from node.city.ports import free_ports
from node.city.roster import Founder, choose_validators, demo_roster, demo_uscc, read_roster
from node.comet.keys import node_id
from node.config import load_config
from node.founding import add_comet_keys
from node.identity.keyfiles import make_signer, node_roles, read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import decode_peers


def roster(**changes: Any) -> dict[str, Any]:
    one = {"uscc": demo_uscc("310000", 1), "name": "甲局", "handle": "one", "sequencer": True}
    two = {"uscc": demo_uscc("310000", 2), "name": "乙局", "handle": "two", "roles": ["auditor"]}
    return {"region": "310000", "members": [one, {**two, **changes}]}


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "roster.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def test_a_roster_is_read(tmp_path: Path) -> None:
    founders = read_roster(written(tmp_path, roster()))
    assert [(founder.handle, founder.roles, founder.sequencer) for founder in founders] == [
        ("one", (), True),
        ("two", ("auditor",), False),
    ]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{", "roster.malformed"),
        ("[]", "roster.malformed"),
        (roster(uscc=demo_uscc("310000", 1)), "roster.duplicate"),
        (roster(handle="one"), "roster.duplicate"),
        (roster(handle="UPPER"), "identifier.handle"),
        (roster(uscc="123"), "identifier.uscc"),
        (roster(roles=["king"]), "roster.role"),
        (roster(name=""), "roster.name"),
        (roster(sequencer=True), "roster.sequencer"),
        (roster(colour="red"), "roster.field"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else None,
)
def test_a_bad_roster_is_refused_by_what_is_wrong(tmp_path: Path, value: Any, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_roster(written(tmp_path, value))
    assert caught.value.code == code


def test_demonstration_members_are_well_formed_and_different() -> None:
    usccs = [founder.uscc for founder in demo_roster()]
    assert [parse_uscc(uscc) for uscc in usccs] == usccs
    assert len(set(usccs)) == 5


def test_a_founded_city_is_complete_and_never_overwritten(tmp_path: Path) -> None:
    city = init_city(tmp_path / "city", demo_roster(), chain_id=77)
    genesis = decode_genesis((city.member_folder("data") / "genesis.json").read_bytes())
    assert (genesis.chain_id, len(genesis.members)) == (77, 5)
    assert load_city(tmp_path / "city") == city
    for handle in city.handles:
        folder = city.member_folder(handle)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.glob("keys/*.pem")} == {0o600}
        assert b"ENCRYPTED" in (folder / "keys" / "log.pem").read_bytes()
    ports = [
        port
        for handle in city.handles
        for config in [load_config(city.member_folder(handle))]
        for port in (config.grpc.port, config.https.port, config.local.port)
    ]
    assert len(set(ports)) == 15
    with pytest.raises(ConflictError, match="already"):
        init_city(tmp_path / "city", demo_roster(), chain_id=77)


def test_a_folder_without_a_city_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_city(tmp_path)
    assert caught.value.code == "city.missing"


def test_free_ports_are_different_and_no_client_side_of_a_connection() -> None:
    given = free_ports(20) + free_ports(20)
    assert len(set(given)) == 40
    settings = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(settings.read_text().split()[0]) if settings.exists() else 49_152
    assert all(1_024 < port < lowest for port in given)


def test_the_tables_of_the_libraries_are_whole() -> None:
    provider = demo_uscc("310000", 2)
    for source, least in ((divisions(provider), 3_000), (holidays(provider), 500)):
        rows = json.loads(source.content)
        metadata = decode_metadata(encode(source.metadata))
        assert len(rows) == source.count >= least
        assert all(set(row) == set(metadata.field_names) for row in rows)
    codes = {row["code"]: row["name"] for row in json.loads(divisions(provider).content)}
    assert codes["310104"] == "徐汇区"
    assert codes["130502"] == "襄都区"
    assert "110103" not in codes, "abolished in 2010"


def test_own_files_keep_rows_or_are_shared_whole(tmp_path: Path) -> None:
    provider = demo_uscc("310000", 2)
    (tmp_path / "a.csv").write_text("编号,name\n1,x\n2,y\n", "utf-8")
    (tmp_path / "b.bin").write_bytes(b"\x00\x01\xff")
    (tmp_path / "c.json").write_text('[{"k": 1, "t": "z"}]', "utf-8")
    table, blob, rows = own_files(tmp_path, provider)
    assert json.loads(table.content) == [{"c2": "1", "name": "x"}, {"c2": "2", "name": "y"}]
    assert blob.content == b"\x00\x01\xff"
    assert json.loads(rows.content) == [{"k": "1", "t": "z"}]
    titles = {field.name: field.title for field in decode_metadata(encode(table.metadata)).fields}
    assert titles["c2"] == "编号"
    assert decode_metadata(encode(blob.metadata)).format == "other"


@pytest.mark.parametrize(("make", "code"), [("missing", "data.missing"), ("empty", "data.empty")])
def test_own_files_that_are_not_there(tmp_path: Path, make: str, code: str) -> None:
    folder = tmp_path / make
    if make == "empty":
        folder.mkdir()
    with pytest.raises((NotFoundError, InvalidInputError)) as caught:
        own_files(folder, demo_uscc("310000", 2))
    assert caught.value.code == code


def founders(count: int, **changes: Any) -> tuple[Founder, ...]:
    made = [
        Founder(
            uscc=demo_uscc("310000", number),
            name=f"局{number}",
            handle=f"m{number}",
            region="310000",
            roles=(),
            sequencer=False,
            **changes,
        )
        for number in range(1, count + 1)
    ]
    return tuple(made)


@pytest.mark.parametrize(
    ("given", "voting"),
    [
        (founders(4), 4),
        (founders(7), 7),
        ((*founders(5, validator=True)[:4], *founders(9)[4:]), 4),
        ((*founders(5, validator=True), *founders(6, validator=False)[5:]), 5),
    ],
)
def test_who_votes_on_cometbft(given: tuple[Founder, ...], voting: int) -> None:
    assert [founder.validator for founder in choose_validators(given)] == [at < voting for at in range(len(given))]


@pytest.mark.parametrize("given", [founders(3), founders(8), founders(6, validator=False), founders(3, validator=True)])
def test_a_network_that_no_member_may_leave_is_not_founded(given: tuple[Founder, ...], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        init_city(tmp_path / "city", given, chain_id=77, engine="cometbft")
    assert caught.value.code == "roster.validators"
    assert not (tmp_path / "city").exists()


def test_a_roster_of_a_network_names_validators_and_no_sequencer(tmp_path: Path) -> None:
    value = {"region": "310000", "members": [{**roster()["members"][1], "validator": True}]}
    (founder,) = read_roster(written(tmp_path, value), "cometbft")
    assert (founder.validator, founder.sequencer) == (True, False)
    with pytest.raises(InvalidInputError) as caught:
        read_roster(written(tmp_path, value))
    assert caught.value.code == "roster.sequencer"


def test_a_city_on_cometbft_has_keys_addresses_and_no_sequencer(tmp_path: Path) -> None:
    given = (*founders(4, validator=True), *founders(5)[4:])
    city = init_city(tmp_path / "city", given, chain_id=77, engine="cometbft")
    assert load_city(tmp_path / "city") == city
    assert city.engine == "cometbft"
    genesis = decode_genesis((city.member_folder("m1") / "genesis.json").read_bytes())
    assert (genesis.engine, genesis.sequencer) == ("cometbft", "")
    assert [member.handle for member in genesis.validators] == ["m1", "m2", "m3", "m4"]
    peers = {peer.uscc: peer for peer in decode_peers((city.member_folder("m1") / "peers.json").read_bytes())}
    hosts = set()
    for member in genesis.members:
        config = load_config(city.member_folder(member.handle))
        ring = KeyRing(
            config.keys_folder, member.uscc, read_passphrase(config.folder, "", {}), node_roles(genesis.engine)
        )
        assert {role: ring.material(role) for role, _ in member.keys} == dict(member.keys)
        assert set(ring) == {role for role, _ in member.keys} | {KeyRole.ACCOUNT}
        assert KeyRole.SEQUENCER not in ring
        public = ring[KeyRole.P2P].public
        assert peers[member.uscc].p2p == f"{node_id(public)}@{config.comet.p2p_host}:{config.comet.p2p_port}"
        assert make_signer(KeyRole.CONSENSUS, ring.secret(KeyRole.CONSENSUS)).public == ring.material(KeyRole.CONSENSUS)
        with pytest.raises(FatalError):
            ring.secret(KeyRole.ACCOUNT)
        hosts.add(config.comet.p2p_host)
        assert config.grpc.host == config.https.host == config.comet.p2p_host
        assert config.local.host == "127.0.0.1"
    assert hosts == {f"127.0.0.{number}" for number in range(1, 6)}


def test_a_folder_made_before_gets_the_keys_of_a_network(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    make_member_folder(folder, founders(1)[0], ports=(7_001, 7_002, 7_003))
    passphrase = read_passphrase(folder, "", {})
    made = add_comet_keys(folder, passphrase, random=os.urandom, host="10.0.0.7", port=26_656)
    assert set(made) == {KeyRole.CONSENSUS, KeyRole.P2P}
    assert add_comet_keys(folder, passphrase, random=os.urandom, host="10.0.0.8", port=26_656) == made
    config = load_config(folder)
    assert (config.comet.p2p_host, config.comet.p2p_port) == ("10.0.0.8", 26_656)
    ring = KeyRing(config.keys_folder, config.member.uscc, passphrase, node_roles("cometbft"))
    assert ring.material(KeyRole.CONSENSUS) == made[KeyRole.CONSENSUS]


@pytest.mark.parametrize(
    "p2p", ["127.0.0.1:1", "a@127.0.0.1:1", "A" * 40 + "@h:1", "a" * 40 + "@h:x", "a" * 40 + "@a,b:1"]
)
def test_a_p2p_address_that_is_none_is_refused(tmp_path: Path, p2p: str) -> None:
    city = init_city(tmp_path / "city", demo_roster(), chain_id=77)
    file = json.loads((city.member_folder("data") / "peers.json").read_text())
    assert "p2p" not in file["peers"][0]
    file["peers"][0]["p2p"] = p2p
    with pytest.raises(InvalidInputError) as caught:
        decode_peers(json.dumps(file).encode())
    assert caught.value.code == "peers.invalid"
