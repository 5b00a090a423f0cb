"""The kinds of change members vote on: encoding of the arguments, and what a proposal would do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from eth_abi.abi import encode

from ledger.chain.abi import Signature
from ledger.identifiers import ascii_bytes32, member_bytes32, member_from_bytes32, parse_handle, parse_region
from ledger.model import KeyRole, Roles

_FOUNDER = "(bytes32,bytes32,uint32,uint32,address,bool,(uint8,bytes32)[])"


class ProposalKind(IntEnum):
    """What a proposal changes."""

    ADMIT = 1
    SUSPEND = 2
    REINSTATE = 3
    REMOVE = 4
    SET_VALIDATOR = 5
    REPLACE_VALIDATOR = 6
    SET_ROLES = 7
    ADOPT_CODE = 8
    REPLACE_CONTRACT = 9
    ACTIVATE_VERSION = 10
    RETIRE_LOG = 11
    REPLACE_ACCOUNT = 12
    END_KEY = 13
    APPROVE_CORE_GRANT = 14

    @property
    def word(self) -> str:
        """``SET_ROLES`` as ``set-roles``."""
        return self.name.lower().replace("_", "-")


_MEMBER = (("member", "bytes32"),)
#: Kind -> (name, ABI type) of its arguments.
_ARGUMENTS: dict[ProposalKind, tuple[tuple[str, str], ...]] = {
    ProposalKind.ADMIT: (("body", _FOUNDER), ("possession", "bytes")),
    ProposalKind.SUSPEND: _MEMBER,
    ProposalKind.REINSTATE: _MEMBER,
    ProposalKind.REMOVE: _MEMBER,
    ProposalKind.SET_VALIDATOR: (*_MEMBER, ("validator", "bool")),
    ProposalKind.REPLACE_VALIDATOR: (("old", "bytes32"), ("new", "bytes32")),
    ProposalKind.SET_ROLES: (*_MEMBER, ("roles", "uint32")),
    ProposalKind.ADOPT_CODE: (("codeHash", "bytes32"), ("adopted", "bool")),
    ProposalKind.REPLACE_CONTRACT: (("name", "bytes32"), ("contract", "address"), ("codeHash", "bytes32")),
    ProposalKind.ACTIVATE_VERSION: (("version", "uint32"), ("height", "uint64")),
    ProposalKind.RETIRE_LOG: _MEMBER,
    ProposalKind.REPLACE_ACCOUNT: (*_MEMBER, ("account", "address"), ("possession", "bytes")),
    ProposalKind.END_KEY: (("material", "bytes32"), ("compromised", "bool"), ("since", "uint64")),
    ProposalKind.APPROVE_CORE_GRANT: (("grant", "bytes32"), ("consumer", "bytes32")),
}
_MEMBER_NAMES = frozenset({"member", "old", "new", "consumer"})


def encode_arguments(kind: ProposalKind, *args: object) -> bytes:
    """ABI bytes of a kind's arguments: members as USCC, the rest as the contract's types.

    Raises InvalidInputError(abi.arguments).
    """
    names = [name for name, _ in _ARGUMENTS[kind]]
    values = [
        member_bytes32(value) if name in _MEMBER_NAMES and isinstance(value, str) else value
        for name, value in zip(names, args, strict=True)
    ]
    return _signature(kind).encode(*values)


def encode_admit(
    *,
    uscc: str,
    handle: str,
    region: str,
    roles: Roles,
    account: bytes,
    validator: bool,
    keys: Sequence[tuple[KeyRole, bytes]],
    possession: bytes,
) -> bytes:
    """Arguments of an admission. ``keys`` without the account key; ``possession``: 65 bytes by the new account."""
    body = (
        member_bytes32(uscc),
        ascii_bytes32(parse_handle(handle)),
        int(parse_region(region)),
        int(roles),
        account,
        validator,
        [(int(role), material) for role, material in keys],
    )
    return encode([_FOUNDER, "bytes"], [body, possession])


def decode_arguments(kind: ProposalKind, data: bytes) -> dict[str, Any]:
    """What a proposal would do, JSON-ready: members as USCC, other bytes as hex."""
    values = _signature(kind).decode_output(data)
    out: dict[str, Any] = {}
    for (name, _), value in zip(_ARGUMENTS[kind], values, strict=True):
        if name == "body":
            out.update(_admitted(value))
        elif name in _MEMBER_NAMES:
            out[name] = member_from_bytes32(value)
        else:
            out[name] = _shown(value)
    return out


def _admitted(body: tuple[Any, ...]) -> dict[str, Any]:
    uscc, handle, region, roles, account, validator, keys = body
    return {
        "member": member_from_bytes32(uscc),
        "handle": _shown(handle),
        "region": f"{region:06d}",
        "roles": list(Roles(roles).words),
        "account": account,
        "validator": validator,
        "keys": [{"role": KeyRole(role).word, "material": material.hex()} for role, material in keys],
    }


def _shown(value: object) -> object:
    if not isinstance(value, bytes):
        return value
    body = value.rstrip(b"\0")
    if len(value) == 32 and body and all(0x21 <= byte <= 0x7E for byte in body):
        return body.decode()
    return "0x" + value.hex()


def _signature(kind: ProposalKind) -> Signature:
    """The arguments as a function without selector: the contract decodes plain ABI bytes."""
    pairs = _ARGUMENTS[kind]
    return Signature(
        name=f"proposal {kind.word}",
        inputs=tuple(type_ for _, type_ in pairs),
        input_names=tuple(name for name, _ in pairs),
        indexed=(),
        outputs=tuple(type_ for _, type_ in pairs),
        selector=b"",
    )
