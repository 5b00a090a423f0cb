"""Directory: the catalogue."""

from __future__ import annotations

import pytest
from contract_city import ZERO, City, dataset_id, digest
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UNCONDITIONAL, CONDITIONAL, NOT_SHARED = 1, 2, 3
GENERAL, IMPORTANT, CORE = 1, 2, 3


def test_a_dataset_is_published_under_its_providers_id(city: City) -> None:
    made = dataset_id(city.water.id, "310000/2260")
    args = (made, CONDITIONAL, IMPORTANT, digest("meta"), ZERO, "310000/2260")
    event = city.send(city.water, "Directory.publishDataset", *args).only("DatasetPublished")
    assert event == {
        "id": made, "provider": city.water.id, "sharing": CONDITIONAL, "level": IMPORTANT,
        "metadataDigest": digest("meta"), "legalBasisDigest": ZERO, "resourceCode": "310000/2260",
    }  # fmt: skip
    kept = city.read("Directory.dataset", made)
    assert (kept.provider, kept.sharing, kept.level, kept.withdrawn) == (city.water.id, CONDITIONAL, IMPORTANT, False)
    assert (kept.versions, kept.publishedAt, kept.changedAt) == (0, city.now, city.now)
    refused = city.refusal(city.water, "Directory.publishDataset", *args)
    assert refused == ("Directory__DatasetExists", made)


def test_nobody_takes_the_id_of_another(city: City) -> None:
    of_water, own = dataset_id(city.water.id, "a/1"), dataset_id(city.civil.id, "a/1")
    args = (of_water, CONDITIONAL, GENERAL, digest("meta"), ZERO, "a/1")
    assert city.refusal(city.civil, "Directory.publishDataset", *args) == ("Directory__WrongDatasetId", own, of_water)
    assert city.refusal(city.outsider, "Directory.publishDataset", *args)[0] == "Consortium__NotActiveMember"


@pytest.mark.parametrize("code", ["", "x" * 65, "a b", "a\n", "数据"])
def test_a_resource_code_is_visible_ascii(city: City, code: str) -> None:
    args = (dataset_id(city.water.id, code), CONDITIONAL, GENERAL, digest("meta"), ZERO, code)
    assert city.refusal(city.water, "Directory.publishDataset", *args) == (
        "Directory__MalformedResourceCode", len(code.encode()),
    )  # fmt: skip


def test_what_is_published_is_checked(city: City) -> None:
    made = dataset_id(city.water.id, "a/1")

    def refused(sharing: int, level: int, meta: bytes, basis: bytes) -> tuple:
        return city.refusal(city.water, "Directory.publishDataset", made, sharing, level, meta, basis, "a/1")

    for sharing in (0, 4):
        assert refused(sharing, GENERAL, digest("m"), ZERO) == ("Directory__UnknownSharing", sharing)
    for level in (0, 4):
        assert refused(CONDITIONAL, level, digest("m"), ZERO) == ("Directory__UnknownLevel", level)
    assert refused(NOT_SHARED, GENERAL, digest("m"), ZERO) == ("Directory__NoLegalBasis",)
    missing = ("Directory__Missing", b"metadataDigest".ljust(32, b"\0"))
    assert refused(CONDITIONAL, GENERAL, ZERO, ZERO) == missing
    city.send(city.water, "Directory.publishDataset", made, NOT_SHARED, GENERAL, digest("m"), digest("law"), "a/1")


CHANGES = {
    "changeMetadata": (digest("meta 2"),),
    "changeSharing": (UNCONDITIONAL, ZERO),
    "addVersion": (digest("content"), 7),
    "regrade": (CORE, digest("basis")),
    "withdraw": (digest("reason"),),
}
EVENTS = {
    "changeMetadata": "MetadataChanged",
    "changeSharing": "SharingChanged",
    "addVersion": "VersionAdded",
    "regrade": "DatasetRegraded",
    "withdraw": "DatasetWithdrawn",
}


@pytest.mark.parametrize("function", CHANGES)
def test_only_the_provider_changes_its_dataset(city: City, function: str) -> None:
    made = city.publish(city.water, "a/1")
    args = CHANGES[function]
    for other in (city.civil, city.bigdata, city.audit):
        assert city.refusal(other, f"Directory.{function}", made, *args) == (
            "Directory__NotProvider", made, city.water.id, other.id,
        )  # fmt: skip
    assert city.refusal(city.outsider, f"Directory.{function}", made, *args)[0] == "Consortium__NotActiveMember"
    unknown = digest("unknown")
    assert city.refusal(city.water, f"Directory.{function}", unknown, *args) == ("Directory__UnknownDataset", unknown)
    if city.target.kind == "anvil":
        city.target.pass_time(100)
    done = city.send(city.water, f"Directory.{function}", made, *args)
    assert done.names == [EVENTS[function]]
    assert done.events[0].args["id"] == made
    assert city.read("Directory.dataset", made).changedAt == city.now


