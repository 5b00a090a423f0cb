"""The passive half of a node: everything opened from its folder, before anything listens or runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import structlog

from ledger.chain.bindings import Contracts
from ledger.chain.engine import COMETBFT, EmbeddedChain
from ledger.chain.forwarding import Forward
from ledger.chain.genesis import EXTERNAL, MAX_GENESIS_BYTES, decode_genesis
from ledger.errors import FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.evidence.bft import BftFinality, decode_bft, encode_bft
from ledger.identifiers import origin
from ledger.log import DepartmentLog
from ledger.model import KeyRole
from ledger.structs import prepare
from node.chain.blocks import forward_to
from node.chain.blockwire import finality_message, stored_finality
from node.chain.board import CometBoard
from node.chain.external import NetworkBoard, NetworkChain, founding_pin
from node.chain.heads import HeadBoard
from node.chain.roster import RosterView
from node.chain.state import Chain, account
from node.chain.tracker import PeerTracker
from node.comet.starting import Comet, prepare_comet
from node.config import NodeConfig, load_config
from node.context import Clock
from node.drain import Closing
from node.identity.keyfiles import node_roles, read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook
from node.metrics import Metrics
from node.recoveryfiles import check_not_signed
from node.stores import open_stores
from node.trail.alarms import AlarmBook

logger = structlog.get_logger("node")

_RUNNING_FILE = "running"


class NodeCore:
    """Settings, keys, stores, alarms, chain, contracts, roster, head board, log. ``closing`` closes them in reverse."""

    def __init__(self, config: NodeConfig, keys: KeyRing, genesis: bytes, clock: Clock, closing: Closing) -> None:
        self.config = config
        self.keys = keys
        self.clock = clock
        self.closing = closing
        self.member = config.member.uscc
        self.metrics = Metrics()
        self.tracker = PeerTracker(clock)
        self.genesis = decode_genesis(genesis)
        self.genesis_bytes = genesis
        self.is_sequencer = self.genesis.sequencer == self.member
        self.peers = PeerBook(config.peers_file, keys.identity)
        closing.add("peers", self.peers.close)
        self.stores = open_stores(config, closing)
        self.alarms = AlarmBook(config.folder / "alarms", clock=clock)
        self._comet = self._prepare_comet(genesis) if self.is_bft else None
        self.chain = self._open_chain()
        closing.add("chain", self.chain.close)
        consortium = self.genesis.contracts["Consortium"]
        self.contracts = Contracts.in_force(self.chain.call, consortium)
        self.rosters = RosterView(self.contracts.consortium, lambda: self._storage_root(consortium))
        self._votes_seen = self._storage_root(consortium)
        self._adopt_rotated_keys()
        self.board = self._make_board()
        self.log, self.generation = self._open_log()
        closing.add("log", self.log.close)
        self.stores = self.stores.of_generation(self.generation)

    @property
    def is_bft(self) -> bool:
        """Whether the chain is ordered by CometBFT among the members' nodes."""
        return self.genesis.engine == COMETBFT

    @property
    def embedded(self) -> EmbeddedChain:
        """The chain, on an engine whose blocks are executed here. Raises: FatalError(chain.engine)."""
        if not isinstance(self.chain, EmbeddedChain):
            raise FatalError("chain.engine", f"on the engine {self.genesis.engine} no block is executed here")
        return self.chain

    @property
    def comet(self) -> Comet:
        """This node's CometBFT. Raises: FatalError(chain.engine) on another engine."""
        if self._comet is None:
            raise FatalError("chain.engine", f"the engine {self.genesis.engine} has no CometBFT")
        return self._comet

    @classmethod
    def open(cls, folder: Path, clock: Clock, environ: Mapping[str, str]) -> NodeCore:
        """Read settings and keys, lock and recover every folder, bring chain and log to their last whole state.

        Raises: any LedgerError, with code and hint; everything opened so far is closed again.
        """
        # Whoever opens a node has imported its parts, and no thread of it decodes anything yet.
        prepare()
        config = load_config(folder)
        passphrase = read_passphrase(config.folder, config.passphrase_file, environ)
        genesis = _read_genesis(config.genesis_file)
        check_not_signed(config, genesis)
        roles = node_roles(decode_genesis(genesis).engine)
        keys = KeyRing(config.keys_folder, config.member.uscc, passphrase, roles)
        closing = Closing()
        try:
            return cls(config, keys, genesis, clock, closing)
        except BaseException:
            closing.run()
            raise

    def follow_contracts(self) -> None:
        """After a block: turn to the contracts that are in force now; a vote may have replaced one."""
        root = self._storage_root(self.contracts.consortium.address)
        if root == self._votes_seen:
            return
        self._votes_seen = root
        for name in self.contracts.refresh():
            logger.info("contract.replaced", reason=name, height=self.chain.head().height)

    def mark_running(self) -> bool:
        """Leave the mark that only a clean stop removes; True when the last run left it."""
        mark = self.config.folder / _RUNNING_FILE
        unclean = mark.exists()
        mark.touch()
        return unclean

    def mark_stopped(self) -> None:
        """Remove the mark: this run ended cleanly. Where the disk refuses, the next start only looks closer."""
        with contextlib.suppress(OSError):
            (self.config.folder / _RUNNING_FILE).unlink(missing_ok=True)

    def _storage_root(self, address: bytes) -> bytes:
        root = account(self.chain, address)["storage_hash"]
        if not isinstance(root, bytes):
            raise FatalError("chain.account", "the state machine answered no storage root")
        return root

    def _adopt_rotated_keys(self) -> None:
        roster = self.rosters.current()
        info = roster.members.get(self.member)
        votes = info is not None and info.validator

        def is_active(role: KeyRole, material: bytes) -> bool:
            # A validator's new consensus key is taken up when it votes, which CometBFT says once it runs.
            begins = role is not KeyRole.CONSENSUS or not votes
            return begins and roster.has_key(self.member, role, material)

        for role in self.keys.reconcile(is_active):
            logger.info("key.adopted", role=role.word)

    def _open_chain(self) -> Chain:
        store = self.stores.chain
        if self.genesis.engine == EXTERNAL:
            return NetworkChain.of_city(self.config, self.genesis, store)
        return EmbeddedChain.open(store, self.genesis_bytes, forward=self._forward(), engine=self.genesis.engine)

    def _prepare_comet(self, genesis: bytes) -> Comet:
        store = self.stores.chain
        return prepare_comet(
            self.config, self.keys, genesis, self.peers, clock=self.clock, is_empty=lambda: store.consensus is None
        )

    def _forward(self) -> Forward | None:
        """How transactions get to whoever orders them; None where that is this node, or CometBFT among them all."""
        if self.is_bft or self.is_sequencer:
            return None
        timeout = float(self.config.chain.admission_timeout)
        return forward_to(self.peers, self.genesis.sequencer, self.tracker, timeout)

    def _make_board(self) -> HeadBoard | CometBoard | NetworkBoard:
        store = self.stores.chain
        kept = store.finality()
        oldest_ms = self.chain.head().time * 1_000

        def block_hash(height: int) -> bytes | None:
            found = store.header(height)
            return None if found is None else found[0]

        if isinstance(self.chain, NetworkChain):
            return NetworkBoard(
                clock=self.clock,
                block_hash=self.chain.hash_at,
                founded=founding_pin(self.genesis),
                oldest_time_ms=oldest_ms,
            )
        if self.is_bft:
            reached = store.consensus_at

            def is_validator() -> bool:
                info = self.rosters.current().members.get(self.member)
                return info is not None and info.validator

            board = CometBoard(
                clock=self.clock,
                block_hash=block_hash,
                is_validator=is_validator,
                store=lambda finality: store.put_finality(finality.head.height, encode_bft(finality)),
                stored=self._own_finality(kept),
                oldest_time_ms=oldest_ms,
            )
            if reached is not None:
                board.reached(*reached)
            return board
        return HeadBoard(
            sequencer=self.genesis.sequencer,
            chain=self.genesis.digest,
            clock=self.clock,
            roster=self.rosters.current,
            block_hash=block_hash,
            is_sequencer=self.is_sequencer,
            store=lambda finality: store.put_finality(
                finality.head.height, finality_message(finality).SerializeToString()
            ),
            stored=None if kept is None else stored_finality(kept[1]),
            oldest_time_ms=oldest_ms,
        )

    def _own_finality(self, kept: tuple[int, bytes] | None) -> BftFinality | None:
        """The newest stored proof, unless it is by the network of before a recovery."""
        found = None if kept is None else decode_bft(kept[1])
        return found if found is not None and found.chain == self.genesis.digest else None

    def _open_log(self) -> tuple[DepartmentLog, int]:
        """The log of the generation the chain says (a retired log's folder stays as it is, beside the next one)."""
        section = self.config.member
        info = self.rosters.current().members.get(self.member)
        if info is not None and (info.handle, info.region) != (section.handle, section.region):
            raise InvalidInputError(
                "config.member-mismatch",
                "node.toml names another handle or region than the chain",
                hint="correct the [member] section: the log's origin is made of them",
                expected=f"{info.region}.{info.handle}",
                actual=f"{section.region}.{section.handle}",
            )
        # A body just admitted does not find itself in its view until it has caught up; and a view that was lost begins
        # before the retirements: a log that has a successor here was retired, whatever the view says yet.
        generation = max(info.generation if info else 1, *self.config.log_generations, 1)
        log = DepartmentLog.open(
            self.config.log_folder_of(generation),
            origin=origin(section.region, section.handle, generation),
            signer=self.keys[KeyRole.LOG],
            clock=self.clock,
        )
        return log, generation


def report(error: LedgerError) -> str:
    """One clear error for a terminal: message, code, next step."""
    hint = f"\n  {error.hint}" if error.hint else ""
    return f"error: {error.message} [{error.code}]{hint}"


def _read_genesis(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_GENESIS_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(
            "genesis.missing",
            f"there is no {path}",
            hint="copy genesis.json from another member of the city: it is the same file everywhere",
        ) from error
    except OSError as error:
        raise FatalError("genesis.unreadable", f"{path} cannot be read: {error.strerror}") from error
    return data
