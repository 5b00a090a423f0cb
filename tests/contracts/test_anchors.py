"""Anchors: a log's head moves forward only, by proof; contradictions are kept."""

from __future__ import annotations

import hashlib

import pytest
from contract_city import ZERO, City, digest, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merkle_reference import consistency_proof, root

LEAVES = [hashlib.sha256(b"\0" + bytes([i])).digest() for i in range(64)]
FORK = [hashlib.sha256(b"\1" + bytes([i])).digest() for i in range(64)]


def anchor(city: City, size: int, before: int = 0, leaves: list[bytes] = LEAVES, index_root: bytes = ZERO):
    proof = consistency_proof(leaves, before, size) if before else []
    return city.send(city.water, "Anchors.record", city.water.id, size, root(leaves[:size]), index_root, proof)


def test_first_anchor_needs_no_proof_and_is_read_back(city: City) -> None:
    event = anchor(city, 5).only("Anchored")
    assert event == {
        "member": city.water.id, "generation": 1, "size": 5, "root": root(LEAVES[:5]), "indexRoot": ZERO,
    }  # fmt: skip
    kept = city.read("Anchors.anchor", city.water.id)
    assert (kept.root, kept.indexRoot, kept.size, kept.generation) == (root(LEAVES[:5]), ZERO, 5, 1)
    assert kept.time == city.now


def test_nothing_anchored_reads_as_zeros(city: City) -> None:
    kept = city.read("Anchors.anchor", city.civil.id)
    assert (kept.root, kept.size, kept.time, kept.generation) == (ZERO, 0, 0, 0)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(sizes=st.lists(st.integers(1, 64), min_size=2, max_size=5))
def test_heads_move_forward_only(city: City, sizes: list[int]) -> None:
    """Any sizes with right proofs: growing ones pass, shrinking ones are refused, and the head is the largest."""
    with city.target.untouched():
        head = 0
        for size in sizes:
            if size >= head:
                anchor(city, size, head)
                head = size
            else:
                refused = city.refusal(
                    city.water, "Anchors.record", city.water.id, size, root(LEAVES[:size]), ZERO,
                    consistency_proof(LEAVES, size, head),
                )  # fmt: skip
                assert refused == ("Anchors__LogShrinks", city.water.id, head, size)
            assert city.read("Anchors.anchor", city.water.id).size == head


@pytest.mark.parametrize("size", [5, 6, 8, 33, 64])
def test_a_rewritten_log_cannot_be_anchored(city: City, size: int) -> None:
    anchor(city, 5)
    if size == 5:
        refused = city.refusal(city.water, "Anchors.record", city.water.id, 5, root(FORK[:5]), ZERO, [])
        assert refused == ("Anchors__RootDiffers", city.water.id, 5, root(LEAVES[:5]), root(FORK[:5]))
        return
    for proof in (consistency_proof(FORK, 5, size), consistency_proof(LEAVES, 5, size), []):
        refused = city.refusal(city.water, "Anchors.record", city.water.id, size, root(FORK[:size]), ZERO, proof)
        assert refused == ("Anchors__ProofFails", city.water.id, 5, size)


def test_a_proof_with_one_hash_too_many_or_too_few_fails(city: City) -> None:
    anchor(city, 6)
    proof = consistency_proof(LEAVES, 6, 13)
    for wrong in (proof[:-1], [*proof, digest("more")], proof[1:], []):
        refused = city.refusal(city.water, "Anchors.record", city.water.id, 13, root(LEAVES[:13]), ZERO, wrong)
        assert refused == ("Anchors__ProofFails", city.water.id, 6, 13)
    anchor(city, 13, 6)


def test_same_size_renews_the_time_and_may_add_an_index_root_once(city: City) -> None:
    anchor(city, 7)
    index = digest("index")
    event = anchor(city, 7, 7, index_root=index).only("Anchored")
    assert event["indexRoot"] == index
    refused = city.refusal(city.water, "Anchors.record", city.water.id, 7, root(LEAVES[:7]), digest("other"), [])
    assert refused == ("Anchors__IndexRootDiffers", city.water.id, 7, index, digest("other"))
    refused = city.refusal(city.water, "Anchors.record", city.water.id, 7, root(LEAVES[:7]), index, [ZERO])
    assert refused == ("Anchors__ProofFails", city.water.id, 7, 7)


