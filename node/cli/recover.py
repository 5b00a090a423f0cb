"""``civicledger city recover``: a city on CometBFT whose validators are lost for good goes on with others."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import typer

from ledger.chain.recovery import Recovery, Tally, encode_recovery
from ledger.errors import ConflictError, InvalidInputError
from ledger.log.files import disk_errors, replace_file
from ledger.model import format_time
from node.cli.connect import JsonOption, NodeOption, node_folder
from node.cli.output import err, facts, out, print_json
from node.cli.texts import t
from node.config import load_config
from node.recovering import (
    Agreed,
    judge_by_file,
    judge_recovery,
    propose_recovery,
    read_recoveries,
    sign_recovery,
    start_recovery,
    withdraw,
)
from node.recoveryfiles import RecoveryFiles

app = typer.Typer(
    help=t(
        "When a third of the validators or more are lost for good: the members agree where the chain ends and who votes "
        "from there on. Nothing that was acknowledged is lost; logs go on as they are.\n\n"
        "1. Every member stops its node. 2. The one with the highest head: recover propose. 3. The others: recover sign. "
        "4. With enough signatures everybody: recover start, and the nodes run again.\n\n"
        "Example: civicledger city recover propose --lost labour --lost audit --validator water --validator health "
        "--out recovery.json",
        "三分之一以上验证节点永久丢失时：成员商定旧链的终点和此后的验证者。已确认的写入不会丢失，日志照旧延续。\n\n"
        "一、各成员停止节点。二、链头最高的一方：recover propose。三、其他成员：recover sign。四、签名足够后各成员：recover start，再启动节点。\n\n"
        "例：civicledger city recover propose --lost labour --lost audit --validator water --validator health "
        "--out recovery.json",
    ),
    no_args_is_help=True,
)
_FILES = typer.Argument(..., help=t("recovery file, or several copies of it", "恢复文件，可给出多份副本"))
_STATE = typer.Option(
    None,
    "--state",
    help=t(
        "the file state in recovery/ of the member that proposed, for a node that has less than the agreed block",
        "提议方目录 recovery/ 中的 state 文件，供缺少约定区块的节点使用",
    ),
)
_READING = t("reading the chain", "正在读取链数据")


@app.command(
    "propose",
    help=t(
        "Propose to go on from this node's head, and sign it. The node must be stopped; it does not run on the old chain "
        "any more. Give the file to the other members.\n\n"
        "Example: civicledger city recover propose --lost labour --lost audit --validator water --validator health "
        "--out recovery.json --node ./civil",
        "提议以本节点的链头为起点恢复，并签名。须先停止节点；此后它不再运行于旧链。将文件交给其他成员。\n\n"
        "例：civicledger city recover propose --lost labour --lost audit --validator water --validator health "
        "--out recovery.json --node ./civil",
    ),
)
def propose(
    lost: list[str] = typer.Option(
        ..., "--lost", help=t("validator that is lost for good, repeat", "永久丢失的验证者，可重复")
    ),
    validator: list[str] = typer.Option(
        [], "--validator", help=t("member that votes from now on, repeat", "新增的验证者，可重复")
    ),
    target: Path = typer.Option(..., "--out", help=t("file to write", "输出文件")),
    chain_id: int = typer.Option(
        0, min=0, max=(1 << 32) - 1, help=t("new number of the chain (default: one more)", "新链编号（默认加一）")
    ),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Validators that are not lost stay in."""
    folder = node_folder(node)
    if not target.absolute().parent.is_dir():
        raise InvalidInputError(
            "recovery.no-folder",
            t(f"there is no folder {target.parent}", f"没有目录 {target.parent}"),
            hint=t("make it first, or choose another place", "请先建立目录，或另选位置"),
        )
    if target.exists():
        raise ConflictError(
            "recovery.exists",
            t(f"{target} is there already", f"{target} 已存在"),
            hint=t("choose another file name", "请另选文件名"),
        )
    with err.status(_READING):
        made = propose_recovery(
            folder,
            os.environ,
            lost=lost,
            validators=validator,
            chain_id=chain_id,
            now_ms=time.time_ns() // 1_000_000,
        )
    _write(target, made.recovery)
    _show(made, as_json, file=target)
    if not as_json:
        kept = RecoveryFiles.of(load_config(folder), made.recovery.terms.chain).state
        out.print(t(f"for nodes that have less: {kept}", f"供数据较少的节点使用：{kept}"), markup=False, soft_wrap=True)


