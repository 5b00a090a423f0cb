"""The page's words, Chinese and English. One key, both languages: a test compares the two sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("zh", "en")

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "title": "城市数据共享台账",
        "lead": "谁可以用什么数据、谁用了、有没有人事后改动——每个人都可以自己核对。",
        "other_language": "English",
        "theme": "切换明暗",
        "live": "实时",
        "stale": "读取中断",
        "stat_height": "链高度",
        "stat_head": "最新签名时间",
        "stat_final": "已终局高度",
        "stat_records": "经见证的记录",
        "stat_members": "有效成员",
        "stat_datasets": "目录数据集",
        "finality_single-signer": "单一出块方签名，其他成员共签",
        "finality_bft": "拜占庭容错共识",
        "finality_unproven": "未证明",
        "engine": "引擎",
        "members": "成员与日志",
        "members_note": "日志大小取自经签名并由其他成员过半共签的检查点，本网关已逐一验证。",
        "log_size": "日志",
        "records": "条",
        "anchored": "已锚定",
        "never": "尚未",
        "witnessed_by": "共签",
        "needed": "需",
        "role_supervisor": "数据主管",
        "role_auditor": "审计",
        "role_quality": "质量评价",
        "validator": "验证者",
        "status_active": "有效",
        "status_suspended": "已暂停",
        "status_removed": "已退出",
        "reachable": "节点在线",
        "unreachable": "节点未应答",
        "blocks": "最近区块",
        "block": "区块",
        "transactions": "笔交易",
        "datasets": "数据目录",
        "no_datasets": "目录中还没有数据集。",
        "dataset": "数据集",
        "provider": "提供方",
        "level": "分级",
        "sharing": "共享类型",
        "versions": "版本",
        "rows": "行",
        "content": "内容摘要",
        "level_general": "一般",
        "level_important": "重要",
        "level_core": "核心",
        "sharing_unconditional": "无条件共享",
        "sharing_conditional": "有条件共享",
        "sharing_not-shared": "不予共享",
        "withdrawn": "已撤回",
        "more": "其余 {n} 个见 /v1/datasets",
        "verify": "核验证明文件",
        "verify_note": "拖入一个 .civic 文件，或点按选择。文件只用于核验，不会保存。",
        "verify_drop": "拖到这里，或点按选择 .civic 文件",
        "verify_running": "正在核验 {name} …",
        "verify_too_large": "文件超过 1 MiB，不是证明文件。",
        "verify_failed_send": "无法连接网关，请稍后重试。",
        "verdict_verified": "核验通过",
        "verdict_expired": "证据完整，但验证策略已过期",
        "verdict_broken": "核验未通过",
        "verdict_unjudged": "未能核验",
        "verdict_stopped": "在第一处断裂停止；其余环节未再判断。",
        "check_bundle": "文件完整，写法唯一",
        "check_record": "记录本身未被改动",
        "check_inclusion": "记录确在该部门的日志中",
        "check_checkpoint": "日志已签名，并由其他部门共同见证",
        "check_anchor": "日志状态已锚定在链上合约",
        "check_state": "成员与密钥由链上状态证明",
        "check_finality": "所在区块已获签名确认",
        "check_policy": "验证所依据的信任策略有效",
        "check_skipped": "未判断",
        "subject": "这份文件证明了什么",
        "subject_type": "事件",
        "subject_member": "记录方",
        "subject_time": "时间",
        "subject_entry": "日志位置",
        "subject_anchor": "锚定区块",
        "subject_finality": "终局方式",
        "error_code": "代码",
        "ago_s": "{n} 秒前",
        "ago_m": "{n} 分钟前",
        "ago_h": "{n} 小时前",
        "ago_d": "{n} 天前",
        "unknown": "未知",
        "problem": "问题",
        "starting": "正在读取城市……",
        "offline": "独立核验：civicledger bundle verify 文件 --policy 策略（无需网络）。",
        "api": "接口",
        "footer": "本网关不持有任何台账私钥，不写入任何日志。",
    },
    "en": {
        "title": "City data-sharing ledger",
        "lead": "Who may use which data, who used it, whether anybody rewrote a line afterwards: check it yourself.",
        "other_language": "中文",
        "theme": "Switch light and dark",
        "live": "live",
        "stale": "reading interrupted",
        "stat_height": "Chain height",
        "stat_head": "Newest signed time",
        "stat_final": "Final height",
        "stat_records": "Witnessed records",
        "stat_members": "Active members",
        "stat_datasets": "Catalogued datasets",
        "finality_single-signer": "one sequencer signs, the others cosign",
        "finality_bft": "Byzantine fault tolerant",
        "finality_unproven": "unproven",
        "engine": "engine",
        "members": "Members and their logs",
        "members_note": "Sizes come from signed checkpoints that a quorum of other members cosigned; this gateway "
        "verified every one.",
        "log_size": "Log",
        "records": "records",
        "anchored": "Anchored",
        "never": "not yet",
        "witnessed_by": "Cosigned by",
        "needed": "needed",
        "role_supervisor": "supervisor",
        "role_auditor": "auditor",
        "role_quality": "quality body",
        "validator": "validator",
        "status_active": "active",
        "status_suspended": "suspended",
        "status_removed": "removed",
        "reachable": "node answers",
        "unreachable": "node does not answer",
        "blocks": "Recent blocks",
        "block": "Block",
        "transactions": "transactions",
        "datasets": "Data catalogue",
        "no_datasets": "The catalogue has no dataset yet.",
        "dataset": "Dataset",
        "provider": "Provider",
        "level": "Level",
        "sharing": "Sharing",
        "versions": "Version",
        "rows": "rows",
        "content": "Content digest",
        "level_general": "general",
        "level_important": "important",
        "level_core": "core",
        "sharing_unconditional": "unconditional",
        "sharing_conditional": "conditional",
        "sharing_not-shared": "not shared",
        "withdrawn": "withdrawn",
        "more": "{n} more at /v1/datasets",
        "verify": "Check a proof file",
        "verify_note": "Drop a .civic file or tap to choose one. It is judged and not kept.",
        "verify_drop": "Drop here, or tap to choose a .civic file",
        "verify_running": "Checking {name} …",
        "verify_too_large": "The file is larger than 1 MiB: it is no proof file.",
        "verify_failed_send": "The gateway cannot be reached. Try again later.",
        "verdict_verified": "Verified",
        "verdict_expired": "The evidence holds, but the trust policy has expired",
        "verdict_broken": "Not verified",
        "verdict_unjudged": "Could not be judged",
        "verdict_stopped": "The check stopped at the first broken link; the others were not judged.",
        "check_bundle": "The file is whole and in its one spelling",
        "check_record": "The record itself is unchanged",
        "check_inclusion": "The record is in the department's log",
        "check_checkpoint": "The log is signed, and other departments witnessed it",
        "check_anchor": "The log's state is anchored in the contract on chain",
        "check_state": "Members and keys are proven by the chain's state",
        "check_finality": "The block is confirmed by signatures",
        "check_policy": "The trust policy used is valid",
        "check_skipped": "not judged",
        "subject": "What this file proves",
        "subject_type": "Event",
        "subject_member": "Recorded by",
        "subject_time": "Time",
        "subject_entry": "Place in the log",
        "subject_anchor": "Anchored in block",
        "subject_finality": "Finality",
        "error_code": "Code",
        "ago_s": "{n} s ago",
        "ago_m": "{n} min ago",
        "ago_h": "{n} h ago",
        "ago_d": "{n} d ago",
        "unknown": "unknown",
        "problem": "Problem",
        "starting": "Reading the city …",
        "offline": "On your own: civicledger bundle verify FILE --policy POLICY (needs no network).",
        "api": "Interfaces",
        "footer": "This gateway holds no private key of the ledger and writes to no log.",
    },
}

#: What the script in the page needs.
SCRIPT_KEYS: Final = tuple(
    key
    for key in TEXTS["en"]
    if key.startswith(("verify_", "verdict_", "check_", "subject", "ago_", "finality_"))
    or key in ("error_code", "stale", "live")
)


def choose(asked: str | None, accepted: str | None) -> str:
    """The language of a page: ``?lang=`` first, then the browser's preference, else Chinese."""
    if asked in LANGUAGES:
        return asked
    best, language = 0.0, "zh"
    for part in (accepted or "").split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        name = tag.split("-")[0].lower()
        try:
            value = float(weight) if weight else 1.0
        except ValueError:
            continue
        if name in LANGUAGES and value > best:
            best, language = value, name
    return language


def ago(seconds: int, texts: Mapping[str, str]) -> str:
    """How long ago, in the largest fitting unit."""
    for key, size in (("ago_d", 86_400), ("ago_h", 3_600), ("ago_m", 60)):
        if seconds >= 2 * size:
            return texts[key].format(n=seconds // size)
    return texts["ago_s"].format(n=max(0, seconds))
