"""Pseudonyms at real nodes: a commission and two hospitals; the year turns, keys change, the commission is away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from ledger.days import CST
from ledger.errors import FatalError, InvalidInputError, LedgerError, NotAllowedError, UnavailableError
from ledger.model import Roles
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.pseudonymkeys import PseudonymKeys, YearKey, check_identity, derive
from ledger.storage.queries import RecordFilter
from node.compose import Node
from tests.node.core import city as core_city
from tests.node.core.city import City, found
from tests.node.services.services_city import eventually

ANNA, BODO = "ric:11010119900307793X", "ric:110101199003070078"
DAY_MS = 86_400_000


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """The first is the health commission, the second and third are hospitals, the fourth is a department."""
    roles = {1: Roles.HEALTH, 2: Roles.HOSPITAL, 3: Roles.HOSPITAL}
    monkeypatch.setattr(core_city, "ROLES", roles)
    with City(found(tmp_path, 3)) as running:
        running.start()
        yield running


def records(node: Node, kind: str) -> list[dict[str, object]]:
    rows = node.context.index.query(RecordFilter(type=kind), 100).rows
    return [json.loads(node.core.log.read(row.index, 1)[0])["body"] for row in rows]


def test_hospitals_find_the_same_patient_and_nobody_else(city: City) -> None:
    commission, first, second = (city[number].context.medical for number in range(3))
    anna = first.pseudonyms.subject_of(b"0001", ANNA)
    assert first.pseudonyms.subject_of(b"0002", ANNA.lower()) == anna, "one person, two numbers of the hospital"
    assert first.pseudonyms.subject_of(b"0003", BODO) != anna
    eventually(lambda: first.pseudonyms.waiting() == 0, "the pseudonyms of those taken in")
    asked = second.pseudonyms.of(ANNA)
    year = commission.commission.year
    assert [of for of, _ in asked] == [year]
    assert asked == first.pseudonyms.of(ANNA)
    assert first.pseudonyms.find(asked[0][1]) == anna
    assert second.pseudonyms.find(asked[0][1]) is None
    ((_, secret),) = commission.commission._keys().secrets()
    assert asked[0][1] == derive(secret, ANNA)
    # The identity was another person's: that person's pseudonym leads here no more.
    first.pseudonyms.subject_of(b"0009", "passport:E1")
    eventually(lambda: first.pseudonyms.waiting() == 0, "the pseudonyms of the ninth")
    wrong = second.pseudonyms.of("passport:E1")[0][1]
    ninth = first.pseudonyms.find(wrong)
    assert first.pseudonyms.subject_of(b"0009", "passport:E2") == ninth
    eventually(lambda: first.pseudonyms.find(second.pseudonyms.of("passport:E2")[0][1]) == ninth, "the right one")
    assert first.pseudonyms.find(wrong) is None
    with refused(InvalidInputError, "pseudonym.identity"):
        second.pseudonyms.of("Wang Moumou")
    with refused(NotAllowedError, "pseudonym.not-hospital"):
        commission.pseudonyms.of(ANNA)
    with refused(NotAllowedError, "pseudonym.not-commission"):
        first.commission.rotate(replace=False)
    # Nobody sees an identity or a pseudonym on a hospital's disk.
    folder = city[1].core.config.folder
    for secret_bytes in (ANNA.encode(), asked[0][1], asked[0][1].hex().encode()):
        for path in folder.rglob("*"):
            assert not path.is_file() or secret_bytes not in path.read_bytes(), path


def test_away_now_and_found_later(city: City) -> None:
    hospital = city[1].context.medical
    # Known before: served from what is kept, also while the commission is away.
    hospital.pseudonyms.subject_of(b"0001", ANNA)
    eventually(lambda: hospital.pseudonyms.waiting() == 0, "the pseudonyms of Anna")
    known = hospital.pseudonyms.of(ANNA)
    # The first member orders the chain; what reads need of it is here.
    city.stop(0)
    assert hospital.pseudonyms.of(ANNA) == known
    bodo = hospital.pseudonyms.subject_of(b"0003", BODO)
    hospital.vault.put(bodo, b"report/1", b"taken in all the same")
    with refused(UnavailableError, "pseudonym.away"):
        hospital.pseudonyms.of(BODO)
    assert hospital.pseudonyms.waiting() == 1
    city.start(0)

    def derived() -> bool:
        hospital.pseudonyms.loop.wake()
        return hospital.pseudonyms.waiting() == 0

    eventually(derived, "the pseudonyms of those taken in meanwhile")

    def asked() -> bytes:
        """What the other hospital, whose connection may still be down, is told."""
        try:
            return city[2].context.medical.pseudonyms.of(BODO)[0][1]
        except UnavailableError:
            return b""

    assert hospital.pseudonyms.find(eventually(asked, "the other hospital's answer")) == bodo


def test_a_new_year_and_a_replaced_key(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    commission, hospital, other = (city[number].context.medical for number in range(3))
    anna = hospital.pseudonyms.subject_of(b"0001", ANNA)
    eventually(lambda: hospital.pseudonyms.waiting() == 0, "the first pseudonyms")
    ((year, old),) = hospital.pseudonyms.of(ANNA)
    commission.commission.upkeep()

    def year_is(wanted: int) -> None:
        ahead = int(datetime(wanted, 1, 1, 0, 0, 1, tzinfo=CST).timestamp() * 1_000)
        for number in range(3):
            medical = city[number].context.medical
            for part in (medical.commission, medical.pseudonyms):
                context = replace(city[number].context, clock=lambda: ahead)
                monkeypatch.setattr(part, "_context", context)

    def turned(*years: int) -> bool:
        hospital.pseudonyms.loop.wake()
        found_ = hospital.pseudonyms.of(ANNA)
        return [of for of, _ in found_] == list(years) and all(hospital.pseudonyms.find(one) for _, one in found_)

    year_is(year + 1)
    eventually(lambda: turned(year + 1, year), "the pseudonyms of the new year")
    both = other.pseudonyms.of(ANNA)
    assert both[1] == (year, old), "last year's still finds"
    assert [hospital.pseudonyms.find(one) for _, one in both] == [anna, anna]
    year_is(year + 2)
    eventually(lambda: turned(year + 2, year + 1), "the year after")
    eventually(lambda: hospital.pseudonyms.find(old) is None, "the oldest pseudonym leads nowhere")
    assert [key.year for key in commission.commission.in_use()] == [year + 2, year + 1]

    before = hospital.pseudonyms.of(ANNA)
    done = commission.commission.rotate(replace=True)
    assert [(key.year, key.number) for key in done.made] == [(year + 2, 2)]
    assert [(key.year, key.number) for key in done.destroyed] == [(year + 2, 1)]

    def changed() -> bool:
        return turned(year + 2, year + 1) and hospital.pseudonyms.of(ANNA)[0] != before[0]

    eventually(changed, "the pseudonyms under the key that replaced the other")
    assert hospital.pseudonyms.find(before[0][1]) is None
    assert hospital.pseudonyms.of(ANNA)[1] == before[1]
    # The first key, made and destroyed; the two of the years after it; the one that was replaced; its successor.
    eventually(lambda: len(records(city[0], "medical.pseudonym-key")) == 6, "the keys on record")
    told = records(city[0], "medical.pseudonym-key")
    assert sorted((body["year"], body["state"]) for body in told) == [
        (year, "destroyed"),
        (year, "made"),
        (year + 1, "made"),
        (year + 2, "destroyed"),
        (year + 2, "made"),
        (year + 2, "made"),
    ]
    commission.commission.upkeep()
    counts = eventually(lambda: records(city[0], "medical.pseudonyms-derived"), "the counts of days gone by")
    assert {body["counterpart"] for body in counts} <= set(city.founded.members[1:])
    assert ANNA not in json.dumps(told + counts)


def test_what_is_broken_at_the_commission_ends_no_hospitals_node(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    commission, hospital = city[0].context.medical.commission, city[1].context.medical
    hospital.pseudonyms.subject_of(b"0001", ANNA)
    eventually(lambda: hospital.pseudonyms.waiting() == 0, "a pseudonym")
    key = YearKey(year=2026, number=1, fingerprint=b"f" * 32)

    def answers(keys: int, size: int) -> Callable[..., object]:
        return lambda *_: ((key,) * keys, (((b"p" * size),) * keys,))

    def fails(error: Exception) -> Callable[..., object]:
        def fail(*_: object) -> object:
            raise error

        return fail

    for broken in (
        fails(ValueError("a defect")),
        fails(FatalError("vault.corrupt", "its store is damaged")),
        answers(0, 32),
        answers(1, 0),
        answers(1, 600),
        answers(5, 32),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(commission, "derive", broken)
            with refused(UnavailableError, "pseudonym.away"):
                hospital.pseudonyms.of(BODO)
            if broken.__name__ == "fail":
                # The loop that asks by itself meets the same, and goes on.
                with refused(UnavailableError, "pseudonym.away"):
                    hospital.pseudonyms._step()
    assert len(hospital.pseudonyms.of(BODO)) == 1


def test_keys_alone(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys", b"correct horse battery")
    keys = PseudonymKeys(folder)
    assert [key.year for key in keys.rotate(2026).made] == [2026]
    assert keys.rotate(2026) == keys.rotate(2026), "nothing is due"
    first = keys.secrets()
    keys.rotate(2027)
    assert keys.secrets()[1] == first[0]
    assert [key.year for key in keys.rotate(2029).destroyed] == [2027, 2026]
    assert folder.names() == ("pseudonym-2029-1",)
    again = PseudonymKeys(KeyFolder(tmp_path / "keys", b"correct horse battery"))
    assert again.secrets() == keys.secrets()
    # Killed between making the new key of a year and destroying the old: the newer counts, the older goes.
    folder.make("pseudonym-2029-2", b"n" * 32)
    assert [key.number for key in again.in_use()] == [2]
    again.rotate(2029)
    assert folder.names() == ("pseudonym-2029-2",)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        (" RIC:11010119900307793x ", ANNA),
        ("passport:e12345678", "passport:E12345678"),
        ("mrn:a/1-2.3_4", "mrn:A/1-2.3_4"),
    ],
)
def test_an_identity_has_one_form(given: str, form: str) -> None:
    assert check_identity(given) == form


@pytest.mark.parametrize("given", ["", "ric:", "11010119900307793X", "ric:王", "ric:1 2", "1ric:1", "ric:" + "1" * 65])
def test_others_are_refused_unrepeated(given: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_identity(given)
    assert caught.value.code == "pseudonym.identity"
    assert not given or given not in caught.value.message
