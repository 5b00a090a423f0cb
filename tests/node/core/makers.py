"""What the tests of the node core are made of: members, keys, ports. Everything real, nothing random but the keys."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stdnum.cn import uscc as uscc_number

from ledger.model import KeyRole
from node.identity.keyfiles import NODE_ROLES, key_file, write_key
from node.identity.tls import make_certificate

T = TypeVar("T")

PASSPHRASE = b"a passphrase for tests"
NOW_MS = 1_763_784_000_000


def make_uscc(number: int) -> str:
    """A valid unified social credit code of a public body (type 11, Shanghai)."""
    body = f"11310000MB{number:07d}"
    return body + uscc_number.calc_check_digit(body)


def seeded(seed: str) -> Callable[[int], bytes]:
    """A source of bytes that are the same in every run, so that a failure can be repeated."""
    counter = 0

    def draw(count: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{seed}/{counter}".encode()).digest(count)

    return draw


def make_keys(folder: Path, uscc: str, seed: str = "keys") -> None:
    """All key files of a node and its certificate."""
    draw = seeded(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for role in NODE_ROLES:
        secret = b"\x01" + draw(31)
        write_key(key_file(folder, role), role, secret, PASSPHRASE)
        if role is KeyRole.TLS:
            (folder / "tls.crt").write_bytes(make_certificate(secret, uscc, NOW_MS, 77))


def eventually(read: Callable[[], T], seconds: float = 300.0) -> T:
    """The first true answer of ``read``, asked again and again; fails when there is none in time. For what another
    process or thread will do without telling us: bounded polling, not a sleep of a guessed length."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        answer = read()
        if answer:
            return answer
        pause.wait(0.02)
    answer = read()
    assert answer, "this did not come true in time"
    return answer
