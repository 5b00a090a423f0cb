"""Grants: no active grant without every approval its dataset needs now."""

from __future__ import annotations

import pytest
from contract_city import ADDRESSES, DAY, ZERO, City, Party, digest, word
from eth_utils import keccak

REASON, TEXT = 7, digest("why")
UNCONDITIONAL, CONDITIONAL, NOT_SHARED = 1, 2, 3
GENERAL, IMPORTANT, CORE = 1, 2, 3
PROVIDER, SUPERVISOR, CONSORTIUM = 1, 2, 4
#: The answers of isActive.
(
    ACTIVE, UNKNOWN, OTHER_DATASET, OTHER_CONSUMER, OTHER_PURPOSE, REQUESTED, REFUSED, REVOKED, EXPIRED, SUSPENDED,
    WITHDRAWN, UNSHARED, CONSUMER_GONE, TOO_EARLY, PROVIDER_GONE, USED_UP,
) = range(16)  # fmt: skip
APPROVE_CORE = 14


def why(city: City, grant: bytes, dataset: bytes, at: int | None = None) -> int:
    active, answer = city.active(grant, dataset, city.health, at)
    assert active is (answer == 0)
    return answer


def by_vote(city: City, grant: bytes, consumer: Party) -> int:
    proposal = city.propose(city.water, APPROVE_CORE, ["bytes32", "bytes32"], grant, consumer.id)
    city.vote(proposal, *(member for member in city.members if member != consumer))
    return proposal


def test_a_request_is_kept_as_it_was_made(city: City) -> None:
    made = city.publish(city.water, "a/1")
    terms = city.terms(made)
    event = city.send(city.health, "Grants.request", *terms).only("GrantRequested")
    grant = event["id"]
    place = bytes.fromhex(ADDRESSES["Grants"][2:]).rjust(32, b"\0")
    assert grant == keccak(city.target.chain_id.to_bytes(32, "big") + place + city.health.id + bytes(32))
    kept = city.read("Grants.grant", grant)
    assert (kept.dataset, kept.purpose, kept.matter, kept.scopeDigest, kept.odrlDigest) == terms[:5]
    assert (kept.ceiling, kept.validUntil, kept.deadline) == terms[5:]
    assert (kept.provider, kept.consumer, kept.status, kept.approvals) == (city.water.id, city.health.id, 1, 0)
    assert (kept.requestedAt, kept.activeFrom, kept.closedAt, kept.settled) == (city.now, 0, 0, 0)
    assert why(city, grant, made) == REQUESTED
    assert event["provider"] == city.water.id
    again = city.send(city.health, "Grants.request", *terms).only("GrantRequested")["id"]
    assert again != grant


@pytest.mark.parametrize(
    ("sharing", "level", "needed"),
    [
        (UNCONDITIONAL, GENERAL, 0),
        (CONDITIONAL, GENERAL, PROVIDER),
        (UNCONDITIONAL, IMPORTANT, PROVIDER | SUPERVISOR),
        (CONDITIONAL, IMPORTANT, PROVIDER | SUPERVISOR),
        (UNCONDITIONAL, CORE, PROVIDER | SUPERVISOR | CONSORTIUM),
        (CONDITIONAL, CORE, PROVIDER | SUPERVISOR | CONSORTIUM),
    ],
)
def test_every_level_needs_its_approvals(city: City, sharing: int, level: int, needed: int) -> None:
    made = city.publish(city.water, "a/1", sharing, level)
    grant = city.request(city.health, made)
    missing = needed
    for bit, party in ((PROVIDER, city.water), (SUPERVISOR, city.bigdata), (CONSORTIUM, None)):
        if not needed & bit:
            continue
        assert city.read("Grants.missingApprovals", grant) == missing
        assert why(city, grant, made) == REQUESTED
        if party:
            event = city.send(party, "Grants.approve", grant).only("GrantApproved")
        else:
            event = city.send(city.audit, "Consortium.execute", by_vote(city, grant, city.health)).only("GrantApproved")
        missing &= ~bit
        assert event["approvals"] == needed & ~missing
        assert event["by"] == (party.id if party else ZERO)
    assert city.read("Grants.missingApprovals", grant) == 0
    assert why(city, grant, made) == ACTIVE
    kept = city.read("Grants.grant", grant)
    assert (kept.status, kept.approvals, kept.activeFrom > 0) == (2, needed, True)


