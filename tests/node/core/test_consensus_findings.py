"""What the doctor says of a network of validators: halted and idle told apart, everybody who is missing named."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from node.comet.process import ProcessView
from node.comet.view import ConsensusView, ValidatorState
from node.context import Finding
from node.doctor_consensus import judge, unheard

NOW = 1_795_000_000_000
INTERVAL = 60_000
NAMES = ("data", "civil", "labour", "transport")
CODES = tuple(f"11310000MB000000{at}X" for at in range(4))
RUNNING = ProcessView(running=True, pid=7, restarts=0, last_error="", since_ms=NOW - 600_000)


def validators(*missing_s: int) -> tuple[ValidatorState, ...]:
    """Four of power 1; ``missing_s``: how long each is away, 0 for those that are there."""
    return tuple(
        ValidatorState(
            member=CODES[at],
            key=bytes([at]) * 32,
            power=1,
            signed_last=not away,
            connected=not away,
            missing_since_ms=NOW - away * 1_000 if away else 0,
        )
        for at, away in enumerate((*missing_s, 0, 0, 0, 0)[:4])
    )


def view(*missing_s: int, **changes: Any) -> ConsensusView:
    states = validators(*missing_s)
    there = sum(not one.missing_since_ms for one in states)
    made = ConsensusView(
        at_ms=NOW, height=500, time_ms=NOW - 2_000, grown_ms=NOW - 1_000, heights_per_s=0.5, round=0, step="propose",
        catching_up=False, peers=CODES[:there], mempool_txs=0, mempool_bytes=0, mempool_limit_txs=20_000,
        mempool_ready=False, validators=states, quorum=3 * there > 8, process=RUNNING,
    )  # fmt: skip
    return replace(made, **changes)


def found(seen: ConsensusView) -> dict[str, Finding]:
    findings = list(judge(seen, dict(zip(CODES, NAMES, strict=True)), NOW, INTERVAL))
    for one in findings:
        assert re.search("[\u4e00-\u9fff]", one.message_zh), one
        assert one.severity == "ok" or (one.hint and re.search("[\u4e00-\u9fff]", one.hint_zh)), one
    return {one.code: one for one in findings}


def test_a_network_that_works_is_one_line() -> None:
    said = found(view())
    assert set(said) == {"consensus.live"}
    assert "4 of 4 validators are there, 3 are needed" in said["consensus.live"].message


def test_one_of_four_is_named_and_blocks_go_on() -> None:
    said = found(view(0, 42))
    assert set(said) == {"validator.missing", "consensus.live"}
    assert (
        "validator civil (11310000MB0000001X) has been missing for 42 s: no connection"
        in said["validator.missing"].message
    )
    assert "replace-validator" in said["validator.missing"].hint
    assert "3 of 4" in said["consensus.live"].message


def test_two_of_four_are_no_quorum_whatever_the_age_of_the_last_block() -> None:
    said = found(view(9, 0, 8, time_ms=NOW - 9_000))
    problem = said["consensus.no-quorum"]
    assert problem.severity == "problem"
    assert "2 of 4 validators are there, 3 are needed" in problem.message
    assert "data, labour" in problem.message
    assert "start data, labour" in problem.hint
    assert "4 个验证者中有 2 个在线，需要 3 个" in problem.message_zh
    assert not {"consensus.live", "consensus.stalled", "consensus.late"} & set(said)


def test_idle_is_not_halted() -> None:
    # The validators' time of an idle network lies up to two intervals back, and a height comes once an interval.
    assert set(found(view(time_ms=NOW - 115_000, grown_ms=NOW - 58_000))) == {"consensus.live"}
    assert "nothing waits" in found(view(time_ms=NOW - 115_000, grown_ms=NOW - 58_000))["consensus.live"].message
    late = found(view(time_ms=NOW - 160_000, grown_ms=NOW - 100_000))
    assert "no consensus height for 100 s" in late["consensus.late"].message


def test_transactions_that_wait_are_a_stall() -> None:
    assert set(found(view(mempool_txs=5, mempool_ready=True, grown_ms=NOW - 3_000))) == {"consensus.live"}
    # What waits for an earlier nonce waits for its sender.
    assert set(found(view(mempool_txs=5, grown_ms=NOW - 20_000))) == {"consensus.live"}
    waiting = view(mempool_txs=5, mempool_ready=True, grown_ms=NOW - 20_000, round=3, step="prevote")
    stalled = found(waiting)["consensus.stalled"]
    assert stalled.severity == "problem"
    assert "5 transactions wait and no block came for 20 s" in stalled.message
    assert "round 3 prevote" in stalled.message


def test_just_started_is_not_late() -> None:
    fresh = replace(RUNNING, since_ms=NOW - 5_000)
    assert set(found(view(grown_ms=0, time_ms=NOW - 110_000, process=fresh))) == {"consensus.live"}


@pytest.mark.parametrize(("running", "restarts", "since_s", "code"), [
    (False, 3, 4, "comet.stopped"), (True, 1, 30, "comet.restarted"), (True, 1, 600, None), (True, 0, 3, None),
])  # fmt: skip
def test_the_process_is_named_with_its_last_words(running: bool, restarts: int, since_s: int, code: str | None) -> None:
    process = ProcessView(
        running=running,
        pid=None,
        restarts=restarts,
        last_error="address already in use",
        since_ms=NOW - since_s * 1_000,
    )
    said = found(view(process=process))
    assert {one for one in said if one.startswith("comet.")} == ({code} if code else set())
    if code:
        assert "address already in use" in said[code].message
        assert f"{restarts}" in said[code].message
    if not running:
        assert set(said) == {"comet.stopped"}, "what it said before it ended is no news"


def test_a_replay_says_how_far_and_how_fast() -> None:
    said = found(view(catching_up=True, height=812, heights_per_s=240.0, time_ms=NOW - 9_000_000))
    assert set(said) == {"consensus.catching-up"}
    assert "consensus height 812, 240 a second" in said["consensus.catching-up"].message


def test_a_full_mempool_is_named() -> None:
    said = found(view(mempool_txs=19_000))
    assert "19000 transactions wait, 20000 have room" in said["mempool.full"].message


def test_a_clock_that_is_ahead_is_not_a_silent_network() -> None:
    said = found(view(time_ms=NOW - 300_000, grown_ms=NOW - 500))
    assert set(said) == {"clock.ahead"}
    assert "299 s behind this machine's clock" in said["clock.ahead"].message


def test_a_look_that_is_old_is_no_news() -> None:
    assert set(found(view(0, 9, at_ms=NOW - 20_000))) == {"comet.silent"}
    assert "for 20 s" in found(view(at_ms=NOW - 20_000))["comet.silent"].message


@pytest.mark.parametrize(("running", "restarts", "since_s", "last_error", "codes"), [
    (True, 0, 3, "", set()),
    (False, 0, 1, "", set()),
    (False, 4, 2, "bind: address already in use", {"comet.stopped"}),
    (True, 4, 2, "bind: address already in use", {"comet.restarted"}),
    (True, 0, 40, "", {"comet.silent"}),
])  # fmt: skip
def test_a_cometbft_that_never_answered(
    running: bool, restarts: int, since_s: int, last_error: str, codes: set[str]
) -> None:
    process = ProcessView(
        running=running, pid=None, restarts=restarts, last_error=last_error, since_ms=NOW - since_s * 1_000
    )
    said = {one.code: one for one in unheard(process, NOW)}
    assert set(said) == codes
    assert all(last_error in one.message for code, one in said.items() if code != "comet.silent")
