"""Rules, institutions, ranges, assessments, agreements through the service: chain, trail, files and answers agree."""

from __future__ import annotations

import itertools
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from medical_city import DAY_S, HOSPITALS, USCC, City, eventually, refused

from ledger.chain.bindings import ProposalKind
from ledger.chain.bindings.proposals import encode_arguments
from ledger.directory.grants import text_digest
from ledger.errors import LedgerError
from ledger.medical.rules import load_rules, rules_digest, starting_rules
from ledger.model import Record
from ledger.v1 import medicalrules_pb2 as pb
from ledger.v1.medicalrules_pb2_grpc import MedicalRulesServiceStub as Stub

NUMBERS: Iterator[int] = itertools.count(1)
CERTIFICATE = b"\x07" * 32


def stub(clinic: City, handle: str = "health") -> Stub:
    return Stub(clinic.channel(handle))


def now_s(clinic: City) -> int:
    return int(clinic.nodes["health"].context.clock()) // 1_000


def settle(clinic: City) -> None:
    """Wait until every node has the newest block."""
    height = max(node.context.chain.head().height for node in clinic.nodes.values())
    for handle, node in clinic.nodes.items():
        eventually(lambda node=node: node.context.chain.head().height >= height, f"{handle} at height {height}")


def records(clinic: City, handle: str, type_: str, **conditions: object) -> list[Record]:
    return [
        record
        for record in clinic.records(handle, type_)
        if all(record.body.get(key) == value for key, value in conditions.items())
    ]


def rule_file(price: int = 0) -> bytes:
    """The shipped rule set with another price: another version's file, in its writer's own layout."""
    value = json.loads(starting_rules())
    value["items"][0]["price_cents"] = price or next(NUMBERS) + 1_000
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def adopt(clinic: City, file: bytes, begin: int = 0) -> pb.RulesResponse:
    """Adopt a rule set, in another second than the last one came into force."""
    last = clinic.nodes["health"].context.contracts.recognition.rules_at("310000", 2**40)
    if last is not None and last.in_force_from < now_s(clinic) + DAY_S:
        eventually(lambda: now_s(clinic) > last.in_force_from, "the next second")
    return stub(clinic).AdoptRules(pb.AdoptRulesRequest(file=file, in_force_from=begin), timeout=180)


def enter(clinic: City, handle: str, level: int) -> None:
    """Enter a hospital with a level, unless it has it."""
    known = {
        item.member: item.level for item in stub(clinic).ListInstitutions(pb.ListInstitutionsRequest()).institutions
    }
    if known.get(USCC[handle]) != level:
        stub(clinic).SetInstitution(pb.SetInstitutionRequest(member=USCC[handle], level=level), timeout=180)


def open_range(clinic: City) -> str:
    code = f"range-{next(NUMBERS)}"
    request = pb.OpenRangeRequest(code=code, label="沪HR", quality=USCC["quality"])
    made = stub(clinic).OpenRange(request, timeout=180).range
    assert (made.code, made.label, made.region, made.quality) == (code, "沪HR", "310000", USCC["quality"])
    settle(clinic)
    return code


def entry(clinic: City, code: str, number: int = 1, at: str = "east", **changes: Any) -> pb.EqaEntry:
    values: dict[str, Any] = {
        "range": code,
        "item": load_rules(starting_rules(), units=False).items[0].id,
        "institution": USCC[at],
        "scheme": "NCCL-chem",
        "round": number,
        "passed": True,
        "certificate_digest": CERTIFICATE,
        "valid_from": now_s(clinic) - 30 * DAY_S,
        "valid_until": now_s(clinic) + 300 * DAY_S,
    }
    return pb.EqaEntry(**values | changes)


def test_rules_are_adopted_and_every_node_judges_by_their_file(clinic: City) -> None:
    file = rule_file()
    rules = load_rules(file, units=False)
    made = adopt(clinic, file)
    assert (made.rules.region, made.rules.digest, made.rules.by) == ("310000", rules_digest(rules), USCC["health"])
    (record,) = records(clinic, "health", "medical.rules-adopted", version=made.rules.version)
    assert record.body["rules"] == made.rules.digest.hex()
    assert refused(lambda: adopt(clinic, file)).code == "medical.rules-unchanged"
    recognition = clinic.nodes["health"].context.contracts.recognition
    assert {item.id for item in rules.items} <= set(recognition.items())
    enter(clinic, "east", 3)
    settle(clinic)
    # The hospital's node has the file from the commission's, and checked it.
    desk = clinic.nodes["east"].medical.rules
    version, digest, loaded = desk.in_force(recognition.rules("310000")[-1].in_force_from)
    assert (version, digest) == (made.rules.version, made.rules.digest)
    assert loaded.canonical == rules.canonical
    assert desk.held(digest) == rules.canonical
    # Asked by another member a node answers from what it holds: no circle of nodes asking each other.
    request = pb.GetRulesRequest(region="310000", version=version)
    assert stub(clinic, "east").GetRules(request, timeout=180).file == rules.canonical
    assert stub(clinic).GetRules(pb.GetRulesRequest(version=version), timeout=180).digest == digest
    listed = stub(clinic, "east").ListRules(pb.ListRulesRequest(), timeout=180).rules
    assert [item.version for item in listed] == list(range(1, len(listed) + 1))
    assert [item.file for item in listed] == [b""] * len(listed)


