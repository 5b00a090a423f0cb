"""A licence proven offline, on our own chain: before and after its issuer's key and accreditation ended."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.bundle import AnchorParts, decode_bundle, encode_bundle
from ledger.evidence.licencebundle import LicenceProof
from ledger.evidence.policy import decode_policy, encode_policy
from ledger.licences import binding, issuing
from ledger.licences.verdict import Outcome
from ledger.verify import LINKS, Verdict, verify_bundle
from tests.ledger.evidence.licence_office import DAY, PLACE, Office
from tests.ledger.evidence.real_city import real_city
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, STRANGER, signer

SECOND = signer("second key of the issuer")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with real_city(tmp_path) as city:
        made = Office(city)
        made.found()
        yield made


def judged(office: Office, bundle: bytes, *, after_s: int = 60) -> Verdict:
    """The verdict of somebody who has the file, some time after the newest block, and asks for no status list."""
    return verify_bundle(bundle, office.city.policy(), office.city.now_ms + 1_000 * after_s, without_status=True)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        call()
    return caught.value.code


def issued(office: Office, number: int = 1) -> tuple[str, int, AnchorParts]:
    """(licence, index of its record, the anchor that covers it)."""
    licence = office.licence(number)
    index = office.put_on_record(licence)
    return licence, index, office.city.anchor()


def test_a_licence_is_valid_with_the_age_of_its_view(office: Office) -> None:
    licence, index, parts = issued(office)
    token = office.record_list([0] * 8)
    shown = issuing.present(licence, [("CZZT",)])
    bundle = office.bundle(index, parts, office.proof(shown, status=office.status(token)))
    assert encode_bundle(decode_bundle(bundle)) == bundle
    found = judged(office, bundle)
    assert (found.verdict, found.reached, found.finality) == ("verified", "final", "single-signer")
    assert found.licence is not None
    assert (found.licence.code, found.licence.proven) == ("valid", "storage-proof")
    assert found.licence.check("status").outcome is Outcome.PASS
    said = found.to_dict()
    assert said["subject"]["kind"] == "credential"
    assert said["licence"]["view"]["age_ms"] == 60_000
    assert said["licence"]["status"]["version"] == 1
    assert {item["name"] for item in said["licence"]["claims"]} >= {"CZZT"}
    assert "KZ_ZZ" not in json.dumps(said)
    # Much later the same file says how it was then.
    late = judged(office, bundle, after_s=20 * 3_600)
    assert late.licence is not None
    assert (late.verdict, late.licence.code) == ("verified", "valid")
    assert late.licence.check("status").code == "as-of"
    # Whoever cannot accept that age says so: a holder shows the file of before a revocation for ever.
    at_ms = office.city.now_ms + 20 * 3_600_000
    for hours, code in ((19, "licence.status-unknown"), (21, "")):
        aged = verify_bundle(bundle, office.city.policy(), at_ms, status_age_s=3_600 * hours)
        assert aged.code == code
    assert verify_bundle(bundle, office.city.policy()).verdict == "verified", "without a time: as of the proven block"
    # On an idle chain a list is signed anew, long after the newest block.
    office.wait(3_600)
    _, fresh = office.token([0] * 8, 1)
    office.wait(-3_600)
    idle = office.bundle(index, parts, office.proof(shown, status=office.status(fresh)))
    assert verify_bundle(idle, office.city.policy()).verdict == "verified"


def test_without_a_status_list_nobody_knows_the_status(office: Office) -> None:
    licence, index, parts = issued(office)
    whole = office.bundle(index, parts, office.proof(licence, status=office.status(office.record_list([0] * 8))))
    assert verify_bundle(whole, office.city.policy(), office.city.now_ms).verdict == "verified"
    values = [0] * 8
    values[PLACE] = 1
    office.record_list(values)
    # Whoever hands a bundle in may leave out the part that says it is revoked.
    stripped = office.bundle(index, parts, office.proof(licence))
    found = verify_bundle(stripped, office.city.policy(), office.city.now_ms)
    assert found.licence is not None
    assert (found.verdict, found.code) == ("rejected", "licence.status-unknown")
    assert not found.licence.accepted
    line = found.licence.check("status")
    assert (line.outcome, line.code) == (Outcome.FAIL, "licence.status-not-included")
    taken = verify_bundle(stripped, office.city.policy(), office.city.now_ms, without_status=True)
    assert taken.licence is not None
    assert (taken.verdict, taken.licence.code) == ("verified", "valid")
    line = taken.licence.check("status")
    assert (line.outcome, line.code) == (Outcome.WARN, "not-included")
    # What takes no status still believes one that is there.
    revoked = office.bundle(
        index, parts, office.proof(licence, status=office.status(office.token(values, office.versions)[1]))
    )
    assert judged(office, revoked).code == "licence.revoked"


def test_after_rotation_and_the_end_of_accreditation_it_was_valid_when_issued(office: Office) -> None:
    licence, index, parts = issued(office)
    before = office.bundle(index, parts, office.proof(licence))
    office.wait(DAY // 24)
    office.new_key(SECOND)
    office.end_key(ISSUER)
    rotated = judged(office, office.bundle(index, parts, office.proof(licence, key=ISSUER)))
    assert rotated.licence is not None
    assert (rotated.verdict, rotated.licence.code) == ("verified", "valid-when-issued")
    assert rotated.licence.check("issuer").code == "key-ended"
    office.end_accreditation()
    after = office.bundle(index, parts, office.proof(licence, key=ISSUER))
    found = judged(office, after)
    assert found.licence is not None
    assert found.licence.code == "valid-when-issued"
    assert found.licence.check("accredited").code == "ended"
    assert found.licence.check("status").code == "not-included"
    # What was taken away before still verifies, and says that its view is older.
    earlier = judged(office, before)
    assert earlier.licence is not None
    assert earlier.licence.code == "valid"
    assert (earlier.licence.view_time_ms or 0) < (found.licence.view_time_ms or 0)


def test_recorded_too_late_the_time_of_issue_is_unproven(office: Office) -> None:
    licence = office.licence()
    office.wait(60)
    office.new_key(SECOND)
    office.end_key(ISSUER)
    index = office.put_on_record(licence)
    parts = office.city.anchor()
    found = judged(office, office.bundle(index, parts, office.proof(licence, key=ISSUER)))
    assert (found.verdict, found.code) == ("rejected", "licence.issue-time-unproven")
    office.key = SECOND
    second = office.licence(2)
    office.wait(60)
    office.end_accreditation()
    late = office.put_on_record(second)
    parts = office.city.anchor()
    found = judged(office, office.bundle(late, parts, office.proof(second)))
    assert (found.verdict, found.code) == ("rejected", "licence.issue-time-unproven")


def test_a_compromised_key_makes_nothing_of_before(office: Office) -> None:
    licence, index, parts = issued(office)
    office.wait(600)
    stolen_at = office.now_s
    # Whoever has the key now dates a licence back, and even gets it into the log.
    forged = office.licence(2, issued_at=stolen_at - 500)
    office.wait(600)
    late = office.put_on_record(forged)
    covering = office.city.anchor()
    office.new_key(SECOND)
    office.end_key(ISSUER, compromised_since=stolen_at)
    found = judged(office, office.bundle(late, covering, office.proof(forged, key=ISSUER)))
    assert (found.verdict, found.code) == ("rejected", "licence.key-compromised")
    # With the record of an honest licence it does not open it.
    stolen_record = office.bundle(index, parts, office.proof(forged, key=ISSUER))
    assert refused(lambda: judged(office, stolen_record)) == "record.licence"
    # What was on record before stays good.
    kept = judged(office, office.bundle(index, parts, office.proof(licence, key=ISSUER)))
    assert kept.licence is not None
    assert kept.licence.code == "valid-when-issued"
    # A list signed with the stolen key says nothing.
    token = office.record_list([0] * 8)
    by_thief = office.token([0] * 8, office.versions, ISSUER)[1]
    good = office.bundle(index, parts, office.proof(licence, key=ISSUER, status=office.status(token)))
    assert judged(office, good).verdict == "verified"
    bad = office.bundle(index, parts, office.proof(licence, key=ISSUER, status=office.status(by_thief, key=ISSUER)))
    assert refused(lambda: judged(office, bad)) == "licence.status-key"


def test_the_status_is_that_of_the_newest_version_on_chain(office: Office) -> None:
    licence, index, parts = issued(office)
    good = office.record_list([0] * 8)
    values = [0] * 8
    values[PLACE] = 1
    revoked = office.record_list(values)
    found = judged(office, office.bundle(index, parts, office.proof(licence, status=office.status(revoked))))
    assert (found.verdict, found.code) == ("rejected", "licence.revoked")
    hidden = office.bundle(index, parts, office.proof(licence, status=office.status(good)))
    assert refused(lambda: judged(office, hidden)) == "licence.status-behind"
    older = replace(office.status(good), version=1)
    assert refused(lambda: judged(office, office.bundle(index, parts, office.proof(licence, status=older)))) == (
        "state.slots"
    )
    # Bits of its own under the newest version's number.
    other = office.token([0] * 8, 2)[1]
    lying = office.bundle(index, parts, office.proof(licence, status=office.status(other)))
    assert refused(lambda: judged(office, lying)) == "licence.status-digest"
    # Not on chain yet, and signed: newer is better.
    newer = office.token(values, 3)[1]
    found = judged(office, office.bundle(index, parts, office.proof(licence, status=office.status(newer))))
    assert found.code == "licence.revoked"
    # But not by a key that has ended: it would state any time.
    office.new_key(SECOND)
    office.end_key(ISSUER)
    proof = office.proof(licence, key=ISSUER, status=office.status(newer, key=ISSUER))
    assert refused(lambda: judged(office, office.bundle(index, parts, proof))) == "licence.status-key"


def test_what_does_not_belong_together_is_refused(office: Office) -> None:
    licence, index, parts = issued(office)
    proof = office.proof(licence)

    def code(changed: LicenceProof, at: int = index) -> str:
        return refused(lambda: judged(office, office.bundle(at, parts, changed)))

    assert code(replace(proof, salt=b"\x01" * 32)) == "record.licence"
    assert code(replace(proof, presentation=office.licence(7))) == "record.licence"
    assert code(replace(proof, presentation=licence[: -len("~")])) == "licence.bound"
    bound = binding.bind(licence, signer=HOLDER, audience="https://x", nonce="n", issued_at=office.now_s)
    assert code(replace(proof, presentation=bound)) == "licence.bound"
    assert code(replace(proof, presentation=f"{licence}{licence.split('~')[1]}~")) == "licence.disclosure-twice"
    assert code(replace(proof, key=STRANGER.spki)) == "state.slots"
    assert code(replace(proof, spans=())) == "state.slots"
    assert code(replace(proof, spans=(1, 1))) == "state.slots"
    assert code(replace(proof, issuer=replace(proof.issuer, licences=proof.members))) == "state.account"
    assert code(replace(proof, members=proof.issuer.consortium)) == "state.slots"
    # A record of something else, and of another type of record.
    assert refused(lambda: judged(office, office.bundle(office.city.append(1), office.city.anchor(), proof))) == (
        "record.licence"
    )
    # Another block's finality, and a block of before the anchor.
    office.wait(10)
    second = office.put_on_record(office.licence(9))
    later = office.city.anchor()
    assert code(replace(proof, finality=later.finality)) == "finality.header"
    early = office.bundle(second, later, replace(proof, presentation=office.licence(9)))
    assert refused(lambda: judged(office, early)) == "record.licence"
    assert refused(lambda: judged(office, office.bundle(index, later, proof))) == "state.older"


def test_a_policy_without_the_contract_or_of_another_judges_no_licence(office: Office) -> None:
    licence, index, parts = issued(office)
    bundle = office.bundle(index, parts, office.proof(licence))
    policy = decode_policy(office.city.policy())
    for changed, code in ((None, "policy.licences"), (b"\x09" * 32, "state.code")):
        with pytest.raises(UntrustedError) as caught:
            verify_bundle(bundle, encode_policy(replace(policy, licences_code_hash=changed)))
        assert caught.value.code == code
    with pytest.raises(UntrustedError) as caught:
        verify_bundle(bundle, office.city.policy(), parts.finality.head.time_ms - 3_600_000)
    assert caught.value.code == "finality.future"


def test_the_shape_is_strict(office: Office) -> None:
    licence, index, parts = issued(office)
    bundle = office.bundle(index, parts, office.proof(licence, status=office.status(office.record_list([0] * 8))))
    value = json.loads(bundle)
    opened = [{"field": "licence", "salt": "AA==", "type": "x", "value": "AA=="}]
    changes = (
        {"subject": {**value["subject"], "kind": "record"}},
        {"subject": {**value["subject"], "more": 1}},
        {"subject": {"kind": "record", "record": value["subject"]["record"]}},
        {"issuer": {**value["issuer"], "spans": [1] * 33}},
        {"issuer": {**value["issuer"], "spans": ["1"]}},
        {"issuer": {**value["issuer"], "status": {}}},
        {"disclosures": opened},
    )
    for change in changes:
        text = json.dumps(value | change, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        with pytest.raises(InvalidInputError) as caught:
            decode_bundle(text.encode())
        assert caught.value.code in ("bundle.subject", "bundle.disclosures"), change
    del value["issuer"]
    with pytest.raises(InvalidInputError, match="not a bundle"):
        decode_bundle(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def test_every_changed_bit_is_refused_by_the_link_that_broke(office: Office) -> None:
    licence, index, parts = issued(office)
    token = office.record_list([0] * 8)
    bundle = office.bundle(index, parts, office.proof(licence, status=office.status(token)))
    policy, chance, codes = office.city.policy(), random.Random(20261122), set()
    places = [chance.randrange(len(bundle) * 8) for _ in range(200)]
    # The parts that only this kind of bundle has are short: some bits of each for sure.
    for part in (licence[:900], licence[-300:], token[:300], token[-80:]):
        start = bundle.index(part.encode())
        places += [8 * start + chance.randrange(8 * len(part)) for _ in range(20)]
    for bit in places:
        changed = bytearray(bundle)
        changed[bit // 8] ^= 1 << bit % 8
        code = refused(lambda data=bytes(changed): verify_bundle(data, policy))
        assert code.split(".")[0] in (*LINKS, "json"), code
        codes.add(code)
    assert len(codes) > 5
