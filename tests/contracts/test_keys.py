"""Consortium: keys of members, entered, rotated, ended."""

from __future__ import annotations

from dataclasses import replace

from contract_city import (
    ACCOUNT,
    CONSENSUS,
    DAY,
    ISSUER,
    LOG,
    RECEIPT,
    TLS,
    WITNESS,
    ZERO,
    City,
    Party,
    account_of,
    digest,
)
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SUSPEND, REPLACE_ACCOUNT, END_KEY = 2, 12, 13
NEW = digest("new key")


def rotate(city: City, party: Party, role: int, material: bytes, replaces: bytes = ZERO, **times: int):
    args = (role, material, times.get("start", 0), times.get("end", 0), replaces, b"")
    return city.send(party, "Consortium.rotateKey", *args)


def refused(city: City, party: Party, role: int, material: bytes, replaces: bytes = ZERO, **times: int) -> tuple:
    args = (role, material, times.get("start", 0), times.get("end", 0), replaces, b"")
    return city.refusal(party, "Consortium.rotateKey", *args)


def signed(city: City, member: bytes, account) -> bytes:
    made = account._acct.unsafe_sign_hash(city.read("Consortium.accountKeyDigest", member, account.address))
    return made.r.to_bytes(32, "big") + made.s.to_bytes(32, "big") + bytes([made.v])


def moved(party: Party, name: str = "water-b") -> Party:
    return replace(party, account=account_of(name))


def test_a_key_is_added_and_the_old_one_retired(city: City) -> None:
    old = city.water.material(LOG)
    done = rotate(city, city.water, LOG, NEW, old)
    assert done.names == ["KeyEnded", "KeyAdded"]
    assert done.only("KeyEnded") == {
        "id": city.water.id, "material": old, "role": LOG, "status": 2, "endedAt": city.now,
    }  # fmt: skip
    key = city.read("Consortium.key", NEW)
    assert (key.member, key.role, key.status, key.validFrom, key.validTo) == (city.water.id, LOG, 1, city.now, 0)
    assert city.read("Consortium.key", old).status == 2
    active = city.read("Consortium.activeKeysOf", city.water.id)
    assert NEW in active
    assert old not in active
    assert len(active) == 9
    # History stays: every key ever entered, in order of entry.
    materials, keys = city.read("Consortium.keysOf", city.water.id)
    assert materials == [city.water.material(role) for role in (ACCOUNT, *range(CONSENSUS, ISSUER + 1))] + [NEW]
    assert [key.status for key in keys] == [1] * 5 + [2] + [1] * 4


def test_two_keys_of_a_role_may_overlap(city: City) -> None:
    start, end = city.now + DAY, city.now + 30 * DAY
    rotate(city, city.water, RECEIPT, NEW, start=start, end=end)
    key = city.read("Consortium.key", NEW)
    assert (key.validFrom, key.validTo) == (start, end)
    assert city.read("Consortium.key", city.water.material(RECEIPT)).status == 1


def test_key_times_are_checked(city: City) -> None:
    now = city.now
    for start, end in ((now - 10, 0), (now + DAY, now + DAY), (now + DAY, now + 1)):
        assert refused(city, city.water, LOG, NEW, start=start, end=end) == ("Consortium__WrongKeyTimes", start, end)
    for role in (ACCOUNT, CONSENSUS):
        assert refused(city, city.water, role, NEW, end=now + DAY) == ("Consortium__WrongKeyTimes", 0, now + DAY)
        assert refused(city, city.water, role, NEW, start=now + 9) == ("Consortium__WrongKeyTimes", now + 9, 0)


def test_one_material_has_one_role_of_one_member_for_ever(city: City) -> None:
    for party in (city.water, city.civil):
        for role in (LOG, WITNESS):
            assert refused(city, party, role, city.water.material(LOG)) == (
                "Consortium__KeyKnown", city.water.material(LOG), city.water.id, LOG,
            )  # fmt: skip
    rotate(city, city.water, LOG, NEW, city.water.material(LOG))
    assert refused(city, city.water, LOG, city.water.material(LOG))[0] == "Consortium__KeyKnown"
    assert refused(city, city.water, 0, digest("x")) == ("Consortium__MalformedKey", 0, digest("x"))
    assert refused(city, city.water, 10, digest("x")) == ("Consortium__MalformedKey", 10, digest("x"))
    assert refused(city, city.water, LOG, ZERO) == ("Consortium__MalformedKey", LOG, ZERO)


