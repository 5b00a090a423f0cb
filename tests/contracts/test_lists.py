"""Directory: the responsibility, demand and negative lists, and how one answers the other."""

from __future__ import annotations

import pytest
from contract_city import DAY, ZERO, City, Party, dataset_id, digest, word
from eth_utils import keccak

ITEM, BASIS, MATTER, REASON = digest("item"), digest("basis"), word("matter-1"), digest("reason")


def duty(city: City, provider: Party, author: Party | None = None, days: int = 20) -> bytes:
    args = (provider.id, ITEM, BASIS, city.now + days * DAY)
    return city.send(author or provider, "Directory.addResponsibility", *args).only("ResponsibilityAdded")["id"]


def demand(city: City, consumer: Party, provider: bytes = ZERO, days: int = 20) -> bytes:
    args = (provider, ITEM, MATTER, city.now + days * DAY)
    return city.send(consumer, "Directory.addDemand", *args).only("DemandAdded")["id"]


def negative(city: City, provider: Party) -> bytes:
    return city.send(provider, "Directory.addNegative", ITEM, BASIS).only("NegativeAdded")["id"]


def missing(field: str) -> tuple:
    return ("Directory__Missing", word(field))


def test_ids_are_made_by_the_contract(city: City) -> None:
    from contract_city import ADDRESSES

    made = {negative(city, city.audit), negative(city, city.audit), negative(city, city.health)}
    assert len(made) == 3
    place = bytes.fromhex(ADDRESSES["Directory"][2:]).rjust(32, b"\0")
    chain = city.target.chain_id.to_bytes(32, "big")
    assert keccak(chain + place + city.audit.id + (0).to_bytes(32, "big")) in made


def test_a_provider_enters_and_fulfils_its_responsibility(city: City) -> None:
    entry = duty(city, city.water)
    made = city.publish(city.water, "a/1")
    event = city.send(city.water, "Directory.fulfilResponsibility", entry, made).only("ResponsibilityFulfilled")
    assert event == {"id": entry, "dataset": made, "late": False}
    kept = city.read("Directory.responsibility", entry)
    assert (kept.provider, kept.author, kept.status, kept.dataset) == (city.water.id, city.water.id, 2, made)
    assert kept.closedAt == city.now
    assert city.refusal(city.water, "Directory.fulfilResponsibility", entry, made) == (
        "Directory__EntryClosed", entry, 2,
    )  # fmt: skip
    assert city.refusal(city.water, "Directory.withdrawResponsibility", entry, REASON) == (
        "Directory__EntryClosed", entry, 2,
    )  # fmt: skip


def test_a_supervisor_assigns_others_do_not(city: City) -> None:
    entry = duty(city, city.water, city.bigdata)
    kept = city.read("Directory.responsibility", entry)
    assert (kept.provider, kept.author, kept.status) == (city.water.id, city.bigdata.id, 1)
    args = (city.water.id, ITEM, BASIS, city.now + DAY)
    for sender in (city.civil, city.audit):
        assert city.refusal(sender, "Directory.addResponsibility", *args)[::2] == ("Directory__NotAllowed", sender.id)
    assert city.refusal(city.outsider, "Directory.addResponsibility", *args)[0] == "Consortium__NotActiveMember"
    stranger = (word("11310000MB2F00031J"), *args[1:])
    assert city.refusal(city.bigdata, "Directory.addResponsibility", *stranger) == (
        "Directory__UnknownMember", stranger[0],
    )  # fmt: skip
    # The provider does not take back what was assigned to it; the supervisor does.
    assert city.refusal(city.water, "Directory.withdrawResponsibility", entry, REASON) == (
        "Directory__NotAllowed", entry, city.water.id,
    )  # fmt: skip
    assert city.refusal(city.bigdata, "Directory.withdrawResponsibility", entry, ZERO) == missing("reasonDigest")
    event = city.send(city.bigdata, "Directory.withdrawResponsibility", entry, REASON).only("ResponsibilityWithdrawn")
    assert event == {"id": entry, "by": city.bigdata.id, "reasonDigest": REASON}
    assert city.read("Directory.responsibility", entry).status == 3


def test_a_supervisor_takes_back_what_a_provider_entered(city: City) -> None:
    entry, own = duty(city, city.water), duty(city, city.water)
    city.send(city.bigdata, "Directory.withdrawResponsibility", entry, REASON)
    city.send(city.water, "Directory.withdrawResponsibility", own, REASON)
    assert city.read("Directory.responsibility", entry).reasonDigest == REASON


def test_a_responsibility_is_checked(city: City) -> None:
    due = city.now + DAY
    water = city.water.id
    refused = lambda *args: city.refusal(city.water, "Directory.addResponsibility", *args)  # noqa: E731
    assert refused(water, ZERO, BASIS, due) == missing("itemDigest")
    assert refused(water, ITEM, ZERO, due) == missing("basisDigest")
    for time in (city.now - 1, city.now + 3651 * DAY):
        assert refused(water, ITEM, BASIS, time)[:2] == ("Directory__WrongDeadline", time)


