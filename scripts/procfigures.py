"""What /proc says about a process: processor time, memory, children. Linux only, like the benches that use it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time used so far, user and system; 0 for a process that is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory now (``rss``), its part that is no file (``anonymous``), the most there was (``peak``); MiB."""
    names = {"VmRSS": "rss", "RssAnon": "anonymous", "VmHWM": "peak"}
    found: dict[str, float] = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            key, _, value = line.partition(":")
            if key in names:
                found[names[key]] = round(int(value.split()[0]) / 1024, 1)
    return found


def child_of(pid: int, command: str) -> int | None:
    """The child of a process that runs the command (its first 15 characters), or None."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        fields = _stat(int(entry.name))
        if fields and int(fields[1]) == pid and fields[0] != "Z":
            with suppress(OSError):
                if (entry / "comm").read_text("ascii", "replace").strip() == command[:15]:
                    return int(entry.name)
    return None


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in ("Z", "X")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name in brackets, which may hold anything: state, parent, ..."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return []
