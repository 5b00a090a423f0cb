"""Compile ``contracts/src`` into the committed artifacts, byte for byte the same everywhere.

    python contracts/build.py            write contracts/artifacts/*.json and contracts/storageLayout.json
    python contracts/build.py --check    compile, compare with what is committed, exit 1 on a difference

Needs the compiler of ``contracts/package-lock.json`` (``npm ci`` in ``contracts``); no network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import solcx

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
ARTIFACTS = HERE / "artifacts"
LAYOUT = HERE / "storageLayout.json"
COMPILER = HERE / "solc.js"

#: The contracts of genesis, in the order in which genesis makes them.
DEPLOYED = ("Consortium", "Directory", "Grants", "Anchors", "Licences", "Recognition")

SETTINGS: dict[str, Any] = {
    "evmVersion": "paris",
    "optimizer": {"enabled": True, "runs": 200},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}


def compile_sources(sources: dict[str, str], contracts: tuple[str, ...]) -> dict[str, Any]:
    """The compiler's output for ``sources`` (name -> text). Raises RuntimeError with the compiler's messages."""
    settings = SETTINGS | {
        "outputSelection": {
            "*": {name: ["abi", "evm.bytecode", "evm.deployedBytecode", "storageLayout"] for name in contracts}
        }
    }
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": settings,
    }
    try:
        answer: dict[str, Any] = solcx.compile_standard(request, solc_binary=str(COMPILER))
    except solcx.exceptions.SolcError as error:
        raise RuntimeError(error.message) from None
    problems = [entry["formattedMessage"] for entry in answer.get("errors", [])]
    if problems:
        raise RuntimeError("\n".join(problems))
    return answer


def build() -> dict[Path, bytes]:
    """Every generated file with its bytes."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(SOURCES.glob("*.sol"))}
    digest = hashlib.sha256()
    for name, text in texts.items():
        digest.update(f"{name}\n{len(text.encode())}\n{text}".encode())
    output = compile_sources(texts, DEPLOYED)["contracts"]
    common = {
        "compiler": str(solcx.wrapper.get_solc_version(solc_binary=str(COMPILER), with_commit_hash=True)),
        "settings": SETTINGS,
        "sourceDigest": digest.hexdigest(),
    }
    files: dict[Path, bytes] = {}
    layouts = {}
    for name in DEPLOYED:
        made = output[f"{name}.sol"][name]
        evm = made["evm"]
        artifact = {
            "name": name,
            "abi": made["abi"],
            "bytecode": evm["bytecode"]["object"],
            "deployedBytecode": evm["deployedBytecode"]["object"],
            "immutables": sorted(
                place["start"]
                for places in evm["deployedBytecode"].get("immutableReferences", {}).values()
                for place in places
            ),
        } | common
        files[ARTIFACTS / f"{name}.json"] = _dump(artifact)
        layouts[name] = _layout(made["storageLayout"])
    files[LAYOUT] = _dump(layouts)
    return files


def _layout(layout: dict[str, Any]) -> dict[str, Any]:
    """The storage layout without the compiler's running numbers, which change with every edit of the syntax tree."""

    def type_name(identifier: str) -> str:
        return str(layout["types"][identifier]["label"])

    def variable(entry: dict[str, Any]) -> dict[str, Any]:
        return {
            "label": entry["label"],
            "slot": int(entry["slot"]),
            "offset": entry["offset"],
            "type": type_name(entry["type"]),
            "bytes": int(layout["types"][entry["type"]]["numberOfBytes"]),
        }

    structs = {
        described["label"]: [variable(member) for member in described["members"]]
        for described in (layout["types"] or {}).values()
        if "members" in described
    }
    return {"storage": [variable(entry) for entry in layout["storage"]], "structs": structs}


def _dump(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def main(arguments: list[str] | None = None) -> int:
    """Write or check the generated files; 0 when they agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    options = parser.parse_args(arguments)
    files = build()
    stale = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    stale += [path for path in sorted(ARTIFACTS.glob("*.json")) if path not in files]
    if options.check:
        for path in stale:
            print(f"differs from its sources: {path.relative_to(HERE.parent)}", file=sys.stderr)
        if stale:
            print("next step: python contracts/build.py, and commit what it wrote", file=sys.stderr)
        return 1 if stale else 0
    ARTIFACTS.mkdir(exist_ok=True)
    for path in stale:
        if path in files:
            path.write_bytes(files[path])
            print(f"wrote {path.relative_to(HERE.parent)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(HERE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
