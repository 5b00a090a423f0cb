"""The proof file of a licence (.civic) on the page *check a licence*: in a browser, judged as `bundle verify` does."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.licences.description import TypeDescription, encode_description
from ledger.v1 import department_pb2, department_pb2_grpc, licences_pb2, licences_pb2_grpc, licencetypes_pb2
from ledger.v1.licencetypes_pb2_grpc import LicenceTypeServiceStub
from node.cli.connect import connect
from node.cli.main import build
from tests.chromium import PATIENCE_MS, broken_rules, chromium, picture
from tests.gateway.conftest import RunningCity
from tests.gateway.licence_tabs import SIZES, fits
from tests.gateway.test_licence_city import TIMEOUT, Licence, Office
from tests.node.core.makers import eventually

pytestmark = pytest.mark.browser

#: An issuer whose key is rotated.
MAKER = "labour"
#: What refuses the file in each state, in the page's language.
BROKEN = {"zh": "证明文件核验未通过", "en": "The proof file does not hold"}
STATES = ("valid", "rotated", "revoked", "salt", "cut", "letters", "text")


@pytest.fixture(scope="module")
def maker(running_city: RunningCity) -> Iterator[Office]:
    with connect(running_city.folder / "data") as data, connect(running_city.folder / MAKER) as issuer:
        code = data.member + "073"
        described = TypeDescription(code=code, title_zh="机动车驾驶证", title_en="Driving licence")
        types = data.stub(LicenceTypeServiceStub)
        types.Define(licencetypes_pb2.DefineLicenceTypeRequest(description=encode_description(described)))
        types.Accredit(licencetypes_pb2.AccreditRequest(type=code, member=issuer.member, basis="测试"))
        stub = issuer.stub(licences_pb2_grpc.IssuingServiceStub)
        yield Office(city=running_city, stub=stub, issuer=issuer.member, body=data.member, type=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Proof files by the state of their licence or of the file itself; the policy that the command judges them by."""

    folder: Path
    policy: Path

    def path(self, state: str) -> Path:
        return self.folder / f"{state}.civic"

    def commanded(self, state: str) -> tuple[str, bool]:
        """(code, whether to rely on it) by `bundle verify`: of the licence, or of the link that broke."""
        words = ["bundle", "verify", str(self.path(state)), "--policy", str(self.policy), "--json"]
        done = CliRunner().invoke(build(words), words)
        assert done.exit_code in (0, 1), (state, done.output, done.exception)
        verdict = json.loads(done.stdout)
        shown = verdict.get("licence", verdict)
        return str(shown["code"]), done.exit_code == 0


def bundle(office: Office, licence: Licence) -> bytes:
    """The licence with its proofs and its status, as its issuer's node makes it."""
    wanted = licences_pb2.MakeLicenceBundleRequest(id=licence.id, show=["CZZT"], wait_ms=60_000)
    return bytes(office.stub.MakeBundle(wanted, timeout=TIMEOUT).bundle)


