"""Licences: heads of status lists. Every version is kept, by an accredited issuer only; unchanged bits send nothing."""

from __future__ import annotations

import pytest
from contract_city import ZERO, City, digest, licence_code, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MOST = 1 << 24


@pytest.fixture
def code(city: City) -> bytes:
    """A type of the water bureau, which the civil affairs bureau may issue."""
    made = licence_code(city.water)
    city.send(city.water, "Licences.defineType", made, digest("description"))
    city.send(city.water, "Licences.accredit", made, city.civil.id, 0, 0, digest("basis"))
    return made


def head(code: bytes, number: int = 1, version: int = 1, **changes: object) -> tuple:
    """Arguments of recordList."""
    fields = {
        "code": code, "number": number, "version": version, "uri": digest("uri", number),
        "list": digest("list", number, version), "token": digest("token", number, version), "size": 1000, "bits": 2,
    } | changes  # fmt: skip
    return tuple(fields.values())


def test_versions_are_kept_with_their_times(city: City, code: bytes) -> None:
    times = []
    for version in (1, 2, 3):
        event = city.send(city.civil, "Licences.recordList", *head(code, 1, version)).only("ListRecorded")
        times.append(city.now)
        assert event == {
            "issuer": city.civil.id, "number": 1, "version": version, "code": code,
            "listDigest": digest("list", 1, version), "tokenDigest": digest("token", 1, version),
        }  # fmt: skip
    kept = city.read("Licences.listVersions", city.civil.id, 1, 0, 200)
    assert [entry.time for entry in kept] == times
    assert [entry.listDigest for entry in kept] == [digest("list", 1, version) for version in (1, 2, 3)]
    assert [(entry.inflatedBytes, entry.bits) for entry in kept] == [(1000, 2)] * 3
    uri, version, newest = city.read("Licences.listHead", city.civil.id, 1)
    assert (uri, version, newest.tokenDigest) == (digest("uri", 1), 3, digest("token", 1, 3))
    assert city.read("Licences.listVersions", city.civil.id, 1, 1, 1) == kept[1:2]
    assert city.read("Licences.listVersions", city.civil.id, 1, 3, 1) == []
    assert city.read("Licences.listCount", city.civil.id) == 1
    assert city.read("Licences.listCount", city.water.id) == 0
    unknown = city.refusal(city.civil, "Licences.listHead", city.water.id, 1)
    assert unknown == ("Licences__UnknownList", city.water.id, 1)


def test_only_who_is_accredited_now_records(city: City, code: bytes) -> None:
    for other in (city.water, city.health, city.bigdata):
        refused = city.refusal(other, "Licences.recordList", *head(code))
        assert refused[:3] == ("Licences__NotAccredited", code, other.id)
    assert city.refusal(city.outsider, "Licences.recordList", *head(code))[0] == "Consortium__NotActiveMember"
    unknown = licence_code(city.water, 9)
    refused = city.refusal(city.civil, "Licences.recordList", *head(unknown))
    assert refused[:3] == ("Licences__NotAccredited", unknown, city.civil.id)
    city.send(city.civil, "Licences.recordList", *head(code))
    city.send(city.water, "Licences.endAccreditation", code, city.civil.id, 1, 0, digest("reason"))
    refused = city.refusal(city.civil, "Licences.recordList", *head(code, 1, 2))
    assert refused[:3] == ("Licences__NotAccredited", code, city.civil.id)
    # What stands there stays, and another accreditation goes on with it.
    assert city.read("Licences.listHead", city.civil.id, 1)[1] == 1
    other = licence_code(city.water, 2)
    city.send(city.water, "Licences.defineType", other, digest("description"))
    city.send(city.water, "Licences.accredit", other, city.civil.id, 0, 0, digest("basis"))
    city.send(city.civil, "Licences.recordList", *head(other, 1, 2))
    city.send(city.water, "Licences.withdrawType", other, digest("reason"))
    refused = city.refusal(city.civil, "Licences.recordList", *head(other, 1, 3))
    assert refused[:3] == ("Licences__NotAccredited", other, city.civil.id)


