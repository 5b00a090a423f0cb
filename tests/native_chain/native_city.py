"""Five members on the real contracts, straight on the native door: keys, genesis, signed transactions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import rlp
from stdnum.cn import uscc

from ledger import _native
from ledger.chain.abi import interface
from ledger.chain.genesis import FoundingMember, build_genesis, contract_addresses
from ledger.identifiers import ascii_bytes32, dataset_id, member_bytes32
from ledger.model import KeyRole, Roles

CHAIN_ID = 330_000
#: 2026-11-22T00:00:00Z
START_MS = 1_795_305_600_000
ZERO = bytes(32)


def digest(*words: object) -> bytes:
    """A 32-byte value that differs by its words."""
    return hashlib.sha256(repr(words).encode()).digest()


@dataclass(slots=True, kw_only=True)
class Member:
    """A founding member with its account key and the next nonce it will sign."""

    uscc: str
    secret: bytes
    account: bytes
    nonce: int = 0

    @property
    def id(self) -> bytes:
        """Its id on the chain."""
        return member_bytes32(self.uscc)


def make_member(number: int) -> Member:
    """Member number ``number`` (0 to 89): the same keys every time."""
    base = f"11310000MB2F300{number:02d}"
    secret = digest("account", number)
    account = _native.keccak256(_native.secp256k1_public(secret))[12:]
    return Member(uscc=base + uscc.calc_check_digit(base), secret=secret, account=account)


def make_genesis(members: list[Member], adopted: tuple[bytes, ...] = ()) -> bytes:
    """Member 0 supervises, member 1 audits; all validate."""
    roles = [Roles.SUPERVISOR, Roles.AUDITOR, *[Roles(0)] * len(members)]
    founders = [
        FoundingMember(
            uscc=member.uscc,
            name=f"Department {place}",
            handle=f"dept-{place}",
            region="310000",
            roles=roles[place],
            account=member.account,
            validator=True,
            keys=tuple((role, digest("key", place, int(role))) for role in KeyRole if role is not KeyRole.ACCOUNT),
        )
        for place, member in enumerate(members)
    ]
    return build_genesis(
        chain_id=CHAIN_ID,
        region="310000",
        time_ms=START_MS,
        members=founders,
        sequencer=members[0].uscc,
        adopted=adopted,
    )


def sign(member: Member, to: bytes | None, data: bytes, *, kind: int = 2, gas: int = 600_000, **over: Any) -> bytes:
    """A signed raw transaction of type 0, 1 or 2 at price 0 with the member's next nonce (which is then used up)."""
    nonce = over.pop("nonce", None)
    if nonce is None:
        nonce, member.nonce = member.nonce, member.nonce + 1
    chain, value, tip, fee = (over.get(k, d) for k, d in (("chain", CHAIN_ID), ("value", 0), ("tip", 0), ("fee", 0)))
    slots = over.get("access", [])
    target = to or b""
    if kind == 0:
        fields: list[Any] = [nonce, fee, gas, target, value, data]
        v, r, s = _signature(member, rlp.encode([*fields, chain, 0, 0]))
        return bytes(rlp.encode([*fields, v + 35 + 2 * chain, r, s]))
    fees = [fee] if kind == 1 else [tip, fee]
    fields = [chain, nonce, *fees, gas, target, value, data, slots]
    prefix = bytes([kind])
    return prefix + bytes(rlp.encode([*fields, *_signature(member, prefix + rlp.encode(fields))]))


def _signature(member: Member, message: bytes) -> tuple[int, int, int]:
    signature = _native.secp256k1_sign(member.secret, _native.keccak256(message))
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def calldata(contract: str, function: str, *args: object) -> bytes:
    """Calldata of one of the four contracts."""
    return interface(contract).functions[function].encode(*args)


@dataclass(slots=True, kw_only=True)
class City:
    """A chain of five members and the rows a store would hold."""

    chain: _native.Chain
    genesis: bytes
    members: list[Member]
    rows: dict[bytes, bytes]
    contracts: dict[str, bytes] = field(default_factory=contract_addresses)
    #: State roots by height.
    roots: list[bytes] = field(default_factory=list)

    @classmethod
    def found(cls, adopted: tuple[bytes, ...] = ()) -> City:
        """Block 0."""
        members = [make_member(number) for number in range(5)]
        genesis = make_genesis(members, adopted)
        chain, rows = _native.Chain.genesis(genesis)
        root = chain.head()["state_root"]
        assert isinstance(root, bytes)
        return cls(chain=chain, genesis=genesis, members=members, rows=dict(rows), roots=[root])

    def send(self, member: int, contract: str, function: str, *args: object, **over: Any) -> bytes:
        """A signed call of a contract's function."""
        return sign(self.members[member], self.contracts[contract], calldata(contract, function, *args), **over)

    def block(self, raws: list[bytes], seconds: int = 1) -> _native.ExecutedBlock:
        """Execute, store, commit. Fails when nothing is valid."""
        head = self.chain.head()
        time = head["time"]
        assert isinstance(time, int)
        made = self.chain.execute(raws, (time + seconds) * 1000, self.chain.height() + 1)
        assert made is not None
        self.store(made)
        self.chain.commit()
        self.roots.append(made.state_root)
        return made

    def store(self, made: _native.ExecutedBlock) -> None:
        """Apply a block's rows as a store would."""
        for key, value in made.writes:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def publish(self, member: int, code: str, *, level: int = 1, sharing: int = 2, **over: Any) -> tuple[bytes, bytes]:
        """(dataset id, signed transaction that publishes it)."""
        id_ = dataset_id(self.members[member].uscc, code)
        call = (id_, sharing, level, digest("metadata", code), digest("basis", code), code)
        return id_, self.send(member, "Directory", "publishDataset", *call, **over)

    def request(self, member: int, dataset: bytes, purpose: str = "audit", **over: Any) -> bytes:
        """A signed request for a grant."""
        now = START_MS // 1000
        words = (ascii_bytes32(purpose), digest("matter"), digest("scope"), digest("odrl"))
        return self.send(
            member, "Grants", "request", dataset, *words, 100, now + 86_400 * 365, now + 86_400 * 20, **over
        )
