"""Signed heads: what is accepted, when a quorum makes them final, how old a view is."""

from __future__ import annotations

import dataclasses

import pytest

from ledger.errors import LedgerError
from ledger.evidence.finality import Head, SignedHead, SoloFinality, make_solo, sign_head
from ledger.keys import Ed25519Signer
from ledger.model import KeyInfo, KeyRole, MemberInfo, MemberStatus, Roles
from node.chain.blockwire import finality_message, finality_of, head_message, head_of, stored_finality
from node.chain.heads import MAX_AHEAD_MS, HeadBoard
from node.chain.roster import Roster
from tests.node.core.makers import NOW_MS, make_uscc

CHAIN = b"\x11" * 32
MEMBERS = [make_uscc(number) for number in range(1, 6)]
SIGNERS = {uscc: Ed25519Signer(KeyRole.SEQUENCER, bytes([number]) * 32) for number, uscc in enumerate(MEMBERS, 1)}
SEQUENCER, OTHERS = MEMBERS[0], MEMBERS[1:]


def roster_of(active: list[str]) -> Roster:
    members = {
        uscc: MemberInfo(
            uscc=uscc,
            handle=f"m{number}",
            region="310000",
            roles=Roles(0),
            status=MemberStatus.ACTIVE if uscc in active else MemberStatus.SUSPENDED,
            account=bytes(20),
            generation=1,
            since=0,
            validator=False,
        )
        for number, uscc in enumerate(MEMBERS)
    }
    keys = {
        signer.public: KeyInfo(
            material=signer.public,
            member=uscc,
            role=KeyRole.SEQUENCER,
            status="active",
            valid_from=0,
            valid_to=0,
            ended_at=0,
        )
        for uscc, signer in SIGNERS.items()
    }
    return Roster(
        members=members,
        keys=keys,
        active_keys={(key.member, key.role): (key,) for key in keys.values()},
    )


class Board(HeadBoard):
    """A board over a chain of two blocks, with a clock the test sets."""

    def __init__(self, stored: SoloFinality | None = None) -> None:
        self.now = NOW_MS
        self.roster = roster_of(MEMBERS)
        self.kept: list[SoloFinality] = []
        super().__init__(
            sequencer=SEQUENCER,
            chain=CHAIN,
            clock=lambda: self.now,
            roster=lambda: self.roster,
            block_hash=lambda height: {1: b"\x01" * 32, 2: b"\x02" * 32}.get(height),
            is_sequencer=True,
            store=self.kept.append,
            stored=stored,
            oldest_time_ms=NOW_MS - 7_000,
        )


def head(height: int = 1, time_ms: int = NOW_MS, **changes: object) -> Head:
    made = Head(chain=CHAIN, height=height, hash=bytes([height]) * 32, time_ms=time_ms)
    return dataclasses.replace(made, **changes)


def signed(by: str, one: Head) -> SignedHead:
    return sign_head(SIGNERS[by], one)


def test_the_age_counts_from_the_newest_signed_time() -> None:
    board = Board()
    assert board.age_ms() == 7_000
    board.accept(signed(SEQUENCER, head()))
    assert board.age_ms() == 0
    board.now += 181_000
    assert board.age_ms() == 181_000
    board.accept(signed(SEQUENCER, head(time_ms=board.now)))
    assert board.age_ms() == 0


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (signed(SEQUENCER, head(chain=b"\x12" * 32)), "head.chain"),
        (signed(OTHERS[0], head()), "head.signer"),
        (dataclasses.replace(signed(SEQUENCER, head()), signature=bytes(64)), "finality.signature"),
        (dataclasses.replace(signed(SEQUENCER, head()), head=head(time_ms=NOW_MS + 1)), "finality.signature"),
        (signed(SEQUENCER, head(time_ms=NOW_MS + MAX_AHEAD_MS + 1)), "head.future"),
        (signed(SEQUENCER, head(hash=b"\x02" * 32)), "head.block"),
        (signed(SEQUENCER, head(height=3)), "head.block"),
    ],
)
def test_a_head_that_is_not_right_is_refused(one: SignedHead, code: str) -> None:
    board = Board()
    with pytest.raises(LedgerError) as caught:
        board.accept(one)
    assert caught.value.code == code
    assert board.newest is None


def test_time_and_height_never_go_back_but_a_repeat_is_no_fault() -> None:
    board = Board()
    newest = signed(SEQUENCER, head(height=2, time_ms=NOW_MS))
    board.accept(newest)
    board.accept(newest)
    for old in (head(height=2, time_ms=NOW_MS - 1), head(height=1, time_ms=NOW_MS + 1)):
        with pytest.raises(LedgerError, match=r"head\.past"):
            board.accept(signed(SEQUENCER, old))
    assert board.newest == newest


