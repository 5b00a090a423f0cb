"""Consortium: proposals and votes."""

from __future__ import annotations

import pytest
from contract_city import ADDRESSES, DAY, FOUNDER_TYPE, LOG, ZERO, City, digest, founder, word
from contract_targets import Target, examples
from eth_abi import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_members import possession

SUSPEND, ADOPT, ACTIVATE, REPLACE_ACCOUNT, END_KEY, APPROVE_CORE = 2, 8, 10, 12, 13, 14


def test_three_times_yes_over_two_times_active(city: City) -> None:
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    for yes, voter in enumerate((city.water, city.civil, city.health), start=1):
        city.vote(proposal, voter)
        assert city.refusal(city.water, "Consortium.execute", proposal) == ("Consortium__NotCarried", proposal, yes, 5)
    city.vote(proposal, city.bigdata)
    done = city.send(city.audit, "Consortium.execute", proposal)
    assert done.only("Executed") == {"proposalId": proposal, "kind": ADOPT, "yes": 4, "electorate": 5}
    assert done.only("CodeAdopted") == {"codeHash": digest("code"), "adopted": True}
    assert city.read("Consortium.adopted", digest("code")) is True
    assert city.read("Consortium.proposal", proposal).state == 2


def test_exactly_two_thirds_do_not_carry(city: City) -> None:
    """Of six: four yes are 3 x 4 = 2 x 6, which is not more."""
    new = city.newcomer("transport", "11310000MB2F00031J")
    body = founder(new, 0, validator=False)
    city.decide(1, [FOUNDER_TYPE, "bytes"], body, possession(city, new.id, new))
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    city.vote(proposal, *city.members[:4])
    assert city.refusal(city.water, "Consortium.execute", proposal) == ("Consortium__NotCarried", proposal, 4, 6)
    city.vote(proposal, new)
    city.send(city.water, "Consortium.execute", proposal)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(votes=st.lists(st.sampled_from(["yes", "no", "none"]), min_size=5, max_size=5), target=st.integers(-1, 4))
def test_the_count_for_any_votes(city: City, votes: list[str], target: int) -> None:
    """For any votes and any target: carried exactly when 3 x yes > 2 x electorate, the target not counted."""
    with city.target.untouched():
        if target < 0:
            proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
        else:
            proposal = city.propose(city.water, 7, ["bytes32", "uint32"], city.members[target].id, 3)
        yes = no = 0
        for index, (voter, vote) in enumerate(zip(city.members, votes, strict=True)):
            if index == target:
                assert city.refusal(voter, "Consortium.vote", proposal, True) == (
                    "Consortium__TargetMayNotVote", proposal, voter.id,
                )  # fmt: skip
            elif vote != "none":
                city.vote(proposal, voter, yes=vote == "yes")
                yes += vote == "yes"
                no += vote == "no"
        electorate = 5 if target < 0 else 4
        seen = city.read("Consortium.proposal", proposal)
        assert (seen.yes, seen.no, seen.electorate, seen.state) == (yes, no, electorate, 1)
        if 3 * yes > 2 * electorate:
            assert city.send(city.audit, "Consortium.execute", proposal).only("Executed")["yes"] == yes
        else:
            assert city.refusal(city.audit, "Consortium.execute", proposal) == (
                "Consortium__NotCarried", proposal, yes, electorate,
            )  # fmt: skip


def test_votes_of_members_no_longer_active_do_not_count(city: City) -> None:
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    city.vote(proposal, city.water, city.civil, city.health)
    city.vote(proposal, city.bigdata, yes=False)
    city.decide(SUSPEND, ["bytes32"], city.water.id, without=(city.water,))
    seen = city.read("Consortium.proposal", proposal)
    assert (seen.yes, seen.no, seen.electorate) == (2, 1, 4)
    assert city.refusal(city.civil, "Consortium.execute", proposal) == ("Consortium__NotCarried", proposal, 2, 4)
    city.vote(proposal, city.audit)
    assert city.send(city.civil, "Consortium.execute", proposal).only("Executed")["electorate"] == 4
    voters, answers = city.read("Consortium.votes", proposal)
    assert voters == [m.id for m in (city.water, city.civil, city.health, city.bigdata, city.audit)]
    assert answers == [True, True, True, False, True]


