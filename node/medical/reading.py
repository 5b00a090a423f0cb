"""A process that reads reports for a node: it has no key, no store and no network of the node's, only bytes to read.

``python -m node.medical.reading``: asks come on standard input, drafts go to standard output, each as a frame of four
bytes of length (big endian) and MessagePack. It ends with its input. What is too costly to read ends it; the node
starts another one.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from typing import BinaryIO, Final

import msgspec

from ledger.medical.rules import load_rules
from ledger.medical.ruleset import RuleSet
from node.medical.drafts import Draft, read_draft

#: Processor time of one report, seconds, and memory of the process, bytes.
CPU_S: Final = 30
MEMORY: Final = 1 << 30
#: Answers are handed over together, but none is kept back longer, seconds.
_HELD_S: Final = 0.05
#: One of each kind of resource that reports are made of: reading it loads the library's models.
_WARMING: Final = (
    b'{"resourceType":"Bundle","type":"collection","entry":['
    + b",".join(
        b'{"resource":{"resourceType":"%s"}}' % kind
        for kind in (b"Patient", b"Specimen", b"Organization", b"Observation", b"DiagnosticReport", b"ImagingStudy")
    )
    + b"]}"
)


class Ask(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Reports to read. ``rules``: the file of the rule set to map codes by from now on; empty: none; None: the same as
    before."""

    institution: str
    now_s: int
    rules: bytes | None
    sent: tuple[bytes, ...]


def frame(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return len(data).to_bytes(4, "big") + data


def main() -> None:
    """Read until the input ends."""
    # The node decides when this ends, also where a terminal or a service manager signals the whole group.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # What a library prints must not be taken for a draft.
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        read_draft(_WARMING, institution="", now_s=0, rules=None)
        _send(out, [frame(b"")])
        _serve(sys.stdin.buffer, out)


def _serve(asks: BinaryIO, out: BinaryIO) -> None:
    rules: RuleSet | None = None
    while len(head := asks.read(4)) == 4:
        ask = msgspec.msgpack.decode(asks.read(int.from_bytes(head, "big")), type=Ask)
        if ask.rules is not None:
            rules = load_rules(ask.rules, units=False) if ask.rules else None
        held, since = list[bytes](), time.monotonic()
        for data in ask.sent:
            _allow(CPU_S)
            draft = read_draft(data, institution=ask.institution, now_s=ask.now_s, rules=rules)
            held.append(frame(msgspec.msgpack.encode(draft)))
            if time.monotonic() - since > _HELD_S:
                _send(out, held)
                held, since = [], time.monotonic()
        _send(out, held)


def _allow(seconds: int) -> None:
    """So much more processor time; whoever takes more is ended by the system (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, hard))


def _send(out: BinaryIO, frames: list[bytes]) -> None:
    out.write(b"".join(frames))
    out.flush()


def decode_draft(data: bytes) -> Draft:
    """A draft of a frame. Raises: msgspec.MsgspecError."""
    return msgspec.msgpack.decode(data, type=Draft)


if __name__ == "__main__":
    main()