@app.command(
    "sign",
    help=t(
        "Check a proposal by this node's own chain and sign it with the member's account. The node must be stopped.\n\n"
        "Example: civicledger city recover sign recovery.json --node ./water",
        "以本节点的链数据核对提议，并用成员账户签名。须先停止节点。\n\n例：civicledger city recover sign recovery.json --node ./water",
    ),
)
def sign(
    files: list[Path] = _FILES,
    target: Path | None = typer.Option(
        None, "--out", help=t("file to write (default: the first one, in place)", "输出文件（默认写回第一个文件）")
    ),
    state: Path | None = _STATE,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Nothing is written where this node's state says otherwise."""
    folder = node_folder(node)
    with err.status(_READING):
        made = sign_recovery(folder, os.environ, read_recoveries(files), state_file=state)
    _write(target or files[0], made.recovery)
    _show(made, as_json, file=target or files[0])


@app.command(
    "show",
    help=t(
        "What a proposal says and who signed; checked by this node's own chain (the node stopped), or by a state file "
        "alone, as an auditor does.\n\n"
        "Examples: civicledger city recover show recovery.json --node ./water\n\n"
        "          civicledger city recover show recovery.json --state state",
        "显示提议内容和签名情况，并以本节点的链数据核对（节点须停止），或如审计方仅凭 state 文件核对。\n\n"
        "例：civicledger city recover show recovery.json --node ./water\n\n"
        "    civicledger city recover show recovery.json --state state",
    ),
)
def show(
    files: list[Path] = _FILES,
    state: Path | None = _STATE,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Reads only."""
    with err.status(_READING):
        recovery = read_recoveries(files)
        if state is not None and node is None:
            judged = judge_by_file(recovery, state)
        else:
            judged = judge_recovery(node_folder(node), recovery, state_file=state)
    _show(judged, as_json)


@app.command(
    "start",
    help=t(
        "Take this node over to the recovered city, with enough signatures. Its blocks and its log stay. Run again after "
        "an interruption.\n\n"
        "Examples: civicledger city recover start recovery.json --node ./water\n\n"
        "          civicledger city recover start a.json b.json c.json      signatures in several copies\n\n"
        "          civicledger city recover start recovery.json --state ./state   a node that has less than the others",
        "签名足够后，将本节点转到恢复后的城市；区块和日志保留。中断后重新执行即可。\n\n"
        "例：civicledger city recover start recovery.json --node ./water\n\n"
        "    civicledger city recover start a.json b.json c.json      签名分散在多份副本\n\n"
        "    civicledger city recover start recovery.json --state ./state   本节点数据少于其他成员",
    ),
)
def start(
    files: list[Path] = _FILES,
    state: Path | None = _STATE,
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A node with blocks beyond the agreed one is refused."""
    folder = node_folder(node)
    with err.status(_READING):
        done = start_recovery(folder, read_recoveries(files), state_file=state)
    city = done.recovery.city
    if as_json:
        print_json({**_value(done.recovery), "first_block": done.height, "again": done.again, "folder": str(folder)})
        return
    facts(
        t("Recovered", "已恢复"),
        {
            t("city", "城市"): city.digest,
            t("chain number", "链编号"): city.chain_id,
            t("goes on with block", "起始区块"): done.height,
        },
    )
    out.print(
        t(f"next: civicledger node run --node {folder}", f"下一步：civicledger node run --node {folder}"), markup=False
    )


@app.command(
    "withdraw",
    help=t(
        "Take back what was signed here, so that the node runs on the old chain again. Only when nobody has started: a copy "
        "of your signature may still be counted.\n\n"
        "Example: civicledger city recover withdraw --yes --node ./water",
        "撤回在此处的签名，使节点重新运行于旧链。仅限尚无成员启动恢复时：已发出的签名副本仍可能被使用。\n\n"
        "例：civicledger city recover withdraw --yes --node ./water",
    ),
)
def take_back(
    yes: bool = typer.Option(False, "--yes", help=t("you asked every member", "已向全体成员确认")),
    node: Path | None = NodeOption,
) -> None:
    """For the case that the lost validators come back."""
    folder = node_folder(node)
    if not yes:
        raise InvalidInputError(
            "recovery.unconfirmed",
            t("a signature that was given may still be used", "已给出的签名仍可能被使用"),
            hint=t("ask every member whether it has started, then add --yes", "先向全体成员确认无人启动，再加 --yes"),
        )
    gone = withdraw(folder)
    out.print(t("withdrawn", "已撤回") if gone else t("nothing was signed here", "此处没有签名"))


def _write(path: Path, recovery: Recovery) -> None:
    with disk_errors(path, of_log=False):
        replace_file(path, encode_recovery(recovery))


def _value(recovery: Recovery) -> dict[str, Any]:
    terms, city = recovery.terms, recovery.city
    return {
        "chain": city.digest,
        "chain_id": city.chain_id,
        "before": terms.chain,
        "height": terms.height,
        "hash": terms.hash,
        "lost": list(terms.lost),
        "validators": [member.uscc for member in city.validators],
        "signed": list(recovery.signers),
    }


def _show(found: Agreed, as_json: bool, *, file: Path | None = None) -> None:
    recovery, count = found.recovery, found.tally
    if as_json:
        tail = {"needed": count.needed, "members": count.active, "missing": list(count.missing)}
        print_json({**_value(recovery), **tail, "complete": count.complete})
        return
    names = {info.uscc: info.handle for info in found.state.active}
    joined = t(", ", "、")
    terms = recovery.terms
    facts(
        t("Recovery", "恢复"),
        {
            t("old city", "旧城市"): terms.chain,
            t("old chain ends with block", "旧链终点区块"): f"{terms.height} 0x{terms.hash.hex()}",
            t("lost", "丢失"): joined.join(names.get(uscc, uscc) for uscc in terms.lost),
            t("validators from now on", "此后的验证者"): joined.join(one.handle for one in recovery.city.validators),
            t("begins at", "起始时间"): format_time(recovery.city.time_ms),
            t("new chain number", "新链编号"): recovery.city.chain_id,
            t("new city", "新城市"): recovery.city.digest,
            t("signed", "已签名"): joined.join(names.get(uscc, uscc) for uscc in count.signed),
            t("signatures", "签名数"): f"{len(count.signed)} / {count.needed}",
        },
    )
    out.print(_next(count, names, joined, file), markup=False, soft_wrap=True)


def _next(count: Tally, names: dict[str, str], joined: str, file: Path | None) -> str:
    name = file or t("FILE", "文件")
    if count.complete:
        return t(
            f"next, every member: civicledger city recover start {name}",
            f"下一步，各成员：civicledger city recover start {name}",
        )
    must = joined.join(names.get(uscc, uscc) for uscc in count.missing)
    also = t(f"; among them {must}", f"，其中须有 {must}") if must else ""
    return t(
        f"next, other members{also}: civicledger city recover sign {name}",
        f"下一步，其他成员{also}：civicledger city recover sign {name}",
    )
