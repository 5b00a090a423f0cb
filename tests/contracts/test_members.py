"""Consortium: who is a member, and how that changes."""

from __future__ import annotations

import pytest
from contract_city import (
    ACCOUNT,
    AUDITOR,
    CONSENSUS,
    FOUNDER_TYPE,
    ISSUER,
    LOG,
    SUPERVISOR,
    ZERO,
    City,
    Party,
    digest,
    founder,
    word,
)
from eth_utils import to_checksum_address

ADMIT, SUSPEND, REINSTATE, REMOVE, SET_ROLES, RETIRE_LOG = 1, 2, 3, 4, 7, 11
CODE = "11310000MB2F00031J"


def possession(city: City, member: bytes, party: Party) -> bytes:
    """The signature by which the holder of a new account key proves it."""
    made = party.account._acct.unsafe_sign_hash(city.read("Consortium.accountKeyDigest", member, party.account.address))
    return made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([made.v])


def admit(city: City, party: Party, roles: int = 0, **changes: object):
    body = founder(party, roles, validator=bool(changes.pop("validator", False)), handle=changes.pop("handle", None))
    body = tuple(changes.get(str(i), value) for i, value in enumerate(body))
    return city.decide(ADMIT, [FOUNDER_TYPE, "bytes"], body, possession(city, party.id, party))


def refused_admission(city: City, body: tuple, signature: bytes) -> tuple:
    proposal = city.propose(city.water, ADMIT, [FOUNDER_TYPE, "bytes"], body, signature)
    city.vote(proposal, *city.members)
    return city.refusal(city.water, "Consortium.execute", proposal)


def test_the_founders_are_members_with_their_keys(city: City) -> None:
    assert city.read("Consortium.members") == [member.id for member in city.members]
    assert city.read("Consortium.activeCount") == 5
    for member in city.members:
        entry = city.read("Consortium.member", member.id)
        assert (entry.status, entry.region, entry.logGeneration) == (1, 310000, 1)
        assert to_checksum_address(entry.account) == member.account.address
        assert city.read("Consortium.memberOf", member.account.address) == member.id
        assert city.read("Consortium.isActive", member.id) is True
        key = city.read("Consortium.key", member.material(ACCOUNT))
        assert (key.member, key.role, key.status, key.validTo, key.endedAt) == (member.id, ACCOUNT, 1, 0, 0)
    assert city.read("Consortium.memberOf", city.outsider.account.address) == ZERO


def test_roles_count_only_while_active(city: City) -> None:
    has = lambda member, roles: city.read("Consortium.hasRole", member.id, roles)  # noqa: E731
    assert has(city.bigdata, SUPERVISOR) is True
    assert has(city.bigdata, AUDITOR) is False
    assert has(city.bigdata, SUPERVISOR | AUDITOR) is False
    assert has(city.audit, AUDITOR) is True
    city.decide(SUSPEND, ["bytes32"], city.bigdata.id, without=(city.bigdata,))
    assert has(city.bigdata, SUPERVISOR) is False


def test_a_body_is_admitted_by_vote(city: City) -> None:
    new = city.newcomer("transport", CODE)
    done = admit(city, new, roles=AUDITOR)
    event = done.only("MemberAdmitted")
    assert (event["id"], event["handle"], event["roles"]) == (new.id, word("transport"), AUDITOR)
    assert done.names.count("KeyAdded") == 9
    assert city.read("Consortium.activeCount") == 6
    assert city.read("Consortium.member", new.id).since == city.now
    city.send(new, "Directory.addNegative", digest("item"), digest("law"))


def test_admission_needs_the_new_accounts_signature(city: City) -> None:
    new = city.newcomer("transport", CODE)
    body = founder(new, 0, validator=False)
    good = possession(city, new.id, new)
    expected = ("Consortium__NoPossession", new.account.address.lower())
    for bad in (b"\0" * 65, good[:32] + bytes(32) + good[64:], good[:64] + b"\0"):
        assert refused_admission(city, body, bad)[:2] == expected
    for length in (0, 64, 66):
        assert refused_admission(city, body, bytes(length)) == (*expected, "0x" + 40 * "0")
    other = possession(city, city.water.id, new)
    assert refused_admission(city, body, other)[:2] == expected
    # The other form of the same signature (high s) is refused too.
    s = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(good[32:64], "big")
    high = good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]])
    assert refused_admission(city, body, high) == (*expected, "0x" + 40 * "0")
    admit(city, new)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        (0, word("11310000mb2f00031j"), "Consortium__MalformedId"),
        (0, word("11310000MB2F0003J"), "Consortium__MalformedId"),
        (0, word("11310000MB2F00031J6"), "Consortium__MalformedId"),
        (0, word("11310000MB2F0-031J"), "Consortium__MalformedId"),
        (1, ZERO, "Consortium__MalformedHandle"),
        (1, word("Transport"), "Consortium__MalformedHandle"),
        (1, word("-x"), "Consortium__MalformedHandle"),
        (1, word("a b"), "Consortium__MalformedHandle"),
        (1, b"a\0b".ljust(32, b"\0"), "Consortium__MalformedHandle"),
        (2, 99999, "Consortium__MalformedRegion"),
        (2, 1000000, "Consortium__MalformedRegion"),
        (3, 32, "Consortium__MalformedRoles"),
    ],
)
def test_a_malformed_body_is_refused(city: City, field: int, value: object, error: str) -> None:
    new = city.newcomer("transport", CODE)
    body = tuple(value if i == field else part for i, part in enumerate(founder(new, 0, validator=False)))
    signature = possession(city, body[0], new)
    assert refused_admission(city, body, signature) == (error, value)


