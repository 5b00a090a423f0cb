"""Failing one system call of a real process, by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Everything a log does to its folder.
CALLS = "openat,mkdir,flock,read,pread64,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink"
_LINE = re.compile(r'\d+ +(\w+)\((?:\d+<([^>]+)>|AT_FDCWD(?:<[^>]*>)?, "([^"]+)"|"([^"]+)")')


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Call:
    """The ``number``-th such call on this path by a thread (from 1, as strace counts)."""

    name: str
    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} {Path(self.path).name} {self.number}"


def need_strace(scratch: Path) -> None:
    """Skip, with the reason, where strace is missing or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (scripts/system-packages installs it)")
    probe = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", str(scratch / "probe"), "-e", "inject=fsync:error=EIO", "true"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()[:200]}")


def calls_of(folder: Path, module: str, out: Path) -> list[Call]:
    """Run the module on the folder and list its calls on paths inside (each path it has or will have)."""
    done = _strace(out, ["-e", f"trace={CALLS}"], folder, module)
    assert done.returncode == 0, done.stderr
    seen: Counter[tuple[str, str, str]] = Counter()
    for line in out.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        path = match and (match[2] or match[3] or match[4])
        if match and path and (path == str(folder) or path.startswith(f"{folder}/")):
            seen[(line.split(" ", 1)[0], match[1], path)] += 1
    most: Counter[tuple[str, str]] = Counter()
    for (_, name, path), count in seen.items():
        most[(name, path)] = max(most[(name, path)], count)
    return sorted(
        Call(name=name, path=path, number=number)
        for (name, path), count in most.items()
        for number in range(1, count + 1)
    )


def fail(call: Call, error: str, folder: Path, module: str, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the module while one call fails with this error. The call really failed, or the test says so.

    Derived bytes of several commits may go in one write: a later one of those is not made in every run.
    """
    inject = f"inject={call.name}:error={error}:when={call.number}"
    done = _strace(out, ["-P", call.path, "-e", f"trace={call.name}", "-e", inject], folder, module)
    derived = Path(call.path).name.startswith(("level-", "entries.idx")) and call.number > 2
    assert derived or "(INJECTED)" in out.read_text(errors="replace"), f"{call} was not reached"
    return done


def _strace(out: Path, options: list[str], folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["strace", "-f", "-y", "--seccomp-bpf", "-o", str(out), *options, sys.executable, "-m", module, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
