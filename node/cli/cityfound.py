"""``civicledger city found``: a city of members that keep their keys on machines of their own."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import typer

from ledger.errors import InvalidInputError
from node.cli.connect import JsonOption
from node.cli.output import out, print_json, table
from node.cli.propose import read_card
from node.cli.texts import t

_FIELDS = ("uscc", "handle", "region", "account", "keys", "grpc", "https", "certificate")


def found(
    cards: list[Path] = typer.Argument(
        ..., help=t("what `node init` printed, one file a member", "`node init` 的输出，每成员一个文件")
    ),
    folder: Path = typer.Option(..., "--out", help=t("new folder for the two files", "存放两个文件的新目录")),
    chain_id: int = typer.Option(
        0,
        "--chain-id",
        min=0,
        max=(1 << 53) - 1,
        help=t("number of the chain (external: the network's own)", "链编号（external：该网络自己的编号）"),
    ),
    region: str = typer.Option(..., help=t("GB/T 2260 code of the city", "城市的行政区划代码")),
    engine: str = typer.Option("cometbft", "--engine", help="cometbft | solo | external"),
    sequencer: str = typer.Option(
        "", "--sequencer", help=t("handle of the member that orders (solo)", "出块成员的代号（solo）")
    ),
    validator: list[str] = typer.Option(
        [], "--validator", help=t("handle, repeat (cometbft; default: all)", "验证者代号，可重复（cometbft；默认全部）")
    ),
    role: list[str] = typer.Option(
        [],
        "--role",
        help=t(
            "handle=supervisor | auditor | quality | health | hospital, repeat",
            "代号=supervisor | auditor | quality | health | hospital，可重复",
        ),
    ),
    rpc: str = typer.Option("", "--rpc", help=t("JSON-RPC of the network (external)", "网络的 JSON-RPC（external）")),
    deployer: Path | None = typer.Option(
        None,
        "--deployer",
        help=t("folder of the member whose account makes the contracts (external)", "部署合约的成员目录（external）"),
    ),
    as_json: bool = JsonOption,
) -> None:
    """Every member checks the digest with the others before it joins."""
    from ledger.chain.genesis import ENGINES, EXTERNAL, decode_genesis
    from node.city.assembly import assemble_city, write_city
    from node.city.found import settled_by

    if engine not in ENGINES or (engine == "solo") != bool(sequencer):
        raise InvalidInputError(
            "city.engine",
            t("solo needs --sequencer HANDLE, cometbft has none", "solo 须指定 --sequencer，cometbft 不用"),
            hint="cometbft | solo | external",
        )
    outside = engine == EXTERNAL
    if outside != bool(rpc) or outside != (deployer is not None) or outside == bool(chain_id):
        raise InvalidInputError(
            "city.rpc",
            t(
                "external needs --rpc and --deployer, the other engines --chain-id",
                "external 须指定 --rpc 和 --deployer，其他引擎须指定 --chain-id",
            ),
            hint="--engine external --rpc http://127.0.0.1:8545 --deployer ./data",
        )
    roles: dict[str, list[str]] = {}
    for text in role:
        handle, equals, word = text.partition("=")
        if not equals:
            raise InvalidInputError(
                "city.role",
                t(f"--role {text!r} is not handle=role", f"--role {text!r} 不是“代号=角色”"),
                hint="--role audit=auditor",
            )
        roles.setdefault(handle, []).append(word)
    genesis, peers = assemble_city(
        [read_card(path, _FIELDS) for path in cards],
        chain_id=chain_id,
        region=region,
        time_ms=time.time_ns() // 1_000_000,
        engine=engine,
        sequencer=sequencer,
        validators=validator,
        roles=roles,
        settle=partial(settled_by, deployer, rpc, environ=os.environ) if deployer is not None else None,
    )
    write_city(folder, genesis, peers)
    city = decode_genesis(genesis)
    if as_json:
        members = [{"uscc": one.uscc, "handle": one.handle, "validator": one.validator} for one in city.members]
        print_json({"folder": str(folder), "chain": city.digest.hex(), "engine": city.engine, "members": members})
        return
    table(
        t("Founded", "已建立"),
        [t("member", "成员"), t("handle", "代号"), t("roles", "角色"), t("validator", "验证者")],
        [(one.uscc, one.handle, ", ".join(one.roles.words), one.validator) for one in city.members],
    )
    out.print(t(f"city {city.digest.hex()}", f"城市 {city.digest.hex()}"), markup=False)
    out.print(
        t(
            f"next, every member: civicledger node join --genesis {folder}/genesis.json --peers {folder}/peers.json --node FOLDER",
            f"下一步，各成员：civicledger node join --genesis {folder}/genesis.json --peers {folder}/peers.json --node 目录",
        ),
        markup=False,
        soft_wrap=True,
    )


HELP = t(
    "Found a city whose members have machines of their own: genesis and peers from their cards; nobody's keys leave home.\n\n"
    "Each member: civicledger node init FOLDER … --engine cometbft --host ADDRESS > card.json. Then one of them:\n\n"
    "Example: civicledger city found a.json b.json c.json d.json --out ./founding --chain-id 4401 --region 440100 --role a=supervisor",
    "由各自拥有机器的成员建立城市：用名片生成创世文件和 peers.json，密钥不离开本机。\n\n"
    "各成员：civicledger node init 目录 … --engine cometbft --host 地址 > card.json。然后由其中一方：\n\n"
    "例：civicledger city found a.json b.json c.json d.json --out ./founding --chain-id 4401 --region 440100 --role a=supervisor",
)
