"""The page of formats as a test reads it: its example blocks, and who recomputes which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
Fields = dict[str, str]
EXAMPLES: dict[str, Callable[[Fields], Fields]] = {}


def example(name: str) -> Callable[[Callable[[Fields], Fields]], Callable[[Fields], Fields]]:
    def keep(compute: Callable[[Fields], Fields]) -> Callable[[Fields], Fields]:
        EXAMPLES[name] = compute
        return compute

    return keep


def blocks(page: str) -> Iterator[tuple[str, Fields, Fields]]:
    """(name, inputs, results) of every example block; indented lines continue a value."""
    for name, body in re.findall(r"^```example (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        given: Fields = {}
        results: Fields = {}
        key, target = "", given
        for line in body.splitlines():
            if line.startswith("    ") or not line:
                target[key] += line[4:] + "\n"
            else:
                target = results if line.startswith("-> ") else given
                key, _, value = line.removeprefix("-> ").partition(":")
                target[key] = value.strip()
        yield name, given, results


def raw(text: str) -> bytes:
    return bytes.fromhex(text)
