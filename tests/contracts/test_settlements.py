"""Grants: per period both sides state the same, or the difference is an event."""

from __future__ import annotations

import pytest
from contract_city import ZERO, City, Party, digest, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAY_1, DAY_2 = 20261122, 20261123
ROOT, OTHER = digest("root"), digest("other root")


def granted(city: City, ceiling: int = 100) -> tuple[bytes, bytes]:
    made = city.publish(city.water, "a/1")
    grant = city.request(city.health, made, ceiling=ceiling)
    city.send(city.water, "Grants.approve", grant)
    return grant, made


def claim(city: City, side: Party, grant: bytes, count: int, root: bytes = ROOT, period: int = DAY_1):
    return city.send(side, "Grants.recordSettlement", grant, period, count, root)


def test_equal_claims_settle_a_period(city: City) -> None:
    grant, _ = granted(city)
    assert claim(city, city.water, grant, 5).names == ["SettlementClaimed"]
    open_ = city.read("Grants.settlement", grant, DAY_1)
    assert (open_.provider.count, open_.consumer.time, open_.agreedAt) == (5, 0, 0)
    done = claim(city, city.health, grant, 5)
    assert done.only("SettlementAgreed") == {
        "id": grant, "period": DAY_1, "count": 5, "receiptsRoot": ROOT, "settled": 5,
    }  # fmt: skip
    kept = city.read("Grants.settlement", grant, DAY_1)
    assert (kept.provider.count, kept.consumer.count, kept.provider.receiptsRoot) == (5, 5, ROOT)
    assert kept.agreedAt == city.now
    for side in (city.water, city.health):
        assert city.refusal(side, "Grants.recordSettlement", grant, DAY_1, 5, ROOT) == (
            "Grants__AlreadySettled", grant, DAY_1,
        )  # fmt: skip
    # Periods stand for themselves.
    claim(city, city.health, grant, 2, OTHER, DAY_2)
    claim(city, city.water, grant, 2, OTHER, DAY_2)
    assert city.read("Grants.grant", grant).settled == 7


@pytest.mark.parametrize(("count", "root"), [(6, ROOT), (5, OTHER)])
def test_a_mismatch_is_an_event_and_can_be_put_right(city: City, count: int, root: bytes) -> None:
    grant, _ = granted(city)
    claim(city, city.water, grant, 5)
    done = claim(city, city.health, grant, count, root)
    assert done.only("SettlementMismatched") == {
        "id": grant, "period": DAY_1, "providerCount": 5, "consumerCount": count,
        "providerRoot": ROOT, "consumerRoot": root,
    }  # fmt: skip
    assert city.read("Grants.settlement", grant, DAY_1).agreedAt == 0
    assert city.read("Grants.grant", grant).settled == 0
    assert claim(city, city.health, grant, 5).names == ["SettlementClaimed", "SettlementAgreed"]


def test_nothing_used_is_settled_without_a_root(city: City) -> None:
    grant, _ = granted(city)
    claim(city, city.water, grant, 0, ZERO)
    assert claim(city, city.health, grant, 0, ZERO).only("SettlementAgreed")["count"] == 0
    assert city.refusal(city.water, "Grants.recordSettlement", grant, DAY_2, 1, ZERO) == (
        "Grants__Missing", word("receiptsRoot"),
    )  # fmt: skip
    assert city.refusal(city.water, "Grants.recordSettlement", grant, 0, 1, ROOT) == ("Grants__Missing", word("period"))


def test_only_the_two_sides_of_a_grant_that_was_active(city: City) -> None:
    grant, made = granted(city)
    for sender in (city.civil, city.bigdata):
        assert city.refusal(sender, "Grants.recordSettlement", grant, DAY_1, 1, ROOT) == (
            "Grants__NotAllowed", grant, sender.id,
        )  # fmt: skip
    refused = city.refusal(city.outsider, "Grants.recordSettlement", grant, DAY_1, 1, ROOT)
    assert refused[0] == "Consortium__NotActiveMember"
    waiting = city.request(city.health, made)
    assert city.refusal(city.water, "Grants.recordSettlement", waiting, DAY_1, 1, ROOT) == (
        "Grants__NeverActive", waiting,
    )  # fmt: skip
    assert city.refusal(city.water, "Grants.recordSettlement", ZERO, DAY_1, 1, ROOT) == ("Grants__UnknownGrant", ZERO)
    # What was used before a revocation is still settled after it.
    city.send(city.water, "Grants.revoke", grant, 1, digest("why"))
    claim(city, city.water, grant, 1)
    assert claim(city, city.health, grant, 1).only("SettlementAgreed")["settled"] == 1


def test_a_grant_is_used_up_at_its_ceiling(city: City) -> None:
    grant, made = granted(city, ceiling=10)
    for period, count in ((DAY_1, 9), (DAY_2, 3)):
        assert city.active(grant, made, city.health) == (True, 0)
        claim(city, city.water, grant, count, ROOT, period)
        done = claim(city, city.health, grant, count, ROOT, period)
    assert done.only("CeilingReached") == {"id": grant, "settled": 12, "ceiling": 10}
    assert city.active(grant, made, city.health) == (False, 15)
    claim(city, city.water, grant, 1, ROOT, 20261124)
    assert "CeilingReached" not in claim(city, city.health, grant, 1, ROOT, 20261124).names


def test_a_sum_beyond_64_bits_stays_at_the_top(city: City) -> None:
    grant, _ = granted(city)
    top = 2**64 - 1
    for period in (DAY_1, DAY_2):
        claim(city, city.water, grant, top, ROOT, period)
        claim(city, city.health, grant, top, ROOT, period)
    assert city.read("Grants.grant", grant).settled == top


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sampled_from([DAY_1, DAY_2]), st.integers(0, 2), st.sampled_from([ROOT, OTHER])),
        max_size=8,
    )
)
def test_agreed_exactly_when_both_last_claims_are_equal(city: City, steps: list[tuple]) -> None:
    """Any claims in any order against a dict model."""
    with city.target.untouched():
        grant, _ = granted(city)
        model: dict[tuple[int, bool], tuple[int, bytes]] = {}
        agreed: dict[int, int] = {}
        for of_provider, period, count, root in steps:
            side = city.water if of_provider else city.health
            if period in agreed:
                assert city.refusal(side, "Grants.recordSettlement", grant, period, count, root)[0] == (
                    "Grants__AlreadySettled"
                )
                continue
            names = claim(city, side, grant, count, root, period).names
            model[period, of_provider] = (count, root)
            other = model.get((period, not of_provider))
            if other == (count, root):
                agreed[period] = count
            assert ("SettlementAgreed" in names) == (period in agreed)
            assert ("SettlementMismatched" in names) == (other is not None and period not in agreed)
        assert city.read("Grants.grant", grant).settled == sum(agreed.values())
