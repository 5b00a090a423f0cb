"""``civicledger city``: a whole city on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import typer

from ledger.chain.genesis import COMETBFT, ENGINES, SOLO, decode_genesis
from ledger.ending import Ending
from ledger.errors import InvalidInputError
from node.city.found import City, init_city, load_city
from node.city.processes import CityProcesses
from node.city.roster import demo_roster, hospital_roster, read_roster
from node.cli import cityfound, recover
from node.cli.connect import JsonOption, connect
from node.cli.groups import SAYS
from node.cli.output import err, out, print_json, table
from node.cli.texts import t
from node.comet.binary import find_cometbft
from node.config import ChainSection, LogSection, encode_config, load_config

app = typer.Typer(help=SAYS["city"], no_args_is_help=True)
app.add_typer(recover.app, name="recover")
#: Length of the demonstration's bulk trail.
BULK = 100_000
#: Chain id of demonstration cities; a real city chooses its own.
DEMO_CHAIN_ID = 680_310
EngineOption = typer.Option(
    SOLO,
    help=t(
        "who orders transactions: solo (one member), cometbft (four or more validators) or external (an EVM network "
        "that somebody runs already)",
        "谁排序交易：solo（一个成员）、cometbft（四个以上验证节点）或 external（他人已运行的 EVM 网络）",
    ),
)
_FolderHelp = t("the city's folder", "城市目录")


@app.command(
    help=t(
        "Found a city: folders, keys, genesis.\n\n"
        "Examples: civicledger city init ./city            five demonstration members\n\n"
        "          civicledger city init ./city --engine cometbft   a BFT network: no single member orders\n\n"
        "          civicledger city init ./city --engine external --rpc http://127.0.0.1:8545   on a network that runs already\n\n"
        "          civicledger city init ./city --roster roster.json --chain-id 4401",
        "建立城市：目录、密钥、创世文件。\n\n"
        "例：civicledger city init ./city            五个演示成员\n\n"
        "    civicledger city init ./city --engine cometbft   BFT 网络：不由单个成员排序\n\n"
        "    civicledger city init ./city --engine external --rpc http://127.0.0.1:8545   建在已运行的网络上\n\n"
        "    civicledger city init ./city --roster roster.json --chain-id 4401",
    )
)
def init(
    folder: Path = typer.Argument(..., help=_FolderHelp),
    roster: Path | None = typer.Option(
        None,
        help=t(
            "JSON file naming the founding members (default: five demonstration bodies)",
            "创始成员名册（JSON；默认为五个演示单位）",
        ),
    ),
    chain_id: int = typer.Option(
        DEMO_CHAIN_ID,
        min=1,
        max=(1 << 53) - 1,
        help=t("number of the chain (external: the network's own)", "链编号（external：该网络自己的编号）"),
    ),
    region: str = typer.Option(
        "310000", help=t("GB/T 2260 code, for the demonstration roster", "演示名册所用行政区划代码")
    ),
    engine: str = EngineOption,
    rpc: str = typer.Option(
        "",
        "--rpc",
        help=t(
            "JSON-RPC of the network (engine external): loopback or https", "网络的 JSON-RPC（external）：本机或 https"
        ),
    ),
    as_json: bool = JsonOption,
) -> None:
    """One folder per member; nothing existing is overwritten."""
    check_engine(engine)
    founders = read_roster(roster, engine) if roster else demo_roster(region)
    if rpc:
        with err.status(t("making the contracts on the network", "正在网络上部署合约")):
            city = init_city(folder, founders, chain_id=chain_id, engine=engine, rpc=rpc)
    else:
        city = init_city(folder, founders, chain_id=chain_id, engine=engine)
    rows = [_describe(city, founder.handle) for founder in founders]
    if as_json:
        print_json({"folder": str(folder), "chain_id": city.chain_id, "engine": engine, "members": rows})
        return
    bft = engine == COMETBFT
    columns = [t("member", "成员"), t("name", "名称"), t("folder", "目录"), "gRPC"]
    table(
        t("Founded", "已建立"),
        [*columns, t("votes", "投票")] if bft else columns,
        [
            (row["uscc"], founder.name, row["folder"], row["grpc"], *([row["validator"]] if bft else []))
            for founder, row in zip(founders, rows, strict=True)
        ],
    )
    out.print(t(f"next: civicledger city up {folder}", f"下一步：civicledger city up {folder}"), markup=False)


def check_engine(engine: str) -> None:
    """Raises: InvalidInputError(city.engine)."""
    if engine not in ENGINES:
        raise InvalidInputError(
            "city.engine",
            t(f"there is no engine {engine!r}", f"没有引擎 {engine!r}"),
            hint=t(f"one of {', '.join(ENGINES)}", f"可选：{'、'.join(ENGINES)}"),
        )


def _describe(city: City, handle: str) -> dict[str, str | bool]:
    config = load_config(city.member_folder(handle))
    member = decode_genesis(config.genesis_file.read_bytes()).member(config.member.uscc)
    return {
        "validator": member is not None and member.validator,
        "uscc": config.member.uscc,
        "handle": handle,
        "folder": str(city.member_folder(handle)),
        "grpc": f"{config.grpc.host}:{config.grpc.port}",
        "https": f"{config.https.host}:{config.https.port}",
        "jsonrpc": f"http://{config.local.host}:{config.local.port}/",
    }


app.command(help=cityfound.HELP)(cityfound.found)


@app.command(
    help=t(
        "Start every node and the gateway of a city, each a process of its own.\n\n"
        "Examples: civicledger city up --demo               found a city, tell its story, stop\n\n"
        "          civicledger city up --demo --keep        ... and leave it serving\n\n"
        "          civicledger city up --demo --engine cometbft   on a BFT network of five validators, without the hospitals\n\n"
        "          civicledger city up ./city               serve a founded city until Ctrl-C",
        "启动城市的所有节点和网关，各为独立进程。\n\n"
        "例：civicledger city up --demo               建立城市、演示、停止\n\n"
        "    civicledger city up --demo --keep        …并保持服务\n\n"
        "    civicledger city up --demo --engine cometbft   由五个验证节点的 BFT 网络排序，不含医院\n\n"
        "    civicledger city up ./city               启动已建立的城市，直到 Ctrl-C",
    )
)
def up(
    folder: Path | None = typer.Argument(None, help=_FolderHelp),
    demo: bool = typer.Option(False, "--demo", help=t("found a fresh city and tell its story", "新建城市并演示")),
    keep: bool = typer.Option(False, "--keep", help=t("leave it serving after the story", "演示后保持服务")),
    engine: str = EngineOption,
    data: list[Path] = typer.Option(
        [], "--data", help=t("publish this file or folder too (repeat)", "同时发布此文件或目录（可重复）")
    ),
    records: int = typer.Option(
        BULK, min=1, max=10_000_000, help=t("length of the demonstration's bulk trail", "演示审计记录条数")
    ),
    as_json: bool = JsonOption,
) -> None:
    """With --demo and no folder the city lives in a fresh temporary folder, which is printed and kept."""
    if not demo and folder is None:
        raise InvalidInputError(
            "city.folder",
            t("which city?", "哪座城市？"),
            hint=t("civicledger city up ./city, or --demo", "civicledger city up ./city，或 --demo"),
        )
    check_engine(engine)
    if (keep or data or engine != SOLO) and not demo:
        raise InvalidInputError(
            "city.options",
            t("--keep, --data and --engine go with --demo", "--keep、--data 和 --engine 须与 --demo 同用"),
            hint=t("a founded city knows its engine", "已建立的城市自有其引擎"),
        )
    if engine == COMETBFT:
        find_cometbft()
    for path in data:
        if not path.exists():
            raise InvalidInputError("data.missing", t(f"no such file or folder: {path}", f"没有这个文件或目录：{path}"))
    started = time.monotonic()
    city = demo_city(folder, engine) if demo else load_city(folder or Path())
    with _sign_in(city) if demo else nullcontext(), CityProcesses(city) as processes:
        count = len(city.handles)
        with err.status(t(f"starting {count} nodes, each a process of its own", f"正在启动 {count} 个节点进程")):
            processes.start_nodes()
            page = processes.start_gateway()
        if not demo:
            _policy(city)
        err.print(t(f"city in {city.folder}, page at {page}", f"城市目录 {city.folder}，页面 {page}"), markup=False)
        if demo:
            from node.city.demo import run_demo

            story = run_demo(city, data, records)
            seconds = time.monotonic() - started
            if as_json:
                print_json({"city": str(city.folder), "page": page, "seconds": round(seconds, 1), **story.facts})
                sys.stdout.flush()  # with --keep somebody reads it while the city serves
            else:
                table(t("What happened", "经过"), [t("step", "步骤"), t("result", "结果")], story.lines)
                for one in story.tables:
                    table(one.title, one.columns, one.rows)
                _next_commands(city, page, keep)
                out.print(t(f"done in {seconds:.0f} s", f"用时 {seconds:.0f} 秒"))
        if keep or not demo:
            err.print(t(f"serving; page at {page}; Ctrl-C stops and drains", f"服务中；页面 {page}；Ctrl-C 平稳停止"))
            serve(processes)


def _sign_in(city: City) -> AbstractContextManager[Any]:
    """The demonstration's identity service, for as long as its city is served."""
    from node.city.signingin import serve_sign_in

    return serve_sign_in(city)


