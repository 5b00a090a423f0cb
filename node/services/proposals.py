"""The arguments of proposals as operators write them: one JSON object per kind, checked field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ledger.chain.bindings import ProposalKind
from ledger.chain.bindings.proposals import encode_admit, encode_arguments
from ledger.identifiers import ascii_bytes32, parse_handle, parse_hex32, parse_region
from ledger.model import KeyRole, Roles
from node.services import fields

#: Short words of the command line beside the kinds' own.
_ALIASES = {"set-role": "set-roles", "approve-grant": "approve-core-grant"}


def kind_of(word: str) -> ProposalKind:
    """The kind named by a word. Raises InvalidInputError(input.field)."""
    wanted = _ALIASES.get(word, word)
    for kind in ProposalKind:
        if kind.word == wanted:
            return kind
    raise fields.refuse(
        "kind",
        "is no kind of proposal",
        hint="one of " + ", ".join(kind.word for kind in ProposalKind),
        actual=ascii(word)[:40],
    )


def encode(kind: ProposalKind, arguments: Mapping[str, Any]) -> bytes:
    """The contract's bytes of a proposal's arguments. Raises InvalidInputError(input.field | identifier.*)."""
    if kind is ProposalKind.ADMIT:
        return _admit(arguments)
    parsers = _ARGUMENTS[kind]
    _exactly(arguments, set(parsers))
    return encode_arguments(kind, *(parse(name, arguments[name]) for name, parse in parsers.items()))


def _admit(arguments: Mapping[str, Any]) -> bytes:
    _exactly(arguments, {"account", "handle", "keys", "possession", "region", "roles", "uscc", "validator"})
    keys = arguments["keys"]
    if not isinstance(keys, list) or len(keys) > 31:
        raise fields.refuse("arguments.keys", "is a list of at most 31 keys")
    pairs = []
    for entry in keys:
        if not isinstance(entry, dict):
            raise fields.refuse("arguments.keys", "holds objects with role and material")
        _exactly(entry, {"role", "material"})
        pairs.append((KeyRole.from_word(_text("role", entry["role"])), _hex32("material", entry["material"])))
    return encode_admit(
        uscc=_member("uscc", arguments["uscc"]),
        handle=parse_handle(_text("handle", arguments["handle"])),
        region=parse_region(_text("region", arguments["region"])),
        roles=_roles("roles", arguments["roles"]),
        account=_hex("account", arguments["account"], 20),
        validator=_flag("validator", arguments["validator"]),
        keys=pairs,
        possession=_hex("possession", arguments["possession"], 65),
    )


def _exactly(value: Mapping[str, Any], names: set[str]) -> None:
    if value.keys() != names:
        raise fields.refuse(
            "arguments", "needs exactly " + ", ".join(sorted(names)), actual=", ".join(sorted(value))[:200]
        )


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise fields.refuse(f"arguments.{name}", "is a text")
    return value


def _member(name: str, value: Any) -> str:
    return fields.member(f"arguments.{name}", _text(name, value))


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise fields.refuse(f"arguments.{name}", "is true or false")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise fields.refuse(f"arguments.{name}", "is a number")
    return fields.number(f"arguments.{name}", value, 0, 2**32 - 1 if name == "version" else 2**53 - 1)


def _roles(name: str, value: Any) -> Roles:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise fields.refuse(f"arguments.{name}", "is a list of roles")
    return Roles.from_words(tuple(value))


def _hex32(name: str, value: Any) -> bytes:
    return parse_hex32(_text(name, value))


def _hex(name: str, value: Any, length: int) -> bytes:
    text = _text(name, value).removeprefix("0x")
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != length or text != data.hex():
        raise fields.refuse(f"arguments.{name}", f"is {length} bytes in lower-case hex")
    return data


def _account(name: str, value: Any) -> str:
    return "0x" + _hex(name, value, 20).hex()


def _possession(name: str, value: Any) -> bytes:
    return _hex(name, value, 65)


def _name(name: str, value: Any) -> bytes:
    return ascii_bytes32(_text(name, value))


def _role_bits(name: str, value: Any) -> int:
    return int(_roles(name, value))


_Parser = Callable[[str, Any], Any]
_MEMBER: dict[str, _Parser] = {"member": _member}
#: Kind -> its arguments in the contract's order.
_ARGUMENTS: dict[ProposalKind, dict[str, _Parser]] = {
    ProposalKind.SUSPEND: _MEMBER,
    ProposalKind.REINSTATE: _MEMBER,
    ProposalKind.REMOVE: _MEMBER,
    ProposalKind.SET_VALIDATOR: {**_MEMBER, "validator": _flag},
    ProposalKind.REPLACE_VALIDATOR: {"old": _member, "new": _member},
    ProposalKind.SET_ROLES: {**_MEMBER, "roles": _role_bits},
    ProposalKind.ADOPT_CODE: {"codeHash": _hex32, "adopted": _flag},
    ProposalKind.REPLACE_CONTRACT: {"name": _name, "contract": _account, "codeHash": _hex32},
    ProposalKind.ACTIVATE_VERSION: {"version": _count, "height": _count},
    ProposalKind.RETIRE_LOG: _MEMBER,
    ProposalKind.REPLACE_ACCOUNT: {**_MEMBER, "account": _account, "possession": _possession},
    ProposalKind.END_KEY: {"material": _hex32, "compromised": _flag, "since": _count},
    ProposalKind.APPROVE_CORE_GRANT: {"grant": _hex32, "consumer": _member},
}