def test_approvals_come_in_order_and_from_the_right_member(city: City) -> None:
    made = city.publish(city.water, "a/1", level=CORE)
    grant = city.request(city.health, made)
    assert city.refusal(city.bigdata, "Grants.approve", grant) == ("Grants__ApprovalMissing", grant, PROVIDER)
    for sender in (city.civil, city.audit, city.health):
        assert city.refusal(sender, "Grants.approve", grant) == ("Grants__NotAllowed", grant, sender.id)
    assert city.refusal(city.outsider, "Grants.approve", grant)[0] == "Consortium__NotActiveMember"
    proposal = by_vote(city, grant, city.health)
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Grants__ApprovalMissing", grant, PROVIDER | SUPERVISOR,
    )  # fmt: skip
    city.send(city.water, "Grants.approve", grant)
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Grants__ApprovalMissing", grant, SUPERVISOR)
    assert city.refusal(city.water, "Grants.approve", grant) == ("Grants__AlreadyApproved", grant, PROVIDER)
    city.send(city.bigdata, "Grants.approve", grant)
    assert city.refusal(city.bigdata, "Grants.approve", grant) == ("Grants__AlreadyApproved", grant, 3)
    city.send(city.water, "Consortium.execute", proposal)
    again = by_vote(city, grant, city.health)
    assert city.refusal(city.water, "Consortium.execute", again) == ("Grants__AlreadyApproved", grant, 7)


def test_only_the_consortium_speaks_for_the_consortium(city: City) -> None:
    made = city.publish(city.water, "a/1", level=CORE)
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    city.send(city.bigdata, "Grants.approve", grant)
    for sender in (city.water, city.bigdata, city.outsider):
        assert city.refusal(sender, "Grants.approveByVote", grant, city.health.id) == (
            "Grants__NotConsortium", sender.account.address.lower(),
        )  # fmt: skip
    # A vote that names another consumer, to leave the true one a vote, does not approve.
    proposal = by_vote(city, grant, city.civil)
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Grants__WrongConsumer", grant, city.health.id, city.civil.id,
    )  # fmt: skip
    assert why(city, grant, made) == REQUESTED


def test_a_vote_is_not_spent_on_data_that_needs_none(city: City) -> None:
    grant = city.request(city.health, city.publish(city.water, "a/1", level=IMPORTANT))
    proposal = by_vote(city, grant, city.health)
    assert city.refusal(city.water, "Consortium.execute", proposal) == (
        "Grants__ApprovalNotNeeded", grant, CONSORTIUM, PROVIDER | SUPERVISOR,
    )  # fmt: skip
    grant = city.request(city.health, city.publish(city.water, "a/2"))
    assert city.refusal(city.bigdata, "Grants.approve", grant) == (
        "Grants__ApprovalNotNeeded", grant, SUPERVISOR, PROVIDER,
    )  # fmt: skip


def test_a_supervisor_that_provides_speaks_in_both_capacities_but_never_for_itself_as_consumer(city: City) -> None:
    of_bigdata = city.publish(city.bigdata, "a/1", level=IMPORTANT)
    grant = city.request(city.health, of_bigdata)
    assert city.send(city.bigdata, "Grants.approve", grant).only("GrantApproved")["approvals"] == 3
    assert why(city, grant, of_bigdata) == ACTIVE
    general = city.request(city.health, city.publish(city.bigdata, "a/2"))
    assert city.send(city.bigdata, "Grants.approve", general).only("GrantApproved")["approvals"] == 1
    made = city.publish(city.water, "a/1", level=IMPORTANT)
    own = city.request(city.bigdata, made)
    city.send(city.water, "Grants.approve", own)
    assert city.refusal(city.bigdata, "Grants.approve", own) == ("Grants__NotAllowed", own, city.bigdata.id)
    assert city.refusal(city.bigdata, "Grants.refuse", own, REASON, TEXT) == (
        "Grants__NotAllowed",
        own,
        city.bigdata.id,
    )


