"""What a bundle's storage proofs establish under one state root: the log's member, keys, witnesses, anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Final

from ledger.errors import UntrustedError
from ledger.evidence import state
from ledger.evidence.bundle import AnchorEvidence, ContractEvidence, SlotProof
from ledger.evidence.seal import Seal
from ledger.model import KeyInfo, KeyRole, MemberInfo, MemberStatus

#: How far a witness's clock may be behind the chain's when its key is new.
CLOCK_SKEW_S: Final = 60
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenWitness:
    """A witness key and the active member it belongs to."""

    key: KeyInfo
    member: MemberInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenState:
    """Everything a bundle proves about the chain's state; made by :func:`read_state` only."""

    active_count: int
    member: MemberInfo
    log_key: KeyInfo
    witnesses: tuple[ProvenWitness, ...]
    anchor: state.Anchor
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


class SlotReader:
    """Takes the proven slots of one contract in the order they must stand in; none is left over."""

    def __init__(self, storage_hash: bytes, slots: Sequence[SlotProof]) -> None:
        self._storage_hash = storage_hash
        self._slots = list(slots)

    def take(self, slot: bytes, what: str) -> bytes:
        """The 32-byte value of the next slot, which must be this one."""
        if not self._slots or self._slots[0].slot != slot:
            raise UntrustedError(
                "state.slots",
                f"the next proven slot is not that of {what}",
                expected=slot,
                actual=self._slots[0].slot if self._slots else "none",
            )
        return state.verify_storage(self._storage_hash, slot, self._slots.pop(0).proof)

    def done(self) -> None:
        """Refuse slots that nothing asked for."""
        if self._slots:
            raise UntrustedError("state.slots", "a slot is proven that nothing uses", actual=self._slots[0].slot)


def read_state(
    evidence: AnchorEvidence,
    state_root: bytes,
    member: str,
    *,
    consortium: bytes,
    consortium_code_hash: bytes,
    anchors_code_hash: bytes,
) -> ProvenState:
    """Verify every proof of the evidence and read the state of ``member``'s log from it.

    ``consortium``: the contract's address (20 bytes); code hashes: 32 bytes. Raises: UntrustedError(state.*), or
    UntrustedError(anchor.none) when nothing was anchored.
    """
    slots = open_contract(evidence.consortium, state_root, consortium, consortium_code_hash, "Consortium")
    anchors_address = state.decode_address(slots.take(state.contract_slot("Anchors"), "the address of Anchors"))
    active_count = state.decode_count(slots.take(state.active_count_slot(), "the number of active members"))
    log_member = _take_member(slots, member)
    log_key = take_key(slots, evidence.log_key, KeyRole.LOG)
    if log_key.member != member:
        raise UntrustedError("state.log-key", "the log key is another member's", expected=member, actual=log_key.member)
    witnesses = []
    for material in evidence.witness_keys:
        key = take_key(slots, material, KeyRole.WITNESS)
        witnesses.append(ProvenWitness(key=key, member=_take_member(slots, key.member)))
    slots.done()
    owners = [witness.member.uscc for witness in witnesses]
    if len(set(owners)) != len(owners) or member in owners:
        raise UntrustedError("state.witness-key", "witnesses are of distinct members other than the log's own")
    for witness in witnesses:
        if witness.member.status != MemberStatus.ACTIVE:
            raise UntrustedError(
                "state.witness-member",
                f"the witness's member {witness.member.uscc} is not active",
                expected=MemberStatus.ACTIVE.word,
                actual=witness.member.status.word,
            )
    slots = open_contract(evidence.anchors, state_root, anchors_address, anchors_code_hash, "Anchors")
    wanted = state.anchor_slots(member)
    anchor = state.decode_anchor(
        slots.take(wanted.root, "the anchored root"), slots.take(wanted.packed, "the anchored size")
    )
    slots.done()
    if anchor is None:
        raise UntrustedError("anchor.none", f"no head of {member}'s log is anchored in this state")
    return ProvenState(
        active_count=active_count,
        member=log_member,
        log_key=log_key,
        witnesses=tuple(witnesses),
        anchor=anchor,
        seal=_SEAL,
    )


def check_log_key(key: KeyInfo, anchored_at: int) -> None:
    """A log key counts when its validity covers the Unix second at which the head was anchored.

    The anchor is the only time nobody can back-date: a head signed with a key retired or compromised before it was
    anchored is void, one anchored before is kept. Raises: UntrustedError(state.log-key).
    """
    _check_times(key, anchored_at, anchored_at, "state.log-key", skew=0)


def check_witness_key(key: KeyInfo, cosigned_at: int, anchored_at: int) -> None:
    """A witness key counts when its validity covers the time in its cosignature; a compromised key's claim of that
    time means nothing, so there the anchor's time must be earlier too. Raises: UntrustedError(state.witness-key)."""
    late = max(cosigned_at, anchored_at) if key.status == "compromised" else cosigned_at
    _check_times(key, cosigned_at, late, "state.witness-key", skew=CLOCK_SKEW_S)


def _check_times(key: KeyInfo, since: int, until: int, code: str, *, skew: int) -> None:
    if since + skew < key.valid_from:
        raise UntrustedError(code, "the key was not valid yet", expected=key.valid_from, actual=since)
    if key.valid_to and until > key.valid_to:
        raise UntrustedError(code, "the key was not valid any more", expected=key.valid_to, actual=until)
    if key.status != "active" and until >= key.ended_at:
        raise UntrustedError(code, f"the key had been {key.status} by then", expected=key.ended_at, actual=until)


def open_contract(
    evidence: ContractEvidence, state_root: bytes, address: bytes, code_hash: bytes, name: str
) -> SlotReader:
    """The proven slots of a contract that stands at ``address`` (20 bytes) with this code.

    Raises: UntrustedError(state.account | state.code).
    """
    account = state.verify_account(state_root, address, evidence.account)
    if account.code_hash != code_hash:
        raise UntrustedError(
            "state.code",
            f"the code of {name} is not the code the policy trusts",
            hint="after a vote replaced the contract, a new policy is needed",
            expected=code_hash,
            actual=account.code_hash,
        )
    return SlotReader(account.storage_hash, evidence.storage)


def _take_member(slots: SlotReader, uscc: str) -> MemberInfo:
    wanted = state.member_slots(uscc)
    packed = slots.take(wanted.packed, f"member {uscc}")
    member = state.decode_member(uscc, packed, slots.take(wanted.handle, f"the handle of {uscc}"))
    if member is None or member.status == MemberStatus.NONE:
        raise UntrustedError("state.member", f"{uscc} is no member of this chain", actual=uscc)
    return member


def take_key(slots: SlotReader, material: bytes, role: KeyRole) -> KeyInfo:
    """The key of that material and role in the next two slots. Raises: UntrustedError(state.slots | state.*-key)."""
    wanted = state.key_slots(material)
    owner = slots.take(wanted.member, f"the {role.word} key's member")
    key = state.decode_key(material, owner, slots.take(wanted.packed, f"the {role.word} key"))
    if key is None or key.role != role:
        raise UntrustedError(
            f"state.{role.word}-key",
            f"the chain knows no {role.word} key of this material",
            expected=role.word,
            actual="none" if key is None else key.role.word,
        )
    return key
