"""The ABCI application through its door, and under a real CometBFT that is killed and played back."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ledger import _native
from ledger.chain.abi import interface
from ledger.chain.bindings.proposals import ProposalKind, encode_arguments
from ledger.chain.devnet import CHAIN_ID, DevMember
from ledger.chain.genesis import contract_addresses
from ledger.errors import ConflictError, FatalError, InvalidInputError, UnavailableError
from ledger.model import KeyRole
from ledger.storage.store import Store
from node.comet.rpc import CometRpc
from node.comet.settings import StateSync
from tests.bft.comet_homes import Comet, cometbft, genesis_of, make_members, until
from tests.native_chain.abci_node import open_chain, ring, serve
from tests.native_chain.native_city import City, Member, sign

CONSORTIUM = contract_addresses()["Consortium"]
#: An address without code: a call of it succeeds and does nothing but use a nonce.
NOWHERE = b"\x77" * 20


def account(member: DevMember) -> Member:
    """A founder as one who signs."""
    return Member(uscc=member.uscc, secret=member.secret, account=member.account.address)


def call(sender: Member, **over: Any) -> bytes:
    """A signed transaction that is always valid at its nonce."""
    return sign(sender, NOWHERE, b"", gas=30_000, chain=CHAIN_ID, **over)


# --- the door ---------------------------------------------------------------------------------------------------------
def test_what_does_not_fit_the_chain_is_refused() -> None:
    city = City.found()
    with pytest.raises(InvalidInputError, match="not the one the chain was made from"):
        _native.AbciServer(city.chain, b"{}", None)
    with pytest.raises(FatalError) as version:
        _native.AbciServer(city.chain, city.genesis, b"\x63")
    assert (version.value.code, "99" in version.value.message) == ("abci.row-version", True)
    with pytest.raises(FatalError) as row:
        _native.AbciServer(city.chain, city.genesis, b"\x01" * 10)
    assert row.value.code == "abci.row"
    city.block([city.publish(2, "pop-2026")[1]])
    with pytest.raises(FatalError, match="no consensus row"):
        _native.AbciServer(city.chain, city.genesis, None)


def test_a_server_listens_answers_and_stops(tmp_path: Path) -> None:
    city = City.found()
    server = _native.AbciServer(city.chain, city.genesis, None, snapshots=str(tmp_path / "snapshots"), snapshot_every=5)
    path = tmp_path / "app.sock"
    server.listen(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError) as twice:
        server.listen(str(tmp_path / "second.sock"))
    assert twice.value.code == "abci.listening"
    other = _native.AbciServer(city.chain, city.genesis, None)
    with pytest.raises(ConflictError) as busy:
        other.listen(str(path))
    assert busy.value.code == "abci.socket-busy"
    with pytest.raises(InvalidInputError) as long:
        other.listen(str(tmp_path / ("x" * 120)))
    assert (long.value.code, long.value.expected) == ("abci.socket-path", 107)
    with pytest.raises(UnavailableError) as nowhere:
        other.listen("/nowhere/app.sock")
    assert nowhere.value.code == "abci.socket"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(bytes.fromhex("021a00"))  # Info
        answer = client.recv(1 << 16)
        assert b"civicledger" in answer
    assert server.next_commit(0.0) is None
    assert server.refusals([bytes(32)]) == [None]
    assert (server.waiting(), server.find(bytes(32)), server.own(0.0)) == ((0, 0, False), None, [])
    assert server.hand_in([b"?"], True)[0][1:] == ("tx.malformed", "transaction type 63 is not taken here")
    assert not server.next_bell(0.0)
    for wait in (-1.0, float("nan"), 1e9):
        for asked in (server.next_commit, server.next_bell, server.own):
            with pytest.raises(InvalidInputError):
                asked(wait)
    with pytest.raises(ConflictError) as nothing:
        server.committed()
    assert nothing.value.code == "abci.no-commit"
    server.stop()
    server.stop()
    assert server.failure() is None
    assert server.next_commit(3_600.0) is None
    assert not path.exists()
    with pytest.raises(UnavailableError):
        server.listen(str(path))


def test_a_waiting_thread_is_released_and_the_failure_is_told() -> None:
    city = City.found()
    server = _native.AbciServer(city.chain, city.genesis, None)
    told: list[object] = []
    waiter = threading.Thread(target=lambda: told.append(server.next_commit(3_600.0)))
    waiter.start()
    server.fail("no space left on device")
    waiter.join(300)
    assert told == [None]
    failure = server.failure()
    assert failure is not None
    assert failure[0] == "abci.store"
    assert "no space left on device" in failure[1]
    server.stop()


# --- a real CometBFT --------------------------------------------------------------------------------------------------
class App:
    """The application and its store in this process."""

    def __init__(self, folder: Path, genesis: bytes, *, snapshots: bool = False) -> None:
        self.store = Store.open(folder / "store")
        self.chain, consensus = open_chain(genesis, self.store)
        self.server = _native.AbciServer(
            self.chain, genesis, consensus, snapshots=str(folder / "snapshots") if snapshots else None, snapshot_every=4
        )
        self.path = folder / "app.sock"
        self.server.listen(str(self.path))
        self.commits: list[_native.AbciCommit] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=serve, args=(self.server, self.store, self._stop), kwargs={"seen": self.commits.append}
            )
        ]
        self._threads[0].start()

    def ring(self, rpc: CometRpc) -> None:
        """Let CometBFT hear of what waits."""
        self._threads.append(threading.Thread(target=ring, args=(self.server, rpc, self._stop)))
        self._threads[-1].start()

    def hand_in(self, *raws: bytes) -> list[str]:
        """The codes of the refusals, empty where one waits now."""
        return [code for _, code, _ in self.server.hand_in(raws, True)]

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self.server.stop()
        for thread in self._threads:
            thread.join(300)
        self.store.close()


@contextmanager
def running(
    folder: Path, member: DevMember, genesis: bytes, *, snapshots: bool = False, **settings: Any
) -> Iterator[tuple[App, Comet]]:
    """An application with its CometBFT."""
    folder.mkdir()
    app = App(folder, genesis, snapshots=snapshots)
    comet = Comet(folder / "home", member, genesis, app=f"unix://{app.path}", **settings)
    try:
        comet.process.start()
        app.ring(comet.rpc)
        yield app, comet
    finally:
        comet.stop()
        app.close()


def contract_keys(chain: _native.Chain) -> list[bytes]:
    """Consensus keys as the contract's own view gives them, ascending."""
    read = interface("Consortium").functions["validators"]
    return sorted(read.decode_output(chain.call(CONSORTIUM, read.encode())[1])[1])


