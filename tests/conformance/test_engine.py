"""What every engine must do alike: the same assertions on each of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.chain.bindings import ProposalKind, proposals
from ledger.chain.embedded import keccak256
from ledger.chain.reverts import revert_error
from ledger.errors import (
    ConflictError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from ledger.evidence import state
from ledger.model import MemberStatus
from ledger.storage.chainstate import StoredBlock
from tests.conformance.engines import PATIENCE_S, Running, outsider

AUTHORITY, TRANSPORT, HOUSING, HEALTH, AUDIT = range(5)


def test_a_write_lands(running: Running) -> None:
    chain, contracts = running.chain, running.contracts
    account = running.members[TRANSPORT].account.address
    id_, data = running.dataset(TRANSPORT)
    nonce = running.next_nonce(TRANSPORT)
    raw = running.sign(running.members[TRANSPORT], contracts.directory.address, data, nonce)
    hash_ = chain.submit(raw)
    assert hash_ == keccak256(raw)
    receipt = chain.wait(hash_, PATIENCE_S)

    assert receipt.succeeded
    assert (receipt.hash, receipt.sender, receipt.to, receipt.nonce) == (
        hash_, account, contracts.directory.address, nonce,
    )  # fmt: skip
    assert receipt.height <= chain.head().height
    assert chain.receipt(hash_) == receipt
    assert chain.nonce(account) == chain.pending_nonce(account) == nonce + 1
    assert contracts.directory.dataset(id_) is not None

    block = chain.block(receipt.height)
    assert block is not None
    assert block == chain.block(receipt.block_hash)
    assert (block.height, block.hash) == (receipt.height, receipt.block_hash)
    assert (block.transactions[receipt.index], block.transaction_hashes[receipt.index]) == (raw, hash_)
    assert chain.transaction(hash_) == (block, receipt.index)
    assert chain.receipts(receipt.height)[receipt.index] == receipt
    assert len(chain.receipts(receipt.height)) == len(block.transaction_hashes)
    assert {log.address for log in receipt.logs} == {contracts.directory.address}

    # The same bytes again are no error and no second effect.
    assert chain.submit(raw) == hash_
    assert chain.wait(hash_, PATIENCE_S) == receipt


def test_a_revert_is_an_outcome_with_its_reason(running: Running) -> None:
    directory = running.contracts.directory
    _, data = running.dataset(HOUSING)
    assert running.run(HOUSING, directory.address, data).succeeded
    again = running.run(HOUSING, directory.address, data)
    assert not again.succeeded
    assert again.logs == ()
    assert revert_error(again.output).code == "contract.directory-dataset-exists"
    assert running.chain.nonce(running.members[HOUSING].account.address) == again.nonce + 1
    with pytest.raises(ConflictError) as refused:
        running.sender(HOUSING).send(directory.address, data, timeout=PATIENCE_S)
    assert refused.value.code == "contract.directory-dataset-exists"
    with pytest.raises(NotFoundError) as unknown:
        directory._read("dataset", b"\x55" * 32)
    assert unknown.value.code == "contract.directory-unknown-dataset"


def test_nonces(running: Running) -> None:
    chain, member = running.chain, running.members[AUDIT]
    to = running.contracts.directory.address
    first, second = (running.dataset(AUDIT)[1] for _ in range(2))
    nonce = running.next_nonce(AUDIT)
    later = chain.submit(running.sign(member, to, second, nonce + 1))
    # It waits for the one before it: no gap is ever jumped.
    assert chain.receipt(later) is None
    assert chain.nonce(member.account.address) == nonce
    earlier = chain.submit(running.sign(member, to, first, nonce))
    receipts = [chain.wait(hash_, PATIENCE_S) for hash_ in (earlier, later)]
    assert [receipt.nonce for receipt in receipts] == [nonce, nonce + 1]
    assert (receipts[0].height, receipts[0].index) < (receipts[1].height, receipts[1].index)
    with pytest.raises(InvalidInputError) as low:
        chain.submit(running.sign(member, to, second, nonce))
    assert low.value.code == "tx.nonce-low"


def test_what_is_no_transaction_of_this_chain(running: Running) -> None:
    chain, member = running.chain, running.members[TRANSPORT]
    to, nonce = running.contracts.directory.address, running.next_nonce(TRANSPORT)
    other = running.sign(member, to, b"", nonce, chain_id=chain.chain_id + 1)
    for raw, code in ((other, "tx.chain-id"), (b"\x02", "tx.malformed"), (b"", "tx.malformed")):
        with pytest.raises(InvalidInputError) as refused:
            chain.submit(raw)
        assert refused.value.code == code
    assert chain.pending_nonce(member.account.address) == nonce


def test_many_at_once(running: Running) -> None:
    chain, to = running.chain, running.contracts.directory.address
    raws, ids = [], []
    for who in (TRANSPORT, HOUSING):
        first = running.next_nonce(who)
        for place in range(8):
            id_, data = running.dataset(who)
            raws.append(running.sign(running.members[who], to, data, first + place))
            ids.append(id_)
    admitted = chain.submit_many([*raws[:8], b"\x02", *raws[8:]])
    assert [answer.code for answer in admitted] == [""] * 8 + ["tx.malformed"] + [""] * 8
    landed = [chain.wait(keccak256(raw), PATIENCE_S) for raw in raws]
    assert all(receipt.succeeded for receipt in landed)
    assert all(running.contracts.directory.dataset(id_) is not None for id_ in ids)


def test_threads_share_an_account(running: Running) -> None:
    sender, to = running.sender(TRANSPORT), running.contracts.directory.address
    made = [running.dataset(TRANSPORT) for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda item: sender.send(to, item[1], timeout=PATIENCE_S), made))
    assert len({outcome.receipt.nonce for outcome in outcomes}) == 12
    assert all(running.contracts.directory.dataset(id_) is not None for id_, _ in made)


def test_an_outsider_changes_nothing(running: Running) -> None:
    chain, contracts, stranger = running.chain, running.contracts, outsider()
    before = contracts.directory.datasets()
    _, data = running.dataset(TRANSPORT)
    raw = running.sign(stranger, contracts.directory.address, data, 0)
    assert refusal(running, raw) == (
        "tx.not-member" if running.rules else "contract.consortium-not-active-member"
    )  # fmt: skip
    assert contracts.directory.datasets() == before
    if running.rules:
        assert chain.nonce(stranger.account.address) == 0


def refusal(running: Running, raw: bytes) -> str:
    """The code with which a transaction is refused: at once, or in its block."""
    try:
        receipt = running.chain.wait(running.chain.submit(raw), PATIENCE_S)
    except NotAllowedError as error:
        return error.code
    assert not receipt.succeeded
    return revert_error(receipt.output).code


def test_a_suspended_member_is_refused_from_the_next_block_on(running: Running) -> None:
    consortium, directory = running.contracts.consortium, running.contracts.directory
    health = running.members[HEALTH]
    assert running.run(HEALTH, directory.address, running.dataset(HEALTH)[1]).succeeded
    change(running, ProposalKind.SUSPEND)
    member = consortium.member(health.uscc)
    assert member is not None
    assert member.status is MemberStatus.SUSPENDED
    raw = running.sign(health, directory.address, running.dataset(HEALTH)[1], running.next_nonce(HEALTH))
    assert refusal(running, raw) == (
        "tx.not-member" if running.rules else "contract.consortium-not-active-member"
    )  # fmt: skip
    change(running, ProposalKind.REINSTATE)
    assert running.run(HEALTH, directory.address, running.dataset(HEALTH)[1]).succeeded


def change(running: Running, kind: ProposalKind) -> None:
    """Propose, vote and carry out a change of the health department's standing."""
    consortium = running.contracts.consortium
    arguments = proposals.encode_arguments(kind, running.members[HEALTH].uscc)
    expiry = running.chain.head().time + 86_400
    asked = running.run(AUTHORITY, consortium.address, consortium.encode_propose(kind, arguments, expiry))
    assert asked.succeeded, revert_error(asked.output)
    number = consortium.proposal_count()
    for who in (AUTHORITY, TRANSPORT, HOUSING, AUDIT):
        assert running.run(who, consortium.address, consortium.encode_vote(number, True)).succeeded
    done = running.run(AUTHORITY, consortium.address, consortium.encode_execute(number))
    assert done.succeeded, revert_error(done.output)


