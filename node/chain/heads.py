"""Signed heads of the solo chain: the newest one, its age, the cosignatures gathered, the newest finality."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ledger.errors import NotFoundError, UntrustedError
from ledger.evidence.finality import Head, SignedHead, SoloFinality, Validator, make_solo, verify_head, verify_solo
from ledger.model import KeyRole
from node.chain.board import FinalityBoard
from node.chain.roster import Roster
from node.context import Clock

#: A sequencer whose clock runs ahead could make an old view look young for as long.
MAX_AHEAD_MS = 30_000
#: Heads that may still gather cosignatures.
_OPEN_HEADS = 64


def validators_of(roster: Roster, sequencer: str) -> tuple[Validator, ...]:
    """The keys that may sign and cosign heads: ``sequencer`` keys of the active members, in order of key."""
    found = [
        Validator(key=material, member=info.uscc, sequencer=info.uscc == sequencer)
        for info in roster.active
        for material in roster.materials(info.uscc, KeyRole.SEQUENCER)
    ]
    return tuple(sorted(found, key=lambda validator: validator.key))


class HeadBoard(FinalityBoard[SoloFinality]):
    """What this node knows of the solo chain's signed heads. Thread-safe."""

    def __init__(
        self,
        *,
        sequencer: str,
        chain: bytes,
        clock: Clock,
        roster: Callable[[], Roster],
        block_hash: Callable[[int], bytes | None],
        is_sequencer: bool,
        store: Callable[[SoloFinality], None],
        stored: SoloFinality | None,
        oldest_time_ms: int,
    ) -> None:
        super().__init__(clock=clock, stored=stored, oldest_time_ms=oldest_time_ms)
        self.sequencer = sequencer
        self._chain = chain
        self._roster = roster
        self._block_hash = block_hash
        self._is_sequencer = is_sequencer
        self._store = store
        self._newest: SignedHead | None = None
        #: head -> (the sequencer's signature, cosignatures by member)
        self._open: OrderedDict[Head, tuple[SignedHead, dict[str, SignedHead]]] = OrderedDict()

    @property
    def newest(self) -> SignedHead | None:
        """The newest head accepted since the start."""
        return self._newest

    @property
    def role(self) -> str:
        """``sequencer`` or ``follower``."""
        return "sequencer" if self._is_sequencer else "follower"

    def newest_time_ms(self) -> int:
        """The newest signed time known; before the first head of this run, what the store holds."""
        return max(self._newest.head.time_ms if self._newest else 0, super().newest_time_ms())

    def accept(self, signed: SignedHead) -> None:
        """Take a head of the sequencer whose block this node executed itself.

        Raises: UntrustedError(head.chain | head.signer | finality.signature | head.future | head.past | head.block).
        """
        head = signed.head
        self._check(signed, self.sequencer)
        if head.time_ms > self._clock() + MAX_AHEAD_MS:
            raise UntrustedError(
                "head.future",
                "the sequencer's signed time lies in the future",
                hint="compare the clocks of both machines",
                expected=self._clock(),
                actual=head.time_ms,
            )
        known = self._newest.head if self._newest else None
        if head == known:
            return  # sent again after a reconnect
        if known is not None and (head.time_ms <= known.time_ms or head.height < known.height):
            raise UntrustedError(
                "head.past", "the sequencer signed an older head again", expected=known.time_ms, actual=head.time_ms
            )
        ours = self._block_hash(head.height)
        if ours != head.hash:
            raise UntrustedError(
                "head.block",
                f"the signed head at height {head.height} is not the block executed here",
                hint="keep both and report them to the supervisor: the sequencer may have signed two chains",
                expected=ours,
                actual=head.hash,
            )
        with self._condition:
            self._newest = signed
            self._open[head] = (signed, {})
            while len(self._open) > _OPEN_HEADS:
                self._open.popitem(last=False)
            self._changed()

    def cosigned(self, member: str, signed: SignedHead) -> int:
        """Take a member's cosignature over one of our recent heads; how many that head has.

        Raises: NotFoundError(head.unknown), UntrustedError(head.chain | head.signer | finality.signature).
        """
        self._check(signed, member)
        quorum = self._roster().quorum
        with self._condition:
            entry = self._open.get(signed.head)
            if entry is None:
                raise NotFoundError(
                    "head.unknown", "this head is not waiting for cosignatures", actual=signed.head.height
                )
            ours, gathered = entry
            gathered[member] = signed
            cosignatures = tuple(gathered.values())
        if len(cosignatures) >= quorum:
            self.finalise(make_solo(ours, cosignatures, quorum))
        return len(cosignatures)

    def finalise(self, finality: SoloFinality) -> bool:
        """Check, keep and announce a finality newer than the one known; False when it is not.

        Raises: UntrustedError(finality.* | head.chain | head.block), FatalError, UnavailableError(disk.full).
        """
        head = finality.head
        known = self._finality
        if known is not None and head.time_ms <= known.head.time_ms:
            return False
        if head.chain != self._chain or self._block_hash(head.height) != head.hash:
            raise UntrustedError(
                "head.block", "a finality is over a block that is not executed here", actual=head.height
            )
        roster = self._roster()
        verify_solo(finality, validators_of(roster, self.sequencer), roster.quorum)
        self._store(finality)
        with self._condition:
            if self._finality is None or self._finality.head.time_ms < head.time_ms:
                self._finality = finality
            self._changed()
        return True

    def _check(self, signed: SignedHead, member: str) -> None:
        if signed.head.chain != self._chain:
            raise UntrustedError(
                "head.chain", "this head is of another chain", expected=self._chain, actual=signed.head.chain
            )
        if not self._roster().has_key(member, KeyRole.SEQUENCER, signed.key):
            raise UntrustedError(
                "head.signer",
                f"the head is not signed by an active sequencer key of {member}",
                hint="`civicledger key list` shows the keys the chain knows",
                actual=signed.key,
            )
        verify_head(signed)