def govern(sender: Member, function: str, *args: object) -> bytes:
    """A signed call of the Consortium."""
    data = interface("Consortium").functions[function].encode(*args)
    return sign(sender, CONSORTIUM, data, gas=1_000_000, chain=CHAIN_ID)


def nonce(chain: _native.Chain, who: Member) -> int:
    """Transactions of a sender that are in the state."""
    count = chain.account(who.account)["nonce"]
    assert isinstance(count, int)
    return count


def test_one_validator_orders_and_a_late_node_takes_its_snapshot(tmp_path: Path) -> None:
    cometbft()
    members = make_members()
    genesis = genesis_of(members, 1)
    sender, outsider = account(members[0]), account(make_members()[0])
    with running(tmp_path / "a", members[0], genesis, snapshots=True) as (app, comet):
        until(lambda: app.commits)
        # A height without transactions makes no block; the validators are the contract's.
        first = app.commits[0]
        assert (first.height, first.block, app.chain.height()) == (1, None, 0)
        assert contract_keys(app.chain) == first.validators == [members[0].signer(KeyRole.CONSENSUS).public]
        codes = app.hand_in(call(sender), call(outsider), b"?", call(sender, nonce=200))
        assert codes == ["", "tx.not-member", "tx.malformed", "tx.nonce-gap"]
        until(lambda: nonce(app.chain, sender) == 1)
        block = until(lambda: next((commit for commit in app.commits if commit.block is not None), None))
        assert block.block is not None
        fields = _native.header_fields(block.block.header)
        assert (fields["height"], fields["consensus_height"], fields["time"]) == (
            1,
            block.height,
            block.time_ms // 1000,
        )
        for sent in range(2, 12):
            raw = call(sender)
            assert app.hand_in(raw) == [""]
            until(lambda sent=sent: nonce(app.chain, sender) == sent)
        until(lambda: app.server.stats()["snapshots_made"] > 0)
        # The first header's time is that of the genesis, long ago.
        trusted = json.loads(comet.rpc.commit(2))["signed_header"]["commit"]["block_id"]["hash"]
        sync = StateSync(
            sources=(comet.settings.rpc, comet.settings.rpc), height=2, hash=bytes.fromhex(trusted), period_s=864_000
        )
        with running(tmp_path / "b", members[1], genesis, peers=(comet.peer,), state_sync=sync) as (late, late_comet):
            until(lambda: late.chain.head()["hash"] == app.chain.head()["hash"])
            restored = late.commits[0]
            assert restored.restored is not None
            assert restored.height >= 4
            assert until(late_comet.height) >= restored.height
            assert nonce(late.chain, sender) == 11
            # It goes on with the others, and what it stored is enough to start again.
            # Its own pool proposes nothing here: the validator's node is handed what comes in, as nodes do.
            raw = call(sender)
            assert (late.hand_in(raw), app.hand_in(raw)) == ([""], [""])
            until(lambda: nonce(late.chain, sender) == 12)
            assert late.server.waiting() == (0, 0, False)
            assert comet.rpc.call("num_unconfirmed_txs")["total"] in ("0", "1"), "the bell, if anything"
            refused = comet.rpc.call("broadcast_tx_sync", tx=base64.b64encode(call(sender)).decode())
            assert refused["codespace"] == "tx.not-here"
        with Store.open(tmp_path / "b" / "store") as store:
            again, row = open_chain(genesis, store)
            assert nonce(again, sender) == 12
            _native.AbciServer(again, genesis, row)


