"""``civicledger dataset``: the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ledger.codec import encode
from ledger.errors import NotFoundError
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import (
    CALL_TIMEOUT,
    DatasetArgument,
    JsonOption,
    NodeOption,
    connect,
    dataset_id,
    every,
    resolve_member,
)
from node.cli.groups import SAYS
from node.cli.inputs import MAX_NUMBER, parse_json
from node.cli.output import facts, out, print_json, table
from node.cli.texts import t

app = typer.Typer(help=SAYS["dataset"], no_args_is_help=True)
CHUNK = 1 << 20


@app.command(
    help=t(
        "Publish a dataset, or a new version of one.\n\n"
        "Example: civicledger dataset publish rows.json --metadata rows.meta.json",
        "发布数据资源或其新版本。\n\n例：civicledger dataset publish rows.json --metadata rows.meta.json",
    )
)
def publish(
    content: Path = typer.Argument(..., help=t("file with the content", "内容文件")),
    metadata: Path = typer.Option(..., "--metadata", "-m", help=t("catalogue entry (JSON)", "目录元数据（JSON）")),
    count: int = typer.Option(0, min=0, max=MAX_NUMBER, help=t("rows; 0 lets the node count", "行数；0 由节点计数")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Stream metadata and content to the own node, which anchors the digests."""
    entry = parse_json(metadata.read_bytes(), str(metadata), hint="docs/formats.md shows an entry")
    if not content.is_file():
        raise NotFoundError("input.file", t(f"no such file: {content}", f"没有这个文件：{content}"))
    with connect(node) as connection:
        answer = connection.stub(rpc.DatasetServiceStub).Publish(_parts(content, encode(entry), count), timeout=600)
    if as_json:
        print_json(
            {"dataset": describe(answer.dataset), "height": answer.transaction.height, "log_index": answer.log_index}
        )
    else:
        out.print(
            t("published ", "已发布 ")
            + answer.dataset.id.hex()
            + t(f" in block {answer.transaction.height}", f"，区块 {answer.transaction.height}")
        )


def _parts(content: Path, metadata: bytes, count: int) -> Iterator[pb.PublishRequest]:
    yield pb.PublishRequest(header=pb.PublishHeader(metadata=metadata, count=count))
    with content.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield pb.PublishRequest(chunk=chunk)


def describe(dataset: Any) -> dict[str, Any]:
    """A dataset message as plain data."""
    return {
        "id": dataset.id,
        "provider": dataset.provider,
        "resource_code": dataset.resource_code,
        "title": dataset.title,
        "sharing": dataset.sharing,
        "level": dataset.level,
        "withdrawn": dataset.withdrawn,
        "metadata_digest": dataset.metadata_digest,
        "versions": [
            {"number": v.number, "content_digest": v.content_digest, "count": v.count, "time": v.time}
            for v in dataset.versions
        ],
    }


@app.command("list", help=t("Datasets of the city, or of one provider.", "列出数据资源。"))
def list_(
    provider: str = typer.Option("", help=t("USCC or handle", "统一社会信用代码或代号")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every page of the directory."""
    with connect(node) as connection:
        wanted = resolve_member(connection, provider) if provider else ""
        stub = connection.stub(rpc.DatasetServiceStub)
        found = list(every(stub.List, pb.ListDatasetsRequest(provider=wanted), "datasets"))
    if as_json:
        print_json({"datasets": [describe(item) for item in found]})
        return
    table(
        t("Datasets", "数据资源"),
        [
            t("id", "标识"),
            t("provider", "提供方"),
            t("title", "名称"),
            t("sharing", "共享类型"),
            t("level", "分级"),
            t("versions", "版本"),
        ],
        [(d.id, d.provider, d.title or d.resource_code, d.sharing, d.level, len(d.versions)) for d in found],
    )


@app.command(help=t("One dataset with its versions.", "查看一个数据资源。"))
def show(dataset: str = DatasetArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Everything the chain says of it, and the metadata where the node holds it."""
    with connect(node) as connection:
        found = connection.stub(rpc.DatasetServiceStub).Get(
            pb.GetDatasetRequest(id=dataset_id(connection, dataset)), timeout=CALL_TIMEOUT
        )
    value = describe(found)
    if found.metadata:
        value["metadata"] = json.loads(found.metadata)
    if as_json:
        print_json(value)
        return
    versions = value.pop("versions")
    value.pop("metadata", None)
    facts(t("Dataset", "数据资源"), value)
    table(t("Versions", "版本"), ["number", "content_digest", "count", "time"], [tuple(v.values()) for v in versions])


@app.command(help=t("Withdraw a dataset (nothing is deleted; no new use).", "撤回数据资源（不删除，仅停止使用）。"))
def withdraw(dataset: str = DatasetArgument, node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """Only its provider can."""
    with connect(node) as connection:
        result = connection.stub(rpc.DatasetServiceStub).Withdraw(
            pb.WithdrawDatasetRequest(id=dataset_id(connection, dataset)), timeout=CALL_TIMEOUT
        )
    _done(result, as_json)


@app.command(help=t("Change a dataset's level or sharing type.", "调整分级或共享类型。"))
def regrade(
    dataset: str = DatasetArgument,
    level: str = typer.Option("", help="general | important | core"),
    sharing: str = typer.Option("", help="unconditional | conditional | not-shared"),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """A regrade upwards suspends grants that need a higher approval."""
    with connect(node) as connection:
        result = connection.stub(rpc.DatasetServiceStub).Regrade(
            pb.RegradeDatasetRequest(id=dataset_id(connection, dataset), level=level, sharing=sharing),
            timeout=CALL_TIMEOUT,
        )
    _done(result, as_json)


def _done(result: Any, as_json: bool) -> None:
    if as_json:
        print_json({"transaction": result.hash, "height": result.height})
    else:
        out.print(t(f"done in block {result.height}", f"已完成，区块 {result.height}"))