def _policy(city: City) -> None:
    """Give the gateway the trust policy as its home node sees it; a later one is the operator's to fetch."""
    from node.city.steps import trust_policy

    with (
        err.status(t("waiting for the chain's first finality", "等待链的首次终局")),
        connect(city.member_folder(city.handles[0])) as connection,
    ):
        (city.gateway_folder / "policy.json").write_bytes(trust_policy(connection))


def demo_city(folder: Path | None, engine: str = SOLO) -> City:
    """Found the demonstration's city, in a fresh temporary folder where none is given. Its hospitals are left out where
    every member brings a CometBFT: ten of them are too much for one machine."""
    where = folder or Path(tempfile.mkdtemp(prefix="civicledger-")) / "city"
    # A short heartbeat and anchor interval: the story should not wait for clocks made for years.
    city = init_city(
        where,
        (*demo_roster(), *(hospital_roster() if engine == SOLO else ())),
        chain_id=DEMO_CHAIN_ID,
        engine=engine,
        chain=ChainSection(heartbeat_interval=5),
        log=LogSection(anchor_interval_ms=1_000),
    )
    for founder in hospital_roster():
        if founder.handle in city.handles:
            set_medical(city, founder.handle)
    return city


def set_medical(city: City, handle: str) -> None:
    """A backup of its own for the keys of patients' data (a real one is on another disk), figures for everybody at once
    instead of at midnight, and a checkpoint a second: nine others cosign each of them, all on this machine."""
    copies = city.folder / "key-backups" / handle
    copies.mkdir(mode=0o700, parents=True)
    config = load_config(city.member_folder(handle))
    medical = msgspec.structs.replace(
        config.medical, key_backup=os.path.relpath(copies, config.folder), figures_interval=1
    )
    log = msgspec.structs.replace(config.log, checkpoint_interval_ms=1_000)
    (config.folder / "node.toml").write_bytes(encode_config(msgspec.structs.replace(config, medical=medical, log=log)))


