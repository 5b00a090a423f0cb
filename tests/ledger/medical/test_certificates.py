"""What a certificate takes from an examination, and what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import ConflictError, InvalidInputError
from ledger.licences.templates import TEMPLATES
from ledger.medical.certificates import (
    DRIVER,
    EXAMINATIONS,
    FINDING_SYSTEM,
    FOOD_HANDLER,
    Examination,
    Examined,
    decode_content,
    encode_content,
    examined,
)
from tests.ledger.medical.bundles import HOSPITAL, NOW_S, Person, encode, resource
from tests.ledger.medical.examinations import examination

BOTH = ("driver-fit", "food-handler-fit")


def said(made: dict[str, Any], of: Examination = DRIVER) -> Examined | None:
    return examined(encode(made), of, institution=HOSPITAL, now_s=NOW_S)


def test_one_examination_bears_two_certificates_each_with_its_own_fields() -> None:
    made = examination(Person(), HOSPITAL, "E-1", *BOTH)
    driver, food = said(made), said(made, FOOD_HANDLER)
    assert driver is not None
    assert food is not None
    assert (driver.finding, food.finding) == ("fit", "fit")
    assert driver.values == {
        "KZ_SG": "172 cm", "KZ_ZYSL": "5.0", "KZ_YYSL": "4.9", "KZ_BSL": "正常", "KZ_TL": "正常", "KZ_QGZT": "正常",
    }  # fmt: skip
    assert food.values == {}
    assert driver.taken_s == NOW_S - 86_400
    # Neither the words of the conclusion nor a result no certificate needs.
    assert "血脂" not in str((driver, food))
    assert "6.30" not in str((driver, food))


def test_the_finding_is_the_physicians_for_that_certificate() -> None:
    unfit = said(examination(Person(), HOSPITAL, "E-1", "driver-unfit", "food-handler-fit"))
    assert unfit is not None
    assert unfit.finding == "unfit"
    assert said(examination(Person(), HOSPITAL, "E-1", "food-handler-fit")) is None
    with pytest.raises(ConflictError, match="both fit and unfit"):
        said(examination(Person(), HOSPITAL, "E-1", "driver-fit", "driver-unfit"))
    other = examination(Person(), HOSPITAL, "E-1", *BOTH)
    resource(other, "DiagnosticReport")["conclusionCode"][0]["coding"][0]["system"] = FINDING_SYSTEM + "-other"
    assert said(other) is None


@pytest.mark.parametrize("status", ["registered", "partial", "preliminary", "entered-in-error", "cancelled", "unknown"])
def test_what_is_not_finished_is_no_examination(status: str) -> None:
    assert said(examination(Person(), HOSPITAL, "E-1", *BOTH, status=status)) is None


def test_a_measurement_that_is_not_finished_or_has_two_outcomes_is_left_out() -> None:
    made = examination(Person(), HOSPITAL, "E-1", *BOTH)
    resource(made, "Observation", 1)["status"] = "preliminary"
    # The height a second time, otherwise; the vision of the right eye twice the same.
    resource(made, "Observation", 6)["code"]["coding"][0]["code"] = "8302-2"
    found = said(made)
    assert found is not None
    assert found.values.keys() == {"KZ_YYSL", "KZ_BSL", "KZ_TL", "KZ_QGZT"}
    assert said({"resourceType": "Bundle", "type": "collection"}) is None


def test_the_content_of_a_dataset_names_an_examination_and_nothing_else() -> None:
    for name, one in EXAMINATIONS.items():
        assert decode_content(encode_content(name)) is one
    for data in (b"", b"{}", b'{"examination":"driver"}', b'{"examination":"pilot","v":1}', b'{"examination":1,"v":1}'):
        with pytest.raises(InvalidInputError, match="format examination"):
            decode_content(data)
    with pytest.raises(InvalidInputError):
        encode_content("pilot")


def test_every_medical_template_is_of_an_examination_that_has_its_fields() -> None:
    forms = [form for form in TEMPLATES.values() if form.examination]
    assert {form.examination for form in forms} == set(EXAMINATIONS)
    evidence = {name for form in forms for name in form.examined} - {
        name for one in EXAMINATIONS.values() for name in one.measured
    }
    assert evidence == {"KZ_TJJL", "KZ_TJRQ", "KZ_TJJGDM", "KZ_TJBGBS", "KZ_TJBGBB", "KZ_TJBGCN", "KZ_TJBGXH"}
    for form in forms:
        assert set(form.examined) == evidence | set(EXAMINATIONS[form.examination].measured)
        assert form.valid_days > 0
