"""How steps of recognition are shown by commands: as JSON, and their words in both languages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from node.cli.texts import t

#: Seconds a call of the medical service may take.
TIMEOUT_S = 120.0
STEPS = {
    "open": t("opened", "调阅"),
    "recognise": t("recognised", "互认"),
    "retest": t("re-tested", "重检"),
}
ROLES = {"provider": t("by another", "被调阅"), "consumer": t("by us", "我方")}
STATES = {
    "begun": t("under way", "进行中"),
    "half": t("half receipt", "半回执"),
    "complete": t("complete", "完成"),
    "refused": t("refused", "被拒绝"),
}
CHANGES = {"corrected": t("corrected", "更正"), "withdrawn": t("withdrawn", "撤回")}


def step_object(step: Any) -> dict[str, Any]:
    """A step as one JSON object."""
    found = {
        "step": bytes(step.step),
        "role": step.role,
        "kind": step.kind,
        "report": bytes(step.report),
        "version": step.version,
        "counterpart": step.counterpart,
        "state": step.state,
        "time_ms": step.time_ms,
        "items": [{"place": place, "item": item} for place, item in zip(step.places, step.items, strict=True)],
        "log_index": step.log_index if step.state == "complete" else None,
        "receipt": json.loads(step.receipt) if step.receipt else None,
        "receipt_digest": bytes(step.receipt_digest),
    }
    optional: dict[str, Any] = {
        "opening": bytes(step.opening),
        "reason": step.reason,
        "code": step.code,
        "nonce": bytes(step.nonce),
    }
    optional["differing"] = list(step.differing)
    return found | {name: value for name, value in optional.items() if value}


def shown_time(milliseconds: int) -> str:
    """A time of a table, UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