def test_a_responsibility_is_fulfilled_by_a_shared_dataset_of_its_provider(city: City) -> None:
    entry = duty(city, city.water)
    own, other = city.publish(city.water, "a/1"), city.publish(city.civil, "a/1")
    secret, gone = city.publish(city.water, "a/2", sharing=3), city.publish(city.water, "a/3")
    city.send(city.water, "Directory.withdraw", gone, REASON)

    def refused(sender: Party, dataset: bytes, of: bytes = entry) -> tuple:
        return city.refusal(sender, "Directory.fulfilResponsibility", of, dataset)

    assert refused(city.civil, other) == ("Directory__NotAllowed", entry, city.civil.id)
    assert refused(city.water, other) == ("Directory__NotProvider", other, city.civil.id, city.water.id)
    assert refused(city.water, secret) == ("Directory__UnknownSharing", 3)
    assert refused(city.water, gone) == ("Directory__Withdrawn", gone)
    assert refused(city.water, digest("no")) == ("Directory__UnknownDataset", digest("no"))
    assert refused(city.water, own, digest("no")) == ("Directory__UnknownEntry", digest("no"))
    assert refused(city.outsider, own)[0] == "Consortium__NotActiveMember"


@pytest.mark.anvil("moves the clock")
def test_late_answers_are_marked_not_refused(city: City) -> None:
    entry, asked = duty(city, city.water, days=1), demand(city, city.health, days=2)
    made = city.publish(city.water, "a/1")
    city.target.pass_time(3 * DAY)
    done = city.send(city.water, "Directory.fulfilResponsibility", entry, made)
    assert done.only("ResponsibilityFulfilled")["late"] is True
    assert city.send(city.water, "Directory.matchDemandToDataset", asked, made).only("DemandAnswered")["late"] is True


def test_a_demand_is_matched_to_a_dataset(city: City) -> None:
    made = city.publish(city.water, "a/1")
    for sender in (city.water, city.bigdata, city.health):
        entry = demand(city, city.health, city.water.id)
        event = city.send(sender, "Directory.matchDemandToDataset", entry, made).only("DemandAnswered")
        assert event == {"id": entry, "by": sender.id, "status": 2, "answer": made, "late": False}
        kept = city.read("Directory.demand", entry)
        assert (kept.consumer, kept.provider, kept.status, kept.answer) == (city.health.id, city.water.id, 2, made)
        assert (kept.answeredBy, kept.matter, kept.itemDigest) == (sender.id, MATTER, ITEM)
        assert city.refusal(sender, "Directory.matchDemandToDataset", entry, made) == (
            "Directory__EntryClosed", entry, 2,
        )  # fmt: skip
    entry = demand(city, city.health)
    for sender in (city.civil, city.audit):
        assert city.refusal(sender, "Directory.matchDemandToDataset", entry, made) == (
            "Directory__NotAllowed", entry, sender.id,
        )  # fmt: skip
    assert (
        city.refusal(city.outsider, "Directory.matchDemandToDataset", entry, made)[0] == "Consortium__NotActiveMember"
    )
    secret = city.publish(city.water, "a/2", sharing=3)
    assert city.refusal(city.water, "Directory.matchDemandToDataset", entry, secret) == ("Directory__UnknownSharing", 3)


def test_a_demand_is_matched_to_a_responsibility(city: City) -> None:
    promised = duty(city, city.water)
    for sender in (city.water, city.bigdata, city.health):
        entry = demand(city, city.health)
        event = city.send(sender, "Directory.matchDemandToResponsibility", entry, promised).only("DemandAnswered")
        assert (event["status"], event["answer"]) == (3, promised)
    entry = demand(city, city.health)
    assert city.refusal(city.civil, "Directory.matchDemandToResponsibility", entry, promised) == (
        "Directory__NotAllowed", entry, city.civil.id,
    )  # fmt: skip
    city.send(city.water, "Directory.withdrawResponsibility", promised, REASON)
    assert city.refusal(city.water, "Directory.matchDemandToResponsibility", entry, promised) == (
        "Directory__EntryClosed", promised, 3,
    )  # fmt: skip


def test_a_demand_is_answered_from_the_negative_list(city: City) -> None:
    ground = negative(city, city.water)
    for sender in (city.water, city.bigdata):
        entry = demand(city, city.health)
        event = city.send(sender, "Directory.answerDemandFromNegative", entry, ground).only("DemandAnswered")
        assert (event["status"], event["answer"]) == (4, ground)
    entry = demand(city, city.health)
    # The consumer does not refuse itself.
    for sender in (city.health, city.civil):
        assert city.refusal(sender, "Directory.answerDemandFromNegative", entry, ground) == (
            "Directory__NotAllowed", entry, sender.id,
        )  # fmt: skip
    city.send(city.water, "Directory.withdrawNegative", ground, REASON)
    assert city.refusal(city.water, "Directory.answerDemandFromNegative", entry, ground) == (
        "Directory__EntryClosed", ground, 2,
    )  # fmt: skip


