"""Bad input, table-driven: one clear error with code and hint, chain and trail untouched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from services_city import USCC, City, publish_requests, refused

from ledger.codec import encode
from ledger.directory.grants import encode_scope, make_scope
from ledger.errors import LedgerError
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import (
    DatasetServiceStub,
    ExchangeServiceStub,
    GrantServiceStub,
    KeyServiceStub,
    ListServiceStub,
    MemberServiceStub,
)

NOBODY = b"\x11" * 32
SCOPE = encode_scope(make_scope(["code"]))
ROW = b'{"code":"1","name":"a","level":"x"}\n'


def request(city: City, **changes: Any) -> pb.RequestGrantRequest:
    """A request for a grant with one thing wrong."""
    dataset = city.publish(ROW)
    city.settle()
    values: dict[str, Any] = {
        "dataset": dataset.id,
        "purpose": "social-aid",
        "matter": "310100-AID-7",
        "scope": SCOPE,
        "ceiling": 1,
        "valid_until": city.context("labour").clock() // 1000 + 3600,
    }
    return pb.RequestGrantRequest(**{**values, **changes})


def grants(city: City) -> Any:
    return city.stub(GrantServiceStub, "labour")


def datasets(city: City) -> Any:
    return city.stub(DatasetServiceStub, "labour")


def publish(city: City, metadata: bytes, content: bytes = ROW, count: int = 0) -> Any:
    return datasets(city).Publish(publish_requests(metadata, content, count), timeout=180)


def entry(city: City, **values: Any) -> Any:
    return city.stub(ListServiceStub, "labour").Add(pb.AddListEntryRequest(entry=pb.ListEntry(**values)), timeout=180)


def propose(city: City, kind: str, arguments: Any, expires: int = 0) -> Any:
    data = arguments if isinstance(arguments, bytes) else encode(arguments)
    stub = city.stub(MemberServiceStub, "labour")
    return stub.Propose(pb.ProposeRequest(kind=kind, arguments=data, expires=expires), timeout=180)


CASES: dict[str, tuple[Callable[[City], Any], str]] = {
    "grant: short dataset id": (lambda c: grants(c).Request(request(c, dataset=b"x")), "input.field"),
    "grant: unknown dataset": (lambda c: grants(c).Request(request(c, dataset=NOBODY)), "dataset.unknown"),
    "grant: no purpose": (lambda c: grants(c).Request(request(c, purpose="")), "input.field"),
    "grant: malformed purpose": (lambda c: grants(c).Request(request(c, purpose="Any Thing")), "identifier.purpose"),
    "grant: no matter": (lambda c: grants(c).Request(request(c, matter="")), "input.field"),
    "grant: long matter": (lambda c: grants(c).Request(request(c, matter="m" * 65)), "input.field"),
    "grant: no scope": (lambda c: grants(c).Request(request(c, scope=b"")), "input.field"),
    "grant: scope not canonical": (lambda c: grants(c).Request(request(c, scope=b'{"v": 1}')), "json."),
    "grant: scope without fields": (
        lambda c: grants(c).Request(request(c, scope=encode({"fields": [], "rows": {}, "v": 1}))),
        "scope.form",
    ),
    "grant: field unknown": (
        lambda c: grants(c).Request(request(c, scope=encode_scope(make_scope(["salary"])))),
        "scope.unknown-field",
    ),
    "grant: no ceiling": (lambda c: grants(c).Request(request(c, ceiling=0)), "input.field"),
    "grant: ended before it began": (lambda c: grants(c).Request(request(c, valid_until=1)), "input.field"),
    "grant: valid for ever": (lambda c: grants(c).Request(request(c, valid_until=2**62)), "input.field"),
    "grant: unknown": (lambda c: grants(c).Get(pb.GetGrantRequest(id=NOBODY)), "grant.unknown"),
    "grant: approve unknown": (lambda c: grants(c).Approve(pb.ApproveGrantRequest(id=NOBODY)), "grant.unknown"),
    "grant: unknown reason": (
        lambda c: grants(c).Refuse(pb.RefuseGrantRequest(id=NOBODY, reason=77, text="x")),
        "input.field",
    ),
    "grant: refusal without text": (
        lambda c: grants(c).Refuse(pb.RefuseGrantRequest(id=NOBODY, reason=3, text=" ")),
        "input.field",
    ),
    "grant: text too long": (
        lambda c: grants(c).Revoke(pb.RevokeGrantRequest(id=NOBODY, reason=3, text="字" * 700)),
        "input.field",
    ),
    "grants: state unknown": (lambda c: grants(c).List(pb.ListGrantsRequest(state="odd")), "input.field"),
    "grants: page too large": (lambda c: grants(c).List(pb.ListGrantsRequest(page_size=501)), "input.field"),
    "grants: foreign token": (lambda c: grants(c).List(pb.ListGrantsRequest(page_token="x1")), "input.field"),
    "grants: malformed USCC": (lambda c: grants(c).List(pb.ListGrantsRequest(provider="12")), "identifier.uscc"),
    "grants: USCC too long": (lambda c: grants(c).List(pb.ListGrantsRequest(provider="1" * 19)), "input.field"),
    "dataset: nothing sent": (lambda c: datasets(c).Publish(iter([])), "input.field"),
    "dataset: no header": (lambda c: datasets(c).Publish(iter([pb.PublishRequest(chunk=b"x")])), "input.field"),
    "dataset: entry not canonical": (lambda c: publish(c, b'{ "v":1}'), "json."),
    "dataset: entry incomplete": (lambda c: publish(c, b'{"v":1}'), "metadata.form"),
    "dataset: another's": (lambda c: publish(c, c.metadata(at="civil")), "dataset.other-provider"),
    "dataset: empty content": (lambda c: publish(c, c.metadata(at="labour"), b""), "dataset.content"),
    "dataset: rows not JSON": (lambda c: publish(c, c.metadata(at="labour"), b"{oops}\n"), "dataset.content"),
    "dataset: item unknown": (lambda c: publish(c, c.metadata(at="labour"), b'{"x":1}\n'), "dataset.content"),
    "dataset: wrong count": (lambda c: publish(c, c.metadata(at="labour"), ROW, 9), "dataset.count"),
    "dataset: chunk over 1 MiB": (
        lambda c: datasets(c).Publish(
            iter(
                [
                    pb.PublishRequest(header=pb.PublishHeader(metadata=c.metadata(at="labour"))),
                    pb.PublishRequest(chunk=bytes((1 << 20) + 1)),
                ]
            )
        ),
        "input.field",
    ),
    "dataset: csv columns differ": (
        lambda c: publish(c, c.metadata(at="labour", format_="csv"), b"code,name\r\n1\r\n"),
        "dataset.content",
    ),
    "dataset: unknown": (lambda c: datasets(c).Get(pb.GetDatasetRequest(id=NOBODY)), "dataset.unknown"),
    "dataset: withdraw another's": (
        lambda c: datasets(c).Withdraw(pb.WithdrawDatasetRequest(id=_settled(c))),
        "dataset.other-provider",
    ),
    "dataset: level unknown": (
        lambda c: datasets(c).Regrade(pb.RegradeDatasetRequest(id=c.publish(ROW, at="labour").id, level="odd")),
        "model.word",
    ),
    "dataset: nothing regraded": (
        lambda c: datasets(c).Regrade(pb.RegradeDatasetRequest(id=c.publish(ROW, at="labour").id, level="general")),
        "dataset.unchanged",
    ),
    "list: unknown": (lambda c: entry(c, list="wishes", item="x"), "input.field"),
    "list: item with blanks": (lambda c: entry(c, list="demand", item="a b", matter="m"), "input.field"),
    "list: demand without matter": (lambda c: entry(c, list="demand", item="x"), "input.field"),
    "list: short basis": (lambda c: entry(c, list="negative", item="x", basis_digest=b"1"), "input.field"),
    "list: negative without basis": (lambda c: entry(c, list="negative", item="x"), "contract."),
    "list: answered by nothing": (
        lambda c: c.stub(ListServiceStub, "labour").Answer(pb.AnswerListEntryRequest(list="demand", id=NOBODY)),
        "input.field",
    ),
    "list: entry unknown": (
        lambda c: c.stub(ListServiceStub, "labour").Answer(
            pb.AnswerListEntryRequest(list="demand", id=NOBODY, dataset=NOBODY)
        ),
        "list.unknown",
    ),
    "proposal: kind unknown": (lambda c: propose(c, "abolish", {}), "input.field"),
    "proposal: argument missing": (lambda c: propose(c, "suspend", {}), "input.field"),
    "proposal: argument too many": (
        lambda c: propose(c, "suspend", {"member": USCC["plain"], "why": "x"}),
        "input.field",
    ),
    "proposal: malformed member": (lambda c: propose(c, "suspend", {"member": "12"}), "identifier.uscc"),
    "proposal: not JSON": (lambda c: propose(c, "suspend", b"member"), "json."),
    "proposal: expiry too far": (lambda c: propose(c, "suspend", {"member": USCC["plain"]}, 2**40), "input.field"),
    "proposal: unknown": (
        lambda c: c.stub(MemberServiceStub, "labour").Vote(pb.VoteRequest(proposal=9_999, yes=True)),
        "proposal.unknown",
    ),
    "key: role unknown": (
        lambda c: c.stub(KeyServiceStub, "labour").Rotate(pb.RotateKeyRequest(role="magic")),
        "input.field",
    ),
    "keys: unknown member": (
        lambda c: c.stub(KeyServiceStub, "labour").List(pb.ListKeysRequest(member="91310000MA1FL0L97X")),
        "",
    ),
    "exchanges: state unknown": (
        lambda c: c.stub(ExchangeServiceStub, "labour").List(pb.ListExchangesRequest(state="odd")),
        "input.field",
    ),
    "exchanges: foreign token": (
        lambda c: c.stub(ExchangeServiceStub, "labour").List(pb.ListExchangesRequest(page_token="zz")),
        "input.field",
    ),
}


def _settled(city: City) -> bytes:
    dataset = city.publish(ROW)
    city.settle()
    return dataset.id


@pytest.mark.parametrize("case", CASES)
def test_bad_input(city: City, case: str) -> None:
    call, code = CASES[case]
    error = refused(lambda: call(city))
    assert isinstance(error, LedgerError)
    assert error.code.startswith(code)
    assert not error.code.startswith(("internal.", "peer."))
    assert error.message
    assert error.hint
