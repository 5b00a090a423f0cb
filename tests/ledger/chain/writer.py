"""The process that ``test_crash`` kills: makes blocks as fast as it can and prints each acknowledged transaction.

Usage: python writer.py FOLDER GENESIS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store


def batches(chain: EmbeddedChain) -> Iterator[list[bytes]]:
    """For ever: one publication by each member, on from the committed nonces."""
    directory = Contracts.at(chain.call, contract_addresses()).directory
    members = dev_members()
    while True:
        raws = []
        for member in members:
            nonce = chain.nonce(member.account.address)
            data = directory.encode_publish(
                dataset_id(member.uscc, f"R{nonce}"),
                sharing=Sharing.CONDITIONAL,
                level=Level.GENERAL,
                metadata_digest=b"\x01" * 32,
                resource_code=f"R{nonce}",
            )
            raws.append(
                sign_transaction(member.account, chain_id=CHAIN_ID, nonce=nonce, to=directory.address, data=data)
            )
        yield raws


def main(folder: str, genesis: str) -> None:
    """Run until killed."""
    chain = EmbeddedChain.open(ChainStore(Store.open(folder)), Path(genesis).read_bytes())
    for raws in batches(chain):
        hashes = [chain.submit(raw) for raw in raws]
        chain.produce(1_795_000_001_000)
        for hash_ in hashes:
            assert chain.wait(hash_, 0)
            print(hash_.hex(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