@pytest.fixture(scope="module")
def files(maker: Office, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A file in every state; the gateway has seen on the chain what they say."""
    folder = tmp_path_factory.mktemp("proofs")
    found = Files(folder=folder, policy=folder / "city.policy")
    found.policy.write_bytes(maker.city.policy)
    rotated = maker.issue("file-rotated")
    maker.await_code("valid", rotated)
    bundle(maker, rotated)
    # Times on the chain are whole seconds: the key ends in a later one than the anchor's.
    anchored_s = int(time.time())
    eventually(lambda: time.time() >= anchored_s + 2)
    with connect(maker.city.folder / MAKER) as issuer:
        keys = issuer.stub(department_pb2_grpc.KeyServiceStub)
        keys.Rotate(department_pb2.RotateKeyRequest(role="issuer"), timeout=TIMEOUT)
    maker.await_code("issue-time-unproven", rotated)
    revoked, valid = maker.issue("file-revoked"), maker.issue("file-valid")
    maker.change("Revoke", revoked)
    maker.await_code("revoked", revoked)
    maker.await_code("valid", valid)
    for state, licence in (("valid", valid), ("rotated", rotated), ("revoked", revoked)):
        eventually(lambda state=state, licence=licence: _written(found, maker, state, licence))  # type: ignore[misc]
    good = found.path("valid").read_bytes()
    for state, data in {
        "salt": _other_salt(good),
        "cut": good[:-1],
        "letters": good.replace("张".encode(), b"\xff\xfe\xfd", 1).replace(b'"v":1', b'"v":\xff', 1),
        "text": b"x" + good[1:],
    }.items():
        assert data != good
        found.path(state).write_bytes(data)
    return found


def _written(files: Files, office: Office, state: str, licence: Licence) -> bool:
    """The file, once the issuer's node put into it what is to be seen there."""
    code = {"rotated": "valid-when-issued"}.get(state, state)
    files.path(state).write_bytes(bundle(office, licence))
    return files.commanded(state)[0] == code


def _other_salt(good: bytes) -> bytes:
    value = json.loads(good)
    salt = base64.b64encode(bytes(32)).decode()
    return good.replace(value["subject"]["salt"].encode(), salt.encode())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(params=[f"{size}-{language}" for size in SIZES for language in ("zh", "en")])
def page(request: pytest.FixtureRequest, running_city: RunningCity, browser: Any) -> Iterator[tuple[Any, str, str]]:
    """The page, its name and its language; it complains of nothing but of the refusals that it shows."""
    size, language = request.param.split("-")
    complaints: list[str] = []
    opened = browser.new_page(
        viewport=SIZES[size],
        has_touch=size == "phone",
        ignore_https_errors=True,
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if size == "phone" else "light",
    )
    with closing(opened):
        opened.set_default_timeout(PATIENCE_MS)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(running_city.url + "/licence")
        yield opened, request.param, language
        assert complaints == []


def _drop(page: Any, file: Path) -> None:
    """As somebody lets go of a file over the page."""
    page.evaluate(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name));
            for (const kind of ["dragenter", "dragover", "drop"]) {
                const given = { bubbles: true, cancelable: true, dataTransfer: carried };
                document.body.dispatchEvent(new DragEvent(kind, given));
            }
        }""",
        [file.name, base64.b64encode(file.read_bytes()).decode()],
    )


def _shown(page: Any) -> tuple[str | None, bool]:
    """(code, whether to rely on it) of the verdict that the page shows."""
    page.wait_for_selector("#result[aria-busy=false] .verdict")
    verdict = page.locator("#result .verdict")
    return verdict.get_attribute("data-code"), "good" in str(verdict.get_attribute("class")).split()


def test_a_proof_file_gets_the_verdict_of_the_command(page: tuple[Any, str, str], files: Files) -> None:
    opened, name, language = page
    for state in STATES:
        judged = files.commanded(state)
        assert judged[1] is (state in ("valid", "rotated"))
        for by in ("file", "drop"):
            opened.evaluate("document.getElementById('result').replaceChildren()")
            if by == "drop":
                _drop(opened, files.path(state))
            else:
                opened.set_input_files("#file", str(files.path(state)))
            assert _shown(opened) == judged, (state, by)
        assert fits(opened)
        picture(opened, f"licence-file-{name}-{state}")
        if state in ("valid", "rotated", "revoked"):
            # The licence that stands in the file is what the reader's own device computes again.
            opened.wait_for_selector("#result .device[aria-busy=false]")
            device = opened.locator("#result [data-device]")
            outcomes = device.evaluate_all("all => all.map(item => [item.dataset.device, item.dataset.outcome])")
            assert dict(outcomes) == {"key": "pass", "signature": "pass", "disclosures": "pass"}
        else:
            assert opened.locator("#result .verdict.bad h2").inner_text() == BROKEN[language]
    assert broken_rules(opened) == []


def test_the_proof_file_of_a_record_is_no_licence(
    page: tuple[Any, str, str], running_city: RunningCity, tmp_path: Path
) -> None:
    opened, name, language = page
    (tmp_path / "use.civic").write_bytes(running_city.bundle)
    opened.set_input_files("#file", str(tmp_path / "use.civic"))
    assert _shown(opened) == (None, False)
    said = "不是证照" if language == "zh" else "no licence"
    assert said in opened.locator("#result .verdict.warn h2").inner_text()
    picture(opened, f"licence-file-{name}-record")