def test_a_regrade_upwards_suspends_and_new_approvals_restore(city: City) -> None:
    made = city.publish(city.water, "a/1")
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    first = city.read("Grants.grant", grant).activeFrom
    assert why(city, grant, made) == ACTIVE
    city.send(city.water, "Directory.regrade", made, IMPORTANT, digest("basis"))
    assert why(city, grant, made) == SUSPENDED
    assert city.read("Grants.missingApprovals", grant) == SUPERVISOR
    assert city.refusal(city.water, "Grants.approve", grant) == ("Grants__AlreadyApproved", grant, PROVIDER)
    if city.target.kind == "anvil":
        city.target.pass_time(100)
    done = city.send(city.bigdata, "Grants.approve", grant)
    assert done.names == ["GrantApproved", "GrantActivated"]
    assert why(city, grant, made) == ACTIVE
    assert city.read("Grants.grant", grant).activeFrom == first
    city.send(city.water, "Directory.regrade", made, CORE, digest("basis"))
    assert why(city, grant, made) == SUSPENDED
    city.send(city.water, "Directory.regrade", made, IMPORTANT, digest("basis"))
    assert why(city, grant, made) == ACTIVE


def test_a_request_completed_by_a_regrade_downwards_is_activated_by_the_provider(city: City) -> None:
    made = city.publish(city.water, "a/1", level=IMPORTANT)
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    city.send(city.water, "Directory.regrade", made, GENERAL, digest("basis"))
    # A weaker level does not activate by itself: somebody says so.
    assert why(city, grant, made) == REQUESTED
    city.send(city.water, "Grants.approve", grant)
    assert why(city, grant, made) == ACTIVE
    assert city.refusal(city.water, "Grants.approve", grant) == ("Grants__AlreadyApproved", grant, PROVIDER)


def test_no_grant_beyond_the_type_of_its_dataset(city: City) -> None:
    secret = city.publish(city.water, "a/1", sharing=NOT_SHARED)
    assert city.refusal(city.health, "Grants.request", *city.terms(secret)) == ("Grants__DatasetNotShared", secret)
    made = city.publish(city.water, "a/2")
    grant, waiting = city.request(city.health, made), city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    city.send(city.water, "Directory.changeSharing", made, NOT_SHARED, digest("law"))
    assert why(city, grant, made) == UNSHARED
    assert city.refusal(city.water, "Grants.approve", waiting) == ("Grants__DatasetNotShared", made)
    city.send(city.water, "Directory.changeSharing", made, CONDITIONAL, ZERO)
    assert why(city, grant, made) == ACTIVE
    city.send(city.water, "Directory.withdraw", made, digest("reason"))
    assert why(city, grant, made) == WITHDRAWN
    assert city.refusal(city.water, "Grants.approve", waiting) == ("Grants__DatasetWithdrawn", made)
    assert city.refusal(city.health, "Grants.request", *city.terms(made)) == ("Grants__DatasetWithdrawn", made)


def test_unconditional_data_that_becomes_conditional_needs_its_provider(city: City) -> None:
    made = city.publish(city.water, "a/1", sharing=UNCONDITIONAL)
    done = city.send(city.health, "Grants.request", *city.terms(made))
    assert done.names == ["GrantRequested", "GrantActivated"]
    grant = done.only("GrantRequested")["id"]
    assert city.refusal(city.water, "Grants.approve", grant) == ("Grants__AlreadyApproved", grant, 0)
    city.send(city.water, "Directory.changeSharing", made, CONDITIONAL, ZERO)
    assert why(city, grant, made) == SUSPENDED
    city.send(city.water, "Grants.approve", grant)
    assert why(city, grant, made) == ACTIVE


