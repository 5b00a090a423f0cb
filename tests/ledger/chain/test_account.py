"""Sending: nonces under concurrency, lost answers, refusals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.chain import embedded
from ledger.chain.account import TransactionSender, sign_transaction
from ledger.chain.blocks import Receipt
from ledger.chain.devnet import CHAIN_ID, Devnet
from ledger.chain.embedded import read_transaction
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, UnavailableError
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing

from .conftest import T0_MS, Bench


def publication(bench: Bench, who: int, code: str) -> bytes:
    return bench.contracts.directory.encode_publish(
        dataset_id(bench.members[who].uscc, code),
        sharing=Sharing.CONDITIONAL,
        level=Level.GENERAL,
        metadata_digest=b"\x01" * 32,
        resource_code=code,
    )


def sender(bench: Bench, who: int, **changes: object) -> TransactionSender:
    """A sender whose waiting makes a block when there is something for one."""

    def wait(hash_: bytes, timeout: float) -> Receipt:
        if bench.chain.receipt(hash_) is None:
            bench.chain.produce(T0_MS)
        return bench.chain.wait(hash_, timeout)

    arguments: dict[str, object] = {
        "chain_id": CHAIN_ID,
        "nonce": bench.chain.nonce,
        "submit": bench.chain.submit,
        "wait": wait,
        "resubmit_s": 0.01,
    }
    return TransactionSender(bench.members[who].account, **(arguments | changes))  # type: ignore[arg-type]


def test_a_signed_transaction_is_what_was_asked_for(bench: Bench) -> None:
    account = bench.members[1].account
    raw = sign_transaction(account, chain_id=CHAIN_ID, nonce=300, to=b"\x0a" * 20, data=b"\x00\x01", gas=77_777)
    read = read_transaction(raw)
    assert (read.kind, read.sender, read.nonce, read.to) == (2, account.address, 300, b"\x0a" * 20)
    assert (read.gas, read.input, read.chain_id, read.value) == (77_777, b"\x00\x01", CHAIN_ID, 0)
    assert (read.max_fee, read.max_priority_fee, read.access_list) == (0, 0, ())
    assert read_transaction(sign_transaction(account, chain_id=CHAIN_ID, nonce=0, to=None, data=b"\x01")).to is None


def test_an_outcome_names_block_and_receipt(bench: Bench) -> None:
    outcome = sender(bench, 1).send(bench.contracts.directory.address, publication(bench, 1, "A"))
    assert outcome.height == 1
    assert outcome.receipt == bench.chain.receipt(outcome.hash)


def test_a_revert_is_raised_in_plain_words_and_the_next_one_goes_through(bench: Bench) -> None:
    directory = bench.contracts.directory
    account = sender(bench, 1)
    with pytest.raises(NotFoundError) as refused:
        account.send(directory.address, directory.encode_add_version(b"\x01" * 32, b"\x02" * 32, 1))
    assert refused.value.code == "contract.directory-unknown-dataset"
    assert refused.value.hint
    account.send(directory.address, publication(bench, 1, "A"))
    with pytest.raises(ConflictError):
        account.send(directory.address, publication(bench, 1, "A"))
    data = directory.encode_add_version(dataset_id(bench.members[1].uscc, "A"), b"\x02" * 32, 1)
    with pytest.raises(NotAllowedError):
        sender(bench, 2).send(directory.address, data)
    assert bench.chain.nonce(account.address) == 3


def test_a_refused_admission_is_raised_at_once_and_takes_no_nonce(bench: Bench) -> None:
    account = sender(bench, 1)
    with pytest.raises(InvalidInputError) as refused:
        account.send(bench.contracts.directory.address, b"", gas=1)
    assert refused.value.code == "tx.gas"
    assert account.send(bench.contracts.directory.address, publication(bench, 1, "A")).receipt.nonce == 0


def test_many_threads_share_an_account(devnet: Devnet) -> None:
    chain, member = devnet.chain, devnet.members[3]
    account = TransactionSender(
        member.account, chain_id=CHAIN_ID, nonce=chain.nonce, submit=chain.submit, wait=chain.wait
    )
    first = chain.nonce(member.account.address)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: account.send(b"\x0a" * 20, b"", gas=30_000), range(96)))
    assert sorted(outcome.receipt.nonce for outcome in outcomes) == list(range(first, first + 96))


def test_a_transaction_the_pool_lost_is_handed_in_again(bench: Bench) -> None:
    forgotten: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        hash_ = bench.chain.submit(raw)
        if not forgotten:  # the sequencer restarts: its pool is memory only
            forgotten.append(hash_)
            bench.chain.pool.discard([hash_])
        return hash_

    outcome = sender(bench, 1, submit=submit).send(bench.contracts.directory.address, publication(bench, 1, "A"))
    assert forgotten == [outcome.hash]


def test_a_view_behind_the_sequencer_s_steps_to_the_next_nonce(bench: Bench) -> None:
    for code in ("A", "B", "C"):
        sender(bench, 1).send(bench.contracts.directory.address, publication(bench, 1, code))
    late = sender(bench, 1, nonce=lambda _: 0)
    assert late.send(bench.contracts.directory.address, publication(bench, 1, "D")).receipt.nonce == 3


def test_a_view_far_behind_says_so(bench: Bench) -> None:
    def submit(_raw: bytes) -> bytes:
        raise InvalidInputError("tx.nonce-low", "used")

    with pytest.raises(UnavailableError) as behind:
        sender(bench, 1, submit=submit).send(bytes(20), b"")
    assert behind.value.code == "chain.behind"


def test_giving_up_says_it_may_still_happen_and_the_next_nonce_is_free(bench: Bench) -> None:
    patient = sender(bench, 1, wait=bench.chain.wait)
    with pytest.raises(UnavailableError) as late:
        patient.send(bench.contracts.directory.address, publication(bench, 1, "A"), timeout=0.03)
    assert late.value.code == "chain.timeout"
    assert "may still be included" in late.value.hint
    outcome = sender(bench, 1).send(bench.contracts.directory.address, publication(bench, 1, "B"))
    assert outcome.receipt.nonce == 1
    assert bench.contracts.directory.dataset_count() == 2


def test_a_nonce_given_up_on_is_filled_while_others_wait_behind_it(bench: Bench) -> None:
    lost: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        lost.append(raw) if not lost else None
        if raw == lost[0]:
            return embedded.keccak256(raw)  # the sequencer restarted and knows nothing of it
        return bench.chain.submit(raw)

    one = sender(bench, 1, submit=submit)
    directory = bench.contracts.directory.address
    given_up = one._dispatch(directory, publication(bench, 1, "A"), 1_000_000)
    with ThreadPoolExecutor(1) as pool:
        behind = pool.submit(one.send, directory, publication(bench, 1, "B"), timeout=180)
        while len(bench.chain.pool) == 0:
            assert not behind.done()
        with pytest.raises(UnavailableError, match=r"chain\.timeout"):
            one._await(*given_up[:2], one.address, given_up[2], time.monotonic() + 0.05)
        one._in_flight.discard(given_up[2])
        assert one.send(directory, publication(bench, 1, "C"), timeout=180).receipt.nonce == given_up[2]
        assert behind.result().receipt.nonce == given_up[2] + 1


def test_a_sequencer_that_is_away_is_waited_for(bench: Bench) -> None:
    answers: list[Callable[[bytes], bytes]] = []

    def away(_raw: bytes) -> bytes:
        raise UnavailableError("peer.unreachable", "away")

    answers += [bench.chain.submit, away, bench.chain.submit]
    calls = threading.Semaphore(0)

    def submit(raw: bytes) -> bytes:
        calls.release()
        hash_ = answers.pop(0)(raw)
        if len(answers) == 2:
            bench.chain.pool.discard([hash_])
        return hash_

    outcome = sender(bench, 1, submit=submit).send(bench.contracts.directory.address, publication(bench, 1, "A"))
    assert outcome.receipt.succeeded
    assert answers == []


def test_a_definite_refusal_while_waiting_is_raised(bench: Bench) -> None:
    given: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        if given:
            raise NotAllowedError("tx.not-member", "suspended meanwhile")
        given.append(raw)
        return read_transaction(raw).hash

    with pytest.raises(NotAllowedError) as refused:
        sender(bench, 1, submit=submit).send(bytes(20), b"")
    assert refused.value.code == "tx.not-member"


def test_a_connection_refused_while_waiting_does_not_undo_what_was_admitted(bench: Bench) -> None:
    given: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        given.append(raw)
        if len(given) > 1:
            raise NotAllowedError("auth.key-ended", "the block of this transaction ended the connection's key")
        return bench.chain.submit(raw)

    def wait(hash_: bytes, timeout: float) -> Receipt:
        if len(given) > 1:  # our own view of the chain catches up only now
            bench.chain.produce(T0_MS)
        return bench.chain.wait(hash_, timeout)

    data = publication(bench, 1, "A")
    outcome = sender(bench, 1, submit=submit, wait=wait).send(bench.contracts.directory.address, data)
    assert outcome.receipt.succeeded
    assert given == [given[0]] * 2


def test_a_connection_refused_until_the_end_says_that_it_may_still_happen(bench: Bench) -> None:
    given: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        if given:
            raise NotAllowedError("auth.key-ended", "ended")
        given.append(raw)
        return bench.chain.submit(raw)

    with pytest.raises(UnavailableError, match=r"chain\.timeout"):
        sender(bench, 1, submit=submit, wait=bench.chain.wait).send(bytes(20), b"", timeout=0.05)


def test_a_replaced_account_goes_on_with_its_own_nonces(bench: Bench) -> None:
    account = sender(bench, 1)
    directory = bench.contracts.directory.address
    account.send(directory, publication(bench, 1, "A"))
    account.use_signer(bench.members[2].account)
    outcome = account.send(directory, publication(bench, 2, "B"))
    assert (outcome.receipt.sender, outcome.receipt.nonce) == (bench.members[2].account.address, 0)
    assert account.address == bench.members[2].account.address


def test_a_transaction_whose_nonce_another_one_took_is_sent_anew(bench: Bench) -> None:
    """On a network with several pools what an earlier run of this node handed in elsewhere may be faster."""
    rival = bench.sign(1, bench.contracts.directory.address, publication(bench, 1, "RIVAL"))
    first = True

    def submit(raw: bytes) -> bytes:
        nonlocal first
        if first:
            # Admitted by a pool that loses it to the other one.
            first = False
            bench.chain.submit(rival)
            bench.chain.produce(T0_MS)
            return embedded.keccak256(raw)
        return bench.chain.submit(raw)

    outcome = sender(bench, 1, submit=submit).send(bench.contracts.directory.address, publication(bench, 1, "A"))
    assert outcome.receipt.nonce == 1
    assert bench.contracts.directory.dataset_count() == 2


def test_a_refused_nonce_is_taken_anew_too(bench: Bench) -> None:
    answers = iter([InvalidInputError("tx.nonce-low", "used up"), UnavailableError("chain.timeout", "none")])

    def wait(hash_: bytes, timeout: float) -> Receipt:
        error = next(answers, None)
        if error is not None:
            raise error
        bench.chain.produce(T0_MS)
        return bench.chain.wait(hash_, 5)

    outcome = sender(bench, 1, wait=wait, submit=_dropping_first(bench)).send(
        bench.contracts.directory.address, publication(bench, 1, "A")
    )
    assert outcome.receipt.nonce == 0


def _dropping_first(bench: Bench) -> Callable[[bytes], bytes]:
    seen: list[bytes] = []

    def submit(raw: bytes) -> bytes:
        seen.append(raw)
        return embedded.keccak256(raw) if len(seen) == 1 else bench.chain.submit(raw)

    return submit
