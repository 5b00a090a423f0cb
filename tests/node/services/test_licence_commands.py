"""``civicledger licence``: issuing one and many, the wallet file, presenting, checking, suspending, as people do it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from licence_office import ISSUER, TYPE, accredit, holder
from services_city import City

from ledger.licences.packing import unpack
from ledger.licences.pdf import system_font
from ledger.verify import verify_bundle
from node.licences.fetching import encode_content
from tests.ledger.licences.pictures import read

ROOT = Path(__file__).resolve().parents[3]
#: Runs commands in one process of their own: the nodes of this one write to its standard output.
WORKER = """
import json, sys
from typer.testing import CliRunner
from node.cli.main import build
tree, streams = build(["licence"]), (sys.stdin, sys.stdout)
for line in streams[0]:
    done = CliRunner().invoke(tree, json.loads(line))
    answer = [done.exit_code, done.stdout, getattr(done.exception, "code", None), repr(done.exception)]
    print(json.dumps(answer), file=streams[1], flush=True)
"""
FORM = ("--type", TYPE, "--template", "driving-licence")


@pytest.fixture(scope="module")
def office(city: City) -> City:
    """The city with an accredited issuer."""
    accredit(city)
    return city


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command came to; ``code``: of its refusal."""

    exit_code: int
    stdout: str
    code: Any
    failure: str

    @property
    def value(self) -> Any:
        """The JSON document it printed."""
        assert self.stdout, self.failure
        return json.loads(self.stdout)


