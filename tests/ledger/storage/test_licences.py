"""The store of issued licences: places, states, pages, and what leaves the disk."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.storage import licences
from ledger.storage.licencerows import Change, LicencePayload, LicenceRow
from ledger.storage.licences import LicenceStore
from ledger.storage.statuslists import ListVersion, StatusListStore, thin, whole
from ledger.storage.store import Store

TYPE = "11100000000013338W011"


class Folders:
    """Rows and vault in folders of their own, as a node has them."""

    def __init__(self, folder: Path) -> None:
        self.rows, self.vault = Store.open(folder / "rows"), Store.open(folder / "vault")
        self.store = LicenceStore(self.rows.sub(b"licence/"), self.vault.sub(b"l/"))

    def close(self) -> None:
        """Close both."""
        self.rows.close()
        self.vault.close()


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    made = Folders(tmp_path)
    yield made
    made.close()


def row(number: int, place: tuple[int, int], **changes: object) -> LicenceRow:
    made = LicenceRow(
        id=number.to_bytes(16, "big"),
        type=TYPE,
        version=1,
        list=place[0],
        index=place[1],
        state="begun",
        chunk=b"c" * 16,
        number=number,
        issued_ms=1_000 + number,
        not_before_ms=0,
        expires_ms=0,
        kid=bytes(32),
        request=bytes(32),
    )
    return msgspec.structs.replace(made, **changes)


def payload(number: int) -> LicencePayload:
    return LicencePayload(
        licence=f"licence-{number}",
        identifier=f"identifier-{number}",
        serial="S",
        holder=f"holder-{number:020d}",
        salt=bytes(32),
        asked=b"{}",
    )


def issue(store: LicenceStore, count: int, start: int = 1) -> list[LicenceRow]:
    """Issue so many licences."""
    rows = [row(start + at, place) for at, place in enumerate(store.free_places(count))]
    store.begin([(one, f"request-{one.number}", None) for one in rows])
    payloads = [(one, payload(one.number)) for one in rows]
    store.keep_payloads([(one.id, what) for one, what in payloads])
    return store.finish(payloads)


def test_a_list_is_left_for_the_next_when_it_is_three_quarters_full(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(licences, "CAPACITY", 64)
    monkeypatch.setattr(licences, "FULL", 48)
    rows = issue(folders.store, 100)
    assert [sum(one.list == number for one in rows) for number in (1, 2, 3)] == [48, 48, 4]
    assert len({(one.list, one.index) for one in rows}) == 100
    assert folders.store.lists() == (1, 2, 3)
    # A store that is opened again gives no place twice.
    again = LicenceStore(folders.rows.sub(b"licence/"), folders.vault.sub(b"l/"))
    more = issue(again, 44, start=101)
    assert len({(one.list, one.index) for one in (*rows, *more)}) == 144
    assert {one.list for one in more} == {3}


def test_the_list_says_how_each_licence_stands(folders: Folders) -> None:
    first, second, third = issue(folders.store, 3)
    folders.store.change(first.id, Change(state="suspended", reason="x", time_ms=5))
    folders.store.change(second.id, Change(state="revoked", reason="y", time_ms=6))
    values = folders.store.statuses(1)
    assert [values[one.index] for one in (first, second, third)] == [2, 1, 0]
    assert sum(values) == 3
    again = LicenceStore(folders.rows.sub(b"licence/"), folders.vault.sub(b"l/"))
    assert again.statuses(1) == values
    assert dict(again.unlogged()) == {
        first.id: Change(state="suspended", reason="x", time_ms=5),
        second.id: Change(state="revoked", reason="y", time_ms=6),
    }


def test_pages_are_in_order_and_belong_to_their_query(folders: Folders) -> None:
    rows = issue(folders.store, 7)
    found, token = folders.store.page(page_size=3)
    rest, end = folders.store.page(page_size=10, token=token)
    assert [one.id for one in (*found, *rest)] == [one.id for one in rows]
    assert end == b""
    assert folders.store.page(state="revoked") == ([], b"")
    for wrong in (b"x", b"t", b"t" + bytes(25)):
        with pytest.raises(InvalidInputError):
            folders.store.page(token=wrong)


def test_what_is_about_a_holder_leaves_the_disk_and_the_rows_never_had_it(folders: Folders, tmp_path: Path) -> None:
    one, other = issue(folders.store, 2)
    assert [found.id for found in folders.store.of_holder(TYPE, payload(1).holder)] == [one.id]
    assert folders.store.of_identifier("identifier-1").id == one.id
    assert [gone.id for gone in folders.store.erase([one.id])] == [one.id]
    assert folders.store.erase([one.id]) == []
    assert folders.store.payload(one.id) is None
    assert folders.store.of_identifier("identifier-1") is None
    assert folders.store.of_holder(TYPE, payload(1).holder) == []
    assert folders.store.payload(other.id) == payload(2)
    assert folders.store.require(one.id).state == "valid"
    folders.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert payload(1).holder.encode() not in data, path
            assert "rows" not in path.parts or payload(2).holder.encode() not in data, path


def test_the_unknown_and_the_damaged_are_said(folders: Folders) -> None:
    with pytest.raises(NotFoundError, match="issued no such licence"):
        folders.store.require(bytes(16))
    one = issue(folders.store, 1)[0]
    folders.rows.put(b"licence/l" + one.id, b"\xc1")
    with pytest.raises(FatalError, match="does not decode"):
        folders.store.get(one.id)


def test_tokens_are_kept_in_parts_and_come_back_whole(folders: Folders) -> None:
    lists = StatusListStore(folders.rows.sub(b"status/"))
    text = "eNrt" * 300
    body = base64.urlsafe_b64encode(b'{"a":1,"lst":"' + text.encode() + b'"}').rstrip(b"=").decode()
    kept = [
        thin(f"aGVhZA.{body}.c2ln", text, version=1, issued_s=at, expires_s=at + 60, ttl_s=30, kid=bytes(32))
        for at in (100, 200)
    ]
    version = ListVersion(
        number=1, version=1, list_digest=bytes(32), text=text, inflated=8, made_ms=1, token_digest=os.urandom(32)
    )
    lists.put(version, kept[0])
    lists.put_token(1, kept[1])
    assert lists.text(1, kept[0]) == whole(kept[0], text) == f"aGVhZA.{body}.c2ln"
    assert [one and one.issued_s for one in (lists.token_at(1, at) for at in (99, 100, 199, 200, 1 << 60))] == [
        None,
        100,
        100,
        200,
        200,
    ]
    assert lists.unanchored(1) == [version]
    lists.anchored(version, 7)
    assert lists.unanchored(1) == []
    lists.forget_after(1, 150)
    assert lists.newest_token(1) == kept[0]
    assert lists.uri(1, lambda: "https://a/1") == lists.uri(1, lambda: "https://b/1") == "https://a/1"
    with pytest.raises(FatalError, match="in parts"):
        thin(f"aGVhZA.{body}=.c2ln", text, version=1, issued_s=1, expires_s=2, ttl_s=1, kid=b"")


def test_a_closed_list_gives_no_place_any_more(folders: Folders) -> None:
    (first,) = issue(folders.store, 1)
    folders.store.close([1, 2])
    folders.store.close([1])
    assert {number for number, _ in folders.store.free_places(20)} == {3}
    issue(folders.store, 1, start=2)
    again = LicenceStore(folders.rows.sub(b"licence/"), folders.vault.sub(b"l/"))
    assert {number for number, _ in again.free_places(20)} == {3}
    assert again.lists() == (1, 3)
    assert again.require(first.id).state == "valid"


def test_of_what_was_published_and_what_is_known_the_graver_stays(folders: Folders) -> None:
    store = folders.store
    valid, suspended, revoked, resumed, settled = issue(store, 5)
    store.change(suspended.id, Change(state="suspended", reason="x", time_ms=1))
    store.change(revoked.id, Change(state="revoked", reason="x", time_ms=1))
    store.change(resumed.id, Change(state="suspended", reason="x", time_ms=1))
    store.change(settled.id, Change(state="suspended", reason="x", time_ms=1))
    published = bytearray(store.statuses(1))
    # Since then: one was suspended, one revoked out of its suspension, one resumed; and of one nothing is known here.
    published[valid.index], published[settled.index], published[resumed.index] = 2, 1, 0
    stranger = next(
        place for place in range(licences.CAPACITY) if not store.statuses(1)[place] and place != valid.index
    )
    published[stranger] = 1
    with pytest.raises(ConflictError, match="not on record"):
        store.merge(1, bytes(published), 2)
    for one in (suspended, revoked, resumed, settled):
        store.logged(one.id)
    merged = store.merge(1, bytes(published), 2)
    assert (merged.changed, merged.unknown) == (2, 1)
    states = [store.require(one.id).state for one in (valid, suspended, revoked, resumed, settled)]
    assert states == ["suspended", "suspended", "revoked", "suspended", "revoked"]
    assert {change.reason for _, change in store.unlogged()} == {"restored"}
    for one in (valid, settled):
        store.logged(one.id)
    for held in (store, LicenceStore(folders.rows.sub(b"licence/"), folders.vault.sub(b"l/"))):
        values = held.statuses(1)
        assert (values[stranger], values[valid.index], values[settled.index], values[resumed.index]) == (1, 2, 1, 2)
        assert held.merge(1, bytes(published), 3).changed == 0
    # A list of which nothing at all is known here.
    assert store.merge(7, bytes(published), 4).unknown == 5
    assert 7 in store.lists()