def _next_commands(city: City, page: str, keep: bool) -> None:
    command = _command()
    transport, audit = city.member_folder("transport"), city.member_folder("audit")
    lines = [
        f"{command} bundle verify {city.folder}/use.civic --policy {city.folder}/city.policy",
        f"{command} log fsck --node {transport}",
    ]
    if keep:
        lines += [
            f"{command} member list --node {audit}",
            f"{command} exchange list --across --node {audit}",
            f"{command} log show --node {transport}",
            f"{command} doctor --node {audit}",
            t(f"open {page}", f"打开 {page}"),
        ]
    else:
        lines.append(f"{command} city up {city.folder}")
    _print_commands(t("next, try:", "接下来可以试："), lines)
    if keep:
        _print_commands(
            t(
                "licences (the holder is invented; wallets is the holder's side, and only payload stores know more):",
                "证照（持证人为虚构；wallets 为持证人一侧，此外只有 payloads 存有其信息）：",
            ),
            _licence_commands(city, page, command),
        )
        if "east" in city.handles:
            _print_commands(
                t(
                    "medical results (every patient is invented; a doctor looks for a line of wallets/patients.txt):",
                    "检查检验结果互认（患者均为虚构；医生可查询 wallets/patients.txt 中的任一行）：",
                ),
                _medical_commands(city, page, command),
            )


