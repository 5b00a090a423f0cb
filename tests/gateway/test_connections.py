"""The gateway's HTTPS port gives a slow client up, as a node's does (tests/node/core/test_connections.py)."""

from __future__ import annotations

from pathlib import Path

import node.web.connections
from gateway import connections, serving


def test_the_gateway_has_the_same_deadlines_as_a_node() -> None:
    """Node and gateway never import each other, so the few lines stand twice; they must not drift apart."""
    ours, theirs = (Path(str(module.__file__)).read_text("utf-8") for module in (connections, node.web.connections))
    assert ours == theirs
    assert serving.PromptConnection is connections.PromptConnection
