"""A department fetches a licence under a grant instead of asking the citizen (免于提交)."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from licence_office import ISSUER, TYPE, accredit, citizen, holder, order, stub
from services_city import USCC, City, refused

from ledger import codec
from ledger.directory.catalogue import decode_metadata
from ledger.directory.grants import make_scope
from ledger.errors import NotFoundError, UntrustedError
from ledger.licences.sdjwt import open_claims, parse
from ledger.storage.fetches import Fetch
from ledger.storage.openings import SUBJECT_TYPE
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.erasure import _fetches
from node.licences.fetching import CAUSE_TYPE, Subject, check_holder, encode_content, presentation

FIELDS = ("CZZT", "CZZTDM", "KZ_ZJCX")


@pytest.fixture(scope="module")
def granted(city: City) -> Any:
    """A grant of ``labour`` for the licences of ``civil``."""
    accredit(city)
    names = tuple({"name": name, "title": name, "type": "string"} for name in (*FIELDS, "KZ_ZZ"))
    dataset = city.publish(encode_content(TYPE), format_="licence", fields=names)
    return city.grant(dataset.id, fields=FIELDS, ceiling=20)


def fetch(city: City, granted: types_pb2.Grant, number: int, **changes: Any) -> pb.FetchLicenceResponse:
    """Fetch the licence of a holder for ``labour``."""
    values: dict[str, Any] = {"grant": granted.id, "holder": citizen(number), "use_cause": "落户申请", **changes}
    return city.stub(rpc.FetchingServiceStub, "labour").Fetch(pb.FetchLicenceRequest(**values), timeout=300)


def test_a_licence_is_fetched_with_receipt_and_both_logs_say_so(city: City, granted: types_pb2.Grant) -> None:
    stub(city).Issue(order(60_001), timeout=180)
    stub(city).PublishStatus(pb.PublishStatusRequest(), timeout=180)
    nonce = secrets.token_bytes(32)
    got = fetch(city, granted, 60_001, nonce=nonce)
    claims = open_claims(parse(got.presentation)).claims
    assert {name: claims[name] for name in FIELDS} == {name: holder(60_001)[name] for name in FIELDS}
    # What was not granted is not shown.
    assert "KZ_ZZ" not in claims
    assert json.loads(got.verdict)["code"] == "valid"
    assert got.receipt.state == "complete"
    exchange = got.receipt.exchange.hex()
    ours = city.records("labour", "licence.fetched", exchange=exchange)[0].body
    theirs = city.records(ISSUER, "licence.fetched", exchange=exchange)[0].body
    assert (ours["role"], ours["counterpart"]) == ("consumer", USCC[ISSUER])
    assert (theirs["role"], theirs["counterpart"]) == ("provider", USCC["labour"])
    fresh = Fetch(salt=b"", holder=citizen(60_001), cause="落户申请", cause_salt=b"")
    kept = city.context("labour").licences.fetches.keep(nonce, fresh)
    assert ours["commitment"] == codec.commitment(SUBJECT_TYPE, kept.salt, citizen(60_001).encode()).hex()
    assert ours["cause"] == codec.commitment(CAUSE_TYPE, kept.cause_salt, "落户申请".encode()).hex()
    # The citizen sees it, at either department.
    for at in ("labour", ISSUER):
        records = city.stub(department_pb2_grpc.RecordServiceStub, at)
        found = records.Query(department_pb2.QueryRequest(subject=citizen(60_001)), timeout=180)
        assert exchange in [json.loads(row.record)["body"].get("exchange") for row in found.rows]
    # The same nonce is the same exchange.
    again = fetch(city, granted, 60_001, nonce=nonce)
    assert (again.presentation, again.receipt.exchange) == (got.presentation, got.receipt.exchange)
    assert len(city.records("labour", "licence.fetched", exchange=exchange)) == 1
    error = refused(lambda: fetch(city, granted, 60_002, nonce=nonce))
    assert error.code == "exchange.other-content"
    # Its retention ends with that of the exchange.
    before = city.context("labour").clock() + 1
    found = dict(_fetches(city.context("labour"), before))
    assert found[nonce].hex() == ours["cause"]
    city.context("labour").licences.fetches.erase([nonce])
    assert nonce not in dict(_fetches(city.context("labour"), before))


def test_what_is_not_granted_or_not_there_is_refused_and_logged(city: City, granted: types_pb2.Grant) -> None:
    assert refused(lambda: fetch(city, granted, 60_003)).code == "licence.none-held"
    assert refused(lambda: fetch(city, granted, 60_003, fields=["KZ_ZZ"])).code == "grant.scope"
    assert refused(lambda: fetch(city, granted, 60_003, use_cause=" ")).code == "input.field"
    assert refused(lambda: fetch(city, granted, 60_003, grant=bytes(32))).code == "grant.unknown"
    codes = [record.body["code"] for record in city.records("labour", "access.refused")]
    assert "licence.none-held" in codes
    assert "grant.scope" in codes
    issued = stub(city).Issue(order(60_004), timeout=180)
    stub(city).Revoke(pb.ChangeLicenceRequest(id=issued.licence.id, reason="x"), timeout=180)
    assert refused(lambda: fetch(city, granted, 60_004)).code == "licence.none-held"


def test_a_pull_of_licences_names_nobody_and_gets_nothing(city: City, granted: types_pb2.Grant) -> None:
    stub(city).Issue(order(60_005), timeout=180)
    assert refused(lambda: city.pull(granted.id)).code == "licence.no-subject"
    query = codec.encode({"fields": sorted(FIELDS), "rows": {"CZZTDM": citizen(60_005)}})
    assert refused(lambda: city.pull(granted.id, query=query)).code == "licence.no-subject"
    other = city.publish(b"[]", fields=())
    plain = city.grant(other.id)
    assert refused(lambda: fetch(city, plain, 60_005)).code == "licence.no-licences"
    assert refused(lambda: city.publish(b"{}", format_="licence")).code == "dataset.content"


def test_the_request_and_what_opens_it_belong_together(city: City, granted: types_pb2.Grant) -> None:
    stub(city).Issue(order(60_007), timeout=180)
    context, form = city.context(ISSUER), decode_metadata(city.metadata(format_="licence"))
    about = Subject(salt=secrets.token_bytes(32), holder=citizen(60_007))
    scope = make_scope(FIELDS, {"CZZTDM": about.commitment().hex()})
    content = [encode_content(TYPE)]
    assert presentation(context, content, form, scope, about)
    # The signed request is about one holder: nobody else can be named beside it.
    for other in (Subject(salt=about.salt, holder=citizen(60_001)), Subject(salt=bytes(32), holder=about.holder)):
        with pytest.raises(UntrustedError, match="another holder"):
            presentation(context, content, form, scope, other)
    # Conditions of the grant hold for the licence as for any row.
    narrow = make_scope(FIELDS, {"CZZTDM": about.commitment().hex(), "KZ_ZJCX": "A1"})
    with pytest.raises(NotFoundError):
        presentation(context, content, form, narrow, about)
    # A field that the catalogue masks cannot be shown masked, so it is not shown.
    masked = replace(form, fields=(replace(form.fields[0], name="CZZT", mask="ends"),))
    shown = presentation(context, content, masked, scope, about).decode()
    assert "CZZT" not in open_claims(parse(shown)).claims
    assert "KZ_ZJCX" in open_claims(parse(shown)).claims
    with pytest.raises(UntrustedError, match="another holder"):
        check_holder(shown, Subject(salt=about.salt, holder=citizen(60_001)), FIELDS)


def test_nothing_of_the_holder_stands_outside_the_payload_store(city: City, granted: types_pb2.Grant) -> None:
    stub(city).Issue(order(60_006), timeout=180)
    fetch(city, granted, 60_006, use_cause="原因六万零六")
    needles = [text.encode() for text in (citizen(60_006), "原因六万零六")]
    for handle in (ISSUER, "labour"):
        folder = city.foundings[handle].folder
        for path in folder.rglob("*"):
            if path.is_file() and "payloads" not in path.relative_to(folder).parts:
                data = path.read_bytes()
                assert not [needle for needle in needles if needle in data], path
