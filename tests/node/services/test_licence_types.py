"""Licence types and accreditations through the service and the command: chain, trail and answers agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from services_city import USCC, City, refused

from ledger.directory.grants import text_digest
from ledger.errors import LedgerError, NotAllowedError, NotFoundError
from ledger.licences.description import TypeDescription, description_digest, encode_description
from ledger.v1 import licencetypes_pb2 as pb
from ledger.v1.licencetypes_pb2_grpc import LicenceTypeServiceStub as Stub
from tests.commands import command, document

DAY = 86_400
#: A ministry that is no member.
OUTSIDE = "11100000000013338W"


def code_of(city: City, body: str = "") -> str:
    """A type code nobody has used; of ``civil`` where no body is named."""
    return f"{body or USCC['civil']}{next(city.numbers):03d}"


def description(code: str, title: str = "营业执照") -> bytes:
    return encode_description(TypeDescription(code=code, title_zh=title, title_en="Business licence"))


def define(city: City, code: str, at: str = "civil") -> pb.LicenceType:
    answer = city.stub(Stub, at).Define(pb.DefineLicenceTypeRequest(description=description(code)), timeout=180)
    return answer.type


def accredit(city: City, code: str, member: str = "labour", at: str = "civil", **times: int) -> pb.Accreditation:
    request = pb.AccreditRequest(type=code, member=USCC[member], basis="决定 2026-17", **times)
    return city.stub(Stub, at).Accredit(request, timeout=180).accreditation


def end(city: City, code: str, member: str = "labour", at: str = "civil", **asked: int) -> pb.Accreditation:
    request = pb.EndAccreditationRequest(type=code, member=USCC[member], reason="职责划转", **asked)
    return city.stub(Stub, at).EndAccreditation(request, timeout=180).accreditation


def test_a_type_is_defined_described_anew_and_withdrawn(city: City) -> None:
    code, stub = code_of(city), city.stub(Stub, "civil")
    made = define(city, code)
    assert (made.code, made.body, made.by) == (code, USCC["civil"], USCC["civil"])
    assert (made.title_zh, made.title_en, made.withdrawn_at) == ("营业执照", "Business licence", 0)
    on_chain = city.context("civil").contracts.licences.licence_type(code)
    assert on_chain.metadata_digest == made.metadata_digest == description_digest(description(code))
    (record,) = city.records("civil", "licence.type-defined", type=code)
    assert record.body["description"] == made.metadata_digest.hex()
    assert refused(lambda: define(city, code)).code == "licence.type-unchanged"
    again = stub.Define(pb.DefineLicenceTypeRequest(description=description(code, "营业执照（新）")), timeout=180).type
    assert (again.title_zh, again.defined_at) == ("营业执照（新）", made.defined_at)
    request = pb.WithdrawLicenceTypeRequest(code=code, reason="replaced")
    gone = stub.Withdraw(request, timeout=180).type
    assert gone.withdrawn_at >= made.defined_at
    (record,) = city.records("civil", "licence.type-withdrawn", type=code)
    assert record.body["reason"] == text_digest("replaced").hex()
    assert refused(lambda: stub.Withdraw(request, timeout=180)).code == "contract.licences-type-withdrawn"
    assert refused(lambda: accredit(city, code)).code == "contract.licences-type-withdrawn"


def test_other_members_see_the_description_which_their_node_fetches(city: City) -> None:
    code = code_of(city)
    define(city, code)
    city.settle()
    request = pb.GetLicenceTypeRequest(code=code)
    # Asked by another member, a node answers from what it holds: no circle of nodes asking each other.
    foreign = city.stub(Stub, "plain", "audit").Get(request, timeout=180)
    assert (foreign.title_zh, foreign.description) == ("", b"")
    own = city.stub(Stub, "audit").Get(request, timeout=180)
    assert own.description == description(code)
    unknown = refused(lambda: city.stub(Stub, "audit").Get(pb.GetLicenceTypeRequest(code=code_of(city)), timeout=180))
    assert isinstance(unknown, NotFoundError)
    assert unknown.code == "licence.type-unknown"


def test_types_page_by_page(city: City) -> None:
    made = [code_of(city) for _ in range(3)]
    for code in made:
        define(city, code)
    stub, found, token = city.stub(Stub, "civil"), [], ""
    while True:
        page = stub.List(pb.ListLicenceTypesRequest(page_size=2, page_token=token), timeout=180)
        assert len(page.types) <= 2
        found += [item.code for item in page.types]
        token = page.next_page_token
        if not token:
            break
    assert [code for code in found if code in made] == made
    assert len(found) == len(set(found))


def test_an_accreditation_and_its_end(city: City) -> None:
    code = code_of(city)
    define(city, code)
    made = accredit(city, code)
    assert (made.number, made.state, made.valid_until, made.by) == (1, "in-force", 0, USCC["civil"])
    assert (made.basis, made.basis_digest) == ("决定 2026-17", text_digest("决定 2026-17"))
    (record,) = city.records("civil", "licence.accredited", type=code)
    assert record.body == {
        "type": code, "issuer": USCC["labour"], "number": 1, "from": made.valid_from, "until": 0,
        "basis": made.basis_digest.hex(),
    }  # fmt: skip
    assert refused(lambda: accredit(city, code)).code == "contract.licences-already-accredited"
    ended = end(city, code)
    assert (ended.state, ended.ended_by, ended.valid_until >= made.valid_from) in (
        ("over", USCC["civil"], True),
        ("void", USCC["civil"], True),
        ("in-force", USCC["civil"], True),  # the clock of the node has not reached the block's second
    )
    (record,) = city.records("civil", "licence.accreditation-ended", type=code)
    assert record.body == {
        "type": code, "issuer": USCC["labour"], "number": 1, "until": ended.valid_until,
        "reason": text_digest("职责划转").hex(),
    }  # fmt: skip
    begin = city.context("civil").clock() // 1000 + 10 * DAY
    later = accredit(city, code, valid_from=begin, valid_until=begin + DAY)
    assert (later.number, later.state) == (2, "to-come")
    void = end(city, code, number=2)
    assert (void.state, void.valid_until) == ("void", begin)
    gone = refused(lambda: end(city, code, number=3))
    assert gone.code == "contract.licences-unknown-accreditation"
    city.settle()
    request = pb.ListAccreditationsRequest(type=code)
    listed = city.stub(Stub, "audit").ListAccreditations(request, timeout=180).accreditations
    assert [(item.member, item.number) for item in listed] == [(USCC["labour"], 1), (USCC["labour"], 2)]
    of_member = pb.ListAccreditationsRequest(member=USCC["labour"])
    assert code in {item.type for item in city.stub(Stub, "audit").ListAccreditations(of_member).accreditations}
    of_none = pb.ListAccreditationsRequest(type=code, member=USCC["audit"])
    assert not city.stub(Stub, "audit").ListAccreditations(of_none, timeout=180).accreditations


def test_an_end_without_a_number_means_the_span_in_force_then_the_next(city: City) -> None:
    code = code_of(city)
    define(city, code)
    assert refused(lambda: end(city, code)).code == "licence.not-accredited"
    begin = city.context("civil").clock() // 1000 + 10 * DAY
    accredit(city, code, valid_from=begin)
    assert end(city, code).state == "void"
    assert refused(lambda: end(city, code)).code == "licence.not-accredited"


def test_who_decides(city: City) -> None:
    code, outside = code_of(city), code_of(city, OUTSIDE)
    for at in ("labour", "data"):
        assert isinstance(refused(lambda at=at: define(city, code, at)), NotAllowedError)
    assert refused(lambda: define(city, outside)).code == "contract.licences-not-defining-body"
    # A supervisor stands in for a body that is no member, and may end any accreditation.
    assert define(city, outside, "data").by == USCC["data"]
    assert refused(lambda: accredit(city, outside, "data", "data")).code == "contract.licences-not-for-itself"
    assert accredit(city, outside, "labour", "data").by == USCC["data"]
    define(city, code)
    accredit(city, code)
    city.settle()
    assert end(city, code, at="data").ended_by == USCC["data"]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda s: s.Define(pb.DefineLicenceTypeRequest()), "input.field"),
        (lambda s: s.Define(pb.DefineLicenceTypeRequest(description=b'{"v":1}')), "licence.description"),
        (lambda s: s.Define(pb.DefineLicenceTypeRequest(description=b"x" * 2001)), "input.field"),
        (lambda s: s.Get(pb.GetLicenceTypeRequest(code="营业执照")), "identifier.licence-type"),
        (lambda s: s.Withdraw(pb.WithdrawLicenceTypeRequest(code=OUTSIDE + "999")), "licence.type-unknown"),
        (lambda s: s.Accredit(pb.AccreditRequest(type=OUTSIDE)), "identifier.licence-type"),
        (lambda s: s.ListAccreditations(pb.ListAccreditationsRequest(member="x" * 19)), "input.field"),
        (lambda s: s.List(pb.ListLicenceTypesRequest(page_token="-1")), "input.field"),
    ],
)
def test_bad_input_has_a_code(city: City, call: Any, code: str) -> None:
    assert refused(lambda: call(city.stub(Stub, "civil"))).code == code


# --- the command ------------------------------------------------------------------------------------------------------


def run(city: City, handle: str, *words: str) -> str:
    text, refusal = command("licence", *words, "--node", str(city.foundings[handle].folder))
    assert refusal is None, (words, refusal)
    return text


def refusal_of(city: City, handle: str, *words: str) -> LedgerError:
    _, refusal = command("licence", *words, "--node", str(city.foundings[handle].folder))
    assert refusal is not None, words
    return refusal


def test_the_command_from_the_type_to_the_end(city: City) -> None:
    code = code_of(city)
    names = ("--title", "食品经营许可证", "--title-en", "Food operation permit")
    assert code in run(city, "civil", "type", "define", code, *names)
    shown = document(run(city, "civil", "type", "show", code, "--json"))
    assert (shown["title_zh"], shown["title_en"], shown["accreditations"]) == (names[1], names[3], [])
    days = ("--from", "2091-01-01", "--until", "2091-12-31")
    made = document(run(city, "civil", "accredit", code, "labour", "--basis", "decision 7", *days, "--json"))
    span = made["accreditation"]
    assert (span["member"], span["state"], span["valid_until"] - span["valid_from"]) == (
        USCC["labour"],
        "to-come",
        365 * DAY,
    )
    assert "decision 7" in run(city, "civil", "accreditations", code)
    assert "decision 7" in run(city, "civil", "type", "show", code)
    assert code in run(city, "civil", "type", "list")
    assert code in {item["code"] for item in document(run(city, "civil", "type", "list", "--json"))["types"]}
    said = run(city, "civil", "end-accreditation", code, "labour", "--reason", "moved", "--until", "2091-06-30")
    assert re.search(r"2091-07-01 00:00:00", said)
    listed = document(run(city, "civil", "accreditations", code, "--member", "labour", "--json"))["accreditations"]
    assert [item["ended_by"] for item in listed] == [USCC["civil"]]
    assert code in run(city, "civil", "type", "withdraw", code, "--reason", "replaced")
    gone = refusal_of(city, "civil", "type", "define", code, *names)
    assert gone.code == "contract.licences-type-withdrawn"
    assert refusal_of(city, "civil", "type", "show", "nonsense").code == "identifier.licence-type"
    assert refusal_of(city, "civil", "accredit", code, "nobody", "--basis", "x").code == "member.unknown"
    assert refusal_of(city, "civil", "accredit", code, "labour", "--basis", "x", "--from", "soon").code == "input.day"


def test_the_creation_code_is_that_of_the_citys_own_genesis(city: City, tmp_path: Path) -> None:
    folder, file = city.foundings["data"].folder, tmp_path / "licences.hex"
    words = ("member", "contract-code", "Licences", "--output", str(file), "--node", str(folder))
    text, refusal = command(*words, "--json")
    assert refusal is None
    rows = json.loads((folder / "genesis.json").read_bytes())["contracts"]
    (code,) = [row["code"] for row in rows if row["name"] == "Licences"]
    assert "0x" + file.read_text("ascii").strip() == code
    assert document(text)["hash"] in command(*words)[0]
    _, refusal = command("member", "contract-code", "Consortium", "--output", str(file), "--node", str(folder))
    assert refusal is not None
    assert refusal.code == "code.unknown-contract"
