"""``civicledger list``: responsibility, demand and negative lists (责任清单, 需求清单, 负面清单)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import typer

from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, JsonOption, NodeOption, connect, dataset_id, every, hex32, resolve_member
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER
from node.cli.output import out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["list"], no_args_is_help=True)
_HELP = {
    "responsibility": t("What a provider must supply, by when (责任清单).", "责任清单：提供方应在何时提供什么。"),
    "demand": t("What a consumer needs, for which matter (需求清单).", "需求清单：需求方为何事项需要什么。"),
    "negative": t("What is not shared, on which legal basis (负面清单).", "负面清单：依法不予共享的内容。"),
}


def _group(name: str) -> typer.Typer:
    group = typer.Typer(help=_HELP[name], no_args_is_help=True)

    @group.command("add", help=t("Add an entry.", "新增条目。"))
    def add(
        item: str = typer.Argument(..., help=t("the item's code", "资源代码")),
        target: str = typer.Option("", help=t("member who must act (USCC or handle)", "责任成员（代码或代号）")),
        matter: str = typer.Option("", help=t("matter it serves", "服务的事项")),
        due: int = typer.Option(0, min=0, max=MAX_NUMBER, help=t("Unix seconds", "期限（Unix 秒）")),
        basis: Path | None = typer.Option(
            None, help=t("file with the legal basis (its digest goes on chain)", "法律依据文件（摘要上链）")
        ),
        node: Path | None = NodeOption,
        as_json: bool = JsonOption,
    ) -> None:
        with connect(node) as connection:
            entry = pb.ListEntry(
                list=name,
                item=item,
                matter=matter,
                due=due,
                target=resolve_member(connection, target) if target else "",
                basis_digest=hashlib.sha256(basis.read_bytes()).digest() if basis else b"",
            )
            answer = connection.stub(rpc.ListServiceStub).Add(pb.AddListEntryRequest(entry=entry), timeout=CALL_TIMEOUT)
        if as_json:
            print_json({"entry": _describe(answer.entry), "height": answer.transaction.height})
        else:
            out.print(t("added ", "已新增 ") + answer.entry.id.hex())

    @group.command("show", help=t("The entries.", "查看条目。"))
    def show(
        member: str = typer.Option("", help=t("USCC or handle", "统一社会信用代码或代号")),
        node: Path | None = NodeOption,
        as_json: bool = JsonOption,
    ) -> None:
        with connect(node) as connection:
            wanted = resolve_member(connection, member) if member else ""
            stub = connection.stub(rpc.ListServiceStub)
            found = list(every(stub.List, pb.ListEntriesRequest(list=name, member=wanted), "entries"))
        if as_json:
            print_json({"entries": [_describe(entry) for entry in found]})
            return
        table(
            _HELP[name],
            [
                "id",
                t("member", "成员"),
                t("item", "资源"),
                t("matter", "事项"),
                t("target", "责任方"),
                t("state", "状态"),
            ],
            [(e.id.hex(), e.member, e.item, e.matter, e.target, e.state) for e in found],
        )

    if name != "negative":

        @group.command(
            "answer", help=t("Answer an entry by a dataset, or from the negative list.", "以数据资源或负面清单答复。")
        )
        def answer(
            entry: str = typer.Argument(..., help=t("id of the entry (64 hex digits)", "条目标识（64 位十六进制）")),
            dataset: str = typer.Option("", help=t("dataset that supplies it", "对应的数据资源")),
            negative: str = typer.Option("", help=t("negative entry that forbids it", "对应的负面清单条目")),
            node: Path | None = NodeOption,
            as_json: bool = JsonOption,
        ) -> None:
            with connect(node) as connection:
                result = connection.stub(rpc.ListServiceStub).Answer(
                    pb.AnswerListEntryRequest(
                        list=name,
                        id=hex32(entry, "entry"),
                        dataset=dataset_id(connection, dataset) if dataset else b"",
                        negative=hex32(negative, "negative") if negative else b"",
                    ),
                    timeout=CALL_TIMEOUT,
                )
            if as_json:
                print_json({"transaction": result.hash, "height": result.height})
            else:
                out.print(t(f"answered in block {result.height}", f"已答复，区块 {result.height}"))

    return group


def _describe(entry: Any) -> dict[str, Any]:
    return {
        "id": entry.id,
        "list": entry.list,
        "member": entry.member,
        "item": entry.item,
        "matter": entry.matter,
        "target": entry.target,
        "due": entry.due,
        "basis_digest": entry.basis_digest,
        "state": entry.state,
        "dataset": entry.dataset,
    }


for _name in _HELP:
    app.add_typer(_group(_name), name=_name)
