"""The size rule: a source file stays under 400 lines (generated files apart).

`python -m scripts.sizes [ROOT]` lists offenders and exits 1 when there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 400
SUFFIXES = {".py", ".pyi", ".rs", ".sol", ".proto", ".sh", ".js", ".css", ".html", ".mjs"}
TOPS = ("native/src", "native/tests", "contracts", "proto", "ledger", "node", "gateway", "scripts", "tests")
SKIP = {"node_modules", "__pycache__", "target", "v1", "artifacts", ".build"}


def offenders(root: Path) -> list[tuple[Path, int]]:
    """Source files of ``LIMIT`` lines or more below ``root``, longest first."""
    found: list[tuple[Path, int]] = []
    for top in TOPS:
        for path in (root / top).rglob("*"):
            relative = path.relative_to(root)
            if SKIP.intersection(relative.parts[:-1]) and "proto" not in relative.parts:
                continue
            if path.is_file() and path.suffix in SUFFIXES:
                lines = path.read_bytes().count(b"\n")
                if lines >= LIMIT:
                    found.append((relative, lines))
    return sorted(found, key=lambda item: -item[1])


def main() -> int:
    """Print the offenders; 1 when there are any."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = offenders(root)
    for path, lines in found:
        print(f"{path}: {lines} lines; the limit is {LIMIT - 1}: split it by what it knows")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
