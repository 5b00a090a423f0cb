"""``civicledger medical desk``: the doctor's view, a page on this machine."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

import typer
from rich.text import Text

from ledger.v1 import medical_pb2_grpc
from node.cli.connect import NodeOption, connect, list_members
from node.cli.medicalgroup import app
from node.cli.output import out
from node.cli.texts import t
from node.context import system_clock

_KEEP_ALIVE_S = 75


@app.command(
    help=t(
        "The doctor's view in a browser of this machine: what other hospitals have of a patient, why each item may be "
        "recognised or not, open, recognise or test again. It asks the own node with this folder's key; the address holds "
        "a secret and ends with the command (Ctrl-C).\n\n"
        "Examples: civicledger medical desk      civicledger medical desk --port 8470 --operator dr-7",
        "医生视图：在本机浏览器中查看其他医院的结果、逐项能否认可及理由，打开、认可或复查。以本目录的密钥访问本院节点；地址中含有口令，"
        "随命令结束（Ctrl-C）失效。\n\n"
        "例：civicledger medical desk      civicledger medical desk --port 8470 --operator dr-7",
    )
)
def desk(
    port: int = typer.Option(
        0, min=0, max=65_535, help=t("port on this machine (0: a free one)", "本机端口（0 为任意空闲）")
    ),
    operator: str = typer.Option(
        "", help=t("pseudonym of who looks; only a commitment to it is on record", "操作者代号；日志中只有其承诺值")
    ),
    node: Path | None = NodeOption,
) -> None:
    """Serves until it is interrupted."""
    from ledger.connections import PromptConnection
    from ledger.ending import Ending
    from ledger.webserver import HttpServer
    from node.desk.results import Results
    from node.desk.view import DoctorView

    secret = secrets.token_urlsafe(24)
    with connect(node) as connection:
        results = Results(
            connection.stub(medical_pb2_grpc.MedicalServiceStub),
            clock=system_clock,
            names={member.uscc: member.name for member in list_members(connection)},
            operator=operator,
        )
        server = HttpServer(
            DoctorView(results, secret).app(),
            "127.0.0.1",
            port,
            None,
            name="desk",
            connection=PromptConnection,
            keep_alive_s=_KEEP_ALIVE_S,
            grace_s=1,
            settings="--port",
        )
        server.start()
        # Begun in the background of a script a process ignores SIGINT, and Python then makes no KeyboardInterrupt of it.
        with closing(server), Ending() as ending:
            out.print(Text(t("Open in a browser of this machine:", "请在本机浏览器中打开：")))
            out.print(Text(f"http://127.0.0.1:{server.port}/#{secret}"), soft_wrap=True)
            ending.wait()
            out.print()
