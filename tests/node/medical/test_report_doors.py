"""Reports by HTTP and gRPC at a real node of a hospital."""

from __future__ import annotations

import http.client
import json
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc as rpc
from node.cli.main import build
from node.compose import Node
from node.identity.peers import PeerBook
from tests.commands import command
from tests.ledger.medical.bundles import encode, panel
from tests.node.medical.report_city import bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the node answered."""

    status: int
    headers: dict[str, str]
    content: bytes


def post(node: Node, data: bytes, media: str = "application/fhir+json", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", node.core.config.local.port, timeout=60)
    try:
        connection.request("POST", "/fhir", body=data, headers={"content-type": media, **headers})
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=named, content=response.read())
    finally:
        connection.close()


def test_http(node: Node, number: str) -> None:
    from fhir.resources.R4B.operationoutcome import OperationOutcome

    now_s = node.core.clock() // 1_000
    data = encode(bundle(node, number, issued_s=now_s - 500))
    first, again = post(node, data), post(node, data)
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"].startswith("/fhir/DiagnosticReport/")
    assert first.headers["location"] == again.headers["location"]
    assert (first.headers["etag"], first.headers["content-type"]) == ('W/"1"', "application/fhir+json")
    answers = [
        (first, 201),
        (post(node, b"{"), 400),
        (post(node, b"x" * (7 << 20)), 413),
        (post(node, b'{"resourceType":"Patient"}'), 422),
        (post(node, encode(bundle(node, number, issued_s=now_s - 600))), 409),
        (post(node, data, media="text/plain"), 415),
        (post(node, data, origin="https://evil.example"), 400),
        (post(node, encode(panel(number=f"{number}-other"))), 422),
    ]
    assert [answer.status for answer, _ in answers] == [status for _, status in answers]
    for answer, _ in answers:
        OperationOutcome.model_validate_json(answer.content)


def test_grpc(node: Node, number: str) -> None:
    core = node.core
    with closing(PeerBook(core.config.peers_file, core.keys.identity)) as book:
        stub = rpc.ReportServiceStub(book.channel(core.member))
        data = [encode(bundle(node, f"{number}-{place}")) for place in range(3)]
        answers = list(
            stub.IngestStream(iter([pb.IngestReportRequest(fhir=item) for item in (*data, b"{")]), timeout=120)
        )
        assert [answer.state for answer in answers] == ["offered"] * 3 + ["refused"]
        assert list(answers[3].codes) == ["fhir.json"]
        one = stub.Ingest(pb.IngestReportRequest(fhir=data[0]), timeout=60)
        assert (one.state, one.report) == ("known", answers[0].report)
        got = stub.Get(pb.GetReportRequest(report=one.report), timeout=60)
        assert (got.fhir, got.report.items, got.report.unmapped) == (data[0], 4, 4)
        page = stub.List(pb.ListReportsRequest(page_size=2), timeout=60)
        assert [row.report for row in page.reports] == [answers[2].report, answers[1].report]
        rest = stub.List(pb.ListReportsRequest(page_size=1, page_token=page.next_page_token), timeout=60)
        assert [row.report for row in rest.reports] == [answers[0].report]
        row = stub.Withdraw(pb.WithdrawReportRequest(report=one.report, reason="duplicate"), timeout=60)
        assert (row.withdrawn, row.reason) == (True, "duplicate")
        refused = stub.Outcomes(pb.ReportOutcomesRequest(page_size=5), timeout=60).refused
        assert (refused[0].via, list(refused[0].codes)) == ("grpc", ["fhir.json"])


def test_commands(node: Node, number: str, tmp_path: Path) -> None:
    folder, at = tmp_path / "out", ("--node", str(node.core.config.folder), "--json")
    folder.mkdir()
    files = {"good": encode(bundle(node, number)), "bad": b"{", "big": b" " * (7 << 20)}
    for name, data in files.items():
        (folder / f"{name}.json").write_bytes(data)
        # At rest since long: what was just written is left for the next look.
        os.utime(folder / f"{name}.json", (1, 1))
    (folder / "fresh.json").write_bytes(b"{")
    os.utime(folder / "fresh.json", (2**32, 2**32))
    done = CliRunner().invoke(build(["medical"]), ["medical", "ingest", "--folder", str(folder), *at])
    assert done.exit_code == 1, done.output
    states = {Path(row["file"]).stem: row["state"] for row in json.loads(done.stdout)}
    assert states == {"bad": "refused", "big": "refused", "good": "offered"}
    assert sorted(path.name for path in (folder / "done").iterdir()) == ["good.json", "good.outcome.json"]
    assert sorted(path.name for path in (folder / "refused").glob("*.json")) == [
        "bad.json",
        "bad.outcome.json",
        "big.json",
        "big.outcome.json",
    ]
    assert (folder / "done" / "good.json").read_bytes() == files["good"]
    assert [path.name for path in folder.glob("*.json")] == ["fresh.json"]
    # The sender uses its file names again: nothing that was moved before is overwritten.
    for name, data in (("bad", b"{}"), ("good", files["good"])):
        (folder / f"{name}.json").write_bytes(data)
        os.utime(folder / f"{name}.json", (1, 1))
    CliRunner().invoke(build(["medical"]), ["medical", "ingest", "--folder", str(folder), *at])
    kept = {
        path.name: path.read_bytes() for path in (folder / "refused").glob("bad*.json") if "outcome" not in path.name
    }
    assert kept == {"bad.json": b"{", "bad-2.json": b"{}"}
    assert sorted(path.name for path in (folder / "done").iterdir()) == [
        "good-2.json",
        "good-2.outcome.json",
        "good.json",
        "good.outcome.json",
    ]
    again, _ = command("medical", "ingest", str(folder / "done" / "good.json"), *at)
    (row,) = json.loads(again)
    assert (row["state"], row["version"]) == ("known", 1)
    withdrawn, _ = command("medical", "withdraw", row["report"], "duplicate", *at)
    assert json.loads(withdrawn)["withdrawn"]
    listed, _ = command("medical", "reports", *at)
    assert row["report"] in [item["report"] for item in json.loads(listed)]
    refused, _ = command("medical", "reports", "--refused", *at)
    assert ["fhir.json"] in [item["codes"] for item in json.loads(refused)]
