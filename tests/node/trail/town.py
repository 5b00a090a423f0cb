"""A small town for the tests of witnessing: members with real keys and certificates, no chain; witnesses that are
honest servers of the node's own code, or liars over real TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from ledger.evidence import merkle
from ledger.evidence.checkpoint import ED25519_NOTE, Checkpoint, VKey, cosign, format_checkpoint, sign_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyInfo, KeyRole, MemberInfo, MemberStatus, Record, Roles
from ledger.storage.exchanges import CheckpointStore
from ledger.storage.store import Store
from ledger.storage.witness import WitnessStore
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.city.ports import free_ports
from node.context import Published, system_clock
from node.identity.peers import Peer, PeerBook, encode_peers
from node.identity.tls import Identity, key_pem, make_certificate, spki_of_pem
from node.metrics import Metrics
from node.trail.alarms import AlarmBook
from node.trail.attendance import Attendance
from node.trail.feeding import WitnessFeed, WitnessFeeds
from node.trail.publishing import CheckpointPublisher
from node.trail.quorum import WitnessQuorum
from node.trail.witnessing import LogWitness
from node.web.https import public_app
from node.web.webserver import WebServer
from tests.node.core.makers import NOW_MS, make_uscc

LOCAL = "127.0.0.1"
#: Patience of the tests' clients, seconds: liars that hang cost this much, and a loaded machine has this much.
TIMEOUT = 60.0
Answer = bytes | tuple[bytes, bytes] | None


class Last(bytes):
    """Bytes after which the liar closes the connection."""


def _fatal(error: Exception) -> None:
    raise AssertionError(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A member with its signing keys and its node's address."""

    info: MemberInfo
    log: Ed25519Signer
    witness: Ed25519Signer
    identity: Identity
    port: int

    @property
    def uscc(self) -> str:
        return self.info.uscc

    @property
    def vkey(self) -> VKey:
        return VKey(name=self.info.origin, type=ED25519_NOTE, public=self.log.public)

    def note(self, leaves: list[bytes], size: int) -> bytes:
        """This member's signed head over the first ``size`` leaves."""
        root = merkle.root(leaves[:size]) if size else merkle.EMPTY_ROOT
        head = Checkpoint(origin=self.info.origin, size=size, root=root)
        return sign_note(format_checkpoint(head), self.info.origin, self.log)

    def cosign(self, note: bytes, time_s: int | None = None, signer: Ed25519Signer | None = None) -> bytes:
        """This member's signature line over a note, dated now unless said otherwise."""
        text = note.decode().rpartition("\n\n")[0] + "\n"
        now = system_clock() // 1_000
        return cosign(text, self.info.witness_name, signer or self.witness, time_s or now).encode()

    def context(self) -> ssl.SSLContext:
        """The server side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


class Town:
    """Members 1 to ``count``; the first is the one whose log it is about."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.bodies = [self._body(number, port) for number, port in enumerate(free_ports(count), 1)]
        self._closing: list[Callable[[], object]] = []
        self.metrics = Metrics()
        self.peers_file = folder / "peers.json"
        self.peers_file.write_bytes(
            encode_peers(
                tuple(
                    Peer(
                        uscc=one.uscc,
                        grpc=f"{LOCAL}:{one.port}",
                        https=f"{LOCAL}:{one.port}",
                        certificate=one.identity.certificate,
                        spki=spki_of_pem(one.identity.certificate),
                    )
                    for one in self.bodies
                )
            )
        )
        self.peers = PeerBook(self.peers_file, self.bodies[0].identity)
        self._closing.append(self.peers.close)

    def _body(self, number: int, port: int) -> Body:
        uscc, secret = make_uscc(number), bytes([number]) * 32
        return Body(
            info=MemberInfo(
                uscc=uscc, handle=f"dept-{number}", region="310000", roles=Roles(0), status=MemberStatus.ACTIVE,
                account=bytes(20), generation=1, since=1, validator=True,
            ),
            log=Ed25519Signer(KeyRole.LOG, secret),
            witness=Ed25519Signer(KeyRole.WITNESS, bytes([number + 100]) * 32),
            identity=Identity(key=key_pem(secret), certificate=make_certificate(secret, uscc, NOW_MS, number)),
            port=port,
        )  # fmt: skip

    def roster(self) -> Roster:
        """What the chain would say."""
        keys: dict[bytes, KeyInfo] = {}
        active: dict[tuple[str, KeyRole], tuple[KeyInfo, ...]] = {}
        for body in self.bodies:
            for role, signer in ((KeyRole.LOG, body.log), (KeyRole.WITNESS, body.witness)):
                info = KeyInfo(
                    material=signer.public, member=body.uscc, role=role, status="active", valid_from=1, valid_to=0,
                    ended_at=0,
                )  # fmt: skip
                keys[info.material] = info
                active[body.uscc, role] = (info,)
        return Roster(members={body.uscc: body.info for body in self.bodies}, keys=keys, active_keys=active)

    def alarms(self, name: str = "alarms") -> AlarmBook:
        """An alarm book of its own."""
        return AlarmBook(self.folder / name, clock=system_clock)

    def close(self) -> None:
        """Stop everything, newest first."""
        while self._closing:
            self._closing.pop()()

    def at_end(self, action: Callable[[], object]) -> None:
        """Call this when the test is over."""
        self._closing.append(action)

    # --- servers ------------------------------------------------------------------------------------------------------
    def witness(self, number: int, **more: object) -> LogWitness:
        """The witness of a member, with a store of its own, not served."""
        body = self.bodies[number]
        store = Store.open(self.folder / f"witness-{number}")
        self.at_end(store.close)
        return LogWitness(
            member=body.uscc, name=body.info.witness_name, signer=lambda: body.witness, store=WitnessStore(store),
            roster=self.roster, clock=system_clock, metrics=Metrics(),
            **{"alarms": self.alarms(f"alarms-{number}"), **more},  # type: ignore[arg-type]
        )  # fmt: skip

    def serve(self, number: int, app: object) -> WebServer:
        """Serve an application under a member's address and certificate."""
        body = self.bodies[number]
        context = body.context()
        file = self.folder / f"tls-{number}.pem"
        file.write_bytes(body.identity.key + body.identity.certificate)
        context.load_cert_chain(file)
        server = WebServer(app, LOCAL, body.port, context, name=f"https-{number}")
        server.start()
        self.at_end(server.close)
        return server

    def honest(self, number: int) -> LogWitness:
        """A member's witness as its node serves it."""
        witness = self.witness(number)
        self.serve(number, witness_app(witness))
        return witness

    def liar(self, number: int, answer: Callable[[str, bytes], Answer]) -> None:
        """A TLS server that answers (path, body) with these raw bytes. None: it says nothing and keeps the line open; a
        pair: the first at once, and then the second again and again, five times a second."""
        liar = Liar(self.bodies[number], self.folder / f"liar-{number}.pem", answer)
        self.at_end(liar.close)

    # --- the log ------------------------------------------------------------------------------------------------------
    def publishing(self, quorum: WitnessQuorum | None = None) -> Publishing:
        """The first member's log with everything that publishes it."""
        return Publishing(self, quorum or WitnessQuorum(self.bodies[0].uscc))