def test_only_an_own_active_key_of_that_role_is_replaced(city: City) -> None:
    assert refused(city, city.water, LOG, NEW, digest("none")) == ("Consortium__UnknownKey", digest("none"))
    foreign = city.civil.material(LOG)
    assert refused(city, city.water, LOG, NEW, foreign) == ("Consortium__NotOwnKey", foreign, city.civil.id)
    receipt = city.water.material(RECEIPT)
    assert refused(city, city.water, LOG, NEW, receipt) == ("Consortium__WrongKeyRole", receipt, LOG, RECEIPT)
    city.send(city.water, "Consortium.endKey", receipt, False, 0)
    assert refused(city, city.water, RECEIPT, NEW, receipt) == ("Consortium__KeyEnded", receipt, 2)
    assert refused(city, city.outsider, LOG, NEW)[0] == "Consortium__NotActiveMember"


def test_active_keys_are_bounded(city: City) -> None:
    for number in range(23):
        rotate(city, city.water, TLS, digest("tls", number))
    assert refused(city, city.water, TLS, NEW) == ("Consortium__TooManyKeys", city.water.id, 32)
    rotate(city, city.water, TLS, NEW, digest("tls", 5))


def test_an_account_rotates_by_possession(city: City) -> None:
    new = moved(city.water)
    material, old = new.material(ACCOUNT), city.water.material(ACCOUNT)
    proof = signed(city, city.water.id, new.account)

    def attempt(possession: bytes, replaces: bytes = old) -> tuple:
        return city.refusal(city.water, "Consortium.rotateKey", ACCOUNT, material, 0, 0, replaces, possession)

    assert attempt(b"")[0] == "Consortium__NoPossession"
    assert attempt(signed(city, city.civil.id, new.account))[0] == "Consortium__NoPossession"
    assert attempt(proof, ZERO) == ("Consortium__MustReplace", ACCOUNT, old)
    done = city.send(city.water, "Consortium.rotateKey", ACCOUNT, material, 0, 0, old, proof)
    event = done.only("AccountReplaced")
    assert (event["id"], event["account"]) == (city.water.id, new.account.address.lower())
    # Slot 0 follows at once: the old account speaks for nobody.
    assert city.read("Consortium.memberOf", city.water.account.address) == ZERO
    assert city.read("Consortium.memberOf", new.account.address) == city.water.id
    assert city.read("Consortium.key", old).status == 2
    assert city.refusal(city.water, "Directory.addNegative", NEW, NEW)[0] == "Consortium__NotActiveMember"
    city.send(new, "Directory.addNegative", NEW, NEW)


def test_an_account_of_a_member_cannot_be_taken_over(city: City) -> None:
    proof = signed(city, city.water.id, city.civil.account)
    assert city.refusal(
        city.water,
        "Consortium.rotateKey",
        ACCOUNT,
        city.civil.material(ACCOUNT),
        0,
        0,
        city.water.material(ACCOUNT),
        proof,
    ) == ("Consortium__AccountInUse", city.civil.account.address.lower(), city.civil.id)
    wide = b"\1" + city.civil.material(ACCOUNT)[1:]
    assert city.refusal(
        city.water, "Consortium.rotateKey", ACCOUNT, wide, 0, 0, city.water.material(ACCOUNT), proof
    ) == ("Consortium__MalformedKey", ACCOUNT, wide)


def test_a_lost_account_is_replaced_by_vote(city: City) -> None:
    new = moved(city.water)
    proof = signed(city, city.water.id, new.account)
    types = ["bytes32", "address", "bytes"]
    for wrong in (bytes(65), signed(city, city.civil.id, new.account)):
        proposal = city.propose(city.civil, REPLACE_ACCOUNT, types, city.water.id, new.account.address, wrong)
        city.vote(proposal, city.civil, city.health, city.bigdata)
        assert city.refusal(city.civil, "Consortium.execute", proposal)[0] == "Consortium__NoPossession"
    done = city.decide(REPLACE_ACCOUNT, types, city.water.id, new.account.address, proof, without=(city.water,))
    assert done.only("AccountReplaced")["id"] == city.water.id
    city.send(new, "Directory.addNegative", NEW, NEW)
    assert city.refusal(city.water, "Directory.addNegative", NEW, NEW)[0] == "Consortium__NotActiveMember"


def test_a_suspended_members_account_can_be_replaced_but_stays_suspended(city: City) -> None:
    city.decide(SUSPEND, ["bytes32"], city.water.id, without=(city.water,))
    new = moved(city.water)
    proof = signed(city, city.water.id, new.account)
    types = ["bytes32", "address", "bytes"]
    city.decide(REPLACE_ACCOUNT, types, city.water.id, new.account.address, proof, without=(city.water,))
    assert city.refusal(new, "Directory.addNegative", NEW, NEW)[0] == "Consortium__NotActiveMember"