def test_the_validators_are_those_the_members_voted_in(tmp_path: Path) -> None:
    cometbft()
    members = make_members()
    senders = [account(member) for member in members]
    with running(tmp_path / "a", members[0], genesis_of(members, 1)) as (app, _comet):

        def send(*raws: bytes) -> None:
            assert not any(app.hand_in(*raws))
            until(lambda: all(nonce(app.chain, sender) == sender.nonce for sender in senders))

        # The first height's time is that of the genesis, long ago; the second one's is now.
        send(call(senders[0]))
        send(call(senders[0]))
        now = app.chain.head()["time"]
        assert isinstance(now, int)
        change = encode_arguments(ProposalKind.SET_VALIDATOR, members[1].uscc, True)
        send(govern(senders[0], "propose", int(ProposalKind.SET_VALIDATOR), change, now + 3_600))
        # Who is voted on does not vote.
        send(*(govern(senders[voter], "vote", 1, True) for voter in (0, 2, 3, 4)))
        send(govern(senders[0], "execute", 1))
        # The second has no node here, so this is the end of the network: it is enough that CometBFT was told.
        told = until(lambda: [commit.validators for commit in app.commits if len(commit.validators) == 2])
        assert told[0] == contract_keys(app.chain)
        assert members[1].signer(KeyRole.CONSENSUS).public in told[0]
        assert app.server.stats()["validator_updates"] == 1
        assert app.server.failure() is None


def test_an_application_killed_at_every_step_loses_nothing(tmp_path: Path) -> None:
    cometbft()
    members = make_members()
    genesis = genesis_of(members, 1)
    sender = account(members[0])
    (tmp_path / "genesis.json").write_bytes(genesis)
    path = tmp_path / "app.sock"

    comet = Comet(tmp_path / "home", members[0], genesis, app=f"unix://{path}")

    def application(death: str = "") -> subprocess.Popen[str]:
        files = [str(tmp_path / "genesis.json"), str(tmp_path / "store"), str(path), comet.settings.rpc, death]
        command = [sys.executable, "-m", "tests.native_chain.abci_node", *files]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        until(path.exists)
        return process

    def ask(words: str) -> str:
        """The answer of the application; nothing where it died over it."""
        assert app.stdin is not None
        assert app.stdout is not None
        with suppress(BrokenPipeError):
            print(words, file=app.stdin, flush=True)
            return app.stdout.readline().strip()
        return ""

    sent = [call(sender) for _ in range(8)]
    app = application("asked:1")
    try:
        comet.process.start()
        for number, step in enumerate(("stored:2", "committed:3", "")):
            # It dies at the step it was started with. CometBFT goes with it, as with a node's process: alone it might
            # stand still while it ends itself. Its keeper starts it again, and it plays the height back.
            assert app.wait(300) < 0
            if (left := comet.process.pid) is not None:
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
            path.unlink(missing_ok=True)
            app = application(step)
            until(lambda: comet.height() >= 1)
            ask(f"hand {sent[number].hex()}")
        # What waited in the memory of an application that was killed is handed in again by who handed it in.
        for raw in sent:
            assert ask(f"hand {raw.hex()}") in ("-", "tx.nonce-low")
        until(lambda: ask(f"nonce {sender.account.hex()}") == str(len(sent)))
    finally:
        comet.stop()
        app.terminate()
        app.wait(300)
    assert app.returncode == 0
    with Store.open(tmp_path / "store") as store:
        chain, _ = open_chain(genesis, store)
    assert nonce(chain, sender) == len(sent)
