"""A certificate of an examination whose making stops anywhere: asked again with its nonce it is one certificate, with
one record and one receipt at either side."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from certify_town import FOOD, HOSPITAL, OFFICE, Town
from medical_city import USCC, eventually

from ledger.errors import LedgerError
from ledger.storage.examinations import ExaminationStore
from ledger.storage.exchanges import ExchangeStore
from ledger.storage.fetches import FetchStore
from ledger.storage.licences import LicenceStore
from ledger.storage.openings import Openings
from ledger.storage.vault import Vault
from node.rpc.errors import from_rpc
from tests.ledger.medical.bundles import Person, identity_number


class Stop(Exception):
    """The process ends here: nothing after this point of the call is done."""


#: Where, what is written, and how manieth time: everything durable on the way of a certificate, in its order.
POINTS: tuple[tuple[str, type[Any], str, int], ...] = (
    (OFFICE, FetchStore, "keep", 1),
    (OFFICE, ExchangeStore, "begin", 1),
    (HOSPITAL, ExchangeStore, "begin", 1),
    (HOSPITAL, Vault, "put_all", 1),
    (HOSPITAL, ExaminationStore, "give", 1),
    (HOSPITAL, Openings, "file", 1),
    (HOSPITAL, ExchangeStore, "put", 1),
    (OFFICE, ExchangeStore, "put", 1),
    (HOSPITAL, ExchangeStore, "put", 2),
    (HOSPITAL, ExchangeStore, "put", 3),
    (OFFICE, ExchangeStore, "put", 2),
    (OFFICE, Openings, "keep", 1),
    (OFFICE, ExaminationStore, "use", 1),
    (OFFICE, LicenceStore, "begin", 1),
    (OFFICE, LicenceStore, "keep_payloads", 1),
    (OFFICE, LicenceStore, "finish", 1),
)


def store_of(town: Town, at: str, kind: type[Any]) -> Any:
    context = town.city.nodes[at].context
    stores: dict[type[Any], Any] = {
        FetchStore: context.licences.fetches,
        ExchangeStore: context.exchanges,
        ExaminationStore: context.medical.examinations,
        Openings: context.openings,
        LicenceStore: context.licences.store,
        Vault: context.medical.vault if at == HOSPITAL else None,
    }
    return stores[kind]


def stopping(target: Any, inner: Callable[..., Any], count: int, *, after: bool, met: list[int]) -> Callable[..., Any]:
    """The method, which stops the call that is the ``count``-th one of this one store; others go on."""

    def run(store: Any, *arguments: Any, **named: Any) -> Any:
        if store is not target or len(met) >= count:
            return inner(store, *arguments, **named)
        met.append(1)
        if len(met) < count:
            return inner(store, *arguments, **named)
        if after:
            inner(store, *arguments, **named)
        raise Stop

    return run


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=lambda one: f"{one[0]}-{one[1].__name__}-{one[2]}-{one[3]}")
def test_stopped_anywhere_it_is_one_certificate(
    town: Town, point: tuple[str, type[Any], str, int], after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 700 + 2 * POINTS.index(point) + after
    at, kind, method, count = point
    person = Person(local=f"X{number}", identity=identity_number(number))
    report = town.examine(person, f"E-{number}", "food-handler-fit")
    nonce, met = os.urandom(32), list[int]()
    target = store_of(town, at, kind)
    with monkeypatch.context() as patch:
        patch.setattr(kind, method, stopping(target, getattr(kind, method), count, after=after, met=met))
        try:
            town.certify(FOOD, person, number, nonce=nonce)
        except grpc.RpcError:
            stopped = True
        else:
            # The hospital ended after it had released everything: the office has its certificate.
            stopped = False
    assert len(met) == count, "the point was not reached"
    assert stopped or at == HOSPITAL

    def again() -> Any:
        try:
            return town.certify(FOOD, person, number, nonce=nonce)
        except grpc.RpcError as error:
            failure: LedgerError = from_rpc(error)
            assert failure.code.startswith(("exchange.in-progress", "exchange.interrupted", "peer.")), failure
            return None

    done = eventually(again, "asked again it is there")
    assert done.issued.licence.state == "valid"
    assert done.examination.institution == USCC[HOSPITAL]
    once_more = town.certify(FOOD, person, number, nonce=nonce)
    assert (once_more.issued, once_more.log_index) == (done.issued, done.log_index)
    exchange = done.receipt.exchange.hex()
    for side in (OFFICE, HOSPITAL):
        for type_ in ("medical.certified", "exchange.completed"):
            eventually(
                lambda side=side, type_=type_: town.records(side, type_, exchange=exchange), f"{type_} at {side}"
            )
            assert len(town.records(side, type_, exchange=exchange)) == 1
        assert len(town.records(side, "medical.certified", report=report.hex())) == 1
    receipts = {
        town.records(side, "exchange.completed", exchange=exchange)[0].body["receipt"] for side in (OFFICE, HOSPITAL)
    }
    assert len(receipts) == 1
    issued = town.city.nodes[OFFICE].context.licences.store.of_holder(FOOD, person.identity)
    assert [row.state for row in issued] == ["valid"]
    assert len(list(town.city.nodes[HOSPITAL].context.medical.examinations.given(report))) == 1
    assert len(list(town.city.nodes[OFFICE].context.medical.examinations.used(report))) == 1