def test_one_vote_each(city: City) -> None:
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    city.vote(proposal, city.civil, yes=False)
    for yes in (True, False):
        assert city.refusal(city.civil, "Consortium.vote", proposal, yes) == (
            "Consortium__AlreadyVoted", proposal, city.civil.id,
        )  # fmt: skip
    assert city.refusal(city.outsider, "Consortium.vote", proposal, True)[0] == "Consortium__NotActiveMember"
    assert city.refusal(city.outsider, "Consortium.execute", proposal)[0] == "Consortium__NotActiveMember"


@pytest.mark.anvil("moves the clock")
def test_proposals_expire(city: City) -> None:
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True, days=1)
    city.vote(proposal, city.water, city.civil, city.health, city.bigdata)
    city.target.pass_time(DAY + 2)
    assert city.read("Consortium.proposal", proposal).state == 3
    closed = ("Consortium__ProposalClosed", proposal, 3)
    assert city.refusal(city.audit, "Consortium.vote", proposal, True) == closed
    assert city.refusal(city.audit, "Consortium.execute", proposal) == closed


def test_a_proposal_is_carried_out_once(city: City) -> None:
    proposal = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    city.vote(proposal, *city.members[:4])
    city.send(city.water, "Consortium.execute", proposal)
    closed = ("Consortium__ProposalClosed", proposal, 2)
    assert city.refusal(city.water, "Consortium.execute", proposal) == closed
    assert city.refusal(city.audit, "Consortium.vote", proposal, True) == closed
    for unknown in (0, proposal + 1):
        refused = ("Consortium__UnknownProposal", unknown)
        assert city.refusal(city.water, "Consortium.vote", unknown, True) == refused
        assert city.refusal(city.water, "Consortium.proposal", unknown) == refused


@pytest.mark.anvil("compares with the exact time of the block")
def test_expiry_is_ahead_and_within_ninety_days(city: City) -> None:
    data = encode(["bytes32", "bool"], [digest("code"), True])
    for seconds in (-1, 0, 90 * DAY + 5):
        expiry = city.now + seconds
        refused = city.refusal(city.water, "Consortium.propose", ADOPT, data, expiry)
        assert refused[:2] == ("Consortium__WrongExpiry", expiry)
        assert refused[3] - refused[2] == 90 * DAY - 1


