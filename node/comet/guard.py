"""A consensus key signs in one process only: two that vote for the same height differently break the network's promise.

Two guards, both held by the process itself, so that the kernel drops them with it: a lock on the home folder (seen by
another container on the same disk, too), and a name made of the key (seen from a copy of the folder on this machine).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from pathlib import Path

from ledger.errors import ConflictError, FatalError
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole

_PATIENCE_S = 5.0
_POLL_S = 0.05


class KeyGuard:
    """The right to sign with a key from a home. ``descriptors`` are given to the child, which so holds it too."""

    def __init__(self, home: Path, secret: bytes, *, patience_s: float = _PATIENCE_S) -> None:
        """Take it. Raises: ConflictError(comet.home-in-use, comet.consensus-key-in-use), FatalError(comet.home)."""
        self._lock = _take_lock(home, patience_s)
        try:
            self._name = _take_name(secret, patience_s)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What holds the guards."""
        return (self._lock, self._name.fileno())

    def exchange(self, secret: bytes) -> None:
        """Go over to another key. Raises: ConflictError(comet.consensus-key-in-use); the old one is kept then."""
        name = _take_name(secret, _PATIENCE_S)
        self._name.close()
        self._name = name

    def release(self) -> None:
        """Give it up; a child that still lives goes on holding it."""
        self._name.close()
        os.close(self._lock)


def _take_lock(home: Path, patience_s: float) -> int:
    try:
        descriptor = os.open(home / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FatalError("comet.home", f"{home} cannot be locked: {error.strerror}") from error
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            os.close(descriptor)
            raise ConflictError(
                "comet.home-in-use",
                f"another CometBFT runs in {home}",
                hint="one node per folder: stop the other one first",
            ) from error
        return descriptor


def _take_name(secret: bytes, patience_s: float) -> socket.socket:
    public = Ed25519Signer(KeyRole.CONSENSUS, secret).public
    name = "\0civicledger/consensus/" + hashlib.sha256(public).hexdigest()
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            held.bind(name)
        except OSError as error:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            held.close()
            raise ConflictError(
                "comet.consensus-key-in-use",
                "another process on this machine signs with this consensus key",
                hint="a validator lives in one folder only: stop the copy; for a second node admit a second member",
                actual=public,
            ) from error
        return held
