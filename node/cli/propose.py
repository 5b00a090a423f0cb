"""``civicledger member propose``: every change the members can vote on, each a command of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from ledger.codec import encode
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_hex32
from ledger.model import parse_time
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import (
    CALL_TIMEOUT,
    Connection,
    GrantArgument,
    JsonOption,
    NodeOption,
    connect,
    grant_id,
    resolve_member,
)
from node.cli.contractcode import code_hash, read_code
from node.cli.inputs import MAX_NUMBER, parse_json
from node.cli.output import out, print_json
from node.cli.texts import t

app = typer.Typer(
    help=t(
        "Propose a change the members vote on: more than two thirds must agree, whom it concerns has no vote.",
        "提出由成员表决的变更：须超过三分之二同意，当事成员不参与表决。",
    ),
    no_args_is_help=True,
)
_MEMBER = typer.Argument(..., help=t("USCC or handle", "统一社会信用代码或代号"))
_DAYS = typer.Option(7, "--days", min=1, max=90, help=t("open for so many days", "表决期（天）"))
_ANYWAY = typer.Option(
    False,
    "--anyway",
    help=t("propose it although it could not be carried out as things stand", "即使按目前状态无法执行也提出"),
)
_DAY_S = 86_400


def _send(
    connection: Connection, kind: str, arguments: dict[str, Any], days: int, as_json: bool, *, anyway: bool = False
) -> None:
    """Put it to the vote and say what comes next."""
    stub = connection.stub(rpc.MemberServiceStub)
    expires = int(time.time()) + days * _DAY_S - 60  # a node whose clock is a little behind still takes the longest
    answer = stub.Propose(
        pb.ProposeRequest(kind=kind, arguments=encode(arguments), expires=expires, anyway=anyway), timeout=CALL_TIMEOUT
    )
    if as_json:
        print_json(
            {"proposal": answer.proposal, "transaction": answer.transaction.hash, "height": answer.transaction.height}
        )
        return
    number = answer.proposal
    out.print(
        t(
            f"proposal {number} is open. Each member votes: civicledger member vote {number} --yes",
            f"提案 {number} 已提交。各成员表决：civicledger member vote {number} --yes",
        ),
        markup=False,
    )


def _about(
    kind: str, member: str, days: int, node: Path | None, as_json: bool, *, anyway: bool = False, **more: Any
) -> None:
    """A change of one member."""
    with connect(node) as connection:
        _send(connection, kind, {"member": resolve_member(connection, member), **more}, days, as_json, anyway=anyway)


@app.command(
    help=t(
        "Admit a body by the card it made with `civicledger node join`.\n\n"
        "Example: civicledger member propose admit health.card.json --role auditor",
        "接纳新成员，使用其通过 `civicledger node join` 生成的名片。\n\n"
        "例：civicledger member propose admit health.card.json --role auditor",
    )
)
def admit(
    card: Path = typer.Argument(..., help=t("the card (JSON)", "名片（JSON）")),
    role: list[str] = typer.Option([], "--role", help="supervisor | auditor | quality | health | hospital"),
    validator: bool = typer.Option(False, "--validator", help=t("a validator at once", "同时成为验证者")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Its keys and the proof that it holds its account are in the card."""
    value = read_card(card)
    arguments = {
        "uscc": value["uscc"],
        "handle": value["handle"],
        "region": value["region"],
        "roles": sorted(set(role)),
        "account": value["account"].removeprefix("0x"),
        "validator": validator,
        "keys": [{"role": name, "material": key} for name, key in value["keys"].items()],
        "possession": value["possession"].removeprefix("0x"),
    }
    with connect(node) as connection:
        _send(connection, "admit", arguments, days, as_json)


