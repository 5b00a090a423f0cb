"""A city of five members on a chain, and short words for what the tests do with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import brownie
from contract_targets import GAS, RpcError, Target
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address

import contracts

DEPLOYER = "0xfffffffffffffffffffffffffffffffffffffffe"
#: CREATE from the deployer with nonce 0 to 5.
ADDRESSES = {
    name: to_checksum_address(
        keccak(b"\xd6\x94" + bytes.fromhex(DEPLOYER[2:]) + (bytes([nonce]) if nonce else b"\x80"))[12:]
    )
    for nonce, name in enumerate(contracts.NAMES)
}
SUPERVISOR, AUDITOR, QUALITY, HEALTH, HOSPITAL = 1, 2, 4, 8, 16
ACCOUNT, CONSENSUS, SEQUENCER, P2P, TLS, LOG, WITNESS, RECEIPT, ISSUER = range(1, 10)
ZERO = bytes(32)
DAY = 86_400


def digest(*parts: object) -> bytes:
    """32 bytes that stand for something named by the parts."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).digest()


def word(text: str) -> bytes:
    """ASCII text left-aligned in 32 bytes."""
    return text.encode().ljust(32, b"\0")


def dataset_id(provider: bytes, code: str) -> bytes:
    """docs/formats.md: the id of a dataset."""
    return hashlib.sha256(b"civicledger/dataset/v1\n" + provider[:18] + b"\n" + code.encode()).digest()