class Publishing:
    """A real log, its publisher, and feeds to the town's witnesses."""

    def __init__(self, town: Town, quorum: WitnessQuorum) -> None:
        self.town = town
        owner = town.bodies[0]
        self.log = DepartmentLog.open(
            town.folder / "log", origin=owner.info.origin, signer=owner.log, clock=system_clock
        )
        town.at_end(self.log.close)
        self.log.guard([])
        self.attendance = Attendance(system_clock)
        self.alarms = town.alarms()
        self.tracker = PeerTracker(system_clock)
        store = Store.open(town.folder / "notes")
        town.at_end(store.close)
        self.publisher = CheckpointPublisher(
            member=owner.uscc, log=self.log, store=CheckpointStore(store), roster=town.roster, quorum=quorum,
            attendance=self.attendance, clock=system_clock, metrics=town.metrics,
            on_signed=lambda: self.feeds.wake(), on_witnessed=lambda: None,
        )  # fmt: skip
        self.feeds = WitnessFeeds(owner.uscc, self.feed, town.roster, town.peers)
        town.at_end(self.stop)

    def feed(self, uscc: str, timeout: float = TIMEOUT) -> WitnessFeed:
        """A feed to one witness."""
        return WitnessFeed(
            uscc, log=self.log, publisher=self.publisher, roster=self.town.roster, peers=self.town.peers,
            tracker=self.tracker, attendance=self.attendance, alarms=self.alarms, metrics=self.town.metrics,
            timeout=timeout, on_fatal=_fatal,
        )  # fmt: skip

    def add(self, number: int) -> Published:
        """Append a record and sign the new head."""
        self.log.append_record(make_record(self.town.bodies[0].uscc, number))
        published = self.publisher.publish()
        assert published is not None
        return published

    def stop(self) -> None:
        """End the feeds' threads."""
        loops = tuple(self.feeds.loops())
        for loop in loops:
            loop.stop()
        self.feeds.close()
        for loop in loops:
            assert loop.join(300)


def make_record(member: str, number: int) -> Record:
    """A small record, different for each number."""
    body = {"system": "portal", "matter": f"M-{number}", "purpose": "testing", "operator": "0" * 64}
    return Record(type="access.used", member=member, time_ms=system_clock(), body=body)


class Liar:
    """Real TLS, lies in the answers."""

    def __init__(self, body: Body, file: Path, answer: Callable[[str, bytes], Answer]) -> None:
        file.write_bytes(body.identity.key + body.identity.certificate)
        self._context = body.context()
        self._context.load_cert_chain(file)
        self._answer = answer
        self._closed = threading.Event()
        self._listener = socket.create_server((LOCAL, body.port))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        for one in (self._listener, *self._open):
            one.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(plain)
            threading.Thread(target=self._speak, args=(plain,), daemon=True).start()

    def _speak(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as line:
                stream = line.makefile("rb")
                while True:
                    request = stream.readline().split(b" ")
                    if len(request) != 3:
                        return
                    length = 0
                    while (header := stream.readline().strip()) != b"":
                        name, _, value = header.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    answer = self._answer(request[1].decode(), stream.read(length))
                    if answer is None:
                        self._closed.wait(300)
                        return
                    if isinstance(answer, bytes):
                        line.sendall(answer)
                        if isinstance(answer, Last):
                            return
                        continue
                    line.sendall(answer[0])
                    while not self._closed.wait(0.2):
                        line.sendall(answer[1])
        except OSError:
            return


def http(status: int, body: bytes, headers: str = "") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def witness_app(witness: LogWitness) -> Starlette:
    """What a node serves, of a member that has no log and mirrors nobody's."""
    nothing: dict[str, Any] = {"member": "", "mirrors": None, "may_read": None}
    return public_app(_NoLog(), _NoPublisher(), witness, lambda: {"height": 7}, **nothing)  # type: ignore[arg-type]


class _NoLog:
    """A witness's node needs no log to witness."""


class _NoPublisher:
    def newest(self) -> None:
        return None

    witnessed = newest