@pytest.fixture(scope="module")
def alone() -> Iterator[Any]:
    """Runs a command of the group that needs no node."""
    environment = {**os.environ, "CIVICLEDGER_LANG": "en", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    source, sink = worker.stdout, worker.stdin

    def alone(*words: str) -> Result:
        sink.write(json.dumps(["licence", *words]) + "\n")
        sink.flush()
        exit_code, stdout, code, failure = json.loads(source.readline())
        return Result(exit_code=exit_code, stdout=stdout, code=code, failure=failure)

    yield alone
    sink.close()
    worker.wait(60)
    source.close()


@pytest.fixture
def run(office: City, alone: Any) -> Any:
    """Runs a command of the group at a member's node."""

    def run(*words: str, at: str = ISSUER) -> Result:
        office.settle(at)
        result: Result = alone(*words, "--node", str(office.foundings[at].folder))
        return result

    return run


def options(number: int, **changes: str) -> list[str]:
    """The fields of a licence as options."""
    return [word for name, value in holder(number, **changes).items() for word in ("-f", f"{name}={value}")]


def test_one_licence_from_issue_to_revocation(run: Any, alone: Any, tmp_path: Path) -> None:
    wallet = tmp_path / "wallet.json"
    issued = run("issue", *FORM, *options(20_001), "--wallet", str(wallet), "--bound", "--json").value
    assert wallet.stat().st_mode & 0o777 == 0o600
    held = json.loads(wallet.read_text("utf-8"))
    assert held["licence"] == issued["licence"]
    assert "PRIVATE KEY" in held["holder_key"]
    assert held["record"]["index"] == issued["record"]["index"]
    assert run("issue", *FORM, *options(20_002), "--wallet", str(wallet), "--bound").code == "wallet.exists"
    shown = tmp_path / "shown.txt"
    presented = alone(
        "present", str(wallet), "--show", "CZZT", "--audience", "https://bank", "--nonce", "n-1", "-o", str(shown)
    )
    assert presented.exit_code == 0, presented.failure
    assert holder(20_001)["KZ_ZZ"] not in shown.read_text("utf-8")
    run("status", "--publish")
    terms = ("--audience", "https://bank", "--nonce", "n-1")
    found = run("verify", str(shown), *terms, "--json", at="labour")
    assert found.exit_code == 0, found.failure
    assert found.value["code"] == "valid"
    assert run("verify", str(shown), "--audience", "https://other", "--nonce", "n-1", at="labour").exit_code == 1
    assert run("suspend", issued["identifier"], "--reason", "inquiry").exit_code == 0
    assert run("status", issued["identifier"], "--json").value["licences"][0]["state"] == "suspended"
    assert run("resume", issued["identifier"], "--reason", "cleared").exit_code == 0
    assert run("revoke", issued["identifier"], "--reason", "court-order").exit_code == 0
    assert run("resume", issued["identifier"], "--reason", "x").code == "licence.state"
    run("status", "--publish")
    refused = run("verify", str(wallet))
    assert refused.exit_code == 1
    assert "revoked" in refused.stdout


def test_a_bundle_is_taken_by_the_wallet_and_shows_what_was_chosen(run: Any, office: City, tmp_path: Path) -> None:
    wallet, file, trust = tmp_path / "b.json", tmp_path / "b.civic", tmp_path / "b.policy"
    run("issue", *FORM, *options(20_006), "--wallet", str(wallet))
    made = run("bundle", str(wallet), "--show", "*", "-o", str(file), "--policy", str(trust), "--json")
    assert made.exit_code == 0, made.failure
    assert made.value["status"] is True
    found = verify_bundle(file.read_bytes(), trust.read_bytes(), office.context(ISSUER).clock())
    assert found.licence is not None
    assert (found.verdict, found.licence.code) == ("verified", "valid")
    assert found.licence.licence is not None
    assert found.licence.licence.claims["KZ_ZZ"] == holder(20_006)["KZ_ZZ"]
    shown = tmp_path / "shown.txt"
    shown.write_text(json.loads(wallet.read_text("utf-8"))["licence"].partition("~")[0] + "~")
    assert run("bundle", str(shown), "-o", str(file)).code == "input.licence"


def test_published_lists_are_taken_over_from_files(run: Any, office: City, tmp_path: Path) -> None:
    issued = run("issue", *FORM, *options(20_007), "--json").value
    run("status", "--publish")
    desk = office.context(ISSUER).licences
    token, bundle = tmp_path / "list.jwt", tmp_path / "one.civic"
    token.write_text(desk.publisher.token(1))
    run("bundle", issued["identifier"], "-o", str(bundle))
    for file in (token, bundle):
        done = run("status", "--restore", str(file), "--json")
        assert done.exit_code == 0, done.failure
        assert [(item["list"], item["changed"], item["unknown"]) for item in done.value["lists"]] == [(1, 0, 0)]
        assert done.value["lists"][0]["published"] == done.value["lists"][0]["version"]
    shown = run("status", "--restore", str(token))
    assert shown.exit_code == 0, shown.failure
    assert run("status", "--restore", str(tmp_path / "none")).code == "input.file"
    assert run("status", "--restore", "ftp://somewhere").code == "source.url"
    # The bundle is taken in place of the licence, and beside it.
    assert run("verify", str(bundle), "--json").value["code"] == "valid"
    shown_file = tmp_path / "shown.txt"
    shown_file.write_text(desk.store.payload(desk.store.of_identifier(issued["identifier"]).id).licence)
    assert run("verify", str(shown_file), "--proof", str(bundle), "--json").value["code"] == "valid"
    assert run("verify", str(shown_file), "--proof", str(token)).exit_code == 1
    assert run("verify", str(tmp_path / "none.civic")).code == "input.file"
    token.write_text("no token")
    assert run("status", "--restore", str(token)).code.startswith("licence.")


def test_a_copy_is_for_its_recipient(run: Any, alone: Any, office: City, tmp_path: Path) -> None:
    wallet, copy = tmp_path / "w.json", tmp_path / "copy.txt"
    run("issue", *FORM, *options(20_003), "--wallet", str(wallet), "--bound")
    run("status", "--publish")
    recipient = office.foundings["plain"].peer.uscc
    made = alone("copy", str(wallet), "--to", recipient, "--matter", "办理落户", "--show", "CZZT", "-o", str(copy))
    assert made.exit_code == 0, made.failure
    assert run("verify", str(copy), at="plain").exit_code == 0
    elsewhere = run("verify", str(copy), "--json", at="labour")
    assert (elsewhere.exit_code, elsewhere.value["code"]) == (1, "wrong-recipient")


@pytest.mark.skipif(not system_font().is_file(), reason="no font with Chinese characters: scripts/system-packages")
def test_a_copys_page_carries_the_copy(run: Any, alone: Any, office: City, tmp_path: Path) -> None:
    wallet, copy, pdf = tmp_path / "w.json", tmp_path / "copy.txt", tmp_path / "copy.pdf"
    issued = run("issue", *FORM, *options(20_008), "--wallet", str(wallet), "--bound")
    assert issued.exit_code == 0, issued.failure
    run("status", "--publish")
    recipient = office.foundings["plain"].peer.uscc
    terms = ("--to", recipient, "--matter", "办理落户", "--show", "CZZT", "--pdf", str(pdf))
    named = (*terms, "--to-name", "浦东新区某某局", "--check-at", "https://gateway.example/licence")
    made = alone("copy", str(wallet), *named, "-o", str(copy))
    assert made.exit_code == 0, made.failure
    assert pdf.stat().st_mode & 0o777 == 0o600
    document = pypdfium2.PdfDocument(pdf.read_bytes())
    assert len(document) == 1
    words = "".join(document[0].get_textpage().get_text_bounded().split())
    for part in (
        holder(20_008)["CZZT"],
        "仅供浦东新区某某局用于“办理落户”",
        recipient,
        "https://gateway.example/licence",
    ):
        assert part in words
    assert holder(20_008)["KZ_ZZ"] not in words
    # The code is the copy itself, and good for one body.
    [(code, _)] = read(document[0].render(scale=300 / 72, grayscale=True).to_pil())
    assert unpack(code) == copy.read_text("utf-8").strip()
    copy.write_text(code + "\n", "utf-8")
    assert run("verify", str(copy), at="plain").exit_code == 0
    assert run("verify", str(copy), "--json", at="labour").value["code"] == "wrong-recipient"
    # Without -o the page alone is made, for the code where no name is given; the text of the copy is printed nowhere.
    pdf.unlink()
    alone_made = alone("copy", str(wallet), *terms)
    assert alone_made.exit_code == 0, alone_made.failure
    assert pdf.read_bytes().startswith(b"%PDF")
    assert "~" not in alone_made.stdout
    pdf.unlink()
    other = tmp_path / "other.json"
    run("issue", *FORM, *options(20_009), "--wallet", str(other), "--bound")
    mixed = json.loads(wallet.read_text("utf-8")) | {"holder_key": json.loads(other.read_text("utf-8"))["holder_key"]}
    other.write_text(json.dumps(mixed), "utf-8")
    for given, more, refusal in (
        (other, (), "licence.binding-signature"),
        (wallet, ("--to-name", "某局\n某处"), "licence.copy-name"),
        (wallet, ("--font", str(wallet)), "licence.pdf-font"),
        (wallet, ("--check-at", "\U0010fffd"), "licence.pdf-glyph"),
    ):
        assert alone("copy", str(given), *terms, *more).code == refusal
        assert not pdf.exists()


def test_a_slip_is_checked_like_the_licence(run: Any, office: City, tmp_path: Path) -> None:
    issued = run("issue", *FORM, *options(20_005), "--json").value
    run("status", "--publish")
    made = run("slip", issued["identifier"], "--json").value
    assert made["slip"].startswith("EL1:")
    text, code, page = tmp_path / "slip.txt", tmp_path / "code.png", tmp_path / "copy.pdf"
    assert run("slip", issued["identifier"], "-o", str(text)).exit_code == 0
    assert text.stat().st_mode & 0o777 == 0o600
    at_the_issuers, elsewhere = run("verify", str(text), "--json"), run("verify", str(text), "--json", at="labour")
    assert [found.value["code"] for found in (at_the_issuers, elsewhere)] == ["valid", "valid"]
    assert holder(20_005)["CZZT"] not in elsewhere.stdout
    recipient = office.foundings["plain"].peer.uscc
    copy = ("--days", "30", "--to", recipient, "--matter", "办理落户")
    assert run("slip", issued["identifier"], *copy, "-o", str(text)).exit_code == 0
    assert run("verify", str(text), at="plain").exit_code == 0
    assert run("verify", str(text), "--json", at="labour").value["code"] == "wrong-recipient"
    assert run("slip", issued["identifier"], "-o", str(code)).exit_code == 0
    assert code.read_bytes().startswith(b"\x89PNG")
    drawn = run("slip", issued["identifier"], *copy, "--to-name", "测试局", "-o", str(page))
    assert drawn.exit_code == 0 or drawn.code == "licence.pdf-font", drawn.failure
    assert drawn.exit_code or page.read_bytes().startswith(b"%PDF")
    assert run("slip", issued["identifier"], "-o", str(page)).code == "input.recipient"
    assert run("slip", issued["identifier"], "-o", "x.doc").code == "input.output-kind"
    assert run("slip", issued["identifier"], "--matter", "办理落户").code == "input.field"
    assert run("suspend", issued["identifier"], "--reason", "inquiry").exit_code == 0
    assert run("slip", issued["identifier"]).code == "licence.state"


def test_renewing_keeps_the_fields(run: Any, tmp_path: Path) -> None:
    issued = run("issue", *FORM, *options(20_004), "--json").value
    renewed = run("renew", issued["identifier"], "--until", "2101-02-03", "--json").value
    assert (renewed["version"], renewed["type"]) == (2, TYPE)
    shown = run("show", renewed["identifier"], "--json").value
    assert shown["claims"]["ZZYXQJZRQ"] == "2101-02-03"
    assert shown["claims"]["CZZT"] == holder(20_004)["CZZT"]
    moved = run("supersede", renewed["identifier"], "-f", "KZ_ZZ=上海市新址2号", "--json").value
    assert moved["version"] == 3
    assert run("renew", issued["identifier"], "--until", "2101-02-03").code == "licence.state"


def test_rows_of_a_file_with_bad_ones(run: Any, tmp_path: Path) -> None:
    rows, issued, refused = tmp_path / "rows.csv", tmp_path / "issued.jsonl", tmp_path / "refused.csv"
    # Half of the columns go by their Chinese labels.
    labels = {"CZZT": "持证主体", "CZZTDM": "持证主体代码", "KZ_ZZ": "住址"}
    names = list(holder(1))
    with rows.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([labels.get(name, name) for name in names])
        for number in range(30_001, 30_021):
            changes = {"CZZTDM": "12"} if number == 30_007 else {}
            writer.writerow(list(holder(number, **changes).values()))
        writer.writerow(["short row"])
    words = ("issue", str(rows), *FORM, "--output", str(issued), "--refused", str(refused), "--json")
    done = run(*words)
    assert done.exit_code == 1
    report = done.value
    assert report["issued"] == 19
    assert [(line["row"], line["code"]) for line in report["refused"]] == [(7, "licence.fields"), (21, "input.row")]
    with refused.open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [row["row"] for row in kept] == ["7", "21"]
    lines = [json.loads(line) for line in issued.read_text("utf-8").splitlines()]
    assert len({line["identifier"] for line in lines}) == 19
    assert issued.stat().st_mode & 0o777 == 0o600
    # The same file again is the same batch: the same licences.
    assert run(*words).value["issued"] == 19
    assert [json.loads(line) for line in issued.read_text("utf-8").splitlines()] == lines


def test_json_lines_and_mistakes(run: Any, alone: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    good = json.dumps({**holder(40_001), "serial": "S40001"}, ensure_ascii=False)
    rows.write_text(f"{good}\n\n{{not json\n[]\n", "utf-8")
    report = run("issue", str(rows), *FORM, "--json").value
    assert (report["issued"], [line["row"] for line in report["refused"]]) == (1, [2, 3])
    assert run("issue", str(tmp_path / "none.csv"), *FORM).code == "input.file"
    assert run("issue", str(rows), *FORM, "-f", "CZZT=x").code == "input.rows"
    assert run("issue", *FORM, "-f", "CZZT").code == "input.field-option"
    assert run("issue", "--type", TYPE, "--template", "passport", "-f", "CZZT=x").code == "licence.template"
    assert run("revoke", "nonsense", "--reason", "x").code == "input.licence"
    assert run("revoke", "00" * 16, "--reason", "x").code == "licence.unknown"
    assert alone("present", str(tmp_path / "none.json")).code == "input.file"
    bad = tmp_path / "bad.json"
    bad.write_text('{"v":2}')
    assert alone("present", str(bad)).code == "wallet.format"
    bad.write_text("no licence")
    assert alone("present", str(bad), "--show", "CZZT").code.startswith("licence.")


def test_a_licence_is_fetched_instead_of_submitted(run: Any, office: City, tmp_path: Path) -> None:
    shown = ("CZZT", "CZZTDM", "KZ_ZJCX")
    names = tuple({"name": name, "title": name, "type": "string"} for name in shown)
    dataset = office.publish(encode_content(TYPE), format_="licence", fields=names)
    grant = office.grant(dataset.id, fields=shown).id.hex()
    run("issue", *FORM, *options(45_001))
    run("status", "--publish")
    fetched = tmp_path / "fetched.txt"
    who = ("--holder", holder(45_001)["CZZTDM"], "--cause", "落户申请2026-117")
    done = run("fetch", grant, *who, "--output", str(fetched), "--json", at="labour")
    assert done.exit_code == 0, done.failure
    assert done.value["verdict"]["code"] == "valid"
    assert done.value["licence"] == fetched.read_text("utf-8").strip()
    assert fetched.stat().st_mode & 0o777 == 0o600
    assert run("verify", str(fetched), at="plain").exit_code == 0
    # Whoever it is about sees it, here and at the issuer.
    index = done.value["log_index"]
    assert office.records("labour", "licence.fetched")[-1].body["exchange"] == done.value["exchange"]
    assert index < office.context("labour").log.size
    assert run("fetch", grant, "--holder", "none-such", "--cause", "x", at="labour").code == "licence.none-held"