def licence_code(body: Party, number: int = 1) -> bytes:
    """A licence type code of a body, as on chain."""
    return (body.id[:18] + f"{number:03d}".encode()).ljust(32, b"\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody with an account. ``id`` is zero for an outsider."""

    name: str
    id: bytes
    account: Any

    def material(self, role: int, number: int = 0) -> bytes:
        """Key material made up for this party."""
        if role == ACCOUNT:
            return bytes.fromhex(self.account.address[2:]).rjust(32, b"\0")
        return digest("key", self.name, role, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    contract: str
    name: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A transaction that succeeded."""

    events: tuple[Event, ...]
    gas: int
    hash: str

    def only(self, name: str) -> dict[str, Any]:
        """Arguments of the one event of that name."""
        found = [event.args for event in self.events if event.name == name]
        assert len(found) == 1, f"{len(found)} events {name} among {[event.name for event in self.events]}"
        return found[0]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(_type(item) for item in entry['inputs'])})"


def _type(item: dict[str, Any]) -> str:
    if item["type"].startswith("tuple"):
        inner = ",".join(_type(part) for part in item["components"])
        return f"({inner}){item['type'][5:]}"
    return str(item["type"])


class Interface:
    """Functions, events and errors of the contracts by name, from the committed artifacts."""

    def __init__(self) -> None:
        self.functions = {
            f"{name}.{entry['name']}": entry
            for name in contracts.NAMES
            for entry in contracts.artifact(name).abi
            if entry["type"] == "function"
        }
        self.events = {
            keccak(text=_signature(entry)): (name, entry)
            for name in contracts.NAMES
            for entry in contracts.artifact(name).abi
            if entry["type"] == "event"
        }
        self.errors = {keccak(text=_signature(entry))[:4]: entry for entry in contracts.errors()}

    def encode(self, function: str, args: tuple[Any, ...]) -> str:
        entry = self.functions[function]
        types = [_type(item) for item in entry["inputs"]]
        return "0x" + (keccak(text=_signature(entry))[:4] + encode(types, args)).hex()

    def decode(self, function: str, data: str) -> Any:
        outputs = self.functions[function]["outputs"]
        values = decode([_type(item) for item in outputs], bytes.fromhex(data[2:]))
        named = [_named(item, value) for item, value in zip(outputs, values, strict=True)]
        return named[0] if len(named) == 1 else tuple(named)

    def event(self, log: dict[str, Any]) -> Event:
        contract, entry = self.events[bytes.fromhex(log["topics"][0][2:])]
        indexed = [item for item in entry["inputs"] if item["indexed"]]
        plain = [item for item in entry["inputs"] if not item["indexed"]]
        args = {
            item["name"]: decode([_type(item)], bytes.fromhex(topic[2:]))[0]
            for item, topic in zip(indexed, log["topics"][1:], strict=True)
        }
        values = decode([_type(item) for item in plain], bytes.fromhex(log["data"][2:]))
        args |= {item["name"]: value for item, value in zip(plain, values, strict=True)}
        return Event(contract=contract, name=entry["name"], args=args)

    def error(self, data: str) -> tuple[Any, ...]:
        """(name, argument, ...) of revert data."""
        raw = bytes.fromhex(data[2:])
        entry = self.errors.get(raw[:4])
        if entry is None:
            return ("", data)
        return (entry["name"], *decode([_type(item) for item in entry["inputs"]], raw[4:]))


INTERFACE = Interface()
#: Gas of every transaction that succeeded, by function (the summary of --gas).
GAS_USED: dict[str, list[int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """Five members and an outsider. Two provide, one consumes, one supervises, one audits; all five validate. Where
    results are recognised, water has a hospital, civil assesses quality, and health is the commission."""

    target: Target
    water: Party
    civil: Party
    health: Party
    bigdata: Party
    audit: Party
    outsider: Party

    @property
    def members(self) -> tuple[Party, ...]:
        return (self.water, self.civil, self.health, self.bigdata, self.audit)

    @property
    def now(self) -> int:
        return self.target.now

    def send(self, sender: Party, function: str, *args: Any, gas: int = GAS) -> Done:
        """A transaction that must succeed."""
        address = ADDRESSES[function.split(".")[0]]
        data = INTERFACE.encode(function, args)
        receipt = self.target.transact(sender.account, address, data, gas)
        if receipt["status"] != "0x1":
            raise AssertionError(f"{function} reverted: {self._revert(sender, address, data)}")
        made = done(receipt)
        GAS_USED.setdefault(function, []).append(made.gas)
        return made

    def attempt(self, sender: Party, function: str, *args: Any) -> tuple[Any, ...]:
        """A transaction that may be refused: (), or the error it is refused with."""
        address = ADDRESSES[function.split(".")[0]]
        data = INTERFACE.encode(function, args)
        receipt = self.target.transact(sender.account, address, data)
        return () if receipt["status"] == "0x1" else self._revert(sender, address, data)

    def refusal(self, sender: Party, function: str, *args: Any) -> tuple[Any, ...]:
        """(error name, argument, ...) with which a call is refused; it is an error of the test when it is not."""
        return self._revert(sender, ADDRESSES[function.split(".")[0]], INTERFACE.encode(function, args))

    def read(self, function: str, *args: Any, sender: Party | None = None) -> Any:
        """Value of a view."""
        call = {"to": ADDRESSES[function.split(".")[0]], "data": INTERFACE.encode(function, args), "gas": hex(GAS)}
        if sender is not None:
            call["from"] = sender.account.address
        return INTERFACE.decode(function, self.target.rpc("eth_call", call, "latest"))

    def slot(self, contract: str, slot: int) -> bytes:
        """A word of storage."""
        found = self.target.rpc("eth_getStorageAt", ADDRESSES[contract], hex(slot), "latest")
        return bytes.fromhex(found[2:]).rjust(32, b"\0")

    def newcomer(self, name: str, uscc: str) -> Party:
        return Party(name=name, id=word(uscc), account=account_of(name))

    # --- what several test modules do ---

    def propose(self, sender: Party, kind: int, types: list[str], *values: Any, days: float = 7) -> int:
        data = encode(types, values)
        made = self.send(sender, "Consortium.propose", kind, data, self.now + int(days * DAY))
        return int(made.only("Proposed")["proposalId"])

    def vote(self, proposal: int, *voters: Party, yes: bool = True) -> None:
        for voter in voters:
            self.send(voter, "Consortium.vote", proposal, yes)

    def decide(self, kind: int, types: list[str], *values: Any, without: tuple[Party, ...] = ()) -> Done:
        """Propose, let everybody else vote yes, execute."""
        voters = [member for member in self.members if member not in without]
        proposal = self.propose(voters[0], kind, types, *values)
        self.vote(proposal, *voters)
        return self.send(voters[0], "Consortium.execute", proposal)

    def publish(self, provider: Party, code: str, sharing: int = 2, level: int = 1) -> bytes:
        made = dataset_id(provider.id, code)
        basis = digest("basis", code) if sharing == 3 else ZERO
        self.send(provider, "Directory.publishDataset", made, sharing, level, digest("meta", code), basis, code)
        return made

    def request(self, consumer: Party, dataset: bytes, *, ceiling: int = 100, days: int = 30) -> bytes:
        made = self.send(consumer, "Grants.request", *self.terms(dataset, ceiling=ceiling, days=days))
        return bytes(made.only("GrantRequested")["id"])

    def terms(self, dataset: bytes, *, ceiling: int = 100, days: int = 30) -> tuple[Any, ...]:
        """Arguments of Grants.request."""
        now = self.now
        return (
            dataset, word("public-service"), word("matter-1"), digest("scope"), digest("odrl"), ceiling,
            now + days * DAY, now + 10 * DAY,
        )  # fmt: skip

    def active(self, grant: bytes, dataset: bytes, consumer: Party, at: int | None = None) -> tuple[bool, int]:
        time = self.now if at is None else at
        return tuple(self.read("Grants.isActive", grant, dataset, consumer.id, word("public-service"), time))

    def _revert(self, sender: Party, address: str, data: str) -> tuple[Any, ...]:
        call = {"from": sender.account.address, "to": address, "data": data, "gas": hex(GAS)}
        try:
            answer = self.target.rpc("eth_call", call, "latest")
        except RpcError as error:
            return INTERFACE.error(error.data or "0x")
        raise AssertionError(f"the call was not refused, it answered {answer}")


def done(receipt: dict[str, Any]) -> Done:
    """A succeeded receipt, its logs decoded."""
    events = tuple(INTERFACE.event(log) for log in receipt["logs"])
    return Done(events=events, gas=int(receipt["gasUsed"], 16), hash=receipt["transactionHash"])


def account_of(name: str) -> Any:
    """The same account for the same name, in brownie's keeping."""
    return brownie.accounts.add("0x" + digest("account", name).hex())


FOUNDERS = (
    # name, code, roles
    ("water", "11310000MB2F00001F", HOSPITAL),
    ("civil", "11310000MB2F00002J", QUALITY),
    ("health", "11310000MB2F00003M", HEALTH),
    ("bigdata", "11310000MB2F00004Q", SUPERVISOR),
    ("audit", "11310000MB2F00005U", AUDITOR),
)


def founder(
    party: Party, roles: int, *, validator: bool = True, handle: str | None = None, region: int = 310000
) -> tuple[Any, ...]:
    """The Founder struct of a party with the usual keys."""
    keys = [(role, party.material(role)) for role in range(CONSENSUS, ISSUER + 1)]
    return (party.id, word(handle or party.name), region, roles, party.account.address, validator, keys)


def constructor_data(name: str, types: list[str], *values: Any) -> str:
    return "0x" + (contracts.artifact(name).bytecode + encode(types, values)).hex()


FOUNDER_TYPE = "(bytes32,bytes32,uint32,uint32,address,bool,(uint8,bytes32)[])"
CONSORTIUM_TYPES = [f"{FOUNDER_TYPE}[]", "bytes32[]", "address[]", "bytes32[]"]


def founders() -> list[Party]:
    """The five members, the same on every chain."""
    return [Party(name=name, id=word(uscc), account=account_of(name)) for name, uscc, _ in FOUNDERS]


def genesis_members() -> list[dict[str, Any]]:
    """The five members as ``own_chain.py`` reads them."""
    return [
        {
            "uscc": uscc,
            "handle": name,
            "region": "310000",
            "roles": roles,
            "account": party.account.address[2:].lower(),
            "keys": [(role, party.material(role).hex()) for role in range(CONSENSUS, ISSUER + 1)],
        }
        for party, (name, uscc, roles) in zip(founders(), FOUNDERS, strict=True)
    ]


def found_city(target: Target) -> City:
    """On anvil: deploy as genesis does, from the same address with the same nonces. On our chain genesis did it."""
    parties = founders()
    if target.kind == "anvil":
        structs = [founder(party, roles) for party, (_, _, roles) in zip(parties, FOUNDERS, strict=True)]
        others = contracts.NAMES[1:]
        names, addresses = [word(name) for name in others], [ADDRESSES[name] for name in others]
        deploy(target, constructor_data("Consortium", CONSORTIUM_TYPES, structs, names, addresses, []))
        for name in others:
            deploy(target, constructor_data(name, ["address"], ADDRESSES["Consortium"]))
    target.idle = parties[-1].account
    outsider = Party(name="outsider", id=ZERO, account=account_of("outsider"))
    return City(target=target, outsider=outsider, **{party.name: party for party in parties})


def deploy(target: Target, data: str, sender: str = DEPLOYER) -> str:
    """Create a contract from an address without a key (anvil); its address."""
    target.rpc("anvil_impersonateAccount", sender)
    if target.watch is not None:
        target.watch({"from": sender, "data": data, "gas": hex(GAS)})
    sent = target.rpc("eth_sendTransaction", {"from": sender, "data": data, "gas": hex(GAS), "gasPrice": "0x0"})
    receipt = target.receipt(sent)
    assert receipt["status"] == "0x1"
    return str(receipt["contractAddress"])


def _named(item: dict[str, Any], value: Any) -> Any:
    if item["type"] == "tuple":
        parts = zip(item["components"], value, strict=True)
        return SimpleNamespace(**{part["name"]: _named(part, entry) for part, entry in parts})
    if item["type"] == "tuple[]":
        return [_named({**item, "type": "tuple"}, entry) for entry in value]
    return list(value) if isinstance(value, tuple) else value
