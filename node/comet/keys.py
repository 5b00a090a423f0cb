"""CometBFT's forms of Ed25519 keys: addresses, node ids, and the two key files it reads."""

from __future__ import annotations

import base64
import hashlib
import json

from ledger.keys import Ed25519Signer
from ledger.model import KeyRole


def key_address(public: bytes) -> bytes:
    """The 20-byte address of a public key: the first bytes of its SHA-256. Source: CometBFT specification, encoding."""
    return hashlib.sha256(public).digest()[:20]


def node_id(public: bytes) -> str:
    """The id of a p2p key, 40 lower-case hex digits."""
    return key_address(public).hex()


def encode_private_key(consensus: bytes) -> bytes:
    """``priv_validator_key.json`` for a 32-byte consensus secret."""
    public = _public_of(consensus)
    value = {
        "address": key_address(public).hex().upper(),
        "pub_key": encode_public(public),
        "priv_key": _private(consensus),
    }
    return json.dumps(value).encode()


def encode_node_key(p2p: bytes) -> bytes:
    """``node_key.json`` for a 32-byte p2p secret."""
    return json.dumps({"priv_key": _private(p2p)}).encode()


def encode_public(public: bytes) -> dict[str, str]:
    """A public key as CometBFT's JSON has it."""
    return {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(public).decode()}


def _public_of(secret: bytes) -> bytes:
    return Ed25519Signer(KeyRole.CONSENSUS, secret).public


def _private(secret: bytes) -> dict[str, str]:
    # Go's form of an Ed25519 private key: the seed, then the public key.
    return {
        "type": "tendermint/PrivKeyEd25519",
        "value": base64.b64encode(secret + _public_of(secret)).decode(),
    }
