"""The example dashboard shows figures that a node has: every metric it names is in a running node's answer."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import Any

from tests.node.core.city import City, found

DASHBOARD = Path(__file__).resolve().parents[3] / "docs" / "dashboards" / "civicledger.json"
NAME = re.compile(r"\b(?:civicledger|process)_[a-z_]+\b")


def expressions(panels: list[dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    for panel in panels:
        found |= {target["expr"] for target in panel.get("targets", [])} | expressions(panel.get("panels", []))
    return found


def test_every_metric_of_the_dashboard_exists(tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    named = {name for expression in expressions(dashboard["panels"]) for name in NAME.findall(expression)}
    assert {"civicledger_consensus_quorum", "civicledger_validators_missing", "civicledger_log_size"} <= named
    with City(found(tmp_path, 2)) as city:
        city.start()
        connection = http.client.HTTPConnection("127.0.0.1", city[0].core.config.local.port, timeout=180)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
    told = set(re.findall(r"^# TYPE (\S+) \w+$", text, re.M)) | set(re.findall(r"^(\w+)[ {]", text, re.M))
    # Figures with labels appear with their first use: their TYPE line is there from the start.
    told |= {f"{name}_bucket" for name in re.findall(r"^# TYPE (\S+) histogram$", text, re.M)}
    assert sorted(named - told) == []
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["targets"] for panel in panels)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
