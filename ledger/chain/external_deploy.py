"""Our contracts on a foreign network: deployed by transactions, known by addresses and code hashes, checked at start.

Only the contracts enforce membership there: an outsider's transaction may well be in a block, but every contract of
ours refuses it. The network must ask no fee (base fee 0), because members' transactions carry no price.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import rlp

import contracts
from ledger.chain import external_refusals
from ledger.chain import external_shapes as shapes
from ledger.chain.abi import CONTRACTS
from ledger.chain.account import DEFAULT_GAS, sign_transaction
from ledger.chain.embedded import keccak256
from ledger.chain.external_link import RpcLink, refused
from ledger.chain.external_shapes import ForeignBlock
from ledger.chain.genesis import FoundingMember, creation_code
from ledger.chain.rpc.errors import RpcError
from ledger.errors import ConflictError, UnavailableError, UntrustedError
from ledger.keys import AccountSigner

_POLL_S: Final = 0.1
_TAGS: Final = ("latest", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where our contracts stand: chain id, addresses (20 bytes) and hashes of the run-time code (32 bytes) by name, and
    the block behind which all of them stood (height and hash), which tells this network from any other."""

    chain_id: int
    contracts: Mapping[str, bytes] = field(hash=False)
    code_hashes: Mapping[str, bytes] = field(hash=False)
    height: int
    hash: bytes


def planned_addresses(deployer: bytes, nonce: int) -> dict[str, bytes]:
    """Where the contracts come to stand when this account (20 bytes) makes them, the first with this nonce."""
    return {name: keccak256(rlp.encode([deployer, nonce + place]))[12:] for place, name in enumerate(CONTRACTS)}


def code_hashes(addresses: Mapping[str, bytes]) -> dict[str, bytes]:
    """keccak256 of the run-time code of each contract when the Consortium stands where it is said to."""
    return {name: keccak256(contracts.artifact(name).runtime(addresses["Consortium"])) for name in CONTRACTS}


def deploy(
    link: RpcLink,
    signer: AccountSigner,
    members: Sequence[FoundingMember],
    *,
    adopted: Sequence[bytes] = (),
    timeout: float = 120.0,
) -> Deployment:
    """Make the contracts for these founders, one transaction each, and check what stands there.

    The account must send nothing else meanwhile. A deployment that was interrupted is begun anew: what it made is never
    used. Raises ConflictError(chain.fees | chain.gas-limit | chain.deploy-busy | chain.deploy-failed),
    UnavailableError(chain.timeout | chain.*), UntrustedError(chain.contract-code | chain.*).
    """
    deadline = time.monotonic() + timeout
    try:
        chain_id = shapes.number(link.request("eth_chainId"))
        check_rules(read_block(link, None))
        nonces = {
            shapes.number(link.request("eth_getTransactionCount", shapes.text(signer.address), tag)) for tag in _TAGS
        }
        if len(nonces) != 1:
            raise ConflictError(
                "chain.deploy-busy",
                f"transactions of the deploying account 0x{signer.address.hex()} still wait",
                hint="wait until they are in blocks, or use another account",
            )
        nonce = nonces.pop()
        addresses = planned_addresses(signer.address, nonce)
        code = creation_code(members, addresses, adopted)
        for place, name in enumerate(CONTRACTS):
            gas = _gas(link, signer.address, code[name])
            raw = sign_transaction(signer, chain_id=chain_id, nonce=nonce + place, to=None, data=code[name], gas=gas)
            height, hash_ = _land(link, raw, nonce + place, name, addresses[name], deadline)
    except RpcError as error:
        raise external_refusals.called("deploying the contracts", error) from error
    made = Deployment(
        chain_id=chain_id,
        contracts=MappingProxyType(addresses),
        code_hashes=MappingProxyType(code_hashes(addresses)),
        height=height,
        hash=hash_,
    )
    check_deployment(link, made)
    return made


