"""The demonstration's patient at the gateway: sees who searched and opened, stops sharing everywhere, allows it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from ledger.errors import FatalError
from node.city import ward
from node.city.signingin import PEOPLE, Visitor
from node.city.story import Story
from node.cli.connect import Connection
from node.cli.texts import t

#: How the identity service lists the patient.
_NAME: Final = "演示患者"


def visit(city: Path, identity: str, institution: str, asker: Connection, handle: str, story: Story) -> None:
    """The patient of an ``identity`` signs in. ``institution``: whose report of him was opened (USCC), by ``asker``, a
    hospital called ``handle``. Raises: FatalError(demo.patient | demo.sign-in), UnavailableError(demo.gateway)."""
    people = json.loads((city / PEOPLE).read_text("utf-8"))
    people.append({"name": _NAME, "number": identity})
    # Beside the first, in the list that the demonstration's identity service reads anew each time.
    (city / PEOPLE).write_text(json.dumps(people, ensure_ascii=False), "utf-8")
    visitor = Visitor(city / "gateway")
    visitor.sign_in(_NAME, "patient")
    hospitals = {one["uscc"]: one for one in visitor.results()}
    here = hospitals.get(institution, {})
    events = [event for one in here.get("reports", ()) for event in one["events"] if event["by"] == asker.member]
    if not events or asker.member not in {one["by"] for one in here["searches"]}:
        raise FatalError("demo.patient", "the patient does not see who searched and opened", actual=str(here)[:500])
    done = [one for one in visitor.share("*", permit=False) if one["outcome"] == "changed"]
    if institution not in {one["uscc"] for one in done} or any(not one.own for one in _found(asker, identity)):
        raise FatalError("demo.patient", "results are offered although their patient stopped sharing")
    again = [one["uscc"] for one in visitor.share("*", permit=True) if one["outcome"] == "changed"]
    if again != [one["uscc"] for one in done] or not any(not one.own for one in _found(asker, identity)):
        raise FatalError("demo.patient", "sharing was not allowed again where it was stopped", actual=str(again))
    visitor.sign_out()
    story.tell(
        t("a patient signs in, sees who looked, stops sharing and allows it again", "患者登录查看，停止并恢复共享"),
        t(
            f"{len(events)} steps of {handle}; on record at {len(done)} hospitals",
            f"{handle} 的 {len(events)} 个步骤；{len(done)} 家医院留痕",
        ),
        seen_by_patient={
            "events": [event["kind"] for event in events],
            "records": {one["uscc"]: {name: one[name] for name in ("record", "commitment")} for one in done},
        },
    )


def _found(asker: Connection, identity: str) -> list[Any]:
    return list(ward.search(asker, identity).reports)