def test_a_body_that_clashes_is_refused(city: City) -> None:
    new = city.newcomer("transport", CODE)
    body = founder(new, 0, validator=False)
    signature = possession(city, new.id, new)

    taken = (*body[:1], word("water"), *body[2:])
    assert refused_admission(city, taken, signature) == (
        "Consortium__HandleTaken",
        310000,
        word("water"),
        city.water.id,
    )
    account = (*body[:6], [(ACCOUNT, digest("x"))])
    assert refused_admission(city, account, signature) == ("Consortium__MalformedKey", ACCOUNT, digest("x"))
    known = (*body[:6], [(LOG, city.civil.material(LOG))])
    assert refused_admission(city, known, signature) == (
        "Consortium__KeyKnown", city.civil.material(LOG), city.civil.id, LOG,
    )  # fmt: skip
    for role in (0, ISSUER + 1):
        odd = (*body[:6], [(role, digest("odd"))])
        assert refused_admission(city, odd, signature) == ("Consortium__MalformedKey", role, digest("odd"))
    zero = (*body[:6], [(LOG, ZERO)])
    assert refused_admission(city, zero, signature) == ("Consortium__MalformedKey", LOG, ZERO)
    many = (*body[:6], [(LOG, digest("many", i)) for i in range(32)])
    assert refused_admission(city, many, signature) == ("Consortium__TooManyKeys", new.id, 32)

    same = Party(name="health", id=new.id, account=city.health.account)
    clash = (*body[:4], city.health.account.address, *body[5:])
    assert refused_admission(city, clash, possession(city, new.id, same)) == (
        "Consortium__AccountInUse", city.health.account.address.lower(), city.health.id,
    )  # fmt: skip
    again = (city.water.id, *body[1:])
    proposal = city.propose(city.civil, ADMIT, [FOUNDER_TYPE, "bytes"], again, possession(city, city.water.id, new))
    city.vote(proposal, city.civil, city.health, city.bigdata, city.audit)
    assert city.refusal(city.civil, "Consortium.execute", proposal) == ("Consortium__MemberExists", city.water.id)


def test_a_suspended_member_can_do_nothing_and_comes_back(city: City) -> None:
    done = city.decide(SUSPEND, ["bytes32"], city.water.id, without=(city.water,))
    assert done.only("MemberSuspended") == {"id": city.water.id}
    assert done.only("ValidatorChanged")["validator"] is False
    assert city.read("Consortium.activeCount") == 4
    entry = city.read("Consortium.member", city.water.id)
    assert (entry.status, entry.validator) == (2, False)
    # The account stays known: the state machine tells a suspended member from a stranger.
    assert city.read("Consortium.memberOf", city.water.account.address) == city.water.id
    refused = ("Consortium__NotActiveMember", city.water.account.address.lower())
    assert city.refusal(city.water, "Directory.addNegative", digest("item"), digest("law")) == refused
    assert city.refusal(city.water, "Consortium.propose", 2, city.civil.id, city.now + 60) == refused
    assert city.refusal(city.water, "Consortium.endKey", city.water.material(LOG), False, 0) == refused

    done = city.decide(REINSTATE, ["bytes32"], city.water.id, without=(city.water,))
    assert done.only("MemberReinstated") == {"id": city.water.id}
    assert city.read("Consortium.activeCount") == 5
    # It comes back without its place among the validators.
    assert city.read("Consortium.member", city.water.id).validator is False
    city.send(city.water, "Directory.addNegative", digest("item"), digest("law"))


