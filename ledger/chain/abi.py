"""The contracts' interfaces as typed calldata: selectors, encoding, decoding of answers, events and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

import contracts
from ledger.errors import InvalidInputError, UntrustedError

#: The contracts of a genesis, in the order in which they are made.
CONTRACTS = contracts.NAMES
#: Answers of at most so many bytes are remembered as decoded, and how many of them. Most calls at a node read the same
#: few rows at every head, and decoding one costs thirty times what the contract's call does.
_REMEMBERED_BYTES, _REMEMBERED = 4_096, 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function, event or error of an interface. ``selector`` is 4 bytes (functions, errors) or 32 (events)."""

    name: str
    inputs: tuple[str, ...]
    input_names: tuple[str, ...]
    indexed: tuple[bool, ...]
    outputs: tuple[str, ...]
    selector: bytes
    #: Per output: the names of a struct's fields; empty where it is none.
    output_fields: tuple[tuple[str, ...], ...] = ()

    def encode(self, *args: object) -> bytes:
        """Calldata: selector and arguments. Raises InvalidInputError(abi.arguments)."""
        try:
            return self.selector + encode(self.inputs, args)
        except (EncodingError, ValueError, TypeError) as error:
            raise InvalidInputError(
                "abi.arguments", f"these are no arguments of {self.name}: {error}", expected=", ".join(self.inputs)
            ) from error

    def decode_output(self, data: bytes) -> tuple[Any, ...]:
        """The answer of a function. Raises UntrustedError(abi.answer): no contract of ours gave it."""
        return _decode(self.outputs, data, self.name)

    def decode_input(self, data: bytes) -> tuple[Any, ...]:
        """The arguments behind the selector (functions, errors). Raises UntrustedError(abi.answer)."""
        return _decode(self.inputs, data[4:], self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedEvent:
    """An event with its arguments by name: 32-byte values as bytes, addresses as 0x text, numbers as int."""

    contract: str
    name: str
    args: Mapping[str, Any]


class Interface:
    """One contract's interface."""

    def __init__(self, name: str, abi: Iterable[Mapping[str, Any]]) -> None:
        self.name = name
        self.functions: dict[str, Signature] = {}
        self.events: dict[bytes, Signature] = {}
        self.errors: dict[bytes, Signature] = {}
        self.constructor_inputs: tuple[str, ...] = ()
        for item in abi:
            kind = item["type"]
            if kind == "constructor":
                self.constructor_inputs = _types(item["inputs"])
            elif kind == "function":
                self.functions[item["name"]] = _signature(item, 4)
            elif kind == "event":
                signature = _signature(item, 32)
                self.events[signature.selector] = signature
            elif kind == "error":
                signature = _signature(item, 4)
                self.errors[signature.selector] = signature

    def encode(self, function: str, *args: object) -> bytes:
        """Calldata of a call. Raises InvalidInputError(abi.arguments)."""
        return self.functions[function].encode(*args)

    def decode(self, function: str, data: bytes) -> tuple[Any, ...]:
        """The answer of a call. Raises UntrustedError(abi.answer)."""
        return self.functions[function].decode_output(data)

    def decode_event(self, topics: Sequence[bytes], data: bytes) -> DecodedEvent | None:
        """An event of this interface, or None for a foreign one. Raises UntrustedError(abi.answer)."""
        signature = self.events.get(topics[0]) if topics else None
        if signature is None:
            return None
        place = iter(topics[1:])
        plain = [kind for kind, indexed in zip(signature.inputs, signature.indexed, strict=True) if not indexed]
        body = iter(_decode(tuple(plain), data, signature.name))
        args: dict[str, Any] = {}
        for name, kind, indexed in zip(signature.input_names, signature.inputs, signature.indexed, strict=True):
            if not indexed:
                args[name] = next(body)
                continue
            topic = next(place, None)
            if topic is None:
                raise UntrustedError("abi.answer", f"{signature.name} lacks the topic of {name}")
            # A dynamic value is indexed by its hash; every other kind is the 32-byte word itself.
            dynamic = kind in ("string", "bytes") or kind.endswith("]") or kind.startswith("(")
            args[name] = topic if dynamic else _decode((kind,), topic, signature.name)[0]
        return DecodedEvent(contract=self.name, name=signature.name, args=args)


@cache
def interface(name: str) -> Interface:
    """The interface of one of ``CONTRACTS``, from the committed artifacts."""
    return Interface(name, contracts.artifact(name).abi)


def _signature(item: Mapping[str, Any], width: int) -> Signature:
    inputs = _types(item["inputs"])
    selector = keccak(text=f"{item['name']}({','.join(inputs)})")[:width]
    return Signature(
        name=item["name"],
        inputs=inputs,
        input_names=tuple(entry["name"] for entry in item["inputs"]),
        indexed=tuple(bool(entry.get("indexed")) for entry in item["inputs"]),
        outputs=_types(item.get("outputs", ())),
        selector=selector,
        output_fields=tuple(
            tuple(part["name"] for part in entry.get("components", ())) for entry in item.get("outputs", ())
        ),
    )


def _types(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(collapse_if_tuple(cast(Any, entry)) for entry in entries)


def _decode(types: tuple[str, ...], data: bytes, what: str) -> tuple[Any, ...]:
    data = bytes(data)
    try:
        return _remembered(types, data) if len(data) <= _REMEMBERED_BYTES else decode(types, data)
    except (DecodingError, ValueError, OverflowError) as error:
        raise UntrustedError(
            "abi.answer",
            f"the bytes are no {what}: {error}",
            hint="the address may hold another contract, or the artifacts may be of another version",
        ) from error


@lru_cache(maxsize=_REMEMBERED)
def _remembered(types: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    # Tuples of plain values all the way down: nobody can change what the next caller gets.
    return decode(types, data)
