"""Validators that a QBFT network keeps in a contract, read from its storage by proofs under a block's state root.

The contract's first variable is ``address[] validators``, as in Besu's examples: the number stands in slot 0, the
addresses follow from ``keccak256(0)`` on. The set behind block n seals block n + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.codec import b64, keccak256, unb64
from ledger.errors import UntrustedError
from ledger.evidence import state
from ledger.evidence.fields import array, fields, text
from ledger.evidence.qbft import MAX_VALIDATORS, check_set

COUNT_SLOT: Final = bytes(32)
_FIRST: Final = int.from_bytes(keccak256(COUNT_SLOT), "big")
_MAX_NODES: Final = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSet:
    """Trie nodes, from the root down: of the contract's account, of the slot with the number, of each validator's."""

    account: tuple[bytes, ...]
    count: tuple[bytes, ...]
    validators: tuple[tuple[bytes, ...], ...]


def validator_slots(count: int) -> tuple[bytes, ...]:
    """Where so many validators stand. Raises: UntrustedError(qbft.validators)."""
    if not 1 <= count <= MAX_VALIDATORS:
        raise UntrustedError("qbft.validators", f"a set has 1 to {MAX_VALIDATORS} validators", actual=count)
    return tuple(((_FIRST + place) % 2**256).to_bytes(32, "big") for place in range(count))


def read_set(proven: ContractSet, state_root: bytes, contract: bytes) -> tuple[bytes, ...]:
    """The validators (ascending) in the contract (20 bytes) under a state root. Raises: UntrustedError(state.* |
    qbft.validators)."""
    storage = state.verify_account(state_root, contract, proven.account).storage_hash
    count = state.decode_count(state.verify_storage(storage, COUNT_SLOT, proven.count))
    slots = validator_slots(count)
    if len(proven.validators) != count:
        raise UntrustedError(
            "qbft.validators", "every validator is proven, and nothing else", expected=count,
            actual=len(proven.validators),
        )  # fmt: skip
    found = sorted(
        state.decode_address(state.verify_storage(storage, slot, nodes))
        for slot, nodes in zip(slots, proven.validators, strict=True)
    )
    check_set(found)
    return tuple(found)


def contract_set(account: Sequence[bytes], storage: Sequence[Sequence[bytes]]) -> ContractSet:
    """From an EIP-1186 answer for :data:`COUNT_SLOT` and the :func:`validator_slots`, in this order."""
    count, *validators = (tuple(nodes) for nodes in storage)
    return ContractSet(account=tuple(account), count=count, validators=tuple(validators))


def set_object(proven: ContractSet) -> dict[str, Any]:
    """The proofs as they stand in a JSON object."""
    return {
        "account": [b64(node) for node in proven.account],
        "count": [b64(node) for node in proven.count],
        "validators": [[b64(node) for node in nodes] for nodes in proven.validators],
    }


def set_from_object(value: Any) -> ContractSet:
    """The inverse of :func:`set_object`. Raises: InvalidInputError(json.fields | base64.*)."""
    proven = fields(value, frozenset({"account", "count", "validators"}))
    return ContractSet(
        account=_nodes(proven["account"]),
        count=_nodes(proven["count"]),
        validators=tuple(_nodes(nodes) for nodes in array(proven["validators"], MAX_VALIDATORS)),
    )


def _nodes(value: Any) -> tuple[bytes, ...]:
    return tuple(unb64(text(node)) for node in array(value, _MAX_NODES))