def test_a_quorum_of_others_makes_a_head_final() -> None:
    board = Board()
    board.accept(signed(SEQUENCER, head()))
    assert [board.cosigned(uscc, signed(uscc, head())) for uscc in OTHERS[:2]] == [1, 2]
    assert board.cosigned(OTHERS[1], signed(OTHERS[1], head())) == 2, "one member counts once"
    assert board.finality is None
    assert board.cosigned(OTHERS[2], signed(OTHERS[2], head())) == 3
    assert board.final_height() == 1
    assert board.kept == [board.finality]
    assert board.finality is not None
    assert len(board.finality.cosignatures) == 3
    assert board.wait_final(1, 0) == board.finality
    assert board.wait_final(2, 0) is None


def test_more_cosignatures_do_not_change_a_final_head() -> None:
    board = Board()
    board.accept(signed(SEQUENCER, head()))
    for uscc in OTHERS:
        board.cosigned(uscc, signed(uscc, head()))
    assert len(board.kept) == 1


@pytest.mark.parametrize(
    ("member", "one", "code"),
    [
        (OTHERS[0], signed(OTHERS[0], head(time_ms=NOW_MS + 5)), "head.unknown"),
        (OTHERS[0], signed(OTHERS[1], head()), "head.signer"),
        (OTHERS[0], dataclasses.replace(signed(OTHERS[0], head()), signature=b"\1" * 64), "finality.signature"),
        (OTHERS[3], signed(OTHERS[3], head()), "head.signer"),
    ],
)
def test_a_cosignature_that_is_not_right_does_not_count(member: str, one: SignedHead, code: str) -> None:
    board = Board()
    board.accept(signed(SEQUENCER, head()))
    board.roster = roster_of(MEMBERS[:4])
    with pytest.raises(LedgerError) as caught:
        board.cosigned(member, one)
    assert caught.value.code == code
    assert board.cosigned(OTHERS[2], signed(OTHERS[2], head())) == 1


def test_the_quorum_follows_the_active_members() -> None:
    board = Board()
    board.roster = roster_of(MEMBERS[:3])
    board.accept(signed(SEQUENCER, head()))
    board.cosigned(OTHERS[0], signed(OTHERS[0], head()))
    assert board.finality is None
    board.cosigned(OTHERS[1], signed(OTHERS[1], head()))
    assert board.final_height() == 1


def final(one: Head, cosigners: list[str], quorum: int = 3) -> SoloFinality:
    return make_solo(signed(SEQUENCER, one), [signed(uscc, one) for uscc in cosigners], quorum)


def test_a_follower_checks_a_finality_before_it_keeps_it() -> None:
    board = Board()
    assert board.finalise(final(head(), OTHERS[:3]))
    assert not board.finalise(final(head(time_ms=NOW_MS - 1), OTHERS[:3]))
    for wrong in (
        final(head(time_ms=NOW_MS + 1), OTHERS[:2], quorum=2),
        final(head(time_ms=NOW_MS + 1, hash=b"\x02" * 32), OTHERS[:3]),
        final(head(time_ms=NOW_MS + 1, chain=b"\x12" * 32), OTHERS[:3]),
        dataclasses.replace(final(head(time_ms=NOW_MS + 1), OTHERS[:3]), head=head(time_ms=NOW_MS + 2)),
    ):
        with pytest.raises(LedgerError):
            board.finalise(wrong)
    assert len(board.kept) == 1


def test_a_restart_begins_with_the_stored_finality() -> None:
    stored = final(head(height=2, time_ms=NOW_MS - 1_000), OTHERS[1:])
    board = Board(stored)
    assert board.final_height() == 2
    assert board.age_ms() == 1_000


def test_messages_carry_heads_and_finality_unchanged() -> None:
    one = signed(OTHERS[0], head())
    assert head_of(head_message(one)) == one
    finality = final(head(), OTHERS[:3])
    assert finality_of(finality_message(finality)) == finality
    assert stored_finality(finality_message(finality).SerializeToString()) == finality


@pytest.mark.parametrize("field", ["chain", "hash", "public_key", "signature"])
def test_a_message_with_a_short_field_is_refused(field: str) -> None:
    message = head_message(signed(OTHERS[0], head()))
    setattr(message, field, getattr(message, field)[:-1])
    with pytest.raises(LedgerError, match=r"head\.malformed"):
        head_of(message)


def test_a_finality_over_two_heads_and_a_broken_row_are_refused() -> None:
    message = finality_message(final(head(), OTHERS[:3]))
    message.cosignatures[1].height += 1
    with pytest.raises(LedgerError, match=r"head\.malformed"):
        finality_of(message)
    with pytest.raises(LedgerError, match=r"store\.corrupt"):
        stored_finality(b"\xff")