def test_proofs_verify_under_the_header(running: Running) -> None:
    address = running.addresses["Consortium"]
    uscc = running.members[AUTHORITY].uscc
    slots = [state.active_count_slot(), state.member_slots(uscc).packed, b"\x77" * 32]
    receipt = running.run(HOUSING, running.contracts.directory.address, running.dataset(HOUSING)[1])
    proof = running.proof(address, slots, receipt.height)
    assert proof["height"] == receipt.height
    account = state.verify_account(state_root(running, receipt.height), address, proof["account_proof"])
    assert (account.code_hash, account.storage_hash) == (proof["code_hash"], proof["storage_hash"])
    values = []
    for slot, entry in zip(slots, proof["storage"], strict=True):
        assert entry["key"] == slot
        values.append(state.verify_storage(account.storage_hash, slot, entry["proof"]))
        assert values[-1] == entry["value"]
    assert state.decode_count(values[0]) == running.contracts.consortium.active_count(height=receipt.height)
    assert values[1] != bytes(32) == values[2]


def state_root(running: Running, height: int) -> bytes:
    """The state root in a block's header, whose bytes hash to the block hash."""
    block = running.chain.block(height)
    assert block is not None
    assert keccak256(block.header) == block.hash
    # List prefix 3, then parent and ommers (33 each) and coinbase (21) with theirs.
    return block.header[3 + 33 + 33 + 21 + 1 :][:32]


