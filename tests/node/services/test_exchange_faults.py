"""The fault table of an exchange: every durable step of both sides fails, before or after it took effect; the same
nonce then finishes the exchange, and both trails say it once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from services_city import City, eventually
from services_exchange import CONTENT

from ledger.errors import UnavailableError
from ledger.log import DepartmentLog
from ledger.storage.exchanges import ExchangeStore

STEPS = ((ExchangeStore, "begin"), (ExchangeStore, "put"), (DepartmentLog, "append"))
#: More steps than an exchange has; the table must reach its end before.
MOST = 40


class Faults:
    """Fails the ``at``-th durable step, before or after it is done; counts them."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at = at
        self.after = after
        self.seen = 0

    def wrap(self, step: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.seen += 1
            hit = self.seen == self.at
            if hit and not self.after:
                raise _full()
            answer = step(*args, **kwargs)
            if hit:
                raise _full()
            return answer

        return run


def _full() -> UnavailableError:
    return UnavailableError("disk.full", "no space is left", hint="free space")


@contextmanager
def faults(at: int, *, after: bool) -> Iterator[Faults]:
    made = Faults(at, after=after)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, made.wrap(getattr(owner, name)))
        yield made


@pytest.mark.parametrize("after", [False, True], ids=["fails", "fails-but-done"])
def test_every_step_may_fail(city: City, after: bool) -> None:
    grant = city.grant(city.publish(CONTENT).id, ceiling=1_000)
    exchanges = city.context("civil").exchanges
    for at in range(1, MOST):
        nonce = os.urandom(32)
        with faults(at, after=after) as made:
            with suppress(grpc.RpcError):
                city.pull(grant.id, nonce=nonce)
            eventually(lambda: not _open(city), "both nodes have left the dialogue")
        _, receipt = city.pull(grant.id, nonce=nonce)
        assert receipt.state == "complete"
        for handle, role in (("civil", "provider"), ("labour", "consumer")):
            entry = city.context(handle).exchanges.get(receipt.exchange, role)
            assert (entry.state, entry.receipt) == ("complete", receipt.receipt)
            assert len(city.records(handle, "exchange.completed", exchange=receipt.exchange.hex())) == 1, (at, handle)
        counts = exchanges.counts("provider", grant.id)
        assert (counts.used, counts.half) == (at, 0), at
        if made.seen < at:
            break
    else:
        raise AssertionError(f"an exchange has more than {MOST} durable steps")
    assert at > 8


def _open(city: City) -> bool:
    """Whether a dialogue of the provider is still being served."""
    token = b""
    while True:
        entries, token = city.context("civil").exchanges.page(state="begun", page_size=500, token=token)
        if any(entry.role == "provider" for entry in entries):
            return True
        if not token:
            return False
