"""The policy a node of a CometBFT network hands out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain.bindings.base import NO_ADDRESS
from ledger.errors import UnavailableError
from ledger.evidence.bft import BftFinality
from ledger.evidence.policy import LightPin, decode_policy
from ledger.verify import verify_bundle
from node.chain.board import CometBoard
from node.trail.trusting import TRUSTING_PERIOD_S, make_policy
from tests.ledger.evidence.city import ANCHORS, ANCHORS_CODE, CHAIN, CONSORTIUM, CONSORTIUM_CODE
from tests.ledger.evidence.comet import FOUR
from tests.ledger.evidence.comet_city import CometCity

WEEK_MS = 7 * 86_400_000
LICENCES, LICENCES_CODE = b"\xe1" * 20, b"\xe2" * 32


def board_with(finality: BftFinality | None) -> CometBoard:
    return CometBoard(
        clock=lambda: 0,
        block_hash=lambda height: None,
        is_validator=lambda: True,
        store=lambda finality: None,
        stored=finality,
        oldest_time_ms=0,
    )


def policy_of(board: CometBoard, licences: bytes = NO_ADDRESS) -> bytes:
    codes = {CONSORTIUM: CONSORTIUM_CODE, ANCHORS: ANCHORS_CODE, LICENCES: LICENCES_CODE}
    native = SimpleNamespace(account=lambda address: {"code_hash": codes[address]})
    chain: Any = SimpleNamespace(genesis_digest=CHAIN, engine="cometbft", native=native)
    contracts: Any = SimpleNamespace(
        consortium=SimpleNamespace(address=CONSORTIUM),
        anchors=SimpleNamespace(address=ANCHORS),
        licences=SimpleNamespace(address=licences),
    )
    roster: Any = SimpleNamespace(quorum=3)
    return make_policy(chain, contracts, roster, board)


def test_an_idle_chain_is_trusted_from_the_newest_signed_height_on() -> None:
    """The pinned header may be of long ago; that its validators are the present ones was seen just now."""
    city = CometCity()
    parts = city.parts()
    assert isinstance(parts.finality, BftFinality)
    board = board_with(parts.finality)
    at_once = decode_policy(policy_of(board))
    assert isinstance(at_once.pinned, LightPin)
    assert (at_once.pinned.height, at_once.pinned.validators_hash) == (78, FOUR.hash)
    assert at_once.pinned.checked_at_ms == parts.finality.head.time_ms
    newest = parts.finality.head.time_ms + WEEK_MS
    board.reached(11_000, newest)
    later = decode_policy(policy_of(board))
    assert later.pinned.checked_at_ms == newest
    assert later.trusted_until_ms == newest + 1000 * TRUSTING_PERIOD_S
    verdict = verify_bundle(city.bundle(parts), policy_of(board), later.trusted_until_ms)
    assert (verdict.verdict, verdict.finality) == ("verified", "bft")


def test_the_contract_of_licences_is_in_the_policy_once_the_city_has_it() -> None:
    parts = CometCity().parts()
    assert isinstance(parts.finality, BftFinality)
    board = board_with(parts.finality)
    assert decode_policy(policy_of(board)).licences_code_hash is None
    assert decode_policy(policy_of(board, LICENCES)).licences_code_hash == LICENCES_CODE


def test_no_policy_before_the_first_final_block() -> None:
    with pytest.raises(UnavailableError) as caught:
        policy_of(board_with(None))
    assert caught.value.code == "chain.no-finality"