def test_everybody_reads_a_version_at_the_public_address(clinic: City) -> None:
    made = adopt(clinic, rule_file()).rules
    peer = clinic.foundings["health"].peer
    context = ssl.create_default_context(cadata=peer.certificate.decode())
    context.check_hostname = False

    def read(path: str) -> bytes:
        address = f"https://{peer.https}/medical/rules/{path}"
        with urllib.request.urlopen(address, context=context, timeout=60) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            return bytes(answer.read())

    assert rules_digest(load_rules(read(str(made.version)), units=False)) == made.digest
    for path, status in (("0", 404), ("999999", 404), ("x", 400)):
        with pytest.raises(urllib.error.HTTPError) as failed:
            read(path)
        assert failed.value.code == status


def test_a_planned_version_is_taken_back(clinic: City) -> None:
    planned = adopt(clinic, rule_file(), now_s(clinic) + 100 * DAY_S).rules
    assert planned.state == "planned"
    # Nothing comes before it but after the one in force, so it is taken back first.
    early = refused(lambda: adopt(clinic, rule_file()))
    assert early.code == "contract.recognition-wrong-time"
    request = pb.WithdrawRulesRequest(version=planned.version, reason="写错了")
    taken = stub(clinic).WithdrawRules(request, timeout=180).rules
    assert taken.state == "withdrawn"
    (record,) = records(clinic, "health", "medical.rules-withdrawn", version=planned.version)
    assert record.body["reason"] == text_digest("写错了").hex()
    again = refused(lambda: stub(clinic).WithdrawRules(request, timeout=180))
    assert again.code == "contract.recognition-rules-fixed"
    now = adopt(clinic, rule_file()).rules
    assert now.version == planned.version + 1
    states = {item.version: item.state for item in stub(clinic).ListRules(pb.ListRulesRequest(region="310000")).rules}
    # The clock of the node may not have reached the block's second.
    assert states[now.version] in ("in-force", "planned")


def test_institutions_have_a_level_in_their_region(clinic: City) -> None:
    enter(clinic, "north", 1)
    enter(clinic, "north", 2)
    made = records(clinic, "health", "medical.institution-set", institution=USCC["north"])
    assert [record.body["level"] for record in made][-2:] == [1, 2]
    off = stub(clinic).SetInstitution(pb.SetInstitutionRequest(member=USCC["north"], level=0), timeout=180)
    assert (off.institution.level, off.institution.active) == (0, False)
    enter(clinic, "north", 2)
    settle(clinic)
    request = pb.ListInstitutionsRequest(region="310000")
    found = {item.member: item for item in stub(clinic, "east").ListInstitutions(request).institutions}
    assert (found[USCC["north"]].level, found[USCC["north"]].active) == (2, True)
    assert not stub(clinic).ListInstitutions(pb.ListInstitutionsRequest(region="440100")).institutions
    nobody = pb.SetInstitutionRequest(member=USCC["quality"], level=1)
    assert refused(lambda: stub(clinic).SetInstitution(nobody)).code == "contract.recognition-not-hospital"
    own = pb.SetInstitutionRequest(member=USCC["east"], level=3)
    assert refused(lambda: stub(clinic, "east").SetInstitution(own)).code == "contract.recognition-not-commission"


