"""One dataset's metadata, as a provider would write it."""

import pytest

from ledger.directory.catalogue import DatasetMetadata, Field
from ledger.model import Level, Sharing


@pytest.fixture
def metadata() -> DatasetMetadata:
    return DatasetMetadata(
        name="行政区划代码",
        resource_code="310000-0001",
        provider="91110000600037341L",
        abstract="GB/T 2260 县级以上行政区划代码",
        format="json",
        fields=(
            Field(name="code", type="code", title="代码"),
            Field(name="name", type="string", title="名称", level=Level.GENERAL, mask="ends"),
        ),
        sharing=Sharing.CONDITIONAL,
        condition="用于政务服务事项办理",
        openness="conditional",
        update_cycle="yearly",
        level=Level.IMPORTANT,
    )
