"""A node in a process of its own that posts notices and hands them over until it is killed: ``FOLDER COUNT``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from node.compose import Node


def main(folder: Path, count: int) -> None:
    """Post every event, also those that an earlier run posted, one after the other while they are handed over."""
    node = Node.open(folder, environ={})
    node.start()
    node.wait_open(300.0)
    medical = node.context.medical
    subject = medical.vault.subject_of(b"anna")
    medical.notices.set_contact(subject, "+8613800000017")
    for number in range(count):
        event = number.to_bytes(32, "big")
        medical.notices.post(event, subject, "opened", event, node.core.clock() // 1_000)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
