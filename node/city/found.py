"""Founding a city on this machine: every member's folder, the genesis they share, and the gateway's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.chain.external_founding import Ground, settle, survey
from ledger.chain.external_link import RpcLink
from ledger.chain.genesis import COMETBFT, EXTERNAL, SOLO, FoundingMember
from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.identifiers import parse_handle
from ledger.keys import AccountSigner
from ledger.model import KeyRole, Roles
from node.city.ports import free_ports
from node.city.roster import Founder, choose_validators
from node.config import ChainSection, LogSection, MedicalSection, load_config
from node.context import system_clock
from node.founding import Founding, MemberPlan, found_city, found_member
from node.identity.keyfiles import key_file, load_key, read_passphrase, write_key, write_passphrase
from node.identity.tls import make_named_certificate

CITY_FILE = "city.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a member shows of itself before it belongs to a city: public parts only."""

    uscc: str
    handle: str
    region: str
    account: str
    keys: dict[str, str]
    grpc: str
    https: str
    certificate: str
    #: ``<node id>@host:port``; empty where there is no CometBFT network.
    p2p: str = ""
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A founded city: ``<folder>/city.json`` names the members' folders in order, the first is the gateway's home."""

    folder: Path
    region: str
    chain_id: int
    handles: tuple[str, ...]
    engine: str = SOLO

    def member_folder(self, handle: str) -> Path:
        """Folder of a member's node."""
        return self.folder / handle

    @property
    def gateway_folder(self) -> Path:
        """Folder of the gateway."""
        return self.folder / "gateway"


def make_member_folder(
    folder: Path,
    founder: Founder,
    *,
    ports: tuple[int, ...],
    engine: str = SOLO,
    host: str = "127.0.0.1",
    rpc: str = "",
) -> Card:
    """One member's folder with fresh keys; ``ports``: gRPC, HTTPS, local and, on ``cometbft``, p2p; ``host``: where
    the others reach it; ``rpc``: on ``external``, of the network. Raises ConflictError(node.exists)."""
    founding = _found(folder, founder, ports, None, None, engine=engine, host=host, rpc=rpc)
    return Card(
        uscc=founder.uscc,
        handle=founder.handle,
        region=founder.region,
        account="0x" + founding.member.account.hex(),
        keys={role.word: "0x" + value.hex() for role, value in founding.member.keys},
        grpc=founding.peer.grpc,
        https=founding.peer.https,
        certificate=founding.peer.certificate.decode(),
        p2p=founding.peer.p2p,
        name=founder.name,
    )


def _found(
    folder: Path,
    founder: Founder,
    ports: Sequence[int],
    chain: ChainSection | None,
    log: LogSection | None,
    *,
    engine: str = SOLO,
    host: str = "127.0.0.1",
    rpc: str = "",
    medical: MedicalSection | None = None,
) -> Founding:
    plan = MemberPlan(
        uscc=founder.uscc,
        name=founder.name,
        handle=founder.handle,
        region=founder.region,
        roles=Roles.from_words(founder.roles),
        grpc_port=ports[0],
        https_port=ports[1],
        local_port=ports[2],
        p2p_port=ports[3] if engine == COMETBFT else 0,
        host=host,
        engine=engine,
        validator=engine == COMETBFT and founder.validator is True,
        rpc=rpc,
    )
    return found_member(folder, plan, random=os.urandom, now_ms=system_clock(), chain=chain, log=log, medical=medical)


def init_city(
    folder: Path,
    founders: Sequence[Founder],
    *,
    chain_id: int,
    engine: str = SOLO,
    chain: ChainSection | None = None,
    log: LogSection | None = None,
    rpc: str = "",
) -> City:
    """Found a city in a new folder. Nothing existing is overwritten. On ``cometbft`` each member gets a loopback address
    of its own, as it would have a machine of its own. On ``external`` the contracts are made on the network behind the
    JSON-RPC ``rpc`` by the first member's account, and the chain id is the network's.

    Raises ConflictError(city.exists), InvalidInputError(roster.validators); on ``external`` as
    ``external_founding.survey`` and ``settle``.
    """
    if (folder / CITY_FILE).exists():
        raise ConflictError(
            "city.exists", f"{folder} holds a city already", hint=f"start it: civicledger city up {folder}"
        )
    bft = engine == COMETBFT
    if bft:
        founders = choose_validators(founders)
    if (engine == EXTERNAL) != bool(rpc):
        raise InvalidInputError(
            "city.rpc",
            "the engine external, and only it, needs the JSON-RPC of the network",
            hint="civicledger city init FOLDER --engine external --rpc http://127.0.0.1:8545",
        )
    if rpc:
        chain_id = _surveyed(rpc)
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [f"127.0.0.{at + 1}" if bft else "127.0.0.1" for at in range(len(founders))]
    # The third is the local one, always on 127.0.0.1.
    ports = [[*free_ports(2, host), *free_ports(1), *free_ports(int(bft), host)] for host in hosts]
    foundings = [
        _found(
            folder / founder.handle,
            founder,
            ports[at],
            chain,
            log,
            engine=engine,
            host=hosts[at],
            rpc=rpc,
            # Nobody sends messages from a city on one machine: they lie in the hospital's folder.
            medical=MedicalSection(notices="file") if "hospital" in founder.roles else None,
        )
        for at, founder in enumerate(founders)
    ]
    home = next((at for at, founder in enumerate(founders) if founder.sequencer), 0)
    genesis = found_city(
        foundings,
        chain_id=chain_id,
        region=founders[0].region,
        time_ms=system_clock(),
        sequencer=founders[home].uscc if engine == SOLO else "",
        engine=engine,
        ground=_settled(rpc, foundings[home], foundings) if rpc else None,
    )
    _make_gateway(folder / "gateway", founders[home], ports[home][2], free_ports(2), genesis)
    (folder / "gateway" / "peers.json").write_bytes((folder / founders[0].handle / "peers.json").read_bytes())
    city = City(
        folder=folder,
        region=founders[0].region,
        chain_id=chain_id,
        handles=tuple(founder.handle for founder in founders),
        engine=engine,
    )
    text = json.dumps(
        {"v": 1, "region": city.region, "chainId": chain_id, "engine": engine, "members": list(city.handles)},
        ensure_ascii=False,
        indent=1,
    )
    (folder / CITY_FILE).write_text(text + "\n", "utf-8")
    return city