def test_a_key_is_retired_now_or_compromised_since(city: City) -> None:
    key = city.water.material(LOG)
    assert city.refusal(city.water, "Consortium.endKey", key, False, 5) == ("Consortium__WrongEnd", 5, 0)
    future = city.now + 1000
    assert city.refusal(city.water, "Consortium.endKey", key, True, future)[:2] == ("Consortium__WrongEnd", future)
    assert city.refusal(city.water, "Consortium.endKey", key, True, 0)[:2] == ("Consortium__WrongEnd", 0)
    assert city.refusal(city.civil, "Consortium.endKey", key, False, 0) == (
        "Consortium__NotOwnKey", key, city.water.id,
    )  # fmt: skip
    assert city.refusal(city.water, "Consortium.endKey", NEW, False, 0) == ("Consortium__UnknownKey", NEW)
    assert city.refusal(city.water, "Consortium.key", NEW) == ("Consortium__UnknownKey", NEW)

    city.send(city.water, "Consortium.endKey", key, False, 0)
    retired = city.read("Consortium.key", key)
    assert (retired.status, retired.endedAt) == (2, city.now)
    assert city.refusal(city.water, "Consortium.endKey", key, False, 0) == ("Consortium__KeyEnded", key, 2)
    # Found out later: the end moves earlier, never later.
    later = retired.endedAt + 1
    assert city.refusal(city.water, "Consortium.endKey", key, True, later) == (
        "Consortium__WrongEnd", later, retired.endedAt,
    )  # fmt: skip
    since = retired.endedAt - 100
    event = city.send(city.water, "Consortium.endKey", key, True, since).only("KeyEnded")
    assert (event["status"], event["endedAt"]) == (3, since)
    assert city.refusal(city.water, "Consortium.endKey", key, True, since) == ("Consortium__WrongEnd", since, since)
    assert city.refusal(city.water, "Consortium.endKey", key, False, 0) == ("Consortium__KeyEnded", key, 3)
    city.send(city.water, "Consortium.endKey", key, True, since - 1)
    assert city.read("Consortium.key", key).endedAt == since - 1


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(-50, 50)), min_size=1, max_size=6))
def test_an_end_never_moves_later(city: City, steps: list[tuple[bool, int]]) -> None:
    with city.target.untouched():
        key, base = city.water.material(LOG), city.now
        for compromised, shift in steps:
            before = city.read("Consortium.key", key)
            since = base + shift if compromised else 0
            refused = city.attempt(city.water, "Consortium.endKey", key, compromised, since)
            after = city.read("Consortium.key", key)
            assert not refused or after == before
            assert after.endedAt <= city.now
            assert before.status == 1 or after.endedAt <= before.endedAt
            assert before.status != 3 or after.status == 3


def test_keys_in_service_end_only_by_replacement(city: City) -> None:
    for role in (ACCOUNT, CONSENSUS):
        key = city.water.material(role)
        for compromised, since in ((False, 0), (True, city.now)):
            assert city.refusal(city.water, "Consortium.endKey", key, compromised, since) == (
                "Consortium__KeyInService", key, role,
            )  # fmt: skip


def test_a_replaced_account_key_can_be_declared_compromised(city: City) -> None:
    new, old = moved(city.water), city.water.material(ACCOUNT)
    proof = signed(city, city.water.id, new.account)
    city.send(city.water, "Consortium.rotateKey", ACCOUNT, new.material(ACCOUNT), 0, 0, old, proof)
    city.send(new, "Consortium.endKey", old, True, city.now - 10)
    assert city.read("Consortium.key", old).status == 3
    assert city.read("Consortium.memberOf", new.account.address) == city.water.id


def test_the_account_digest_is_eip_712(city: City) -> None:
    """The digest equals the one eth-account makes of the typed data."""
    from contract_city import ADDRESSES
    from eth_account.messages import encode_typed_data
    from eth_utils import keccak

    message = encode_typed_data(
        domain_data={
            "name": "civicledger",
            "version": "1",
            "chainId": city.target.chain_id,
            "verifyingContract": ADDRESSES["Consortium"],
        },
        message_types={"AccountKey": [{"name": "member", "type": "bytes32"}, {"name": "account", "type": "address"}]},
        message_data={"member": city.water.id, "account": city.civil.account.address},
    )
    expected = keccak(b"\x19" + message.version + message.header + message.body)
    assert city.read("Consortium.accountKeyDigest", city.water.id, city.civil.account.address) == expected
