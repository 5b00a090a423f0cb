"""``civicledger licence status --restore``: where the lists come from that a node had published and has forgotten."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import InvalidInputError, NotFoundError
from ledger.evidence.bundle import decode_bundle
from ledger.licences.statustoken import MAX_TOKEN_CHARACTERS
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, Connection
from node.cli.output import out, print_json, table
from node.cli.publichttp import PublicHttp
from node.cli.texts import t

#: Lists of one issuer that a gateway is asked for: each takes 98,304 licences.
_MAX_LISTS = 32


def take_over(connection: Connection, sources: list[str], ca: Path | None, *, as_json: bool) -> None:
    """Hand the node what the sources have of its lists, then publish."""
    tokens: list[str] = []
    for source in sources:
        found = _asked(source, ca, connection.member) if "://" in source else [_read(Path(source))]
        tokens += [token for token in found if token not in tokens]
    stub = connection.stub(rpc.IssuingServiceStub)
    done = stub.RestoreStatus(pb.RestoreStatusRequest(tokens=tokens), timeout=CALL_TIMEOUT).lists
    published = {item.list: item for item in stub.PublishStatus(pb.PublishStatusRequest(), timeout=CALL_TIMEOUT).lists}
    if as_json:
        names = ("list", "version", "changed", "unknown")
        rows = [{name: getattr(item, name) for name in names} for item in done]
        print_json({"lists": [{**row, "published": published[row["list"]].version} for row in rows]})
        return
    table(
        t("Status lists taken over", "已取回的状态列表"),
        [
            "#",
            t("version taken over", "取回的版本"),
            t("licences that became graver", "状态加重的证照"),
            t("places of unknown licences", "未知证照的位置"),
            t("version now", "现版本"),
        ],
        [(i.list, i.version, i.changed, i.unknown, published[i.list].version) for i in done],
    )
    out.print(
        t(
            "Licences issued after the copy was made are unknown here: their status stays as published. "
            "New licences get places in a new list.",
            "副本之后签发的证照在此不可查：其状态保持已发布的样子。新证照使用新的列表。",
        )
    )


def _asked(url: str, ca: Path | None, member: str) -> list[str]:
    """Every list of a member that a gateway has."""
    gateway = PublicHttp(url, ca)
    tokens: list[str] = []
    for number in range(1, _MAX_LISTS + 1):
        try:
            tokens.append(gateway.get(f"/v1/licence/status/{member}/{number}").decode("ascii", "replace"))
        except NotFoundError:
            if not tokens:
                raise
            break
    return tokens


def _read(path: Path) -> str:
    """The token in a file, or in a bundle of a licence. Raises: NotFoundError(input.file), InvalidInputError."""
    if not path.is_file():
        raise NotFoundError("input.file", t(f"no such file: {path}", f"没有这个文件：{path}"))
    with path.open("rb") as file:
        data = file.read(MAX_TOKEN_CHARACTERS + 1)
    if len(data) > MAX_TOKEN_CHARACTERS:
        raise InvalidInputError("input.too-large", t(f"{path} is too large", f"{path} 过大"))
    if not data.lstrip().startswith(b"{"):
        return data.decode("ascii", "replace").strip()
    proof = decode_bundle(data).licence
    if proof is None or proof.status is None:
        raise InvalidInputError(
            "input.licence",
            t(f"{path} is a bundle without a status list", f"{path} 不含状态列表"),
            hint=t("take one that was made later", "请使用较晚制作的证明文件"),
        )
    return proof.status.token