def test_a_removed_member_loses_its_account_and_keys_for_ever(city: City) -> None:
    done = city.decide(REMOVE, ["bytes32"], city.water.id, without=(city.water,))
    assert done.only("MemberRemoved") == {"id": city.water.id}
    assert done.names.count("KeyEnded") == 9
    assert city.read("Consortium.memberOf", city.water.account.address) == ZERO
    assert city.read("Consortium.activeKeysOf", city.water.id) == []
    materials, keys = city.read("Consortium.keysOf", city.water.id)
    assert len(materials) == 9
    assert {(key.status, key.endedAt) for key in keys} == {(2, city.now)}
    assert city.read("Consortium.members")[0] == city.water.id
    for kind in (SUSPEND, REINSTATE, REMOVE, SET_ROLES, RETIRE_LOG):
        types, values = (
            (["bytes32", "uint32"], (city.water.id, 1)) if kind == SET_ROLES else (["bytes32"], (city.water.id,))
        )
        proposal = city.propose(city.civil, kind, types, *values)
        city.vote(proposal, city.civil, city.health, city.bigdata, city.audit)
        assert city.refusal(city.civil, "Consortium.execute", proposal) == ("Consortium__WrongStatus", city.water.id, 3)


def test_a_removed_body_comes_back_with_new_keys_under_its_old_origin(city: City) -> None:
    city.decide(RETIRE_LOG, ["bytes32"], city.water.id, without=(city.water,))
    city.decide(REMOVE, ["bytes32"], city.water.id, without=(city.water,))
    others = (city.civil, city.health, city.bigdata, city.audit)
    back = Party(name="water-2", id=city.water.id, account=city.newcomer("water-2", CODE).account)
    signature = possession(city, back.id, back)

    def attempt(body: tuple) -> int:
        proposal = city.propose(city.civil, ADMIT, [FOUNDER_TYPE, "bytes"], body, signature)
        city.vote(proposal, *others)
        return proposal

    moved = attempt(founder(back, 0, validator=False, handle="water-2"))
    assert city.refusal(city.civil, "Consortium.execute", moved) == ("Consortium__OriginChanged", back.id)
    old_keys = attempt((*founder(back, 0, validator=False, handle="water")[:6], [(LOG, city.water.material(LOG))]))
    assert city.refusal(city.civil, "Consortium.execute", old_keys)[0] == "Consortium__KeyKnown"
    city.send(city.civil, "Consortium.execute", attempt(founder(back, 0, validator=False, handle="water")))
    entry = city.read("Consortium.member", back.id)
    # Its log goes on: the generation stays, and so does its one place in the list.
    assert (entry.status, entry.logGeneration) == (1, 2)
    assert city.read("Consortium.members").count(back.id) == 1
    assert city.read("Consortium.activeCount") == 5


def test_roles_change_by_vote(city: City) -> None:
    done = city.decide(SET_ROLES, ["bytes32", "uint32"], city.health.id, 4, without=(city.health,))
    assert done.only("RolesChanged") == {"id": city.health.id, "previous": 8, "roles": 4}
    for roles, error in ((4, ("Consortium__NothingToChange",)), (32, ("Consortium__MalformedRoles", 32))):
        proposal = city.propose(city.water, SET_ROLES, ["bytes32", "uint32"], city.health.id, roles)
        city.vote(proposal, city.water, city.civil, city.bigdata, city.audit)
        assert city.refusal(city.water, "Consortium.execute", proposal) == error


def test_suspend_and_reinstate_need_the_right_status(city: City) -> None:
    proposal = city.propose(city.civil, REINSTATE, ["bytes32"], city.water.id)
    city.vote(proposal, city.civil, city.health, city.bigdata, city.audit)
    assert city.refusal(city.civil, "Consortium.execute", proposal) == ("Consortium__WrongStatus", city.water.id, 1)
    unknown = word(CODE)
    assert city.refusal(city.civil, "Consortium.propose", SUSPEND, unknown, city.now + 60) == (
        "Consortium__UnknownMember", unknown,
    )  # fmt: skip
    assert city.refusal(city.civil, "Consortium.member", unknown) == ("Consortium__UnknownMember", unknown)


def test_a_validator_is_admitted_with_a_consensus_key_only(city: City) -> None:
    new = city.newcomer("transport", CODE)
    body = (*founder(new, 0, validator=True)[:6], [(LOG, new.material(LOG))])
    assert refused_admission(city, body, possession(city, new.id, new)) == ("Consortium__NoConsensusKey", new.id)
    done = admit(city, new, validator=True)
    assert done.only("ValidatorChanged") == {
        "id": new.id, "consensusKey": new.material(CONSENSUS), "validator": True,
    }  # fmt: skip
    ids, keys = city.read("Consortium.validators")
    assert ids[-1] == new.id
    assert keys[-1] == new.material(CONSENSUS)