@app.command(
    help=t(
        "Suspend a member: from the next block on its transactions and calls are refused; it stops being a validator.",
        "暂停成员：自下一区块起拒绝其交易和调用；不再担任验证者。",
    )
)
def suspend(
    member: str = _MEMBER,
    anyway: bool = _ANYWAY,
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """It can be reinstated."""
    _about("suspend", member, days, node, as_json, anyway=anyway)


@app.command(
    help=t("End a member's suspension (not its place as a validator).", "恢复被暂停的成员（不含验证者身份）。")
)
def reinstate(
    member: str = _MEMBER, days: int = _DAYS, node: Path | None = NodeOption, as_json: bool = JsonOption
) -> None:
    """Its keys are as before."""
    _about("reinstate", member, days, node, as_json)


@app.command(
    help=t(
        "Remove a member: all its keys end; what it signed before stays verifiable. It may be admitted again with new keys.",
        "移除成员：其全部密钥终止，此前的签名仍可验证；可用新密钥重新接纳。",
    )
)
def remove(
    member: str = _MEMBER,
    anyway: bool = _ANYWAY,
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """For good, under these keys."""
    _about("remove", member, days, node, as_json, anyway=anyway)


@app.command(
    "set-roles",
    help=t(
        "Set a member's roles; without --role it has none.\n\n"
        "Example: civicledger member propose set-roles audit --role auditor --role quality",
        "设定成员角色；不带 --role 则无角色。\n\n例：civicledger member propose set-roles audit --role auditor --role quality",
    ),
)
def set_roles(
    member: str = _MEMBER,
    role: list[str] = typer.Option([], "--role", help="supervisor | auditor | quality | health | hospital"),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """All of them at once, whatever it had before."""
    _about("set-roles", member, days, node, as_json, roles=sorted(set(role)))


@app.command(
    "set-validator",
    help=t(
        "Make a member a validator, or take it out of the set (never below four).\n\n"
        "Example: civicledger member propose set-validator health --on",
        "使成员成为验证者，或将其移出（不得少于四个）。\n\n例：civicledger member propose set-validator health --on",
    ),
)
def set_validator(
    member: str = _MEMBER,
    on: bool = typer.Option(..., "--on/--off", help=t("in the set or out of it", "加入或移出")),
    anyway: bool = _ANYWAY,
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """It needs a consensus key on chain: `civicledger key list`."""
    _about("set-validator", member, days, node, as_json, anyway=anyway, validator=on)


@app.command(
    "replace-validator",
    help=t(
        "Exchange a validator for another member in one step: also when one of four is dead.",
        "一步更换验证者：四个验证者之一失效时也可使用。",
    ),
)
def replace_validator(
    old: str = typer.Argument(..., help=t("the one that leaves", "退出者")),
    new: str = typer.Argument(..., help=t("the one that enters", "加入者")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The one that leaves has no vote."""
    with connect(node) as connection:
        arguments = {"old": resolve_member(connection, old), "new": resolve_member(connection, new)}
        _send(connection, "replace-validator", arguments, days, as_json)


@app.command(
    "adopt-code",
    help=t(
        "Let members make a contract from this creation code (then: member deploy, member propose replace-contract).",
        "允许成员用此创建代码部署合约（随后：member deploy、member propose replace-contract）。",
    ),
)
def adopt_code(
    file: Path = typer.Argument(
        ..., help=t("creation code with its arguments, as hex", "含参数的创建代码（十六进制）")
    ),
    withdraw: bool = typer.Option(False, "--withdraw", help=t("adopt it no longer", "撤销采纳")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """What is voted on is its keccak256: every member can compute it from the same file."""
    digest = code_hash(read_code(file))
    with connect(node) as connection:
        if not as_json:
            out.print(t(f"keccak256 of {file}: {digest.hex()}", f"{file} 的 keccak256：{digest.hex()}"), markup=False)
        _send(connection, "adopt-code", {"codeHash": digest.hex(), "adopted": not withdraw}, days, as_json)


@app.command(
    "replace-contract",
    help=t(
        "Put another contract in force under a name; address and code hash as `member deploy` printed them.\n\n"
        "Example: civicledger member propose replace-contract Anchors 0x… …",
        "以另一合约替换某名称下的合约；地址与代码哈希见 `member deploy` 的输出。\n\n"
        "例：civicledger member propose replace-contract Anchors 0x… …",
    ),
)
def replace_contract(
    name: str = typer.Argument(..., help="Directory | Grants | Anchors | Licences"),
    address: str = typer.Argument(..., help=t("its address", "合约地址")),
    runtime_hash: str = typer.Argument(..., metavar="CODE_HASH", help=t("keccak256 of its code", "其代码的 keccak256")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The Consortium itself is never replaced."""
    arguments = {
        "name": name,
        "contract": address.lower().removeprefix("0x"),
        "codeHash": parse_hex32(runtime_hash).hex(),
    }
    with connect(node) as connection:
        _send(connection, "replace-contract", arguments, days, as_json)


@app.command(
    "activate-version",
    help=t(
        "Activate a version of the state machine at a height: nodes without it stop there.",
        "自某高度起启用状态机的新版本：未升级的节点在该高度停止。",
    ),
)
def activate_version(
    version: int = typer.Argument(..., min=1, max=(1 << 32) - 1, help=t("the version", "版本号")),
    height: int = typer.Option(..., min=1, max=MAX_NUMBER, help=t("from this block on", "自此区块起")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Upgrade every node first."""
    with connect(node) as connection:
        _send(connection, "activate-version", {"version": version, "height": height}, days, as_json)


@app.command(
    "retire-log",
    help=t("Retire a member's log; it begins the next generation.", "停用成员的日志，由下一代日志继续。"),
)
def retire_log(
    member: str = _MEMBER, days: int = _DAYS, node: Path | None = NodeOption, as_json: bool = JsonOption
) -> None:
    """The same as `civicledger log retire`."""
    _about("retire-log", member, days, node, as_json)


@app.command(
    "replace-account",
    help=t(
        "Give a member that lost its account key a new one, by the card of `civicledger key new-account`.",
        "为丢失账户密钥的成员更换账户，使用 `civicledger key new-account` 生成的名片。",
    ),
)
def replace_account(
    card: Path = typer.Argument(..., help=t("the card (JSON)", "名片（JSON）")),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A member that still has its key rotates it by itself: `civicledger key rotate account`."""
    value = read_card(card, ("uscc", "account", "possession"))
    arguments = {
        "member": value["uscc"],
        "account": value["account"].removeprefix("0x"),
        "possession": value["possession"].removeprefix("0x"),
    }
    with connect(node) as connection:
        _send(connection, "replace-account", arguments, days, as_json)


@app.command(
    "end-key",
    help=t(
        "End another member's key (its own ends a member by `civicledger key end`).",
        "终止其他成员的密钥（本部门密钥请用 `civicledger key end`）。",
    ),
)
def end_key(
    material: str = typer.Argument(..., help=t("as `civicledger key list` shows it", "见 `civicledger key list`")),
    compromised_since: str = typer.Option(
        "", "--compromised-since", help=t("UTC, for example 2026-01-31T08:00:00Z", "UTC 时间，如 2026-01-31T08:00:00Z")
    ),
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Retired from the vote on, or compromised since a time."""
    since = moment(compromised_since) if compromised_since else 0
    arguments = {"material": parse_hex32(material).hex(), "compromised": bool(since), "since": since}
    with connect(node) as connection:
        _send(connection, "end-key", arguments, days, as_json)


@app.command(
    "approve-core-grant",
    help=t(
        "Approve the use of core data (核心): besides provider and supervisor the members decide.",
        "批准核心数据的使用：除提供方和主管外，还须成员表决。",
    ),
)
def approve_core_grant(
    grant: str = GrantArgument,
    days: int = _DAYS,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The consumer has no vote."""
    with connect(node) as connection:
        found = connection.stub(rpc.GrantServiceStub).Get(
            pb.GetGrantRequest(id=grant_id(connection, grant)), timeout=CALL_TIMEOUT
        )
        arguments = {"grant": found.id.hex(), "consumer": found.consumer}
        _send(connection, "approve-core-grant", arguments, days, as_json)


def moment(text: str) -> int:
    """A UTC time of the command line as Unix seconds. Raises: InvalidInputError(time.format)."""
    whole = text if "." in text else text.removesuffix("Z") + ".000Z"
    return parse_time(whole) // 1_000


_CARD = ("uscc", "handle", "region", "account", "keys", "possession", "grpc", "https", "certificate")


def read_card(path: Path, needed: tuple[str, ...] = _CARD) -> dict[str, Any]:
    """A card's fields. Raises: InvalidInputError(card.malformed | input.json), OSError."""
    value = parse_json(path.read_bytes(), str(path))
    if not isinstance(value, dict):
        value = {}
    missing = [name for name in needed if not isinstance(value.get(name), dict if name == "keys" else str)]
    if not missing and all(isinstance(key, str) for key in value.get("keys", {}).values()):
        return value
    raise InvalidInputError(
        "card.malformed",
        t(
            f"{path} is no card: {', '.join(missing) or 'keys'}",
            f"{path} 不是名片：缺少 {', '.join(missing) or 'keys'}",
        ),
        hint=t(
            "the body that joins makes it: civicledger node join --genesis FILE",
            "由加入者生成：civicledger node join --genesis FILE",
        ),
    )
