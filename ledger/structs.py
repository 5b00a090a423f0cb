"""Messages decoded by many threads: msgspec looks at a Struct when it is first decoded, and a second thread that comes
while it looks at one with Structs inside meets a half-made table and ends the process (msgspec 0.22: a fault in
its ``_core``). So every Struct is looked at once, before there are threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec


def prepare() -> int:
    """Have msgspec look at every Struct that is known by now; how many it could. Called before threads are started."""
    count = 0
    for kind in _known(msgspec.Struct):
        # Some name types that are imported for type checkers only: nobody decodes those.
        with contextlib.suppress(TypeError, NameError):
            msgspec.json.Decoder(kind)
            count += 1
    return count


def _known(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for below in list(kind.__subclasses__()):
        yield below
        yield from _known(below)
