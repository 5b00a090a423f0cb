"""What both sides of an exchange ask the chain: whose key signs a receipt, and which rules a grant passes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import NotAllowedError, UntrustedError
from ledger.model import KeyInfo, KeyRole

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.context import NodeContext


T = TypeVar("T")


def receipt_keys(context: NodeContext, member: str, *, ended_too: bool = False) -> tuple[bytes, ...]:
    """The Ed25519 public keys a member signs receipts with now, newest first; with those retired, if asked for.

    Raises: NotAllowedError(exchange.no-receipt-key).
    """
    now_s = context.clock() // 1000
    keys = [
        key.material
        for key in context.contracts.consortium.keys(member)
        if key.role is KeyRole.RECEIPT and (usable(key, now_s) or (ended_too and key.status == "retired"))
    ]
    if not keys:
        raise NotAllowedError(
            "exchange.no-receipt-key",
            f"member {member} has no active receipt key",
            hint="it enters one with `civicledger key rotate receipt`",
            actual=member,
        )
    return tuple(reversed(keys))


def usable(key: KeyInfo, now_s: int) -> bool:
    """Whether a key speaks for its member at this time."""
    return key.status == "active" and key.valid_from <= now_s and (not key.valid_to or now_s < key.valid_to)


def by_any_key(
    context: NodeContext, member: str, check: Callable[[bytes], T], *, ended_too: bool = False
) -> tuple[bytes, T]:
    """(key, answer) of the first of a member's receipt keys under which ``check`` passes.

    Raises: UntrustedError of the last key tried; NotAllowedError(exchange.no-receipt-key).
    """
    *others, last = receipt_keys(context, member, ended_too=ended_too)
    for key in others:
        with contextlib.suppress(UntrustedError):
            return key, check(key)
    return last, check(last)