def test_quality_is_recorded_by_the_body_of_the_range_and_revoked(clinic: City) -> None:
    if not stub(clinic).ListRules(pb.ListRulesRequest()).rules:
        adopt(clinic, rule_file())
    code = open_range(clinic)
    (record,) = records(clinic, "health", "medical.range-opened", range=code)
    assert record.body["quality"] == USCC["quality"]
    entries = [entry(clinic, code, number, at) for number in range(1, 20) for at in HOSPITALS]
    quality = stub(clinic, "quality")
    answer = quality.RecordEqas(pb.RecordEqasRequest(entries=entries), timeout=300)
    # Fifty a transaction.
    assert (len(answer.ids), len(answer.transactions)) == (57, 2)
    logged = records(clinic, "quality", "medical.eqa-recorded", range=code)
    assert [bytes.fromhex(str(one.body["record"])) for one in logged] == list(answer.ids)
    refusal = refused(lambda: quality.RecordEqas(pb.RecordEqasRequest(entries=entries[:1]), timeout=180))
    assert refusal.code == "contract.recognition-eqa-known"
    assert refusal.message.startswith("entries 1 to 1: ")
    settle(clinic)
    found: list[pb.Eqa] = []
    token = ""
    while True:
        request = pb.ListEqasRequest(institution=USCC["west"], page_size=7, page_token=token)
        page = stub(clinic, "east").ListEqas(request, timeout=180)
        found += page.eqas
        token = page.next_page_token
        if not token:
            break
    mine = [item for item in found if item.range == code]
    assert [item.round for item in mine] == list(range(1, 20))
    assert {item.state for item in mine} == {"in-force"}
    wanted = pb.RevokeEqaRequest(id=mine[0].id, reason="样品混淆")
    revoked = quality.RevokeEqa(wanted, timeout=180).eqa
    assert (revoked.revoked_by, revoked.passed) == (USCC["quality"], True)
    (record,) = records(clinic, "quality", "medical.eqa-revoked", record=mine[0].id.hex())
    assert record.body["since"] == revoked.revoked_since
    settle(clinic)
    # What a decision goes by shows it at once, at every node.
    standing = clinic.nodes["east"].medical.rules.standing()
    (one,) = [each for each in standing.eqas if each.identifier == mine[0].id]
    assert one.revoked_s == revoked.revoked_since
    assert clinic.nodes["east"].medical.rules.standing() is standing
    ended = stub(clinic).EndRange(pb.EndRangeRequest(code=code, reason="换代码"), timeout=180).range
    assert ended.valid_until > 0
    settle(clinic)
    late = refused(lambda: quality.RecordEqas(pb.RecordEqasRequest(entries=[entry(clinic, code, 99)]), timeout=180))
    assert late.code == "contract.recognition-range-ended"


def test_a_later_refusal_says_what_is_recorded(clinic: City) -> None:
    if not stub(clinic).ListRules(pb.ListRulesRequest()).rules:
        adopt(clinic, rule_file())
    code = open_range(clinic)
    entries = [entry(clinic, code, number) for number in range(1, 52)]
    entries[50] = entry(clinic, code, 51, institution=USCC["health"])
    refusal = refused(lambda: stub(clinic, "quality").RecordEqas(pb.RecordEqasRequest(entries=entries), timeout=300))
    assert refusal.code == "contract.recognition-not-hospital"
    assert refusal.message.startswith("entries 51 to 51: ")
    assert refusal.message.endswith("; entries 1 to 50 are recorded")
    assert len(records(clinic, "quality", "medical.eqa-recorded", range=code)) == 50


def test_others_record_nothing(clinic: City) -> None:
    if not stub(clinic).ListRules(pb.ListRulesRequest()).rules:
        adopt(clinic, rule_file())
    code = open_range(clinic)
    for handle in ("health", "east"):
        request = pb.RecordEqasRequest(entries=[entry(clinic, code)])
        refusal = refused(lambda handle=handle, request=request: stub(clinic, handle).RecordEqas(request, timeout=180))
        assert refusal.code == "contract.recognition-not-quality-body"


def test_an_agreement_waits_for_the_other_region(clinic: City) -> None:
    if not stub(clinic).ListRules(pb.ListRulesRequest()).rules:
        adopt(clinic, rule_file())
    code = open_range(clinic)
    items = [item.id for item in load_rules(starting_rules(), units=False).items[:3]]
    request = pb.ProposeAgreementRequest(range=code, other="440100", items=[*items, items[0]])
    made = stub(clinic).ProposeAgreement(request, timeout=180).agreement
    assert (made.state, list(made.items)) == ("proposed", sorted(items))
    (record,) = records(clinic, "health", "medical.agreement-proposed", number=made.number)
    assert (record.body["other"], record.body["items"]) == ("440100", 3)
    accept = pb.AcceptAgreementRequest(number=made.number)
    assert refused(lambda: stub(clinic).AcceptAgreement(accept)).code == "contract.recognition-not-party"
    # It holds nothing before the other region's commission accepted it.
    assert not clinic.nodes["health"].medical.rules.standing().agreements
    end = pb.EndAgreementRequest(number=made.number, reason="不再需要")
    assert stub(clinic).EndAgreement(end, timeout=180).agreement.state == "refused"
    listed = stub(clinic).ListAgreements(pb.ListAgreementsRequest()).agreements
    assert [item.state for item in listed if item.number == made.number] == ["refused"]


