"""Templates and fields: what a row may hold, and every wrong field named at once, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.licences import fields, templates, texts
from ledger.licences.fields import EXTENSION, Kind
from ledger.licences.templates import TEMPLATES, Mask, examine
from tests.ledger.licences.rows import CITIZEN, COMPANY, ROWS, checked

FOOD = TEMPLATES["food-permit"]
DRIVING = TEMPLATES["driving-licence"]


def test_the_types() -> None:
    assert {form.zh for form in TEMPLATES.values()} == {
        "营业执照",
        "机动车驾驶证",
        "食品经营许可证",
        "居民户口簿（页）",
        "结婚证",
        "医师执业证书",
        "健康证明",
        "机动车驾驶人身体条件证明",
    }
    assert sorted(TEMPLATES) == sorted(ROWS)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_is_whole(name: str) -> None:
    form = TEMPLATES[name]
    assert form.id == name
    assert all(EXTENSION.match(item.name) and item.hidden for item in form.own)
    assert len({item.name for item in form.fields}) == len(form.fields)
    for item in form.fields:
        assert item.zh
        assert item.en.isascii()


def test_a_field_has_one_label() -> None:
    """Whoever shows a licence without its template takes the label from any of them."""
    own = {(item.name, item.zh, item.en) for form in TEMPLATES.values() for item in form.own}
    assert len({name for name, _, _ in own}) == len(own)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_good_row_is_taken_in_its_stored_form(name: str) -> None:
    values, problems = examine(TEMPLATES[name], ROWS[name])
    assert problems == ()
    assert values["ZZYXQQSRQ"] == "2026-01-01"
    assert set(values) == set(ROWS[name])


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_an_empty_row_names_every_field_it_lacks(name: str) -> None:
    form = TEMPLATES[name]
    _, problems = examine(form, {item.name: "" for item in form.fields})
    assert [item.field for item in problems] == [item.name for item in form.fields if item.required]
    assert {item.code for item in problems} == {"licence.field-missing"}


def test_all_wrong_fields_at_once_in_both_languages() -> None:
    row = ROWS["food-permit"] | {
        "ZZBH": "<script>",
        "CZZTDM": COMPANY[:-1] + "4",
        "ZZYXQQSRQ": "2026-02-30",
        "KZ_JYXM": "热食\n冷食",
        "KZ_ZS": "",
        "密码": "x",
    }
    with pytest.raises(InvalidInputError) as caught:
        templates.check(FOOD, row)
    assert caught.value.code == "licence.fields"
    _, problems = examine(FOOD, row)
    assert [(item.field, item.code) for item in problems] == [
        ("ZZBH", "licence.number"),
        ("CZZTDM", "identifier.uscc"),
        ("ZZYXQQSRQ", "licence.day"),
        ("KZ_ZS", "licence.field-missing"),
        ("KZ_JYXM", "licence.text"),
        (ascii("密码"), "licence.field-unknown"),
    ]
    for item in problems:
        assert item.zh in caught.value.message
        assert item.en in caught.value.message
    assert problems[2].zh == "证照有效期起始日期日期写作 2026-11-22 或 20261122"


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"CZZTDM": CITIZEN[:-1] + "1"}, "CZZTDM", "licence.citizen"),
        ({"CZZTDM": "110105194912310021"}, "CZZTDM", "licence.citizen"),
        ({"CZZTDM": "11010519491331002X"}, "CZZTDM", "licence.citizen"),
        ({"CZZTDM": " " + CITIZEN}, "CZZTDM", "licence.citizen"),
        ({"CZZTDMLXDM": "1"}, "CZZTDMLXDM", "licence.holder-type"),
        ({"CZZTDMLXDM": "414", "CZZTDM": "e 1234"}, "CZZTDM", "licence.holder-code"),
        ({"KZ_XB": "X"}, "KZ_XB", "licence.choice"),
        ({"ZZYXQJZRQ": "20251231"}, "ZZYXQJZRQ", "licence.days-order"),
        ({"ZZYXQJZRQ": "永久"}, "ZZYXQJZRQ", "licence.day"),
        ({"KZ_ZJCX": "C1 "}, "KZ_ZJCX", "licence.text"),
        ({"CZZT": "张\u202e三"}, "CZZT", "licence.text"),
        ({"CZZT": "张" * 1001}, "CZZT", "licence.text"),
    ],
)
def test_one_wrong_value(change: dict[str, str], field: str, code: str) -> None:
    _, problems = examine(DRIVING, ROWS["driving-licence"] | change)
    assert [(item.field, item.code) for item in problems] == [(field, code)]
    for value in change.values():
        assert value not in problems[0].zh + problems[0].en


def test_a_person_gets_no_food_permit() -> None:
    _, problems = examine(FOOD, ROWS["food-permit"] | {"CZZTDMLXDM": "111", "CZZTDM": CITIZEN})
    assert [item.code for item in problems] == ["licence.holder-kind"]


def test_a_passport_is_taken_as_it_is() -> None:
    values, problems = examine(DRIVING, ROWS["driving-licence"] | {"CZZTDMLXDM": "414", "CZZTDM": "E12345678"})
    assert problems == ()
    assert values["CZZTDM"] == "E12345678"


def test_a_small_x_is_written_large() -> None:
    values, _ = examine(DRIVING, ROWS["driving-licence"] | {"CZZTDM": CITIZEN.lower()})
    assert values["CZZTDM"] == CITIZEN


def test_text_is_stored_in_one_form() -> None:
    values, _ = examine(DRIVING, ROWS["driving-licence"] | {"CZZT": "Jose\u0301"})
    assert values["CZZT"] == "Jos\u00e9"


def test_no_template_of_that_name() -> None:
    with pytest.raises(NotFoundError) as caught:
        templates.template("fishing")
    assert caught.value.code == "licence.template"
    assert templates.template("food-permit") is FOOD


@pytest.mark.parametrize(
    ("name", "masked"), [("张三丰", "张**"), ("王五", "王*"), ("买买提·艾力", "买**·艾*"), ("JANE DOE", "J*** D**")]
)
def test_a_masked_name(name: str, masked: str) -> None:
    assert fields.mask_name(name) == masked
    assert DRIVING.masked(name) == masked
    assert FOOD.masked(name) == name
    assert {form.mask for form in TEMPLATES.values()} == {Mask.PERSON, Mask.NONE}


@pytest.mark.parametrize("text", ["20261122", "2026-11-22"])
def test_days_have_one_stored_form(text: str) -> None:
    assert fields.read_day(text) == "2026-11-22"


@pytest.mark.parametrize(
    "text", ["2026-1122", "202611-22", "2026-13-01", "0000-01-01", "20261122 ", "２０２６1122", ""]
)
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        fields.read_day(text)
    assert caught.value.code == "licence.day"


def test_every_problem_has_its_words() -> None:
    """Each kind of field refuses something, and each refusal is in the table of words."""
    seen = set()
    for kind in Kind:
        field = fields.Field(name="KZ_A", zh="甲", en="A", kind=kind, choices=("b",) if kind is Kind.TEXT else ())
        with pytest.raises(LedgerError) as caught:
            fields.read_value(field, "\x00", {})
        seen.add(caught.value.code)
    assert seen <= set(texts.PROBLEMS)
    assert len(seen) >= 6


@given(st.dictionaries(st.sampled_from(sorted(ROWS["driving-licence"])) | st.text(), st.text()))
def test_no_row_breaks_the_examination(change: dict[str, str]) -> None:
    values, problems = examine(DRIVING, ROWS["driving-licence"] | change)
    assert problems or values.keys() <= {item.name for item in DRIVING.fields}
    assert len(problems) <= templates.MAX_PROBLEMS


def test_a_stored_row_stays_as_it_is() -> None:
    for name in ROWS:
        assert templates.check(TEMPLATES[name], checked(name)) == checked(name)
