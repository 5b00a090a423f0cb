"""Ports for the servers of a city on one machine."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
#: What this process gave away and perhaps does not listen on yet.
_given: set[int] = set()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """TCP ports of a loopback address on which nobody listens, all different, none given twice by one process.

    They lie below the range from which the system takes the client side of connections: a node that restarts must not
    find its port taken by one.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _LOWEST + secrets.randbelow(_first_ephemeral() - _LOWEST)
        if port in _given:
            continue
        with socket.socket() as one, suppress(OSError):
            one.bind((host, port))
            _given.add(port)
            ports.append(port)
    return ports


def _first_ephemeral() -> int:
    try:
        first = int(_RANGE.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first = 0
    # RFC 6335 section 6 where the system does not say; at least a thousand ports to choose from.
    return first if first >= _LOWEST + 1_000 else 49_152