def _surveyed(rpc: str) -> int:
    link = RpcLink(rpc)
    try:
        return survey(link)
    finally:
        link.close()


def _settled(rpc: str, home: Founding, foundings: Sequence[Founding]) -> Ground:
    """The contracts, made by the home member's own account."""
    return settled_by(home.folder, rpc, [founding.member for founding in foundings], {})


def settled_by(folder: Path, rpc: str, members: Sequence[FoundingMember], environ: Mapping[str, str]) -> Ground:
    """The contracts on the network behind a JSON-RPC, made by the account of a node's folder. ``environ`` may carry the
    passphrase. Raises: config.*, key.*, and as ``external_founding.survey`` and ``settle``."""
    config = load_config(folder)
    passphrase = read_passphrase(folder, config.passphrase_file, environ)
    signer = load_key(key_file(config.keys_folder, KeyRole.ACCOUNT), KeyRole.ACCOUNT, passphrase)
    if not isinstance(signer, AccountSigner):
        raise FatalError("key.wrong-kind", "the account key cannot sign transactions")
    link = RpcLink(rpc)
    try:
        survey(link)
        return settle(link, signer, members)
    finally:
        link.close()


def load_city(folder: Path) -> City:
    """Read ``city.json``. Raises NotFoundError(city.missing), InvalidInputError through the nodes' own settings."""
    path = folder / CITY_FILE
    try:
        value = json.loads(path.read_text("utf-8"))
        handles = tuple(parse_handle(handle) for handle in value["members"])
        city = City(
            folder=folder,
            region=value["region"],
            chain_id=value["chainId"],
            handles=handles,
            engine=value.get("engine", SOLO),
        )
    except FileNotFoundError as error:
        raise NotFoundError(
            "city.missing", f"there is no city in {folder}", hint=f"found one: civicledger city init {folder}"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError, LedgerError) as error:
        raise NotFoundError(
            "city.broken", f"{path} cannot be read: {error}", hint="restore it from a backup"
        ) from error
    for handle in city.handles:
        load_config(city.member_folder(handle))
    return city


def _make_gateway(folder: Path, home: Founder, jsonrpc_port: int, ports: Sequence[int], genesis: bytes) -> None:
    """The gateway's own TLS key is no key of the ledger: it stands in no contract and signs no record."""
    folder.mkdir(mode=0o700)
    passphrase = os.urandom(24).hex().encode()
    write_passphrase(folder / "passphrase", passphrase)
    secret = bytes([os.urandom(1)[0] & 0x7F]) + os.urandom(31)
    write_key(key_file(folder, KeyRole.TLS), KeyRole.TLS, secret, passphrase)
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    names = ("gateway.civicledger", "localhost")
    certificate = make_named_certificate(key, names, system_clock(), x509.random_serial_number())
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "genesis.json").write_bytes(genesis)
    (folder / "gateway.toml").write_text(
        f'[grpc]\nhost = "127.0.0.1"\nport = {ports[0]}\n\n[https]\nhost = "127.0.0.1"\nport = {ports[1]}\n\n'
        f'[home]\nmember = "{home.uscc}"\njsonrpc = "http://127.0.0.1:{jsonrpc_port}/"\n\n'
        '[files]\ngenesis = "genesis.json"\npeers = "peers.json"\npolicy = "policy.json"\n'
        'certificate = "tls.crt"\nkey = "tls.pem"\npassphrase = "passphrase"\n',
        "utf-8",
    )
