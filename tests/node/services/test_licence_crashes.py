"""An issue, a change or a publication that is cut short at any step is brought to its end once, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from licence_office import ISSUER, TYPE, accredit, holder
from services_city import USCC, City

from ledger.errors import LedgerError, UnavailableError
from ledger.storage.licencerows import Change
from ledger.storage.licences import LicenceStore
from ledger.storage.statuslists import StatusListStore
from node.licences.desk import Desk
from node.licences.issuer import Issued, Issuer
from node.licences.making import Order

#: Where the power goes: (what is about to be done, on which object).
STEPS = ("begin", "keep_payloads", "append", "finish")


@pytest.fixture(scope="module")
def office(city: City) -> City:
    """The city with an accredited issuer."""
    accredit(city)
    return city


@pytest.fixture(autouse=True)
def alone(office: City) -> Iterator[None]:
    """The running node's own publisher and issuer wait, and read again afterwards what stands on disk."""
    live = office.context(ISSUER).licences
    with live.publisher._lock, live.issuer._lock:
        yield
        live.store._lists = None


class _Gone(Exception):
    """The process ends here."""


class _Cut:
    """A part of the node of which one method is replaced: the running node keeps the whole one."""

    def __init__(self, part: Any, **methods: Callable[..., Any]) -> None:
        self._part = part
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def reopened(city: City, **parts: Any) -> Any:
    """The node's context as after a restart: what is in memory only is lost, what is on disk is read again."""
    core = city.nodes[ISSUER].core
    node, payloads = core.stores.node, core.stores.openings._store
    vault = payloads._core
    store = LicenceStore(node.sub(b"licence/"), type(node)(vault, b"l/"))
    live = city.context(ISSUER).licences
    desk = Desk(store, StatusListStore(node.sub(b"status-list/")), live.fetches, live._base)
    context = replace(city.context(ISSUER), licences=desk, **parts)
    desk.open(context, lambda: True, lambda _error: None)
    return context


def order(number: int, request: str) -> Order:
    """An order for one licence."""
    return Order(request=request, type=TYPE, template="driving-licence", fields=holder(number))


