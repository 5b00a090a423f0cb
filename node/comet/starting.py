"""From a node's folder to a CometBFT that is ready to be started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.chain.genesis import decode_genesis
from ledger.model import KeyRole
from node.comet.binary import check_version, find_cometbft
from node.comet.home import forget_blocks, signed_before, write_home
from node.comet.joining import Joining, check_unsigned
from node.comet.keys import key_address
from node.comet.light import Ask
from node.comet.process import CometProcess
from node.comet.reasons import HALF_JOINED
from node.comet.rpc import CometRpc
from node.comet.settings import HomeSettings
from node.comet.sockets import socket_path
from node.config import NodeConfig
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook

#: A snapshot is offered when some heights came after it.
_SETTLED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comet:
    """A CometBFT that is prepared and not yet started. ``app_socket``: where the state machine must listen before."""

    process: CometProcess
    rpc: CometRpc
    home: Path
    app_socket: str
    #: The other members' nodes as ``peers.json`` has them now: ``<node id>@host:port``.
    addresses: Callable[[], tuple[str, ...]]


def prepare_comet(
    config: NodeConfig,
    keys: KeyRing,
    genesis: bytes,
    peers: PeerBook,
    *,
    clock: Callable[[], int],
    is_empty: Callable[[], bool] = lambda: False,
) -> Comet:
    """Find the program, write its home, and put process and RPC together. Starts nothing. ``is_empty``: whether the
    chain of this node has nothing yet, so that a snapshot may be taken.

    Raises: NotFoundError(comet.missing), ConflictError(comet.version, comet.socket-folder),
    InvalidInputError(comet.engine), FatalError(comet.home, comet.sign-state).
    """
    binary = find_cometbft(config.comet.binary)
    check_version(binary)
    home = config.comet_folder
    app, rpc_file = socket_path(home, "app.sock"), socket_path(home, "rpc.sock")
    address = f"unix://{rpc_file}"

    rpc = CometRpc(address)

    def addresses() -> tuple[str, ...]:
        peers.refresh()
        return tuple(peer.p2p for uscc, peer in sorted(peers.items()) if peer.p2p and uscc != config.member.uscc)

    settings = HomeSettings(
        name=config.member.handle,
        app=f"unix://{app}",
        rpc=address,
        p2p=f"{config.comet.p2p_host}:{config.comet.p2p_port}",
        max_tx_bytes=decode_genesis(genesis).limits.tx_bytes,
        empty_interval_s=config.chain.heartbeat_interval,
        log_level=config.comet.log_level,
    )

    def guard(asks: Mapping[str, Ask]) -> None:
        if not signed_before(home):
            public = keys[KeyRole.CONSENSUS].public
            check_unsigned(asks, key_address(public).hex().upper(), config.comet.double_sign_check)

    joining = Joining(
        home,
        peers=lambda: tuple(peer for uscc, peer in sorted(peers.items()) if uscc != config.member.uscc),
        is_empty=is_empty,
        height=rpc.height,
        guard=guard,
        # From there on everybody has a snapshot who makes them as often as this node.
        shortest=config.comet.snapshot_every and config.comet.snapshot_every + _SETTLED,
    )

    def prepare() -> None:
        if process.problem is not None and process.problem.code == HALF_JOINED:
            forget_blocks(home)
        sync = joining.plan()
        check = config.comet.double_sign_check if sync is None else 0
        now = replace(settings, peers=addresses(), state_sync=sync, double_sign_check=check)
        write_home(home, genesis=genesis, settings=now)

    write_home(home, genesis=genesis, settings=settings)
    process = CometProcess(
        binary,
        home,
        consensus=keys.secret(KeyRole.CONSENSUS),
        p2p=keys.secret(KeyRole.P2P),
        clock=clock,
        prepare=prepare,
        sockets=(rpc_file,),
        is_stuck=joining.gave_up,
    )
    return Comet(process=process, rpc=rpc, home=home, app_socket=str(app), addresses=addresses)
