"""The genesis file: who founds the chain, with which keys, contracts and limits (docs/formats.md, genesis)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

import rlp
from eth_abi.abi import encode

import contracts
from ledger import codec
from ledger.chain import embedded
from ledger.chain.abi import CONTRACTS, interface
from ledger.errors import InvalidInputError
from ledger.identifiers import ascii_bytes32, member_bytes32, parse_handle, parse_region, parse_uscc
from ledger.model import KeyRole, Roles, format_time, parse_time

#: Who makes the contracts of the genesis; no key belongs to it.
DEPLOYER = bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")
MAX_GENESIS_BYTES = 8 << 20
SOLO: Final = "solo"
COMETBFT: Final = "cometbft"
#: Version of the genesis file of a recovered city.
RECOVERED_VERSION: Final = 2
EXTERNAL: Final = "external"
#: What a city made before there were licences has: the contract of later ones comes by vote (docs/operations.md).
FIRST_CONTRACTS: Final = CONTRACTS[:4]
#: The contracts a genesis file may list: those of a city made before there were licences, of one made before results
#: were recognised (its Consortium knows no hospitals, so that contract never comes), and of one made now.
CONTRACT_LISTS: Final = (FIRST_CONTRACTS, CONTRACTS[:5], CONTRACTS)
#: Who may order the transactions: one member, CometBFT among the members, or a network that somebody else runs.
ENGINES: Final = (SOLO, COMETBFT, EXTERNAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundingMember:
    """A founder. ``name`` is the public body's display name, ``account`` its 20-byte address, ``keys`` its other keys
    as (role, 32-byte material) in the order in which they are listed."""

    uscc: str
    name: str
    handle: str
    region: str
    roles: Roles
    account: bytes
    validator: bool
    keys: tuple[tuple[KeyRole, bytes], ...]

    def key(self, role: KeyRole) -> bytes | None:
        """The material of the first key listed for a role; None without one."""
        return next((material for listed, material in self.keys if listed is role), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the network: gas of a block, bytes of a raw transaction."""

    block_gas: int = 1_000_000_000
    tx_bytes: int = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a recovered city goes on from: the chain before (genesis digest, EIP-155 id), its agreed head (height,
    32-byte hash), and the validators (USCCs, ascending) that are declared lost."""

    chain: bytes
    chain_id: int
    height: int
    hash: bytes
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network that somebody else runs, on the engine ``external``: the block behind which the contracts stood
    (height, 32-byte hash) and who sealed it by QBFT (20 bytes each, ascending; none: its blocks prove nothing)."""

    height: int
    hash: bytes
    validators: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """A decoded genesis file. ``contracts`` and ``code_hashes``: by name, 20-byte address and 32-byte runtime hash.
    ``sequencer`` is empty where no member orders; ``network`` is there on ``external`` only. ``recovery`` is None for a
    city that was founded; in that of a recovered one ``members`` are the active members of the head before."""

    digest: bytes
    chain_id: int
    region: str
    time_ms: int
    engine: str
    sequencer: str
    limits: Limits
    members: tuple[FoundingMember, ...]
    contracts: Mapping[str, bytes] = field(hash=False)
    code_hashes: Mapping[str, bytes] = field(hash=False)
    recovery: Recovered | None = None
    network: Network | None = None

    def member(self, uscc: str) -> FoundingMember | None:
        """The founder with that code."""
        return next((member for member in self.members if member.uscc == uscc), None)

    @property
    def first_block(self) -> int:
        """Height of the block that this network begins with."""
        return 0 if self.recovery is None else self.recovery.height + 1

    @property
    def validators(self) -> tuple[FoundingMember, ...]:
        """The founders that vote on a CometBFT network, in the file's order."""
        return tuple(member for member in self.members if member.validator)


def contract_addresses() -> dict[str, bytes]:
    """The addresses of the contracts of a genesis: the same in every chain, because deployer and order are fixed."""
    return {name: embedded.keccak256(rlp.encode([DEPLOYER, nonce]))[12:] for nonce, name in enumerate(CONTRACTS)}


