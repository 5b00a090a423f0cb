"""A node reduced to what CometBFT needs: the native application on its socket, and a synced store behind it.

``python -m tests.native_chain.abci_node GENESIS FOLDER SOCKET [STEP:HEIGHT]`` dies by SIGKILL at a step of a consensus
height: ``asked`` before storing it, ``stored`` before saying so, ``committed`` after.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ledger import _native
from ledger.storage.store import Store

ROWS = b"r"
CONSENSUS = b"c"


def open_chain(genesis: bytes, store: Store) -> tuple[_native.Chain, bytes | None]:
    """The chain as stored and its consensus row; a fresh one in an empty store."""
    consensus = store.get(CONSENSUS)
    rows = ((key[1:], value) for key, value in store.scan(ROWS))
    if consensus is not None:
        return _native.Chain.load(genesis, rows), consensus
    chain, first = _native.Chain.genesis(genesis)
    with store.batch() as batch:
        for key, value in first:
            batch.put(ROWS + key, value)
    return chain, None


def keep(store: Store, commit: _native.AbciCommit) -> None:
    """One synced batch."""
    old = [key for key, _ in store.scan(ROWS)] if commit.restored is not None else []
    with store.batch() as batch:
        for key in old:
            batch.delete(key)
        for key, value in commit.restored or ():
            batch.put(ROWS + key, value)
        for row, change in commit.block.writes if commit.block is not None else ():
            if change is None:
                batch.delete(ROWS + row)
            else:
                batch.put(ROWS + row, change)
        batch.put(CONSENSUS, commit.consensus)


def serve(
    server: _native.AbciServer,
    store: Store,
    stop: threading.Event,
    *,
    at: Callable[[str, int], None] = lambda step, height: None,
    seen: Callable[[_native.AbciCommit], None] = lambda commit: None,
) -> None:
    """Store what CometBFT commits until told to stop, or until the application fails."""
    while not stop.is_set() and server.failure() is None:
        commit = server.next_commit(0.5)
        if commit is None:
            continue
        at("asked", commit.height)
        keep(store, commit)
        at("stored", commit.height)
        server.committed()
        at("committed", commit.height)
        seen(commit)


def main(genesis_path: str, folder: str, socket: str, death: str = "") -> int:
    """The process."""

    def at(step: str, height: int) -> None:
        if death == f"{step}:{height}":
            os.kill(os.getpid(), signal.SIGKILL)

    genesis = Path(genesis_path).read_bytes()
    with Store.open(folder) as store:
        chain, consensus = open_chain(genesis, store)
        server = _native.AbciServer(chain, genesis, consensus)
        server.listen(socket)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
        serve(server, store, stop, at=at)
        server.stop()
        failure = server.failure()
    if failure is not None:
        print(*failure, file=sys.stderr)
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
