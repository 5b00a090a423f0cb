"""Who is there and who is missing, by what CometBFT answers: commits hold only the votes that came first."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest

from node.comet.keys import key_address, node_id
from node.comet.process import CometProcess, ProcessView
from node.comet.rpc import CometRpc
from node.comet.view import ConsensusView, ConsensusWatch, MemberKeys

MEMBERS = tuple(
    MemberKeys(uscc=f"member-{at}", consensus=(bytes([at]) * 32,), p2p=(bytes([at, 99]) * 16,)) for at in range(4)
)
TIME = "2026-11-23T08:00:00.000000000Z"


class Answers:
    """What CometBFT answers at the first member: three commits without the second's vote, then ``bits`` of the votes
    in the height under way; ``connected`` are the places of the members that are connected."""

    def __init__(self, bits: str, connected: tuple[int, ...]) -> None:
        self.bits = bits
        self.connected = connected
        self.height = 1

    def batch(self, _calls: object) -> list[dict[str, Any]]:
        votes = {"round": 0, "prevotes_bit_array": f"BA{{4:{self.bits}}} 0/4", "precommits_bit_array": "BA{4:____} 0/4"}
        under_way = {"height/round/step": f"{self.height + 1}/0/4", "height_vote_set": [votes]}
        sync = {"latest_block_height": str(self.height), "latest_block_time": TIME, "catching_up": False}
        peers = [{"node_info": {"id": node_id(MEMBERS[at].p2p[0])}} for at in self.connected]
        return [{"sync_info": sync}, {"peers": peers}, {"round_state": under_way}]

    def commit(self, height: int) -> str:
        flags = [1 if at == 1 else 2 for at in range(4)]
        signatures = [
            {"validator_address": key_address(one.consensus[0]).hex().upper(), "block_id_flag": flag}
            for one, flag in zip(MEMBERS, flags, strict=True)
        ]
        header = {"height": str(height), "time": TIME}
        return json.dumps({"signed_header": {"header": header, "commit": {"signatures": signatures}}})

    def validators(self) -> str:
        keys = [base64.b64encode(one.consensus[0]).decode() for one in MEMBERS]
        return json.dumps({"validators": [{"pub_key": {"value": key}, "voting_power": "1"} for key in keys]})

    def dial(self, _addresses: object) -> None:
        """Nobody answers."""


class Running:
    """A CometBFT that runs."""

    def require_running(self) -> None:
        """It does."""

    def view(self) -> ProcessView:
        return cast(ProcessView, None)


def look(bits: str, connected: tuple[int, ...]) -> ConsensusView:
    """The view after a look at each of three commits."""
    answers = Answers(bits, connected)
    watch = ConsensusWatch(
        cast(CometRpc, answers),
        cast(CometProcess, Running()),
        members=lambda: MEMBERS,
        own="member-0",
        addresses=lambda: (),
        waiting=lambda: (0, 0, False),
        clock=lambda: 1_000,
    )
    for height in (1, 2, 3):
        answers.height = height
        watch.step()
    found = watch.view()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("bits", "connected", "missing"),
    [
        # In none of the newest commits, but voting: it was only late in them.
        ("xxxx", (1, 2, 3), []),
        # Two are gone and the network stands: whoever votes is not counted with them.
        ("xx__", (1,), ["member-2", "member-3"]),
        # Connected, but no vote of it anywhere.
        ("x_xx", (1, 2, 3), ["member-1"]),
        # Voted, and gone since.
        ("xxxx", (2, 3), ["member-1"]),
    ],
)
def test_a_validator_that_votes_is_there(bits: str, connected: tuple[int, ...], missing: list[str]) -> None:
    found = look(bits, connected)
    assert [one.member for one in found.missing] == missing
    assert found.quorum == (len(missing) < 2)
