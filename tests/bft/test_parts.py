"""The small parts beside CometBFT: the program found, its end explained, its output bounded, its RPC's bad answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError, UnavailableError
from node.comet import rpc as rpc_module
from node.comet.binary import VERSION, check_version, find_cometbft
from node.comet.output import OutputLog
from node.comet.reasons import explain
from node.comet.rpc import CometRpc
from node.comet.sockets import MAX_PATH_BYTES, socket_path

PANIC = "panic: block.AppHash does not match AppHash after replay. Got AB, expected CD."


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_program_is_found_where_it_is_installed(tmp_path: Path) -> None:
    named = program(tmp_path / "comet", "#!/bin/sh\n")
    assert find_cometbft(str(named)) == named
    with pytest.raises(NotFoundError) as missing:
        find_cometbft(str(tmp_path / "no-such"))
    assert (missing.value.code, "scripts/comet" in missing.value.hint) == ("comet.missing", True)
    (tmp_path / "go" / "bin").mkdir(parents=True)
    program(tmp_path / "go" / "bin" / "cometbft", "#!/bin/sh\n")
    assert find_cometbft("", {"PATH": "", "GOPATH": str(tmp_path / "go")}).name == "cometbft"


@pytest.mark.parametrize(
    ("says", "code"),
    [(VERSION, ""), (f"{VERSION}+abcdef", ""), ("v0.37.1", "comet.version"), ("", "comet.version")],
)
def test_only_the_tested_version_is_taken(tmp_path: Path, says: str, code: str) -> None:
    named = program(tmp_path / "comet", f"#!/bin/sh\necho {says}\n")
    if code:
        with pytest.raises(ConflictError) as refused:
            check_version(named)
        assert refused.value.code == code
    else:
        check_version(named)
    with pytest.raises(NotFoundError):
        check_version(program(tmp_path / "broken", "#!/bin/sh\nexit 3\n"))


@pytest.mark.parametrize(
    ("lines", "kind", "code"),
    [
        (
            ["ERROR: failed to start node: listen tcp 1.2.3.4:1: bind: address already in use"],
            ConflictError,
            "comet.port-in-use",
        ),
        (
            ["ERROR: failed to start node: listen tcp 1.2.3.4:1: bind: cannot assign requested address"],
            ConflictError,
            "comet.address",
        ),
        (
            ["panic: state (60) and store (0) height mismatch, stores were left in an inconsistent state"],
            UnavailableError,
            "comet.half-joined",
        ),
        (["noise", PANIC, "goroutine 1 [running]:"], FatalError, "comet.app-hash"),
        (["ERROR: error during handshake: app block height (9) is higher than core (3)"], FatalError, "comet.app-hash"),
        (
            ["ERROR: failed to start node: found signature from the same key"],
            UnavailableError,
            "comet.double-sign-guard",
        ),
        (["panic: leveldb/table: corruption on data-block"], FatalError, "comet.corrupt"),
        (["panic: write data/x.log: no space left on device"], UnavailableError, "disk.full"),
        (["ERROR: error in config file: error in [p2p] section"], FatalError, "comet.config"),
        (["E[..] CONSENSUS FAILURE!!! err=something new"], UnavailableError, "comet.consensus-failure"),
        (["E[..] abci.socketClient failed to connect to unix://x"], UnavailableError, "comet.app-gone"),
        # What another proposer did wrong is no damage here.
        (
            ["E[..] prevote step: ProposalBlock is invalid err=wrong Block.Header.AppHash"],
            UnavailableError,
            "comet.ended",
        ),
        ([], UnavailableError, "comet.ended"),
    ],
)
def test_its_end_is_explained(lines: list[str], kind: type[Exception], code: str) -> None:
    problem = explain(lines, 1)
    assert (type(problem), problem.code, bool(problem.hint)) == (kind, code, True)


def test_its_output_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "comet.log"
    log = OutputLog(path, max_bytes=1_000)
    for number in range(500):
        log.add(b"line %03d\n" % number)
    kept = path.with_name("comet.log.1").read_bytes() + path.read_bytes()
    assert kept.endswith(b"line 499\n")
    assert path.stat().st_size <= 1_000 >= path.with_name("comet.log.1").stat().st_size
    assert log.tail(2) == ("line 498", "line 499")
    log.close()
    log.add(b"after\n")
    assert path.read_bytes().endswith(b"after\n")
    log.close()
    assert path.stat().st_mode & 0o077 == 0
    # A disk that takes nothing stops nothing.
    lost = OutputLog(tmp_path / "no" / "such" / "folder.log")
    lost.add(b"still told\n")
    assert lost.tail() == ("still told",)


def test_a_long_folder_gets_a_short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    near = Path("/short")
    assert socket_path(near, "a.sock") == near / "a.sock"
    deep = Path("/" + "d" * 120)
    path = socket_path(deep, "a.sock")
    assert path == socket_path(deep, "a.sock")
    assert len(os.fsencode(path)) <= MAX_PATH_BYTES
    assert path.parent.stat().st_mode & 0o077 == 0
    assert socket_path(deep, "b.sock").parent == path.parent
    assert socket_path(Path("/" + "e" * 120), "a.sock") != path
    path.parent.chmod(0o755)
    with pytest.raises(ConflictError) as refused:
        socket_path(deep, "a.sock")
    assert refused.value.code == "comet.socket-folder"


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], CometRpc]]:
    """A server on a unix socket that answers every request with the same bytes and closes."""
    closing: list[socket.socket] = []

    def start(answer: bytes) -> CometRpc:
        path = tmp_path / f"{len(closing)}.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen()
        closing.append(listener)

        def serve() -> None:
            while True:
                try:
                    with listener.accept()[0] as one:
                        asked = b""
                        while not asked.endswith(b"}]"):
                            asked += one.recv(65_536)
                        one.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return CometRpc(f"unix://{path}", timeout=180)

    yield start
    for listener in closing:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "comet.unreachable"),
        (b"not http\r\n\r\n", "comet.unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "comet.unreachable"),
        (http(b"{"), "comet.answer"),
        (http(b"[" * 100_000), "comet.answer"),
        (http(b"[]"), "comet.answer"),
        (http(b'{"id":5,"result":{}}'), "comet.answer"),
        (http(b'{"id":0,"result":[]}'), "comet.answer"),
        (http(b'{"id":0,"error":{"code":-32603,"data":"no"}}'), "comet.refused"),
        (http(b'{"id":0,"error":{"data":"height 9 must be less than or equal to 3"}}'), "comet.height"),
    ],
)
def test_a_bad_answer_is_one_clear_error(answering: Callable[[bytes], CometRpc], answer: bytes, code: str) -> None:
    with pytest.raises((UnavailableError, NotFoundError)) as refused:
        answering(answer).status()
    assert refused.value.code == code


def test_an_answer_without_end_is_not_read(
    answering: Callable[[bytes], CometRpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "MAX_ANSWER_BYTES", 1_000)
    with pytest.raises(UnavailableError) as refused:
        answering(http(b" " * 5_000)).status()
    assert "larger than" in refused.value.message


def test_a_batch_has_an_end() -> None:
    with pytest.raises(InvalidInputError) as refused:
        CometRpc("unix:///nowhere").batch([("status", {})] * 2_000)
    assert refused.value.code == "comet.batch"
