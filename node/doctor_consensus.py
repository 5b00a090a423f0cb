"""The doctor's part about CometBFT: who of the validators is missing since when, whether the rest is a quorum, whether
the chain stands still or has nothing to do, and how its process is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from node.context import Finding
from node.findings import caution, fine, t, trouble

if TYPE_CHECKING:
    from node.comet.process import ProcessView
    from node.comet.view import ConsensusView, ValidatorState
    from node.compose import Node

#: Transactions that wait while a quorum is there become a block within a second or two; after this long something is
#: wrong, milliseconds.
STALLED_MS = 15_000
#: Without transactions a height still comes once an interval; so much later it is late, milliseconds.
LATE_MS = 30_000
#: A process that began less than this long ago and not for the first time was restarted just now, milliseconds.
RESTARTED_MS = 120_000
#: CometBFT is looked at once a second; a look that is older than this tells nothing of now, milliseconds.
SILENT_MS = 15_000
#: A part of the mempool's places from which it is called full.
FULL = 0.9
#: The validators' time may lie this far from our clock while heights come, milliseconds. A block after a pause carries
#: the time of the votes before it, so that the interval of idle heights is added.
CLOCK_AHEAD_MS = 30_000


def view_of(node: Node) -> ConsensusView | None:
    """What this node knows of the validators; None where nobody but a sequencer orders, and before the first answer."""
    read = getattr(node.orderer, "consensus", None)
    return None if read is None else read()


def process_of(node: Node) -> ProcessView | None:
    """How this node's CometBFT is; None where there is none."""
    process = getattr(node.orderer, "process", None)
    return None if process is None else process.view()


def consensus(node: Node) -> Iterable[Finding]:
    """Every finding about validators and process; nothing on a solo chain."""
    now, interval = node.core.clock(), node.core.config.chain.heartbeat_interval * 1_000
    view, process = view_of(node), process_of(node)
    if view is not None:
        roster = node.core.rosters.current()
        names = {info.uscc: info.handle for info in roster.members.values()}
        yield from judge(view, names, now, interval)
    elif process is not None:
        yield from unheard(process, now)


def judge(view: ConsensusView, names: dict[str, str], now_ms: int, interval_ms: int) -> Iterable[Finding]:
    """The findings of one view. ``names``: handles by USCC; ``interval_ms``: between heights without transactions."""
    yield from _process(view.process, now_ms)
    if not view.process.running:
        return
    if now_ms - view.at_ms > SILENT_MS:
        yield _silent(now_ms - view.at_ms)
        return
    if view.catching_up:
        yield caution(
            "consensus.catching-up",
            t(
                f"this node replays what it missed: consensus height {view.height}, {view.heights_per_s:.0f} a second",
                f"本节点正在补齐缺失的区块：共识高度 {view.height}，每秒 {view.heights_per_s:.0f} 个",
            ),
            t("wait; it takes part again by itself", "请等待；完成后自动参与共识"),
        )
    missing = [one for one in view.validators if one.missing_since_ms]
    for one in missing:
        yield _absent(one, names, now_ms)
    yield from _standing(view, missing, names, now_ms, interval_ms)
    if view.mempool_limit_txs and view.mempool_txs >= FULL * view.mempool_limit_txs:
        yield caution(
            "mempool.full",
            t(
                f"{view.mempool_txs} transactions wait, {view.mempool_limit_txs} have room",
                f"有 {view.mempool_txs} 笔交易等待，上限 {view.mempool_limit_txs} 笔",
            ),
            t(
                "new ones are refused until blocks take them: look for a member that sends without end",
                "在区块纳入之前，新交易会被拒绝：请检查是否有成员不停发送",
            ),
        )


def unheard(process: ProcessView, now_ms: int) -> Iterable[Finding]:
    """The findings while CometBFT has said nothing since this node started."""
    ended = not process.running and bool(process.last_error)
    if ended or process.restarts:
        yield from _process(process, now_ms)
    if not ended and now_ms - process.since_ms > SILENT_MS and process.since_ms:
        yield _silent(now_ms - process.since_ms)


def _silent(for_ms: int) -> Finding:
    return trouble(
        "comet.silent",
        t(
            f"CometBFT has not answered this node for {for_ms // 1_000} s although its process is there",
            f"CometBFT 进程存在，但已有 {for_ms // 1_000} 秒未应答本节点",
        ),
        t(
            "is it stopped (SIGSTOP), is the machine out of memory or disk? Restart the node; comet/comet.log in its folder "
            "has CometBFT's own words",
            "是否被暂停（SIGSTOP），内存或磁盘是否耗尽？请重启节点；CometBFT 自身的日志在节点目录的 comet/comet.log",
        ),
    )


def _process(process: ProcessView, now_ms: int) -> Iterable[Finding]:
    last = f": {process.last_error}" if process.last_error else ""
    if not process.running:
        yield trouble(
            "comet.stopped",
            t(
                f"CometBFT is not running{last} (restarted {process.restarts} times)",
                f"CometBFT 未在运行{last}（已重启 {process.restarts} 次）",
            ),
            t(
                "the node starts it again by itself; when it ends each time, its last lines say why: comet/comet.log "
                "in the node's folder",
                "节点会自动重新启动它；若反复退出，原因见节点目录中 comet/comet.log 的末尾",
            ),
        )
    elif process.restarts and now_ms - process.since_ms < RESTARTED_MS:
        yield caution(
            "comet.restarted",
            t(
                f"CometBFT was restarted {(now_ms - process.since_ms) // 1_000} s ago, {process.restarts} times so far{last}",
                f"CometBFT 于 {(now_ms - process.since_ms) // 1_000} 秒前重启，累计 {process.restarts} 次{last}",
            ),
            t(
                "nothing, if it stays up; else read comet/comet.log in the node's folder",
                "若保持运行则无需处理；否则请查看节点目录中的 comet/comet.log",
            ),
        )


