"""The gateway of a running city, over HTTPS and gRPC: what it shows is true, bounded, and refused with a reason."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.config import load_config
from gateway.serving import Gateway
from ledger import codec
from ledger.errors import LedgerError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import parse_checkpoint, parse_note, parse_proof
from ledger.log.export import export_folder
from ledger.v1 import gateway_pb2, gateway_pb2_grpc
from tests.gateway.conftest import RunningCity
from tests.node.core.makers import eventually

HANDLES = {"data", "civil", "labour", "transport", "audit"}


@pytest.fixture
def stub(running_city: RunningCity) -> Iterator[gateway_pb2_grpc.GatewayServiceStub]:
    credentials = grpc.ssl_channel_credentials(running_city.certificate)
    with grpc.secure_channel(f"localhost:{running_city.grpc_port}", credentials) as channel:
        yield gateway_pb2_grpc.GatewayServiceStub(channel)


def flip(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


# --- the city --------------------------------------------------------------------------------------------------------


def settled(running_city: RunningCity) -> dict[str, Any]:
    """The city as the gateway shows it once it has heard every node and checked every log."""

    def shown() -> dict[str, Any] | None:
        city: dict[str, Any] = running_city.get("/v1/city").json()
        members = city["members"]
        heard = all(one["reachable"] and one["log"]["problem"] is None for one in members)
        return city if heard and all(0 < one["anchor"]["size"] <= one["log"]["size"] for one in members) else None

    return eventually(shown)


def test_the_city_is_shown_with_verified_logs(running_city: RunningCity) -> None:
    city = settled(running_city)
    members = {member["handle"]: member for member in city["members"]}
    assert members.keys() == HANDLES
    assert members["data"]["roles"] == ["supervisor"]
    assert members["audit"]["roles"] == ["auditor"]
    for member in members.values():
        assert member["log"]["cosignatures"] >= member["log"]["quorum"] == 3
    assert members["transport"]["log"]["size"] >= 700
    assert city["chain"]["finality"] == "single-signer"
    assert city["chain"]["height"] == city["blocks"][0]["height"] >= 1
    assert 0 <= city["chain"]["viewAgeMs"] < 180_000
    assert city["datasets"] == len(running_city.get("/v1/datasets").json()["datasets"]) >= 2


def test_datasets_come_in_pages(running_city: RunningCity) -> None:
    everything = running_city.get("/v1/datasets").json()["datasets"]
    token, found = "", []
    while True:
        page = running_city.get(f"/v1/datasets?page_size=1&page_token={token}").json()
        found += page["datasets"]
        token = page["nextPageToken"]
        if not token:
            break
    assert found == everything
    assert {item["level"] for item in found} == {"general", "important"}
    assert all(
        found[place]["resourceCode"] not in ("", found[place - 1]["resourceCode"]) for place in range(len(found))
    )
    assert found[0]["versions"][0]["count"] > 0
    for item in found:
        mine = running_city.get(f"/v1/datasets?provider={item['provider']}").json()["datasets"]
        assert mine == [other for other in found if other["provider"] == item["provider"]]


def test_the_page_is_whole_without_a_script(running_city: RunningCity) -> None:
    page = running_city.get("/?lang=en").body.decode()
    assert "Data Authority" in page
    assert "supervisor" in page
    assert "single-signer" in page
    assert (
        running_city.get("/", **{"Accept-Language": "zh-CN"})
        .body.decode()
        .startswith('<!doctype html>\n<html lang="zh-CN"')
    )


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(running_city: RunningCity) -> None:
    answer = running_city.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = answer.body.decode()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count("<script src=") == 2
    named = set(re.findall(r'"(/static/[^"]+)"', page))
    assert {path.split("?")[0].rpartition("/")[2] for path in named} == {"page.js", "theme.js", "page.css", "seal.svg"}
    for path in named:
        file = running_city.get(path)
        assert file.status == 200
        assert "immutable" in file.headers["cache-control"]


@pytest.mark.parametrize("path", ["/", "/live", "/v1/city", "/healthz", "/nowhere", "/data/checkpoint", "/static/none"])
def test_every_answer_carries_the_headers(running_city: RunningCity, path: str) -> None:
    headers = running_city.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_health_and_metrics(running_city: RunningCity) -> None:
    assert running_city.get("/healthz").json() == {"status": "serving"}
    settled(running_city)
    metrics = running_city.get("/metrics").body.decode()
    assert 'civicledger_gateway_trusted{member="transport"} 1.0' in metrics
    assert "civicledger_gateway_requests_total" in metrics


# --- logs ------------------------------------------------------------------------------------------------------------


def test_a_third_partys_view_of_the_tiles_is_the_exported_log(running_city: RunningCity, tmp_path: Path) -> None:
    note = running_city.get("/transport/checkpoint").body
    head = parse_checkpoint(parse_note(note).text)
    size = export_folder(running_city.folder / "transport" / "log", tmp_path / "out").head.size
    assert size >= head.size >= 700
    for name in ("tile/0/000", "tile/0/001", "tile/0/001.p/17", f"tile/1/000.p/{head.size >> 8}"):
        answer = running_city.get(f"/transport/{name}")
        assert answer.status == 200, answer.body
        whole = (tmp_path / "out" / name.split(".p/")[0]) if "tile/0" in name else (tmp_path / "out" / name)
        if whole.exists():
            assert answer.body == whole.read_bytes()[: len(answer.body)]
        assert "immutable" in answer.headers["cache-control"]
        tag = answer.headers["etag"]
        assert running_city.get(f"/transport/{name}", **{"If-None-Match": tag}).status == 304
        part = running_city.get(f"/transport/{name}", Range="bytes=0-31")
        assert (part.status, part.body) == (206, answer.body[:32])
        head_only = running_city.request("HEAD", f"/transport/{name}")
        assert (head_only.status, head_only.headers["content-length"]) == (200, str(len(answer.body)))
    assert running_city.get("/transport/checkpoint").headers["cache-control"] == "no-cache"


def test_proofs_verify_against_the_checkpoint(running_city: RunningCity) -> None:
    answer = running_city.get("/transport/proof/inclusion?index=321").json()
    proof = parse_proof(answer["tlogProof"])
    head = parse_checkpoint(parse_note(proof.note).text)
    leaf = running_city.get("/transport/tile/0/001.p/66").body[-32:]
    merkle.verify_inclusion(leaf, 321, head.size, head.root, proof.hashes)
    pair = running_city.get(f"/transport/proof/consistency?size1=300&size2={head.size}").json()
    older = running_city.get("/transport/proof/inclusion?index=0&size=300").json()
    assert len(pair["hashes"]) >= 1
    assert older["size"] == 300


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nobody/checkpoint", 404, "member.unknown"),
        ("/" + "x" * 3000 + "/checkpoint", 404, "member.unknown"),
        ("/%00/checkpoint", 404, "member.unknown"),
        ("/transport/tile/entries/000", 404, "tile.entries"),
        ("/transport/tile/0/999", 404, "tile.absent"),
        ("/transport/tile/0/0", 404, "tile.path"),
        ("/transport/tile/0/../../checkpoint", 404, "tile.path"),
        ("/transport/tile/9/000", 404, "tile.path"),
        ("/transport/proof/inclusion", 400, "http.number"),
        ("/transport/proof/inclusion?index=01", 400, "http.number"),
        ("/transport/proof/inclusion?index=-1", 400, "http.number"),
        ("/transport/proof/inclusion?index=9999999999999999999", 400, "http.number"),
        ("/transport/proof/inclusion?index=9000000000000000000", 400, "proof.range"),
        ("/transport/proof/inclusion?index=1&size=99999999", 400, "proof.range"),
        ("/transport/proof/consistency?size1=2", 400, "http.number"),
        ("/transport/proof/consistency?size1=9&size2=2", 400, "proof.range"),
        ("/v1/datasets?page_size=0", 400, "page.size"),
        ("/v1/datasets?page_size=201", 400, "page.size"),
        ("/v1/datasets?page_token=x", 400, "page.token"),
        ("/v1/datasets?provider=x", 400, "identifier.uscc"),
        ("/static/../config.py", 404, "http.path"),
        ("/static/%2e%2e%2fconfig.py", 404, "http.path"),
        ("/tls.pem", 404, "http.path"),
    ],
)
def test_a_wrong_question_gets_a_reason(running_city: RunningCity, path: str, status: int, code: str) -> None:
    answer = running_city.get(path)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    assert "Traceback" not in answer.body.decode()


def test_methods_that_are_not_offered(running_city: RunningCity) -> None:
    for method, path in (("POST", "/v1/city"), ("PUT", "/transport/checkpoint"), ("GET", "/v1/verify")):
        answer = running_city.request(method, path)
        assert (answer.status, answer.json()["code"]) == (405, "http.method")


# --- bundles ---------------------------------------------------------------------------------------------------------


def test_a_good_bundle_is_verified(running_city: RunningCity) -> None:
    answer = running_city.request("POST", "/v1/verify", running_city.bundle)
    assert answer.status == 200
    verdict = answer.json()
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "single-signer")
    assert all(check["ok"] for check in verdict["checks"])


def test_a_damaged_bundle_names_the_link(running_city: RunningCity) -> None:
    value = codec.decode(running_city.bundle, max_bytes=1 << 20)
    broken = {
        "record": {**value, "subject": {**value["subject"], "record": base64.b64encode(b'{"a":1}').decode()}},
        "inclusion": {**value, "inclusion": value["inclusion"].replace("index 6\n", "index 5\n")},
    }
    for link, changed in broken.items():
        answer = running_city.request("POST", "/v1/verify", codec.encode(changed))
        assert answer.status == 422, link
        assert answer.json()["code"].split(".")[0] == link
    for place in (10, len(running_city.bundle) // 2, len(running_city.bundle) - 10):
        answer = running_city.request("POST", "/v1/verify", flip(running_city.bundle, place))
        assert answer.status == 422
        assert answer.json()["code"].split(".")[0] in {
            "bundle", "record", "inclusion", "checkpoint", "anchor", "state", "finality"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"", 422, "bundle"), (b"{}", 422, "bundle"), (b"\x00" * 100, 422, "bundle"), (b"[" * 5000, 422, "bundle")],
)
def test_what_is_no_bundle_is_refused(running_city: RunningCity, body: bytes, status: int, code: str) -> None:
    answer = running_city.request("POST", "/v1/verify", body)
    assert answer.status == status
    assert answer.json()["code"].split(".")[0] == code


def test_an_upload_over_one_mebibyte_is_refused(running_city: RunningCity) -> None:
    answer = running_city.request("POST", "/v1/verify", b"x" * ((1 << 20) + 1))
    assert (answer.status, answer.json()["code"]) == (413, "http.too-large")


# --- gRPC ------------------------------------------------------------------------------------------------------------


def test_grpc_gives_the_same_answers(running_city: RunningCity, stub: Any) -> None:
    city = stub.GetCity(gateway_pb2.GetCityRequest(), timeout=180)
    assert {item.member.handle for item in city.members} == HANDLES
    assert city.engine == "solo"
    datasets = stub.ListDatasets(gateway_pb2.GatewayListDatasetsRequest(page_size=1), timeout=180)
    assert len(datasets.datasets) == 1
    assert datasets.next_page_token == "1"
    note = stub.GetCheckpoint(gateway_pb2.GatewayCheckpointRequest(member="transport"), timeout=180).note
    head = parse_checkpoint(parse_note(note.encode()).text)
    proof = stub.ProveInclusion(gateway_pb2.GatewayInclusionRequest(member="transport", index=5), timeout=180)
    tile = stub.GetTile(gateway_pb2.GetTileRequest(member="transport", level=0, index=0, width=6), timeout=180).tile
    assert proof.size >= head.size
    merkle.verify_inclusion(
        tile[-32:],
        5,
        proof.size,
        parse_checkpoint(parse_note(parse_proof(proof.tlog_proof).note).text).root,
        proof.hashes,
    )
    pair = stub.ProveConsistency(
        gateway_pb2.GatewayConsistencyRequest(member="transport", size1=6, size2=8), timeout=180
    )
    assert len(pair.hashes) >= 1
    for policy in (b"", running_city.policy):
        verdict = json.loads(
            stub.VerifyBundle(
                gateway_pb2.VerifyBundleRequest(bundle=running_city.bundle, policy=policy), timeout=180
            ).verdict
        )
        assert verdict["verdict"] == "verified"


_WRONG = [
    ("GetCheckpoint", {"member": "nobody"}, "NOT_FOUND", "member.unknown"),
    ("GetCheckpoint", {}, "NOT_FOUND", "member.unknown"),
    ("ProveInclusion", {"member": "audit", "index": 2**63}, "INVALID_ARGUMENT", "proof.range"),
    ("ProveConsistency", {"member": "audit"}, "INVALID_ARGUMENT", "proof.range"),
    ("GetTile", {"member": "audit", "width": 0}, "INVALID_ARGUMENT", "tile.width"),
    ("GetTile", {"member": "audit", "width": 257}, "INVALID_ARGUMENT", "tile.width"),
    ("GetTile", {"member": "audit", "level": 99, "width": 1}, "NOT_FOUND", "tile.absent"),
    ("GetTile", {"member": "audit", "index": 2**63, "width": 1}, "NOT_FOUND", "tile.absent"),
    ("ListDatasets", {"page_size": 999}, "INVALID_ARGUMENT", "page.size"),
    ("VerifyBundle", {"bundle": b"x"}, "FAILED_PRECONDITION", "bundle.format"),
    ("VerifyBundle", {"bundle": b"x" * ((1 << 20) + 1)}, "INVALID_ARGUMENT", "bundle.too-large"),
    ("VerifyBundle", {"policy": b"x"}, "INVALID_ARGUMENT", "policy.format"),
]


@pytest.mark.parametrize(("method", "fields", "status", "code"), _WRONG)
def test_grpc_refuses_with_code_and_reason(
    stub: Any, method: str, fields: dict[str, Any], status: str, code: str
) -> None:
    service = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"]
    message = getattr(gateway_pb2, service.methods_by_name[method].input_type.name)
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(message(**fields), timeout=180)
    assert (caught.value.code().name, dict(caught.value.trailing_metadata())["civicledger-code"]) == (status, code)
    assert caught.value.details()


def test_only_tls_one_three_is_spoken(running_city: RunningCity) -> None:
    context = ssl.create_default_context(cadata=running_city.certificate.decode())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for port in (running_city.https_port, running_city.grpc_port):
        with socket.create_connection(("localhost", port), timeout=180) as raw, pytest.raises(ssl.SSLError):
            context.wrap_socket(raw, server_hostname="localhost")


# --- starting --------------------------------------------------------------------------------------------------------


def start(folder: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", str(folder)], capture_output=True, text=True, timeout=180, check=False
    )


def test_a_second_gateway_on_the_same_ports_is_refused(running_city: RunningCity) -> None:
    done = start(running_city.folder / "gateway")
    assert done.returncode == 1
    assert "listen.in-use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"broken", None])
@pytest.mark.parametrize("name", ["gateway.toml", "genesis.json", "peers.json", "tls.crt", "tls.pem", "passphrase"])
def test_a_missing_or_broken_file_is_named(
    running_city: RunningCity, tmp_path: Path, name: str, content: bytes | None
) -> None:
    folder = tmp_path / "gateway"
    shutil.copytree(running_city.folder / "gateway", folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        Gateway(load_config(folder))
    assert caught.value.hint
    assert content is not None or name in caught.value.message


def test_misuse_exits_with_two() -> None:
    assert start("--help").returncode == 2
