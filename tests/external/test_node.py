"""Nodes of a city on a QBFT network (anvil's state under sealed headers), in this process: what is final is proven."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.chain.client import ChainClient
from ledger.chain.external_founding import settle, survey
from ledger.chain.external_link import RpcLink
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.bundle import assemble
from ledger.keys import AccountSigner
from ledger.model import KeyRole
from ledger.v1 import peer_pb2
from ledger.verify import verify_bundle
from node.chain.externalservice import NetworkBlockServicer
from node.city.found import settled_by
from node.compose import Node
from node.config import load_config
from node.context import system_clock
from node.doctor import diagnose
from node.founding import found_city, found_member
from node.identity.keyfiles import key_file, load_key, read_passphrase
from node.web.statusview import StatusReader
from tests.external import sealed_anvil
from tests.external.endpoint import Endpoint
from tests.external.sealed_anvil import SealedAnvil
from tests.native_chain import anvil
from tests.node.core.city import CHAIN, LOG, City, Founded, make_plan, record
from tests.node.core.makers import eventually

CHAIN_ID = 680_317
FOUR = (0, 1, 2, 3)


@dataclass(slots=True, kw_only=True)
class Town:
    """A running network and a city founded on it, its nodes not started."""

    network: SealedAnvil
    endpoint: Endpoint
    behind: anvil.Anvil
    founded: Founded


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("sealed")
    with sealed_anvil.running(FOUR, CHAIN_ID) as (network, endpoint, behind):
        now = system_clock()
        foundings = tuple(
            found_member(
                folder / f"dept-{number}",
                replace(make_plan(number, f"dept-{number}"), engine="external", rpc=endpoint.url),
                random=os.urandom,
                now_ms=now,
                chain=CHAIN,
                log=LOG,
            )
            for number in (1, 2)
        )
        members = [founding.member for founding in foundings]
        ground = settled_by(foundings[0].folder, endpoint.url, members, {})
        found_city(
            foundings,
            chain_id=ground.chain_id,
            region="310000",
            time_ms=now,
            sequencer="",
            engine="external",
            ground=ground,
        )
        yield Town(network=network, endpoint=endpoint, behind=behind, founded=Founded(foundings=foundings))


def bundle_of(node: Node) -> tuple[bytes, bytes]:
    """A fresh record's bundle, and the policy."""
    index = node.core.log.append_record(record(node, node.core.log.size))
    kept = node.anchors.parts(index, 180)
    hashes = node.core.log.prove_inclusion(index, kept.size)
    return assemble(node.core.log.read(index, 1)[0], index, hashes, kept.parts), node.anchors.policy()


def test_sealed_blocks_make_bundles_final(town: Town) -> None:
    with City(town.founded) as city:
        city.start()
        node = city[0]
        genesis_network = node.core.genesis.network
        assert genesis_network is not None
        assert len(genesis_network.validators) == len(FOUR)
        bundle, policy = bundle_of(node)
        verdict = verify_bundle(bundle, policy, system_clock())
        assert (verdict.verdict, verdict.reached, verdict.finality) == ("verified", "final", "bft")
        assert eventually(lambda: node.core.board.final_height() == node.core.chain.head().height)

        def content() -> bool:
            found = {finding.code: finding.severity for finding in diagnose(node)}
            return found["chain.fresh"] == found.get("chain.final") == "ok"

        eventually(content)
        view = StatusReader(node).read()
        assert (view.engine, view.role, view.proves, view.validators) == ("external", "member", True, ())
        assert KeyRole.SEQUENCER not in node.core.keys
        client = ChainClient(f"http://127.0.0.1:{node.core.config.local.port}/")
        shown = client.block(1)
        assert shown is not None
        assert shown.hash == node.core.chain.block(1).hash, "headers sealed by QBFT are read through the node"

        # A block without a quorum of seals is adopted, and not final.
        town.network.sealing = 2
        try:
            town.behind.call("evm_mine")
            eventually(lambda: "qbft.quorum" in {loop.problem.code for loop in node.loops() if loop.problem})
            unsealed = node.core.chain.head().height
            assert node.core.board.final_height() < unsealed
            assert "chain.not-final" in {finding.code for finding in diagnose(node)}
        finally:
            town.network.sealing = 3
        town.behind.call("evm_mine")
        assert eventually(lambda: node.core.board.final_height() > unsealed)