def test_proposals_are_paged(city: City) -> None:
    made = [city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code", i), True) for i in range(3)]
    assert city.read("Consortium.proposalCount") == made[-1]
    first = made[0] - 1
    assert [entry.data[:32] for entry in city.read("Consortium.proposals", first, 2)] == [
        digest("code", 0), digest("code", 1),
    ]  # fmt: skip
    assert len(city.read("Consortium.proposals", first + 2, 1000)) == 1
    assert city.read("Consortium.proposals", first + 3, 1) == []


def malformed() -> list[tuple[int, bytes]]:
    word_ = encode(["uint256"], [2**255])
    big = encode(["bytes32", "uint256"], [digest("x"), 2**200])
    signed = encode(["bytes32", "address", "bytes"], [digest("x"), ADDRESSES["Grants"], bytes(65)])
    return [
        *[(kind, b"") for kind in range(1, 15)],
        *[(kind, bytes(31)) for kind in (2, 3, 4, 11)],
        *[(kind, bytes(64)) for kind in (2, 9, 11, 12, 13)],
        (5, encode(["bytes32", "uint256"], [digest("x"), 2])),
        (8, encode(["bytes32", "uint256"], [digest("x"), 2])),
        (7, big),
        (10, encode(["uint256", "uint256"], [2**32, 5])),
        (10, encode(["uint256", "uint256"], [5, 2**64])),
        (9, encode(["bytes32", "uint256", "bytes32"], [word("Grants"), 2**160, digest("x")])),
        (13, encode(["bytes32", "uint256", "uint64"], [digest("x"), 2, 0])),
        (13, encode(["bytes32", "bool", "uint256"], [digest("x"), True, 2**64])),
        (12, signed[:32] + word_ + signed[64:]),
        (12, signed[:64] + encode(["uint256"], [128]) + signed[96:]),
        (12, signed[:96] + encode(["uint256"], [66]) + signed[128:]),
        (14, bytes(96)),
    ]


@pytest.mark.parametrize(("kind", "data"), malformed())
def test_malformed_data_is_refused_when_proposed(city: City, kind: int, data: bytes) -> None:
    assert city.refusal(city.water, "Consortium.propose", kind, data, city.now + 600) == (
        "Consortium__MalformedProposal", kind, len(data),
    )  # fmt: skip


def test_an_admission_must_be_its_own_encoding(city: City) -> None:
    new = city.newcomer("transport", "11310000MB2F00031J")
    data = encode([FOUNDER_TYPE, "bytes"], [founder(new, 0, validator=False), bytes(65)])
    for wrong in (data + bytes(32), data + bytes(4096)):
        assert city.refusal(city.water, "Consortium.propose", 1, wrong, city.now + 600) == (
            "Consortium__MalformedProposal", 1, len(wrong),
        )  # fmt: skip


def test_unknown_kinds_and_targets_are_refused(city: City) -> None:
    for kind in (0, 15, 255):
        assert city.refusal(city.water, "Consortium.propose", kind, bytes(32), city.now + 600) == (
            "Consortium__UnknownKind", kind,
        )  # fmt: skip
    assert city.refusal(
        city.water,
        "Consortium.propose",
        END_KEY,
        encode(["bytes32", "bool", "uint64"], [digest("no"), True, 1]),
        city.now + 600,
    ) == ("Consortium__UnknownKey", digest("no"))
    for kind, values in ((APPROVE_CORE, [digest("grant"), word("nobody")]), (5, [word("nobody"), ZERO])):
        refused = city.refusal(city.water, "Consortium.propose", kind, encode(["bytes32"] * 2, values), city.now + 600)
        assert refused == ("Consortium__UnknownMember", word("nobody"))


def test_code_is_adopted_and_dropped(city: City) -> None:
    city.decide(ADOPT, ["bytes32", "bool"], digest("code"), True)
    again = city.propose(city.water, ADOPT, ["bytes32", "bool"], digest("code"), True)
    city.vote(again, *city.members)
    assert city.refusal(city.water, "Consortium.execute", again) == ("Consortium__NothingToChange",)
    city.decide(ADOPT, ["bytes32", "bool"], digest("code"), False)
    assert city.read("Consortium.adopted", digest("code")) is False


@pytest.mark.anvil("our own chain stops where a version begins that it has not")
def test_versions_grow_one_after_the_other(city: City, target: Target) -> None:
    version = city.read("Consortium.activeVersion")
    assert (version.version, version.height) == (1, 0)

    def refused(number: int, height: int) -> tuple:
        proposal = city.propose(city.water, ACTIVATE, ["uint32", "uint64"], number, height)
        city.vote(proposal, *city.members)
        return city.refusal(city.water, "Consortium.execute", proposal)

    assert refused(1, 10_000) == ("Consortium__WrongVersion", 1, 1)
    answer = refused(2, 1)
    assert answer[:2] == ("Consortium__WrongHeight", 1)
    assert answer[2] in (target.height + 1, target.height + 2)
    ahead = target.height + 100
    done = city.decide(ACTIVATE, ["uint32", "uint64"], 2, ahead)
    assert done.only("VersionActivated") == {"version": 2, "height": ahead}
    # The next is not set before this one is in force.
    assert refused(3, ahead + 100) == ("Consortium__WrongHeight", ahead + 100, ahead + 1)
    target.pass_blocks(100)
    city.decide(ACTIVATE, ["uint32", "uint64"], 3, target.height + 100)
    assert city.read("Consortium.activeVersion").version == 3


def test_the_target_of_a_key_proposal_is_the_keys_member(city: City) -> None:
    proposal = city.propose(
        city.civil, END_KEY, ["bytes32", "bool", "uint64"], city.water.material(LOG), True, city.now
    )
    assert city.read("Consortium.proposal", proposal).target == city.water.id
    city.vote(proposal, city.civil, city.health, city.bigdata, city.audit)
    event = city.send(city.civil, "Consortium.execute", proposal).only("KeyEnded")
    assert (event["id"], event["material"], event["status"]) == (city.water.id, city.water.material(LOG), 3)
