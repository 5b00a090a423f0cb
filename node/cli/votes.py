"""Proposals in words: what one would change, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ledger.model import Roles
from ledger.v1 import types_pb2 as types
from node.cli.texts import t


def in_words(one: types.Proposal, handles: Mapping[str, str] | None = None) -> str:
    """What the proposal would do. ``handles``: by USCC, for members the reader knows by a shorter name."""
    known = handles or {}
    data: dict[str, Any] = json.loads(one.data)

    def who(field: str) -> str:
        return known.get(data.get(field, ""), str(data.get(field, "?")))

    roles = ", ".join(data.get("roles", [])) if isinstance(data.get("roles"), list) else _role_words(data.get("roles"))
    nobody = t("none", "无")
    says = {
        "admit": lambda: t(
            f"admit {data['handle']} ({data['member']}), roles {roles or nobody}"
            + (", as a validator" if data["validator"] else ""),
            f"接纳 {data['handle']}（{data['member']}），角色：{roles or nobody}"
            + ("，并担任验证者" if data["validator"] else ""),
        ),
        "suspend": lambda: t(f"suspend {who('member')}", f"暂停 {who('member')}"),
        "reinstate": lambda: t(f"reinstate {who('member')}", f"恢复 {who('member')}"),
        "remove": lambda: t(f"remove {who('member')}", f"移除 {who('member')}"),
        "set-validator": lambda: t(
            f"{who('member')} becomes a validator"
            if data["validator"]
            else f"{who('member')} is no validator any more",
            f"{who('member')} 成为验证者" if data["validator"] else f"{who('member')} 不再是验证者",
        ),
        "replace-validator": lambda: t(
            f"validator {who('old')} is replaced by {who('new')}", f"验证者 {who('old')} 由 {who('new')} 替换"
        ),
        "set-roles": lambda: t(
            f"roles of {who('member')}: {roles or nobody}", f"{who('member')} 的角色：{roles or nobody}"
        ),
        "adopt-code": lambda: t(
            f"{'adopt' if data['adopted'] else 'withdraw'} creation code {data['codeHash']}",
            f"{'采纳' if data['adopted'] else '撤销'}创建代码 {data['codeHash']}",
        ),
        "replace-contract": lambda: t(
            f"{data['name']} becomes the contract at {data['contract']}",
            f"{data['name']} 改为 {data['contract']} 处的合约",
        ),
        "activate-version": lambda: t(
            f"state machine version {data['version']} from height {data['height']} on",
            f"自高度 {data['height']} 起启用状态机版本 {data['version']}",
        ),
        "retire-log": lambda: t(f"retire the log of {who('member')}", f"停用 {who('member')} 的日志"),
        "replace-account": lambda: t(
            f"the account of {who('member')} becomes {data['account']}", f"{who('member')} 的账户改为 {data['account']}"
        ),
        "end-key": lambda: t(
            f"end key {data['material']}" + (f", compromised since {data['since']}" if data["compromised"] else ""),
            f"终止密钥 {data['material']}" + (f"，自 {data['since']} 起视为泄露" if data["compromised"] else ""),
        ),
        "approve-core-grant": lambda: t(
            f"approve grant {data['grant']} of core data for {who('consumer')}",
            f"批准 {who('consumer')} 的核心数据授权 {data['grant']}",
        ),
    }
    return says[one.kind]() if one.kind in says else one.kind


def standing(one: types.Proposal) -> str:
    """Votes, and what is missing."""
    votes = t(f"{one.yes} yes, {one.no} no of {one.active}", f"{one.yes} 赞成、{one.no} 反对，共 {one.active} 票")
    if one.state == "executed":
        return t(f"carried out ({votes})", f"已执行（{votes}）")
    if one.state == "expired":
        return t(f"expired ({votes})", f"已过期（{votes}）")
    if one.needed == 0:
        return t(
            f"has its votes ({votes}): civicledger member execute {one.id}",
            f"票数已够（{votes}）：civicledger member execute {one.id}",
        )
    return t(f"open: {votes}, {one.needed} more yes needed", f"表决中：{votes}，还需 {one.needed} 票赞成")


def proposal_value(one: types.Proposal) -> dict[str, Any]:
    """JSON-ready. ``yes``, ``no``, ``active``: votes that count now."""
    return {
        "id": one.id,
        "kind": one.kind,
        "proposer": one.proposer,
        "target": one.target,
        "arguments": json.loads(one.data),
        "yes": one.yes,
        "no": one.no,
        "active": one.active,
        "needed": one.needed,
        "state": one.state,
        "created": one.created,
        "expires": one.expires,
        "votes": [{"member": cast.member, "yes": cast.yes} for cast in one.votes],
        "waiting": list(one.waiting),
    }


def _role_words(bits: object) -> str:
    return ", ".join(role.name.lower() for role in Roles if role.name and isinstance(bits, int) and bits & role)
