"""The demonstration's attack on a log: made on a copy of what a running node writes."""

from __future__ import annotations

from pathlib import Path

from node.city.attacks import rewrite_on_disk
from tests.node.core.city import City, found, record


def test_a_log_that_is_being_written_is_copied_without_what_is_renamed_meanwhile(tmp_path: Path) -> None:
    founded = found(tmp_path, 4)
    folder = founded.folders[1]
    with City(founded) as city:
        city.start()
        index = city[1].core.log.append_record(record(city[1], 1))
        city[1].anchors.parts(index, 180)
        # As a folder listing shows a name that is gone when it is copied.
        (folder / "log" / "signed.new").symlink_to(tmp_path / "gone")
        problem = rewrite_on_disk(folder, tmp_path / "scratch")
    assert problem["index"] == 0
    assert not (tmp_path / "scratch").exists()
