"""A node reduced to what CometBFT needs: the native application on its socket, and a synced store behind it.

``python -m tests.native_chain.abci_node GENESIS FOLDER SOCKET RPC [STEP:HEIGHT]`` dies by SIGKILL at a step of a
consensus height: ``asked`` before storing it, ``stored`` before saying so, ``committed`` after. On its input it takes
``hand HEX`` (a transaction: the code of its refusal or ``-``) and ``nonce HEX`` (an account: its next nonce).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ledger import _native
from ledger.errors import LedgerError
from ledger.storage.store import Store
from node.comet.rpc import CometRpc

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


def ring(server: _native.AbciServer, rpc: CometRpc, stop: threading.Event) -> None:
    """Let CometBFT hear that something waits, until told to stop."""
    while not stop.is_set() and server.failure() is None:
        if server.next_bell(0.5):
            # It may be on its way up or down.
            with suppress(LedgerError):
                rpc.ring(server.bell)


def answer(server: _native.AbciServer, chain: _native.Chain, lines: TextIO) -> None:
    """What the test asks for."""
    for line in lines:
        word, value = line.split()
        if word == "hand":
            said: object = server.hand_in([bytes.fromhex(value)], True)[0][1] or "-"
        else:
            said = chain.account(bytes.fromhex(value))["nonce"]
        print(said, flush=True)


def main(genesis_path: str, folder: str, socket: str, rpc: str, death: str = "") -> int:
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
        ringing = threading.Thread(target=ring, args=(server, CometRpc(rpc), stop))
        ringing.start()
        threading.Thread(target=answer, args=(server, chain, sys.stdin), daemon=True).start()
        serve(server, store, stop, at=at)
        server.stop()
        ringing.join()
        failure = server.failure()
    if failure is not None:
        print(*failure, file=sys.stderr)
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
