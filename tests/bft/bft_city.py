"""A founded city on CometBFT whose nodes run in this process, each with a CometBFT of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec

from ledger.chain.engine import COMETBFT
from node.chain.consensus import BftOrderer
from node.city.ports import free_ports
from node.compose import Node
from node.config import ChainSection, encode_config, load_config
from node.context import system_clock
from node.founding import found_city, found_member
from tests.bft.comet_homes import cometbft
from tests.node.core.city import LOG, City, Founded, make_plan
from tests.node.core.makers import eventually

__all__ = ["City", "found_bft", "orderer_of", "same_head"]

#: Consensus heights between two snapshots.
SNAPSHOT_EVERY = 4
#: A height every second when nothing happens, so that no test waits a minute for a signed time.
CHAIN = ChainSection(heartbeat_interval=1)


def found_bft(folder: Path, validators: int, *, others: int = 0, chain: ChainSection = CHAIN) -> Founded:
    """Found a city on CometBFT, validators first. Skips the test where CometBFT is not installed."""
    cometbft()
    now = system_clock()
    foundings = tuple(
        found_member(
            folder / f"dept-{number}",
            replace(
                make_plan(number, f"dept-{number}"),
                host=f"127.0.0.{number}",
                engine=COMETBFT,
                validator=number <= validators,
                p2p_port=free_ports(1)[0],
            ),
            random=os.urandom,
            now_ms=now,
            chain=chain,
            log=LOG,
        )
        for number in range(1, validators + others + 1)
    )
    for founding in foundings:
        config = load_config(founding.folder)
        comet = msgspec.structs.replace(config.comet, snapshot_every=SNAPSHOT_EVERY, double_sign_check=2)
        (founding.folder / "node.toml").write_bytes(encode_config(msgspec.structs.replace(config, comet=comet)))
    found_city(foundings, chain_id=31_337, region="310000", time_ms=now, sequencer="", engine=COMETBFT)
    return Founded(foundings=foundings)


def orderer_of(node: Node) -> BftOrderer:
    """The orderer of a node that is known to be on CometBFT."""
    assert isinstance(node.orderer, BftOrderer)
    return node.orderer


def same_head(city: City, seconds: float = 300.0) -> int:
    """The height of the head that all nodes share, as soon as they do, their state roots included."""

    def shared() -> int:
        heads = {node.core.chain.head() for node in city.nodes.values()}
        return heads.pop().height if len(heads) == 1 else 0

    return eventually(shared, seconds)
