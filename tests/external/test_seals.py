"""A QBFT network under the external engine: its blocks are followed, their finality taken and verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

import contracts
from ledger.chain import external_seals
from ledger.chain.abi import CONTRACTS
from ledger.chain.external import ExternalChain
from ledger.chain.external_deploy import Deployment, code_hashes, planned_addresses
from ledger.chain.external_link import RpcLink
from ledger.chain.external_seals import pin_of, take_finality
from ledger.chain.rpc.errors import METHOD_NOT_FOUND, RpcError
from ledger.chain.rpc.shapes import HEADER_FIELDS, HEADER_NUMBERS
from ledger.errors import NotFoundError, UntrustedError
from ledger.evidence.qbft import QbftHeader, encode_header, quorum
from ledger.evidence.qbftfinality import QbftPin, decode_qbft, encode_qbft, verify_qbft
from tests.external.endpoint import Endpoint, as_json
from tests.ledger.evidence.qbft_net import CONTRACT, KEYS, Contract, addresses, changed, header, sealed

DIGEST = b"\x42" * 32
ADDRESSES = planned_addresses(KEYS[0].address, 0)
FOUR = (0, 1, 2, 3)


@dataclass(slots=True)
class Qbft:
    """A scripted network: each block sealed by as few of its validators as may be, or by those said."""

    blocks: list[QbftHeader] = field(default_factory=list)
    kept: dict[int, Contract] = field(default_factory=dict)
    reads: int = 0

    def keep(self, sealing: Sequence[int], behind: Sequence[int]) -> None:
        """A block of a network whose contract keeps this set behind it."""
        height = len(self.blocks)
        self.kept[height] = Contract(behind)
        made = changed(header(sealing, height=height, listed=False), 3, self.kept[height].root)
        if height:
            made = changed(made, 0, self.blocks[-1].hash)
        self.blocks.append(sealed(made, sealing[: quorum(len(sealing))] if height else ()))

    def grow(self, members: Sequence[int], blocks: int = 1, seals: Sequence[int] | None = None) -> None:
        for _ in range(blocks):
            height = len(self.blocks)
            made = header(members, height=height)
            if height:
                made = changed(made, 0, self.blocks[-1].hash)
            who = members[: quorum(len(members))] if seals is None else seals
            self.blocks.append(sealed(made, who if height else ()))

    def answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return "0x7"
        if method == "eth_blockNumber":
            return hex(len(self.blocks) - 1)
        if method == "eth_getCode":
            name = next(name for name in CONTRACTS if "0x" + ADDRESSES[name].hex() == params[0])
            return "0x" + contracts.artifact(name).runtime(ADDRESSES["Consortium"]).hex()
        if method == "eth_getBlockByNumber":
            self.reads += 1
            height = len(self.blocks) - 1 if params[0] == "latest" else int(params[0], 16)
            if height >= len(self.blocks):
                return None
            block = self.blocks[height]
            return as_json(encode_header(block), block.hash, HEADER_FIELDS, HEADER_NUMBERS)
        if method == "eth_getProof":
            kept = self.kept[int(params[2], 16)]
            return {
                "accountProof": ["0x" + node.hex() for node in kept.accounts.proof(CONTRACT)],
                "storageProof": [
                    {"key": slot, "value": "0x0", "proof": ["0x" + n.hex() for n in kept.storage.proof(plain(slot))]}
                    for slot in params[1]
                ],
            }
        raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist")


@pytest.fixture
def network() -> Qbft:
    made = Qbft()
    made.grow(FOUR, 3)
    return made


def plain(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def opened(network: Qbft, endpoint: Endpoint) -> ExternalChain:
    deployment = Deployment(
        chain_id=7,
        contracts=ADDRESSES,
        code_hashes=code_hashes(ADDRESSES),
        height=0,
        hash=network.blocks[0].hash,
    )
    return ExternalChain.open(RpcLink(endpoint.url), deployment, poll_s=60)


def pin(network: Qbft, height: int, members: Sequence[int] = FOUR) -> QbftPin:
    return QbftPin(height=height, hash=network.blocks[height].hash, validators=addresses(members))


def test_sealed_blocks_are_final(network: Qbft) -> None:
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        assert chain.head().hash == network.blocks[2].hash
        made = take_finality(chain, 2, pin(network, 1), DIGEST)
        head = verify_qbft(decode_qbft(encode_qbft(made)), pin(network, 1), DIGEST)
        block = chain.block(2)
        assert block is not None
        assert (head.height, head.hash, head.kind) == (2, block.hash, "bft")
        assert head.state_root == chain.head().state_root
        with pytest.raises(NotFoundError) as missing:
            take_finality(chain, 3, pin(network, 1), DIGEST)
        assert missing.value.code == "chain.height"
        # An older block, by the pinned set.
        assert verify_qbft(take_finality(chain, 1, pin(network, 2), DIGEST), pin(network, 2), DIGEST).height == 1
        chain.close()


def test_the_way_over_many_changes_is_short(network: Qbft) -> None:
    network.grow(FOUR, 40)
    network.grow((*FOUR, 4), 50)
    network.grow((*FOUR, 4, 5), 100)
    network.grow((2, 3, 4, 5), 2)
    # Two of six left: four of the six before must have sealed, which is all that are left.
    network.grow((2, 3, 4, 5), 1, seals=(2, 3, 4, 5))
    network.grow((2, 3, 4, 5), 20)
    network.grow((2, 3, 4, 5, 6, 7, 8), 30)
    start = pin(network, 1)
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        top = len(network.blocks) - 1
        for height in (top, 43, 42, 92, 93, 200, 216):
            network.reads = 0
            made = take_finality(chain, height, start, DIGEST)
            head = verify_qbft(made, start, DIGEST)
            assert (head.height, head.hash) == (height, network.blocks[height].hash)
            assert len(made.handover) <= 6
            assert network.reads <= 130
        for height in (193, 194):
            with pytest.raises(UntrustedError) as early:
                take_finality(chain, height, start, DIGEST)
            assert early.value.code == "qbft.handover"
        # From a verified block on there is nothing left to walk.
        later = pin_of(verify_qbft(take_finality(chain, top - 1, start, DIGEST), start, DIGEST))
        assert take_finality(chain, top, later, DIGEST).handover == ()
        chain.close()


def test_a_set_nobody_handed_over_to_is_not_final(network: Qbft) -> None:
    network.grow((4, 5, 6, 7), 10)
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        with pytest.raises(UntrustedError) as refused:
            take_finality(chain, 9, pin(network, 1), DIGEST)
        assert refused.value.code == "qbft.handover"
        chain.close()


def test_a_block_without_a_quorum_is_not_final(network: Qbft) -> None:
    network.grow(FOUR, seals=(0, 3))
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        with pytest.raises(UntrustedError) as refused:
            take_finality(chain, 3, pin(network, 1), DIGEST)
        assert refused.value.code == "qbft.quorum"
        chain.close()


def test_too_many_changes_ask_for_a_newer_pin(network: Qbft, monkeypatch: pytest.MonkeyPatch) -> None:
    for member in (4, 5, 6, 7, 8):
        network.grow(tuple(range(member + 1)), 3)
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        top = len(network.blocks) - 1
        assert verify_qbft(take_finality(chain, top, pin(network, 1), DIGEST), pin(network, 1), DIGEST).height == top
        monkeypatch.setattr(external_seals, "MAX_HANDOVER", 0)
        with pytest.raises(UntrustedError) as refused:
            take_finality(chain, top, pin(network, 1), DIGEST)
        assert refused.value.code == "qbft.handover"
        assert "too often" in refused.value.message
        monkeypatch.undo()
        monkeypatch.setattr(external_seals, "MAX_HEADERS", 1)
        with pytest.raises(UntrustedError) as far:
            take_finality(chain, top, pin(network, 1), DIGEST)
        assert "too often" in far.value.message
        chain.close()


def test_validators_kept_in_a_contract() -> None:
    network, sets = Qbft(), [FOUR] * 9 + [(2, 3, 4, 5, 6)] * 30 + [(4, 5, 6, 7)] * 5 + [FOUR] * 3
    for before, behind in pairwise([FOUR, *sets]):
        network.keep(before, behind)
    start = QbftPin(height=1, hash=network.blocks[1].hash, validators=addresses(FOUR), contract=CONTRACT)
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        for height in (5, 9, 10, 30, 40, 42, len(network.blocks) - 1):
            made = take_finality(chain, height, start, DIGEST)
            head = verify_qbft(decode_qbft(encode_qbft(made)), start, DIGEST)
            assert (head.hash, head.validators) == (network.blocks[height].hash, addresses([FOUR, *sets][height]))
            assert len(made.handover) <= 3
            assert take_finality(chain, height, pin_of(head, CONTRACT), DIGEST).handover == ()
        # Another state than the one its block sealed is not believed.
        network.kept[9] = network.kept[40]
        with pytest.raises(UntrustedError) as lied:
            take_finality(chain, 10, start, DIGEST)
        assert lied.value.code == "state.account"
        chain.close()


def test_a_set_no_contract_held_is_not_final() -> None:
    network = Qbft()
    for _ in range(6):
        network.keep(FOUR, FOUR)
    network.keep((4, 5, 6, 7), FOUR)
    with Endpoint(network.answer) as endpoint:
        chain = opened(network, endpoint)
        start = replace(pin(network, 1), contract=CONTRACT)
        with pytest.raises(UntrustedError) as refused:
            take_finality(chain, 6, start, DIGEST)
        assert refused.value.code == "qbft.handover"
        chain.close()
