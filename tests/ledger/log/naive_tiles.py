"""A tlog-tiles tree written the plain way, from the specification alone: no code of the product is used."""

import hashlib
from pathlib import Path


def leaf(entry: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\0" + entry).digest()


def root(hashes: list[bytes]) -> bytes:
    """RFC 6962: split at the largest power of two below n."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        # Pairing neighbours and carrying an odd last one up gives the same tree as the recursive split.
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2], strict=False)]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0]


def name(folder: str, index: int, width: int) -> str:
    """Three-digit groups, all but the last with an x in front."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{folder}/{path}" + (f".p/{width}" if width < 256 else "")


def write(entries: list[bytes], target: Path) -> None:
    """Every tile and entry bundle of a log with these entries."""
    for start in range(0, len(entries), 256):
        part = entries[start : start + 256]
        _put(target, name("entries", start // 256, len(part)), b"".join(len(e).to_bytes(2, "big") + e for e in part))
    hashes, level = [leaf(entry) for entry in entries], 0
    while hashes:
        for start in range(0, len(hashes), 256):
            part = hashes[start : start + 256]
            _put(target, name(str(level), start // 256, len(part)), b"".join(part))
        # Only a full tile is hashed upward.
        hashes = [root(hashes[start : start + 256]) for start in range(0, len(hashes) // 256 * 256, 256)]
        level += 1


def _put(target: Path, path: str, data: bytes) -> None:
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
