"""Licences of a running city through its gateway: issued by one node, judged by what the chain proves, revoked."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from ledger import codec
from ledger.licences import b64, binding, credential, issuing, jws, packing, statustoken, suites
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.description import TypeDescription, encode_description
from ledger.licences.statustoken import ListKey
from ledger.model import KeyRole
from ledger.v1 import gateway_pb2, gateway_pb2_grpc, licences_pb2, licences_pb2_grpc, licencetypes_pb2
from ledger.v1.licencetypes_pb2_grpc import LicenceTypeServiceStub
from node.cli.connect import connect
from node.cli.main import build
from node.config import load_config
from node.identity.keyfiles import key_file, load_secret, read_passphrase
from node.rpc.errors import CODE_KEY
from scripts.benches.licence_issuer import ROW, SHOWN, signer
from tests.chromium import PATIENCE_MS, chromium
from tests.gateway.conftest import RunningCity
from tests.gateway.licence_tabs import SIZES
from tests.node.core.makers import eventually

TIMEOUT = 180
#: Refusals of a node that is behind.
WAITING = ("licence.not-accredited", "licence.type-unknown", "chain.stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """An issued licence. ``id``: what its issuer's node calls it."""

    id: bytes
    text: str

    @property
    def presentation(self) -> str:
        return issuing.present(self.text, SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The issuing service of a member of the running city, accredited for a type."""

    city: RunningCity
    stub: Any
    issuer: str
    body: str
    type: str

    def issue(self, request: str) -> Licence:
        """A licence bound to the holder's key, its list published."""
        order = licences_pb2.IssueLicenceRequest(
            request=request,
            type=self.type,
            template="driving-licence",
            fields={name: value for name, value in ROW.items() if name not in ("ZZYXQQSRQ", "ZZBH")}
            | {"ZZBH": f"GW{zlib.crc32(request.encode()):010d}"},
            holder_key=codec.encode(binding.confirmation(signer("holder").spki)["jwk"]),
        )

        def issued() -> Any:
            try:
                return self.stub.Issue(order, timeout=TIMEOUT)
            except grpc.RpcError as error:
                # The issuer's node may not have taken the block with its accreditation yet.
                if dict(error.trailing_metadata() or ()).get(CODE_KEY) not in WAITING:
                    raise
                return None

        found = eventually(issued)
        self.stub.PublishStatus(licences_pb2.PublishStatusRequest(), timeout=TIMEOUT)
        return Licence(id=found.licence.id, text=found.sd_jwt)

    def change(self, what: str, licence: Licence) -> None:
        """Change a licence's status and publish it."""
        getattr(self.stub, what)(licences_pb2.ChangeLicenceRequest(id=licence.id, reason="test"), timeout=TIMEOUT)
        self.stub.PublishStatus(licences_pb2.PublishStatusRequest(), timeout=TIMEOUT)

    def ask(self, **asked: Any) -> dict[str, Any]:
        """The verdict over HTTPS; nothing yet while the gateway has not seen what it needs."""
        answer = self.city.request("POST", "/v1/licence/verify", msgspec.json.encode(asked))
        return dict(answer.json())

    def await_code(self, code: str, licence: Licence) -> None:
        """Until the gateway gives this verdict."""
        eventually(lambda: self.ask(licence=licence.presentation)["code"] == code)


@pytest.fixture(scope="module")
def office(running_city: RunningCity) -> Iterator[Office]:
    with connect(running_city.folder / "data") as data, connect(running_city.folder / "civil") as civil:
        code = data.member + "071"
        described = TypeDescription(code=code, title_zh="机动车驾驶证", title_en="Driving licence")
        types = data.stub(LicenceTypeServiceStub)
        define = licencetypes_pb2.DefineLicenceTypeRequest(description=encode_description(described))
        types.Define(define, timeout=TIMEOUT)
        request = licencetypes_pb2.AccreditRequest(type=code, member=civil.member, basis="测试")
        types.Accredit(request, timeout=TIMEOUT)
        stub = civil.stub(licences_pb2_grpc.IssuingServiceStub)
        yield Office(city=running_city, stub=stub, issuer=civil.member, body=data.member, type=code)


@pytest.fixture
def gate(running_city: RunningCity) -> Iterator[gateway_pb2_grpc.LicenceServiceStub]:
    credentials = grpc.ssl_channel_credentials(running_city.certificate)
    with grpc.secure_channel(f"localhost:{running_city.grpc_port}", credentials) as channel:
        yield gateway_pb2_grpc.LicenceServiceStub(channel)


def test_a_licence_is_judged_by_what_the_chain_proves(
    office: Office, gate: gateway_pb2_grpc.LicenceServiceStub
) -> None:
    licence = office.issue("gateway-judged")
    office.await_code("valid", licence)
    nonce = office.city.get("/v1/licence/nonce").json()["nonce"]
    bound = binding.bind(
        licence.presentation,
        signer=signer("holder"),
        audience=office.body,
        nonce=nonce,
        issued_at=office.ask(licence="x")["at"] // 1000,
    )
    asked = gateway_pb2.LicencePresentation(licence=bound, nonce=nonce, audience=office.body)
    answer = gate.Verify(asked, timeout=TIMEOUT)
    verdict = json.loads(answer.verdict)
    assert (answer.code, verdict["issuer"], verdict["type"]) == ("valid", office.issuer, office.type)
    assert verdict["view"]["proven"] == "storage-proof"
    assert verdict["view"]["height"] > 0
    # The block is not the home node's word: the sequencer's head and its cosignatures stand under the gateway's policy.
    assert eventually(lambda: office.ask(licence=licence.presentation)["view"]["finality"] == "single-signer")
    assert verdict["view"]["age_ms"] < 180_000
    assert gate.Verify(asked, timeout=TIMEOUT).code == "replayed"
    key = office.city.get(f"/v1/licence/issuer/{office.issuer}?type={office.type}").json()
    assert key["keys"][0]["kid"] == verdict["key"]["kid"]
    assert [span["by"] for span in key["accreditations"]] == [office.body]


def test_the_list_of_a_node_is_served_verified(office: Office, gate: gateway_pb2_grpc.LicenceServiceStub) -> None:
    office.issue("gateway-listed")

    def recorded() -> bool:
        request = gateway_pb2.GetStatusListRequest(issuer=office.issuer, number=1)
        return bool(gate.GetStatusList(request, timeout=TIMEOUT).chain_version >= 1)

    eventually(recorded)
    token = office.city.get(f"/v1/licence/status/{office.issuer}/1").body.decode()
    keys = gate.GetIssuer(gateway_pb2.GetLicenceIssuerRequest(issuer=office.issuer), timeout=TIMEOUT).keys
    spki = {key.kid: key.spki for key in keys}
    uri = statustoken.jws.parse(token).claims()["sub"]
    found = statustoken.verify(
        token, uri=uri, issuer=office.issuer, key_of=lambda kid: ListKey(issuer=office.issuer, spki=spki[kid])
    )
    assert found.version is not None
    assert all(suites.kid_of(key.spki) == key.kid and len(hashlib.sha256(key.spki).digest()) == 32 for key in keys)


def test_suspended_resumed_and_revoked_at_the_gateway(office: Office) -> None:
    licence = office.issue("gateway-revoked")
    for change, code in (("Suspend", "suspended"), ("Resume", "valid"), ("Revoke", "revoked")):
        office.change(change, licence)
        office.await_code(code, licence)


@pytest.fixture(scope="module")
def held_out(office: Office) -> dict[str, tuple[str, str]]:
    """What is held out to the labour department, by name: the text, and the verdict it gets."""
    asker, other = (_member(office.city, name) for name in ("labour", "data"))
    good, suspended, revoked = (office.issue(f"gateway-shown-{name}") for name in ("good", "suspended", "revoked"))
    office.change("Suspend", suspended)
    office.change("Revoke", revoked)
    office.await_code("suspended", suspended)
    office.await_code("revoked", revoked)
    slip = office.stub.MakeSlip(licences_pb2.MakeSlipRequest(id=good.id, seconds=86_400), timeout=TIMEOUT).slip
    head, payload, signature = good.presentation.split(".", 2)
    said = b64.decode(payload).replace(b"2031-12-31", b"2041-12-31")
    copies_ = {to: _copy(good, to) for to in (asker, other)}
    return {
        "valid": (good.presentation, "valid"),
        "expired": (_over(office, good), "expired"),
        "suspended": (suspended.presentation, "suspended"),
        "revoked": (revoked.presentation, "revoked"),
        "forged": (f"{head}.{b64.encode(said)}.{signature}", "forged"),
        "copy": (copies_[asker], "valid"),
        "copy for another": (copies_[other], "wrong-recipient"),
        "code of a copy's page": (packing.pack(copies_[asker]), "valid"),
        "code of another's page": (packing.pack(copies_[other]), "wrong-recipient"),
        "damaged code of a page": (packing.pack(copies_[asker])[:-40], "malformed"),
        "slip": (slip, "valid"),
        "damaged slip": (slip[:-7], "malformed"),
        "something else": ("https://menu.example/table/7", "malformed"),
    }


def _member(city: RunningCity, name: str) -> str:
    with connect(city.folder / name) as node:
        return node.member


def _over(office: Office, licence: Licence) -> str:
    """The licence as its issuer might have signed it with an end that has passed; a node issues none like that."""
    config = load_config(office.city.folder / "civil")
    secret = load_secret(
        key_file(config.keys_folder, KeyRole.ISSUER),
        KeyRole.ISSUER,
        read_passphrase(config.folder, config.passphrase_file, {}),
    )
    issuer = suites.es256_signer(ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()))
    issued, rest = licence.presentation.split("~", 1)
    claims = jws.parse(issued).claims() | {
        "ZZYXQQSRQ": "2026-01-01",
        "ZZYXQJZRQ": "2026-06-30",
        "nbf": 1_767_196_800,
        "exp": 1_782_835_200,
    }
    return jws.make({"kid": issuer.kid, "typ": credential.TYP}, claims, issuer) + "~" + rest