def test_a_block_that_changes_ends_the_node_and_keeps_it_from_starting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However new the block is: none is written down in time but the first.
    monkeypatch.setattr("node.chain.external._KEEP_S", 3_600.0)
    town.behind.call("evm_mine")  # another block than the founding one, which tells this network from any other
    node = Node.open(town.founded.folders[0], environ={})
    try:
        node.start()
        kept = eventually(lambda: node.core.stores.chain.adopted)
        town.behind.call("evm_mine")
        head = eventually(lambda: (head := node.core.chain.head()).height > kept[0] and head)
        town.network.forked = head.height
        assert node.failed.wait(300)
        assert node.failure is not None
        assert node.failure.code == "chain.reorged"
        node.drain()
        with pytest.raises(LedgerError) as again:
            Node.open(town.founded.folders[0], environ={})
        assert again.value.code == "chain.reorged"
    finally:
        town.network.forked = None
        node.drain()


def test_a_city_founded_for_others_is_refused(town: Town, tmp_path: Path) -> None:
    folder = town.founded.folders[1]
    genesis = folder / "genesis.json"
    kept = genesis.read_bytes()
    other = found_member(
        tmp_path / "other",
        replace(make_plan(9, "dept-9"), engine="external", rpc=town.endpoint.url),
        random=os.urandom,
        now_ms=system_clock(),
    )
    link = RpcLink(town.endpoint.url)
    try:
        account = load_key(key_file(folder / "keys", KeyRole.ACCOUNT), KeyRole.ACCOUNT, read_passphrase(folder, "", {}))
        assert isinstance(account, AccountSigner)
        ground = settle(link, account, [other.member])
    finally:
        link.close()
    members = (town.founded.foundings[1], other)
    peers = (folder / "peers.json").read_bytes()
    try:
        # The genesis file names a founder for whom the contracts were not made.
        found_city(
            members,
            chain_id=ground.chain_id,
            region="310000",
            time_ms=system_clock(),
            sequencer="",
            engine="external",
            ground=ground,
        )
        with pytest.raises(UntrustedError) as refused:
            Node.open(other.folder, environ={})
        assert refused.value.code == "genesis.founders"
    finally:
        genesis.write_bytes(kept)
        (folder / "peers.json").write_bytes(peers)


def test_a_node_without_an_address_of_the_network_says_so(town: Town) -> None:
    folder = town.founded.folders[1]
    settings = folder / "node.toml"
    kept = settings.read_text()
    assert load_config(folder).external.rpc == town.endpoint.url
    try:
        settings.write_text(kept.replace(f'rpc = "{town.endpoint.url}"', ""))
        with pytest.raises(InvalidInputError) as missing:
            Node.open(folder, environ={})
        assert missing.value.code == "config.external"
    finally:
        settings.write_text(kept)


def test_what_no_member_does_here_is_refused_by_name(town: Town) -> None:
    service = NetworkBlockServicer()
    calls = (
        lambda: service.SubmitTransactions(peer_pb2.SubmitTransactionsRequest(), None),
        lambda: service.Follow(peer_pb2.FollowRequest(), None),
        lambda: service.Cosign(peer_pb2.CosignRequest(), None),
        lambda: service.GetFinality(peer_pb2.GetFinalityRequest(), None),
    )
    for call in calls:
        with pytest.raises(LedgerError) as refused:
            call()
        assert refused.value.code == "chain.engine"
    link = RpcLink(town.endpoint.url)
    try:
        assert survey(link) == CHAIN_ID
    finally:
        link.close()
