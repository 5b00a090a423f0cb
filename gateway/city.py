"""The city as a whole: the chain's view and every member's log, kept fresh by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from gateway.chain import ChainReader, find_member
from gateway.config import load_peers
from gateway.logs import MemberLog
from gateway.metrics import Metrics
from gateway.upstream import Answer, NodeReader, Within
from gateway.views import ChainMember, ChainView, CityMember, CityView, LogView
from ledger.chain.genesis import Genesis
from ledger.errors import LedgerError, NotFoundError, UnavailableError

logger = structlog.get_logger("gateway.city")

#: Unix milliseconds.
Clock = Callable[[], int]
#: How often the city is looked at.
REFRESH_S = 1.0
#: Nodes asked at the same time.
_PARALLEL = 8
#: What a chain of this engine can prove.
FINALITY = {"solo": "single-signer", "cometbft": "bft"}
#: With fewer validators of somebody else's network not one may be faulty.
_LEAST_FOR_BFT = 4


class City:
    """Reads the city every second; answers from the last reading. Use :meth:`start` and :meth:`close`."""

    def __init__(
        self, genesis: Genesis, home: str, peers: Path, chain: ChainReader, clock: Clock, metrics: Metrics
    ) -> None:
        self._genesis = genesis
        self._home = home
        self._peers = peers
        self._chain = chain
        self._clock = clock
        self._metrics = metrics
        self._lock = threading.Lock()
        self._logs: dict[str, MemberLog] = {}
        self._stamp: tuple[int, int] | None = None
        self._view: CityView | None = None
        self._problem: LedgerError | None = None
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="city")
        self._thread = threading.Thread(target=self._run, name="city", daemon=True)

    def start(self) -> None:
        """Begin looking, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking and drop all connections."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(30)
        self._pool.shutdown()
        with self._lock:
            for log in self._logs.values():
                log.close()

    def view(self) -> CityView:
        """The last reading.

        Raises:
            UnavailableError: ``gateway.starting``; or why the chain could not be read since the start.
        """
        view, problem = self._view, self._problem
        if view is None:
            raise problem or UnavailableError("gateway.starting", "the gateway is reading the city", hint="ask again")
        return view

    @property
    def problem(self) -> LedgerError | None:
        """Why the last reading of the chain failed; None when it did not."""
        return self._problem

    def chain(self) -> ChainView:
        """The chain at its present head. Raises as ``ChainReader.view``."""
        return self._chain.view()

    def log(self, handle_or_uscc: str) -> tuple[ChainMember, MemberLog]:
        """A member and its log.

        Raises:
            NotFoundError: ``member.unknown``, ``member.no-node``; and as ``ChainReader.view``.
        """
        member = find_member(self._chain.view(), handle_or_uscc)
        log = self._known_logs().get(member.info.uscc)
        if log is None:
            raise _no_node(member)
        return member, log

    def ask(self, uscc: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a member's node at a public path; also while the chain is away, by the last reading of it.

        Raises:
            NotFoundError: ``member.unknown``, ``member.no-node``; and as :meth:`view` and ``MemberLog.ask``.
        """
        member, log = self._node(uscc)
        return log.ask(member, path) if headers is None else log.ask(member, path, headers)

    def post(self, uscc: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a member's node's answer to what is sent to a public path. Raises: as :meth:`ask`."""
        member, log = self._node(uscc)
        return log.post(member, path, body, headers)

    def send(self, uscc: str, path: str, body: bytes, within: Within) -> Answer:
        """A member's node's answer, whatever its status. Raises: NotFoundError(member.*), UnavailableError(node.*)."""
        member, log = self._node(uscc)
        return log.send(member, path, body, within)

    def _node(self, uscc: str) -> tuple[ChainMember, MemberLog]:
        member = find_member(self.view().chain, uscc)
        log = self._known_logs().get(uscc)
        if log is None:
            raise _no_node(member)
        return member, log

    def refresh(self) -> CityView:
        """Read everything now."""
        chain = self._chain.view()
        logs = self._known_logs()
        read = [(member, self._pool.submit(_read_log, logs.get(member.info.uscc), member)) for member in chain.members]
        age, final = self._home_status(logs)
        self._view = CityView(
            chain_digest=self._genesis.digest,
            chain_id=self._genesis.chain_id,
            region=self._genesis.region,
            engine=self._genesis.engine,
            finality=_provable(self._genesis),
            final_height=final,
            view_age_ms=age,
            chain=chain,
            members=tuple(CityMember(chain=member, log=future.result()) for member, future in read),
            made_at_ms=self._clock(),
        )
        self._measure(self._view)
        return self._view

    def _measure(self, view: CityView) -> None:
        self._metrics.set("chain_height", "Height of the home node's head", view.chain.height)
        self._metrics.set("chain_final_height", "Newest height with a proof of finality", view.final_height)
        if view.view_age_ms is not None:
            self._metrics.set("chain_age_seconds", "Age of the chain's newest signed time", view.view_age_ms / 1000)
        self._metrics.set("datasets", "Datasets in the catalogue", len(view.chain.datasets))
        for member in view.members:
            handle, log = member.chain.info.handle, member.log
            anchored = member.chain.anchor.size if member.chain.anchor else 0
            self._metrics.set_member("log_size", "Records under the newest verified checkpoint", handle, log.size)
            self._metrics.set_member("anchored_size", "Records under the newest anchor", handle, anchored)
            self._metrics.set_member("reachable", "1 when the member's node answered", handle, log.reachable)
            self._metrics.set_member("trusted", "1 when nothing of the log failed", handle, log.problem is None)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.refresh()
                self._problem = None
            except LedgerError as error:
                if self._problem is None or self._problem.code != error.code:
                    logger.warning("city.unread", code=error.code, message=error.message)
                self._problem = error
            except Exception:
                # One odd answer must not end the page for good; the next reading starts from nothing.
                logger.exception("city.defect")
                self._problem = UnavailableError("gateway.defect", "the city could not be read")
            self._ended.wait(REFRESH_S)

    def _known_logs(self) -> dict[str, MemberLog]:
        """The readers of the members' nodes, remade where peers.json changed."""
        try:
            status = self._peers.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = None
        with self._lock:
            if stamp is None or stamp == self._stamp:
                return dict(self._logs)
            try:
                peers = load_peers(self._peers)
            except LedgerError as error:
                # A file that broke while we run: what was read before stays in use.
                logger.warning("peers.unread", code=error.code, message=error.message)
                self._stamp = stamp
                return dict(self._logs)
            kept: dict[str, MemberLog] = {}
            for uscc, peer in peers.items():
                known = self._logs.get(uscc)
                if known is not None and known.peer == peer:
                    kept[uscc] = known
                else:
                    kept[uscc] = MemberLog(NodeReader(peer), self._clock)
            for uscc, log in self._logs.items():
                if kept.get(uscc) is not log:
                    log.close()
            self._logs, self._stamp = kept, stamp
            return dict(kept)

    def _home_status(self, logs: dict[str, MemberLog]) -> tuple[int | None, int]:
        """(age of the newest signed time, newest final height) as the home node says."""
        home = logs.get(self._home)
        try:
            status = home.status() if home is not None else {}
        except LedgerError:
            return None, 0
        age, final = status.get("view_age_ms"), status.get("final_height")
        same = status.get("chain") == self._genesis.digest.hex()
        return (
            age if same and isinstance(age, int) and age >= 0 else None,
            final if same and isinstance(final, int) and final >= 0 else 0,
        )


def _provable(genesis: Genesis) -> str:
    if genesis.network is None or not genesis.network.validators:
        return FINALITY.get(genesis.engine, "unproven")
    return "bft" if len(genesis.network.validators) >= _LEAST_FOR_BFT else "single-signer"


def _read_log(log: MemberLog | None, member: ChainMember) -> LogView:
    if log is None:
        return LogView(reachable=False, size=0, cosignatures=0, cosigned_at=0, problem=_no_node(member))
    return log.refresh(member)


def _no_node(member: ChainMember) -> NotFoundError:
    return NotFoundError(
        "member.no-node",
        f"the address of {member.name}'s node is not known here",
        hint="copy peers.json again from any node of the city",
    )
