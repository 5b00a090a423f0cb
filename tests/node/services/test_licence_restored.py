"""A node whose store is an older copy publishes no list that would make valid again what was revoked since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from licence_office import accredit, holder, stub
from services_city import USCC, City
from services_city import refused as refused_by

from ledger.errors import LedgerError, UnavailableError
from ledger.licences import b64, statustoken
from ledger.licences.status import StatusList
from ledger.storage.licences import LicenceStore
from ledger.storage.statuslists import StatusListStore
from ledger.storage.store import Store
from ledger.v1 import licences_pb2 as pb
from node.licences.desk import Desk
from node.licences.issuer import Issued
from node.licences.making import Order
from node.licences.restoring import restore
from node.licences.signing import issuer_signer

#: A member and a type of their own: its lists are put back and forth here.
MAKER = "plain"
TYPE = USCC["data"] + "088"
ROWS = (b"licence/", b"status-list/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The maker's node over another store; what is about holders is the live node's."""

    context: Any
    store: Store

    @property
    def rows(self) -> list[tuple[bytes, bytes]]:
        """What stands in the store now."""
        return [row for prefix in ROWS for row in self.store.scan(prefix)]

    def issue(self, number: int) -> Any:
        """One licence's row."""
        order = Order(request=f"old-{number}", type=TYPE, template="driving-licence", fields=holder(number))
        answer = self.context.licences.issuer.issue([order])[0]
        assert isinstance(answer, Issued), answer
        return answer.row

    def change(self, row: Any, state: Any, reason: str = "x") -> None:
        """Another state."""
        self.context.licences.issuer.change(row.id, state, reason)

    def publish(self) -> dict[int, Any]:
        """The versions by list."""
        return {item.number: item for item in self.context.licences.publisher.publish()}

    def token(self, number: int) -> str:
        """What is served."""
        found = self.context.licences.publisher.token(number)
        assert found is not None
        return str(found)

    def state(self, row: Any) -> str:
        """How a licence stands."""
        return str(self.context.licences.store.require(row.id).state)

    def said(self, number: int) -> bytes:
        """What the newest version says, a byte a place."""
        return StatusList.decode(2, b64.decode(self.context.licences.lists.newest(number).text)).values()


@pytest.fixture(scope="module")
def office(city: City) -> City:
    """The city with an issuer whose store is copied."""
    accredit(city, TYPE, MAKER)
    return city


@pytest.fixture
def copies(office: City, tmp_path: Path) -> Iterator[Callable[..., Copy]]:
    """Makes copies of the maker's node; its own publisher and issuer wait, and follow in the end."""
    live = office.context(MAKER).licences
    core, made = office.nodes[MAKER].core, []
    with ExitStack() as stack:

        def copy(rows: list[tuple[bytes, bytes]] | None = None, **parts: Any) -> Copy:
            store = Store.open(tmp_path / str(len(made)))
            stack.callback(store.close)
            with store.batch() as batch:
                for key, value in rows or [row for prefix in ROWS for row in core.stores.node.scan(prefix)]:
                    batch.put(key, value)
            node = type(core.stores.node)
            licences = LicenceStore(store.sub(ROWS[0]), node(core.stores.openings._store._core, b"l/"))
            desk = Desk(licences, StatusListStore(store.sub(ROWS[1])), live.fetches, live._base)
            context = replace(office.context(MAKER), licences=desk, **parts)
            desk.open(context, lambda: True, lambda _error: None)
            made.append(Copy(context=context, store=store))
            return made[-1]

        with live.publisher._lock, live.issuer._lock:
            yield copy
        # Whoever published last knows; the live node is behind it, and catches up by the service.
        assert refused_by(lambda: stub(office, MAKER).PublishStatus(pb.PublishStatusRequest(), timeout=180)).code == (
            "licence.list-behind"
        )
        behind = live.publisher.look()
        last = next(one for one in reversed(made) if not one.context.licences.publisher.look())
        wanted = pb.RestoreStatusRequest(tokens=[last.token(number) for number in behind])
        assert len(stub(office, MAKER).RestoreStatus(wanted, timeout=180).lists) == len(behind)
        stub(office, MAKER).PublishStatus(pb.PublishStatusRequest(), timeout=180)


