"""Two of four validators are gone with everything they had: the members that are left bring the city back by the
command. No acknowledged write is lost, old proofs hold, new ones become final, and the logs go on as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.genesis import decode_genesis
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.bundle import assemble
from ledger.verify import verify_bundle
from node.compose import Node
from node.core import NodeCore
from tests.bft.bft_city import City, found_bft, orderer_of, same_head
from tests.bft.test_governance import answer, command
from tests.bft.test_node_city import anchored_bundle
from tests.node.core.makers import eventually

#: Places of the members: four vote, two more have nodes, one has its keys only.
LOST, SURVIVORS, OTHERS, BARE = (0, 1), (2, 3), (4, 5), 6


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with City(found_bft(tmp_path, 4, others=3)) as running:
        running.start(*LOST, *SURVIVORS, *OTHERS, wait=180)
        yield running


def old_bundle(node: Node, index: int) -> bytes:
    """A record of before, under the newest anchor."""
    kept = node.anchors.parts(index, 180)
    return assemble(node.core.log.read(index, 1)[0], index, node.core.log.prove_inclusion(index, kept.size), kept.parts)


def halted(node: Node) -> bool:
    """Whether it sees that there is no quorum."""
    view = orderer_of(node).consensus()
    return view is not None and not view.quorum


def acknowledged(city: City) -> dict[bytes, int]:
    """Every transaction that is in a block, and its height."""
    chain = city[SURVIVORS[0]].core.chain
    blocks = [chain.block(height) for height in range(1, chain.head().height + 1)]
    return {tx: block.height for block in blocks if block is not None for tx in block.transaction_hashes}


def test_two_of_four_validators_are_lost_for_good(city: City, tmp_path: Path) -> None:
    folders = city.founded.folders
    survivor = city[SURVIVORS[0]]
    bundle = anchored_bundle(survivor, 1)
    index = survivor.core.log.size - 1
    policy = eventually(survivor.anchors.policy)
    assert verify_bundle(bundle, policy).reached == "final"
    same_head(city)

    # Two disks are gone. The others have the same head, and no quorum.
    city.stop(*LOST)
    for place in LOST:
        shutil.rmtree(folders[place])
    # What was decided before has arrived everywhere by the time everybody misses the quorum.
    eventually(lambda: all(halted(node) for node in city.nodes.values()), 300)
    height = same_head(city)
    written, head = acknowledged(city), survivor.core.chain.head()
    assert written
    handles = [founding.member.handle for founding in city.founded.foundings]
    file = tmp_path / "recovery.json"
    words = [option for place in LOST for option in ("--lost", handles[place])]
    words += [option for place in OTHERS for option in ("--validator", handles[place])]
    proposal = ["city", "recover", "propose", *words, "--out", str(file)]
    refusal = command(folders[2], *proposal)[1]
    assert refusal is not None
    assert refusal.code == "store.locked", "the node still runs"

    city.stop()
    told = answer(folders[2], *proposal)
    assert (told["height"], told["hash"]) == (height, head.hash.hex())
    assert (told["needed"], told["members"]) == (5, 7)
    (state,) = (folders[2] / "recovery").glob("*/state")
    for place in (*SURVIVORS[1:], *OTHERS):
        told = answer(folders[place], "city", "recover", "sign", str(file))
    assert not told["complete"]
    with pytest.raises(LedgerError) as fenced:
        NodeCore.open(folders[3], survivor.core.clock, {})
    assert fenced.value.code == "recovery.signed"
    assert answer(folders[BARE], "city", "recover", "sign", str(file), "--state", str(state))["complete"]

    left = (*SURVIVORS, *OTHERS, BARE)
    for place in left:
        more = ["--state", str(state)] if place == BARE else []
        started = answer(folders[place], "city", "recover", "start", str(file), *more)
        assert started["first_block"] == height + 1
    city.start(*left, wait=180)

    # The same blocks, one more that changed the validators, and writes that go on.
    survivor = city[SURVIVORS[0]]
    digest = decode_genesis((folders[2] / "genesis.json").read_bytes()).digest
    assert survivor.core.chain.genesis_digest == digest
    for node in (city[place] for place in (*SURVIVORS, *OTHERS)):
        for transaction, at in written.items():
            found = node.core.chain.transaction(transaction)
            assert found is not None
            assert found[0].height == at
            receipt = node.core.chain.receipt(transaction)
            assert receipt is not None
            assert receipt.succeeded
    fresh = anchored_bundle(city[SURVIVORS[1]], 2)
    anchored_bundle(city[BARE], 3)
    assert same_head(city) > height + 1
    view = eventually(lambda: (view := orderer_of(survivor).consensus()) is not None and view.quorum and view, 300)
    assert {one.member for one in view.validators} == {city.founded.members[place] for place in (*SURVIVORS, *OTHERS)}

    # Proofs: of before under the policy of before, of after under one of after; old records get new proofs, too.
    later = eventually(survivor.anchors.policy)
    assert json.loads(later)["chain"] == digest.hex() != json.loads(policy)["chain"]
    assert verify_bundle(bundle, policy).reached == "final"
    verdict = verify_bundle(fresh, later)
    assert (verdict.verdict, verdict.reached, verdict.finality) == ("verified", "final", "bft")
    assert verify_bundle(old_bundle(survivor, index), later).reached == "final"
    for other, trusted in ((bundle, later), (fresh, policy)):
        with pytest.raises(UntrustedError) as refused:
            verify_bundle(other, trusted)
        assert refused.value.code == "finality.chain"
