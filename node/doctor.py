"""The doctor: what is wrong with this node and its city, each finding with the next step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.model import KeyRole
from node.chain.chainloop import Sequencer
from node.context import Finding
from node.doctor_consensus import consensus
from node.doctor_medical import medical
from node.doctor_network import network
from node.findings import Words, caution, fine, said, t, trouble

if TYPE_CHECKING:
    from node.compose import Node

#: Free space below which a node is in danger, and below which it will stop soon, bytes.
LOW_DISK = 2 << 30
VERY_LOW_DISK = 256 << 20
#: A witness that has not cosigned for this long is named, milliseconds.
WITNESS_PATIENCE_MS = 60_000
#: How far the chain's newest signed time may lie before this machine's clock, milliseconds.
CLOCK_BEHIND_MS = 5_000


def diagnose(node: Node) -> tuple[Finding, ...]:
    """Every check, problems first. What is fine is an ``ok`` line, so that silence is never mistaken for it."""
    checks: tuple[Callable[[Node], Iterable[Finding]], ...] = (
        _broken, _membership, _log, _alarms, consensus, network, _chain, _finality, _peers, _loops, _index, _disk,
        _files, medical,
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
            yield trouble(failure.code, *said(failure))


def _membership(node: Node) -> Iterable[Finding]:
    roster = node.core.rosters.current()
    info = roster.members.get(node.core.member)
    if info is None:
        yield trouble(
            "member.unknown",
            t("the chain as this node knows it has no such member", "本节点所知的链上没有该成员"),
            t(
                "wait until the node has caught up; if it stays so, the consortium has not admitted it: `member propose`",
                "请等待节点同步完成；若仍如此，说明联盟尚未接纳：`member propose`",
            ),
        )
        return
    if not roster.is_active(node.core.member):
        yield trouble(
            "member.not-active",
            t(f"this member is {info.status.word}", f"本成员状态为 {info.status.word}"),
            t("the other members decide: `member list`", "由其他成员决定：`member list`"),
        )
    for role in node.core.keys:
        # A rotation under way has its own key on chain already; the issuer's is used by hand only.
        if role is KeyRole.ISSUER or node.core.keys.staged(role) is not None:
            continue
        if node.core.keys.material(role) not in roster.materials(node.core.member, role):
            yield trouble(
                "key.not-active",
                t(
                    f"the {role.word} key in this folder is not an active key on chain",
                    f"此目录中的 {role.word} 密钥不是链上的有效密钥",
                ),
                t(
                    "restore the right key file, or rotate: `civicledger key list`",
                    "恢复正确的密钥文件，或更换密钥：`civicledger key list`",
                ),
            )


def _log(node: Node) -> Iterable[Finding]:
    info = node.core.rosters.current().members.get(node.core.member)
    if info is not None and info.generation != node.core.generation:
        yield trouble(
            "log.retired",
            t(
                f"the members retired this log; its successor is {info.origin}",
                f"成员已停用此日志，后继为 {info.origin}",
            ),
            t(
                "the node opens it beside the old one within seconds; where it was not started by `node run`, restart it",
                "节点会在数秒内于旧日志旁打开它；若并非以 `node run` 启动，请重启",
            ),
        )
    closed = node.closed_reason()
    if closed is not None and closed is node.standstill.reason:
        return  # said first of all
    if closed is not None:
        yield trouble(closed.code, *said(closed))
        return
    for loop in node.loops():
        if loop.problem is not None and loop.problem.code == "witness.disagrees":
            yield trouble(loop.problem.code, *said(loop.problem))
    published = node.publisher.newest()
    if published is not None and not published.witnessed:
        silent = [state.member for state in node.core.tracker.states() if not state.reachable]
        own_policy = published.policy_met
        yield caution(
            "log.not-witnessed",
            t(
                f"the newest checkpoint ({published.size}) has {published.cosignatures} of {published.quorum} "
                "cosignatures" + ("" if own_policy else ", and not those that log.witness_policy asks for"),
                f"最新检查点（{published.size}）有 {published.cosignatures} 个共签，需要 {published.quorum} 个"
                + ("" if own_policy else "，且未满足 log.witness_policy"),
            ),
            t(
                "start the other members' nodes"
                + (f": {', '.join(silent)}" if silent else "; they may be catching up"),
                "启动其他成员的节点" + (f"：{'、'.join(silent)}" if silent else "；它们可能正在同步"),
            ),
        )
    yield from _witnesses(node)
    lag = node.core.log.size - node.anchors.anchored_size()
    witnessed = node.publisher.witnessed()
    if witnessed is not None and witnessed.size > node.anchors.anchored_size() and node.anchors.loop.problem:
        problem = node.anchors.loop.problem
        words, step = said(problem)
        yield caution(problem.code, t(f"{lag} records are not anchored: ", f"{lag} 条记录尚未锚定：") + words, step)
    else:
        yield fine(
            "log.open",
            t(
                f"the log is open: {node.core.log.size} records, {lag} not anchored yet",
                f"日志已打开：{node.core.log.size} 条记录，{lag} 条尚未锚定",
            ),
        )


def _witnesses(node: Node) -> Iterable[Finding]:
    roster, now = node.core.rosters.current(), node.core.clock()
    for state in node.attendance.states(roster, node.core.member):
        away = now - state.missing_since_ms
        if state.missing_since_ms and state.code.startswith(("checkpoint.", "witness.answer")):
            yield caution(
                "witness.untrusted",
                t(
                    f"{state.member} answers with what is no cosignature of this log: {state.error} [{state.code}]",
                    f"{state.member} 的应答不是本日志的共签：{state.error} [{state.code}]",
                ),
                t(
                    "ask its operator; until then the checkpoints need the quorum without it",
                    "请联系其运维人员；在此之前检查点须由其余成员达到法定数",
                ),
            )
        elif state.missing_since_ms and away > WITNESS_PATIENCE_MS:
            why = f": {state.error} [{state.code}]" if state.code else ""
            yield caution(
                "witness.missing",
                t(
                    f"{state.member} has not cosigned for {away // 1_000} s{why}",
                    f"{state.member} 已有 {away // 1_000} 秒未共签{why}",
                ),
                t(
                    "look at its node; `civicledger witness list` shows all of them",
                    "请检查其节点；`civicledger witness list` 列出全部见证者",
                ),
            )
    if not node.quorum.within_reach(roster):
        yield trouble(
            "policy.unreachable",
            t(
                "the witnesses on chain cannot satisfy log.witness_policy: no checkpoint will be witnessed",
                "链上的见证者无法满足 log.witness_policy：检查点将不会被见证",
            ),
            t(
                "a witness rotated its key or left: correct the file (`civicledger key list`), then restart the node",
                "某见证者更换了密钥或已退出：请更正该文件（`civicledger key list`），然后重启节点",
            ),
        )


def _alarms(node: Node) -> Iterable[Finding]:
    for alarm in node.core.alarms.alarms():
        proven = alarm.evidence is not None
        yield trouble(
            alarm.kind,
            t(f"{alarm.member}: {alarm.detail}", f"{alarm.member}：{alarm.detail}"),
            t(
                ("its proof convinces anybody" if proven else "there is no proof of it")
                + f": `civicledger witness evidence`; once dealt with: `civicledger witness settle {alarm.id}`",
                ("其证明可令任何人信服" if proven else "没有可示人的证明")
                + f"：`civicledger witness evidence`；处理后：`civicledger witness settle {alarm.id}`",
            ),
        )


def _chain(node: Node) -> Iterable[Finding]:
    if node.core.genesis.network is not None:
        return  # said by ``network``
    if isinstance(node.orderer, Sequencer) and not node.orderer.rejoining.done:
        yield trouble(
            "chain.rejoining",
            t(
                f"this node orders the chain and waits before its first block: {node.orderer.rejoining.waiting_for}",
                f"本节点负责出块，首个区块之前须等待：{node.orderer.rejoining.waiting_for}",
            ),
            t(
                "start the silent members' nodes: they say whether this folder is the newest",
                "启动未应答成员的节点：由其确认此目录是否为最新",
            ),
        )
    age, limit = node.core.board.age_ms(), node.core.config.chain.max_view_age * 1_000
    sequencer = node.core.genesis.sequencer
    if age > limit:
        state = next((state for state in node.core.tracker.states() if state.member == sequencer), None)
        why = state.last_error if state and state.last_error else ""
        yield trouble(
            "chain.stale",
            t(
                f"the newest signed time of the chain is {age // 1_000} s old: {why or 'no signed head came'}",
                f"链的最新签名时间已过去 {age // 1_000} 秒：{why or '没有收到新的签名'}",
            ),
            _start_again(node, sequencer),
        )
    elif age > 2 * node.core.config.chain.heartbeat_interval * 1_000 and sequencer:
        yield caution(
            "chain.late",
            t(f"the sequencer's heartbeat is late: {age // 1_000} s", f"出块方的心跳已迟到：{age // 1_000} 秒"),
            t(f"look at the node of {sequencer}", f"请检查 {sequencer} 的节点"),
        )
    else:
        height = node.core.chain.head().height
        yield fine(
            "chain.fresh",
            t(f"height {height}, signed {age // 1_000} s ago", f"高度 {height}，{age // 1_000} 秒前签名"),
        )


def _start_again(node: Node, sequencer: str) -> Words:
    if not sequencer:
        return t(
            "too few validators sign, or this node does not hear them: the findings about validators say who is missing",
            "签名的验证者不足，或本节点收不到：见有关验证者的各项",
        )
    if node.core.is_sequencer:
        return t("start this node's sequencer loop", "请启动本节点的出块循环")
    return t(f"start the sequencer's node ({sequencer})", f"请启动出块方的节点（{sequencer}）")


def _finality(node: Node) -> Iterable[Finding]:
    if node.core.genesis.network is not None:
        return  # said by ``network``
    height, final = node.core.chain.head().height, node.core.board.final_height()
    if node.core.board.finality is not None and final >= height:
        yield fine("chain.final", t(f"height {final} is final", f"高度 {final} 已终局"))
        return
    if node.core.board.finality is not None or height > 0:
        yield caution(
            "chain.not-final",
            t(
                f"the head is at height {height}, final is {final}",
                f"最新高度为 {height}，已终局高度为 {final}",
            ),
            t(
                "signatures of a quorum of other members are missing: see the peers below",
                "缺少其他成员法定数的签名：见下列对等节点",
            )
            if node.core.genesis.sequencer
            else t(
                "the next consensus height brings its proof; when it does not come: the findings about validators",
                "下一个共识高度会带来其证明；若迟迟不来：见有关验证者的各项",
            ),
        )


def _peers(node: Node) -> Iterable[Finding]:
    roster = node.core.rosters.current()
    states = {state.member: state for state in node.core.tracker.states()}
    missing = []
    for info in roster.others(node.core.member):
        state = states.get(info.uscc)
        if info.uscc not in node.core.peers:
            yield caution(
                "peers.unknown",
                t(
                    f"no address of {info.handle} ({info.uscc}) is known here",
                    f"本节点不知道 {info.handle}（{info.uscc}）的地址",
                ),
                t("add it: `civicledger node peer CARD`", "请添加：`civicledger node peer 名片`"),
            )
        elif state is None or not state.reachable:
            missing.append(info.handle)
            text = state.last_error if state else ""
            yield caution(
                "peer.unreachable",
                t(
                    f"{info.handle} ({info.uscc}): {text or 'not contacted yet'}",
                    f"{info.handle}（{info.uscc}）：{text or '尚未联系'}",
                ),
                t("check that its node runs and its address", "请检查其节点是否运行、地址是否正确"),
            )
    others = len(roster.others(node.core.member))
    if others - len(missing) < min(roster.quorum, others):
        yield trouble(
            "peers.no-quorum",
            t(
                f"{others - len(missing)} of {others} other members answer, {roster.quorum} are needed",
                f"其他 {others} 个成员中有 {others - len(missing)} 个应答，需要 {roster.quorum} 个",
            ),
            t(f"start {', '.join(missing)}", f"请启动 {'、'.join(missing)}"),
        )
    elif not missing:
        yield fine(
            "peers.reachable",
            t(f"all {others} other members' nodes answer", f"其他 {others} 个成员的节点均应答"),
        )


def _loops(node: Node) -> Iterable[Finding]:
    closed = node.closed_reason()
    for loop in node.loops():
        problem: LedgerError | None = loop.problem
        if problem is not None and closed is not None and problem.code == closed.code:
            continue  # said already, as the reason why the log is closed
        if problem is not None and loop.name not in ("anchor",) and not loop.name.startswith("witness-"):
            words, step = said(problem)
            # What loses a revocation is no matter of patience.
            say = trouble if problem.code == "licence.list-behind" else caution
            yield say(problem.code, t(f"{loop.name}: ", f"{loop.name}：") + words, step)


def _index(node: Node) -> Iterable[Finding]:
    index, size = node.core.stores.index, node.core.log.size
    if index.remaking is not None:
        words, step = said(index.remaking)
        so_far = t(f": {index.indexed_size} of {size} records", f"：{index.indexed_size} / {size} 条")
        yield caution(index.remaking.code, words + so_far, step)


def _disk(node: Node) -> Iterable[Finding]:
    folder = node.core.config.folder
    free = shutil.disk_usage(folder).free
    text = t(f"{free // (1 << 20)} MiB are free under {folder}", f"{folder} 所在磁盘剩余 {free // (1 << 20)} MiB")
    if free < VERY_LOW_DISK:
        yield trouble(
            "disk.full",
            text,
            t(
                "free space now: the node refuses writes when the disk is full",
                "请立即腾出空间：磁盘写满后节点拒绝写入",
            ),
        )
    elif free < LOW_DISK:
        yield caution(
            "disk.low", text, t("free space or move the folder to a larger disk", "请腾出空间或迁移到更大的磁盘")
        )
    else:
        yield fine("disk.free", text)


def _files(node: Node) -> Iterable[Finding]:
    problem = node.core.peers.problem
    if problem is not None:
        words, step = said(problem)
        yield caution(problem.code, words + t("; the last good content is used", "；仍使用上一份有效内容"), step)
    ahead = node.core.board.newest_time_ms() - node.core.clock()
    if ahead > CLOCK_BEHIND_MS:
        yield caution(
            "clock.behind",
            t(
                f"the chain's newest signed time is {ahead // 1_000} s ahead of this machine's clock",
                f"链的最新签名时间比本机时钟快 {ahead // 1_000} 秒",
            ),
            t("synchronise the clocks (NTP)", "请校准各机时钟（NTP）"),
        )
