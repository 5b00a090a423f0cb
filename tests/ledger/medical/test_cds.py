"""Order systems: what a request must be, what is ordered, and what a card says and never says."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import InvalidInputError
from ledger.medical.cdscards import MAX_SUMMARY, Searched, answer, discovery
from ledger.medical.cdsrequest import MAX_BYTES, MAX_ENTRIES, MAX_ORDERS, Ordered, ordered, read_orders
from ledger.medical.cdswords import SERVICES, WORDS
from ledger.medical.model import Category, OfferedReport
from ledger.medical.reasons import NATIONAL, Reason
from ledger.medical.recognise import Decision
from ledger.medical.rules import load_rules, starting_rules
from ledger.medical.ruleset import Mapping, RuleSet
from tests.ledger.medical.bundles import Person, identity_number
from tests.ledger.medical.orders import order, request

DAY_S = 86_400
#: 2026-11-22T04:00:00Z: noon in China.
NOW_S = 1_795_320_000
HERE, THERE, AWAY = "12310000MB2F30004W", "12310000MB2F30003R", "12310000MB2F30002N"
COUNT, PANEL = "6690-2", "58410-2"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    loaded = load_rules(starting_rules(), units=False)
    mapping = Mapping(institution=HERE, system="urn:his", code="XCG-1", item="wbc")
    return replace(loaded, mappings=(*loaded.mappings, mapping))


def read(value: Any, hook: Any = "order-sign") -> Any:
    return read_orders(json.dumps(value).encode(), hook)


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_request_is_read(rules: RuleSet) -> None:
    asked = read(request(order(COUNT), order("XCG-1", system="urn:his", number=2)))
    assert (asked.identity, asked.course) == (f"ric:{identity_number(1)}", "acute")
    assert ordered(asked, rules, HERE) == Ordered(orders=(("wbc",),), unmapped=())
    # A local code means what it means at the hospital that has it.
    assert ordered(asked, rules, THERE) == Ordered(orders=(("wbc",),), unmapped=(("urn:his", "XCG-1"),))
    assert read(request(order(COUNT), extension={"civicledger-course": "chronic"})).course == "chronic"


def test_a_panel_is_what_its_details_name(rules: RuleSet) -> None:
    assert ordered(read(request(order(PANEL))), rules, HERE).unmapped == (("http://loinc.org", PANEL),)
    asked = read(request(order(PANEL, details=(COUNT, "718-7", "no-such"))))
    assert ordered(asked, rules, HERE) == Ordered(orders=(("wbc", "haemoglobin"),), unmapped=())


def test_codes_that_mean_different_items_are_none(rules: RuleSet) -> None:
    one = order(COUNT)
    one["code"]["coding"].append({"system": "http://loinc.org", "code": "718-7"})
    found = ordered(read(request(one)), rules, HERE)
    assert (found.orders, len(found.unmapped)) == ((), 2)


def test_only_what_was_just_selected_is_looked_at(rules: RuleSet) -> None:
    asked = request(order(COUNT), order("718-7", number=2), hook="order-select")
    assert ordered(read(asked, "order-select"), rules, HERE).orders == (("wbc",), ("haemoglobin",))
    for selection in ("ServiceRequest/order-2", "order-2"):
        asked["context"]["selections"] = [selection]
        assert ordered(read(asked, "order-select"), rules, HERE).orders == (("haemoglobin",),)


@pytest.mark.parametrize(
    "change",
    [{"status": "revoked"}, {"doNotPerform": True}, {"resourceType": "MedicationRequest"}, {"code": {"text": "x"}}],
)
def test_what_is_no_order_of_an_examination_is_passed_over(rules: RuleSet, change: dict[str, Any]) -> None:
    assert ordered(read(request(order(COUNT) | change)), rules, HERE) == Ordered(orders=(), unmapped=())


def bent(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set (or, with None, drop) what stands at a dotted path."""

    def bend(made: dict[str, Any]) -> None:
        *names, last = [int(name) if name.isdecimal() else name for name in path.split(".")]
        at: Any = made
        for name in names:
            at = at[name]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return bend


