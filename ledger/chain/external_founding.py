"""Founding a city on a network that somebody else runs: what the network is, and the contracts on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.chain import external_shapes as shapes
from ledger.chain.external_deploy import check_rules, deploy, read_block
from ledger.chain.external_link import RpcLink, refused
from ledger.chain.external_shapes import ForeignBlock
from ledger.chain.genesis import FoundingMember, Network
from ledger.chain.rpc.errors import RpcError
from ledger.errors import ConflictError, UntrustedError
from ledger.evidence.qbft import decode_header, verify_seals
from ledger.keys import AccountSigner

#: How long the creations may take, seconds.
DEPLOY_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a genesis file says of the network: its chain id, its block and validators, the contracts' addresses."""

    chain_id: int
    network: Network
    addresses: Mapping[str, bytes] = field(hash=False)


def survey(link: RpcLink) -> int:
    """The chain id of a network on which a city can stand.

    Raises ConflictError(chain.fees | chain.gas-limit), UntrustedError(chain.* | header.* | qbft.*),
    UnavailableError(chain.*).
    """
    try:
        chain_id = shapes.number(link.request("eth_chainId"))
        newest = read_block(link, None)
    except RpcError as error:
        raise refused("looking at the network", error) from error
    check_rules(newest)
    sealing_validators(newest)
    return chain_id


def settle(
    link: RpcLink, signer: AccountSigner, members: Sequence[FoundingMember], *, timeout: float = DEPLOY_S
) -> Ground:
    """Make the contracts for these founders and say what they stand on; the account pays no fee and has no other
    transaction under way. Raises as :func:`survey` and ``external_deploy.deploy``."""
    made = deploy(link, signer, members, timeout=timeout)
    try:
        block = read_block(link, made.height)
    except RpcError as error:
        raise refused("reading the founding block", error) from error
    if block.head.hash != made.hash:
        raise ConflictError(
            "chain.reorged",
            f"block {made.height} of the network changed while the city was founded",
            hint="a city needs a network whose blocks stay: found it again where they do",
            expected=made.hash,
            actual=block.head.hash,
        )
    return Ground(
        chain_id=made.chain_id,
        network=Network(height=made.height, hash=made.hash, validators=sealing_validators(block)),
        addresses=made.contracts,
    )


def sealing_validators(block: ForeignBlock) -> tuple[bytes, ...]:
    """The validators that a QBFT block names and that sealed it; none where it is no such block.

    Where a contract keeps the validators, headers name none. Raises UntrustedError(qbft.*) for a QBFT block that its
    validators did not seal.
    """
    try:
        header = decode_header(block.stored.header)
    except UntrustedError:
        return ()
    if not header.extra.validators or header.hash != block.head.hash:
        return ()
    verify_seals(header, header.extra.validators)
    return header.extra.validators
