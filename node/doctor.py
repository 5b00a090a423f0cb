"""The doctor: what is wrong with this node and its city, each finding with the next step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.model import KeyRole
from node.chain.chainloop import Sequencer
from node.context import Finding

if TYPE_CHECKING:
    from node.compose import Node

#: Free space below which a node is in danger, and below which it will stop soon, bytes.
LOW_DISK = 2 << 30
VERY_LOW_DISK = 256 << 20
#: A witness that has not cosigned for this long is named, milliseconds.
WITNESS_PATIENCE_MS = 60_000


def diagnose(node: Node) -> tuple[Finding, ...]:
    """Every check, problems first. What is fine is an ``ok`` line, so that silence is never mistaken for it."""
    checks: tuple[Callable[[Node], Iterable[Finding]], ...] = (
        _broken, _membership, _log, _alarms, _chain, _finality, _peers, _loops, _index, _disk, _files,
    )  # fmt: skip
    findings = [finding for check in checks for finding in check(node)]
    order = {"problem": 0, "warning": 1, "ok": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))


def _broken(node: Node) -> Iterable[Finding]:
    failures = (node.failure, node.standstill.reason, node.core.chain.failure)
    told = set()
    for failure in failures:
        if failure is not None and failure.code not in told:
            told.add(failure.code)
            yield _problem(failure.code, failure.message, failure.hint)


def _membership(node: Node) -> Iterable[Finding]:
    roster = node.core.rosters.current()
    info = roster.members.get(node.core.member)
    if info is None:
        yield _problem(
            "member.unknown",
            "the chain as this node knows it has no such member",
            "wait until the node has caught up; if it stays so, the consortium has not admitted it: `member propose`",
        )
        return
    if not roster.is_active(node.core.member):
        yield _problem(
            "member.not-active", f"this member is {info.status.word}", "the other members decide: `member list`"
        )
    for role in (KeyRole.ACCOUNT, KeyRole.TLS, KeyRole.LOG, KeyRole.WITNESS, KeyRole.RECEIPT, KeyRole.SEQUENCER):
        if node.core.keys.material(role) not in roster.materials(node.core.member, role):
            yield _problem(
                "key.not-active",
                f"the {role.word} key in this folder is not an active key on chain",
                "restore the right key file, or rotate: `civicledger key list`",
            )


def _log(node: Node) -> Iterable[Finding]:
    info = node.core.rosters.current().members.get(node.core.member)
    if info is not None and info.generation != node.core.generation:
        yield _problem(
            "log.retired",
            f"the members retired this log; its successor is {info.origin}",
            "the node opens it beside the old one within seconds; where it was not started by `node run`, restart it",
        )
    closed = node.closed_reason()
    if closed is not None and closed is node.standstill.reason:
        return  # said first of all
    if closed is not None:
        yield _problem(closed.code, closed.message, closed.hint)
        return
    for loop in node.loops():
        if loop.problem is not None and loop.problem.code == "witness.disagrees":
            yield _problem(loop.problem.code, loop.problem.message, loop.problem.hint)
    published = node.publisher.newest()
    if published is not None and not published.witnessed:
        silent = [state.member for state in node.core.tracker.states() if not state.reachable]
        yield _warning(
            "log.not-witnessed",
            f"the newest checkpoint ({published.size}) has {published.cosignatures} of {published.quorum} cosignatures"
            + ("" if published.policy_met else ", and not those that log.witness_policy asks for"),
            "start the other members' nodes" + (f": {', '.join(silent)}" if silent else "; they may be catching up"),
        )
    yield from _witnesses(node)
    lag = node.core.log.size - node.anchors.anchored_size()
    witnessed = node.publisher.witnessed()
    if witnessed is not None and witnessed.size > node.anchors.anchored_size() and node.anchors.loop.problem:
        problem = node.anchors.loop.problem
        yield _warning(problem.code, f"{lag} records are not anchored: {problem.message}", problem.hint)
    else:
        yield _ok("log.open", f"the log is open: {node.core.log.size} records, {lag} not anchored yet")


def _witnesses(node: Node) -> Iterable[Finding]:
    roster, now = node.core.rosters.current(), node.core.clock()
    for state in node.attendance.states(roster, node.core.member):
        away = now - state.missing_since_ms
        if state.missing_since_ms and state.code.startswith(("checkpoint.", "witness.answer")):
            yield _warning(
                "witness.untrusted",
                f"{state.member} answers with what is no cosignature of this log: {state.error} [{state.code}]",
                "ask its operator; until then the checkpoints need the quorum without it",
            )
        elif state.missing_since_ms and away > WITNESS_PATIENCE_MS:
            why = f": {state.error} [{state.code}]" if state.code else ""
            yield _warning(
                "witness.missing",
                f"{state.member} has not cosigned for {away // 1_000} s{why}",
                "look at its node; `civicledger witness list` shows all of them",
            )
    if not node.quorum.within_reach(roster):
        yield _problem(
            "policy.unreachable",
            "the witnesses on chain cannot satisfy log.witness_policy: no checkpoint will be witnessed",
            "a witness rotated its key or left: correct the file (`civicledger key list`), then restart the node",
        )


def _alarms(node: Node) -> Iterable[Finding]:
    for alarm in node.core.alarms.alarms():
        proof = "its proof convinces anybody" if alarm.evidence is not None else "there is no proof of it"
        yield _problem(
            alarm.kind,
            f"{alarm.member}: {alarm.detail}",
            f"{proof}: `civicledger witness evidence`; once dealt with: `civicledger witness settle {alarm.id}`",
        )


def _chain(node: Node) -> Iterable[Finding]:
    if isinstance(node.orderer, Sequencer) and not node.orderer.rejoining.done:
        yield _problem(
            "chain.rejoining",
            f"this node orders the chain and waits before its first block: {node.orderer.rejoining.waiting_for}",
            "start the silent members' nodes: they say whether this folder is the newest",
        )
    age, limit = node.core.board.age_ms(), node.core.config.chain.max_view_age * 1_000
    sequencer = node.core.genesis.sequencer
    if age > limit:
        state = next((state for state in node.core.tracker.states() if state.member == sequencer), None)
        why = state.last_error if state and state.last_error else "no signed head came"
        yield _problem(
            "chain.stale",
            f"the newest signed time of the chain is {age // 1_000} s old: {why}",
            "start this node's sequencer loop"
            if node.core.is_sequencer
            else f"start the sequencer's node ({sequencer})",
        )
    elif age > 2 * node.core.config.chain.heartbeat_interval * 1_000:
        yield _warning(
            "chain.late", f"the sequencer's heartbeat is late: {age // 1_000} s", f"look at the node of {sequencer}"
        )
    else:
        yield _ok("chain.fresh", f"height {node.core.chain.head().height}, signed {age // 1_000} s ago")


def _finality(node: Node) -> Iterable[Finding]:
    height, final = node.core.chain.head().height, node.core.board.final_height()
    newest = node.core.board.newest
    if node.core.board.finality is not None and final >= height:
        yield _ok("chain.final", f"height {final} is final")
        return
    if newest is not None:
        yield _warning(
            "chain.not-final",
            f"the head is at height {height}, final is {final}",
            "cosignatures of a quorum of other members are missing: see the peers below",
        )


def _peers(node: Node) -> Iterable[Finding]:
    roster = node.core.rosters.current()
    states = {state.member: state for state in node.core.tracker.states()}
    missing = []
    for info in roster.others(node.core.member):
        state = states.get(info.uscc)
        if info.uscc not in node.core.peers:
            yield _warning(
                "peers.unknown", f"no address of {info.handle} ({info.uscc}) is known here", "add it to peers.json"
            )
        elif state is None or not state.reachable:
            missing.append(info.handle)
            text = state.last_error if state else "not contacted yet"
            yield _warning(
                "peer.unreachable", f"{info.handle} ({info.uscc}): {text}", "check that its node runs and its address"
            )
    others = len(roster.others(node.core.member))
    if others - len(missing) < min(roster.quorum, others):
        yield _problem(
            "peers.no-quorum",
            f"{others - len(missing)} of {others} other members answer, {roster.quorum} are needed",
            f"start {', '.join(missing)}",
        )
    elif not missing:
        yield _ok("peers.reachable", f"all {others} other members' nodes answer")


def _loops(node: Node) -> Iterable[Finding]:
    closed = node.closed_reason()
    for loop in node.loops():
        problem: LedgerError | None = loop.problem
        if problem is not None and closed is not None and problem.code == closed.code:
            continue  # said already, as the reason why the log is closed
        if problem is not None and loop.name not in ("anchor",) and not loop.name.startswith("witness-"):
            yield _warning(problem.code, f"{loop.name}: {problem.message}", problem.hint)


def _index(node: Node) -> Iterable[Finding]:
    index, size = node.core.stores.index, node.core.log.size
    if index.remaking is not None:
        text = f"{index.remaking.message}: {index.indexed_size} of {size} records"
        yield _warning(index.remaking.code, text, index.remaking.hint)


def _disk(node: Node) -> Iterable[Finding]:
    free = shutil.disk_usage(node.core.config.folder).free
    text = f"{free // (1 << 20)} MiB are free under {node.core.config.folder}"
    if free < VERY_LOW_DISK:
        yield _problem("disk.full", text, "free space now: the node refuses writes when the disk is full")
    elif free < LOW_DISK:
        yield _warning("disk.low", text, "free space or move the folder to a larger disk")
    else:
        yield _ok("disk.free", text)


def _files(node: Node) -> Iterable[Finding]:
    problem = node.core.peers.problem
    if problem is not None:
        yield _warning(problem.code, f"{problem.message}; the last good content is used", problem.hint)
    if node.core.clock() + 5_000 < node.core.board.newest_time_ms():
        yield _warning(
            "clock.behind",
            "the sequencer's signed time is ahead of this machine's clock",
            "synchronise both clocks (NTP)",
        )


def _ok(code: str, message: str) -> Finding:
    return Finding(severity="ok", code=code, message=message, hint="")


def _warning(code: str, message: str, hint: str) -> Finding:
    return Finding(severity="warning", code=code, message=message, hint=hint)


def _problem(code: str, message: str, hint: str) -> Finding:
    return Finding(severity="problem", code=code, message=message, hint=hint)
