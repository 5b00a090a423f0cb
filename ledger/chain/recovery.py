"""A city that lost its quorum for good: what the members agree on, and who has to sign it (docs/formats.md, recovery).

The members agree on the last block of the old chain, on which validators are lost and on who votes from then on. All
of that is in the genesis file of the recovered city, which follows from the old state: whoever has that state makes the
same bytes. More than two thirds of the members active in that state sign its digest with their accounts, and every
validator that is not declared lost is among them, so that nobody who could go on with the old chain is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ledger import codec
from ledger.chain import embedded
from ledger.chain.bindings.base import ContractCall
from ledger.chain.bindings.consortium import Consortium
from ledger.chain.genesis import (
    MAX_GENESIS_BYTES,
    Genesis,
    Recovered,
    contract_addresses,
    decode_genesis,
)
from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError, UntrustedError
from ledger.evidence.envelope import domain_separator, hash_struct, typed_digest
from ledger.identifiers import parse_uscc
from ledger.keys import AccountSigner, verify_account_digest
from ledger.model import KeyRole, MemberInfo, MemberStatus

RECOVERY_TYPE: Final = b"Recovery(bytes32 chain,uint64 height,bytes32 head,bytes32 genesis)"
_SIGNATURE: Final = re.compile("0x[0-9a-f]{130}")
MAX_RECOVERY_BYTES: Final = MAX_GENESIS_BYTES + (1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldState:
    """What counts of a head of the old chain. ``genesis``: the old genesis file; ``keys``: by active member its active
    keys without the account, in the contract's order."""

    genesis: bytes
    height: int
    hash: bytes
    time_s: int
    active: tuple[MemberInfo, ...]
    keys: Mapping[str, tuple[tuple[KeyRole, bytes], ...]]

    @property
    def validators(self) -> tuple[str, ...]:
        """USCCs of those that vote, ascending."""
        return tuple(sorted(info.uscc for info in self.active if info.validator))

    def info(self, name: str) -> MemberInfo | None:
        """The active member with this handle or USCC."""
        return next((info for info in self.active if name in (info.uscc, info.handle)), None)


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """A recovery file: the new genesis file, and signatures (65 bytes r || s || v) by member in order of USCC."""

    genesis: bytes
    signatures: tuple[tuple[str, bytes], ...] = ()

    @cached_property
    def city(self) -> Genesis:
        """The new genesis file, decoded."""
        return decode_genesis(self.genesis)

    @property
    def terms(self) -> Recovered:
        """What it goes on from. Raises: InvalidInputError(recovery.format)."""
        if self.city.recovery is None:
            raise InvalidInputError("recovery.format", "the genesis file in it founds a city, it recovers none")
        return self.city.recovery

    @property
    def signers(self) -> tuple[str, ...]:
        """USCCs of those that signed, ascending."""
        return tuple(uscc for uscc, _ in self.signatures)

    def merged(self, others: Iterable[Recovery]) -> Recovery:
        """With the signatures of other copies. Raises: ConflictError(recovery.other-proposal)."""
        found = dict(self.signatures)
        for other in others:
            if other.genesis != self.genesis:
                raise ConflictError(
                    "recovery.other-proposal",
                    "the files are of different proposals",
                    hint="agree on one of them: only signatures of the same proposal count together",
                    expected=self.city.digest,
                    actual=other.city.digest,
                )
            found |= dict(other.signatures)
        return replace(self, signatures=tuple(sorted(found.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Who signed. ``needed``: of ``active`` members; ``missing``: validators that are not lost and have not signed."""

    signed: tuple[str, ...]
    needed: int
    active: int
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Enough for a start."""
        return len(self.signed) >= self.needed and not self.missing


def recovery_digest(recovery: Recovery) -> bytes:
    """The 32 bytes that members sign with their accounts, as EIP-712 typed data in the domain of the old chain.

    Source: EIP-712. Raises: InvalidInputError(recovery.format).
    """
    return agreement_digest(recovery.terms, recovery.city.contracts["Consortium"], recovery.city.digest)


def agreement_digest(terms: Recovered, consortium: bytes, genesis: bytes) -> bytes:
    """:func:`recovery_digest` from its parts: the address of the Consortium (20 bytes), the new genesis digest."""
    separator = domain_separator("civicledger", "1", terms.chain_id, consortium)
    height = terms.height.to_bytes(32, "big")
    return typed_digest(separator, hash_struct(RECOVERY_TYPE, terms.chain, height, terms.hash, genesis))


def encode_recovery(recovery: Recovery) -> bytes:
    """The file's bytes: JCS."""
    return codec.encode(
        {
            "genesis": codec.decode(recovery.genesis, max_bytes=MAX_GENESIS_BYTES),
            "signatures": [
                {"member": uscc, "signature": "0x" + signature.hex()} for uscc, signature in recovery.signatures
            ],
            "v": 1,
        }
    )


def decode_recovery(data: bytes) -> Recovery:
    """Read a recovery file strictly; nothing is verified.

    Raises: InvalidInputError(recovery.format | genesis.* | json.*).
    """
    file: Any = codec.decode(data, max_bytes=MAX_RECOVERY_BYTES)
    try:
        if set(file) != {"genesis", "signatures", "v"} or file["v"] != 1 or not isinstance(file["signatures"], list):
            raise ValueError("it has genesis, a list of signatures, and v, which is 1")
        signatures = [(parse_uscc(row["member"]), _signature(row)) for row in file["signatures"]]
        members = [uscc for uscc, _ in signatures]
        if members != sorted(set(members)):
            raise ValueError("each member signs once, in order of their codes")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            "recovery.format", f"not a recovery file: {error}", hint="take the file that `city recover propose` wrote"
        ) from error
    recovery = Recovery(genesis=codec.encode(file["genesis"]), signatures=tuple(signatures))
    _ = recovery.terms  # refuses a genesis file that recovers nothing
    return recovery


def _signature(row: Mapping[str, Any]) -> bytes:
    text = row["signature"]
    if set(row) != {"member", "signature"} or not _SIGNATURE.fullmatch(text):
        raise ValueError("a signature is 65 bytes in lower-case hex with 0x, beside its member")
    return bytes.fromhex(text[2:])


def read_old_state(native: embedded.NativeChain, genesis: bytes) -> OldState:
    """What counts of the head of a chain in memory. Raises: UntrustedError(abi.answer)."""

    def call(to: bytes, data: bytes, height: int | None = None) -> bytes:
        return native.call(to, data, height=height)[1]

    return _old_state(call, native.head(), genesis)


def _old_state(call: ContractCall, head: Mapping[str, Any], genesis: bytes) -> OldState:
    consortium = Consortium(call, contract_addresses()["Consortium"])
    active = sorted(
        (info for info in consortium.members() if info.status is MemberStatus.ACTIVE), key=lambda info: info.uscc
    )
    keys = {
        info.uscc: tuple(
            (key.role, key.material)
            for key in consortium.keys(info.uscc)
            if key.status == "active" and key.role is not KeyRole.ACCOUNT
        )
        for info in active
    }
    return OldState(
        genesis=genesis,
        height=head["height"],
        hash=head["hash"],
        time_s=head["time"],
        active=tuple(active),
        keys=keys,
    )


def sign(recovery: Recovery, uscc: str, signer: AccountSigner) -> Recovery:
    """With this member's signature; one that it gave before is replaced."""
    signature = signer.sign_digest(recovery_digest(recovery))
    return recovery.merged([replace(recovery, signatures=((uscc, signature),))])


def tally(recovery: Recovery, state: OldState) -> Tally:
    """Verify the signatures by the old state and count them.

    Raises: NotAllowedError(recovery.not-member), UntrustedError(recovery.signature),
    InvalidInputError(recovery.format).
    """
    digest = recovery_digest(recovery)
    for uscc, signature in recovery.signatures:
        info = state.info(uscc)
        if info is None:
            raise NotAllowedError(
                "recovery.not-member",
                f"{uscc} signed and is no active member at block {state.height}",
                hint="only members that are active at the agreed head sign",
                actual=uscc,
            )
        try:
            verify_account_digest(info.account, digest, signature)
        except LedgerError as error:
            raise UntrustedError(
                "recovery.signature",
                f"the signature of {info.handle} is not by its account: {error.message}",
                hint="take that member's own file again",
                expected="0x" + info.account.hex(),
                actual=error.actual,
            ) from None
    signed = recovery.signers
    silent = (uscc for uscc in state.validators if uscc not in recovery.terms.lost and uscc not in signed)
    active = len(state.active)
    return Tally(signed=signed, needed=2 * active // 3 + 1, active=active, missing=tuple(silent))


def check_signatures(recovery: Recovery, state: OldState) -> Tally:
    """:func:`tally` of a recovery that may be started on.

    Raises: NotAllowedError(recovery.too-few-signatures | recovery.survivor), and what :func:`tally` raises.
    """
    count = tally(recovery, state)
    if len(count.signed) < count.needed:
        waiting = ", ".join(info.handle for info in state.active if info.uscc not in count.signed)
        raise NotAllowedError(
            "recovery.too-few-signatures",
            f"{len(count.signed)} of {count.active} members signed, {count.needed} are needed: more than two thirds",
            hint=f"not yet: {waiting}. A member whose machine is lost signs with its account key from the backup",
            expected=count.needed,
            actual=len(count.signed),
        )
    if count.missing:
        raise NotAllowedError(
            "recovery.survivor",
            f"validators that are not declared lost have not signed: {handles_of(state, count.missing)}",
            hint="they could go on with the old chain: have them sign, or propose anew and declare them lost",
            actual=", ".join(count.missing),
        )
    return count


def handles_of(state: OldState, members: Sequence[str]) -> str:
    """Their handles, for people."""
    handles = {info.uscc: info.handle for info in state.active}
    return ", ".join(sorted(handles.get(uscc, uscc) for uscc in members))