def test_a_demand_is_withdrawn_by_its_consumer(city: City) -> None:
    entry = demand(city, city.health)
    assert city.refusal(city.bigdata, "Directory.withdrawDemand", entry) == (
        "Directory__NotAllowed", entry, city.bigdata.id,
    )  # fmt: skip
    assert city.refusal(city.outsider, "Directory.withdrawDemand", entry)[0] == "Consortium__NotActiveMember"
    assert city.send(city.health, "Directory.withdrawDemand", entry).only("DemandWithdrawn") == {"id": entry}
    assert city.read("Directory.demand", entry).status == 5
    assert city.refusal(city.health, "Directory.withdrawDemand", entry) == ("Directory__EntryClosed", entry, 5)


def test_a_demand_is_checked(city: City) -> None:
    due = city.now + 10 * DAY
    refused = lambda *args: city.refusal(city.health, "Directory.addDemand", *args)  # noqa: E731
    assert refused(ZERO, ZERO, MATTER, due) == missing("itemDigest")
    assert refused(ZERO, ITEM, ZERO, due) == missing("matter")
    assert refused(word("nobody"), ITEM, MATTER, due) == ("Directory__UnknownMember", word("nobody"))
    for time in (city.now + DAY - 60, city.now + 90 * DAY + 60):
        answer = refused(ZERO, ITEM, MATTER, time)
        assert answer[:2] == ("Directory__WrongDeadline", time)
        assert answer[3] - answer[2] == 89 * DAY
    assert (
        city.refusal(city.outsider, "Directory.addDemand", ZERO, ITEM, MATTER, due)[0] == "Consortium__NotActiveMember"
    )


def test_the_negative_list(city: City) -> None:
    entry = negative(city, city.water)
    assert city.refusal(city.water, "Directory.addNegative", ITEM, ZERO) == ("Directory__NoLegalBasis",)
    assert city.refusal(city.water, "Directory.addNegative", ZERO, BASIS) == missing("itemDigest")
    assert city.refusal(city.outsider, "Directory.addNegative", ITEM, BASIS)[0] == "Consortium__NotActiveMember"
    for other in (city.civil, city.bigdata):
        assert city.refusal(other, "Directory.withdrawNegative", entry, REASON) == (
            "Directory__NotAllowed", entry, other.id,
        )  # fmt: skip
    assert city.refusal(city.water, "Directory.withdrawNegative", entry, ZERO) == missing("reasonDigest")
    event = city.send(city.water, "Directory.withdrawNegative", entry, REASON).only("NegativeWithdrawn")
    assert event == {"id": entry, "reasonDigest": REASON}
    kept = city.read("Directory.negative", entry)
    assert (kept.provider, kept.status, kept.legalBasisDigest, kept.reasonDigest) == (city.water.id, 2, BASIS, REASON)
    assert city.refusal(city.water, "Directory.withdrawNegative", entry, REASON) == ("Directory__EntryClosed", entry, 2)


def test_nothing_is_deleted_and_lists_are_paged(city: City) -> None:
    before = city.read("Directory.listCounts")
    duties = [duty(city, city.water) for _ in range(3)]
    demands = [demand(city, city.health) for _ in range(2)]
    grounds = [negative(city, city.civil)]
    city.send(city.water, "Directory.withdrawResponsibility", duties[0], REASON)
    city.send(city.health, "Directory.withdrawDemand", demands[0])
    city.send(city.civil, "Directory.withdrawNegative", grounds[0], REASON)
    counts = city.read("Directory.listCounts")
    assert [now - then for now, then in zip(counts, before, strict=True)] == [3, 2, 1]
    for view, made, start in (
        ("responsibilities", duties, before[0]), ("demands", demands, before[1]), ("negatives", grounds, before[2]),
    ):  # fmt: skip
        ids, items = city.read(f"Directory.{view}", start, 2)
        assert ids == made[:2]
        assert len(items) == len(ids)
        assert city.read(f"Directory.{view}", start + len(made), 5) == ([], [])
    for view in ("responsibility", "demand", "negative"):
        assert city.refusal(city.water, f"Directory.{view}", ZERO) == ("Directory__UnknownEntry", ZERO)


def test_a_dataset_id_is_the_formats_one() -> None:
    """A worked value, so that the id cannot drift together in contract and test."""
    made = dataset_id(word("11310000MB2F00001F"), "310000/2260").hex()
    assert made == "656d40898e7f3a13978ed51970c8c34cea8d88a8c089b3423c23048bb179b353"