def test_reading_at_an_earlier_block(running: Running) -> None:
    contracts, chain = running.contracts, running.chain
    before = chain.head().height
    id_, data = running.dataset(HOUSING)
    assert running.run(HOUSING, contracts.directory.address, data).height > before
    assert contracts.directory.dataset(id_, height=before) is None
    assert contracts.directory.dataset(id_) is not None
    with pytest.raises(NotFoundError) as above:
        contracts.consortium.active_count(height=chain.head().height + 1_000_000)
    assert above.value.code == "chain.height"


def test_what_is_not_there_is_nothing(running: Running) -> None:
    chain = running.chain
    nowhere = chain.head().height + 1_000_000
    assert chain.block(nowhere) is None
    assert chain.block(b"\x77" * 32) is None
    assert chain.receipt(b"\x77" * 32) is None
    assert chain.transaction(b"\x77" * 32) is None
    assert chain.receipts(nowhere) == ()
    assert chain.nonce(outsider().account.address[::-1]) == 0
    with pytest.raises(UnavailableError) as late:
        chain.wait(b"\x77" * 32, 0.05)
    assert late.value.code == "chain.timeout"


def test_blocks_come_in_order_without_gaps(running: Running) -> None:
    chain, to = running.chain, running.contracts.directory.address
    seen: list[StoredBlock] = []
    changed = threading.Condition()

    def keep(block: StoredBlock) -> None:
        with changed:
            seen.append(block)
            changed.notify_all()

    end = chain.subscribe(keep)
    try:
        hashes = [running.run(TRANSPORT, to, running.dataset(TRANSPORT)[1]).hash for _ in range(3)]
        with changed:
            assert changed.wait_for(
                lambda: set(hashes) <= {hash_ for block in seen for hash_ in block.transaction_hashes}, PATIENCE_S
            )
    finally:
        end()
    heights = [block.height for block in seen]
    assert heights == list(range(heights[0], heights[0] + len(heights)))
    for block in seen:
        assert chain.block(block.height) == block
    running.run(TRANSPORT, to, running.dataset(TRANSPORT)[1])
    assert len(seen) == len(heights)


def test_a_restart_keeps_everything(running: Running) -> None:
    id_, data = running.dataset(AUDIT)
    receipt = running.run(AUDIT, running.contracts.directory.address, data)
    head, block = running.chain.head(), running.chain.block(receipt.height)
    running.restart()
    assert running.chain.head().height >= head.height
    assert running.chain.block(receipt.height) == block
    assert running.chain.receipt(receipt.hash) == receipt
    assert running.contracts.directory.dataset(id_) is not None
    assert running.chain.nonce(running.members[AUDIT].account.address) == receipt.nonce + 1
    assert running.run(AUDIT, running.contracts.directory.address, running.dataset(AUDIT)[1]).succeeded


def test_a_block_becomes_final_as_the_engine_says(running: Running) -> None:
    receipt = running.run(AUDIT, running.contracts.directory.address, running.dataset(AUDIT)[1])
    assert running.prove(receipt.height) == running.finality
    assert running.chain.failure is None


def test_a_closed_engine_says_so(running: Running) -> None:
    old = running.chain
    running.restart()
    with pytest.raises(LedgerError) as closed:
        old.submit(b"\x02")
    assert closed.value.code == "chain.closed"
    assert old.failure is not None
    assert old.failure.code == "chain.closed"