def build_genesis(
    *,
    chain_id: int,
    region: str,
    time_ms: int,
    members: Sequence[FoundingMember],
    sequencer: str,
    engine: str = "solo",
    limits: Limits | None = None,
    adopted: Sequence[bytes] = (),
    network: Network | None = None,
    addresses: Mapping[str, bytes] | None = None,
) -> bytes:
    """Write a genesis file and run it once, so that what is returned is known to start.

    ``engine`` is ``solo``, with ``sequencer`` the USCC of the member that makes blocks, or ``cometbft``, with an empty
    ``sequencer`` and at least one validator, or ``external``, with the ``network`` on which the contracts stand at
    ``addresses`` already (there is nothing to run then). ``adopted`` are keccak256 hashes of full creation code members
    may deploy from the start. Raises InvalidInputError(genesis.*, identifier.*).
    """
    limits = limits or Limits()
    _check_order(engine, sequencer, members, network)
    addresses = contract_addresses() if addresses is None else addresses
    code = creation_code(members, addresses, adopted)
    file: dict[str, Any] = {
        "chainId": chain_id,
        "contracts": [_contract_row(name, addresses, code[name]) for name in CONTRACTS],
        "engine": _engine_object(engine, sequencer, network),
        "limits": {"blockGas": limits.block_gas, "txBytes": limits.tx_bytes},
        "members": [_member_row(member) for member in members],
        "region": parse_region(region),
        "time": format_time(time_ms),
        "v": 1,
    }
    data = codec.encode(file)
    if network is None:
        embedded.new_chain(data)
    else:
        decode_genesis(data)
    return data


def recovery_genesis(
    before: bytes, *, chain_id: int, time_ms: int, members: Sequence[FoundingMember], recovery: Recovered
) -> bytes:
    """The genesis file of a city that goes on from a head of the chain of ``before`` (its genesis file): the same
    contracts and limits, another ``chain_id``, and who votes from then on. Nothing is run.

    Raises InvalidInputError(genesis.*, identifier.*).
    """
    file: dict[str, Any] = codec.decode(before, max_bytes=MAX_GENESIS_BYTES)
    file |= {
        "chainId": chain_id,
        "members": [_member_row(member) for member in members],
        "recovery": {
            "chain": recovery.chain.hex(),
            "chainId": recovery.chain_id,
            "hash": _text(recovery.hash),
            "height": recovery.height,
            "lost": list(recovery.lost),
        },
        "time": format_time(time_ms),
        "v": RECOVERED_VERSION,
    }
    data = codec.encode(file)
    decode_genesis(data)
    return data


