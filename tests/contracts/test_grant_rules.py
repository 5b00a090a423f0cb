"""Grants: rules that hold whatever happened before (property tests)."""

from __future__ import annotations

from contract_city import DAY, ZERO, City, dataset_id, digest
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_grants import ACTIVE, CONDITIONAL, CORE, GENERAL, REASON, TEXT, UNCONDITIONAL, by_vote, why


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(deadline=st.integers(-DAY, 100 * DAY), validity=st.integers(-DAY, 4000 * DAY))
def test_deadlines_and_validity_for_any_times(city: City, deadline: int, validity: int) -> None:
    """The request passes exactly when its deadline is 1 to 90 days ahead and its validity ends within ten years."""
    made = _published_once(city)
    now = int(city.target.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    slack = 5  # the call runs in the block after the one the times are counted from
    if any(abs(deadline - edge) <= slack for edge in (DAY, 90 * DAY)):
        return
    if any(abs(validity - edge) <= slack for edge in (0, 3650 * DAY)):
        return
    args = (*city.terms(made)[:6], now + validity, now + deadline)
    if not DAY <= deadline <= 90 * DAY:
        answer = city.refusal(city.health, "Grants.request", *args)
        assert answer[:2] == ("Grants__WrongDeadline", now + deadline)
        assert answer[3] - answer[2] == 89 * DAY
    elif not 0 < validity <= 3650 * DAY:
        answer = city.refusal(city.health, "Grants.request", *args)
        assert answer[:2] == ("Grants__WrongValidity", now + validity)
        assert answer[3] - answer[2] == 3650 * DAY - 1
    else:
        city.send(city.health, "Grants.request", *args)


def _published_once(city: City) -> bytes:
    made = dataset_id(city.water.id, "once")
    ids, _ = city.read("Directory.datasets", 0, 200)
    return made if made in ids else city.publish(city.water, "once")


STEPS = ["approve-provider", "approve-supervisor", "vote", "general", "important", "core", "uncond", "cond", "revoke"]


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(level=st.integers(1, 3), sharing=st.integers(1, 2), steps=st.lists(st.sampled_from(STEPS), max_size=7))
def test_active_means_every_approval_is_there(city: City, level: int, sharing: int, steps: list[str]) -> None:
    """After any steps: an active grant has every approval its dataset needs then, given by the right party."""
    with city.target.untouched():
        made = city.publish(city.water, "a/1", sharing, level)
        grant = city.request(city.health, made)
        given_by: set[str] = set()
        for step in steps:
            if step == "approve-provider":
                done = city.attempt(city.water, "Grants.approve", grant) == ()
                given_by |= {"provider"} if done else set()
            elif step == "approve-supervisor":
                done = city.attempt(city.bigdata, "Grants.approve", grant) == ()
                given_by |= {"supervisor"} if done else set()
            elif step == "vote":
                proposal = by_vote(city, grant, city.health)
                done = city.attempt(city.water, "Consortium.execute", proposal) == ()
                given_by |= {"consortium"} if done else set()
            elif step == "revoke":
                done = city.attempt(city.bigdata, "Grants.revoke", grant, REASON, TEXT) == ()
                given_by |= {"revoked"} if done else set()
            elif step in ("uncond", "cond"):
                wanted = UNCONDITIONAL if step == "uncond" else CONDITIONAL
                done = city.attempt(city.water, "Directory.changeSharing", made, wanted, ZERO) == ()
                assert done == (wanted != sharing)
                sharing = wanted
            else:
                wanted = ["general", "important", "core"].index(step) + 1
                done = city.attempt(city.water, "Directory.regrade", made, wanted, digest("basis")) == ()
                assert done == (wanted != level)
                level = wanted
            needed = {"provider"} if level > GENERAL or sharing == CONDITIONAL else set()
            needed |= {"supervisor"} if level > GENERAL else set()
            needed |= {"consortium"} if level == CORE else set()
            if why(city, grant, made) == ACTIVE:
                assert needed <= given_by
                assert "revoked" not in given_by
            elif "revoked" not in given_by and city.read("Grants.grant", grant).status == 2:
                assert not needed <= given_by
