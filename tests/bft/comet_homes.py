"""CometBFT by itself, with its own key-value sample in place of our state machine: homes and processes for tests."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ledger.chain.devnet import CHAIN_ID, REGION, DevMember, dev_member
from ledger.chain.genesis import build_genesis
from ledger.errors import LedgerError, NotFoundError
from ledger.model import KeyRole
from node.city.ports import free_ports
from node.comet.binary import find_cometbft
from node.comet.home import write_home
from node.comet.keys import node_id
from node.comet.process import CometProcess
from node.comet.rpc import CometRpc
from node.comet.settings import MAX_BATCH, HomeSettings
from node.comet.sockets import socket_path
from node.context import system_clock
from tests.node.core.makers import eventually

T = TypeVar("T")
TIME_MS = 1_763_784_000_000


def cometbft() -> Path:
    """The program; the test is skipped where it is not installed (``scripts/setup --dev`` installs it)."""
    try:
        return find_cometbft()
    except NotFoundError as error:
        pytest.skip(f"{error.message}: {error.hint}")


def make_members(count: int = 5) -> tuple[DevMember, ...]:
    """Members with keys of this run: the same keys in another run on this machine would be refused."""
    run = secrets.token_hex(4)
    return tuple(dev_member(number, f"m{number}-{run}", f"Department {number}") for number in range(1, count + 1))


def genesis_of(members: tuple[DevMember, ...], validators: int) -> bytes:
    """A city on CometBFT whose first members validate."""
    founders = [replace(member.founder, validator=number < validators) for number, member in enumerate(members)]
    return build_genesis(
        chain_id=CHAIN_ID, region=REGION, time_ms=TIME_MS, members=founders, sequencer="", engine="cometbft"
    )


def settings_of(home: Path, **changes: Any) -> HomeSettings:
    """Settings with the key-value sample, on free ports."""
    values: dict[str, Any] = {
        "name": home.name,
        "app": "kvstore",
        "rpc": f"unix://{socket_path(home, 'rpc.sock')}",
        "p2p": f"127.0.0.1:{free_ports(1)[0]}",
        "empty_interval_s": 3_600,
    }
    values |= changes
    # The sample leaves to CometBFT what waits for a block.
    return HomeSettings(own_pool=values["app"] != "kvstore", **values)


def broadcast(rpc: CometRpc, raws: Sequence[bytes]) -> list[Any]:
    """Hand transactions of the sample in, as many as a request takes at once; a refusal of CometBFT's is an error among
    the answers."""
    answers: list[Any] = []
    for start in range(0, len(raws), MAX_BATCH):
        calls = [
            ("broadcast_tx_async", {"tx": base64.b64encode(raw).decode()}) for raw in raws[start : start + MAX_BATCH]
        ]
        answers += rpc.batch(calls)
    return answers


class Comet:
    """One home and its process."""

    def __init__(self, home: Path, member: DevMember, genesis: bytes, **changes: Any) -> None:
        self.home = home
        self.member = member
        self.settings = settings_of(home, **changes)
        self.genesis = genesis
        self.prepare()
        self.rpc = CometRpc(self.settings.rpc)
        self.process = self.make_process()

    def make_process(self, **changes: Any) -> CometProcess:
        """Another process of this home; not started."""
        values: dict[str, Any] = {"prepare": self.prepare, **changes}
        return CometProcess(
            cometbft(),
            self.home,
            consensus=self.member.seeds[KeyRole.CONSENSUS],
            p2p=self.member.seeds[KeyRole.P2P],
            clock=system_clock,
            sockets=(Path(self.settings.rpc.removeprefix("unix://")),),
            **values,
        )

    def prepare(self) -> None:
        """Write the home as the settings are now."""
        write_home(self.home, genesis=self.genesis, settings=self.settings)

    @property
    def peer(self) -> str:
        """Its address for the others."""
        return f"{node_id(self.member.signer(KeyRole.P2P).public)}@{self.settings.p2p}"

    def height(self) -> int:
        """The newest height; 0 while it does not answer."""
        return self.rpc.height()

    def stop(self) -> None:
        """End it."""
        self.process.stop()
        self.rpc.close()


def until(read: Callable[[], T], seconds: float = 300.0) -> T:
    """The first true answer, a refusal being none; fails when there is none in time."""

    def answered() -> T | None:
        with suppress(LedgerError):
            return read()
        return None

    answer = eventually(answered, seconds)
    assert answer is not None
    return answer
