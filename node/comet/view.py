"""Looks at CometBFT about once a second and keeps what it saw; redials members' nodes that are not connected."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ledger.chain.mempool import MAX_TRANSACTIONS
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from node.comet.keys import key_address, node_id
from node.comet.process import CometProcess, ProcessView
from node.comet.rpc import CometRpc
from node.comet.states import PREVOTE, STEPS, ConsensusView, MemberKeys, ValidatorState

__all__ = ["ConsensusView", "ConsensusWatch", "MemberKeys", "ProcessView", "ValidatorState"]

_INTERVAL_S = 1.0
#: On a network at rest nothing is missed by looking less often.
_QUIET_INTERVAL_S = 2.0
#: A round under way for so long should have every present validator's vote.
_PATIENCE_S = 3.0
_PACE_S = 10.0
#: A validator that is in none of so many commits is missing.
_COMMITS = 3
#: CometBFT redials by itself, then ever more rarely, then not at all.
_REDIAL_S = 5.0
_STEP = re.compile(r"([0-9]{1,19})/([0-9]{1,9})/([0-9])")
_BITS = re.compile(r"BA\{[0-9]+:([x_]*)\}")
#: ``block_id_flag`` of a vote for the block. Source: CometBFT types/block.go.
_FOR_BLOCK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commit:
    height: int
    time_ms: int
    #: Addresses whose signature for the block is in it.
    signed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voter:
    key: bytes
    address: str
    power: int


class ConsensusWatch:
    """``step`` looks once; the owner's loop calls it. ``view`` is the newest look, None before the first answer.

    ``members`` are the active members' keys, ``own`` is this node's USCC, ``addresses`` gives the others' p2p addresses
    as ``peers.json`` has them now; ``waiting`` says how many transactions wait for a block here, their bytes, and
    whether the next block can hold any of them.
    """

    def __init__(
        self,
        rpc: CometRpc,
        process: CometProcess,
        *,
        members: Callable[[], Sequence[MemberKeys]],
        own: str,
        addresses: Callable[[], tuple[str, ...]],
        waiting: Callable[[], tuple[int, int, bool]],
        clock: Callable[[], int],
    ) -> None:
        self._rpc = rpc
        self._process = process
        self._members = members
        self._own = own
        self._addresses = addresses
        self._waiting = waiting
        self._clock = clock
        self._view: ConsensusView | None = None
        self.problem: LedgerError | None = None
        self._commits: tuple[_Commit, ...] = ()
        self._voters: tuple[_Voter, ...] = ()
        self._missing: dict[bytes, int] = {}
        self._under_way: tuple[int, int] = (0, 0)
        self._under_way_since = 0.0
        self._dialled_at = 0.0
        self._grown_ms = 0
        #: (monotonic seconds, height) of the looks of the last seconds.
        self._looks: deque[tuple[float, int]] = deque()

    def view(self) -> ConsensusView | None:
        """The newest look."""
        return self._view

    def step(self) -> float:
        """Look once; seconds until the next look. Raises what the RPC raises, kept in ``problem`` too."""
        try:
            self._look()
        except LedgerError as error:
            self.problem = error
            self._lost()
            raise
        self.problem = None
        return _INTERVAL_S if self._busy() else _QUIET_INTERVAL_S

    def _busy(self) -> bool:
        """Whether something happens that is worth a closer look."""
        view = self._view
        return view is None or view.catching_up or bool(view.mempool_txs or view.missing or view.heights_per_s)

    def _look(self) -> None:
        self._process.require_running()
        answers = self._rpc.batch([("status", {}), ("net_info", {}), ("consensus_state", {})])
        status, net, state = (_result(answer) for answer in answers)
        waiting, waiting_bytes, ready = self._waiting()
        try:
            sync = status["sync_info"]
            height = int(sync["latest_block_height"])
            under_way = state["round_state"]
            found = _STEP.fullmatch(under_way["height/round/step"])
            at_height, at_round, at_step = map(int, found.groups()) if found else (0, 0, 0)
            connected = {str(peer["node_info"]["id"]) for peer in net["peers"]}
            votes = _voted(under_way["height_vote_set"])
            self._refresh(height)
            now = time.monotonic()
            if (at_height, at_round) != self._under_way or at_step < PREVOTE:
                self._under_way, self._under_way_since = (at_height, at_round), now
            silent_s = now - self._under_way_since
            members = self._members()
            by_key = {key: member for member in members for key in member.consensus}
            validators = tuple(
                self._judge(
                    voter,
                    by_key.get(voter.key),
                    connected,
                    # Votes are by the voters of the height under way; a changed set is seen with the next commit.
                    voted=votes[at] if at in range(len(votes)) else None,
                    silent=silent_s >= _PATIENCE_S,
                )
                for at, voter in enumerate(self._voters)
            )
            pace = self._pace(height, now)
            present = sum(one.power for one in validators if not one.missing_since_ms)
            self._view = ConsensusView(
                at_ms=self._clock(),
                height=height,
                time_ms=_time_ms(sync["latest_block_time"]) if height else 0,
                grown_ms=self._grown_ms,
                heights_per_s=pace,
                round=at_round,
                step=STEPS[at_step] if at_step < len(STEPS) else "",
                catching_up=bool(sync["catching_up"]),
                peers=tuple(sorted(member.uscc for member in members if _is_there(member, connected))),
                mempool_txs=waiting,
                mempool_bytes=waiting_bytes,
                mempool_limit_txs=MAX_TRANSACTIONS,
                mempool_ready=ready,
                validators=validators,
                quorum=3 * present > 2 * sum(one.power for one in validators),
                process=self._process.view(),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnavailableError("comet.answer", f"CometBFT's answer is not understood: {error!r}") from error
        self._redial(connected, now)

    def _pace(self, height: int, now: float) -> float:
        """Heights a second over the last looks."""
        if self._looks and height > self._looks[-1][1]:
            self._grown_ms = self._clock()
        self._looks.append((now, height))
        while now - self._looks[0][0] > _PACE_S:
            self._looks.popleft()
        then, first = self._looks[0]
        return (height - first) / (now - then) if now > then else 0.0

    def _refresh(self, height: int) -> None:
        """The newest commits looked at, and who votes."""
        if height == 0 or (self._commits and self._commits[0].height == height):
            if not self._voters:
                # While it waits for a snapshot it knows no validators.
                with suppress(NotFoundError):
                    self._voters = _voters(json.loads(self._rpc.validators()))
            return
        commit = _commit(json.loads(self._rpc.commit(height)))
        self._commits = (commit, *self._commits[: _COMMITS - 1])
        self._voters = _voters(json.loads(self._rpc.validators()))

    def _judge(
        self, voter: _Voter, member: MemberKeys | None, connected: set[str], *, voted: bool | None, silent: bool
    ) -> ValidatorState:
        """``voted``: in the height under way, None where that is not known; ``silent``: nothing comes of it."""
        own = member is not None and member.uscc == self._own
        there = own or (member is not None and _is_there(member, connected))
        signed = [voter.address in commit.signed for commit in self._commits]
        # One commit without it says little: a commit is made with the first two thirds that came. Whoever votes now was
        # only late in them, and in a halt no commit comes that could show it.
        absent = len(signed) == _COMMITS and not any(signed) and not voted
        if there and not absent and (voted is not False or not silent):
            self._missing.pop(voter.key, None)
        else:
            self._missing.setdefault(voter.key, self._clock())
        return ValidatorState(
            member=member.uscc if member else "",
            key=voter.key,
            power=voter.power,
            signed_last=bool(signed and signed[0]),
            connected=there,
            missing_since_ms=self._missing.get(voter.key, 0),
        )

    def _lost(self) -> None:
        """Nothing is heard: what was seen of the others stays, the process is as it is."""
        kept = self._view
        if kept is not None:
            self._view = replace(kept, process=self._process.view())

    def _redial(self, connected: set[str], now: float) -> None:
        wanted = self._addresses()
        away = [peer for peer in wanted if peer.partition("@")[0] not in connected]
        if not away:
            self._dialled_at = now
        elif now - self._dialled_at > _REDIAL_S:
            self._dialled_at = now
            # All of them: the list given is the whole list of those it keeps trying.
            self._rpc.dial(wanted)


def _is_there(member: MemberKeys, connected: set[str]) -> bool:
    return any(node_id(key) in connected for key in member.p2p)


def _result(answer: Any) -> Any:
    if isinstance(answer, LedgerError):
        raise answer
    return answer


def _commit(told: Mapping[str, Any]) -> _Commit:
    signed = told["signed_header"]
    return _Commit(
        height=int(signed["header"]["height"]),
        time_ms=_time_ms(signed["header"]["time"]),
        signed=frozenset(
            str(one["validator_address"])
            for one in signed["commit"]["signatures"]
            if int(one["block_id_flag"]) == _FOR_BLOCK
        ),
    )


def _voters(told: Mapping[str, Any]) -> tuple[_Voter, ...]:
    keys = [(base64.b64decode(one["pub_key"]["value"]), int(one["voting_power"])) for one in told["validators"]]
    return tuple(_Voter(key=key, address=key_address(key).hex().upper(), power=power) for key, power in keys)


def _voted(sets: Sequence[Mapping[str, Any]]) -> list[bool]:
    """By index in the validator set: whether it voted in any round of the height under way."""
    voted: list[bool] = []
    for round_votes in sets:
        for kind in ("prevotes_bit_array", "precommits_bit_array"):
            found = _BITS.match(str(round_votes.get(kind)))
            bits = found.group(1) if found else ""
            voted += [False] * (len(bits) - len(voted))
            for at, bit in enumerate(bits):
                voted[at] = voted[at] or bit == "x"
    return voted


def _time_ms(text: str) -> int:
    """RFC 3339 with nanoseconds, in UTC."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000 + int((fraction + "000")[:3])
