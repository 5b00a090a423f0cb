"""A witness answers as tlog-witness says: the dialogue, status by status."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import ED25519_NOTE, Checkpoint, VKey, cosign, format_checkpoint, sign_note
from ledger.evidence.witness import (
    MAX_ANSWER_LINES,
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    Judgement,
    format_request,
    judge,
    parse_answer,
    parse_held,
    parse_request,
)
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole

ORIGIN = "310000.audit.civicledger/log"
LOG = Ed25519Signer(KeyRole.LOG, b"l" * 32)
WITNESS = Ed25519Signer(KeyRole.WITNESS, b"w" * 32)
KEY = VKey(name=ORIGIN, type=ED25519_NOTE, public=LOG.public)
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(20)]


def head(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=merkle.root(leaves[:size]))


def note(checkpoint: Checkpoint, signer: Ed25519Signer = LOG) -> bytes:
    return sign_note(format_checkpoint(checkpoint), ORIGIN, signer)


def ask(
    old: int,
    new: Checkpoint,
    proof: tuple[bytes, ...] | None = None,
    *,
    stored: Checkpoint | None,
    key: VKey | None = KEY,
) -> Judgement:
    if proof is None:
        proof = merkle.consistency_proof(LEAVES, old, new.size) if 0 < old < new.size else ()
    return judge(parse_request(format_request(old, proof, note(new))), key, stored)


def test_first_and_following_checkpoints_are_taken() -> None:
    for old, new, stored in ((0, head(5), None), (5, head(11), head(5)), (11, head(11), head(11)), (0, head(0), None)):
        answer = ask(old, new, stored=stored)
        assert (answer.status, answer.update) == (200, new), (old, new.size)


def test_unknown_origin_is_404() -> None:
    assert ask(0, head(5), stored=None, key=None).status == 404
    assert ask(0, head(5), stored=None, key=replace(KEY, name="other")).status == 404


def test_without_a_valid_log_signature_403() -> None:
    stranger = Ed25519Signer(KeyRole.LOG, b"x" * 32)
    request = parse_request(format_request(0, (), note(head(5), stranger)))
    assert judge(request, KEY, None).status == 403
    spoiled = replace(request, note=replace(parse_request(format_request(0, (), note(head(5)))).note, text="x\n"))
    assert judge(spoiled, KEY, None).status == 403


def test_old_beyond_the_new_size_is_400() -> None:
    assert ask(6, head(5), (), stored=head(6)).status == 400


def test_another_old_size_is_409_with_ours() -> None:
    for old, stored in ((0, head(5)), (4, head(5)), (3, None), (6, head(5))):
        answer = ask(old, head(11), (), stored=stored)
        held = stored.size if stored else 0
        assert (answer.status, answer.body, answer.content_type) == (409, f"{held}\n".encode(), SIZE_TYPE)
        assert answer.update is None


def test_bad_proofs_are_422() -> None:
    forked = [merkle.leaf_hash(b"other"), *LEAVES[1:]]
    proof = merkle.consistency_proof(LEAVES, 5, 11)
    cases = (
        ask(5, head(11, forked), proof, stored=head(5)),
        ask(5, head(11), proof[:-1], stored=head(5)),
        ask(5, head(11), (*proof, bytes(32)), stored=head(5)),
        ask(5, head(11), (), stored=head(5)),
        ask(5, head(5, forked), (), stored=head(5)),
        ask(5, head(5), proof, stored=head(5)),
        ask(0, head(5), proof, stored=None),
        ask(0, replace(head(0), root=bytes(32)), stored=None),
    )
    for answer in cases:
        assert (answer.status, answer.update) == (422, None)


def test_request_text() -> None:
    proof = merkle.consistency_proof(LEAVES, 5, 11)
    body = format_request(5, proof, note(head(11)))
    assert body.startswith(b"old 5\n")
    request = parse_request(body)
    assert (request.old, request.proof, request.checkpoint) == (5, proof, head(11))


GOOD = format_request(5, (b"p" * 32,), note(head(11)))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 5\n", GOOD.replace(b"old 5", b"old 05"), GOOD.replace(b"old 5", b"old -5"),
        GOOD.replace(b"old 5", b"Old 5"), GOOD.replace(b"cHBw", b"cHB"), b"\n" + GOOD, GOOD.replace(b"\n\n", b"\n", 1),
        format_request(5, (b"p" * 32,) * 64, note(head(11))), GOOD + b" " * MAX_REQUEST_BYTES,
        GOOD.replace(b"\n11\n", b"\n11\nextension\n"), GOOD.replace(b"old 5", "old ５".encode()),
    ],
)  # fmt: skip
def test_requests_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_request(body)
    assert caught.value.code == "witness.request"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=12))
def test_what_is_stored_only_ever_grows_along_one_tree(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever a log asks, the witness never cosigns two histories nor a shorter one."""
    forked = [*LEAVES[:3], merkle.leaf_hash(b"fork"), *LEAVES[4:]]
    stored: Checkpoint | None = None
    for old, size, fork in steps:
        leaves = forked if fork else LEAVES
        proof = merkle.consistency_proof(leaves, old, size) if 0 < old < size else ()
        answer = ask(old, head(size, leaves), proof, stored=stored)
        if answer.status == 200:
            assert answer.update is not None
            assert stored is None or answer.update.size >= stored.size
            if stored is not None and stored.size > 3:
                histories = [merkle.root(tree[: stored.size]) == stored.root for tree in (LEAVES, forked)]
                kept = LEAVES if histories[0] else forked
                assert answer.update.root == merkle.root(kept[: answer.update.size])
            stored = answer.update


LINE = cosign(format_checkpoint(head(5)), "310000.tax.civicledger/witness", WITNESS, 1_795_318_905).encode()


@pytest.mark.parametrize("count", [1, 2, MAX_ANSWER_LINES])
def test_an_answer_is_signature_lines(count: int) -> None:
    assert b"".join(str(line).encode() for line in parse_answer(LINE * count)) == LINE * count


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", LINE[:-1], LINE + b"\n", b"\n" + LINE, LINE * (MAX_ANSWER_LINES + 1), LINE + b"x",
     LINE.replace(b" ", b"  "), LINE.replace(b"\n", b"\r\n"), b"\xff" + LINE, LINE.decode().encode("utf-16"),
     b"\n" * 100_000],
)  # fmt: skip
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_answer(body)
    assert caught.value.code == "witness.answer"


@given(st.integers(0, 2**63 - 1))
def test_a_held_size_is_a_size_and_a_line_feed(size: int) -> None:
    assert parse_held(b"%d\n" % size) == size
    for bad in (b"%d" % size, b"0%d\n" % size, b" %d\n" % size, b"%d\n\n" % size, b"-%d\n" % size):
        with pytest.raises(InvalidInputError):
            parse_held(bad)


@given(st.binary(max_size=200))
def test_noise_is_refused_by_one_error(data: bytes) -> None:
    for parse in (parse_answer, parse_held, parse_request):
        with contextlib.suppress(InvalidInputError):
            parse(data)
