"""``scripts/devnet``: a BFT network on this machine, every node and every CometBFT a process of its own."""

from __future__ import annotations

import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import typer

from ledger.chain.genesis import COMETBFT
from ledger.errors import LedgerError
from node.city.found import CITY_FILE, City, init_city, load_city
from node.city.processes import CityProcesses
from node.city.roster import LEAST_VALIDATORS, Founder, demo_roster, demo_uscc
from node.cli.city import serve
from node.cli.output import err, out, print_error, print_json, table
from node.cli.texts import t, without_language
from node.config import load_config

#: Its own number: nobody signs for a real network here.
CHAIN_ID = 680_311
_LEAST, _MOST = LEAST_VALIDATORS, 20

app = typer.Typer(add_completion=False)


def devnet_roster(members: int) -> tuple[Founder, ...]:
    """``members`` bodies that do not exist; the first four validate."""
    bodies = list(demo_roster())[:members]
    for number in range(len(bodies) + 1, members + 1):
        bodies.append(
            Founder(
                uscc=demo_uscc("310000", number),
                name=f"演示市第{number}局 (Department {number})",
                handle=f"dept-{number}",
                region="310000",
                roles=(),
                sequencer=False,
            )
        )
    return tuple(replace(body, sequencer=False, validator=at < LEAST_VALIDATORS) for at, body in enumerate(bodies))


@app.command(
    help=t(
        "A BFT network on this machine, until Ctrl-C: four validators and two members that do not vote.\n\n"
        "Examples: ./scripts/devnet                    in a fresh folder, which is printed\n\n"
        "          ./scripts/devnet ./net              there; a network founded before goes on\n\n"
        "          ./scripts/devnet --members 8        more members; the first four validate\n\n"
        "          ./scripts/devnet --json             where each listens, for scripts",
        "本机上的 BFT 网络，直到 Ctrl-C：四个验证节点，另两个成员不投票。\n\n"
        "例：./scripts/devnet                    在新的临时目录（会显示）\n\n"
        "    ./scripts/devnet ./net              在该目录；已建立的网络继续运行\n\n"
        "    ./scripts/devnet --members 8        更多成员，前四个为验证节点\n\n"
        "    ./scripts/devnet --json             以 JSON 输出各节点地址",
    )
)
def run(
    folder: Path | None = typer.Argument(None, help=t("the network's folder", "网络目录")),
    members: int = typer.Option(6, min=_LEAST, max=_MOST, help=t("how many, when it is founded", "建立时的成员数")),
    as_json: bool = typer.Option(False, "--json", help=t("machine-readable output", "机器可读输出")),
) -> None:
    """Founds the network where there is none, starts every node, waits until all of them serve."""
    where = folder or Path(tempfile.mkdtemp(prefix="civicledger-devnet-")) / "net"
    if (where / CITY_FILE).exists():
        city = load_city(where)
    else:
        city = init_city(where, devnet_roster(members), chain_id=CHAIN_ID, engine=COMETBFT)
    with CityProcesses(city) as processes:
        with err.status(t(f"starting {len(city.handles)} nodes", f"正在启动 {len(city.handles)} 个节点")):
            processes.start_nodes()
        _tell(city, processes, as_json=as_json)
        err.print(
            t(
                "Ctrl-C stops and drains all; kill -TERM PID drains one node, ./scripts/devnet FOLDER starts them again",
                "Ctrl-C 平稳停止全部；kill -TERM PID 停止一个节点，./scripts/devnet 目录 可再次启动",
            ),
            markup=False,
        )
        serve(processes)


def _tell(city: City, processes: CityProcesses, *, as_json: bool) -> None:
    pids = processes.pids()
    rows = []
    for handle in city.handles:
        config = load_config(city.member_folder(handle))
        rows.append(
            {
                "handle": handle,
                "folder": str(config.folder),
                "pid": pids[handle],
                "grpc": f"{config.grpc.host}:{config.grpc.port}",
                "https": f"{config.https.host}:{config.https.port}",
                "p2p": f"{config.comet.p2p_host}:{config.comet.p2p_port}",
                "jsonrpc": f"http://127.0.0.1:{config.local.port}/",
            }
        )
    if as_json:
        print_json({"folder": str(city.folder), "chain_id": city.chain_id, "members": rows})
        sys.stdout.flush()
        return
    table(
        t(f"Network in {city.folder}", f"网络目录 {city.folder}"),
        [t("member", "成员"), "PID", "gRPC", "HTTPS", t("CometBFT p2p", "CometBFT p2p"), "JSON-RPC"],
        [(r["handle"], r["pid"], r["grpc"], r["https"], r["p2p"], r["jsonrpc"]) for r in rows],
    )
    out.print(
        t(
            f"ask one: civicledger doctor --node {city.member_folder(city.handles[0])}",
            f"查询：civicledger doctor --node {city.member_folder(city.handles[0])}",
        ),
        soft_wrap=True,
        markup=False,
    )


def main() -> None:
    """The command line; one clear error where something refuses."""
    as_json = "--json" in sys.argv
    # Nodes that were started are drained also when this is ended before all of them serve.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        app(args=without_language(sys.argv[1:]), prog_name="scripts/devnet")
    except LedgerError as error:
        print_error(error, as_json=as_json)
        sys.exit(1)


if __name__ == "__main__":
    main()
