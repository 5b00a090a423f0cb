"""The exported tree is, file by file, what a plain independent writer makes of the same entries."""

from pathlib import Path

import pytest

from ledger._native import LogEngine
from ledger.errors import ConflictError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.log import export as logexport
from ledger.log.export import export_folder, export_tiles
from tests.ledger.log import naive_tiles
from tests.ledger.log.conftest import record


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_the_export_is_the_specification(log: DepartmentLog, tmp_path: Path, size: int) -> None:
    entries = [record(number) for number in range(size)]
    for start in range(0, size, 10_000):
        log.append(entries[start : start + 10_000])
    note = log.publish()
    assert log.export(tmp_path / "out") == size
    naive_tiles.write(entries, tmp_path / "naive")
    exported = files(tmp_path / "out")
    assert exported.pop("checkpoint") == note
    assert exported == files(tmp_path / "naive")
    assert log.root(size) == naive_tiles.root([naive_tiles.leaf(entry) for entry in entries])


def test_the_export_is_of_the_published_size(log: DepartmentLog, tmp_path: Path) -> None:
    log.append([record(1)])
    log.publish()
    log.append([record(2)])
    assert log.export(tmp_path / "out") == 1
    assert "tile/0/000.p/1" in files(tmp_path / "out")


def test_an_export_goes_into_no_other_folder(log: DepartmentLog, tmp_path: Path) -> None:
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.unpublished"
    log.append([record(1)])
    log.publish()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.export-exists"
    assert files(tmp_path / "out") == {"kept": b"kept"}


def test_a_later_export_only_adds(log: DepartmentLog, tmp_path: Path) -> None:
    entries = [record(number) for number in range(900)]
    out = tmp_path / "out"
    before: dict[str, bytes] = {}
    stamps: dict[str, int] = {}
    sizes = [1, 255, 256, 300, 300, 700, 900]
    done = 0
    for size in sizes:
        if size > done:
            log.append(entries[done:size])
        done = size
        log.publish()
        log.export(out)
        now = files(out)
        assert {name: now[name] for name in before if name != "checkpoint"} == {
            name: data for name, data in before.items() if name != "checkpoint"
        }
        changed = [name for name, at in stamps.items() if (out / name).stat().st_mtime_ns != at]
        assert changed in ([], ["checkpoint"])
        before, stamps = now, {name: (out / name).stat().st_mtime_ns for name in now}
    naive: dict[str, bytes] = {}
    for size in sizes:
        naive_tiles.write(entries[:size], tmp_path / f"naive-{size}")
        naive |= files(tmp_path / f"naive-{size}")
    assert before.pop("checkpoint") == log.published
    assert before == naive, "every published size keeps its partial tiles"


