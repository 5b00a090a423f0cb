"""A log whose disk failed takes and signs nothing until its folder is opened again."""

import errno
from pathlib import Path

import pytest

import ledger.log.department
from ledger.errors import FatalError
from ledger.log import DepartmentLog
from tests.ledger.log.conftest import Open, record


@pytest.mark.parametrize("name", ["signed", "checkpoint"])
def test_a_note_that_cannot_be_written_stops_the_log(
    log: DepartmentLog, open_log: Open, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log.append([record(1)])
    real = ledger.log.department.replace_file

    def broken(path: Path, data: bytes) -> None:
        if path == log.path / name:
            raise OSError(errno.EIO, "Input/output error")
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(ledger.log.department, "replace_file", broken)
        with pytest.raises(FatalError) as caught:
            log.publish()
    for attempt in (lambda: log.append([record(2)]), log.publish, lambda: log.guard(())):
        with pytest.raises(FatalError) as again:
            attempt()
        assert again.value is caught.value is log.why_closed
    assert caught.value.code == "log.failed"
    assert log.read(0, 1) == [record(1)]
    log.close()
    reopened = open_log()
    reopened.guard(())
    assert reopened.append([record(2)]) == (1, 1)