def test_a_grant_answers_for_its_own_terms_only(city: City) -> None:
    made, other = city.publish(city.water, "a/1"), city.publish(city.water, "a/2")
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    purpose, now = word("public-service"), city.now
    ask = lambda *args: tuple(city.read("Grants.isActive", *args))  # noqa: E731
    assert ask(grant, made, city.health.id, purpose, now) == (True, ACTIVE)
    assert ask(digest("no"), made, city.health.id, purpose, now) == (False, UNKNOWN)
    assert ask(grant, other, city.health.id, purpose, now) == (False, OTHER_DATASET)
    assert ask(grant, made, city.civil.id, purpose, now) == (False, OTHER_CONSUMER)
    assert ask(grant, made, city.health.id, word("statistics"), now) == (False, OTHER_PURPOSE)
    until = city.read("Grants.grant", grant).validUntil
    assert ask(grant, made, city.health.id, purpose, until - 1) == (True, ACTIVE)
    assert ask(grant, made, city.health.id, purpose, until) == (False, EXPIRED)
    start = city.read("Grants.grant", grant).activeFrom
    assert ask(grant, made, city.health.id, purpose, start) == (True, ACTIVE)
    assert ask(grant, made, city.health.id, purpose, start - 1) == (False, TOO_EARLY)


def test_a_suspended_side_makes_a_grant_inactive(city: City) -> None:
    made = city.publish(city.water, "a/1")
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    city.decide(2, ["bytes32"], city.health.id, without=(city.health,))
    assert why(city, grant, made) == CONSUMER_GONE
    city.decide(3, ["bytes32"], city.health.id, without=(city.health,))
    assert why(city, grant, made) == ACTIVE


def test_a_suspended_provider_makes_a_grant_inactive(city: City) -> None:
    made = city.publish(city.water, "a/1")
    grant = city.request(city.health, made)
    city.send(city.water, "Grants.approve", grant)
    city.decide(2, ["bytes32"], city.water.id, without=(city.water,))
    assert why(city, grant, made) == PROVIDER_GONE


def test_the_terms_are_all_required(city: City) -> None:
    made = city.publish(city.water, "a/1")
    terms = list(city.terms(made))
    for index, field in enumerate(("purpose", "matter", "scopeDigest", "odrlDigest", "ceiling"), start=1):
        args = [*terms[:index], 0 if field == "ceiling" else ZERO, *terms[index + 1 :]]
        assert city.refusal(city.health, "Grants.request", *args) == ("Grants__Missing", word(field))
    assert city.refusal(city.water, "Grants.request", *terms) == ("Grants__OwnDataset", made)
    assert city.refusal(city.outsider, "Grants.request", *terms)[0] == "Consortium__NotActiveMember"
    for until in (city.now - 1, city.now + 3651 * DAY):
        refused = city.refusal(city.health, "Grants.request", *terms[:6], until, terms[7])
        assert refused[:2] == ("Grants__WrongValidity", until)
    for deadline in (city.now, city.now + 91 * DAY):
        refused = city.refusal(city.health, "Grants.request", *terms[:7], deadline)
        assert refused[:2] == ("Grants__WrongDeadline", deadline)
    unknown = digest("unknown")
    assert city.refusal(city.health, "Grants.request", unknown, *terms[1:]) == ("Directory__UnknownDataset", unknown)


def test_refusals_carry_a_reason(city: City) -> None:
    made = city.publish(city.water, "a/1", level=IMPORTANT)
    for sender in (city.water, city.bigdata):
        grant = city.request(city.health, made)
        assert city.refusal(sender, "Grants.refuse", grant, 0, TEXT) == ("Grants__Missing", word("reason"))
        assert city.refusal(sender, "Grants.refuse", grant, REASON, ZERO) == ("Grants__Missing", word("textDigest"))
        event = city.send(sender, "Grants.refuse", grant, REASON, TEXT).only("GrantRefused")
        assert event == {"id": grant, "by": sender.id, "reason": REASON, "textDigest": TEXT, "late": False}
        kept = city.read("Grants.grant", grant)
        assert (kept.status, kept.reason, kept.textDigest, kept.closedAt) == (3, REASON, TEXT, city.now)
        assert why(city, grant, made) == REFUSED
        for function, args in (("approve", ()), ("refuse", (REASON, TEXT)), ("revoke", (REASON, TEXT))):
            assert city.refusal(city.water, f"Grants.{function}", grant, *args) == ("Grants__Closed", grant, 3)
    grant = city.request(city.health, made)
    for sender in (city.civil, city.health):
        assert city.refusal(sender, "Grants.refuse", grant, REASON, TEXT) == ("Grants__NotAllowed", grant, sender.id)
    general = city.request(city.health, city.publish(city.water, "a/2"))
    assert city.refusal(city.bigdata, "Grants.refuse", general, REASON, TEXT) == (
        "Grants__NotAllowed", general, city.bigdata.id,
    )  # fmt: skip
    assert city.refusal(city.outsider, "Grants.refuse", general, REASON, TEXT)[0] == "Consortium__NotActiveMember"
    assert city.refusal(city.water, "Grants.refuse", ZERO, REASON, TEXT) == ("Grants__UnknownGrant", ZERO)


