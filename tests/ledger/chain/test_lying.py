"""Bindings over a node that lies: each word of each answer is changed; nothing but an untrusted answer comes of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from ledger.chain.bindings import Contracts, ProposalKind, proposals
from ledger.chain.genesis import contract_addresses
from ledger.directory.lists import ListName
from ledger.errors import NotFoundError, UntrustedError

from .conftest import Bench

AUTHORITY, TRANSPORT, HOUSING, HEALTH, AUDIT = range(5)
DAY = 86_400

Read = Callable[[Contracts, Bench], object]
READS: dict[str, Read] = {
    "member": lambda c, b: c.consortium.member(b.members[0].uscc),
    "members": lambda c, b: c.consortium.members(),
    "member of": lambda c, b: c.consortium.member_of(b.members[0].account.address),
    "keys": lambda c, b: c.consortium.keys(b.members[0].uscc),
    "proposals": lambda c, b: c.consortium.proposals(),
    "votes": lambda c, b: c.consortium.votes(1),
    "datasets": lambda c, b: c.directory.datasets(),
    "demands": lambda c, b: c.directory.entries(ListName.DEMAND),
    "grants": lambda c, b: c.grants.grants(),
    "forks": lambda c, b: c.anchors.forks(),
    "licence types": lambda c, b: tuple(c.licences.licence_types()),
    "issuers": lambda c, b: c.licences.issuers(b.members[HOUSING].uscc + "001"),
    "accreditations": lambda c, b: c.licences.accreditations(b.members[HOUSING].uscc + "001", b.members[HEALTH].uscc),
    "list head": lambda c, b: c.licences.list_head(b.members[HEALTH].uscc, 1),
    "list versions": lambda c, b: c.licences.list_versions(b.members[HEALTH].uscc, 1),
}


@pytest.fixture
def filled(bench: Bench) -> Bench:
    """One of everything on chain."""
    c, later = bench.contracts, bench.chain.head().time + 5 * DAY
    bench.chain.submit(bench.publish(TRANSPORT, "L-1"))
    bench.now_ms += 1_000
    bench.chain.produce(bench.now_ms)
    (dataset,) = c.directory.datasets()
    asked = c.grants.encode_request(
        dataset=dataset.id,
        purpose="check",
        matter=b"\x01" * 32,
        scope_digest=b"\x02" * 32,
        odrl_digest=b"\x03" * 32,
        ceiling=1,
        valid_until=later,
        deadline=later,
    )
    suspend = proposals.encode_arguments(ProposalKind.SUSPEND, bench.members[HEALTH].uscc)
    transport = bench.members[TRANSPORT].uscc
    code = bench.members[HOUSING].uscc + "001"
    head = c.licences.encode_record_list(
        code,
        1,
        1,
        uri_digest=b"\x21" * 32,
        list_digest=b"\x22" * 32,
        token_digest=b"\x23" * 32,
        inflated_bytes=9,
        bits=2,
    )
    issuer = bench.members[HEALTH].uscc
    steps = (
        (HOUSING, c.licences.address, c.licences.encode_define(code, b"\x31" * 32)),
        (HOUSING, c.licences.address, c.licences.encode_accredit(code, issuer, basis_digest=b"\x32" * 32)),
        (HEALTH, c.licences.address, head),
        (HOUSING, c.grants.address, asked),
        (AUDIT, c.consortium.address, c.consortium.encode_propose(ProposalKind.SUSPEND, suspend, later)),
        (AUDIT, c.consortium.address, c.consortium.encode_vote(1, True)),
        (HOUSING, c.directory.address, c.directory.encode_add_demand(transport, b"\x11" * 32, b"\x12" * 32, later)),
        (AUDIT, c.anchors.address, c.anchors.encode_report_fork(transport, b"a", b"b")),
    )
    for who, to, data in steps:
        assert bench.run(who, to, data).succeeded
    return bench


@pytest.mark.parametrize("name", READS)
def test_a_changed_word_gives_another_value_or_an_untrusted_answer(filled: Bench, name: str) -> None:
    refused = 0
    for place in range(40):

        def lie(to: bytes, data: bytes, height: int | None = None, place: int = place) -> bytes:
            answer = filled.chain.call(to, data, height)
            start = 32 * place
            return answer if start >= len(answer) else answer[:start] + b"\xee" * 32 + answer[start + 32 :]

        # A changed id leads to a question about something else, which may not exist.
        with suppress(NotFoundError):
            try:
                READS[name](Contracts.at(lie, contract_addresses()), filled)
            except UntrustedError:
                refused += 1
    assert refused > 0
