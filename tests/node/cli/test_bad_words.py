"""Clumsy and hostile use of the command: always words, a code and exit status 0, 1 or 2; never a traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.bulk import BulkSchema
from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from node.city.found import load_city
from node.city.roster import read_roster
from node.cli import main as command
from node.cli.inputs import parse_json, too_deep
from node.cli.recordlines import LineReader
from tests.ledger.evidence.city import City

DIGEST = "00" * 32


def run(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["civicledger", *words])
        with pytest.raises(SystemExit) as ended:
            command.main()
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert isinstance(ended.value.code, int)
    return ended.value.code, shown.out, shown.err


@pytest.mark.parametrize(
    "words",
    [
        ("member", "vote", "--yes", "--", "-1"),
        ("member", "vote", "--yes", "99999999999999999999999"),
        ("member", "propose", "suspend", "transport", "--days", "-1"),
        ("member", "propose", "activate-version", "-1", "--height", "1"),
        ("grant", "refuse", DIGEST, "--reason", "-1", "--text", "x"),
        ("grant", "revoke", DIGEST, "--reason", "4294967296", "--text", "x"),
        ("grant", "request", DIGEST, "--purpose", "p", "--matter", "m", "--field", "f", "--uses", "9" * 30),
        ("dataset", "publish", "rows.json", "-m", "m.json", "--count", "-1"),
        ("log", "prove", "99999999999999999999999"),
        ("log", "show", "--first", "-2"),
        ("bundle", "make", "99999999999999999999999", "-o", "x.civic"),
        ("list", "demand", "add", "item", "--due", "-1"),
    ],
)
def test_numbers_no_message_can_hold_are_misuse(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = run(words, capsys)
    assert status == 2
    assert "Error" in said


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "rest",
    ["host:99999999/x", "host:0/x", "host:-1/x", "[::1/x", "host:abc/x", "ho st/x y", "host/x\ty", "host/\x7f",
     "h\u00f6st/x", "host/\u5730", "h\u2100st/x", "[zz]/x", "host/x?y", "/x"],
)  # fmt: skip
def test_places_that_are_no_url_are_refused_by_name(scheme: str, rest: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = run(("log", "fsck", "--from", f"{scheme}://{rest}"), capsys)
    assert status == 1
    assert "source.url" in said


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"v":' + "9" * 5_000 + "}", b"\xff\xfe\x00", "", "{", "\ufeff{}"],
    ids=["deep", "digits", "bytes", "empty", "cut", "bom"],
)
def test_texts_that_are_no_json_are_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_json(text, "rows.json")
    assert caught.value.code == "input.json"
    assert caught.value.message.startswith("rows.json: ")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"type":"access.used","body":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}", "input.json"),
        (b'{"type":"access.used","body":{"x":' + b"9" * 5_000 + b"}}", "input.json"),
        (b'{"type":"access.used","body":{},"time":5}', "input.record"),
        (b'{"type":"access.used","body":{},"time":[1]}', "input.record"),
    ],
    ids=["deep", "digits", "time-number", "time-list"],
)
def test_a_bad_line_is_named_with_its_number(line: bytes, code: str) -> None:
    schema = BulkSchema("11310000DEM000022Y")
    reader = LineReader(io.BytesIO(b"\n" + line + b"\n"), "uses.jsonl", schema, 0, skip_bad=False)
    with pytest.raises(LedgerError) as caught:
        list(reader.batches())
    assert caught.value.code == code
    assert caught.value.message.startswith("uses.jsonl:2: ")


def test_json_stays_json_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        # A process of its own: nothing but this command writes to its standard output.
        words = ["bundle", "verify", str(path), "--policy", str(path), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "node.cli.main", *words], capture_output=True, timeout=180, check=False
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"]["code"] == "os.error"


def test_brackets_in_a_path_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = City()
    bundle, policy = tmp_path / "[x][" / "y].civic", tmp_path / "p"
    bundle.parent.mkdir()
    bundle.write_bytes(city.bundle())
    policy.write_bytes(city.policy())
    status, shown, _ = run(("bundle", "verify", str(bundle), "--policy", str(policy)), capsys)
    assert (status, "y].civic" in shown) == (0, True)
    status, _, said = run(("node", "status", "--node", str(tmp_path / "[/q]")), capsys)
    assert (status, "[/q]" in said) == (1, True)


def test_a_roster_that_is_no_json_is_refused(tmp_path: Path) -> None:
    roster = tmp_path / "roster.json"
    for text in ("[" * 100_000, "9" * 5_000):
        roster.write_text(text)
        with pytest.raises(InvalidInputError) as caught:
            read_roster(roster)
        assert caught.value.code == "roster.malformed"


def test_a_defect_is_said_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_words: Sequence[str]) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(command, "build", broken)
    monkeypatch.delenv("CIVICLEDGER_DEBUG", raising=False)
    status, shown, said = run(("member", "list", "--json"), capsys)
    assert (status, '"code": "internal.error"' in shown) == (1, True)
    assert "CIVICLEDGER_DEBUG=1" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("shell", "status"),
    [
        ("{} --help >/dev/full", 1),
        ("{} --help >&-", 0),
        ("{} node status --node /none >&- 2>&-", 1),
        ("PYTHONIOENCODING=ascii {} --lang zh node status --json --node /无", 1),
        ("{} bundle verify $'/none/\\xff\\xfe' --json --policy /none", 1),
    ],
    ids=["full", "closed", "all-closed", "ascii", "no-utf8"],
)
def test_output_that_cannot_be_written(shell: str, status: int) -> None:
    done = subprocess.run(
        ["bash", "-c", shell.format(f"{sys.executable} -m node.cli.main")],
        capture_output=True,
        timeout=180,
        env=dict(os.environ),
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert done.returncode == status
    if b"--json" in shell.encode():
        assert "error" in json.loads(done.stdout)


def test_nesting_is_counted_outside_of_text_only() -> None:
    """Not by the interpreter's recursion limit: a library of the chain client raises it, and the stack would end."""
    assert too_deep("[" * 101 + "]" * 101)
    assert too_deep(b'{"a":' * 101)
    assert not too_deep("[" * 100 + "]" * 100)
    assert not too_deep('["' + "[" * 1_000 + '\\"{{"]' + ",[]" * 1_000)
    command = (
        "import sys; from node.cli.inputs import parse_json; sys.setrecursionlimit(100_000); "
        "parse_json('[' * 90_000, 'x')"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, timeout=180, check=False)
    assert done.returncode == 1
    assert b"input.json" in done.stderr or b"nested too deeply" in done.stderr


@pytest.mark.parametrize(
    "members", ["[1]", '["../../etc"]', "5", "[[]]", "[" * 5_000], ids=["number", "path", "no-list", "list", "deep"]
)
def test_a_broken_city_file_is_refused(tmp_path: Path, members: str) -> None:
    (tmp_path / "city.json").write_text(f'{{"v":1,"region":"310000","chainId":1,"members":{members}}}')
    with pytest.raises(NotFoundError) as caught:
        load_city(tmp_path)
    assert caught.value.code == "city.broken"
