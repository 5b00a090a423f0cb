"""A change that leaves fewer than four validators is refused with the numbers: before the vote, and by the chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.account import TransactionSender
from ledger.chain.bindings import Contracts, ProposalKind
from ledger.chain.bindings.proposals import encode_arguments
from ledger.chain.devnet import dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.chain.sequencer import BlockLoop
from ledger.errors import ConflictError
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store
from node.services.foresight import require_enough_validators

MEMBERS = dev_members()
CODE = "contract.consortium-too-few-validators"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """Five validators."""
    store = Store.open(tmp_path / "chain")
    opened = EmbeddedChain.open(ChainStore(store), dev_genesis(MEMBERS, time_ms=1_795_000_000_000))
    loop = BlockLoop(opened, clock=lambda: opened.head().time * 1_000 + 1_000)
    loop.start()
    yield opened
    loop.stop()
    opened.close()
    store.close()


def decide(chain: EmbeddedChain, kind: ProposalKind, *arguments: object) -> None:
    """Propose, three members vote, execute; raises what the contract refuses."""
    consortium = Contracts.at(chain.call, contract_addresses()).consortium
    senders = [
        TransactionSender(
            member.account, chain_id=chain.chain_id, nonce=chain.nonce, submit=chain.submit, wait=chain.wait
        )
        for member in MEMBERS[:3]
    ]
    data = encode_arguments(kind, *arguments)
    senders[0].send(consortium.address, consortium.encode_propose(kind, data, chain.head().time + 86_400))
    number = consortium.proposal_count()
    for sender in senders:
        sender.send(consortium.address, consortium.encode_vote(number, True))
    senders[0].send(consortium.address, consortium.encode_execute(number))


def test_the_fourth_validator_stays(chain: EmbeddedChain) -> None:
    consortium = Contracts.at(chain.call, contract_addresses()).consortium
    *_, fourth, fifth = (member.uscc for member in MEMBERS)
    kinds = (ProposalKind.SUSPEND, ProposalKind.REMOVE)
    for kind in kinds:
        require_enough_validators(consortium, kind, {"member": fifth})
    decide(chain, ProposalKind.SUSPEND, fifth)
    assert [member for member, _ in consortium.validators()] == [member.uscc for member in MEMBERS[:4]]
    for kind in kinds:
        with pytest.raises(ConflictError, match="3 validators would be left, at least 4 are needed") as caught:
            require_enough_validators(consortium, kind, {"member": fourth})
        assert caught.value.code == CODE
    with pytest.raises(ConflictError):
        require_enough_validators(consortium, ProposalKind.SET_VALIDATOR, {"member": fourth, "validator": False})
    # What takes nobody out of the set is free.
    require_enough_validators(consortium, ProposalKind.REMOVE, {"member": fifth})
    require_enough_validators(consortium, ProposalKind.SET_VALIDATOR, {"member": fourth, "validator": True})
    require_enough_validators(consortium, ProposalKind.REPLACE_VALIDATOR, {"old": fourth, "new": fifth})
    # And who votes for it all the same hears it from the contract, with the same words.
    with pytest.raises(ConflictError, match="3 validators would be left, at least 4 are needed") as caught:
        decide(chain, ProposalKind.SET_VALIDATOR, fourth, False)
    assert caught.value.code == CODE
