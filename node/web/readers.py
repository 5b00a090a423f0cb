"""Who may read the entries of a log over HTTPS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.rpc.auth import Rule, check_rule, identify

if TYPE_CHECKING:
    from node.context import NodeContext


def check_entries(node: NodeContext, pem: bytes | None, owner: str) -> None:
    """Let the log's own member, the supervisor and auditors pass (design, trust boundaries), judged by the certificate
    (PEM) at the present head. This node's own member is no exception: what its mirror kept while it had a role is not
    its to read without one.

    Raises: NotAllowedError(auth.*).
    """
    caller = identify(node, pem)
    if caller.member != owner:
        check_rule(Rule.READERS, replace(caller, own=False), "reading entries")