def _licence_commands(city: City, page: str, command: str) -> list[str]:
    wallets, labour = city.folder / "wallets", city.member_folder("labour")
    return [
        t(
            f"open {page}licence and choose a file of {wallets}: driving-licence.png (or .txt), household-page.txt, "
            "marriage-certificate.txt, copy.txt",
            f"打开 {page}licence ，选择 {wallets} 中的文件：driving-licence.png（或 .txt）、household-page.txt、"
            "marriage-certificate.txt、copy.txt",
        ),
        t(
            f"open {page}wallet as the holder and choose {wallets}/driving-licence.json",
            f"以持证人身份打开 {page}wallet ，选择 {wallets}/driving-licence.json",
        ),
        t(
            "sign in there with the demonstration's identity service and see who fetched the licence",
            "在同一页面用演示身份认证登录，查看谁获取过证照",
        ),
        f"{command} licence show {wallets}/driving-licence.json",
        f"{command} licence verify {wallets}/copy.txt --node {labour}",
        f"{command} licence verify {wallets}/copy.txt --node {city.member_folder('civil')}",
        f"{command} licence status --node {city.member_folder('civil')}",
        f"{command} bundle verify {wallets}/driving-licence.civic --policy {city.folder}/city.policy",
    ]


def _medical_commands(city: City, page: str, command: str) -> list[str]:
    east, patients = city.member_folder("east"), city.folder / "wallets" / "patients.txt"
    return [
        t(
            f"{command} medical desk --node {east}      # the doctor's view: its address in a browser of this machine",
            f"{command} medical desk --node {east}      # 医生视图：在本机浏览器中打开其地址",
        ),
        f"head -1 {patients} | {command} medical search - --node {east}",
        f"{command} medical statistics --check --node {east}",
        f"{command} medical changes --node {east}",
        t(
            f"open {page}patient as 演示患者: who looked at the results, and whether they are shared",
            f"打开 {page}patient 并以“演示患者”登录：谁看过结果，是否共享",
        ),
        t(f"open {page}figures: what became of the city's results", f"打开 {page}figures ：全市结果的去向"),
        f"{command} medical rules list --node {city.member_folder('health')}",
    ]


def _print_commands(title: str, lines: list[str]) -> None:
    out.print(title, style="bold")
    for line in lines:
        out.print(f"  {line}", soft_wrap=True, markup=False)


def _command() -> str:
    """How the user can call this command again: by its name where the shell finds it, else by its path."""
    if shutil.which("civicledger") or Path(sys.argv[0]).name != "civicledger":
        return "civicledger"
    path = Path(sys.argv[0]).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def serve(processes: CityProcesses) -> None:
    """Until Ctrl-C, SIGTERM, or the end of one of them."""
    try:
        with Ending((signal.SIGTERM,)) as ending:
            while not ending.wait(1.0):
                ended = processes.ended()
                if ended:
                    err.print(
                        t(
                            f"[bold red]{', '.join(ended)} ended[/]; the others go on",
                            f"[bold red]{'、'.join(ended)} 已退出[/]，其余继续运行",
                        )
                    )
                    raise typer.Exit(1)
    except KeyboardInterrupt:
        err.print(t("stopping", "正在停止"))
