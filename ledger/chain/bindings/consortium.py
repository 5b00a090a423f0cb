"""The Consortium contract: members, keys, proposals and votes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ledger.chain.bindings import proposals
from ledger.chain.bindings.base import NO_ID, Binding, member_or_none, reading
from ledger.chain.bindings.proposals import ProposalKind
from ledger.identifiers import member_bytes32, member_from_bytes32, text_from_bytes32
from ledger.model import KeyInfo, KeyRole, KeyStatus, MemberInfo, MemberStatus, Roles

__all__ = ["Consortium", "Proposal", "ProposalKind", "ProposalState", "Vote"]

_STATUS: dict[int, KeyStatus] = {1: "active", 2: "retired", 3: "compromised"}
_NO_ADDRESS = "0x" + "0" * 40


class ProposalState(IntEnum):
    """Where a proposal stands."""

    OPEN = 1
    EXECUTED = 2
    EXPIRED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change put to the vote. ``yes``, ``no``: votes that count now, of ``electorate``; it is carried when
    3 x yes > 2 x electorate. ``target`` is empty where no member is concerned; times are unix seconds."""

    id: int
    kind: ProposalKind
    proposer: str
    target: str
    created_at: int
    expiry: int
    state: ProposalState
    yes: int
    no: int
    electorate: int
    data: bytes

    @property
    def carried(self) -> bool:
        """Whether it can be executed now."""
        return self.state is ProposalState.OPEN and 3 * self.yes > 2 * self.electorate

    @property
    def needed(self) -> int:
        """How many more yes votes carry it; 0 when it has them."""
        return max(0, 2 * self.electorate // 3 + 1 - self.yes)

    def arguments(self) -> dict[str, Any]:
        """What it would do, JSON-ready."""
        return proposals.decode_arguments(self.kind, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One vote cast."""

    voter: str
    yes: bool


class Consortium(Binding):
    """Reads and calldata of Consortium."""

    contract = "Consortium"

    # --- members and keys ---------------------------------------------------------------------------------------------
    def member(self, uscc: str, height: int | None = None) -> MemberInfo | None:
        """A member's entry, whatever its status; None for a body never admitted."""
        row = self._found("member", member_bytes32(uscc), height=height)
        if row is None:
            return None
        with reading("member"):
            return MemberInfo(
                uscc=uscc,
                handle=text_from_bytes32(row["handle"]),
                region=f"{row['region']:06d}",
                roles=Roles(row["roles"]),
                status=MemberStatus(row["status"]),
                account=_address(row["account"]),
                generation=row["logGeneration"],
                since=row["since"],
                validator=row["validator"],
            )

    def members(self, height: int | None = None) -> tuple[MemberInfo, ...]:
        """Every body ever admitted, in order of admission."""
        ids = self._read("members", height=height)[0]
        with reading("list of members"):
            codes = [member_from_bytes32(id_) for id_ in ids]
        found = (self.member(code, height) for code in codes)
        return tuple(info for info in found if info is not None)

    def member_of(self, account: bytes, height: int | None = None) -> str | None:
        """The member whose active account this is (also while it is suspended)."""
        value = self._read("memberOf", account, height=height)[0]
        with reading("member"):
            return None if value == NO_ID else member_from_bytes32(value)

    def active_count(self, height: int | None = None) -> int:
        """Number of active members."""
        return int(self._read("activeCount", height=height)[0])

    def is_active(self, uscc: str, height: int | None = None) -> bool:
        """Whether the member is active."""
        return bool(self._read("isActive", member_bytes32(uscc), height=height)[0])

    def active_account(self, uscc: str, height: int | None = None) -> bytes | None:
        """The account (20 bytes) of an active member, else None."""
        info = self.member(uscc, height)
        return info.account if info is not None and info.status is MemberStatus.ACTIVE else None

    def key(self, material: bytes, height: int | None = None) -> KeyInfo | None:
        """A key, ended or not; None for a material never entered."""
        row = self._found("key", material, height=height)
        return None if row is None else _key(material, row)

    def keys(self, uscc: str, height: int | None = None) -> tuple[KeyInfo, ...]:
        """Every key the member ever had, in order of entry; empty for an unknown body."""
        materials, rows = self._read("keysOf", member_bytes32(uscc), height=height)
        return tuple(
            _key(material, self._named("keysOf", row, 1)) for material, row in zip(materials, rows, strict=True)
        )

    def active_key(self, uscc: str, role: KeyRole, height: int | None = None) -> KeyInfo | None:
        """The newest active key of a role."""
        active = [key for key in self.keys(uscc, height) if key.role is role and key.status == "active"]
        return active[-1] if active else None

    def contract_of(self, name: bytes, height: int | None = None) -> bytes:
        """Address of the contract in force under a bytes32 name; zeros for none."""
        return _address(self._read("contractOf", name, height=height)[0])

    def validators(self, height: int | None = None) -> tuple[tuple[str, bytes], ...]:
        """The validator set: (member, consensus key of 32 bytes), in order of admission."""
        ids, materials = self._read("validators", height=height)
        with reading("validator set"):
            return tuple((member_from_bytes32(id_), key) for id_, key in zip(ids, materials, strict=True))

    def adopted(self, code_hash: bytes, height: int | None = None) -> bool:
        """Whether members may make contracts from the creation code with this keccak256."""
        return bool(self._read("adopted", code_hash, height=height)[0])

    def active_version(self, height: int | None = None) -> tuple[int, int]:
        """The newest version of the state machine that was voted for, and the height from which it is in force."""
        row = self._named("activeVersion", self._read("activeVersion", height=height)[0])
        return row["version"], row["height"]

    def account_key_digest(self, uscc: str, account: bytes, height: int | None = None) -> bytes:
        """What the holder of a new account key signs to prove possession (EIP-712 digest)."""
        value = self._read("accountKeyDigest", member_bytes32(uscc), account, height=height)[0]
        return bytes(value)

    def encode_rotate_key(
        self,
        role: KeyRole,
        material: bytes,
        *,
        valid_from: int = 0,
        valid_to: int = 0,
        replaces: bytes = NO_ID,
        possession: bytes = b"",
    ) -> bytes:
        """Enter a new key of the sender and retire the one it replaces. Unix seconds; 0 is now, and open.

        ``possession``: for an account key 65 bytes r, s, v (27 or 28) over :meth:`account_key_digest`.
        """
        return self.encode("rotateKey", int(role), material, valid_from, valid_to, replaces, possession)

    def encode_end_key(self, material: bytes, *, compromised_since: int | None = None) -> bytes:
        """End a key of the sender: retired from now on, or compromised since a time (unix seconds)."""
        return self.encode("endKey", material, compromised_since is not None, compromised_since or 0)

    # --- proposals ----------------------------------------------------------------------------------------------------
    def proposal(self, proposal_id: int, height: int | None = None) -> Proposal | None:
        """One proposal with the votes that count now."""
        row = self._found("proposal", proposal_id, height=height)
        return None if row is None else _proposal(proposal_id, row)

    def proposals(self, first: int = 0, count: int = 200, height: int | None = None) -> tuple[Proposal, ...]:
        """Proposals in order; ids begin with 1, so ``first`` 0 gives id 1 first."""
        rows = self._read("proposals", first, count, height=height)[0]
        return tuple(_proposal(first + offset + 1, self._named("proposals", row)) for offset, row in enumerate(rows))

    def proposal_count(self, height: int | None = None) -> int:
        """Number of proposals ever made: the newest has this id."""
        return int(self._read("proposalCount", height=height)[0])

    def votes(self, proposal_id: int, height: int | None = None) -> tuple[Vote, ...]:
        """Every vote cast on a proposal, in order."""
        voters, yes = self._read("votes", proposal_id, height=height)
        with reading("list of votes"):
            return tuple(
                Vote(voter=member_from_bytes32(voter), yes=says) for voter, says in zip(voters, yes, strict=True)
            )

    def encode_propose(self, kind: ProposalKind, arguments: bytes, expiry: int) -> bytes:
        """Put a change to the vote; ``arguments`` from ``ledger.chain.bindings.proposals``; unix seconds."""
        return self.encode("propose", int(kind), arguments, expiry)

    def encode_vote(self, proposal_id: int, yes: bool) -> bytes:
        """Vote once; a vote is final."""
        return self.encode("vote", proposal_id, yes)

    def encode_execute(self, proposal_id: int) -> bytes:
        """Carry out a carried proposal."""
        return self.encode("execute", proposal_id)


def _key(material: bytes, row: dict[str, Any]) -> KeyInfo:
    with reading("key"):
        return KeyInfo(
            material=material,
            member=member_from_bytes32(row["member"]),
            role=KeyRole(row["role"]),
            status=_STATUS[row["status"]],
            valid_from=row["validFrom"],
            valid_to=row["validTo"],
            ended_at=row["endedAt"],
        )


def _proposal(proposal_id: int, row: dict[str, Any]) -> Proposal:
    with reading("proposal"):
        return Proposal(
            id=proposal_id,
            kind=ProposalKind(row["kind"]),
            proposer=member_from_bytes32(row["proposer"]),
            target=member_or_none(row["target"]),
            created_at=row["createdAt"],
            expiry=row["expiry"],
            state=ProposalState(row["state"]),
            yes=row["yes"],
            no=row["no"],
            electorate=row["electorate"],
            data=row["data"],
        )


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])
