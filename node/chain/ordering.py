"""Which part of ordering a node plays, by the genesis file: sequencer or follower, or a node of a BFT network."""

from __future__ import annotations

from collections.abc import Callable

from ledger.chain.embedded import open_application
from ledger.errors import FatalError, LedgerError
from ledger.model import KeyRole
from node.chain.bftservice import BftBlockServicer, hand_over
from node.chain.blocks import BlockServicer
from node.chain.board import CometBoard
from node.chain.chainloop import Follower, Sequencer
from node.chain.consensus import BftOrderer
from node.chain.elders import ask_elders
from node.chain.external import NetworkBoard, NetworkChain, NetworkFollower, founding_pin
from node.chain.externalservice import NetworkBlockServicer
from node.chain.handing import Handing
from node.chain.heads import HeadBoard
from node.chain.rejoining import Rejoining
from node.chain.ways import Ways
from node.comet.view import ConsensusWatch, MemberKeys
from node.core import NodeCore

Orderer = Sequencer | Follower | BftOrderer | NetworkFollower


def make_orderer(core: NodeCore, on_fatal: Callable[[LedgerError], None]) -> Orderer:
    """What keeps this node's chain going; its signer is asked for each time, because keys rotate."""
    if isinstance(core.board, CometBoard):
        return _make_bft(core, core.board, on_fatal)
    if isinstance(core.board, NetworkBoard):
        return _make_network(core, core.board, on_fatal)
    if not core.is_sequencer:
        return Follower(
            chain=core.embedded,
            board=core.board,
            signer=lambda: core.keys[KeyRole.SEQUENCER],
            peers=core.peers,
            tracker=core.tracker,
            ways=Ways(
                sequencer=core.genesis.sequencer,
                chain=core.embedded,
                roster=core.rosters.current,
                peers=core.peers,
                staged=core.keys.staged_identity,
            ),
            metrics=core.metrics,
            on_fatal=on_fatal,
        )
    return Sequencer(
        chain=core.embedded,
        board=core.board,
        signer=lambda: core.keys[KeyRole.SEQUENCER],
        rejoining=Rejoining(
            member=core.member,
            chain=core.embedded,
            roster=core.rosters.current,
            peers=core.peers,
            tracker=core.tracker,
        ),
        config=core.config.chain,
        clock=core.clock,
        metrics=core.metrics,
        on_fatal=on_fatal,
    )


def make_block_service(
    core: NodeCore, stopping: Callable[[], bool]
) -> BlockServicer | BftBlockServicer | NetworkBlockServicer:
    """What other members' nodes may ask of this one about blocks."""
    if isinstance(core.board, NetworkBoard):
        return NetworkBlockServicer()
    if isinstance(core.board, HeadBoard):
        return BlockServicer(
            chain=core.embedded,
            board=core.board,
            tracker=core.tracker,
            is_sequencer=core.is_sequencer,
            stopping=stopping,
        )
    return BftBlockServicer(core.embedded)


def _make_network(core: NodeCore, board: NetworkBoard, on_fatal: Callable[[LedgerError], None]) -> NetworkFollower:
    chain = core.chain
    if not isinstance(chain, NetworkChain):
        raise FatalError("chain.engine", f"the engine {core.genesis.engine} follows no other network")

    def follow() -> None:
        core.follow_contracts()
        core.rosters.current()
        # What it takes to let the own operator ask, should the network be gone at this head.
        core.contracts.consortium.key(core.keys.material(KeyRole.TLS))
        core.contracts.consortium.member(core.member)

    return NetworkFollower(
        chain=chain,
        board=board,
        pin=founding_pin(core.genesis),
        follow=follow,
        metrics=core.metrics,
        on_fatal=on_fatal,
    )


def _make_bft(core: NodeCore, board: CometBoard, on_fatal: Callable[[LedgerError], None]) -> BftOrderer:
    comet = core.comet
    every, folder = core.config.comet.snapshot_every, core.config.comet_folder / "snapshots"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = open_application(
        core.embedded.native,
        core.genesis_bytes,
        core.stores.chain.consensus,
        snapshots=str(folder) if every else None,
        every=every or 1,
    )

    def validators() -> tuple[str, ...]:
        return tuple(info.uscc for info in core.rosters.current().active if info.validator)

    handing = Handing(
        own=core.member,
        validators=validators,
        hand=hand_over(core.peers, core.tracker),
        waiting=server.own,
        metrics=core.metrics,
        on_fatal=on_fatal,
    )
    if core.embedded.forwarding is not None:
        core.embedded.forwarding.attach(server, handing)
    return BftOrderer(
        chain=core.embedded,
        board=board,
        server=server,
        comet=comet,
        watch=ConsensusWatch(
            comet.rpc,
            comet.process,
            members=lambda: _member_keys(core),
            own=core.member,
            addresses=comet.addresses,
            waiting=core.embedded.waiting,
            clock=core.clock,
        ),
        handing=handing,
        metrics=core.metrics,
        on_fatal=on_fatal,
        elders=lambda height: ask_elders(core, height),
        first=core.genesis.first_block,
    )


def _member_keys(core: NodeCore) -> tuple[MemberKeys, ...]:
    roster = core.rosters.current()
    return tuple(
        MemberKeys(
            uscc=info.uscc,
            consensus=roster.materials(info.uscc, KeyRole.CONSENSUS),
            p2p=roster.materials(info.uscc, KeyRole.P2P),
        )
        for info in roster.active
    )
