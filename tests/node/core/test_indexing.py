"""A node's record index: made again while the node serves, whatever became of its folder."""

from __future__ import annotations

from pathlib import Path

from ledger.storage.indexes import RecordFilter
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually

RECORDS = 60


def test_a_damaged_index_is_made_again_and_the_doctor_says_so(tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    wanted = RecordFilter(type="access.used")
    with City(founded) as city:
        city.start()
        node = city[1]
        for number in range(RECORDS):
            node.core.log.append_record(record(node, number))
        index = node.core.stores.index
        eventually(lambda: index.indexed_size == node.core.log.size)
        before = index.query(wanted, 1_000).rows
        assert len(before) == RECORDS
        city.stop()

        folder = node.core.config.index_folder
        (folder / "CURRENT").write_bytes(b"nonsense\n")
        city.start()
        node = city[1]
        index = node.core.stores.index
        eventually(lambda: index.remaking is None and index.indexed_size == node.core.log.size)
        assert index.query(wanted, 1_000).rows == before

        # The loop at rest, so that what the doctor sees stays.
        node.indexing.loop.stop()
        assert node.indexing.loop.join(300)
        index.renew()
        [finding] = [one for one in node.context.diagnose() if one.code == "index.remaking"]
        assert finding.severity == "warning"
        assert f"0 of {node.core.log.size} records" in finding.message
