"""What the contracts refuse, in plain words: revert data -> name, arguments, one of our errors with the next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ledger.chain.abi import CONTRACTS, Signature, interface
from ledger.chain.refusals import REFUSALS
from ledger.errors import ConflictError, LedgerError, UntrustedError

_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS = {0x01: "assertion failed", 0x11: "arithmetic overflow", 0x12: "division by zero", 0x32: "index out of range"}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def decode_revert(data: bytes) -> tuple[str, Mapping[str, Any], str]:
    """(name, arguments by name, message) of revert data. The name is ``""`` where the data names nothing we know."""
    selector = data[:4]
    if selector == _ERROR:
        reason = _decode_builtin(("string",), data)
        return "Error", MappingProxyType({"reason": reason}), f"the contract refused: {reason}"
    if selector == _PANIC:
        code = _decode_builtin(("uint256",), data)
        return "Panic", MappingProxyType({"code": code}), f"the contract failed: {_PANICS.get(code, hex(code))}"
    for contract in CONTRACTS:
        signature = interface(contract).errors.get(selector)
        if signature is None:
            continue
        try:
            values = signature.decode_input(data)
        except UntrustedError:
            break
        args = dict(zip(signature.input_names, values, strict=True))
        return signature.name, MappingProxyType(args), _message(signature, args)
    shown = f"0x{data[:68].hex()}" if data else "no reason (out of gas, or no contract of ours)"
    return "", MappingProxyType({}), f"the contract refused with {shown}"


def revert_error(data: bytes) -> LedgerError:
    """The refusal as an error: ``contract.<contract>-<reason>`` in lower case, e.g. ``contract.grants-closed``;
    ``contract.reverted`` where no reason is known."""
    name, args, message = decode_revert(data)
    refusal = REFUSALS.get(name)
    if refusal is None:
        return ConflictError("contract.reverted", message, hint="check the arguments and the contract's address")
    shown = {name: _show(value) for name, value in args.items()}
    return refusal.kind(error_code(name), message, hint=refusal.hint.format(**shown))


def error_code(name: str) -> str:
    """``Grants__WrongDeadline`` -> ``contract.grants-wrong-deadline``."""
    return "contract." + _WORD.sub("-", name.replace("__", "-")).lower()


def _decode_builtin(types: tuple[str, ...], data: bytes) -> Any:
    signature = Signature(name="revert", inputs=types, input_names=(), indexed=(), outputs=(), selector=data[:4])
    try:
        return signature.decode_input(data)[0]
    except UntrustedError:
        return 0 if types == ("uint256",) else "(unreadable)"


def _message(signature: Signature, args: Mapping[str, Any]) -> str:
    shown = {name: _show(value) for name, value in args.items()}
    refusal = REFUSALS.get(signature.name)
    if refusal is None:
        listed = ", ".join(f"{name} {value}" for name, value in shown.items())
        return f"the contract refused: {signature.name} ({listed})"
    return refusal.message.format(**shown)


def _show(value: object) -> str:
    """A member id or name as its text, other bytes as hex, the rest as it is."""
    if not isinstance(value, bytes):
        return str(value)
    body = value.rstrip(b"\0")
    if len(value) == 32 and body and all(0x21 <= byte <= 0x7E for byte in body):
        return body.decode()
    return "0x" + value.hex()