@pytest.mark.parametrize("function", CHANGES)
def test_a_withdrawn_dataset_stays_readable_and_never_changes(city: City, function: str) -> None:
    made = city.publish(city.water, "a/1")
    city.send(city.water, "Directory.addVersion", made, digest("content"), 7)
    event = city.send(city.water, "Directory.withdraw", made, digest("reason")).only("DatasetWithdrawn")
    assert event == {"id": made, "reasonDigest": digest("reason")}
    assert city.refusal(city.water, f"Directory.{function}", made, *CHANGES[function]) == ("Directory__Withdrawn", made)
    assert city.read("Directory.dataset", made).withdrawn is True
    assert city.read("Directory.version", made, 1).contentDigest == digest("content")
    assert city.read("Directory.datasetCount") >= 1


@pytest.mark.parametrize(
    ("function", "args", "field"),
    [
        ("changeMetadata", (ZERO,), "metadataDigest"),
        ("addVersion", (ZERO, 1), "contentDigest"),
        ("regrade", (CORE, ZERO), "basisDigest"),
        ("withdraw", (ZERO,), "reasonDigest"),
    ],
)
def test_digests_are_required(city: City, function: str, args: tuple, field: str) -> None:
    made = city.publish(city.water, "a/1")
    assert city.refusal(city.water, f"Directory.{function}", made, *args) == (
        "Directory__Missing", field.encode().ljust(32, b"\0"),
    )  # fmt: skip


def test_changes_that_change_nothing_are_refused(city: City) -> None:
    made = city.publish(city.water, "a/1")
    for function, args in (
        ("changeMetadata", (digest("meta", "a/1"),)),
        ("changeSharing", (CONDITIONAL, ZERO)),
        ("regrade", (GENERAL, digest("basis"))),
    ):
        assert city.refusal(city.water, f"Directory.{function}", made, *args) == ("Directory__Unchanged", made)
    assert city.refusal(city.water, "Directory.changeSharing", made, NOT_SHARED, ZERO) == ("Directory__NoLegalBasis",)
    assert city.refusal(city.water, "Directory.changeSharing", made, 9, ZERO) == ("Directory__UnknownSharing", 9)
    assert city.refusal(city.water, "Directory.regrade", made, 9, digest("b")) == ("Directory__UnknownLevel", 9)
    # The same sharing type on another legal basis is a change.
    city.send(city.water, "Directory.changeSharing", made, NOT_SHARED, digest("law 1"))
    event = city.send(city.water, "Directory.changeSharing", made, NOT_SHARED, digest("law 2")).only("SharingChanged")
    assert event == {"id": made, "previous": NOT_SHARED, "sharing": NOT_SHARED, "legalBasisDigest": digest("law 2")}


def test_versions_are_numbered_and_kept(city: City) -> None:
    made = city.publish(city.water, "a/1")
    for number in (1, 2, 3):
        args = (made, digest("content", number), 10 * number)
        event = city.send(city.water, "Directory.addVersion", *args).only("VersionAdded")
        assert event == {"id": made, "number": number, "contentDigest": args[1], "count": args[2]}
    for number in (1, 2, 3):
        kept = city.read("Directory.version", made, number)
        assert (kept.contentDigest, kept.count) == (digest("content", number), 10 * number)
        assert kept.time > 0
    for number in (0, 4):
        assert city.refusal(city.water, "Directory.version", made, number) == (
            "Directory__UnknownVersion", made, number,
        )  # fmt: skip
    assert city.refusal(city.water, "Directory.version", digest("no"), 1) == ("Directory__UnknownDataset", digest("no"))


def test_a_regrade_is_an_event(city: City) -> None:
    made = city.publish(city.water, "a/1")
    event = city.send(city.water, "Directory.regrade", made, CORE, digest("basis")).only("DatasetRegraded")
    assert event == {"id": made, "previous": GENERAL, "level": CORE, "basisDigest": digest("basis")}


@settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))
@given(count=st.integers(0, 5), start=st.integers(0, 7), size=st.integers(0, 7))
def test_pages_are_slices(city: City, count: int, start: int, size: int) -> None:
    with city.target.untouched():
        made = [city.publish(city.water, f"a/{number}") for number in range(count)]
        ids, items = city.read("Directory.datasets", start, size)
        assert ids == made[start : start + size]
        assert [item.metadataDigest for item in items] == [digest("meta", f"a/{made.index(one)}") for one in ids]


def test_a_page_is_bounded(city: City) -> None:
    city.publish(city.water, "a/1")
    ids, _ = city.read("Directory.datasets", 0, 2**256 - 1)
    assert 1 <= len(ids) <= 200
    assert city.read("Directory.datasets", 2**256 - 1, 2**256 - 1) == ([], [])
