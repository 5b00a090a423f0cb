"""Issuing at a real node: licences, their status on chain and over HTTPS, repeats, and nothing of a holder outside."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from licence_office import ISSUER, TYPE, accredit, citizen, holder, order, stub
from services_city import USCC, City, refused

from ledger.codec import decode_record
from ledger.errors import UnavailableError
from ledger.licences import b64, identifier, issuing, jws, slip, statustoken
from ledger.licences.sdjwt import open_claims, parse
from ledger.licences.suites import es256_signer
from ledger.v1 import department_pb2, department_pb2_grpc
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.identity.pinned import PinnedClient
from node.licences.issuer import issue_commitment

#: A licence of a body that is no member, and its key.
STRANGE = str(identifier.make("11100000000013338W011", "11430000006122244L", "20260000403"))
STRANGER = ec.derive_private_key(13, ec.SECP256R1())


@pytest.fixture(scope="module")
def office(city: City) -> City:
    """The city with an accredited issuer."""
    accredit(city)
    return city


def read(city: City, path: str, at: str = ISSUER) -> tuple[int, str]:
    """What a stranger reads over HTTPS: (status, text)."""
    answer = PinnedClient(city.foundings[at].peer, 60).get(path)
    return answer.status, answer.body.decode()


def verdict(city: City, presentation: str, at: str, **terms: Any) -> dict[str, Any]:
    """What the node of a member says of a presentation."""
    city.settle(at)
    request = pb.VerifyLicenceRequest(presentation=presentation, **terms)
    answer = city.stub(rpc.VerifyingServiceStub, at).Verify(request, timeout=180)
    found: dict[str, Any] = json.loads(answer.verdict)
    return found


def test_a_licence_is_issued_on_record_and_a_repeat_is_the_same(office: City) -> None:
    issued = stub(office).Issue(order(1), timeout=180)
    again = stub(office).Issue(order(1), timeout=180)
    assert again == issued
    opened = open_claims(parse(issued.sd_jwt))
    assert opened.claims["CZZT"] == holder(1)["CZZT"]
    assert opened.claims["iss"] == f"urn:cn:uscc:{USCC[ISSUER]}"
    assert str(identifier.parse(issued.identifier)) == issued.identifier == opened.claims["ZZBS"]
    record = decode_record(office.context(ISSUER).log.read(issued.licence.log_index, 1)[0])
    assert record.type == "licence.issued"
    assert record.body == {"type": TYPE, "licence": issue_commitment(issued.salt, issued.sd_jwt).hex()}
    # Nothing that says who holds it stands in the signed part.
    for text in ("CZZT", "ZZBH", "ZZBS", "KZ_ZZ"):
        assert text not in parse(issued.sd_jwt).claims


def test_the_same_request_for_another_licence_is_refused(office: City) -> None:
    stub(office).Issue(order(2, "once"), timeout=180)
    error = refused(lambda: stub(office).Issue(order(3, "once"), timeout=180))
    assert error.code == "licence.other-request"
    error = refused(lambda: stub(office).Issue(order(2, "twice"), timeout=180))
    assert error.code == "licence.identifier-taken"


def test_only_the_accredited_issue(office: City) -> None:
    error = refused(lambda: stub(office, "labour").Issue(order(4), timeout=180))
    assert error.code == "licence.not-accredited"
    unknown = order(4, type=USCC["data"] + "999")
    assert refused(lambda: stub(office).Issue(unknown, timeout=180)).code == "licence.type-unknown"


def test_every_wrong_field_is_named_without_its_value(office: City) -> None:
    number = citizen(5)[:17] + ("1" if citizen(5)[17] != "1" else "2")
    wrong = holder(5, CZZTDM=number, KZ_XB="?", ZZYXQJZRQ="soon")
    error = refused(lambda: stub(office).Issue(order(5, fields=wrong), timeout=180))
    assert error.code == "licence.fields"
    for name in ("CZZTDM", "KZ_XB", "ZZYXQJZRQ"):
        assert name in error.message
    assert number not in error.message + error.hint


def test_status_from_issue_to_revocation_at_a_foreign_node(office: City) -> None:
    issued = stub(office).Issue(order(6), timeout=180)
    names = {"id": issued.licence.id}
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    first = verdict(office, issued.sd_jwt, "labour")
    assert first["code"] == "valid", first["checks"]
    assert stub(office).Suspend(pb.ChangeLicenceRequest(**names, reason="inquiry"), timeout=180).state == "suspended"
    # A repeat changes nothing and is no error.
    stub(office).Suspend(pb.ChangeLicenceRequest(**names, reason="inquiry"), timeout=180)
    before = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    assert verdict(office, issued.sd_jwt, ISSUER)["code"] == "suspended"
    stub(office).Resume(pb.ChangeLicenceRequest(**names, reason="cleared"), timeout=180)
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    assert verdict(office, issued.sd_jwt, ISSUER)["code"] == "valid"
    named = pb.ChangeLicenceRequest(identifier=issued.identifier, reason="court-order")
    assert stub(office).Revoke(named, timeout=180).state == "revoked"
    after = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    assert after.version == before.version + 2
    # Another node keeps a list for a minute: the one that asks now for the first time sees the newest.
    assert verdict(office, issued.sd_jwt, "audit")["code"] == "revoked"
    assert refused(lambda: stub(office).Resume(pb.ChangeLicenceRequest(**names, reason="x"), timeout=180)).code == (
        "licence.state"
    )
    changes = office.records(ISSUER, "licence.status-changed", licence=issued.licence.commitment.hex())
    assert [record.body["state"] for record in changes] == ["suspended", "valid", "revoked"]


def test_the_head_on_chain_is_of_the_list_that_is_served(office: City) -> None:
    stub(office).Issue(order(7), timeout=180)
    published = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    head = office.context(ISSUER).contracts.licences.list_head(USCC[ISSUER], published.list)
    assert head is not None
    assert head.newest.version == published.version
    token = read(office, f"/licence/status/{published.list}")[1]
    assert json.loads(read(office, "/licence/issuer")[1])["issuer"] == USCC[ISSUER]
    status, text = read(office, f"/licence/status/{published.list}?time=1")
    assert (status, json.loads(text)["code"]) == (404, "licence.no-status-list")
    for number in (0, 99, 1 << 32, (1 << 63) - 1):
        assert read(office, f"/licence/status/{number}")[0] == 404
    assert json.loads(read(office, "/licence/status/x")[1])["code"] == "http.number"
    spkis = dict(office.context(ISSUER).licences.lists.signing_keys())
    verified = statustoken.verify(
        token,
        uri=published.uri,
        issuer=USCC[ISSUER],
        key_of=lambda kid: statustoken.ListKey(issuer=USCC[ISSUER], spki=spkis[b64.decode(kid)]),
        now_s=office.context(ISSUER).clock() // 1_000,
    )
    assert (verified.version, verified.list_digest) == (published.version, head.newest.list_digest)
    # Unchanged bits send nothing.
    again = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    assert (again.version, again.height) == (published.version, published.height)


def test_a_check_is_on_record_without_the_holder(office: City) -> None:
    issued = stub(office).Issue(order(8), timeout=180)
    shown = issuing.present(issued.sd_jwt, [("CZZT",)])
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    found = verdict(office, shown, "plain")
    assert found["code"] == "valid"
    assert {item["name"]: item["value"] for item in found["claims"]}["CZZT"] == holder(8)["CZZT"]
    body = office.records("plain", "licence.verified")[-1].body
    assert (body["verdict"], body["issuer"], body["type"]) == ("valid", USCC[ISSUER], TYPE)
    assert verdict(office, "no licence", "plain")["code"] == "malformed"
    forged = issued.sd_jwt[:100] + ("A" if issued.sd_jwt[100] != "A" else "B") + issued.sd_jwt[101:]
    assert verdict(office, forged, "plain")["code"] in ("forged", "malformed")


def test_a_rotated_key_stays_known_and_the_lists_go_on(office: City) -> None:
    old = stub(office).Issue(order(13), timeout=180)
    before = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    keys = office.stub(department_pb2_grpc.KeyServiceStub, ISSUER)
    keys.Rotate(department_pb2.RotateKeyRequest(role="issuer"), timeout=180)
    new = stub(office).Issue(order(14), timeout=180)
    after = stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180).lists[0]
    # Signed anew by the new key, with the same bits: no new version.
    assert (after.version, after.list_digest) == (before.version, before.list_digest)
    token = read(office, f"/licence/status/{after.list}")[1]
    told = {key["kid"] for key in json.loads(read(office, "/licence/issuer")[1])["keys"]}
    used = {parse(one.sd_jwt).jws.kid for one in (old, new)}
    assert len(used) == 2
    assert used <= told
    assert jws.parse(token).kid == parse(new.sd_jwt).jws.kid
    assert verdict(office, new.sd_jwt, ISSUER)["code"] == "valid"
    # Without its record of issue nobody can tell that the old one is from before.
    assert verdict(office, old.sd_jwt, ISSUER)["code"] == "issue-time-unproven"


def test_the_number_of_a_person_is_no_serial(office: City) -> None:
    fields = holder(11, ZZBH=citizen(11))
    issued = stub(office).Issue(order(11, fields=fields), timeout=180)
    assert citizen(11) not in issued.identifier
    assert open_claims(parse(issued.sd_jwt)).claims["ZZBH"] == citizen(11)
    given = order(12, fields=holder(12, ZZBH=citizen(12)), serial=citizen(12))
    assert refused(lambda: stub(office).Issue(given, timeout=180)).code == "licence.serial-personal"
    wanted = pb.ReplaceLicenceRequest(id=issued.licence.id, request="renew-11", fields={"ZZYXQJZRQ": "2101-01-01"})
    renewed = stub(office).Renew(wanted, timeout=180)
    # The next version keeps the serial.
    assert identifier.parse(renewed.identifier).serial == identifier.parse(issued.identifier).serial


def test_renewal_is_the_next_version_and_supersedes(office: City) -> None:
    issued = stub(office).Issue(order(9), timeout=180)
    wanted = pb.ReplaceLicenceRequest(id=issued.licence.id, request="renew-9", fields={"ZZYXQJZRQ": "2101-01-01"})
    renewed = stub(office).Renew(wanted, timeout=180)
    assert renewed.licence.version == 2
    assert stub(office).Renew(wanted, timeout=180) == renewed
    before = stub(office).Get(pb.GetLicenceRequest(identifier=issued.identifier), timeout=180).licence
    assert (before.state, before.replaced_by) == ("superseded", renewed.licence.id)
    second = pb.ReplaceLicenceRequest(id=issued.licence.id, request="renew-9b", fields={"ZZYXQJZRQ": "2101-01-01"})
    assert refused(lambda: stub(office).Renew(second, timeout=180)).code == "licence.state"
    moved = pb.ReplaceLicenceRequest(id=renewed.licence.id, request="move-9", fields={"KZ_ZZ": "上海市静安区新址1号"})
    third = stub(office).Supersede(moved, timeout=180)
    assert third.licence.version == 3
    assert open_claims(parse(third.sd_jwt)).claims["KZ_ZZ"] == "上海市静安区新址1号"
    assert open_claims(parse(third.sd_jwt)).claims["ZZYXQJZRQ"] == "2101-01-01"


def test_bulk_answers_row_by_row_and_a_repeat_issues_nothing(office: City) -> None:
    bad = {37: {"CZZTDM": "1"}, 500: {"ZZBH": "沪A1"}, 999: {"KZ_XB": "x"}}
    batch = f"bulk-{secrets.token_hex(4)}"

    def rows() -> Any:
        for number in range(1, 1_001):
            fields = holder(100_000 + number, **bad.get(number, {}))
            licence = pb.IssueLicenceRequest(type=TYPE, template="driving-licence", fields=fields)
            yield pb.IssueBulkRequest(batch=batch, row=number, licence=licence)

    size = office.context(ISSUER).log.size
    answers = list(stub(office).IssueBulk(rows(), timeout=300))
    assert [answer.row for answer in answers] == list(range(1, 1_001))
    assert {answer.row: answer.code for answer in answers if answer.code} == {
        37: "licence.fields",
        500: "licence.serial",
        999: "licence.fields",
    }
    issued = [answer.issued for answer in answers if not answer.code]
    assert len({(one.licence.list, one.licence.index) for one in issued}) == 997
    # Places are drawn, not counted: their order says nothing of the order of issue.
    places = [one.licence.index for one in issued]
    assert places != sorted(places)
    assert list(stub(office).IssueBulk(rows(), timeout=300)) == answers
    assert len(office.records(ISSUER, "licence.issued")) >= 997
    assert office.context(ISSUER).log.size >= size + 997


def test_erasure_takes_the_holder_and_leaves_the_status(office: City) -> None:
    issued = stub(office).Issue(order(10), timeout=180)
    names = [issued.licence.id]
    assert stub(office).Erase(pb.EraseLicencesRequest(ids=names, basis="PIPL/47"), timeout=180).count == 1
    left = stub(office).Get(pb.GetLicenceRequest(id=issued.licence.id), timeout=180)
    assert (left.sd_jwt, left.identifier, left.licence.state) == ("", "", "valid")
    assert stub(office).Erase(pb.EraseLicencesRequest(ids=names, basis="PIPL/47"), timeout=180).count == 0
    assert office.records(ISSUER, "erasure.done", commitment=issued.licence.commitment.hex())
    lost = pb.ReplaceLicenceRequest(id=issued.licence.id, request="r", fields={"ZZYXQJZRQ": "2101-01-01"})
    assert refused(lambda: stub(office).Renew(lost, timeout=180)).code == "licence.erased"


def test_no_holder_stands_outside_the_payload_store(office: City, capfd: pytest.CaptureFixture[str]) -> None:
    number = 4_711
    issued = stub(office).Issue(order(number), timeout=180)
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    verdict(office, issued.sd_jwt, "labour")
    refused(lambda: stub(office).Issue(order(number, "other", fields=holder(number, KZ_XB="?")), timeout=180))
    values = holder(number)
    secrets_ = [values[name] for name in ("CZZT", "CZZTDM", "ZZBH", "KZ_ZZ")] + [issued.identifier, citizen(number)]
    needles = [text.encode() for text in secrets_]
    searched = 0
    for handle in (ISSUER, "labour"):
        folder = office.foundings[handle].folder
        for path in folder.rglob("*"):
            if path.is_file() and "payloads" not in path.relative_to(folder).parts:
                data = path.read_bytes()
                searched += 1
                assert not [needle for needle in needles if needle in data], path
    assert searched > 10
    printed = capfd.readouterr()
    assert not [text for text in secrets_ if text in printed.out + printed.err]
    assert [path for path in (office.foundings[ISSUER].folder / "payloads").rglob("*") if _holds(path, needles[1])]


def _holds(path: Path, needle: bytes) -> bool:
    return path.is_file() and needle in path.read_bytes()


def test_a_list_older_than_the_chains_is_not_believed(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = stub(office).Issue(order(40), timeout=180)
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    before = office.context(ISSUER).licences.publisher.token(issued.licence.list)
    assert verdict(office, issued.sd_jwt, "data")["code"] == "valid"
    stub(office).Revoke(pb.ChangeLicenceRequest(id=issued.licence.id, reason="court-order"), timeout=180)
    stub(office).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    with monkeypatch.context() as patch:
        patch.setattr("node.licences.verifying.Verifier._token", lambda *_: before)
        for at in (ISSUER, "data"):
            found = verdict(office, issued.sd_jwt, at)
            line = next(line for line in found["checks"] if line["name"] == "status")
            assert (found["code"], line["code"]) == ("status-unknown", "licence.status-behind")
    # What a node kept of the list ends with the chain's next version, not a minute later.
    assert verdict(office, issued.sd_jwt, "data")["code"] == "revoked"


def test_a_slip_whose_issuer_is_away_is_no_forgery(office: City, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = stub(office).Issue(order(41), timeout=180)
    made = stub(office).MakeSlip(pb.MakeSlipRequest(id=issued.licence.id, seconds=600), timeout=180)

    def away(*_: object) -> None:
        raise UnavailableError("peer.unreachable", "away", hint="try again")

    with monkeypatch.context() as patch:
        # A verifier that knows nobody's keys yet.
        patch.setattr("node.licences.verifying.Verifier._spki", away)
        patch.setattr("node.licences.verifying.Verifier._told", away)
        assert refused(lambda: verdict(office, made.slip, "audit")).code == "peer.unreachable"
    # Whoever is no member here has no node to ask: that is a verdict.
    stranger = slip.make(replace(slip.read(made.slip).slip, identifier=STRANGE), es256_signer(STRANGER))
    assert verdict(office, stranger, "audit")["code"] == "untrusted-issuer"
