"""What ``civicledger log fsck`` does: the node's own log, an exported folder or a served log, against what others saw."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.evidence.checkpoint import Checkpoint, Note, parse_checkpoint, parse_note
from ledger.evidence.tiletree import VerifiedTiles
from ledger.identifiers import origin
from ledger.log.check import fsck as fsck_log
from ledger.log.files import CHECKPOINT_FILE, read_note
from ledger.log.source import FolderSource, HttpSource, LogSource, split_url
from ledger.log.treecheck import check_tree
from ledger.model import KeyRole
from node.cli.logkeys import keys_of_log
from node.cli.logviews import DIFFERS, OK, UNCHECKED, Check, Views, policy_views
from node.cli.progress import progress
from node.cli.texts import t
from node.config import NodeConfig, load_config
from node.identity.keyfiles import key_file, read_passphrase
from node.identity.peers import decode_peers
from node.identity.tls import client_context, load_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The whole answer. ``entries``: those that were hashed; ``problems``: file, index, detail of what differs."""

    origin: str
    size: int
    root: bytes
    entries: int
    problems: tuple[dict[str, Any], ...]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not self.problems and all(check.outcome != DIFFERS for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "entries": self.entries,
            "problems": list(self.problems),
            "checks": [check.to_dict() for check in self.checks],
        }


def check_own(config: NodeConfig, *, alone: bool) -> Found:
    """The log in the folder of a node, running or stopped. ``alone``: nobody else is asked."""
    folder = config.log_folder
    data = read_note(folder / CHECKPOINT_FILE)
    name = origin(config.member.region, config.member.handle)
    note = None
    try:
        note = None if data is None else parse_note(data)
        name = name if note is None else parse_checkpoint(note.text).origin
    except LedgerError:
        note = None  # the check of the files says what is wrong with it
    views = Views(heads=(), checks=()) if alone else _chain_views(config, name, note)
    with progress(t("re-deriving every hash", "重新计算所有哈希")) as told:
        keys = keys_of_log(config, ask=not alone)
        report = fsck_log(folder, seen=[head for _, head in views.heads], keys=keys, progress=told)
    problems = tuple(report.to_dict()["problems"])
    checks = list(views.checks)
    for file, _, what in (line.partition(": ") for line in report.unchecked):
        checks.append(Check(what=file, outcome=UNCHECKED, detail=what))
    for who, head in views.heads:
        detail = t(f"size {head.size}", f"大小 {head.size}")
        same = not any(p["file"] == "seen by others" for p in problems)
        checks.append(Check(what=who, outcome=OK if same else DIFFERS, detail=detail))
    return Found(
        origin=name, size=report.size, root=report.root, entries=report.size, problems=problems, checks=tuple(checks)
    )


def check_from(
    place: str, *, config: NodeConfig | None, policy: Path | None, ca: Path | None, environ: dict[str, str]
) -> Found:
    """A log by its tlog-tiles paths: a folder or a URL. ``config``: the node whose keys, peers and chain are used.

    Raises: NotFoundError(source.absent), UnavailableError(source.*), InvalidInputError(source.url, policy.*).
    """
    source = make_source(place, config=config, ca=ca, environ=environ)
    data = source.note()
    note = parse_note(data)
    head = parse_checkpoint(note.text)
    if policy is not None:
        views = policy_views(policy, head.origin, note)
    elif config is not None:
        views = _chain_views(config, head.origin, note)
    else:
        detail = t("give --policy FILE or --node FOLDER", "请用 --policy 或 --node 指定依据")
        views = Views(heads=(), checks=(Check(what="signature", outcome=UNCHECKED, detail=detail),))
    with progress(t("checking every tile", "校验所有分片")) as told:
        report = check_tree(source, head, progress=told)
    problems: tuple[dict[str, Any], ...] = ()
    if report.difference is not None:
        found = report.difference
        problems = ({"file": found.file, "index": found.index, "detail": found.detail},)
    checks = list(views.checks)
    if report.difference is None:
        checks += [_compare(source, head, who, other) for who, other in views.heads]
        if report.entries < head.size:
            detail = t(
                "entries are not shown to this caller: hashes were checked", "条目不对此调用者开放：只校验了哈希"
            )
            checks.append(Check(what="entries", outcome=UNCHECKED, detail=detail))
    return Found(
        origin=head.origin,
        size=head.size,
        root=head.root,
        entries=report.entries,
        problems=problems,
        checks=tuple(checks),
    )


def make_source(place: str, *, config: NodeConfig | None, ca: Path | None, environ: dict[str, str]) -> LogSource:
    """A folder, or a URL: a member's node is trusted by its certificate in peers.json and shown our own.

    Raises: NotFoundError(source.absent), InvalidInputError(source.url).
    """
    if "://" not in place:
        folder = Path(place)
        if not folder.is_dir():
            raise NotFoundError(
                "source.absent",
                t(f"{place} is no folder", f"{place} 不是目录"),
                hint=t("an exported folder, or https://host:port/prefix", "导出目录，或 https://host:port/prefix"),
            )
        return FolderSource(folder)
    parts = split_url(place)
    if parts.scheme != "https":
        return HttpSource(place)
    if config is not None:
        for peer in decode_peers(config.peers_file.read_bytes()):
            if peer.https == parts.netloc:
                return HttpSource(place, context=client_context(peer.certificate, _own(config, environ)))
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise InvalidInputError(
            "source.ca",
            t(f"{ca} cannot be used: {error}", f"{ca} 无法使用：{error}"),
            hint=t("a PEM file of certificates", "须为 PEM 格式的证书文件"),
        ) from None
    if config is not None:
        load_identity(context, *_own(config, environ))
    return HttpSource(place, context=context)


def _chain_views(config: NodeConfig, origin: str, note: Note | None) -> Views:
    # Imported where it is asked for: half a second that a check without a chain need not wait.
    from node.cli.chainviews import chain_views

    return chain_views(config, origin, note)


def _own(config: NodeConfig, environ: dict[str, str]) -> tuple[Path, Path, bytes]:
    passphrase = read_passphrase(config.folder, config.passphrase_file, environ)
    return config.certificate_file, key_file(config.keys_folder, KeyRole.TLS), passphrase


def _compare(source: LogSource, head: Checkpoint, who: str, other: Checkpoint) -> Check:
    """Another's head of the log against the tree that was just checked."""
    size = t(f"size {other.size}", f"大小 {other.size}")
    if other.size > head.size:
        detail = t(f"{size}: this copy ends before it", f"{size}：此副本较短")
        return Check(what=who, outcome=UNCHECKED, detail=detail)
    try:
        root = VerifiedTiles(source.tile).root(head, other.size)
    except LedgerError as error:
        return Check(what=who, outcome=DIFFERS, detail=error.message)
    if root == other.root:
        return Check(what=who, outcome=OK, detail=size)
    return Check(what=who, outcome=DIFFERS, detail=f"{size}: {other.root.hex()} ≠ {root.hex()}")


def node_config(folder: Path | None) -> NodeConfig | None:
    """The node's settings when a folder was given or this is one; None otherwise. Raises: NotFoundError, InvalidInput."""
    if folder is not None:
        return load_config(folder)
    return load_config(Path.cwd()) if (Path.cwd() / "node.toml").is_file() else None