def test_a_node_that_cannot_have_the_rules_says_so(clinic: City) -> None:
    made = adopt(clinic, rule_file()).rules
    enter(clinic, "west", 2)
    settle(clinic)
    desk = clinic.nodes["west"].medical.rules
    begun = made.in_force_from
    context = clinic.nodes["health"].context
    # The commission's own node lost its file: nobody has it, and nobody judges by a guess.
    rows = context.medical.rules._rows
    kept = rows.get(made.digest)
    rows.delete(made.digest)
    try:
        with pytest.raises(LedgerError) as missing:
            desk.in_force(begun)
        assert missing.value.code == "medical.rules-away"
    finally:
        rows.put(made.digest, kept)
    assert desk.in_force(begun)[1] == made.digest
    with pytest.raises(LedgerError) as none:
        desk.in_force(1)
    assert none.value.code == "medical.no-rules"
    # Who checks another's step judges by the rules of that hospital's region.
    assert clinic.nodes["quality"].medical.rules.in_force(begun, "310000")[1] == made.digest
    with pytest.raises(LedgerError) as none:
        clinic.nodes["quality"].medical.rules.in_force(begun)
    assert none.value.code == "medical.no-institution"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda s: s.AdoptRules(pb.AdoptRulesRequest()), "input.field"),
        (lambda s: s.AdoptRules(pb.AdoptRulesRequest(file=b"x" * (6 << 20) + b"y")), "input.field"),
        (lambda s: s.AdoptRules(pb.AdoptRulesRequest(file=b"{}")), "medical.rules-field"),
        (lambda s: s.AdoptRules(pb.AdoptRulesRequest(file=b"{")), "medical.rules-json"),
        (lambda s: s.GetRules(pb.GetRulesRequest(version=99_999)), "medical.rules-unknown"),
        (lambda s: s.ListRules(pb.ListRulesRequest(region="31")), "identifier.region"),
        (lambda s: s.WithdrawRules(pb.WithdrawRulesRequest(version=1)), "input.field"),
        (lambda s: s.SetInstitution(pb.SetInstitutionRequest(member=USCC["east"], level=4)), "input.field"),
        (lambda s: s.OpenRange(pb.OpenRangeRequest(code="范围", label="x", quality=USCC["quality"])), "input.field"),
        (lambda s: s.OpenRange(pb.OpenRangeRequest(code="x", label="很" * 11, quality=USCC["quality"])), "input.field"),
        (lambda s: s.EndRange(pb.EndRangeRequest(code="none", reason="x")), "contract.recognition-unknown-range"),
        (lambda s: s.RecordEqas(pb.RecordEqasRequest()), "input.field"),
        (lambda s: s.RecordEqas(pb.RecordEqasRequest(entries=[pb.EqaEntry()])), "input.field"),
        (lambda s: s.RevokeEqa(pb.RevokeEqaRequest(id=b"\x01" * 32, reason="x")), "contract.recognition-unknown-eqa"),
        (lambda s: s.RevokeEqa(pb.RevokeEqaRequest(id=b"\x01", reason="x")), "input.field"),
        (lambda s: s.ListEqas(pb.ListEqasRequest(page_token="-1")), "input.field"),
        (lambda s: s.ProposeAgreement(pb.ProposeAgreementRequest(range="x", other="440100")), "input.field"),
        (lambda s: s.ProposeAgreement(pb.ProposeAgreementRequest(range="x", other="1")), "identifier.region"),
        (
            lambda s: s.AcceptAgreement(pb.AcceptAgreementRequest(number=99)),
            "contract.recognition-unknown-agreement",
        ),
    ],
)
def test_bad_input_has_a_code(clinic: City, call: Any, code: str) -> None:
    assert refused(lambda: call(stub(clinic))).code == code


def test_what_was_read_is_kept_until_its_contract_changes(clinic: City) -> None:
    adopt(clinic, rule_file())
    settle(clinic)
    context, desk = clinic.nodes["north"].context, clinic.nodes["north"].medical.rules
    first = desk.standing()
    assert desk.standing() is first
    # A proposal changes the Consortium: the members are read again, the assessments are not.
    consortium = context.contracts.consortium
    data = encode_arguments(ProposalKind.ADOPT_CODE, b"\x05" * 32, True)
    expiry = now_s(clinic) + DAY_S
    context.sender.send(consortium.address, consortium.encode_propose(ProposalKind.ADOPT_CODE, data, expiry))
    second = desk.standing()
    assert second is not first
    assert (second.eqas is first.eqas, second.institutions == first.institutions) == (True, True)
    adopt(clinic, rule_file())
    settle(clinic)
    assert desk.standing() is not second
    assert desk.standing().ranges == first.ranges