def cut(city: City, step: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which the process ends when it comes to a step."""
    if step == "append":
        return reopened(city, log=_Cut(city.context(ISSUER).log, append=_raise_gone, begin=_raise_gone))
    if step == "send":
        return reopened(city, sender=_Cut(city.context(ISSUER).sender, send=_raise_gone))
    monkeypatch.setattr(StatusListStore if step == "anchored" else LicenceStore, step, _raise_gone)
    return reopened(city)


def issued(answer: Issued | LedgerError) -> Issued:
    """The licence."""
    assert isinstance(answer, Issued), answer
    return answer


def in_the_log(city: City, row: Any) -> int:
    """How often a licence stands in the log."""
    return len(city.records(ISSUER, "licence.issued", licence=row.commitment.hex()))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("settle", [True, False], ids=["next-start", "repeat"])
def test_an_issue_cut_short(office: City, step: str, settle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    number = 50_000 + 10 * STEPS.index(step) + settle
    orders = [order(number + 100 * place, f"cut-{number}-{place}") for place in range(3)]
    with monkeypatch.context() as patch:
        before = cut(office, step, patch)
        with pytest.raises(_Gone):
            before.licences.issuer.issue(orders)
    reserved = [before.licences.store.of_request(one.request) for one in orders]
    after = reopened(office)
    if settle:
        after.licences.issuer.settle()
    answers = [issued(answer) for answer in after.licences.issuer.issue(orders)]
    for answer, place in zip(answers, reserved, strict=True):
        assert answer.row.state == "valid"
        assert in_the_log(office, answer.row) == 1
        if place is not None:
            # The place that was taken is the place that is used: none is lost, none given twice.
            assert (place.list, place.index, place.id) == (answer.row.list, answer.row.index, answer.row.id)
    again = [issued(answer) for answer in reopened(office).licences.issuer.issue(orders)]
    assert [one.payload for one in again] == [one.payload for one in answers]
    assert not list(after.licences.store.begun())


def test_part_of_a_chunk_is_repeated_alone(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [order(51_000 + place, f"part-{place}") for place in range(4)]
    with monkeypatch.context() as patch:
        context = cut(office, "keep_payloads", patch)
        with pytest.raises(_Gone):
            context.licences.issuer.issue(orders)
    issuer = reopened(office).licences.issuer
    second = issued(issuer.issue([orders[2]])[0])
    rest = [issued(answer) for answer in issuer.issue(orders)]
    assert rest[2].payload == second.payload
    assert len({one.row.index for one in rest}) == 4
    assert all(in_the_log(office, one.row) == 1 for one in rest)


def test_a_change_cut_short_is_in_force_and_comes_on_record(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(52_000, "change-1")])[0]).row
    with monkeypatch.context() as patch, pytest.raises(_Gone):
        cut(office, "append", patch).licences.issuer.change(row.id, "revoked", "cut")
    after = reopened(office)
    assert after.licences.store.require(row.id).state == "revoked"
    assert after.licences.store.statuses(row.list)[row.index] == 1
    after.licences.issuer.settle()
    after.licences.issuer.settle()
    assert after.licences.issuer.change(row.id, "revoked", "cut").state == "revoked"
    changes = office.records(ISSUER, "licence.status-changed", licence=row.commitment.hex())
    assert [record.body["state"] for record in changes] == ["revoked"]
    assert after.licences.store.unlogged() == []


def test_a_renewal_cut_short_supersedes_once(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(53_000, "renew-cut")])[0]).row
    longer: Callable[[Order], Order] = lambda before: replace(  # noqa: E731
        before, fields={**before.fields, "ZZYXQJZRQ": "2102-01-01"}
    )
    with monkeypatch.context() as patch, pytest.raises(_Gone):
        cut(office, "finish", patch).licences.issuer.replace(row.id, longer, "renewed")
    after = reopened(office)
    renewed = after.licences.issuer.replace(row.id, longer, "renewed")
    assert (renewed.row.version, renewed.row.replaces) == (2, row.id)
    assert after.licences.store.require(row.id).state == "superseded"
    assert in_the_log(office, renewed.row) == 1
    changes = office.records(ISSUER, "licence.status-changed", licence=row.commitment.hex())
    assert [record.body["state"] for record in changes] == ["superseded"]


def test_what_was_cut_short_comes_before_what_is_asked_next(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(58_000, "before")])[0]).row
    same: Callable[[Order], Order] = lambda before: before  # noqa: E731
    with monkeypatch.context() as patch, pytest.raises(_Gone):
        cut(office, "append", patch).licences.issuer.issue([order(58_001, "signed")])
    after = reopened(office).licences.issuer
    # Its identifier is taken, although nobody was told of it.
    other = after.issue([replace(order(58_001, "another"), fields={**holder(58_001), "KZ_ZJCX": "B2"})])[0]
    assert isinstance(other, LedgerError)
    assert other.code == "licence.identifier-taken"
    with monkeypatch.context() as patch, pytest.raises(_Gone):
        cut(office, "append", patch).licences.issuer.replace(row.id, same, "cut-renewal")
    after = reopened(office)
    with pytest.raises(LedgerError, match="superseded cannot become"):
        after.licences.issuer.change(row.id, "revoked", "x")
    renewed = after.licences.store.of_request("cut-renewal")
    assert renewed is not None
    assert after.licences.issuer.change(renewed.id, "revoked", "x").state == "revoked"


@pytest.mark.parametrize("sent", [False, True], ids=["before-the-chain", "after-the-chain"])
def test_a_publication_cut_short_keeps_its_bits(office: City, sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(54_000 + sent, f"publish-{sent}")])[0]).row
    context.licences.publisher.publish()
    context.licences.issuer.change(row.id, "suspended", "one")
    # The height is written down after the head is on chain: the crash is before or after the transaction.
    with monkeypatch.context() as patch, pytest.raises(_Gone):
        cut(office, "anchored" if sent else "send", patch).licences.publisher.publish()
    signed = context.licences.lists.newest(row.list)
    assert signed is not None
    assert signed.height == 0
    after = reopened(office)
    after.licences.issuer.change(row.id, "revoked", "two")
    newest = next(one for one in after.licences.publisher.publish() if one.number == row.list)
    assert newest.version == signed.version + 1
    kept = after.licences.lists.version(row.list, signed.version)
    assert kept is not None
    assert (kept.list_digest, kept.token_digest) == (signed.list_digest, signed.token_digest)
    licences = context.contracts.licences
    versions = {one.version: one for one in licences.list_versions(USCC[ISSUER], row.list)}
    assert versions[signed.version].list_digest == signed.list_digest
    assert versions[newest.version].list_digest == newest.list_digest
    assert sorted(versions) == list(range(1, newest.version + 1))


def test_a_chain_that_is_away_does_not_hold_a_revocation_back(office: City) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(55_000, "away")])[0]).row
    context.licences.publisher.publish()
    before = context.licences.publisher.token(row.list)

    def away(*_arguments: object) -> None:
        raise UnavailableError("chain.away", "nobody orders")

    parted = reopened(office, sender=_Cut(context.sender, send=away))
    for state, reason in (("suspended", "a"), ("revoked", "b")):
        parted.licences.issuer.change(row.id, state, reason)
        with pytest.raises(UnavailableError):
            parted.licences.publisher.publish()
    assert parted.licences.publisher.token(row.list) != before
    newest = parted.licences.lists.newest(row.list)
    published = next(one for one in reopened(office).licences.publisher.publish() if one.number == row.list)
    assert (published.version, published.list_digest) == (newest.version, newest.list_digest)
    assert published.height > 0


def test_a_list_is_signed_anew_without_a_transaction(office: City) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(56_000, "anew")])[0]).row
    before = next(one for one in context.licences.publisher.publish() if one.number == row.list)
    token, height = context.licences.lists.newest_token(row.list), context.chain.head().height
    later = replace(context, clock=lambda: context.clock() + context.config.licences.status_ttl * 600)
    desk = Desk(context.licences.store, context.licences.lists, context.licences.fetches, context.licences._base)
    later = replace(later, licences=desk)
    desk.open(later, lambda: True, lambda _error: None)
    after = next(one for one in desk.publisher.publish() if one.number == row.list)
    fresh = desk.lists.newest_token(row.list)
    assert fresh.issued_s > token.issued_s
    assert (after.version, after.height) == (before.version, before.height)
    assert height <= before.height or context.chain.head().height >= height
    # The past keeps its answer.
    assert desk.publisher.token(row.list, token.issued_s) == desk.lists.text(row.list, token)
    # Now is the past of that clock: what it signed is dropped, and the list is signed for today.
    context.licences.publisher.publish()
    assert desk.lists.newest_token(row.list).issued_s < fresh.issued_s


def test_places_are_random_and_full_lists_are_left(office: City) -> None:
    store = reopened(office).licences.store
    places = store.free_places(500)
    assert len(set(places)) == 500
    assert [index for _, index in places] != sorted(index for _, index in places)


def test_only_what_may_follow_follows(office: City) -> None:
    context = reopened(office)
    row = issued(context.licences.issuer.issue([order(57_000, "states")])[0]).row
    store = context.licences.store
    store.change(row.id, Change(state="suspended", reason="x", time_ms=1))
    with pytest.raises(LedgerError, match="not on record yet"):
        store.change(row.id, Change(state="revoked", reason="x", time_ms=2))
    context.licences.issuer.settle()
    assert isinstance(context.licences.issuer, Issuer)
    context.licences.issuer.change(row.id, "revoked", "x")
    with pytest.raises(LedgerError, match="cannot become"):
        context.licences.issuer.change(row.id, "valid", "x")


def _raise_gone(*_arguments: object) -> None:
    raise _Gone
