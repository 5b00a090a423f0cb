"""``civicledger node``: run a department's node, see how it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from ledger.errors import InvalidInputError
from ledger.v1 import node_pb2 as pb
from ledger.v1 import node_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, node_folder
from node.cli.consensus import consensus_table, consensus_value
from node.cli.groups import SAYS
from node.cli.output import err, facts, out, print_json, table
from node.cli.texts import t
from node.cli.witness import witness_row, witness_table

app = typer.Typer(help=SAYS["node"], no_args_is_help=True)


@app.command(
    help=t(
        "Make the folder and keys of one member, before a city is founded or to join one.\n\n"
        "Prints the public card (JSON) that the founders put into the roster or the proposal to admit.",
        "生成一个成员的目录和密钥，用于建城之前或申请加入。\n\n输出公开名片（JSON），供建城名册或接纳提案使用。",
    )
)
def init(
    folder: Path = typer.Argument(..., help=t("new folder", "新目录")),
    uscc: str = typer.Option(..., help=t("unified social credit code", "统一社会信用代码")),
    handle: str = typer.Option(..., help=t("short name, [a-z0-9-]", "代号，[a-z0-9-]")),
    region: str = typer.Option(..., help=t("GB/T 2260 code", "行政区划代码")),
    name: str = typer.Option("", help=t("display name of the body", "机构名称")),
    port: int = typer.Option(7001, min=1, max=65_533, help=t("first of three ports", "三个端口中的第一个")),
    host: str = typer.Option(
        "127.0.0.1",
        "--host",
        help=t("address of this machine, as the other members reach it", "其他成员访问本机所用的地址"),
    ),
    engine: str = typer.Option("solo", "--engine", help="solo | cometbft | external"),
    rpc: str = typer.Option("", "--rpc", help=t("JSON-RPC of the network (external)", "网络的 JSON-RPC（external）")),
    p2p_port: int = typer.Option(
        26_656,
        min=1,
        max=65_535,
        help=t("where CometBFT's peers reach it (engine cometbft)", "CometBFT 的 p2p 端口（cometbft 引擎）"),
    ),
) -> None:
    """Keys are created 0600, encrypted under a fresh passphrase kept in the folder."""
    from ledger.chain.genesis import ENGINES, EXTERNAL
    from node.city.found import make_member_folder
    from node.city.roster import Founder

    founder = Founder(uscc=uscc, name=name or handle, handle=handle, region=region, roles=(), sequencer=False)
    if engine not in ENGINES:
        raise InvalidInputError(
            "city.engine",
            t(f"no engine is called {engine!r}", f"没有名为 {engine!r} 的引擎"),
            hint="solo | cometbft | external",
        )
    if (engine == EXTERNAL) != bool(rpc):
        raise InvalidInputError(
            "city.rpc",
            t("--rpc goes with --engine external, and only with it", "--rpc 须且只能与 --engine external 同用"),
            hint="--engine external --rpc http://127.0.0.1:8545",
        )
    ports = (port, port + 1, port + 2, p2p_port)
    card = make_member_folder(folder, founder, ports=ports, engine=engine, host=host, rpc=rpc)
    print_json(card.to_dict())


@app.command(
    help=t(
        "Join a running city: take its files and make the card the members vote on.\n\n"
        "genesis.json and peers.json come from any member; compare the digest that is printed with another one. Next, a "
        "member: civicledger member propose admit CARD. Every member: civicledger node peer CARD. Then start this node.\n\n"
        "Example: civicledger node join --genesis genesis.json --peers peers.json --node ./health > health.card.json",
        "加入已运行的城市：取得城市文件，生成供成员表决的名片。\n\n"
        "genesis.json 和 peers.json 可向任一成员索取；请与另一成员核对所显示的摘要。随后由成员执行 civicledger member propose admit 名片，"
        "各成员执行 civicledger node peer 名片，再启动本节点。\n\n"
        "例：civicledger node join --genesis genesis.json --peers peers.json --node ./health > health.card.json",
    )
)
def join(
    genesis: Path = typer.Option(..., "--genesis", help=t("the city's genesis.json", "城市的 genesis.json")),
    peers: Path = typer.Option(..., "--peers", help=t("a member's peers.json", "某成员的 peers.json")),
    p2p_port: int = typer.Option(
        0,
        min=0,
        max=65_535,
        help=t(
            "where CometBFT's peers reach it (default: as node.toml says)", "CometBFT 的 p2p 端口（默认按 node.toml）"
        ),
    ),
    rpc: str = typer.Option("", "--rpc", help=t("JSON-RPC of the network (external)", "网络的 JSON-RPC（external）")),
    node: Path | None = NodeOption,
) -> None:
    """The card holds public parts only, and a signature by the account key."""
    from node.joining import join as join_city

    files = genesis.read_bytes(), peers.read_bytes()
    card = join_city(node_folder(node), *files, os.environ, random=os.urandom, p2p_port=p2p_port, rpc=rpc)
    err.print(t(f"city {card['chain']}", f"城市 {card['chain']}"), markup=False)
    print_json(card)


@app.command(
    help=t(
        "Add a new member's node to peers.json; a running node reads it at once. Trust comes from the chain, not from here.\n\n"
        "Example: civicledger node peer health.card.json --node ./civil",
        "将新成员的节点加入 peers.json；运行中的节点会立即读取。信任来自链上，而非此文件。\n\n"
        "例：civicledger node peer health.card.json --node ./civil",
    )
)
def peer(
    card: Path = typer.Argument(..., help=t("the card (JSON)", "名片（JSON）")), node: Path | None = NodeOption
) -> None:
    """Its addresses and certificate."""
    from node.cli.propose import read_card
    from node.joining import add_peer

    value = read_card(card, ("uscc", "grpc", "https", "certificate"))
    added = add_peer(node_folder(node), value)
    out.print(
        t(
            f"{value['uscc']} at {value['grpc']}" + ("" if added else " was there already"),
            f"{value['uscc']}：{value['grpc']}" + ("" if added else "（已存在）"),
        ),
        markup=False,
    )


@app.command(
    help=t(
        "Run the node until it is stopped (Ctrl-C or SIGTERM drains it).",
        "运行节点，直到停止（Ctrl-C 或 SIGTERM 会平稳退出）。",
    )
)
def run(node: Path | None = NodeOption) -> None:
    """The daemon, in the foreground."""
    folder = node_folder(node)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "node.daemon", str(folder)])  # noqa: S606 - our own interpreter


@app.command(help=t("Height, log, witnesses, anchors, peers.", "高度、日志、见证、锚定、对等节点。"))
def status(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """As the running node tells it."""
    with connect(node) as connection:
        found = connection.stub(rpc.StatusServiceStub).GetStatus(pb.GetStatusRequest(), timeout=CALL_TIMEOUT)
        local = connection.config.local
    value = {
        "member": found.member,
        "origin": found.origin,
        "engine": found.engine,
        "role": found.role,
        "version": found.version,
        "height": found.height,
        "head": found.head,
        "final_height": found.final_height,
        "view_age_ms": found.view_age_ms,
        "log_size": found.log_size,
        "published_size": found.published_size,
        "witnessed_size": found.witnessed_size,
        "anchored_size": found.anchored_size,
        "indexed_size": found.indexed_size,
        "open_alarms": found.open_alarms,
        "closed": found.closed,
        "page": f"http://{local.host}:{local.port}/",
    }
    peers = [
        {
            "member": p.member,
            "reachable": p.reachable,
            "height": p.height,
            "last_seen_ms": p.last_seen_ms,
            "last_error": p.last_error,
        }
        for p in found.peers
    ]
    witnesses = [witness_row(one) for one in found.witnesses]
    consensus = consensus_value(found.consensus) if found.HasField("consensus") else None
    if as_json:
        more = {} if consensus is None else {"consensus": consensus}
        print_json({**value, "peers": peers, "witnesses": witnesses, **more})
        return
    # What keeps a log closed is a line of its own when there is something.
    facts(t("Node", "节点"), {name: told for name, told in value.items() if name != "closed" or told})
    out.print()
    table(
        t("Peers", "对等节点"),
        [t("member", "成员"), t("reachable", "可达"), t("height", "高度"), t("last error", "最近错误")],
        [(p["member"], p["reachable"], p["height"], p["last_error"]) for p in peers],
    )
    if consensus is not None:
        out.print()
        consensus_table(consensus)
    out.print()
    witness_table(witnesses)
