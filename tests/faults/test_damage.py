"""A byte flipped anywhere in a log folder: the oracle names the file, and opening recovers or refuses with a code.

Every byte of the small files, a seeded sample of the large ones. With the keys at hand the signatures count too;
without them the report says that they were not checked.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, LedgerError
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    VKey,
    add_signature,
    cosign,
    parse_checkpoint,
    parse_note,
)
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog, fsck
from ledger.model import KeyRole
from tests.faults.workload import NOW, ORIGIN, batch, records, signer

WITNESS = "310000.civil.civicledger/witness"
#: Files up to this size are tried at every byte, larger ones at as many places.
EVERY = 700
LOG_KEY = VKey(name=ORIGIN, type=ED25519_NOTE, public=signer().public)


def witness() -> Ed25519Signer:
    return Ed25519Signer(KeyRole.WITNESS, b"\x0b" * 32)


WITNESS_KEY = VKey(name=WITNESS, type=ED25519_COSIGNATURE, public=witness().public)


def open_log(folder: Path) -> DepartmentLog:
    return DepartmentLog.open(folder, origin=ORIGIN, signer=signer(), clock=lambda: NOW)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of 265 records in ten commits, signed and cosigned."""
    folder = tmp_path_factory.mktemp("log") / "log"
    with open_log(folder) as log:
        log.guard(())
        log.append(records(0))
        for number in range(0, 260, 60):
            log.append(records(1)[number : number + 60], bytes([number + 1]) * 16)
        log.append(records(2), batch(2))
        note = log.publish()
        log.keep_cosigned(add_signature(note, cosign(parse_note(note).text, WITNESS, witness(), 1_790_000_000)))
    return folder


def flips(path: Path) -> Iterator[tuple[int, bytes]]:
    """(place, the file's bytes with one bit of that byte changed)."""
    data = path.read_bytes()
    numbers = random.Random(path.name)
    places = range(len(data)) if len(data) <= EVERY else sorted(numbers.sample(range(len(data)), EVERY))
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << numbers.randrange(8)
        yield place, bytes(changed)


FILES = [
    "entries.dat",
    "entries.idx",
    "commits.dat",
    "batches.dat",
    "level-0.dat",
    "level-1.dat",
    "signed",
    "checkpoint",
]


def test_the_folder_holds_no_other_file(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {*FILES, "LOCK"}
    report = fsck(whole, keys=[LOG_KEY, WITNESS_KEY])
    assert (report.ok, report.unchecked) == (True, ())


@pytest.mark.parametrize("name", FILES)
def test_the_oracle_names_the_file_of_a_flipped_bit(whole: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "log"
    shutil.copytree(whole, folder)
    for place, changed in flips(whole / name):
        (folder / name).write_bytes(changed)
        report = fsck(folder, keys=[LOG_KEY, WITNESS_KEY])
        named = {problem.file for problem in report.problems} | {line.partition(":")[0] for line in report.unchecked}
        assert name in named, f"byte {place}: {report}"
        # A cosignature under another key name is one of an unknown key; everything else is a difference.
        assert not report.ok or name == "checkpoint", f"byte {place}: {report}"


@pytest.mark.parametrize("name", FILES)
def test_opening_recovers_or_refuses(whole: Path, tmp_path: Path, name: str) -> None:
    head = parse_checkpoint(parse_note((whole / "signed").read_bytes()).text)
    with open_log(_copy(whole, tmp_path / "clean")) as clean:
        entries = clean.read(0, head.size)
    cases = list(flips(whole / name))
    for place, changed in random.Random(name).sample(cases, min(25, len(cases))):
        folder = _copy(whole, tmp_path / str(place))
        (folder / name).write_bytes(changed)
        refused: LedgerError | None = None
        try:
            with open_log(folder) as log:
                log.guard([head])
                wrong = [index for index, entry in enumerate(log.read(0, head.size)) if entry != entries[index]]
        except (FatalError, ConflictError) as error:
            refused = error
        report = fsck(folder, keys=[LOG_KEY, WITNESS_KEY])
        shutil.rmtree(folder)
        if refused is not None:
            assert refused.code in {"log.corrupt", "log.damaged-note", "log.behind", "log.forked", "log.other-origin"}
            assert refused.hint, refused.code
            continue
        # It opened under its head: what still differs is named, and a wrong entry is never called whole.
        assert not wrong or not report.ok, f"byte {place}"


def _copy(whole: Path, folder: Path) -> Path:
    shutil.copytree(whole, folder)
    return folder


def test_without_a_key_the_report_says_what_it_did_not_check(whole: Path, tmp_path: Path) -> None:
    report = fsck(whole)
    assert report.ok
    assert [line.partition(":")[0] for line in report.unchecked] == ["signed", "checkpoint", "checkpoint"]
    report = fsck(whole, keys=[LOG_KEY])
    assert report.unchecked == (f"checkpoint: the signature of {WITNESS} (its key is not known here)",)
    assert report.to_dict()["unchecked"] == list(report.unchecked)


def test_a_signature_by_a_key_the_log_never_had_is_a_problem(whole: Path) -> None:
    other = VKey(name=ORIGIN, type=ED25519_NOTE, public=Ed25519Signer(KeyRole.LOG, b"\x09" * 32).public)
    report = fsck(whole, keys=[other])
    assert [problem.file for problem in report.problems] == ["signed", "checkpoint"]
    # After a rotation both keys are the log's.
    assert fsck(whole, keys=[other, LOG_KEY]).ok
