"""The signature by which a new account is proven is over what the contract asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ledger.chain.bindings import Contracts
from ledger.chain.devnet import dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.errors import InvalidInputError
from ledger.evidence.possession import account_key_digest, prove_possession
from ledger.keys import AccountSigner
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store


def test_the_digest_is_the_contracts(tmp_path: Path) -> None:
    members = dev_members()
    store = Store.open(tmp_path / "chain")
    chain = EmbeddedChain.open(ChainStore(store), dev_genesis(members, time_ms=1_795_000_000_000))
    addresses = contract_addresses()
    consortium = Contracts.at(chain.call, addresses).consortium
    for number, member in enumerate(members):
        signer = AccountSigner(hashlib.sha256(bytes([number])).digest())
        asked = consortium.account_key_digest(member.uscc, signer.address)
        assert account_key_digest(chain.chain_id, addresses["Consortium"], member.uscc, signer.address) == asked
        signature = prove_possession(signer, chain.chain_id, addresses["Consortium"], member.uscc)
        assert len(signature) == 65
        assert signature[64] in (27, 28)
        assert signature[:64] == signer.sign_digest(asked)[:64]
    chain.close()
    store.close()


@pytest.mark.parametrize(("consortium", "account"), [(bytes(19), bytes(20)), (bytes(20), bytes(21)), (b"", bytes(20))])
def test_what_is_no_address_is_refused(consortium: bytes, account: bytes) -> None:
    with pytest.raises(InvalidInputError, match="an address has 20 bytes"):
        account_key_digest(1, consortium, dev_members()[0].uscc, account)
