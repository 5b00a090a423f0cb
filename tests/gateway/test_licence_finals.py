"""What the home node says of its newest block is believed by the block's own proof of finality alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.licences.finals import Finals
from ledger.chain.blocks import ChainHead
from ledger.codec import encode
from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.bundle import decode_bundle
from ledger.evidence.pieces import finality_object
from ledger.evidence.policy import decode_policy, encode_policy
from tests.ledger.evidence.comet_city import CometCity
from tests.ledger.evidence.real_city import RealCity, real_city


@dataclass(slots=True)
class Home:
    """A home node over a real chain, and the gateway's file with the policy."""

    city: RealCity
    policy: Path
    answer: bytes = b""
    active: int = 0

    def say(self, *, header: bytes | None = None, height: int | None = None) -> None:
        """The newest block as the home node serves it, or with another header under its finality."""
        block = self.city.chain.block(self.city.chain.head().height if height is None else height)
        assert block is not None
        parts = {"header": block.header if header is None else header}
        parts["finality"] = encode(finality_object(self.city.finality(block.hash)))
        self.answer = json.dumps({name: base64.b64encode(data).decode() for name, data in parts.items()}).encode()

    def slots(self, _head: ChainHead, _address: bytes, _slots: Sequence[bytes]) -> list[bytes]:
        """The number of active members."""
        return [self.active.to_bytes(32, "big")]

    def finals(self) -> Finals:
        """As a gateway has it."""
        return Finals(lambda: self.answer, self.policy, lambda: self.city.now_ms)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with real_city(tmp_path) as city:
        made = Home(city=city, policy=tmp_path / "policy.json", active=len(city.members))
        made.policy.write_bytes(city.policy())
        made.say()
        yield made


def refused(home: Home) -> str:
    with pytest.raises(LedgerError) as caught:
        home.finals().newest(home.slots)
    return caught.value.code


def test_a_block_that_its_signers_made_final(home: Home) -> None:
    found = home.finals().newest(home.slots)
    head = home.city.chain.head()
    assert (found.head.hash, found.head.state_root, found.head.height) == (head.hash, head.state_root, head.height)
    assert found.kind == "single-signer"
    # The same answer is not verified again, another one is.
    finals = home.finals()
    assert finals.newest(home.slots) is finals.newest(home.slots)
    home.answer = b"{}"
    with pytest.raises(LedgerError, match="something else"):
        finals.newest(home.slots)


def test_a_block_of_a_network_of_validators(tmp_path: Path) -> None:
    city, policy = CometCity(), tmp_path / "policy.json"
    policy.write_bytes(city.policy())
    taken = decode_bundle(city.bundle())
    parts = {"header": taken.anchor.header, "finality": encode(finality_object(taken.finality))}
    answer = json.dumps({name: base64.b64encode(data).decode() for name, data in parts.items()}).encode()
    now_ms = decode_policy(city.policy()).pinned.checked_at_ms

    def slots(_head: ChainHead, _address: bytes, _slots: Sequence[bytes]) -> list[bytes]:
        return [(30).to_bytes(32, "big")]

    found = Finals(lambda: answer, policy, lambda: now_ms).newest(slots)
    assert (found.kind, found.head.hash) == ("bft", taken.finality.head.hash)
    assert found.time_ms > 0


def test_a_header_of_the_home_nodes_own_making_is_not_believed(home: Home) -> None:
    block = home.city.chain.block(home.city.chain.head().height)
    assert block is not None
    root = home.city.chain.head().state_root
    home.say(header=block.header.replace(root, bytes(31) + b"\x01"))
    assert refused(home) == "finality.header"


def test_too_few_cosignatures_for_the_members_of_the_block(home: Home) -> None:
    home.active = 30
    assert refused(home).startswith("finality.")


def test_without_a_policy_or_under_an_old_or_another_one_nothing_is_known(home: Home) -> None:
    policy = decode_policy(home.policy.read_bytes())
    home.policy.write_bytes(encode_policy(replace(policy, chain=bytes(32))))
    assert refused(home) == "finality.chain"
    home.policy.write_bytes(encode_policy(policy))
    home.city.now_ms = policy.trusted_until_ms + 1
    assert refused(home) == "policy.expired"
    home.policy.unlink()
    assert refused(home) == "gateway.no-policy"


def test_a_home_node_that_has_none_or_says_something_odd(home: Home) -> None:
    for answer in (b"", b"[]", b'{"header": 5, "finality": ""}', b'{"header": "AA==", "finality": "e30="}'):
        home.answer = answer
        assert refused(home)

    def away() -> bytes:
        raise UnavailableError("node.unreachable", "away")

    with pytest.raises(UnavailableError):
        Finals(away, home.policy, lambda: home.city.now_ms).newest(home.slots)