_ENTRY = "context.draftOrders.entry"
_ORDER = f"{_ENTRY}.0.resource"
_NUMBER = "prefetch.patient.identifier.1"


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (bent("hook", None), "cds.hook"),
        (bent("hook", "order-select"), "cds.hook"),
        (bent("hook", "patient-view"), "cds.hook"),
        (bent("hookInstance", None), "cds.request"),
        (bent("hookInstance", "1"), "cds.request"),
        (bent("context", None), "cds.request"),
        (bent("context", []), "cds.request"),
        (bent("context.userId", ""), "cds.request"),
        (bent("context.patientId", 7), "cds.request"),
        (bent("context.patientId", "Patient/P0001"), "cds.request"),
        (bent("context.patientId", "P0002"), "cds.patient"),
        (bent("context.draftOrders", None), "cds.request"),
        (bent("context.draftOrders.resourceType", "List"), "cds.request"),
        (bent(_ENTRY, {}), "cds.request"),
        (bent(_ENTRY, [{"resource": order(COUNT)}] * (MAX_ENTRIES + 1)), "cds.request"),
        (bent(_ENTRY, [{"resource": order(COUNT)}] * (MAX_ORDERS + 1)), "cds.request"),
        (bent(_ENTRY, [7]), "cds.request"),
        (bent(_ENTRY, [{}]), "cds.request"),
        (bent(f"{_ORDER}.code", None), "cds.request"),
        (bent(f"{_ORDER}.code", [7]), "cds.request"),
        (bent(f"{_ORDER}.code", {"concept": {"coding": []}}), "cds.request"),
        (bent(f"{_ORDER}.code.coding", [{"code": "x" * 201}]), "cds.request"),
        (bent(f"{_ORDER}.code.coding", [{"code": "x"}] * 21), "cds.request"),
        (bent(f"{_ORDER}.orderDetail", {}), "cds.request"),
        (bent(f"{_ORDER}.orderDetail", [7]), "cds.request"),
        (bent(f"{_ORDER}.subject", None), "cds.request"),
        (bent(f"{_ORDER}.subject", {"reference": "Patient/P0002"}), "cds.patient"),
        (bent(f"{_ORDER}.subject", {"reference": "Group/P0001"}), "cds.patient"),
        (bent(f"{_ORDER}.subject", {"display": "she"}), "cds.patient"),
        (bent(f"{_ORDER}.subject", {"identifier": {"system": "x", "value": "P0001"}}), "cds.patient"),
        (bent("prefetch", None), "cds.prefetch"),
        (bent("prefetch.patient", None), "cds.prefetch"),
        (bent("prefetch.patient.resourceType", "Person"), "cds.prefetch"),
        (bent("prefetch.patient.id", "P0002"), "cds.patient"),
        (bent(_NUMBER, None), "cds.prefetch"),
        (bent(f"{_NUMBER}.value", "110101199003070078"), "cds.identity"),
        (bent("prefetch.patient.identifier.0", {"system": "urn:oid:2.16.156.10011.1.3", "value": "1"}), "cds.identity"),
        (bent("extension", {"civicledger-course": "odd"}), "cds.request"),
    ],
)
def test_a_request_that_is_not_right_is_refused_and_quotes_nothing(
    bend: Callable[[dict[str, Any]], None], code: str
) -> None:
    made = copy.deepcopy(request(order(COUNT)))
    bend(made)
    with pytest.raises(InvalidInputError) as caught:
        read(made)
    assert caught.value.code == code
    assert caught.value.hint
    told = json.dumps(caught.value.to_dict())
    assert not any(word in told for word in ("P0001", "P0002", identity_number(1), "11010119900307", "secret"))


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://his.example.cn/fhir/Patient/P0001"},
        {"reference": "Patient/P0001/_history/3"},
        {"identifier": {"system": "urn:hospital:patients", "value": "P0001"}},
    ],
)
def test_the_patient_may_be_named_in_fhirs_ways(rules: RuleSet, subject: dict[str, Any]) -> None:
    assert ordered(read(request(order(COUNT) | {"subject": subject})), rules, HERE).orders == (("wbc",),)


