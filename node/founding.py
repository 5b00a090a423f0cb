"""Making the folders of a new city's members: keys, certificate, settings, and then the shared genesis and peers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ledger.chain.external_founding import Ground
from ledger.chain.genesis import FoundingMember, build_genesis
from ledger.errors import ConflictError
from ledger.identifiers import parse_handle, parse_region, parse_uscc
from ledger.keys import material
from ledger.log.files import replace_file
from ledger.model import KeyRole, Roles
from node.comet.keys import node_id
from node.config import (
    ChainSection,
    CometSection,
    ExternalSection,
    Listen,
    LogSection,
    MedicalSection,
    MemberSection,
    NodeConfig,
    encode_config,
    load_config,
)
from node.identity.keyfiles import COMET_ROLES, key_file, load_key, node_roles, write_key, write_passphrase
from node.identity.peers import Peer, encode_peers
from node.identity.tls import make_certificate, spki_der, spki_of_pem

#: The orders of the P-256 and secp256k1 groups both begin with a one bit: a random 32-byte string with its first bit
#: cleared is below either.
_CLEAR_TOP_BIT = 0x7F


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """What is chosen about a founding member: who it is and where its node listens (0 keeps no default: give ports)."""

    uscc: str
    name: str
    handle: str
    region: str
    roles: Roles
    grpc_port: int
    https_port: int
    local_port: int
    host: str = "127.0.0.1"
    #: On ``cometbft`` every member has a consensus key, so that it can become a validator; some are from the start.
    engine: str = "solo"
    validator: bool = False
    p2p_port: int = 0
    #: On ``external``: the JSON-RPC by which this member's node reaches the network.
    rpc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """A founded folder: what genesis and peers.json say about it."""

    folder: Path
    member: FoundingMember
    peer: Peer


def found_member(
    folder: Path,
    plan: MemberPlan,
    *,
    random: Callable[[int], bytes],
    now_ms: int,
    passphrase: bytes | None = None,
    chain: ChainSection | None = None,
    log: LogSection | None = None,
    medical: MedicalSection | None = None,
) -> Founding:
    """Make a member's folder with fresh keys, its certificate and ``node.toml``.

    ``random(n)`` gives n random bytes from the OS. Without a passphrase a fresh one is made and kept in the folder
    (0600), so that the node starts unattended; departments with a secret store give their own and it is not written.

    Raises: ConflictError(node.exists) when the folder holds a node already.
    """
    parse_uscc(plan.uscc), parse_handle(plan.handle), parse_region(plan.region)
    if (folder / "node.toml").exists() or (folder / "keys").exists():
        raise ConflictError(
            "node.exists", f"{folder} holds a node already", hint="choose another folder; nothing is overwritten"
        )
    keys_folder = folder / "keys"
    keys_folder.mkdir(parents=True, mode=0o700)
    os.chmod(folder, 0o700)
    if passphrase is None:
        passphrase = random(24).hex().encode()
        write_passphrase(folder / "passphrase", passphrase)
    materials: list[tuple[KeyRole, bytes]] = []
    account = certificate = b""
    p2p = ""
    for role in node_roles(plan.engine):
        raw = random(32)
        secret = bytes([raw[0] & _CLEAR_TOP_BIT]) + raw[1:]
        signer = write_key(key_file(keys_folder, role), role, secret, passphrase)
        public = spki_der(secret) if role in (KeyRole.TLS, KeyRole.ISSUER) else signer.public
        if role is KeyRole.ACCOUNT:
            account = signer.public
        else:
            materials.append((role, material(role, public)))
        if role is KeyRole.P2P:
            p2p = f"{node_id(signer.public)}@{plan.host}:{plan.p2p_port}"
        if role is KeyRole.TLS:
            certificate = make_certificate(secret, plan.uscc, now_ms, int.from_bytes(random(16), "big") | 1)
            (keys_folder / "tls.crt").write_bytes(certificate)
    config = NodeConfig(
        member=MemberSection(uscc=plan.uscc, handle=plan.handle, region=plan.region, name=plan.name),
        grpc=Listen(host=plan.host, port=plan.grpc_port),
        https=Listen(host=plan.host, port=plan.https_port),
        local=Listen(port=plan.local_port),
        chain=chain or ChainSection(),
        comet=CometSection(p2p_host=plan.host, p2p_port=plan.p2p_port) if p2p else CometSection(),
        external=ExternalSection(rpc=plan.rpc),
        log=log or LogSection(),
        medical=medical or MedicalSection(),
    )
    (folder / "node.toml").write_bytes(encode_config(config))
    return Founding(
        folder=folder,
        member=FoundingMember(
            uscc=plan.uscc,
            name=plan.name,
            handle=plan.handle,
            region=plan.region,
            roles=plan.roles,
            account=account,
            validator=plan.validator,
            keys=tuple(materials),
        ),
        peer=Peer(
            uscc=plan.uscc,
            grpc=f"{plan.host}:{plan.grpc_port}",
            https=f"{plan.host}:{plan.https_port}",
            certificate=certificate,
            spki=spki_of_pem(certificate),
            p2p=p2p,
        ),
    )


def add_comet_keys(
    folder: Path, passphrase: bytes, *, random: Callable[[int], bytes], host: str, port: int
) -> dict[KeyRole, bytes]:
    """Give a folder that was made without an engine what a network on CometBFT needs: the keys that are missing and,
    in ``node.toml``, where its peers reach it. Returns the public keys of both roles."""
    config = load_config(folder)
    made = {}
    for role in COMET_ROLES:
        path = key_file(config.keys_folder, role)
        signer = load_key(path, role, passphrase) if path.exists() else write_key(path, role, random(32), passphrase)
        made[role] = signer.public
    section = msgspec.structs.replace(config.comet, p2p_host=host, p2p_port=port)
    replace_file(folder / "node.toml", encode_config(msgspec.structs.replace(config, comet=section)))
    return made


def found_city(
    foundings: Sequence[Founding],
    *,
    chain_id: int,
    region: str,
    time_ms: int,
    sequencer: str,
    engine: str = "solo",
    ground: Ground | None = None,
) -> bytes:
    """Build the genesis file, write it and ``peers.json`` into every member's folder, and return its bytes.
    ``sequencer`` is empty on ``cometbft`` and on ``external``, which has ``ground`` to stand on."""
    genesis = build_genesis(
        chain_id=chain_id,
        region=region,
        time_ms=time_ms,
        members=tuple(founding.member for founding in foundings),
        sequencer=sequencer,
        engine=engine,
        network=None if ground is None else ground.network,
        addresses=None if ground is None else ground.addresses,
    )
    peers = encode_peers(tuple(founding.peer for founding in foundings))
    for founding in foundings:
        (founding.folder / "genesis.json").write_bytes(genesis)
        (founding.folder / "peers.json").write_bytes(peers)
    return genesis
