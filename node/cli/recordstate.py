"""How far an import has come: a small file that lets the same command go on after an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ledger.errors import ConflictError, InvalidInputError
from ledger.log.files import replace_file
from node.cli.texts import t

#: A node knows a batch again for a day; what was under way later than that cannot be told.
KNOWN_MS = 24 * 60 * 60 * 1000
#: Beginning of a file that must be the same when it is gone on with, bytes.
_HEAD = 4096


class ImportState(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Everything before ``end`` bytes and ``lines`` lines of the ``file``-th file is in the log or refused.

    ``time_ms``: the time of records without one; ``seen_ms``: when this was written; ``under_way``: whether batches were
    on their way then; ``cuts``: ends of those among them that ended where the file did; ``head``: SHA-256 of the present
    file's beginning; ``bad``: bytes of the file of refused lines.
    """

    v: int = 1
    files: list[str]
    file: int = 0
    end: int = 0
    lines: int = 0
    cuts: list[int] = []
    head: str = ""
    time_ms: int
    seen_ms: int
    under_way: bool = False
    first: int | None = None
    count: int = 0
    refused: int = 0
    bad: int = 0

    @property
    def done(self) -> bool:
        """Whether every file is in."""
        return self.file == len(self.files)


def load(path: Path | None, files: Sequence[Path], now_ms: int) -> ImportState:
    """What the file says, or a new state.

    Raises: InvalidInputError(record.resume-file), ConflictError(record.resume-other | record.resume-late).
    """
    names = [str(file) for file in files]
    if path is None or not path.exists():
        return ImportState(files=names, time_ms=now_ms, seen_ms=now_ms)
    try:
        state = msgspec.json.decode(path.read_bytes(), type=ImportState)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(
            "record.resume-file",
            t(f"{path} is not the state of an import: {error}", f"{path} 不是导入状态文件：{error}"),
            hint=t(
                "give the file an earlier --resume wrote, or a new name", "请给出先前 --resume 写的文件，或新文件名"
            ),
        ) from None
    if state.files != names:
        raise ConflictError(
            "record.resume-other",
            t(f"{path} is the state of another import", f"{path} 是另一次导入的状态"),
            hint=t("name the same files in the same order, or another --resume file", "请按相同顺序给出相同文件"),
            expected=" ".join(state.files),
            actual=" ".join(names),
        )
    if state.under_way and now_ms - state.seen_ms >= KNOWN_MS:
        raise ConflictError(
            "record.resume-late",
            t(
                "this import was cut off over 24 hours ago: the node no longer knows which of the last batches it has",
                "此次导入中断已超过 24 小时：节点已无法识别最后几批是否写入",
            ),
            hint=t(
                f"compare the log's last records with {state.files[state.file]} from line {state.lines + 1} on",
                f"请将日志末尾的记录与 {state.files[state.file]} 第 {state.lines + 1} 行起对照",
            ),
        )
    return state


def save(path: Path | None, state: ImportState) -> None:
    """Replace the file. Raises: OSError."""
    if path is not None:
        replace_file(path, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")


def check_head(state: ImportState, path: Path) -> None:
    """Refuse to go on in a file that is not the one of before.

    Raises: ConflictError(record.resume-changed), OSError.
    """
    if not (state.end or state.cuts) or str(path) == "-":
        return
    if path.stat().st_size < max([state.end, *state.cuts]) or head(path, state.end) != state.head:
        raise ConflictError(
            "record.resume-changed",
            t(f"{path} is not the file it was", f"{path} 已不是原来的文件"),
            hint=t("put the file back as it was: lines may only be added or mended", "请恢复原文件：只可追加或改正行"),
        )


def head(path: Path, end: int) -> str:
    """SHA-256 of the file's beginning, of what lies before ``end`` at most."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(min(_HEAD, end))).hexdigest()