@pytest.mark.parametrize("selections", [None, {}, [7], ["ServiceRequest/order-9"], ["order-1"] * (MAX_ENTRIES + 1)])
def test_selections_are_orders_of_the_request(selections: Any) -> None:
    made = request(order(COUNT), hook="order-select")
    made["context"]["selections"] = selections
    with pytest.raises(InvalidInputError) as caught:
        read(made, "order-select")
    assert caught.value.code == "cds.request"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[" * 99, b'{"hook":"a","hook":"b"}', b'{"a":NaN}', b" " * (MAX_BYTES + 1)],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_orders(data, "order-sign")
    assert caught.value.code == "cds.json"


def test_a_json_that_is_no_request_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read([])
    assert caught.value.code == "cds.request"


# --- the cards --------------------------------------------------------------------------------------------------------


def seen(
    institution: str, *decisions: Decision, mark: int = 1, concluded: bool = False
) -> tuple[OfferedReport, tuple[Decision, ...]]:
    offer = OfferedReport(
        report=bytes([mark]) * 32,
        institution=institution,
        category=Category.LABORATORY,
        status="final",
        issued_s=NOW_S - DAY_S,
        facts=(),
        version=1,
        concluded=concluded,
    )
    return offer, decisions


def fit(item: str, age_s: int | None = DAY_S, *, reasons: tuple[Reason, ...] = ()) -> Decision:
    label = None if reasons else "市HR"
    return Decision(place=0, item=item, recognisable=not reasons, reasons=reasons, label=label, age_s=age_s)


def searched(rules: RuleSet, *found: Any, absent: tuple[str, ...] = (), name: str = "演示 west") -> Searched:
    return Searched(
        member=HERE,
        found=found,
        absent=absent,
        asked=2,
        names={THERE: name},
        rules=rules,
        rules_version=3,
        judged_s=NOW_S,
    )


def told(
    done: Searched, language: Any = "en", orders: tuple[tuple[str, ...], ...] = (("wbc",),)
) -> list[dict[str, Any]]:
    value = answer(Ordered(orders=orders, unmapped=()), done, language)
    assert list(value) == ["cards"]
    return list(value["cards"])


def test_a_card_says_what_when_where_and_why(rules: RuleSet) -> None:
    old = fit("wbc", 40 * DAY_S, reasons=(Reason("too-old", "7"), Reason("withdrawn")))
    done = searched(rules, seen(THERE, old, mark=2), seen(THERE, fit("wbc"), fit("haemoglobin")))
    (card,) = told(done)
    assert card["summary"].endswith("a recognisable result exists, 2026-11-21 (yesterday), 演示 west")
    assert (card["indicator"], card["source"]) == (
        "info",
        {"label": "Mutual recognition of results (rules, version 3)"},
    )
    first, second, *_ = card["detail"].splitlines()
    assert first.startswith("- **Recognisable**: 2026-11-21 (yesterday), 演示 west; label 市HR")
    assert first.endswith(f"(`{'01' * 32}`)")
    assert second.startswith("- **Not recognisable**: 2026-10-13 (40 days ago)")
    assert "Older than the window of 7 days" in second
    assert "withdrawn" in second
    # Without a uuid a client reports nothing back: what became of a result is decided where it was opened.
    assert "uuid" not in card
    assert [entry["code"] for entry in card["overrideReasons"]] == [*NATIONAL, *(one.code for one in rules.reasons)]
    assert len(card["overrideReasons"]) > len(NATIONAL) == 6
    assert all(entry["display"] and entry["system"] for entry in card["overrideReasons"])


def test_a_card_in_chinese(rules: RuleSet) -> None:
    (card,) = told(searched(rules, seen(THERE, fit("wbc", 60))), "zh")
    assert card["summary"].endswith("已有可互认的结果，2026-11-22（今天），演示 west")
    assert card["detail"].startswith("- **可互认**：2026-11-22（今天），演示 west；互认标识 市HR")
    assert card["overrideReasons"][0]["display"] == NATIONAL["condition-changed"][0]


def test_the_newest_recognisable_result_is_told_first(rules: RuleSet) -> None:
    newer = fit("wbc", 60, reasons=(Reason("no-result"),))
    done = searched(
        rules, seen(THERE, newer, mark=1), seen(THERE, fit("wbc", 9 * DAY_S), mark=2), seen(HERE, fit("wbc"))
    )
    (card,) = told(done)
    assert card["summary"].endswith("this hospital")
    assert [line.split("**")[1] for line in card["detail"].splitlines() if line.startswith("- ")] == [
        "Recognisable",
        "Recognisable",
        "Not recognisable",
    ]


def test_no_card_where_nothing_is_recognisable_or_nothing_was_found(rules: RuleSet) -> None:
    nothing = fit("wbc", None, reasons=(Reason("no-time"),))
    assert told(searched(rules)) == []
    assert told(searched(rules, seen(THERE, nothing))) == []
    assert told(searched(rules, seen(THERE, fit("haemoglobin")))) == []
    assert answer(Ordered(orders=(), unmapped=()), None, "en") == {"cards": []}


def test_absent_hospitals_are_named_only_where_there_are_any(rules: RuleSet) -> None:
    card, away = told(searched(rules, seen(THERE, fit("wbc")), absent=(AWAY, THERE)))
    assert "overrideReasons" in card
    assert "overrideReasons" not in away
    assert away["summary"].startswith("2 of 2 hospitals did not answer")
    assert away["detail"] == f"- {AWAY}\n- 演示 west"
    assert told(searched(rules, absent=(AWAY,)))[0]["summary"].startswith("1 of 2")
    many = told(searched(rules, absent=tuple(f"M{number}" for number in range(30))))[0]
    assert many["detail"].splitlines()[-1] == "And 10 more."


def test_codes_that_no_rule_knows_are_told_to_who_connects_the_system(rules: RuleSet) -> None:
    value = answer(Ordered(orders=(), unmapped=(("urn:his", "X"), ("", "Y"))), None, "en")
    assert value["cards"] == []
    assert value["extension"] == {"civicledger-unmapped": [{"system": "urn:his", "code": "X"}, {"code": "Y"}]}


def test_summaries_are_short_and_names_are_no_markup(rules: RuleSet) -> None:
    nasty = "<b>[x](http://evil)</b> | " + "长" * 200
    for language in ("zh", "en"):
        (card,) = told(searched(rules, seen(THERE, fit("wbc")), name=nasty), language)
        assert len(card["summary"]) == MAX_SUMMARY < 140
        assert "\\<b\\>\\[x\\]\\(http://evil\\)" in card["detail"]
        assert "[x](" not in card["detail"]


def test_only_some_results_of_an_item_are_listed(rules: RuleSet) -> None:
    rows = [seen(THERE, fit("wbc", (number + 1) * 3600), mark=number) for number in range(9)]
    (card,) = told(searched(rules, *rows))
    assert card["detail"].count("- **") == 5
    assert "And 4 more." in card["detail"]


def test_a_panel_is_one_card_with_what_is_missing_in_it(rules: RuleSet) -> None:
    old = fit("platelets", 90 * DAY_S, reasons=(Reason("too-old", "7"),))
    results = [fit("wbc", 3 * DAY_S), fit("haemoglobin", 2 * DAY_S), old]
    done = searched(rules, *(seen(THERE, *results, mark=mark) for mark in range(3)))
    panel = ("wbc", "haemoglobin", "platelets", "rbc")
    names = {item.id: item.en for item in rules.items}
    (card,) = told(done, orders=(panel,))
    assert card["summary"].startswith(
        f"{names['wbc']} and 1 more: a recognisable result exists, 2026-11-20 (2 days ago)"
    )
    assert card["detail"].count("- **Recognisable**") == 4
    assert card["detail"].count("And 1 more.") == 2
    assert f"Nothing to recognise of: {names['platelets']}; " in card["detail"].replace("\\", "")
    assert "too old" not in card["detail"]
    (chinese,) = told(done, "zh", orders=(panel,))
    assert "等 2 项：已有可互认的结果" in chinese["summary"]
    # Items ordered one by one are a card each.
    assert len(told(done, orders=tuple((item,) for item in panel))) == 2


def test_a_conclusion_is_said_to_be_left_out(rules: RuleSet) -> None:
    decision = replace(fit("wbc"), notes=(Reason("conclusion-excluded"),))
    (card,) = told(searched(rules, seen(THERE, decision, concluded=True)))
    assert "conclusion is never recognised" in card["detail"]


def test_discovery_names_both_hooks_and_the_patient() -> None:
    for language in ("zh", "en"):
        services = discovery(language)["services"]
        assert [one["hook"] for one in services] == ["order-select", "order-sign"]
        for one in services:
            assert one["prefetch"] == {"patient": "Patient/{{context.patientId}}"}
            assert one["title"]
            assert one["description"]
            assert one["id"] in SERVICES


def test_both_languages_have_every_word() -> None:
    assert WORDS["zh"].keys() == WORDS["en"].keys()


def test_another_person_is_another_identity() -> None:
    who = Person(local="P7", identity=identity_number(7))
    assert read(request(order(COUNT, patient="P7"), person=who)).identity == f"ric:{who.identity}"
