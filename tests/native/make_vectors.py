"""Writes ``merkle_vectors.json``: Merkle cases of our own, so that every rule is covered without others' vectors.

``python -m tests.native.make_vectors`` writes the file; a test compares it with what this makes. Every case says
whether a verifier must accept it (``ok``). Hashes are hex; the right cases come from the naive reference.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.native import fold

FILE = Path(__file__).with_name("merkle_vectors.json")
SIZES = (1, 2, 3, 4, 7, 8, 11, 16)
OTHER = sha256(b"other").digest()

Case = dict[str, Any]


def changed_proofs(proof: list[bytes]) -> dict[str, list[bytes]]:
    """Proofs that must not verify in the place of ``proof``."""
    changed = {"hash appended": [*proof, OTHER], "hash in front": [OTHER, *proof]}
    if proof:
        changed |= {"last hash missing": proof[:-1], "first hash missing": proof[1:]}
        changed |= {f"hash {at} other": [*proof[:at], OTHER, *proof[at + 1 :]] for at in range(len(proof))}
    if len(proof) > 1:
        changed |= {"reversed": proof[::-1], "last hash twice": [*proof, proof[-1]]}
    return {name: hashes for name, hashes in changed.items() if hashes != proof}


def inclusion_cases() -> list[Case]:
    """Right and wrong inclusion cases."""
    leaves, cases = fold.fold_leaves(), []
    for size in SIZES:
        root = fold.root(leaves[:size])
        for index in sorted({0, size // 2, size - 1}):
            proof = fold.path(index, leaves[:size])

            def add(name: str, ok: bool, index: int, size: int, leaf: bytes, root: bytes, proof: list[bytes]) -> None:
                hashes = [part.hex() for part in proof]
                cases.append(
                    {"case": name, "index": index, "leaf": leaf.hex(), "ok": ok, "proof": hashes, "root": root.hex()}
                    | {"size": size}
                )

            leaf = leaves[index]
            add("right", True, index, size, leaf, root, proof)
            add("other leaf", False, index, size, OTHER, root, proof)
            add("other root", False, index, size, leaf, OTHER, proof)
            add("index beyond", False, size, size, leaf, root, proof)
            add("empty tree", False, 0, 0, leaf, root, proof)
            if size > 1:
                add("other index", False, index ^ 1, size, leaf, root, proof)
                add("doubled size", False, index, 2 * size, leaf, root, proof)
            for name, hashes in changed_proofs(proof).items():
                add(name, False, index, size, leaf, root, hashes)
    return cases


def consistency_cases() -> list[Case]:
    """Right and wrong consistency cases."""
    leaves, cases = fold.fold_leaves(), []
    for size2 in SIZES:
        for size1 in sorted({1, size2 // 2, size2 - 1, size2} - {0}):
            root1, root2 = fold.root(leaves[:size1]), fold.root(leaves[:size2])
            proof = fold.proof(size1, leaves[:size2])

            def add(
                name: str, ok: bool, size1: int, size2: int, root1: bytes, root2: bytes, proof: list[bytes]
            ) -> None:
                hashes = [part.hex() for part in proof]
                cases.append(
                    {"case": name, "ok": ok, "proof": hashes, "root1": root1.hex(), "root2": root2.hex()}
                    | {"size1": size1, "size2": size2}
                )

            add("right", True, size1, size2, root1, root2, proof)
            add("other old root", False, size1, size2, OTHER, root2, proof)
            add("other new root", False, size1, size2, root1, OTHER, proof)
            add("from the empty tree", False, 0, size2, fold.root([]), root2, proof)
            if size1 < size2:
                add("sizes exchanged", False, size2, size1, root2, root1, proof)
                add("roots exchanged", False, size1, size2, root2, root1, proof)
            for name, hashes in changed_proofs(proof).items():
                add(name, False, size1, size2, root1, root2, hashes)
    return cases


def render() -> str:
    """The file's text."""
    cases = {"consistency": consistency_cases(), "inclusion": inclusion_cases()}
    lines = [f'"{name}":[\n' + ",\n".join(json.dumps(case) for case in cases[name]) + "\n]" for name in cases]
    return "{" + ",\n".join(lines) + "}\n"


if __name__ == "__main__":
    FILE.write_text(render())
