"""A node without data: it takes a snapshot whose header most members show, and every block again where that fails."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from ledger._native import AbciServer
from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Directory
from ledger.chain.devnet import CHAIN_ID, DevMember
from ledger.chain.embedded import new_chain
from ledger.chain.genesis import contract_addresses
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing
from node.city.ports import free_ports
from node.comet.joining import Joining, check_unsigned, trusted_header
from node.comet.light import PATHS, Ask, LightSource, answer_call, light_routes
from node.comet.rpc import CometRpc, _Connection
from node.comet.sockets import socket_path
from node.identity.peers import Peer
from node.web.webserver import WebServer
from tests.bft.comet_homes import Comet, cometbft, genesis_of, make_members, until
from tests.native_chain.abci_node import ring

MEMBERS = make_members()
EVERY = 5
PEERS = tuple(Peer(uscc=m.uscc, grpc="", https="", certificate=b"", spki=b"") for m in MEMBERS[2:5])


class Application:
    """The real state machine on CometBFT, kept in memory."""

    def __init__(self, folder: Path, genesis: bytes) -> None:
        self.chain, _ = new_chain(genesis)
        folder.mkdir()
        self.server = AbciServer(self.chain, genesis, None, snapshots=str(folder), snapshot_every=EVERY)
        self.restored = self.height = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True)]

    def listen(self, path: Path, rpc: CometRpc) -> None:
        self.server.listen(str(path))
        self._threads.append(threading.Thread(target=ring, args=(self.server, rpc, self._ended), daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        self.server.stop()
        for thread in self._threads:
            thread.join(300)

    def _run(self) -> None:
        while not self._ended.is_set():
            commit = self.server.next_commit(0.2)
            if commit is not None:
                if commit.restored is not None:
                    self.restored = commit.height
                self.server.committed()
                self.height = commit.height


class OnComet(Comet):
    """A home whose CometBFT runs the real state machine."""

    def __init__(self, home: Path, member: DevMember, genesis: bytes, **changes: Any) -> None:
        home.mkdir(mode=0o700)
        app = socket_path(home, "app.sock")
        super().__init__(home, member, genesis, app=f"unix://{app}", **changes)
        self.app = Application(home / "snapshots", genesis)
        self.app.listen(app, self.rpc)
        self.port = free_ports(1)[0]
        routes = Starlette(routes=light_routes(self.rpc))
        self.web = WebServer(routes, "127.0.0.1", self.port, None, name="light")
        self.web.start()

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a public path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stop(self) -> None:
        super().stop()
        self.app.close()
        self.web.close()


@pytest.fixture(scope="module")
def genesis() -> bytes:
    return genesis_of(MEMBERS, 1)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, genesis: bytes) -> Iterator[OnComet]:
    """A network of one validator with a history of several snapshots."""
    cometbft()
    one = OnComet(tmp_path_factory.mktemp("grown") / "home", MEMBERS[0], genesis)
    one.process.start()
    try:
        directory = Directory(lambda *_: b"", contract_addresses()["Directory"])
        for number in range(12):
            data = directory.encode_publish(
                dataset_id(MEMBERS[0].uscc, f"c{number}"),
                sharing=Sharing.CONDITIONAL,
                level=Level.GENERAL,
                metadata_digest=b"\x01" * 32,
                resource_code=f"c{number}",
            )
            raw = sign_transaction(
                MEMBERS[0].account, chain_id=CHAIN_ID, nonce=number, to=directory.address, data=data, gas=4_000_000
            )
            before = until(one.height)
            assert one.app.server.hand_in([raw], True)[0][1] == ""
            until(lambda before=before: one.height() > before + 1)
        until(lambda: one.app.server.stats()["snapshots_made"] >= 2)
        yield one
    finally:
        one.stop()


def ask_of(comet: OnComet) -> Ask:
    """As a member's node answers, without TLS."""

    def ask(path: str) -> Any:
        status, told = comet.get(path)
        if status != 200:
            raise NotFoundError("comet.height", "no answer", actual=told.get("actual"))
        return told

    return ask


def joiner(
    tmp_path: Path, genesis: bytes, grown: OnComet, asking: Callable[[Peer], Ask], patience_s: float
) -> tuple[OnComet, Joining]:
    """A member without data beside the network."""
    one = OnComet(tmp_path / "joiner", MEMBERS[1], genesis, peers=(grown.peer,), log_level="info")
    joining = Joining(
        one.home,
        peers=lambda: PEERS,
        is_empty=lambda: one.app.height == 0,
        height=one.rpc.height,
        guard=lambda _asks: None,
        shortest=2 * EVERY,
        patience_s=patience_s,
        asking=asking,
    )
    plain = one.settings

    def prepare() -> None:
        one.settings = replace(plain, state_sync=joining.plan())
        one.prepare()

    one.process = one.make_process(prepare=prepare, is_stuck=joining.gave_up)
    return one, joining


def test_a_node_without_data_takes_a_snapshot(tmp_path: Path, genesis: bytes, grown: OnComet) -> None:
    one, joining = joiner(tmp_path, genesis, grown, lambda _peer: ask_of(grown), 150.0)
    try:
        one.process.start()
        until(lambda: one.app.height >= grown.app.height, 300)
        assert one.app.restored >= EVERY
        assert one.app.chain.head() == grown.app.chain.head()
        until(lambda: not joining.gave_up() and joining.plan() is None)
    finally:
        one.stop()
        joining.close()