def test_a_grant_is_revoked_by_its_sides_or_the_supervisor(city: City) -> None:
    made = city.publish(city.water, "a/1")
    for sender in (city.water, city.bigdata, city.health):
        grant = city.request(city.health, made)
        city.send(city.water, "Grants.approve", grant)
        for other in (city.civil, city.audit):
            assert city.refusal(other, "Grants.revoke", grant, REASON, TEXT) == ("Grants__NotAllowed", grant, other.id)
        assert city.refusal(sender, "Grants.revoke", grant, 0, TEXT) == ("Grants__Missing", word("reason"))
        event = city.send(sender, "Grants.revoke", grant, REASON, TEXT).only("GrantRevoked")
        assert event == {"id": grant, "by": sender.id, "reason": REASON, "textDigest": TEXT}
        assert why(city, grant, made) == REVOKED
        # Also for a time before the revocation: who asks now is not told a stale yes.
        assert why(city, grant, made, city.now - 1) == REVOKED
        assert city.refusal(sender, "Grants.revoke", grant, REASON, TEXT) == ("Grants__Closed", grant, 4)
    waiting = city.request(city.health, made)
    for sender in (city.water, city.bigdata):
        assert city.refusal(sender, "Grants.revoke", waiting, REASON, TEXT) == (
            "Grants__NotAllowed", waiting, sender.id,
        )  # fmt: skip
    city.send(city.health, "Grants.revoke", waiting, REASON, TEXT)
    assert city.refusal(city.outsider, "Grants.revoke", waiting, REASON, TEXT)[0] == "Consortium__NotActiveMember"


@pytest.mark.anvil("moves the clock")
def test_overdue_is_visible_and_never_a_silent_approval(city: City) -> None:
    made = city.publish(city.water, "a/1")
    grant, other = city.request(city.health, made, days=60), city.request(city.health, made, days=60)
    deadline = city.read("Grants.grant", grant).deadline
    assert city.read("Grants.isOverdue", grant, deadline) is False
    assert city.read("Grants.isOverdue", grant, deadline + 1) is True
    city.target.pass_time(11 * DAY)
    assert why(city, grant, made) == REQUESTED
    assert city.send(city.water, "Grants.approve", grant).only("GrantApproved")["late"] is True
    assert city.read("Grants.isOverdue", grant, deadline + 1) is False
    assert city.send(city.water, "Grants.refuse", other, REASON, TEXT).only("GrantRefused")["late"] is True


@pytest.mark.anvil("moves the clock")
def test_an_expired_request_cannot_be_approved(city: City) -> None:
    made = city.publish(city.water, "a/1", level=CORE)
    grant = city.request(city.health, made, days=5)
    until = city.read("Grants.grant", grant).validUntil
    city.target.pass_time(5 * DAY)
    assert city.refusal(city.water, "Grants.approve", grant) == ("Grants__Expired", grant, until)
    proposal = by_vote(city, grant, city.health)
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Grants__Expired", grant, until)


def test_grants_are_paged(city: City) -> None:
    made = city.publish(city.water, "a/1")
    before = city.read("Grants.grantCount")
    grants = [city.request(city.health, made) for _ in range(3)]
    ids, items = city.read("Grants.grants", before, 2)
    assert ids == grants[:2]
    assert [item.dataset for item in items] == [made, made]
    assert city.read("Grants.grants", before + 3, 1) == ([], [])
    for view, args in (("grant", ()), ("missingApprovals", ()), ("isOverdue", (5,)), ("settlement", (20261122,))):
        assert city.refusal(city.water, f"Grants.{view}", ZERO, *args) == ("Grants__UnknownGrant", ZERO)
