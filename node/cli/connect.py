"""From a command to a node: which folder, which keys, which channel; gRPC failures become the library's errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import typer

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import parse_hex32, parse_uscc
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc
from node.cli.texts import t
from node.config import NodeConfig, load_config
from node.identity.keyfiles import key_file, load_secret, read_passphrase
from node.identity.peers import PeerBook
from node.identity.tls import Identity, key_pem
from node.rpc.errors import from_rpc

T = TypeVar("T")

#: ``--node``: the folder whose key speaks.
NodeOption = typer.Option(
    None,
    "--node",
    "-n",
    envvar="CIVICLEDGER_NODE",
    help=t("folder of the member's node (default: here)", "成员节点的目录（默认为当前目录）"),
)
JsonOption = typer.Option(False, "--json", help=t("one JSON document instead of a table", "输出 JSON 而不是表格"))
DatasetArgument = typer.Argument(
    ..., help=t("dataset id, or a unique prefix of 8 hex digits or more", "数据资源标识，或至少 8 位的唯一前缀")
)
GrantArgument = typer.Argument(
    ..., help=t("grant id, or a unique prefix of 8 hex digits or more", "授权标识，或至少 8 位的唯一前缀")
)
#: Seconds a call may take; streams set their own.
CALL_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A member's view of its own node and of the others'."""

    config: NodeConfig
    book: PeerBook

    @property
    def member(self) -> str:
        """USCC of the member whose folder it is."""
        return self.config.member.uscc

    def stub(self, make: Callable[[grpc.Channel], T], member: str = "") -> T:
        """A service stub on the node of ``member`` (default: one's own)."""
        return make(self.book.channel(member or self.member))

    def members(self) -> list[str]:
        """USCCs of every peer in peers.json, this one included."""
        return sorted(self.book)


def node_folder(given: Path | None) -> Path:
    """The node's folder. Raises NotFoundError(config.missing) with the way out."""
    folder = given or Path.cwd()
    if not (folder / "node.toml").is_file():
        raise NotFoundError(
            "config.missing",
            t(f"{folder} is not a node's folder (no node.toml)", f"{folder} 不是节点目录（没有 node.toml）"),
            hint=t("give --node FOLDER or set CIVICLEDGER_NODE", "请用 --node 指定目录，或设置 CIVICLEDGER_NODE"),
        )
    return folder


@contextmanager
def connect(folder: Path | None) -> Iterator[Connection]:
    """Open the folder's keys for TLS; gRPC errors inside the block come out as LedgerError."""
    config = load_config(node_folder(folder))
    passphrase = read_passphrase(config.folder, config.passphrase_file, os.environ)
    secret = load_secret(key_file(config.keys_folder, KeyRole.TLS), KeyRole.TLS, passphrase)
    identity = Identity(key=key_pem(secret), certificate=config.certificate_file.read_bytes())
    book = PeerBook(config.peers_file, identity)
    try:
        yield Connection(config=config, book=book)
    except grpc.RpcError as error:
        raise from_rpc(error, t("the node", "节点")) from None
    finally:
        book.close()


def resolve_member(connection: Connection, text: str) -> str:
    """A USCC, or the handle of a member of this city."""
    if len(text) == 18:
        return parse_uscc(text)
    for member in list_members(connection):
        if member.handle == text:
            return str(member.uscc)
    raise NotFoundError(
        "member.unknown",
        t(f"no member has the handle {text!r}", f"没有代号为 {text!r} 的成员"),
        hint=t("civicledger member list shows them", "civicledger member list 可查看"),
    )


def list_members(connection: Connection) -> list[Any]:
    """The members at the head of one's own node (protobuf messages)."""
    stub = connection.stub(department_pb2_grpc.MemberServiceStub)
    return list(stub.List(department_pb2.ListMembersRequest(), timeout=CALL_TIMEOUT).members)


def hex32(text: str, what: str) -> bytes:
    """32 bytes written in hex, with or without 0x."""
    try:
        return parse_hex32(text)
    except LedgerError as error:
        raise InvalidInputError(error.code, f"{what}: {error.message}", hint=error.hint) from None


def every(method: Callable[..., Any], request: Any, field: str) -> Iterator[Any]:
    """Every item of a paged call: ``field`` of each page, until there is no next one."""
    request.page_size = 200
    while True:
        page = method(request, timeout=CALL_TIMEOUT)
        yield from getattr(page, field)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def dataset_id(connection: Connection, text: str) -> bytes:
    """A dataset's id, in full or as a unique prefix of at least eight hex digits."""
    stub = connection.stub(department_pb2_grpc.DatasetServiceStub)
    return _by_prefix(text, "dataset", lambda: every(stub.List, department_pb2.ListDatasetsRequest(), "datasets"))


def grant_id(connection: Connection, text: str) -> bytes:
    """A grant's id, in full or as a unique prefix of at least eight hex digits."""
    stub = connection.stub(department_pb2_grpc.GrantServiceStub)
    return _by_prefix(text, "grant", lambda: every(stub.List, department_pb2.ListGrantsRequest(), "grants"))


def _by_prefix(text: str, what: str, items: Callable[[], Iterator[Any]]) -> bytes:
    plain = text.lower().removeprefix("0x")
    if not 8 <= len(plain) < 64 or any(digit not in "0123456789abcdef" for digit in plain):
        return hex32(text, what)
    found = [bytes(item.id) for item in items() if item.id.hex().startswith(plain)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInputError(
            f"{what}.ambiguous",
            t(f"{len(found)} ids begin with {plain}", f"有 {len(found)} 个标识以 {plain} 开头"),
            hint=t("write more of it", "请写得更长"),
        )
    raise NotFoundError(
        f"{what}.unknown",
        t(f"no {what} begins with {plain}", f"没有以 {plain} 开头的标识"),
        hint=f"civicledger {what} list",
    )


def row_conditions(texts: list[str]) -> dict[str, Any]:
    """``field=value`` words as the rows of a scope; a field named twice may have either value.

    Raises: InvalidInputError(input.row).
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInputError(
                "input.row",
                t(f"--row {text!r} is not field=value", f"--row {text!r} 不是“字段=值”的形式"),
                hint="--row province=上海市",
            )
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else sorted(set(values)) for name, values in found.items()}
