"""How a node without data comes by the present state: a snapshot where the history is long, else every block again."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError
from node.comet.light import PATHS, Ask, LightSource
from node.comet.settings import StateSync
from node.comet.sockets import socket_path
from node.identity.peers import Peer
from node.identity.pinned import PinnedClient

logger = structlog.get_logger("node.comet")

#: A header is trusted for as long as two votes of one key can be shown (``node.comet.home``).
_TRUST_S = 90 * 86_400
_ATTEMPTS = 3
_PATIENCE_S = 120.0
_TIMEOUT_S = 5.0


class Joining:
    """Decides before each start of CometBFT whether it takes a snapshot, and from whom it learns what to trust.

    A header is trusted when more than half of the other members' nodes named in ``peers.json`` show the same one: the
    snapshot's state must then have the hash that the validators signed. ``is_empty`` tells whether this node's chain
    has nothing yet; CometBFT may have lost its data alone. ``height`` is the newest that CometBFT has, 0 before the
    first; ``guard`` raises while this node may not vote yet; ``shortest`` is the least height of the others from which
    on there is a snapshot.
    """

    def __init__(
        self,
        home: Path,
        *,
        peers: Callable[[], Sequence[Peer]],
        is_empty: Callable[[], bool],
        height: Callable[[], int],
        guard: Callable[[Mapping[str, Ask]], None],
        shortest: int,
        patience_s: float = _PATIENCE_S,
        asking: Callable[[Peer], Ask] | None = None,
    ) -> None:
        self._home = home
        self._peers = peers
        self._is_empty = is_empty
        self._height = height
        self._guard = guard
        self._shortest = shortest
        self._patience_s = patience_s
        self._asking = asking or ask_peer
        self._attempts = 0
        self._lost = False
        self._began: float | None = None
        self._sources: tuple[LightSource, ...] = ()

    def plan(self) -> StateSync | None:
        """Before a start: how to take a snapshot; None when there is nothing to take or it was tried in vain.

        Raises: what ``guard`` raises. It is asked before, because CometBFT's own guard comes after the snapshot and
        leaves data behind that cannot be started from.
        """
        self.close()
        # A first attempt leaves an empty database behind.
        self._lost = self._lost or self._is_empty() or not (self._home / "data" / "state.db").exists()
        if not self._shortest or self._attempts >= _ATTEMPTS or not self._lost:
            return None
        asks = {peer.uscc: self._asking(peer) for peer in self._peers()}
        trusted = trusted_header(asks, self._shortest)
        if trusted is None:
            return None
        height, digest, agreeing = trusted
        self._guard({uscc: asks[uscc] for uscc in agreeing})
        self._attempts += 1
        self._began = time.monotonic()
        self._sources = tuple(
            LightSource(socket_path(self._home, f"light-{number}.sock"), asks[uscc])
            for number, uscc in enumerate(agreeing[:2])
        )
        first, second = self._sources
        logger.info("comet.snapshot", trusted=height, sources=list(agreeing[:2]))
        return StateSync(sources=(first.address, second.address), height=height, hash=digest, period_s=_TRUST_S)

    def gave_up(self) -> bool:
        """Whether the snapshot under way takes too long: then it is better to start anew without it."""
        if self._began is None:
            return False
        if self._height() > 0:
            # The state is here; what came after it are blocks.
            self.close()
            self._lost = False
            self._attempts = 0
            return False
        if time.monotonic() - self._began < self._patience_s:
            return False
        logger.warning("comet.snapshot-failed", attempts=self._attempts, waited_s=self._patience_s)
        self._attempts = _ATTEMPTS
        self._began = None
        return True

    def close(self) -> None:
        """Stop answering CometBFT's light client."""
        for source in self._sources:
            source.close()
        self._sources = ()
        self._began = None


def trusted_header(asks: Mapping[str, Ask], shortest: int) -> tuple[int, bytes, tuple[str, ...]] | None:
    """(height, header hash, members that show it), agreed on by more than half of all that are asked and by two at
    least; None when their chains are shorter than ``shortest``, or too few answer the same."""
    newest: dict[str, int] = {}
    for uscc, ask in asks.items():
        with suppress(LedgerError):
            newest[uscc] = _header(ask(PATHS["commit"]))[0]
    enough = max(2, len(asks) // 2 + 1)
    if len(newest) < enough:
        return None
    # A height that enough of them have; below it lies at least one snapshot that they offer.
    height = sorted(newest.values(), reverse=True)[enough - 1] - shortest
    if height < 1:
        return None
    shown: dict[str, bytes] = {}
    for uscc in newest:
        with suppress(LedgerError):
            shown[uscc] = _header(asks[uscc](f"{PATHS['commit']}?height={height}"))[1]
    digest, count = Counter(shown.values()).most_common(1)[0] if shown else (b"", 0)
    if count < enough:
        return None
    return height, digest, tuple(uscc for uscc, told in shown.items() if told == digest)


def check_unsigned(asks: Mapping[str, Ask], address: str, count: int) -> None:
    """That no commit of the last ``count`` heights has a signature of the key with this address, 40 upper-case hex
    digits, by what each of these members' nodes shows.

    Raises: UnavailableError(comet.double-sign-guard), and what keeps a node from answering.
    """
    for ask in asks.values():
        newest = ask(PATHS["commit"])
        height = _header(newest)[0]
        told = [newest, *(ask(f"{PATHS['commit']}?height={at}") for at in range(max(1, height - count + 1), height))]
        if count and any(address in _signers(commit) for commit in told):
            raise UnavailableError(
                "comet.double-sign-guard",
                f"the last {count} heights have signatures by this node's consensus key, which it does not remember",
                hint="is the key in use elsewhere? If not, wait: it joins as soon as they were made without it",
            )


def ask_peer(peer: Peer) -> Ask:
    """GET at a member's node over its public HTTPS, where only its own certificate is accepted."""
    client = PinnedClient(peer, _TIMEOUT_S)

    def ask(path: str) -> Any:
        answer = client.get(path)
        try:
            told = json.loads(answer.body)
            if answer.status == 200:
                return told
            kind = NotFoundError if answer.status == 404 else UnavailableError
            text = str(told.get("actual") or told.get("message"))[:300]
        except (ValueError, AttributeError, RecursionError) as error:
            raise InvalidInputError("comet.answer", f"{peer.uscc} answered no JSON") from error
        raise kind("comet.height", f"{peer.uscc} has no answer: {text}", actual=text)

    return ask


def _header(told: Any) -> tuple[int, bytes]:
    try:
        signed = told["signed_header"]
        height, digest = int(signed["header"]["height"]), bytes.fromhex(signed["commit"]["block_id"]["hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError("comet.answer", "a member's node answered no signed header") from error
    if len(digest) != 32 or height < 1:
        raise InvalidInputError("comet.answer", "a member's node answered no signed header")
    return height, digest


def _signers(told: Any) -> frozenset[str]:
    try:
        return frozenset(str(one["validator_address"]) for one in told["signed_header"]["commit"]["signatures"])
    except (KeyError, TypeError) as error:
        raise InvalidInputError("comet.answer", "a member's node answered no commit") from error
