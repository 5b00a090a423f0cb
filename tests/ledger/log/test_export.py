"""The exported tree is, file by file, what a plain independent writer makes of the same entries."""

from pathlib import Path

import pytest

from ledger.errors import ConflictError
from ledger.log import DepartmentLog
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


def test_an_export_overwrites_nothing(log: DepartmentLog, tmp_path: Path) -> None:
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.unpublished"
    log.publish()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    with pytest.raises(ConflictError) as caught:
        log.export(tmp_path / "out")
    assert caught.value.code == "log.export-exists"
    assert files(tmp_path / "out") == {"kept": b"kept"}
