"""A hospital's node as its daemon runs it, which kills itself (SIGKILL) in the middle of several steps at once.

``python deadly_node.py FOLDER PLAN``: PLAN is a JSON file, there from some moment on: name -> how manieth time. A
thread that reaches one of these points stays there, and its name is added to ``PLAN.reached``; with the last one the
process dies. Names: ``open|recognise|retest:REPORT:ROLE`` after a write of a step, ``told:REPORT`` after a patient was
told, ``change:REPORT:ROLE`` after a change was kept, ``notice:REPORT:KIND`` before a patient's notice is kept,
``consent`` before a consent is put on record.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.storage.changes import ChangeStore
from ledger.storage.steps import StepStore
from node import daemon
from node.medical import answering
from node.medical.consents import Consents
from node.medical.notices import Outbox


class Points:
    """The points of the plan, as they are reached."""

    def __init__(self, plan: Path) -> None:
        self._plan, self._reached = plan, plan.with_suffix(".reached")
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._parked: set[str] = set()

    def reach(self, name: str) -> None:
        """Stay here, or die, where the plan says so."""
        if not self._plan.exists():
            return
        plan = json.loads(self._plan.read_bytes())
        with self._lock:
            self._counts[name] += 1
            if plan.get(name) != self._counts[name]:
                return
            self._parked.add(name)
            with self._reached.open("a") as file:
                file.write(name + "\n")
            if self._parked == plan.keys():
                os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()

    def before(self, holder: Any, attribute: str, name_of: Callable[..., str]) -> None:
        """Reach a point each time that something is about to be done."""
        inner: Callable[..., Any] = getattr(holder, attribute)

        def run(*arguments: Any) -> Any:
            self.reach(name_of(*arguments))
            return inner(*arguments)

        setattr(holder, attribute, run)

    def after(self, holder: Any, attribute: str, name_of: Callable[..., str]) -> None:
        """Reach a point each time that something was done."""
        inner: Callable[..., Any] = getattr(holder, attribute)

        def run(*arguments: Any) -> Any:
            answer = inner(*arguments)
            self.reach(name_of(*arguments))
            return answer

        setattr(holder, attribute, run)


def main() -> None:
    points = Points(Path(sys.argv[2]))
    for attribute in ("begin", "put"):
        points.after(StepStore, attribute, lambda _, entry: f"{entry.kind}:{entry.report.hex()}:{entry.role}")
    points.after(answering, "tell_patient", lambda _, entry: f"told:{entry.report.hex()}")
    points.after(ChangeStore, "put", lambda _, role, entry: f"change:{entry.report.hex()}:{role}")
    points.before(Outbox, "post", lambda _, event, subject, kind, report, at_s: f"notice:{report.hex()}:{kind}")
    points.before(Consents, "_tell", lambda _, commitment, time_ms: "consent")
    daemon.leave(daemon.run(sys.argv[1]))


if __name__ == "__main__":
    main()
