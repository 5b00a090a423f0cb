"""A throw-away chain of five members with known accounts, for tools and tests: ``python -m ledger.chain.devnet``.

Every key is derived from its member's name, so anybody can sign for anybody: never for data that matters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stdnum.cn import uscc

from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import FoundingMember, build_genesis, contract_addresses
from ledger.chain.sequencer import BlockLoop
from ledger.chain.server import RpcServer, serve
from ledger.ending import Ending
from ledger.errors import LedgerError
from ledger.keys import AccountSigner, Ed25519Signer, material
from ledger.model import KeyRole, Roles
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

CHAIN_ID = 20261122
REGION = "310000"
_ED25519 = (
    KeyRole.CONSENSUS,
    KeyRole.SEQUENCER,
    KeyRole.P2P,
    KeyRole.LOG,
    KeyRole.WITNESS,
    KeyRole.RECEIPT,
)
_MEMBERS = (
    ("authority", "Data Authority", Roles.SUPERVISOR),
    ("transport", "Transport Department", Roles(0)),
    ("housing", "Housing Department", Roles(0)),
    ("health", "Health Department", Roles(0)),
    ("audit", "Audit Office", Roles.AUDITOR),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevMember:
    """A member whose secrets everybody knows. ``seeds``: 32 bytes per Ed25519 role."""

    founder: FoundingMember
    account: AccountSigner
    secret: bytes
    seeds: dict[KeyRole, bytes]

    @property
    def uscc(self) -> str:
        """Its credit code."""
        return self.founder.uscc

    def signer(self, role: KeyRole) -> Ed25519Signer:
        """The signer of an Ed25519 role."""
        return Ed25519Signer(role, self.seeds[role])


def dev_member(number: int, handle: str, name: str, roles: Roles = Roles(0)) -> DevMember:
    """A member made from its number (1 to 999) and handle."""
    body = f"11{REGION}MB2F{number:05d}"
    code = body + uscc.calc_check_digit(body)
    secret = _derived(handle, "account")
    seeds = {role: _derived(handle, role.word) for role in _ED25519}
    account = AccountSigner(secret)
    keys = [(role, material(role, Ed25519Signer(role, seed).public)) for role, seed in seeds.items()]
    # No TLS here: any 32 bytes stand for the digest of a key nobody holds.
    keys.append((KeyRole.TLS, _derived(handle, "tls")))
    founder = FoundingMember(
        uscc=code,
        name=name,
        handle=handle,
        region=REGION,
        roles=roles,
        account=account.address,
        validator=True,
        keys=tuple(keys),
    )
    return DevMember(founder=founder, account=account, secret=secret, seeds=seeds)


def dev_members() -> tuple[DevMember, ...]:
    """The five members; the first is the supervisor and makes the blocks."""
    return tuple(dev_member(n, handle, name, roles) for n, (handle, name, roles) in enumerate(_MEMBERS, start=1))


def dev_genesis(members: tuple[DevMember, ...], *, time_ms: int, chain_id: int = CHAIN_ID) -> bytes:
    """A genesis of these members."""
    return build_genesis(
        chain_id=chain_id,
        region=REGION,
        time_ms=time_ms,
        members=[member.founder for member in members],
        sequencer=members[0].uscc,
    )


class Devnet:
    """A running chain in a folder: engine, block loop and, with ``http``, a JSON-RPC server on a free port."""

    def __init__(self, folder: Path, *, http: bool = True, port: int = 0, interval_s: float = 0.0) -> None:
        self.members = dev_members()
        self.genesis = dev_genesis(self.members, time_ms=time.time_ns() // 1_000_000)
        self._store = Store.open(folder)
        self.chain = EmbeddedChain.open(ChainStore(self._store), self.genesis)
        self._loop = BlockLoop(self.chain, clock=lambda: time.time_ns() // 1_000_000, interval_s=interval_s)
        self._loop.start()
        self._server: RpcServer | None = serve(self.chain, port=port) if http else None

    @property
    def url(self) -> str:
        """Where JSON-RPC answers."""
        return self._server.url if self._server is not None else ""

    def describe(self) -> dict[str, object]:
        """Everything a tool needs, JSON-ready."""
        return {
            "url": self.url,
            "chainId": CHAIN_ID,
            "contracts": {name: "0x" + address.hex() for name, address in contract_addresses().items()},
            "accounts": [
                {
                    "uscc": member.uscc,
                    "handle": member.founder.handle,
                    "roles": list(member.founder.roles.words),
                    "address": "0x" + member.account.address.hex(),
                    "privateKey": "0x" + member.secret.hex(),
                }
                for member in self.members
            ],
        }

    def close(self) -> None:
        """Stop everything; the folder is the caller's."""
        if self._server is not None:
            self._server.close()
        self._loop.stop()
        self.chain.close()
        self._store.close()

    def __enter__(self) -> Devnet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(argv: list[str] | None = None) -> int:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m ledger.chain.devnet", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--accounts-file", type=Path, help="write the same JSON to a file when ready")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (0: a free one)")
    parser.add_argument("--interval-ms", type=int, default=0, help="least time between two blocks")
    args = parser.parse_args(argv)
    with Ending() as ending, tempfile.TemporaryDirectory(prefix="civicledger-devnet-") as folder:
        try:
            net = Devnet(Path(folder), port=args.port, interval_s=args.interval_ms / 1000)
        except (LedgerError, OSError) as error:
            print(f"the devnet cannot start: {error}", file=sys.stderr)
            return 1
        with net:
            text = json.dumps(net.describe())
            if args.accounts_file is not None:
                args.accounts_file.write_text(text + "\n")
            print(text if args.json else _table(net), flush=True)
            while not ending.wait():
                pass
    return 0


def _table(net: Devnet) -> str:
    lines = [f"JSON-RPC   {net.url}   chain id {CHAIN_ID}", ""]
    lines += [f"{name:<12} 0x{address.hex()}" for name, address in contract_addresses().items()]
    lines.append("")
    for member in net.members:
        address, secret = member.account.address.hex(), member.secret.hex()
        lines.append(f"{member.founder.handle:<12} {member.uscc}  0x{address}  key 0x{secret}")
    return "\n".join(lines)


def _derived(handle: str, role: str) -> bytes:
    return hashlib.sha256(f"civicledger devnet {handle} {role}".encode()).digest()


if __name__ == "__main__":
    sys.exit(main())