def decode_genesis(data: bytes) -> Genesis:
    """Read a genesis file strictly. Raises InvalidInputError(genesis.field, json.*, identifier.*)."""
    file = codec.decode(data, max_bytes=MAX_GENESIS_BYTES)
    try:
        recovered = file["v"] == RECOVERED_VERSION
        known = {"chainId", "contracts", "engine", "limits", "members", "region", "time", "v"}
        _only(file, {*known, "recovery"} if recovered else known)
        engine = file["engine"]["name"]
        if file["v"] not in (1, RECOVERED_VERSION) or engine not in ((COMETBFT,) if recovered else ENGINES):
            raise InvalidInputError(
                "genesis.version",
                f"version {file['v']} with engine {engine} is not known here",
                hint=f"this software runs version 1 with the engines {', '.join(ENGINES)}, version 2 with {COMETBFT}",
            )
        _only(file["engine"], _ENGINE_FIELDS[engine])
        _only(file["limits"], {"blockGas", "txBytes"})
        names = tuple(row["name"] for row in file["contracts"])
        if not isinstance(file["members"], list) or names not in CONTRACT_LISTS:
            raise InvalidInputError("genesis.contracts", f"a genesis lists members and makes {', '.join(CONTRACTS)}")
        made = {row["name"]: row for row in file["contracts"]}
        members = tuple(_member(row) for row in file["members"])
        genesis = Genesis(
            digest=hashlib.sha256(data).digest(),
            chain_id=_natural(file["chainId"]),
            region=parse_region(file["region"]),
            time_ms=parse_time(file["time"]),
            engine=engine,
            sequencer=parse_uscc(file["engine"]["sequencer"]) if engine == SOLO else "",
            limits=Limits(block_gas=_natural(file["limits"]["blockGas"]), tx_bytes=_natural(file["limits"]["txBytes"])),
            members=members,
            contracts=MappingProxyType({name: _hex(row["address"], 20) for name, row in made.items()}),
            code_hashes=MappingProxyType({name: _hex(row["codeHash"], 32) for name, row in made.items()}),
            recovery=_recovered(file["recovery"]) if recovered else None,
            network=_network(file["engine"]) if engine == EXTERNAL else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError("genesis.field", f"the genesis file lacks or mistypes a field: {error!r}") from error
    planned = {name: address for name, address in contract_addresses().items() if name in genesis.contracts}
    if genesis.network is None and dict(genesis.contracts) != planned:
        raise InvalidInputError("genesis.contracts", "the contracts stand at other addresses than their order gives")
    _check_order(genesis.engine, genesis.sequencer, genesis.members, genesis.network)
    return genesis


def _check_order(engine: str, sequencer: str, members: Sequence[FoundingMember], network: Network | None) -> None:
    """Somebody must be able to order transactions from the first block on."""
    if (engine == EXTERNAL) != (network is not None):
        raise InvalidInputError("genesis.engine", "the engine external, and only it, stands on somebody's network")
    if network is not None and not sequencer:
        if list(network.validators) != sorted(set(network.validators)):
            raise InvalidInputError("genesis.validators", "validators of the network ascend, each once")
        return
    if engine == SOLO:
        if sequencer not in {member.uscc for member in members}:
            raise InvalidInputError("genesis.sequencer", f"the sequencer {sequencer} is no founding member")
        return
    if engine != COMETBFT or sequencer:
        raise InvalidInputError("genesis.engine", f"no such engine, or one without a sequencer: {engine} {sequencer}")
    validators = [member for member in members if member.validator]
    keys = [material for member in validators for role, material in member.keys if role is KeyRole.CONSENSUS]
    if not validators or len(keys) != len(validators) or len(set(keys)) != len(keys):
        raise InvalidInputError(
            "genesis.validators",
            "a network on CometBFT needs validators, each with one consensus key of its own",
            expected=len(validators),
            actual=len(set(keys)),
        )


_ENGINE_FIELDS: Final[Mapping[str, set[str]]] = {
    SOLO: {"name", "sequencer"},
    COMETBFT: {"name"},
    EXTERNAL: {"name", "hash", "height", "validators"},
}


def _engine_object(engine: str, sequencer: str, network: Network | None) -> dict[str, Any]:
    if network is not None:
        validators = [_text(item) for item in network.validators]
        return {"hash": _text(network.hash), "height": network.height, "name": engine, "validators": validators}
    return {"name": engine, "sequencer": sequencer} if engine == SOLO else {"name": engine}


def _network(row: Mapping[str, Any]) -> Network:
    if not isinstance(row["validators"], list):
        raise InvalidInputError("genesis.field", "validators of the network are a list")
    return Network(
        height=_natural(row["height"]),
        hash=_hex(row["hash"], 32),
        validators=tuple(_hex(item, 20) for item in row["validators"]),
    )


def creation_code(
    members: Sequence[FoundingMember], addresses: Mapping[str, bytes], adopted: Sequence[bytes]
) -> dict[str, bytes]:
    """Creation code with constructor arguments by contract name; ``addresses``: where each will stand."""
    founders = [
        (
            member_bytes32(member.uscc),
            ascii_bytes32(parse_handle(member.handle)),
            int(parse_region(member.region)),
            int(member.roles),
            member.account,
            member.validator,
            [(int(role), material) for role, material in member.keys],
        )
        for member in members
    ]
    others = CONTRACTS[1:]
    arguments = encode(
        interface("Consortium").constructor_inputs,
        (founders, [ascii_bytes32(name) for name in others], [addresses[name] for name in others], list(adopted)),
    )
    code = {"Consortium": contracts.artifact("Consortium").bytecode + arguments}
    for name in others:
        code[name] = contracts.artifact(name).bytecode + encode(["address"], [addresses["Consortium"]])
    return code


def _contract_row(name: str, addresses: Mapping[str, bytes], code: bytes) -> dict[str, str]:
    runtime = contracts.artifact(name).runtime(addresses["Consortium"])
    return {
        "address": _text(addresses[name]),
        "code": _text(code),
        "codeHash": _text(embedded.keccak256(runtime)),
        "name": name,
    }


def _member_row(member: FoundingMember) -> dict[str, Any]:
    return {
        "account": _text(member.account),
        "handle": parse_handle(member.handle),
        "keys": [{"material": _text(material), "role": role.word} for role, material in member.keys],
        "name": member.name,
        "region": parse_region(member.region),
        "roles": list(member.roles.words),
        "uscc": parse_uscc(member.uscc),
        "validator": member.validator,
    }


def _member(row: Mapping[str, Any]) -> FoundingMember:
    _only(row, {"account", "handle", "keys", "name", "region", "roles", "uscc", "validator"})
    if not isinstance(row["name"], str) or not isinstance(row["validator"], bool):
        raise InvalidInputError("genesis.field", "name is text and validator is true or false", actual=row["uscc"])
    return FoundingMember(
        uscc=parse_uscc(row["uscc"]),
        name=row["name"],
        handle=parse_handle(row["handle"]),
        region=parse_region(row["region"]),
        roles=Roles.from_words(tuple(row["roles"])),
        account=_hex(row["account"], 20),
        validator=row["validator"],
        keys=tuple((KeyRole.from_word(key["role"]), _hex(key["material"], 32)) for key in row["keys"]),
    )


def _recovered(row: Mapping[str, Any]) -> Recovered:
    _only(row, {"chain", "chainId", "hash", "height", "lost"})
    lost = tuple(parse_uscc(uscc) for uscc in row["lost"])
    if list(lost) != sorted(set(lost)) or row["height"] == 0 or not isinstance(row["chain"], str):
        raise InvalidInputError("genesis.field", "lost members stand once and ascending; a recovery is after block 0")
    return Recovered(
        chain=_hex("0x" + row["chain"], 32),
        chain_id=_natural(row["chainId"]),
        height=_natural(row["height"]),
        hash=_hex(row["hash"], 32),
        lost=lost,
    )


def _only(value: Mapping[str, Any], known: set[str]) -> None:
    if set(value) != known:
        raise InvalidInputError(
            "genesis.field",
            "fields are missing or unknown",
            expected=", ".join(sorted(known)),
            actual=", ".join(sorted(value)),
        )


def _natural(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError("genesis.field", "a number of the genesis file is not a positive integer", actual=value)
    return value


def _text(value: bytes) -> str:
    return "0x" + value.hex()


def _hex(value: object, length: int) -> bytes:
    text = cast(str, value)
    if not isinstance(value, str) or len(text) != 2 + 2 * length or not text.startswith("0x") or text != text.lower():
        raise InvalidInputError("genesis.field", f"{length} bytes as lower-case hex with 0x are expected", actual=value)
    try:
        found = bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidInputError("genesis.field", f"not hexadecimal: {error}", actual=value) from error
    if len(found) != length:  # blanks are no digits
        raise InvalidInputError("genesis.field", f"{length} bytes as lower-case hex with 0x are expected", actual=value)
    return found
