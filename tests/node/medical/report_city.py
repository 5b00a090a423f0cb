"""A hospital's node for the tests of reports, and what they read there. Each test has report numbers of its own."""

from __future__ import annotations

from typing import Any

from ledger.codec import decode_record
from node.compose import Node
from tests.ledger.medical.bundles import LIPIDS, panel


def bundle(node: Node, number: str, **changes: Any) -> dict[str, Any]:
    now_s = node.core.clock() // 1_000
    changes = {"taken_s": now_s - 9_000, "issued_s": now_s - 8_000} | changes
    return panel(changes.pop("measured", LIPIDS), institution=node.core.member, number=number, **changes)


def records(node: Node, type_: str, report: bytes) -> list[dict[str, Any]]:
    found = [decode_record(entry) for entry in node.core.log.read(0, node.core.log.size)]
    return [dict(item.body) for item in found if item.type == type_ and item.body.get("report") == report.hex()]


def codes(done: Any) -> set[str]:
    return {item.code for item in done.problems}
