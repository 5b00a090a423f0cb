"""A real CometBFT under our hand: started, asked, killed, restarted, refused, stopped; one key signs in one process."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import ConflictError, LedgerError, NotFoundError, UnavailableError
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole
from node.comet.keys import encode_private_key
from node.comet.settings import SIGN_STATE
from tests.bft.comet_homes import Comet, broadcast, cometbft, genesis_of, make_members, until

MEMBERS = make_members()


@pytest.fixture(scope="module")
def genesis() -> bytes:
    return genesis_of(MEMBERS, 1)


@pytest.fixture
def comet(tmp_path: Path, genesis: bytes) -> Iterator[Comet]:
    """A validator that is a network by itself, not started."""
    cometbft()
    one = Comet(tmp_path / "home", MEMBERS[0], genesis, double_sign_check=5)
    yield one
    one.stop()


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def grow(comet: Comet, number: int) -> int:
    """Make a height by a transaction of the sample; the height then."""
    before = comet.height()
    assert broadcast(comet.rpc, [b"k%d=v" % number])[0]["code"] == 0
    return until(lambda: comet.height() > before and comet.height())


def test_it_runs_answers_and_comes_back_after_a_kill(comet: Comet) -> None:
    comet.process.start()
    until(lambda: comet.height() >= 1)
    rpc = comet.rpc
    assert [one["code"] for one in broadcast(rpc, [b"a=1", b"b=2"])] == [0, 0]
    again, large = broadcast(rpc, [b"a=1", b"x" * 200_000])
    assert isinstance(again, LedgerError)
    assert "already exists" in str(again.actual)
    assert isinstance(large, LedgerError)
    assert "too large" in str(large.actual)
    # A bell that hangs already is no error; another refusal is.
    rpc.ring(b"a=1")
    with pytest.raises(UnavailableError) as refused:
        rpc.ring(b"x" * 200_000)
    assert refused.value.code == "comet.refused"
    assert len(broadcast(rpc, [b"n%d=1" % number for number in range(2_500)])) == 2_500
    until(lambda: rpc.call("num_unconfirmed_txs")["total"] == "0")
    height = comet.height()
    signed = json.loads(rpc.commit(height))["signed_header"]
    assert signed["header"]["height"] == str(height)
    (validator,) = json.loads(rpc.validators(height))["validators"]
    assert base64.b64decode(validator["pub_key"]["value"]) == comet.member.signer(KeyRole.CONSENSUS).public
    assert json.loads(rpc.consensus_params(height))["consensus_params"]["block"]["max_bytes"] == str(4 << 20)
    for ask in (rpc.commit, rpc.validators, rpc.consensus_params):
        with pytest.raises(NotFoundError) as missing:
            ask(height + 1_000)
        assert missing.value.code == "comet.height"
    with pytest.raises(UnavailableError) as refused:
        rpc.call("no_such_method")
    assert refused.value.code == "comet.refused"

    first = comet.process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: comet.process.pid not in (None, first))
    assert until(lambda: comet.height() >= height)
    view = comet.process.view()
    assert (view.running, view.restarts) == (True, 1)
    assert view.last_error
    assert grow(comet, 1) > height

    # Connections are kept and used again: one that is dropped before its answer is a line in its log.
    assert "broken pipe" not in "\n".join(comet.process.tail())
    pid = comet.process.pid
    assert pid is not None
    comet.process.stop()
    assert not alive(pid)
    assert comet.process.view().pid is None
    with pytest.raises(UnavailableError) as gone:
        rpc.status()
    assert gone.value.code == "comet.unreachable"


def test_the_keys_are_on_no_disk(comet: Comet) -> None:
    comet.process.start()
    until(lambda: comet.height() >= 1)
    secret = json.loads(encode_private_key(comet.member.seeds[KeyRole.CONSENSUS]))["priv_key"]["value"].encode()
    files = [path for path in comet.home.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret in path.read_bytes()]
    assert comet.home.stat().st_mode & 0o077 == 0
    assert Path(comet.settings.rpc.removeprefix("unix://")).stat().st_mode & 0o077 == 0


def test_one_that_does_not_listen_to_sigterm_is_killed(comet: Comet) -> None:
    comet.process.start()
    pid = until(lambda: comet.process.pid)
    os.kill(pid, signal.SIGSTOP)
    comet.process.stop(0.5)
    assert not alive(pid)


def test_a_taken_port_is_named_and_waited_for(comet: Comet) -> None:
    host, _, port = comet.settings.p2p.rpartition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        comet.process.start()
        problem = until(lambda: comet.process.problem)
        assert (problem.code, port in problem.message) == ("comet.port-in-use", True)
        assert not comet.process.failed.is_set()
    assert until(lambda: comet.height() >= 1)


def test_one_key_signs_in_one_process(comet: Comet, tmp_path: Path, genesis: bytes) -> None:
    comet.process.start()
    until(lambda: comet.process.alive)
    copy = Comet(tmp_path / "copy", comet.member, genesis)
    with pytest.raises(ConflictError) as refused:
        copy.process.start(patience_s=0.2)
    assert refused.value.code == "comet.consensus-key-in-use"
    with pytest.raises(ConflictError) as refused:
        comet.make_process().start(patience_s=0.2)
    assert refused.value.code == "comet.home-in-use"
    comet.process.stop()
    copy.process.start()
    assert until(lambda: copy.height() >= 1)
    copy.stop()


def test_it_dies_with_the_node(comet: Comet, tmp_path: Path) -> None:
    """A node that is killed leaves no validator behind."""
    code = (
        "import sys, threading; from pathlib import Path; from ledger.chain.devnet import dev_member\n"
        "from tests.bft.comet_homes import Comet, genesis_of, until\n"
        "member = dev_member(1, sys.argv[3], 'Department 1')\n"
        "comet = Comet(Path(sys.argv[1]), member, genesis_of((member,), 1)); comet.process.start()\n"
        "pid = until(lambda: comet.process.pid); Path(sys.argv[2]).write_text(f'{pid};'); threading.Event().wait()\n"
    )
    root = Path(__file__).resolve().parents[2]
    told = tmp_path / "told"
    command = [sys.executable, "-c", code, tmp_path / "other", told, comet.member.founder.handle]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=root)
    try:
        until(lambda: told.exists() and told.read_text().endswith(";"))
        pid = int(told.read_text()[:-1])
        assert alive(pid)
    finally:
        node.kill()
        node.wait()
    until(lambda: not alive(pid))
    # And its key is free again.
    comet.process.start()
    assert until(lambda: comet.height() >= 1)


def test_a_key_is_exchanged_while_it_runs(comet: Comet) -> None:
    def key() -> bytes:
        return base64.b64decode(comet.rpc.status()["validator_info"]["pub_key"]["value"])

    comet.process.start()
    assert until(key) == comet.member.signer(KeyRole.CONSENSUS).public
    secret = b"\x07" * 32
    comet.process.exchange(secret)
    fresh = Ed25519Signer(KeyRole.CONSENSUS, secret).public
    assert until(lambda: key() == fresh)
    assert comet.process.restarts == 0


def test_a_key_that_signed_lately_waits_where_that_is_not_remembered(comet: Comet) -> None:
    comet.process.start()
    until(lambda: comet.height() >= 1)
    for number in range(3):
        grow(comet, number)
    comet.process.stop()
    (comet.home / SIGN_STATE).unlink()
    comet.process.start()
    assert until(lambda: comet.process.problem).code == "comet.double-sign-guard"
    comet.process.stop()
    # The operator who knows that the key is nowhere else says so.
    comet.settings = replace(comet.settings, double_sign_check=0)
    comet.process.start()
    until(lambda: comet.height() >= 4)
    grow(comet, 9)
