"""A network of validators on this machine as real processes. Benches, soaks and tests use it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from node.city.found import init_city, load_city
from node.city.roster import Founder, demo_uscc
from node.config import ChainSection, LogSection
from scripts.jsonlink import LinkError
from scripts.network_node import OPEN_S, Account, NetworkError, NetworkNode, Running, forked, wait_for

REGION = "310000"
CHAIN_ID = 31_337


class Network:
    """The nodes of a city on CometBFT, validators first. Use as a context manager: leaving kills what runs."""

    def __init__(self, folder: Path, validators: int, launch: Callable[[Path], Running] = forked) -> None:
        city = load_city(folder)
        self.folder = folder
        #: Every founding member's node, whether started or not.
        # One member without a node still leaves the quorum of witnesses that opens a log.
        whole = len(city.handles) <= validators + 1
        self.members = tuple(NetworkNode(city.member_folder(handle), launch, whole=whole) for handle in city.handles)
        self.validators = self.members[:validators]
        #: The validators whose nodes are to run; all of them unless one takes some out.
        self.nodes = self.validators

    @classmethod
    def found(
        cls,
        folder: Path,
        *,
        validators: int = 4,
        members: int = 4,
        chain: ChainSection | None = None,
        log: LogSection | None = None,
        launch: Callable[[Path], Running] = forked,
    ) -> Network:
        """Found a city in a new folder. Members behind the validators only sign transactions: no node of theirs is
        started, so that the logs, which need a quorum of witnesses, stay closed."""
        founders = [
            Founder(
                uscc=demo_uscc(REGION, number),
                name=f"演示单位 {number}",
                handle=f"dept-{number}",
                region=REGION,
                roles=("supervisor",) if number == 1 else ("auditor",) if number == 2 else (),
                sequencer=False,
                validator=number <= validators,
            )
            for number in range(1, members + 1)
        ]
        init_city(folder, founders, chain_id=CHAIN_ID, engine="cometbft", chain=chain, log=log)
        return cls(folder, validators, launch)

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.members:
            if node.alive:
                with suppress(ProcessLookupError, NetworkError):
                    node.resume()
                node.kill()

    def start(self) -> None:
        """Start every validator's node that does not run and wait until all serve. Raises NetworkError."""
        for node in self.nodes:
            if node.alive:
                node.resume()  # whoever paused it may have failed
            else:
                node.start()
        for node in self.nodes:
            node.wait_serving()

    def stop(self) -> None:
        """Stop all in peace. Raises NetworkError when one does not end cleanly."""
        for node in self.nodes:
            node.stop()

    def accounts(self) -> tuple[Account, ...]:
        """The accounts of the members that do not validate, because no node of theirs runs and sends from them as well;
        where all validate, of all."""
        return tuple(node.account() for node in self.members[len(self.validators) :] or self.members)

    def same_head(self, seconds: float = OPEN_S) -> tuple[int, str, str]:
        """Height, hash and state root that all validators' nodes share, once nothing is under way.

        Raises: NetworkError when they do not come to one head in time.
        """
        seen: list[object] = []

        def shared() -> tuple[int, str, str] | None:
            try:
                heads = [node.head() for node in self.nodes]
            except LinkError as error:
                seen[:] = [error]
                return None
            seen[:] = heads
            return heads[0] if len(set(heads)) == 1 else None

        try:
            return wait_for(shared, "all nodes are at one head", seconds)
        except NetworkError as error:
            raise NetworkError(f"{error}: {seen}") from error

    def wipe(self, node: NetworkNode, *keep: str) -> None:
        """Remove everything of a stopped node but its keys, settings and the files all members share, as after a lost
        disk; ``keep`` names further entries of its folder."""
        if node.alive:
            raise NetworkError(f"{node.name} still runs")
        kept = {"keys", "passphrase", "node.toml", "genesis.json", "peers.json", *keep}
        for path in node.folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