def check_deployment(link: RpcLink, deployment: Deployment) -> None:
    """The endpoint is of that network, and our contracts stand there.

    Raises ConflictError(chain.other-chain), UntrustedError(chain.contract-code), UnavailableError(chain.*).
    """
    names = tuple(deployment.contracts)
    try:
        chain_id = shapes.number(link.request("eth_chainId"))
        answer = link.request("eth_getBlockByNumber", hex(deployment.height), False)
        codes = link.batch([("eth_getCode", (shapes.text(deployment.contracts[name]), "latest")) for name in names])
    except RpcError as error:
        raise refused("checking the contracts", error) from error
    pairs: tuple[tuple[str, object, object], ...] = (
        ("chain id", deployment.chain_id, chain_id),
        (f"block {deployment.height}", deployment.hash, None if answer is None else shapes.block_hash(answer)),
    )
    for what, expected, actual in pairs:
        if expected != actual:
            raise ConflictError(
                "chain.other-chain",
                f"{link.url} is another network, or not in step: its {what} is not the deployment's",
                hint="check the address of the JSON-RPC, and that its node has caught up",
                expected=expected,
                actual=actual,
            )
    for name, code in zip(names, codes, strict=True):
        if isinstance(code, RpcError):
            raise refused(f"reading the code of {name}", code)
        found = keccak256(shapes.data(code))
        if found != deployment.code_hashes[name]:
            raise UntrustedError(
                "chain.contract-code",
                f"what stands at 0x{deployment.contracts[name].hex()} is not the contract {name}",
                hint="check the deployment's addresses; trust nothing that is read there",
                expected=deployment.code_hashes[name],
                actual=found,
            )


def check_rules(block: ForeignBlock) -> None:
    """The network takes members' transactions: no fee, room for them. Raises ConflictError(chain.fees |
    chain.gas-limit)."""
    if block.base_fee:
        raise ConflictError(
            "chain.fees",
            f"the network asks a base fee of {block.base_fee} wei; members' transactions carry no price",
            hint="use a network without fees (Besu: zeroBaseFee in the genesis, --min-gas-price=0)",
            expected=0,
            actual=block.base_fee,
        )
    if block.gas_limit < DEFAULT_GAS:
        raise ConflictError(
            "chain.gas-limit",
            f"a block of the network has {block.gas_limit} gas; one transaction of a member may need {DEFAULT_GAS}",
            hint="raise the gas limit of the network's blocks",
            expected=DEFAULT_GAS,
            actual=block.gas_limit,
        )


def read_block(link: RpcLink, height: int | None) -> ForeignBlock:
    """A block with its transactions (None: the newest). Raises RpcError, UnavailableError(chain.unreachable),
    UntrustedError(chain.answer | header.hash)."""
    answer = link.request("eth_getBlockByNumber", "latest" if height is None else hex(height), True)
    if answer is None:
        raise UnavailableError(
            "chain.unreachable", f"{link.url} has no such block", hint="its node is starting, or behind the others"
        )
    return shapes.block(answer)


def _gas(link: RpcLink, sender: bytes, code: bytes) -> int:
    """What the creation needs, and a fifth more, within the block's limit."""
    needed = shapes.number(link.request("eth_estimateGas", {"from": shapes.text(sender), "data": shapes.text(code)}))
    limit = read_block(link, None).gas_limit
    if needed > limit:
        raise ConflictError(
            "chain.gas-limit",
            f"a contract needs {needed} gas; a block of the network has {limit}",
            hint="raise the gas limit of the network's blocks",
            expected=needed,
            actual=limit,
        )
    return min(needed + needed // 5, limit)


def _land(link: RpcLink, raw: bytes, nonce: int, name: str, address: bytes, deadline: float) -> tuple[int, bytes]:
    """Send a creation and wait until it is in a block: that block's height and hash."""
    transaction = keccak256(raw)
    link.request("eth_sendRawTransaction", shapes.text(raw))
    while (answer := link.request("eth_getTransactionReceipt", shapes.text(transaction))) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                "chain.timeout",
                f"the creation of {name} is in no block yet",
                hint="check that the network makes blocks; then begin the deployment anew",
            )
        time.sleep(_POLL_S)
    receipt = shapes.receipt(answer, nonce, b"")
    if not receipt.succeeded or receipt.contract != address:
        raise ConflictError(
            "chain.deploy-failed",
            f"the contract {name} was not made where it belongs",
            hint="the account must send nothing else meanwhile, and members' entries must be valid: begin anew",
            expected=address,
            actual=receipt.contract,
        )
    return receipt.height, receipt.block_hash
