"""The demonstration's medical results: what became of them, and no word about a patient but in holders' folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.medical.figuresfile import decode_figures
from node.city import clinic
from node.city.results import PATIENTS, REPORTS
from node.city.roster import HOSPITALS
from tests.city import traces
from tests.city.conftest import MEMBERS, NO_PATIENTS, Told

#: The holder's own side. What the hospitals keep of patients is looked into as well: it is sealed.
PRIVATE = frozenset({"wallets"})
NOW_S = 1_790_000_000


@pytest.fixture(scope="module")
def wanted(told: Told) -> dict[bytes, str]:
    """Everything about some of the patients: identity numbers, the hospitals' numbers of them, and values."""
    identities = [line.removeprefix("ric:") for line in (told.folder / PATIENTS).read_text().split()]
    members = [founder.uscc for founder in MEMBERS if founder.handle in HOSPITALS]
    # What does not depend on the time is the same in every city.
    sent = [one for one in clinic.reports(members, NOW_S, REPORTS) if one.identity in identities]
    values = {f"identity {place}": identity for place, identity in enumerate(identities[:6])}
    values |= {f"record number {place}": one.patient for place, one in enumerate(sent[:6])}
    found = [
        part for one in sent if (part := re.search(rb'"valueQuantity":\{"value":[0-9.]+,"unit":"[^"]+"', one.data))
    ]
    values |= {f"value {place}": part[0].decode() for place, part in enumerate(found[:6])}
    assert len(values) == 18
    return traces.needles(values | {"conclusion": "演示：未见异常"})


def test_what_became_of_the_reports(story: dict[str, Any]) -> None:
    reports = story["reports"]
    assert reports["sent"] == REPORTS == reports["offered"] + reports["held"] + reports["refused"]
    door = dict(story["refused_reports"])
    assert door.pop("fhir.time-missing") == reports["held"] > 0
    assert set(door) == {"fhir.two-patients", "fhir.time-future", "fhir.json", "fhir.resource-type"}
    assert sum(door.values()) == reports["refused"]


def test_figures_are_those_of_the_steps(story: dict[str, Any]) -> None:
    figures, rounds = story["figures"], story["rounds"]
    assert figures["recognised"] == rounds["recognised"] > 0
    assert figures["reasons"] == rounds["retested"]
    assert len(figures["reasons"]) == 6
    assert figures["offered"] > figures["opened"] >= figures["recognised"] + figures["opened_not_recognised"]
    assert figures["opened_not_recognised"] >= figures["retested"] == sum(rounds["retested"].values())
    assert figures["saved_cents"] > 0
    assert story["public_figures"]["recognised"]["least"] <= figures["recognised"]


def test_what_must_be_refused_was(story: dict[str, Any]) -> None:
    assert story["changed_reports"] == {"corrected": "medical.changed", "withdrawn": "medical.withdrawn"}
    assert story["forbidden"] == "medical.forbidden"


def test_an_examination_made_a_certificate_and_patients_were_told(story: dict[str, Any]) -> None:
    assert story["certificate"] == {"template": "health-certificate", "state": "valid", "version": 1}
    told = story["notices"]
    # Every opening, every decision, the correction, the withdrawal, the certificate.
    assert told["waiting"] + told["delivered"] >= story["rounds"]["reports"] + 3


def test_no_file_of_the_city_says_who_was_examined(told: Told, wanted: dict[bytes, str]) -> None:
    looked_at = 0
    for name, data in traces.files(told.folder, PRIVATE):
        assert traces.search(wanted, data) == [], name
        looked_at += 1
    assert looked_at > 200


def test_no_store_of_the_city_says_who_was_examined(told: Told, wanted: dict[bytes, str], tmp_path: Path) -> None:
    stores = traces.stores(told.folder, PRIVATE)
    kept = {f"{handle}/medical/vault" for handle in HOSPITALS}
    assert kept <= {str(store.relative_to(told.folder)) for store in stores}
    for store in stores:
        rows = list(traces.rows(store, tmp_path / "copy"))
        assert rows or store == told.folder / NO_PATIENTS, store
        assert traces.search(wanted, b"\n".join(rows)) == [], store


def test_no_server_said_who_was_examined(told: Told, wanted: dict[bytes, str]) -> None:
    for name, (_, data) in told.answers.items():
        assert traces.search(wanted, data) == [], name
    assert all(told.answers[f"{handle}: /medical/rules/1"][0] == 200 for handle in HOSPITALS)
    for name, data in told.printed.items():
        assert traces.search(wanted, data) == [], name
    assert json.loads(told.printed["standard output"])["figures"] == told.story["figures"]


def test_the_gateway_adds_up_what_hospitals_publish(told: Told) -> None:
    for path in ("/figures", "/figures.csv", "/v1/figures"):
        assert told.answers[f"gateway: {path}"][0] == 200
    for handle in HOSPITALS:
        status, data = told.answers[f"{handle}: /medical/figures"]
        assert status == 200, data
        assert decode_figures(data).months
    found, counted = json.loads(told.answers["gateway: /v1/figures"][1]), told.story["figures"]
    assert found["asked"] == len(HOSPITALS)
    assert found["sides"]["differing"] == []
    for name, key in (("recognised", "recognised"), ("openedNotRecognised", "opened_not_recognised")):
        figure = found["total"][name]
        assert figure["least"] <= counted[key]
        # A hospital that was slow to answer is named, and one that told all of a figure is counted with all of it.
        if not figure["withheld"] and not found["absent"]:
            assert figure["least"] == counted[key]


def test_keys_of_patients_data_have_a_backup(told: Told) -> None:
    for handle in HOSPITALS:
        assert (told.folder / "key-backups" / handle / "key-store").is_file(), handle