def test_an_export_that_was_broken_off_is_taken_up(log: DepartmentLog, tmp_path: Path) -> None:
    log.append([record(number) for number in range(700)])
    log.publish()
    log.export(tmp_path / "whole")
    whole = files(tmp_path / "whole")
    names = sorted(name for name in whole if name != "checkpoint")
    for stop in range(len(names)):
        out = tmp_path / f"broken-{stop}"
        for name in names[: stop + 1]:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            # The last one was not written to its end.
            (out / name).write_bytes(whole[name] if name != names[stop] else whole[name][: len(whole[name]) // 2])
        log.export(out)
        assert files(out) == whole


@pytest.mark.parametrize("name", ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001"])
@pytest.mark.parametrize("part", [0.0, 0.5])
def test_what_a_power_cut_took_from_a_finished_export_is_written_again(
    log: DepartmentLog, tmp_path: Path, name: str, part: float
) -> None:
    log.append([record(number) for number in range(700)])
    log.publish()
    log.export(tmp_path / "out")
    whole = files(tmp_path / "out")
    (tmp_path / "out" / name).write_bytes(whole[name][: int(len(whole[name]) * part)])
    assert export_folder(log.path, tmp_path / "out").written == 1
    assert files(tmp_path / "out") == whole


def test_the_tiles_are_durable_before_the_checkpoint(
    log: DepartmentLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[set[str]] = []
    monkeypatch.setattr(logexport.os, "sync", lambda: synced.append(set(files(tmp_path / "out"))))
    log.append([record(number) for number in range(300)])
    log.publish()
    log.export(tmp_path / "out")
    assert synced == [set(files(tmp_path / "out")) - {"checkpoint"}]
    log.export(tmp_path / "out")
    assert len(synced) == 1, "nothing is new"
    # Of a run that was broken off everything may be there, and nothing of it on the disk.
    (tmp_path / "out" / "checkpoint").unlink()
    log.export(tmp_path / "out")
    assert len(synced) == 2


def test_entries_stay_out_when_they_shall(log: DepartmentLog, tmp_path: Path) -> None:
    log.append([record(number) for number in range(300)])
    log.publish()
    done = export_folder(log.path, tmp_path / "out", entries=False)
    assert not any("entries" in name for name in files(tmp_path / "out"))
    assert (done.head.size, done.before, done.written) == (300, 0, len(files(tmp_path / "out")) - 1)
    told: list[tuple[int, int]] = []
    again = export_folder(log.path, tmp_path / "out", progress=lambda *at: told.append(at))
    assert (again.before, again.written) == (300, 2), "they can be added later"
    assert told[-1] == (5, 5)


def test_an_export_of_another_log_or_history_is_left_alone(
    log: DepartmentLog, tmp_path: Path, signer: Ed25519Signer
) -> None:
    def other(name: str, origin: str, count: int, first: int) -> DepartmentLog:
        made = DepartmentLog.open(tmp_path / name, origin=origin, signer=signer, clock=lambda: 1)
        made.guard(())
        made.append([record(number) for number in range(first, first + count)])
        made.publish()
        return made

    log.append([record(number) for number in range(300)])
    log.publish()
    log.export(tmp_path / "out")
    kept = files(tmp_path / "out")
    for name, origin, count, first in (
        ("origin", "310000.civil.civicledger/log", 400, 0),
        ("history", log.origin, 400, 1),
        ("shorter", log.origin, 200, 0),
    ):
        with other(name, origin, count, first) as another, pytest.raises(ConflictError) as caught:
            another.export(tmp_path / "out")
        assert caught.value.code == "log.export-other"
        assert files(tmp_path / "out") == kept
    (tmp_path / "out" / "checkpoint").write_bytes(b"no note")
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.export-exists"


def test_a_broken_off_export_of_another_log_is_left_alone(log: DepartmentLog, tmp_path: Path) -> None:
    log.append([record(number) for number in range(300)])
    log.publish()
    (tmp_path / "out" / "tile" / "0").mkdir(parents=True)
    (tmp_path / "out" / "tile" / "0" / "000").write_bytes(bytes(8192))
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.export-other"


def test_the_layout_is_that_of_others(vectors: Path, tmp_path: Path) -> None:
    """The test log of tessera: every tile of its fifteen sizes, made from its entries by our own log."""
    theirs = vectors / "tessera-testlog" / "testdata" / "log"
    bundle = (theirs / "tile" / "entries" / "000.p" / "15").read_bytes()
    entries, at = [], 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entries.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    engine = LogEngine.open(str(tmp_path / "log"))
    try:
        for size, entry in enumerate(entries, 1):
            engine.append(entry)
            note = (theirs / f"checkpoint.{size}").read_bytes()
            head = parse_checkpoint(parse_note(note).text)
            assert (head.size, head.root) == (size, engine.root(size))
            export_tiles(engine, tmp_path / "out", head, note)
    finally:
        engine.close()
    # Their own bookkeeping and the checkpoints of all sizes lie beside the log.
    expected = {name: data for name, data in files(theirs).items() if not name.startswith(("checkpoint.", ".state"))}
    assert files(tmp_path / "out") == expected
