"""A validator that proposes an outsider's transaction is out-voted: blocks go on, and the transaction is in no state.

Three nodes of ours and, as the fourth validator, a CometBFT whose application accepts and proposes whatever it likes.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.abi import interface
from ledger.chain.account import sign_transaction
from ledger.chain.embedded import keccak256
from ledger.chain.genesis import contract_addresses
from ledger.errors import LedgerError, NotFoundError
from ledger.keys import AccountSigner
from node.comet.binary import find_cometbft
from node.comet.starting import prepare_comet
from node.config import ChainSection
from node.context import system_clock
from node.identity.keyfiles import node_roles, read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook
from scripts.jsonlink import Link, LinkError
from scripts.network import CHAIN_ID, Network
from scripts.network_load import Journal, Writers, check_acknowledged
from scripts.network_node import NetworkNode, wait_for
from tests.bft.hostile import Liar, lying

SECONDS = 300.0
OUTSIDER = AccountSigner(b"\x11" * 32)
#: Proposals of the outsider's transaction to wait for: the liar has had its turn, and again.
TURNS = 3


def outsiders_transaction() -> bytes:
    """Well formed and well signed for this chain, only that its sender is no member."""
    words = (b"\1" * 32, 2, 1, b"\2" * 32, b"\3" * 32, "outside")
    data = interface("Directory").functions["publishDataset"].encode(*words)
    return sign_transaction(OUTSIDER, chain_id=CHAIN_ID, nonce=0, to=contract_addresses()["Directory"], data=data)


@contextmanager
def liar_of(node: NetworkNode, raw: bytes) -> Iterator[Liar]:
    """The member's CometBFT with its own keys, beside an application that proposes ``raw`` whenever it is asked."""
    config = node.config
    passphrase = read_passphrase(config.folder, config.passphrase_file, {})
    keys = KeyRing(config.keys_folder, config.member.uscc, passphrase, roles=node_roles("cometbft"))
    peers = PeerBook(config.peers_file, keys.identity)
    comet = prepare_comet(config, keys, config.genesis_file.read_bytes(), peers, clock=system_clock)
    included = config.folder / "outsider.hex"
    included.write_text(raw.hex(), "ascii")
    switches = ("--include", str(included), "--accept-all")
    try:
        with lying(config.genesis_file, Path(comet.app_socket), switches) as liar:
            wait_for(lambda: bool(liar.said("listening")), "the hostile application listens", SECONDS)
            comet.process.start()
            try:
                yield liar
            finally:
                comet.process.stop()
    finally:
        peers.close()


def test_a_hostile_proposer_is_outvoted(tmp_path: Path) -> None:
    if shutil.which("cargo") is None:
        pytest.skip("the hostile application is built by cargo, which is not on the PATH")
    try:
        find_cometbft()
    except NotFoundError as error:
        pytest.skip(f"{error.message}; {error.hint}")
    raw = outsiders_transaction()
    with Network.found(tmp_path / "city", chain=ChainSection(heartbeat_interval=1)) as network:
        *honest, fourth = network.nodes
        network.nodes = tuple(honest)
        journal = Journal(tmp_path / "acknowledged.jsonl")
        with liar_of(fourth, raw) as liar:
            network.start()
            writers = Writers(network, journal, network.accounts(), pause_s=0.05)
            with writers.running():
                wait_for(lambda: len(liar.said("proposed")) >= TURNS, "the liar had its turns", SECONDS)
                writers.wait_more(5, SECONDS)
            check_acknowledged(network, journal)
            for node in honest:
                given_to_cometbft(node, raw)
                assert_nothing_of(node, raw)
            network.stop()
        journal.close()


def given_to_cometbft(node: NetworkNode, raw: bytes) -> None:
    """Past the node, into its CometBFT: nobody's transaction is taken there, and none is passed on."""
    link = Link(node.comet_rpc())

    def answer() -> dict[str, Any] | None:
        # While it checks its mempool again after a height, CometBFT itself takes nothing.
        with suppress(LinkError):
            told: dict[str, Any] = link.call("broadcast_tx_sync", {"tx": base64.b64encode(raw).decode("ascii")})
            return told
        return None

    try:
        refused = wait_for(answer, "CometBFT answers", SECONDS)
        assert (refused["code"], refused["codespace"]) == (1, "tx.not-here")
        assert int(link.call("num_unconfirmed_txs", {})["total"]) <= 1, "the bell, if anything"
    finally:
        link.close()


def assert_nothing_of(node: NetworkNode, raw: bytes) -> None:
    """The outsider's transaction is in no block and no state of this node, and it takes none from him."""
    transaction = "0x" + keccak256(raw).hex()
    assert node.call("eth_getTransactionByHash", transaction) is None
    assert int(node.call("eth_getTransactionCount", "0x" + OUTSIDER.address.hex(), "latest"), 16) == 0
    for height in range(1, (node.height() or 0) + 1):
        assert transaction not in node.call("eth_getBlockByNumber", hex(height), False)["transactions"]
    with pytest.raises(LedgerError) as refused:
        node.client().submit(raw)
    assert refused.value.code == "tx.not-member"
