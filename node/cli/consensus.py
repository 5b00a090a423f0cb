"""The validators in ``civicledger node status``: who is there, who is missing since when."""

from __future__ import annotations

from typing import Any

from ledger.model import format_time
from ledger.v1 import node_pb2 as pb
from node.cli.output import facts, out, table
from node.cli.texts import t


def consensus_value(found: pb.Consensus) -> dict[str, Any]:
    """JSON-ready. ``present``, ``needed``, ``total``: power of the validators."""
    total = sum(one.power for one in found.validators)
    return {
        "height": found.height,
        "time_ms": found.time_ms,
        "round": found.round,
        "step": found.step,
        "catching_up": found.catching_up,
        "quorum": found.quorum,
        "present": sum(one.power for one in found.validators if not one.missing_since_ms),
        "needed": 2 * total // 3 + 1,
        "total": total,
        "peers": found.peers,
        "mempool_transactions": found.mempool_transactions,
        "mempool_bytes": found.mempool_bytes,
        "running": found.running,
        "restarts": found.restarts,
        "last_error": found.last_error,
        "validators": [
            {
                "member": one.member,
                "key": one.key.hex(),
                "power": one.power,
                "signed_last": one.signed_last,
                "missing_since_ms": one.missing_since_ms,
            }
            for one in found.validators
        ],
    }


def consensus_table(value: dict[str, Any]) -> None:
    """What a person reads."""
    present = t(
        f"{value['present']} of {value['total']} are there, {value['needed']} are needed",
        f"{value['total']} 个中有 {value['present']} 个在线，需要 {value['needed']} 个",
    )
    process = t("running", "运行中") if value["running"] else t("NOT RUNNING", "未运行")
    facts(
        t("Consensus", "共识"),
        {
            t("height", "高度"): value["height"],
            t("signed", "签名时间"): format_time(value["time_ms"]),
            t("round", "轮次"): f"{value['round']} {value['step']}",
            t("validators", "验证者"): present + ("" if value["quorum"] else t(": NO QUORUM", "：不足法定数")),
            t("catching up", "正在补齐"): value["catching_up"],
            t("p2p connections", "p2p 连接"): value["peers"],
            t("waiting", "等待的交易"): f"{value['mempool_transactions']} ({value['mempool_bytes']} B)",
            "CometBFT": t(f"{process}, restarted {value['restarts']} times", f"{process}，重启 {value['restarts']} 次"),
            **({t("last error", "最近错误"): value["last_error"]} if value["last_error"] else {}),
        },
    )
    out.print()
    table(
        t("Validators", "验证者"),
        [t("member", "成员"), t("missing since", "缺席自"), t("signed the newest", "已签最新区块"), t("key", "密钥")],
        [
            (
                one["member"],
                format_time(one["missing_since_ms"]) if one["missing_since_ms"] else "—",
                one["signed_last"],
                one["key"][:12],
            )
            for one in value["validators"]
        ],
    )