def _absent(one: ValidatorState, names: dict[str, str], now_ms: int) -> Finding:
    away = max(0, now_ms - one.missing_since_ms) // 1_000
    name = names.get(one.member, one.member)
    reason = t("it signs nothing", "它没有签名") if one.connected else t("no connection to it", "没有与它的连接")
    return caution(
        "validator.missing",
        t(
            f"validator {name} ({one.member}) has been missing for {away} s: {reason.en}",
            f"验证者 {name}（{one.member}）已缺席 {away} 秒：{reason.zh}",
        ),
        t(
            f"start the node of {name}, or see why: `civicledger doctor` there; is its p2p port open? Lost for good: "
            "`civicledger member propose replace-validator`",
            f"请启动 {name} 的节点，或在该处运行 `civicledger doctor`；其 p2p 端口是否开放？若永久丢失："
            "`civicledger member propose replace-validator`",
        ),
    )


def _standing(
    view: ConsensusView,
    missing: Sequence[ValidatorState],
    names: dict[str, str],
    now_ms: int,
    interval_ms: int,
) -> Iterable[Finding]:
    """Halted, late, or as it should be: told apart by who is there, not by the age of the last block alone."""
    total = sum(one.power for one in view.validators)
    present = total - sum(one.power for one in missing)
    needed = 2 * total // 3 + 1
    age = max(0, now_ms - view.time_ms)
    absent = ", ".join(names.get(one.member, one.member) for one in missing)
    if view.validators and not view.quorum:
        yield trouble(
            "consensus.no-quorum",
            t(
                f"{present} of {total} validators are there, {needed} are needed: no block is made until they are back "
                f"(missing: {absent}; newest consensus time {age // 1_000} s ago)",
                f"{total} 个验证者中有 {present} 个在线，需要 {needed} 个：恢复之前不会出块"
                f"（缺席：{absent}；最新共识时间在 {age // 1_000} 秒前）",
            ),
            t(
                f"start {absent}: blocks go on within seconds, and nothing acknowledged is lost; only if they are lost "
                "for good, backups included: civicledger city recover --help",
                f"请启动 {absent}：数秒内恢复出块，已确认的内容不会丢失；仅当其连同备份永久丢失时："
                "civicledger city recover --help",
            ),
        )
        return
    if view.catching_up:
        return
    # The validators' time is that of the votes before: how long no height came is told by our own clock.
    waited = max(0, now_ms - (view.grown_ms or view.process.since_ms))
    grown = waited if view.grown_ms else min(waited, age)
    if view.mempool_ready and grown > STALLED_MS:
        yield trouble(
            "consensus.stalled",
            t(
                f"{view.mempool_txs} transactions wait and no block came for {grown // 1_000} s although {present} of "
                f"{total} validators are there (height {view.height + 1}, round {view.round} {view.step})",
                f"有 {view.mempool_txs} 笔交易等待，但 {grown // 1_000} 秒内没有出块，尽管 {total} 个验证者中有 {present} 个在线"
                f"（高度 {view.height + 1}，第 {view.round} 轮 {view.step}）",
            ),
            t(
                "do the validators reach each other, and do their clocks agree? `civicledger doctor` at each of them",
                "验证者之间是否互通、时钟是否一致？请在各验证者处运行 `civicledger doctor`",
            ),
        )
    elif grown > interval_ms + LATE_MS:
        yield caution(
            "consensus.late",
            t(
                f"no consensus height for {grown // 1_000} s; one comes every {interval_ms // 1_000} s even without "
                "transactions",
                f"{grown // 1_000} 秒没有新的共识高度；即使没有交易，每 {interval_ms // 1_000} 秒也应有一个",
            ),
            t(
                "do the validators reach each other? `civicledger doctor` at each of them",
                "验证者之间是否互通？请在各验证者处运行 `civicledger doctor`",
            ),
        )
    elif view.grown_ms and age - grown > interval_ms + CLOCK_AHEAD_MS:
        yield caution(
            "clock.ahead",
            t(
                f"heights come, but their time lies {(age - grown) // 1_000} s behind this machine's clock",
                f"共识高度在增长，但其时间比本机时钟慢 {(age - grown) // 1_000} 秒",
            ),
            t("synchronise the clocks (NTP): this one is probably ahead", "请校准时钟（NTP）：本机可能偏快"),
        )
    else:
        idle = t("nothing waits", "没有等待的交易") if not view.mempool_txs else t("working", "正在处理")
        yield fine(
            "consensus.live",
            t(
                f"consensus height {view.height}, signed {age // 1_000} s ago by a quorum; {present} of {total} "
                f"validators are there, {needed} are needed; {idle.en}",
                f"共识高度 {view.height}，{age // 1_000} 秒前经法定数签名；{total} 个验证者中有 {present} 个在线，需要 {needed} 个；"
                f"{idle.zh}",
            ),
        )