def refused(call: Callable[[], object]) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        call()
    return caught.value


def forged(copy: Copy, number: int, version: int) -> str:
    """A list of other bits under that number, signed with the issuer's own key."""
    now = copy.context.clock() // 1_000
    lists = copy.context.licences.lists
    content = StatusList.decode(2, b64.decode(lists.newest(number).text))
    uri = copy.context.licences.uri(number)
    signer = issuer_signer(copy.context)
    return statustoken.make(
        signer, content, issuer=USCC[MAKER], uri=uri, version=version, iat=now, ttl=300, exp=now + 600
    )


def test_an_older_store_publishes_nothing_until_it_is_restored(office: City, copies: Callable[..., Copy]) -> None:
    newest = copies()
    kept, gone, paused = (newest.issue(70_000 + number) for number in range(3))
    number = kept.list
    newest.publish()
    backup = newest.rows
    # After the copy was made: one is revoked, one suspended, and one more is issued and revoked.
    newest.change(gone, "revoked", "court-order")
    newest.change(paused, "suspended", "inquiry")
    later = newest.issue(70_010)
    newest.change(later, "revoked", "mistake")
    published, token = newest.publish()[number], newest.token(number)
    older = copies(backup)
    # Nothing leaves that is older than the chain: no version, no token, no place.
    error = refused(older.publish)
    assert (error.code, error.expected) == ("licence.list-behind", published.version)
    assert isinstance(refused(lambda: older.token(number)), UnavailableError)
    assert older.context.licences.lists.newest(number).version < published.version
    # Neither an older list, nor one of other bits, nor half of one restores it.
    lists = older.context.licences.lists
    before = lists.text(number, lists.newest_token(number))
    for tokens, code in (
        ([before], "licence.status-behind"),
        ([forged(older, number, published.version)], "licence.status-digest"),
        ([token.rpartition(".")[0]], "licence.segments"),
        ([], "licence.list-missing"),
    ):
        assert refused(lambda tokens=tokens: restore(older.context, tokens)).code == code
    assert refused(older.publish).code == "licence.list-behind"
    assert older.issue(70_020).list != number, "which places are taken is not known here"
    done = {item.number: item for item in restore(older.context, [token])}[number]
    assert (done.version, done.merged.changed, done.merged.unknown) == (published.version, 2, 1)
    assert [older.state(row) for row in (kept, gone, paused)] == ["valid", "revoked", "suspended"]
    older.publish()
    said = older.said(number)
    assert [said[row.index] for row in (kept, gone, paused, later)] == [0, 1, 2, 1]
    changes = office.records(MAKER, "licence.status-changed", licence=gone.commitment.hex())
    assert [record.body["reason"] for record in changes] == ["court-order", "restored"]
    # What follows has the next number, on the chain too.
    older.change(kept, "revoked")
    after = older.publish()[number]
    assert after.version == published.version + 1
    chain = office.context(MAKER).contracts.licences
    assert chain.list_head(USCC[MAKER], number).newest.list_digest == after.list_digest
    # Now the first store is the older one.
    assert refused(newest.publish).code == "licence.list-behind"


class _Away:
    """Nobody orders transactions."""

    def send(self, *_arguments: object) -> None:
        raise UnavailableError("chain.away", "nobody orders")


def test_other_bits_under_the_chains_number_are_behind_too(copies: Callable[..., Copy]) -> None:
    one = copies()
    row, second = one.issue(71_000), one.issue(71_001)
    number = row.list
    one.publish()
    two = copies(one.rows, sender=_Away())
    one.change(row, "revoked")
    two.change(second, "suspended")
    # Cut off from the chain both go on under the same number, and one of them gets it there.
    assert refused(two.publish).code == "chain.away"
    first = one.publish()[number]
    assert two.context.licences.lists.newest(number).version == first.version
    assert refused(two.publish).code == "licence.list-behind"
    three = copies(two.rows)
    assert refused(three.publish).code == "licence.list-behind"
    (done,) = restore(three.context, [one.token(number)])
    assert (done.version, done.merged.changed) == (first.version, 1)
    after = three.publish()[number]
    assert after.version == first.version + 1
    assert [three.said(number)[item.index] for item in (row, second)] == [1, 2]
