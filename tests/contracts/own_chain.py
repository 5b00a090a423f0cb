"""Our own chain for the contract tests: a founding city of the tests' members, begun anew as often as asked.

Runs in the product's environment (not brownie's). Standard input: one JSON line with the founders, then any line begins
a fresh chain and ends the one before; standard output: one line with its JSON-RPC address each time. It ends with its
input.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import FoundingMember, build_genesis
from ledger.chain.sequencer import BlockLoop
from ledger.chain.server import serve
from ledger.model import KeyRole, Roles
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def running(genesis: bytes) -> Iterator[str]:
    """A chain in a folder of its own; its JSON-RPC address."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        chain = EmbeddedChain.open(ChainStore(store), genesis)
        loop = BlockLoop(chain, clock=now_ms, interval_s=0.0)
        loop.start()
        server = serve(chain)
        try:
            yield server.url
        finally:
            server.close()
            loop.stop()
            chain.close()


def main() -> None:
    """Serve until the input ends."""
    request = json.loads(sys.stdin.readline())
    members = [
        FoundingMember(
            uscc=entry["uscc"],
            name=entry["handle"],
            handle=entry["handle"],
            region=entry["region"],
            roles=Roles(entry["roles"]),
            account=bytes.fromhex(entry["account"]),
            validator=True,
            keys=tuple((KeyRole(role), bytes.fromhex(material)) for role, material in entry["keys"]),
        )
        for entry in request["members"]
    ]
    genesis = build_genesis(
        chain_id=request["chainId"],
        region=members[0].region,
        time_ms=now_ms(),
        members=members,
        sequencer=members[0].uscc,
    )
    asked = sys.stdin.readline()
    while asked:
        with running(genesis) as url:
            print(url, flush=True)
            asked = sys.stdin.readline()


if __name__ == "__main__":
    main()
