"""The CometBFT engine under the suite: four validators, four CometBFT processes. Three nodes are processes too; the one
whose chain the suite speaks to is opened here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.chain.devnet import DevMember
from ledger.chain.genesis import contract_addresses, decode_genesis
from ledger.evidence.bft import BftFinality, verify_bft
from ledger.evidence.policy import light_pin
from ledger.model import KeyRole
from node.compose import Node
from node.config import ChainSection, LogSection
from node.identity.keyfiles import key_file, load_secret, read_passphrase
from scripts.network import Network
from scripts.network_node import OPEN_S, NetworkNode, wait_for
from tests.conformance.engines import Running

#: The health department, which the suite suspends, does not validate: three validators would be too few.
_ORDER = (0, 1, 2, 4, 3)
#: The suite counts the accounts' nonces: once a node has anchored that it opened its log, it sends nothing.
_QUIET = LogSection(checkpoint_interval_ms=86_400_000, anchor_interval_ms=86_400_000)


@contextmanager
def cometbft(folder: Path) -> Iterator[Running]:
    """Four validators and a fifth member."""
    network = Network.found(folder / "city", members=5, chain=ChainSection(heartbeat_interval=1), log=_QUIET)
    own, *others = network.nodes
    network.nodes = tuple(others)
    opened: list[Node] = []

    def open_() -> Node:
        node = Node.open(own.folder, environ={})
        opened.append(node)
        node.start()
        assert node.wait_open(OPEN_S), [(found.code, found.message) for found in node.context.diagnose()]
        return node

    def restart() -> None:
        opened.pop().drain()
        running.chain = open_().core.chain

    def proof(address: bytes, slots: Sequence[bytes], height: int | None) -> Mapping[str, Any]:
        return opened[0].core.chain.native.proof(address, list(slots), height=height)

    def prove(height: int) -> str:
        core = opened[0].core
        finality = core.board.wait_final(height, OPEN_S)
        assert isinstance(finality, BftFinality)
        assert finality.head.height >= height
        pin = light_pin(finality)
        return verify_bft(finality, core.genesis.digest, (pin.height, pin.hash, pin.validators_hash)).kind

    with network:
        for node in network.nodes:
            node.start()
        try:
            running = Running(
                name="cometbft",
                chain=open_().core.chain,
                addresses=contract_addresses(),
                members=[_member(network.members[place]) for place in _ORDER],
                rules=True,
                finality="bft",
                proof=proof,
                prove=prove,
                restart=restart,
            )
            for node in network.nodes:
                node.wait_serving()
            validators = [node.account().signer.address for node in network.validators]
            wait_for(lambda: all(running.chain.nonce(one) > 0 for one in validators), "all opened logs are anchored")
            yield running
        finally:
            while opened:
                opened.pop().drain()


def _member(node: NetworkNode) -> DevMember:
    """The member of a folder, with its account."""
    config = node.config
    passphrase = read_passphrase(config.folder, config.passphrase_file, {})
    secret = load_secret(key_file(config.keys_folder, KeyRole.ACCOUNT), KeyRole.ACCOUNT, passphrase)
    founder = decode_genesis(config.genesis_file.read_bytes()).member(config.member.uscc)
    assert founder is not None
    return DevMember(founder=founder, account=node.account().signer, secret=secret, seeds={})