def _copy(licence: Licence, recipient: str) -> str:
    now = int(time.time())
    terms = CopyTerms(recipient=recipient, matter="驾驶员招聘", made_s=now, expires_s=now + 86_400)
    return make_copy(licence.presentation, terms, holder=signer("holder"), nonce=b"n" * 16)


def test_the_command_grpc_and_https_give_one_verdict(
    office: Office,
    held_out: dict[str, tuple[str, str]],
    gate: gateway_pb2_grpc.LicenceServiceStub,
    tmp_path: Path,
) -> None:
    asker = _member(office.city, "labour")

    def commanded(name: str) -> dict[str, Any]:
        (tmp_path / "shown.txt").write_text(held_out[name][0] + "\n", "utf-8")
        words = [
            "licence",
            "verify",
            str(tmp_path / "shown.txt"),
            "--json",
            "--node",
            str(office.city.folder / "labour"),
        ]
        done = CliRunner().invoke(build(words), words)
        assert done.exit_code in (0, 1), (name, done.output, done.exception)
        verdict = dict(json.loads(done.stdout))
        assert verdict["accepted"] is (done.exit_code == 0)
        return verdict

    def caught_up() -> bool:
        return [commanded(name)["code"] for name in ("suspended", "revoked")] == ["suspended", "revoked"]

    # The department's node takes the newest list of another's once its head is on the chain that it has read.
    eventually(caught_up)
    for name, (text, code) in held_out.items():
        asked = gateway_pb2.LicencePresentation(licence=text, recipient=asker)
        answer = gate.Verify(asked, timeout=TIMEOUT)
        verdicts = [commanded(name), json.loads(answer.verdict), office.ask(licence=text, recipient=asker)]
        assert (answer.code, [verdict["code"] for verdict in verdicts]) == (code, [code] * 3), name
        lines = [[(line["name"], line["outcome"], line["code"]) for line in verdict["checks"]] for verdict in verdicts]
        assert lines[0] == lines[1] == lines[2], name


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
def test_the_page_shows_the_same_verdicts(
    office: Office, held_out: dict[str, tuple[str, str]], browser: Any, size: str
) -> None:
    asker = _member(office.city, "labour")
    with closing(browser.new_page(viewport=SIZES[size], ignore_https_errors=True, locale="en-GB")) as page:
        page.set_default_timeout(PATIENCE_MS)
        page.goto(office.city.url + "/licence")
        page.evaluate("document.getElementById('more').open = true")
        page.fill("#recipient", asker)
        for name, (text, code) in held_out.items():
            page.evaluate("document.getElementById('result').replaceChildren()")
            page.fill("#text", text)
            page.click("#check")
            page.wait_for_selector("#result[aria-busy=false] .verdict")
            assert page.locator("#result .verdict").get_attribute("data-code") == code, name


def test_no_file_of_the_gateway_names_the_holder(office: Office) -> None:
    licence = office.issue("gateway-private")
    office.await_code("valid", licence)
    names = [ROW["CZZT"].encode(), ROW["CZZTDM"].encode(), licence.text[-80:].encode()]
    figures = office.city.get("/metrics").body
    files = [path.read_bytes() for path in (office.city.folder / "gateway").rglob("*") if path.is_file()]
    assert files
    assert b'civicledger_gateway_licences_total{verdict="valid"}' in figures
    assert not [name for name in names for data in (*files, figures) if name in data]
