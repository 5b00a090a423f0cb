"""Comparing two signed heads of one log: does the larger tree extend the smaller one, and if not, what proves it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from ledger.codec import unb64
from ledger.errors import InvalidInputError, LedgerError, UnavailableError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note, verify_log_signature
from ledger.evidence.fork import MAX_PATH, ForkEvidence, path_roots
from ledger.evidence.tiles import Tile
from ledger.evidence.tiletree import VerifiedTiles
from node.mirror.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.evidence.note import VKey
    from node.identity.pinned import PinnedClient


class Tree(Protocol):
    """Who can show the inside of a log: the log itself, or its node over HTTPS."""

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """RFC 6962 consistency proof."""

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """``width`` hashes of 32 bytes."""


class ShownTree(Tree, Protocol):
    """A tree that its node shows, with the newest head it serves."""

    def checkpoint(self) -> bytes:
        """The served note."""


class _Proof(msgspec.Struct, frozen=True):
    hashes: list[str]


class RemoteTree:
    """A log as its node serves it to everybody; nothing it says is believed."""

    def __init__(self, client: PinnedClient) -> None:
        self._client = client

    def checkpoint(self) -> bytes:
        """The served note. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        return self._get("/checkpoint")

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """As the node answers. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        data = self._get(f"/v1/proof/consistency?size1={size1}&size2={size2}")
        try:
            texts = msgspec.json.decode(data, type=_Proof).hashes
            if len(texts) > MAX_PATH:
                raise ValueError("a proof that long proves nothing")
            return [unb64(text, 32) for text in texts]
        except (ValueError, LedgerError) as error:
            raise UnavailableError("peer.answer", f"not a consistency proof: {error}") from None

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """As the node answers. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        try:
            data = self._get("/" + Tile(level=level, index=index, width=width).path)
        except UnavailableError:
            # A partial tile may be gone once the full one is there.
            data = self._get("/" + Tile(level=level, index=index).path)[: 32 * width]
        if len(data) != 32 * width:
            raise UnavailableError("peer.answer", f"a tile of {width} hashes has {32 * width} bytes, not {len(data)}")
        return data

    def _get(self, path: str) -> bytes:
        answer = self._client.get(path)
        if answer.status != 200:
            raise UnavailableError("peer.answer", f"{self._client.peer.uscc} answers {path} with HTTP {answer.status}")
        return answer.body


class RetiredTree:
    """A retired log as its member's node still shows it, tile by tile; nothing it says is believed."""

    def __init__(self, client: PinnedClient, origin: str) -> None:
        self._origin = origin
        self._reader = LogReader(client, f"/mirror/{hashlib.sha256(origin.encode()).hexdigest()}")

    def checkpoint(self) -> bytes:
        """The last note. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        with _as_unavailable():
            return self._reader.note()

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """From the tiles. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        with _as_unavailable():
            served = parse_checkpoint(parse_note(self._reader.note()).text)
            root = VerifiedTiles(self._reader.tile).root(served, size2)
            head = Checkpoint(origin=self._origin, size=size2, root=root)
            path = VerifiedTiles(self._reader.tile).consistency_path(head, size1)
            return list(path if size1 & (size1 - 1) else path[1:])

    def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """As the node answers. Raises: UnavailableError(peer.unreachable, peer.answer)."""
        with _as_unavailable():
            data = self._reader.tile(Tile(level=level, index=index, width=width))
        if len(data) != 32 * width:
            raise UnavailableError("peer.answer", f"a tile of {width} hashes has {32 * width} bytes, not {len(data)}")
        return data


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    """What a node does not serve, or serves wrongly, proves nothing."""
    try:
        yield
    except UnavailableError:
        raise
    except LedgerError as error:
        raise UnavailableError("peer.answer", error.message, hint=error.hint) from error


def full_path(tree: Tree, size1: int, size2: int) -> tuple[bytes, ...]:
    """The consistency path with the hash it starts from; 0 < ``size1`` < ``size2``.

    A proof leaves that hash out where it is the root of the smaller tree, which the reader is supposed to know.
    """
    proof = tree.prove_consistency(size1, size2)
    if size1 & (size1 - 1):
        return tuple(proof)
    height = size1.bit_length() - 1
    tile = tree.hash_tile(height // 8, 0, 1 << (height % 8))
    return (merkle.root([tile[at : at + 32] for at in range(0, len(tile), 32)]), *proof)


def contradiction(one: bytes, other: bytes, keys: Sequence[VKey], tree: Tree) -> ForkEvidence | None:
    """The proof that two notes signed by one log are of two histories; None when the larger extends the smaller.

    Raises:
        UnavailableError: ``peer.*``; ``log.unshown``, the tree shown is that of neither note: it neither proves nor
            disproves anything.
    """
    small, large = sorted((one, other), key=lambda data: parse_checkpoint(parse_note(data).text).size)
    first, second = (parse_checkpoint(parse_note(data).text) for data in (small, large))
    if first.size == second.size:
        return None if first.root == second.root else ForkEvidence.make(small, large, keys)
    if first.size == 0:
        return None
    if _extends(tree, first, second):
        return None
    path = full_path(tree, first.size, second.size)
    try:
        roots = path_roots(first.size, second.size, path)
    except InvalidInputError:
        roots = (b"", b"")
    if roots[1] == second.root and roots[0] != first.root:
        return ForkEvidence.make(small, large, keys, path)
    raise UnavailableError(
        "log.unshown",
        f"the log cannot show that its {second.size} records begin with the {first.size} it signed before",
        hint="ask its member what happened to its log, and keep what you hold of it",
        expected=second.root,
        actual=roots[1],
    )


def signed_by(note: bytes, origin: str, keys: Sequence[VKey]) -> Checkpoint:
    """The head of a note that one of the log's keys signed. Raises: UntrustedError, InvalidInputError."""
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.text)
    if checkpoint.origin != origin:
        raise InvalidInputError("log.other-origin", "this head is of another log", expected=origin)
    failure: LedgerError = InvalidInputError("log.no-key", f"no key of {origin} is on chain")
    for key in keys:
        try:
            verify_log_signature(parsed, key)
        except LedgerError as error:
            failure = error
        else:
            return checkpoint
    raise failure


def _extends(tree: Tree, first: Checkpoint, second: Checkpoint) -> bool:
    try:
        proof = tree.prove_consistency(first.size, second.size)
        merkle.verify_consistency(first.size, second.size, first.root, second.root, proof)
    except UnavailableError:
        raise
    except LedgerError:
        return False
    return True
