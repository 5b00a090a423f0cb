"""What the bindings share: reading through a call function, structs by name, events of a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ledger.chain.abi import CONTRACTS, DecodedEvent, interface
from ledger.chain.blocks import Receipt
from ledger.errors import InvalidInputError, NotFoundError, UntrustedError
from ledger.identifiers import member_from_bytes32

#: The most items the contracts return at once.
PAGE = 200
NO_ID = bytes(32)
NO_ADDRESS = bytes(20)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Makes a value that no contract of ours holds (a status 9, a member id that is no code) an UntrustedError."""
    try:
        yield
    except (ValueError, KeyError, InvalidInputError) as error:
        raise UntrustedError(
            "abi.answer",
            f"the chain's answer is no {what}: {error}",
            hint="the contracts may be of a newer version than this software, or the node asked is lying",
        ) from error


class ContractCall(Protocol):
    """Reads a contract: ``EmbeddedChain.call`` or ``ChainClient.call``. A revert raises ``contract.*``."""

    def __call__(self, to: bytes, data: bytes, height: int | None = None) -> bytes: ...


class Binding:
    """One contract at one address. ``height`` of every read: None is the head."""

    contract = ""

    def __init__(self, call: ContractCall, address: bytes) -> None:
        self.address = address
        self._call = call
        self._interface = interface(self.contract)

    def encode(self, function: str, *args: object) -> bytes:
        """Calldata of any function by name; the ``encode_…`` methods are its typed forms."""
        return self._interface.encode(function, *args)

    def _read(self, function: str, *args: object, height: int | None = None) -> tuple[Any, ...]:
        data = self._interface.encode(function, *args)
        return self._interface.decode(function, self._call(self.address, data, height))

    def _named(self, function: str, values: tuple[Any, ...], output: int = 0) -> dict[str, Any]:
        """A struct of a function's answer as a dict by field name."""
        return dict(zip(self._interface.functions[function].output_fields[output], values, strict=True))

    def _found(self, function: str, *args: object, height: int | None = None) -> dict[str, Any] | None:
        """The struct a reading function answers with, or None where the contract says it knows no such thing."""
        try:
            return self._named(function, self._read(function, *args, height=height)[0])
        except NotFoundError as error:
            # The chain's own "that height is gone" must not look like an absent member.
            if not error.code.startswith("contract."):
                raise
            return None


def decode_events(receipt: Receipt) -> list[DecodedEvent]:
    """The events of our contracts in a receipt, in order; foreign ones are left out."""
    out = []
    for entry in receipt.logs:
        for name in CONTRACTS:
            event = interface(name).decode_event(entry.topics, entry.data)
            if event is not None:
                out.append(event)
                break
    return out


def paged(read: Callable[[int, int], tuple[tuple[bytes, ...], tuple[Any, ...]]]) -> Iterator[tuple[bytes, Any]]:
    """Every (id, struct) of a paging view, page by page."""
    first = 0
    while True:
        ids, items = read(first, PAGE)
        yield from zip(ids, items, strict=True)
        if len(ids) < PAGE:
            return
        first += PAGE


def member_or_none(value: bytes) -> str:
    """The USCC in a member id, empty for the zero id."""
    return "" if value == NO_ID else member_from_bytes32(value)
