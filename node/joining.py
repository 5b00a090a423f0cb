"""How a body that did not found the city gets into it: its card for the vote, the city's files, others' peers.json.

1. `node init` made folder and keys. 2. :func:`join` takes the city's genesis.json and peers.json into the folder and
makes the card, with the proof that its maker holds the account. 3. A member proposes the admission, the members vote.
4. Every member's operator adds the card's address (:func:`add_peer`); what counts is on chain. 5. The node starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ledger.chain.genesis import COMETBFT, EXTERNAL, Genesis, decode_genesis
from ledger.errors import ConflictError, FatalError, InvalidInputError
from ledger.evidence.possession import prove_possession
from ledger.keys import AccountSigner
from ledger.log.files import replace_file
from ledger.model import KeyRole
from node.comet.keys import node_id
from node.config import NodeConfig, encode_config, load_config
from node.founding import add_comet_keys
from node.identity.keyfiles import node_roles, read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import Peer, decode_peers, encode_peers


def join(
    folder: Path,
    genesis: bytes,
    peers: bytes,
    environ: Mapping[str, str],
    *,
    random: Callable[[int], bytes],
    p2p_port: int,
    rpc: str = "",
) -> dict[str, Any]:
    """Take the city's files into a member's folder and return its card (JSON-ready). On a CometBFT network the folder
    gets the ``consensus`` and ``p2p`` keys it lacks, made with ``random``; ``p2p_port`` 0 is what node.toml says. On
    somebody's network ``rpc`` goes into node.toml, which may name one already.

    Raises: InvalidInputError(join.rpc); ConflictError(join.other-city) where the folder belongs to another chain
    already; config.*, genesis.*, peers.*, key.*.
    """
    config = load_config(folder)
    city = decode_genesis(genesis)
    known = decode_peers(peers)
    if config.genesis_file.exists() and config.genesis_file.read_bytes() != genesis:
        raise ConflictError(
            "join.other-city",
            f"{folder} belongs to another city: its genesis.json differs",
            hint="make a fresh folder with `civicledger node init`: keys belong to one city",
        )
    passphrase = read_passphrase(folder, config.passphrase_file, environ)
    if city.engine == COMETBFT:
        add_comet_keys(folder, passphrase, random=random, host=config.grpc.host, port=p2p_port or config.comet.p2p_port)
        config = load_config(folder)
    if rpc and city.engine == EXTERNAL:
        section = msgspec.structs.replace(config.external, rpc=rpc)
        config = msgspec.structs.replace(config, external=section)
        replace_file(folder / "node.toml", encode_config(config))
    if (city.engine == EXTERNAL) != bool(rpc or config.external.rpc):
        raise InvalidInputError(
            "join.rpc",
            f"the city is on the engine {city.engine}: a JSON-RPC is named on {EXTERNAL}, and only there",
            hint="node join --rpc http://127.0.0.1:8545: the node of that network which this member trusts",
        )
    ring = KeyRing(config.keys_folder, config.member.uscc, passphrase, node_roles(city.engine))
    card = _card(config, ring, city)
    replace_file(config.genesis_file, genesis)
    _put_peer(config.peers_file, (*known, *_held(config.peers_file)), peer_of(card))
    return card


def add_peer(folder: Path, card: Mapping[str, Any]) -> bool:
    """Put the address of a card into the folder's peers.json; a running node reads it by itself. False when it was
    there already. Raises: peers.invalid, config.*."""
    config = load_config(folder)
    known, peer = decode_peers(config.peers_file.read_bytes()), peer_of(card)
    if peer in known:
        return False
    _put_peer(config.peers_file, known, peer)
    return True


def peer_of(card: Mapping[str, Any]) -> Peer:
    """The entry of peers.json in a card, checked like the file. Raises: InvalidInputError(peers.invalid)."""
    entry = {name: card[name] for name in ("uscc", "grpc", "https", "certificate", "p2p") if name in card}
    return decode_peers(msgspec.json.encode({"v": 1, "peers": [entry]}))[0]


def new_account_card(folder: Path, secret: bytes, now_ms: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Keep a new account key beside the lost or old one and return the card for `member propose replace-account`; once
    the members voted for it, the node takes it up by itself. A key staged before is used again. ``secret``: 32 bytes.
    """
    config = load_config(folder)
    city = decode_genesis(config.genesis_file.read_bytes())
    passphrase = read_passphrase(folder, config.passphrase_file, environ)
    ring = KeyRing(config.keys_folder, config.member.uscc, passphrase, node_roles(city.engine))
    signer, _ = ring.staged(KeyRole.ACCOUNT) or ring.stage(KeyRole.ACCOUNT, secret, now_ms)
    return {"uscc": config.member.uscc, **_account(signer, city, config.member.uscc)}


def _card(config: NodeConfig, ring: KeyRing, city: Genesis) -> dict[str, Any]:
    listens = {"grpc": config.grpc, "https": config.https}
    keys = {role.word: "0x" + ring.material(role).hex() for role in ring if role is not KeyRole.ACCOUNT}
    return {
        "uscc": config.member.uscc,
        "handle": config.member.handle,
        "region": config.member.region,
        "name": config.member.name,
        "chain": city.digest.hex(),
        **_account(ring[KeyRole.ACCOUNT], city, config.member.uscc),
        "keys": keys,
        **{name: f"{listen.host}:{listen.port}" for name, listen in listens.items()},
        **_p2p(config, ring),
        "certificate": ring.identity.certificate.decode(),
    }


def _p2p(config: NodeConfig, ring: KeyRing) -> dict[str, str]:
    if KeyRole.P2P not in ring:
        return {}
    return {"p2p": f"{node_id(ring[KeyRole.P2P].public)}@{config.comet.p2p_host}:{config.comet.p2p_port}"}


def _account(signer: object, city: Genesis, uscc: str) -> dict[str, str]:
    if not isinstance(signer, AccountSigner):
        raise FatalError("key.wrong-kind", "the account key cannot sign transactions")
    possession = prove_possession(signer, city.chain_id, city.contracts["Consortium"], uscc)
    return {"account": "0x" + signer.address.hex(), "possession": "0x" + possession.hex()}


def _held(path: Path) -> tuple[Peer, ...]:
    return decode_peers(path.read_bytes()) if path.exists() else ()


def _put_peer(path: Path, known: tuple[Peer, ...], peer: Peer) -> None:
    together = {one.uscc: one for one in (*known, peer)}
    replace_file(path, encode_peers(tuple(together.values())))
