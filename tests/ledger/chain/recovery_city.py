"""Seven members on CometBFT's genesis, four of whom vote, and their chain in memory with its rows: what a recovery is
about, without a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.chain import embedded
from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, REGION, DevMember, dev_member
from ledger.chain.genesis import COMETBFT, build_genesis, contract_addresses
from ledger.chain.recovery import OldState, Recovery, read_old_state, sign
from ledger.chain.recoveryterms import propose
from ledger.chain.reverts import revert_error
from ledger.identifiers import dataset_id
from ledger.model import Level, Sharing

T0_MS = 1_795_000_000_000
VALIDATORS = 4


def make_members(count: int = 7) -> tuple[DevMember, ...]:
    """The first four vote."""
    made = (dev_member(number, f"dept-{number}", f"Department {number}") for number in range(1, count + 1))
    return tuple(
        replace(member, founder=replace(member.founder, validator=place < VALIDATORS))
        for place, member in enumerate(made)
    )


@dataclass(slots=True)
class Chain:
    """A chain in memory and the rows a store would hold."""

    native: embedded.NativeChain
    genesis: bytes
    chain_id: int = CHAIN_ID
    rows: dict[bytes, bytes] = field(default_factory=dict)
    consensus_height: int = 0

    def keep(self, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Store rows."""
        for key, value in writes:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def block(self, *raws: bytes) -> None:
        """One block with these transactions; all must be valid and succeed."""
        self.consensus_height += 1
        made = self.native.execute(list(raws), self.native.head()["time"] * 1_000 + 1_000, self.consensus_height)
        assert made is not None
        assert not made.refused, made.refused
        for receipt in made.receipts:
            assert receipt["status"], revert_error(receipt["output"])
        self.keep(made.writes)
        self.native.commit()

    def call(self, to: bytes, data: bytes, height: int | None = None) -> bytes:
        """Read a contract."""
        succeeded, output, _ = self.native.call(to, data, height=height)
        if not succeeded:
            raise revert_error(output)
        return output

    @property
    def contracts(self) -> Contracts:
        """The four contracts."""
        return Contracts.at(self.call, contract_addresses())

    def nonce(self, member: DevMember) -> int:
        """The next nonce of a member's account."""
        return int(self.native.account(member.account.address)["nonce"])

    def signed(self, member: DevMember, to: bytes, data: bytes, *, chain_id: int = 0) -> bytes:
        """A raw transaction with the member's next nonce."""
        return sign_transaction(
            member.account, chain_id=chain_id or self.chain_id, nonce=self.nonce(member), to=to, data=data
        )

    def publish(self, member: DevMember, code: str, **over: Any) -> bytes:
        """A signed publication of a dataset."""
        directory = self.contracts.directory
        data = directory.encode_publish(
            dataset_id(member.uscc, code),
            sharing=Sharing.CONDITIONAL,
            level=Level.GENERAL,
            metadata_digest=b"\x01" * 32,
            resource_code=code,
        )
        return self.signed(member, directory.address, data, **over)

    @property
    def state(self) -> OldState:
        """What counts of the head for a recovery."""
        return read_old_state(self.native, self.genesis)


def make_chain(members: tuple[DevMember, ...], *, blocks: int = 2, engine: str = COMETBFT) -> Chain:
    """The chain of these members, with a dataset of member 7 in each block."""
    genesis = build_genesis(
        chain_id=CHAIN_ID,
        region=REGION,
        time_ms=T0_MS,
        members=[member.founder for member in members],
        sequencer="" if engine == COMETBFT else members[0].uscc,
        engine=engine,
    )
    native, rows = embedded.new_chain(genesis)
    chain = Chain(native=native, genesis=genesis, rows=dict(rows))
    for number in range(1, blocks + 1):
        chain.block(chain.publish(members[-1], f"before-{number}"))
    return chain


def proposed(chain: Chain, members: tuple[DevMember, ...], **over: Any) -> Recovery:
    """The first two are lost, five and six vote in their place."""
    given: dict[str, Any] = {
        "lost": [members[0].founder.handle, members[1].uscc],
        "validators": [members[4].founder.handle, members[5].uscc],
        "now_ms": T0_MS + 60_000,
    }
    return propose(chain.state, **(given | over))


def signed_by(recovery: Recovery, *members: DevMember) -> Recovery:
    """With their signatures."""
    for member in members:
        recovery = sign(recovery, member.uscc, member.account)
    return recovery


def recovered(chain: Chain, recovery: Recovery) -> Chain:
    """The chain that goes on."""
    native, writes = embedded.recover_chain(recovery.genesis, chain.rows.items())
    made = Chain(native=native, genesis=recovery.genesis, chain_id=recovery.city.chain_id, rows=dict(chain.rows))
    made.keep(writes)
    return made
