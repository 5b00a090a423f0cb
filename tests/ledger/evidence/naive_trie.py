"""A Merkle Patricia trie as the book has it: built whole, recursively, from a dict. Slow and easy to check."""

from collections.abc import Mapping

import rlp
from eth_utils import keccak

EMPTY_ROOT = keccak(rlp.encode(b""))


def nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(half for byte in data for half in (byte >> 4, byte & 15))


def compact(path: tuple[int, ...], leaf: bool) -> bytes:
    """Hex-prefix encoding (yellow paper, appendix C)."""
    flag = 2 * leaf + len(path) % 2
    padded = (flag, *path) if len(path) % 2 else (flag, 0, *path)
    return bytes(16 * a + b for a, b in zip(padded[::2], padded[1::2], strict=True))


class Trie:
    """A secure trie (keys are hashed) of non-empty values."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self.nodes: dict[bytes, bytes] = {}
        pairs = {nibbles(keccak(key)): value for key, value in values.items()}
        top = self._node(pairs)
        self.root = keccak(rlp.encode(top))
        self.nodes[self.root] = rlp.encode(top)

    def _node(self, pairs: Mapping[tuple[int, ...], bytes]) -> object:
        if not pairs:
            return b""
        if len(pairs) == 1:
            ((path, value),) = pairs.items()
            return [compact(path, True), value]
        shared = 0
        while len({path[shared] for path in pairs}) == 1:
            shared += 1
        if shared:
            path = next(iter(pairs))[:shared]
            return [compact(path, False), self._link({p[shared:]: v for p, v in pairs.items()})]
        return [
            *(self._link({p[1:]: v for p, v in pairs.items() if p[0] == slot}) for slot in range(16)),
            b"",
        ]

    def _link(self, pairs: Mapping[tuple[int, ...], bytes]) -> object:
        node = self._node(pairs)
        encoded = rlp.encode(node)
        if node == b"" or len(encoded) < 32:
            return node
        self.nodes[keccak(encoded)] = encoded
        return keccak(encoded)

    def proof(self, key: bytes) -> list[bytes]:
        """The hashed nodes on the way to a key, from the root down."""
        if self.root == EMPTY_ROOT:
            return []
        path, link, out = nibbles(keccak(key)), self.root, []
        while True:
            if isinstance(link, bytes):
                if link not in self.nodes:
                    return out
                out.append(self.nodes[link])
                node = rlp.decode(self.nodes[link])
            else:
                node = link
            if len(node) == 17:
                link, path = node[path[0]], path[1:]
            else:
                flagged = nibbles(node[0])
                own = flagged[1:] if flagged[0] & 1 else flagged[2:]
                if flagged[0] & 2 or path[: len(own)] != own:
                    return out
                link, path = node[1], path[len(own) :]
