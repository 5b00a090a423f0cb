"""brownie itself against the chain: its contract objects, transactions, events and refusals work unchanged."""

from __future__ import annotations

from typing import Any

import brownie
import pytest
from contract_city import ADDRESSES, INTERFACE, ZERO, City, dataset_id, digest
from eth_utils import keccak
from web3.exceptions import ContractCustomError

import contracts


@pytest.fixture
def directory(city: City) -> Any:
    return brownie.Contract.from_abi("Directory", ADDRESSES["Directory"], list(contracts.artifact("Directory").abi))


def send(city: City, method: Any, *args: Any) -> Any:
    return method(*args, {"from": city.water.account, "gas_limit": 2_000_000, "gas_price": 0})


def test_brownie_reads_and_writes(city: City, directory: Any) -> None:
    made = dataset_id(city.water.id, "b/1")
    done = send(city, directory.publishDataset, made, 2, 1, digest("meta"), ZERO, "b/1")
    assert done.status == 1
    assert done.events["DatasetPublished"]["resourceCode"] == "b/1"
    assert done.events["DatasetPublished"]["id"] == "0x" + made.hex()
    assert directory.dataset(made)["provider"] == "0x" + city.water.id.hex()
    assert directory.datasetCount() == 1
    assert done.gas_used > 21_000
    assert city.water.account.nonce >= 1


def test_brownie_sees_a_refusal_with_its_selector(city: City, directory: Any) -> None:
    unknown = digest("unknown")
    selector = keccak(text="Directory__UnknownDataset(bytes32)")[:4].hex()
    with pytest.raises(ContractCustomError) as refused:
        directory.dataset(unknown)
    assert refused.value.data == f"0x{selector}{unknown.hex()}"
    # A transaction that is refused is in a block and changes nothing.
    args = (unknown, digest("reason"))
    receipt = city.target.transact(
        city.water.account, ADDRESSES["Directory"], INTERFACE.encode("Directory.withdraw", args)
    )
    assert receipt["status"] == "0x0"
    assert receipt["logs"] == []
    assert directory.datasetCount() == 0


def test_brownie_sees_the_chain(city: City) -> None:
    before = len(brownie.chain)
    city.publish(city.water, "b/2")
    assert len(brownie.chain) == before + 1
    block = brownie.chain[-1]
    assert block["number"] == before
    assert len(block["transactions"]) == 1
    assert brownie.web3.eth.chain_id == city.target.chain_id