def test_where_no_snapshot_comes_every_block_is_executed_again(tmp_path: Path, genesis: bytes, grown: OnComet) -> None:
    def asking(_peer: Peer) -> Ask:
        honest = ask_of(grown)

        def ask(path: str) -> Any:
            # They say what to trust and then nothing more: no light client gets anywhere.
            if "validators" in path:
                raise UnavailableError("peer.unreachable", "gone")
            return honest(path)

        return ask

    one, joining = joiner(tmp_path, genesis, grown, asking, 1.0)
    try:
        one.process.start()
        until(lambda: one.app.height >= grown.app.height, 300)
        assert one.app.restored == 0
        assert one.app.chain.head() == grown.app.chain.head()
    finally:
        one.stop()
        joining.close()


def shows(height: int, digest: str) -> Ask:
    """A member whose chain is so high and whose headers all have this hash."""

    def ask(path: str) -> Any:
        at = int(path.partition("height=")[2] or height)
        if at > height:
            raise NotFoundError("comet.height", "not yet")
        return {"signed_header": {"header": {"height": str(at)}, "commit": {"block_id": {"hash": digest}}}}

    return ask


def away(_path: str) -> Any:
    raise UnavailableError("peer.unreachable", "away")


A, B = "AA" * 32, "BB" * 32


@pytest.mark.parametrize(
    ("asks", "trusted"),
    [
        ((shows(100, A), shows(90, A), shows(80, A)), (70, A)),
        ((shows(100, A), shows(90, A), away), (70, A)),
        ((shows(100, A), shows(90, A), shows(1_000_000, B)), (80, A)),
        ((shows(100, A), away, away), None),
        ((shows(100, A), shows(100, B), shows(100, "CC" * 32)), None),
        ((shows(100, A), shows(100, A), shows(100, B), shows(100, B)), None),
        ((shows(19, A), shows(20, A), shows(20, A)), None),
        ((shows(100, A),), None),
        ((shows(100, "zz"), shows(100, "AA"), lambda _path: [], lambda _path: None), None),
        ((), None),
    ],
)
def test_a_header_is_trusted_when_most_members_show_it(asks: tuple[Ask, ...], trusted: tuple[int, str] | None) -> None:
    found = trusted_header({str(number): ask for number, ask in enumerate(asks)}, 20)
    if trusted is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], found[1].hex().upper()) == trusted
        assert len(found[2]) >= 2


def signed_at(newest: int, signers: dict[int, str]) -> Ask:
    """A member whose commits have these signatures, by height."""

    def ask(path: str) -> Any:
        at = int(path.partition("height=")[2] or newest)
        told = shows(newest, A)(path)
        told["signed_header"]["commit"]["signatures"] = [{"validator_address": signers.get(at, "F" * 40)}]
        return told

    return ask


OWN = "E" * 40


@pytest.mark.parametrize(
    ("asks", "count", "refused"),
    [
        ((signed_at(9, {9: OWN}),), 5, "comet.double-sign-guard"),
        ((signed_at(9, {}), signed_at(9, {5: OWN})), 5, "comet.double-sign-guard"),
        ((signed_at(9, {4: OWN}),), 5, ""),
        ((signed_at(3, {1: OWN}),), 5, "comet.double-sign-guard"),
        ((signed_at(9, {9: OWN}),), 0, ""),
        ((shows(9, A),), 5, "comet.answer"),
        ((away,), 5, "peer.unreachable"),
    ],
)
def test_a_key_that_signed_lately_does_not_join(asks: tuple[Ask, ...], count: int, refused: str) -> None:
    given = {str(number): ask for number, ask in enumerate(asks)}
    if not refused:
        check_unsigned(given, OWN, count)
        return
    with pytest.raises(LedgerError) as caught:
        check_unsigned(given, OWN, count)
    assert caught.value.code == refused


def test_nothing_is_taken_while_the_node_may_not_vote(tmp_path: Path) -> None:
    def guard(_asks: object) -> None:
        raise UnavailableError("comet.double-sign-guard", "not yet")

    joining = Joining(
        tmp_path,
        peers=lambda: PEERS,
        is_empty=lambda: True,
        height=lambda: 0,
        guard=guard,
        shortest=20,
        asking=lambda _peer: shows(100, A),
    )
    # However often: waiting is no failed attempt.
    for _ in range(10):
        with pytest.raises(UnavailableError):
            joining.plan()
    assert not joining.gave_up()


def test_only_what_a_light_client_asks_is_answered(grown: OnComet, tmp_path: Path) -> None:
    ask = ask_of(grown)

    def call(method: str, **params: Any) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
        answer = json.loads(answer_call(body, ask))
        assert answer["id"] == 7
        return dict(answer)

    for method in PATHS:
        assert call(method, height="2")["result"]
        assert "less than or equal" in call(method, height="999999")["error"]["data"]
    assert call("dial_peers", peers=["x"])["error"]["code"] == -32600
    assert call("commit", height="x")["error"]["code"] == -32600
    for body in (b"", b"[]", b"{", b"[" * 5_000, b'{"id":1}'):
        assert json.loads(answer_call(body, ask))["error"]["code"] == -32600
    for wrong in ("x", "-1", "01"):
        assert grown.get(PATHS["commit"] + f"?height={wrong}")[0] == 400

    source = LightSource(tmp_path / "l.sock", ask)
    try:
        assert (tmp_path / "l.sock").stat().st_mode & 0o777 == 0o600
        connection = _Connection(source.address, 20)
        connection.request("POST", "/", body=b'{"id":3,"method":"commit","params":{"height":"2"}}')
        told = json.loads(connection.getresponse().read())
        assert told["result"]["signed_header"]["header"]["height"] == "2"
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "5000")
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()
    finally:
        source.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        _Connection(source.address, 1).connect()