def test_versions_and_numbers_leave_no_gaps(city: City, code: bytes) -> None:
    for number in (0, 2, 2**32 - 1):
        refused = city.refusal(city.civil, "Licences.recordList", *head(code, number))
        assert refused == ("Licences__WrongListNumber", number, 1)
    for version in (0, 2, 2**32 - 1):
        refused = city.refusal(city.civil, "Licences.recordList", *head(code, 1, version))
        assert refused == ("Licences__WrongVersion", 1, version, 1)
    city.send(city.civil, "Licences.recordList", *head(code, 1))
    city.send(city.civil, "Licences.recordList", *head(code, 2))
    assert city.read("Licences.listCount", city.civil.id) == 2
    for version in (1, 3):
        refused = city.refusal(city.civil, "Licences.recordList", *head(code, 2, version))
        assert refused == ("Licences__WrongVersion", 2, version, 2)


def test_unchanged_bits_send_nothing(city: City, code: bytes) -> None:
    city.send(city.civil, "Licences.recordList", *head(code))
    same = head(code, 1, 2, list=digest("list", 1, 1))
    refused = city.refusal(city.civil, "Licences.recordList", *same)
    assert refused == ("Licences__SameList", 1, 1, digest("list", 1, 1))
    city.send(city.civil, "Licences.recordList", *head(code, 1, 2))
    # Back to the bits of an older version is a change: a suspension was lifted.
    city.send(city.civil, "Licences.recordList", *head(code, 1, 3, list=digest("list", 1, 1)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"uri": ZERO}, ("Licences__Missing", word("uriDigest"))),
        ({"list": ZERO}, ("Licences__Missing", word("listDigest"))),
        ({"token": ZERO}, ("Licences__Missing", word("tokenDigest"))),
        ({"bits": 0}, ("Licences__WrongBits", 0, 0)),
        ({"bits": 3}, ("Licences__WrongBits", 3, 0)),
        ({"bits": 16}, ("Licences__WrongBits", 16, 0)),
        ({"size": 0}, ("Licences__WrongSize", 0, 1, MOST)),
        ({"size": MOST + 1}, ("Licences__WrongSize", MOST + 1, 1, MOST)),
    ],
)
def test_a_new_list_is_bounded(city: City, code: bytes, changes: dict, error: tuple) -> None:
    assert city.refusal(city.civil, "Licences.recordList", *head(code, **changes)) == error


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_entries_have_one_size(city: City, code: bytes, bits: int) -> None:
    city.send(city.civil, "Licences.recordList", *head(code, bits=bits, size=MOST))
    refused = city.refusal(city.civil, "Licences.recordList", *head(code, 1, 2, bits=3, size=MOST))
    assert refused == ("Licences__WrongBits", 3, bits)


def test_a_list_keeps_its_uri_and_never_shrinks(city: City, code: bytes) -> None:
    city.send(city.civil, "Licences.recordList", *head(code))
    refused = city.refusal(city.civil, "Licences.recordList", *head(code, 1, 2, uri=digest("elsewhere")))
    assert refused == ("Licences__OtherUri", 1, digest("uri", 1), digest("elsewhere"))
    refused = city.refusal(city.civil, "Licences.recordList", *head(code, 1, 2, size=999))
    assert refused == ("Licences__WrongSize", 999, 1000, MOST)
    city.send(city.civil, "Licences.recordList", *head(code, 1, 2, size=1001))


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3), st.integers(1, 3)), max_size=8)
)
def test_the_history_is_what_was_recorded(city: City, code: bytes, steps: list) -> None:
    """Any calls: each version of each list is what its one accepted call said, in order, and nothing else is there."""
    model: dict[int, list[tuple[bytes, int]]] = {}
    with city.target.untouched():
        # Our own chain begins anew for every example.
        if city.read("Licences.licenceTypeCount") == 0:
            city.send(city.water, "Licences.defineType", code, digest("description"))
            city.send(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
        for number, version, content, size in steps:
            held = model.get(number, [])
            allowed = (
                1 <= number <= len(model) + 1
                and version == len(held) + 1
                and (not held or (held[-1][0] != digest("bits", content) and size >= held[-1][1]))
            )
            args = head(code, number, version, list=digest("bits", content), size=size)
            assert (city.attempt(city.civil, "Licences.recordList", *args) == ()) is allowed
            if allowed:
                model.setdefault(number, []).append((digest("bits", content), size))
        assert city.read("Licences.listCount", city.civil.id) == len(model)
        for number, held in model.items():
            kept = city.read("Licences.listVersions", city.civil.id, number, 0, 200)
            assert [(entry.listDigest, entry.inflatedBytes) for entry in kept] == held