def test_the_first_anchor_takes_no_proof_and_no_empty_log(city: City) -> None:
    refused = city.refusal(city.water, "Anchors.record", city.water.id, 3, root(LEAVES[:3]), ZERO, [ZERO])
    assert refused == ("Anchors__ProofFails", city.water.id, 0, 3)
    refused = city.refusal(city.water, "Anchors.record", city.water.id, 0, ZERO, ZERO, [])
    assert refused == ("Anchors__EmptyLog", city.water.id)


def test_only_the_member_itself_records(city: City) -> None:
    args = (city.water.id, 3, root(LEAVES[:3]), ZERO, [])
    assert city.refusal(city.civil, "Anchors.record", *args) == ("Anchors__NotOwnLog", city.water.id, city.civil.id)
    assert city.refusal(city.outsider, "Anchors.record", *args) == (
        "Consortium__NotActiveMember", city.outsider.account.address.lower(),
    )  # fmt: skip


def test_a_retired_log_ends_and_the_next_begins_from_nothing(city: City) -> None:
    anchor(city, 9)
    retired = city.decide(11, ["bytes32"], city.water.id, without=(city.water,)).only("LogRetired")
    assert (retired["generation"], retired["next"]) == (1, 2)
    event = anchor(city, 2, leaves=FORK).only("Anchored")
    assert (event["generation"], event["size"]) == (2, 2)
    old = city.read("Anchors.retired", city.water.id, 1)
    assert (old.size, old.root, old.generation) == (9, root(LEAVES[:9]), 1)
    assert city.read("Anchors.retired", city.water.id, 2).generation == 0
    refused = city.refusal(city.water, "Anchors.record", city.water.id, 1, FORK[0], ZERO, [])
    assert refused == ("Anchors__LogShrinks", city.water.id, 2, 1)


def test_a_fork_is_kept_with_both_notes(city: City) -> None:
    a, b = b"note a", b"note b"
    event = city.send(city.health, "Anchors.reportFork", city.water.id, a, b).only("ForkReported")
    assert (event["member"], event["reporter"]) == (city.water.id, city.health.id)
    assert (event["noteA"], event["noteB"]) == (a, b)
    [fork] = city.read("Anchors.forks", 0, 10)
    assert (fork.member, fork.reporter, fork.digest) == (city.water.id, city.health.id, event["digest"])
    assert city.read("Anchors.forkCount") == 1
    assert city.read("Anchors.forks", 1, 10) == []
    for notes in ((a, b), (b, a)):
        refused = city.refusal(city.audit, "Anchors.reportFork", city.water.id, *notes)
        assert refused == ("Anchors__ForkKnown", event["digest"])


def test_a_fork_report_is_checked_for_shape_and_sender(city: City) -> None:
    def report(sender, *args):
        return city.refusal(sender, "Anchors.reportFork", *args)

    assert report(city.audit, city.water.id, b"x", b"x") == ("Anchors__SameNote",)
    assert report(city.audit, city.water.id, b"", b"x") == ("Anchors__MalformedNote", 0, 1)
    assert report(city.audit, city.water.id, b"x", b"") == ("Anchors__MalformedNote", 1, 0)
    assert report(city.audit, city.water.id, b"x", bytes(8193)) == ("Anchors__MalformedNote", 1, 8193)
    assert report(city.audit, city.water.id, bytes(8193), b"x") == ("Anchors__MalformedNote", 8193, 1)
    stranger = word("11310000MB2F00033Q")
    assert report(city.audit, stranger, b"x", b"y") == ("Consortium__UnknownMember", stranger)
    assert report(city.outsider, city.water.id, b"x", b"y")[0] == "Consortium__NotActiveMember"
