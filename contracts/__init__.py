"""The compiled contracts. A loader only: what ``contracts/build.py`` wrote is read back as frozen values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

#: The contracts of genesis, in the order of their addresses (CREATE nonce 0 to 5 of the genesis sender).
NAMES = ("Consortium", "Directory", "Grants", "Anchors", "Licences", "Recognition")

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract.

    ``abi``: the entries of its JSON ABI. ``bytecode``: creation code without constructor arguments. ``deployed``:
    run-time code with zeros where ``immutables`` (byte offsets of 32-byte words) are filled in at creation.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    deployed: bytes
    immutables: tuple[int, ...]

    def runtime(self, consortium: bytes) -> bytes:
        """The run-time code as it stands on a chain whose Consortium has this 20-byte address.

        The Consortium's address is the only immutable any of the contracts has.
        """
        if len(consortium) != 20:
            raise ValueError(f"an address has 20 bytes, this has {len(consortium)}")
        code = bytearray(self.deployed)
        for start in self.immutables:
            code[start : start + 32] = consortium.rjust(32, b"\0")
        return bytes(code)


@cache
def artifact(name: str) -> Artifact:
    """The compiled contract of that name. Raises KeyError for a name that is not in ``NAMES``."""
    if name not in NAMES:
        raise KeyError(name)
    entry = json.loads((_FOLDER / "artifacts" / f"{name}.json").read_text("utf-8"))
    return Artifact(
        name=name,
        abi=tuple(entry["abi"]),
        bytecode=bytes.fromhex(entry["bytecode"]),
        deployed=bytes.fromhex(entry["deployedBytecode"]),
        immutables=tuple(entry["immutables"]),
    )


@cache
def errors() -> tuple[dict[str, Any], ...]:
    """The custom errors of all contracts, each once: a call into one contract can revert with the error of another."""
    found = {
        json.dumps(entry, sort_keys=True): entry
        for name in NAMES
        for entry in artifact(name).abi
        if entry["type"] == "error"
    }
    return tuple(found[key] for key in sorted(found))
