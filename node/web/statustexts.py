"""The words of the operator's page, Chinese and English. One key, both languages: a test compares the two sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("zh", "en")

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "title": "节点状态",
        "other_language": "English",
        "theme": "切换明暗",
        "live": "实时",
        "stale": "读取中断",
        "serving": "正常服务",
        "not_serving": "未完全服务",
        "engine": "引擎",
        "role_sequencer": "出块方",
        "role_follower": "跟随节点",
        "role_validator": "验证者",
        "role_member": "非验证成员",
        "stat_height": "区块高度",
        "stat_signed": "最新签名时间",
        "stat_newest": "网络最新区块",
        "stat_final": "已终局高度",
        "unproven": "无终局证明",
        "stat_waiting": "等待中的交易",
        "stat_log": "日志记录",
        "stat_lag": "尚未锚定",
        "findings": "诊断",
        "all_well": "一切正常",
        "next_step": "下一步",
        "validators": "验证者",
        "quorum": "{present} / {total} 在线，需要 {needed}",
        "no_quorum": "不足法定数：停止出块",
        "consensus": "共识",
        "consensus_height": "共识高度",
        "round": "第 {round} 轮 {step}",
        "catching_up": "正在补齐",
        "process": "CometBFT 进程",
        "process_running": "运行中",
        "process_stopped": "未运行",
        "restarts": "重启 {n} 次",
        "connections": "p2p 连接",
        "signed": "已签最新区块",
        "presence": "状态",
        "missing": "缺席",
        "present": "在线",
        "blocks": "最近 {n} 个区块",
        "block": "高度",
        "hash": "哈希",
        "time": "时间",
        "transactions": "交易",
        "consensus_column": "共识高度",
        "peers": "其他成员的节点",
        "no_peers": "没有其他成员。",
        "member": "成员",
        "reachable": "可达",
        "unreachable": "未应答",
        "unknown_address": "地址未知",
        "seen": "最近应答",
        "never": "从未",
        "error": "最近错误",
        "log": "日志",
        "log_size": "持久记录",
        "log_published": "已发布",
        "log_witnessed": "已见证",
        "log_anchored": "已锚定",
        "log_indexed": "已编索引",
        "witnesses": "见证者",
        "witness_size": "共签至",
        "since": "缺签",
        "loops": "后台循环",
        "loops_well": "{n} 个循环均正常。",
        "failures": "近期错误",
        "no_failures": "启动以来没有错误。",
        "times": "{n} 次",
        "disk_free": "磁盘剩余",
        "version": "版本",
        "footer": "此页只读，只对本机开放；节点数据即时读取。",
        "ago_s": "{n} 秒前",
        "ago_m": "{n} 分钟前",
        "ago_h": "{n} 小时前",
        "ago_d": "{n} 天前",
    },
    "en": {
        "title": "Node status",
        "other_language": "中文",
        "theme": "Switch light and dark",
        "live": "live",
        "stale": "reading interrupted",
        "serving": "serving",
        "not_serving": "not serving everything",
        "engine": "engine",
        "role_sequencer": "sequencer",
        "role_follower": "follower",
        "role_validator": "validator",
        "role_member": "member, no validator",
        "stat_height": "Block height",
        "stat_signed": "Newest signed time",
        "stat_newest": "Newest block of the network",
        "stat_final": "Final height",
        "unproven": "unproven",
        "stat_waiting": "Transactions waiting",
        "stat_log": "Records in the log",
        "stat_lag": "Not anchored yet",
        "findings": "Doctor",
        "all_well": "All is well",
        "next_step": "next step",
        "validators": "Validators",
        "quorum": "{present} of {total} are there, {needed} are needed",
        "no_quorum": "no quorum: no blocks are made",
        "consensus": "Consensus",
        "consensus_height": "consensus height",
        "round": "round {round} {step}",
        "catching_up": "catching up",
        "process": "CometBFT process",
        "process_running": "running",
        "process_stopped": "not running",
        "restarts": "restarted {n} times",
        "connections": "p2p connections",
        "signed": "signed the newest block",
        "presence": "State",
        "missing": "missing",
        "present": "there",
        "blocks": "Newest {n} blocks",
        "block": "Height",
        "hash": "Hash",
        "time": "Time",
        "transactions": "Transactions",
        "consensus_column": "Consensus height",
        "peers": "Other members' nodes",
        "no_peers": "There is no other member.",
        "member": "Member",
        "reachable": "answers",
        "unreachable": "does not answer",
        "unknown_address": "address unknown",
        "seen": "Last answer",
        "never": "never",
        "error": "Last error",
        "log": "Log",
        "log_size": "Durable records",
        "log_published": "Published",
        "log_witnessed": "Witnessed",
        "log_anchored": "Anchored",
        "log_indexed": "Indexed",
        "witnesses": "Witnesses",
        "witness_size": "Cosigned up to",
        "since": "missing",
        "loops": "Background loops",
        "loops_well": "All {n} loops work.",
        "failures": "Recent errors",
        "no_failures": "No error since the start.",
        "times": "{n} times",
        "disk_free": "Disk free",
        "version": "version",
        "footer": "This page is read-only and open to this machine only; everything on it is read from the node just now.",
        "ago_s": "{n} s ago",
        "ago_m": "{n} min ago",
        "ago_h": "{n} h ago",
        "ago_d": "{n} d ago",
    },
}

#: What the script in the page needs.
SCRIPT_KEYS: Final = ("live", "stale", "ago_s", "ago_m", "ago_h", "ago_d")


def choose(asked: str | None, accepted: str | None) -> str:
    """The language of a page: ``?lang=`` first, then the first of the browser's languages that is one of ours, else
    Chinese."""
    if asked in LANGUAGES:
        return asked
    weighed: list[tuple[float, str]] = []
    for part in (accepted or "").split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        name = tag.split("-")[0].lower()
        if name in LANGUAGES:
            try:
                weighed.append((float(weight) if weight else 1.0, name))
            except ValueError:
                continue
    best = max((weight for weight, _ in weighed), default=0.0)
    return next((name for weight, name in weighed if weight == best and weight > 0), "zh")


def ago(seconds: int, texts: Mapping[str, str]) -> str:
    """How long ago, in the largest fitting unit."""
    for key, size in (("ago_d", 86_400), ("ago_h", 3_600), ("ago_m", 60)):
        if seconds >= 2 * size:
            return texts[key].format(n=seconds // size)
    return texts["ago_s"].format(n=max(0, seconds))
