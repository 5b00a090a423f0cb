"""CometBFT's home folder: configuration, the genesis document made from ours, and its signing state.

Keys are not written here: whoever starts CometBFT hands them over in memory (``node.comet.process``).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from ledger.chain.genesis import COMETBFT, decode_genesis
from ledger.errors import FatalError, InvalidInputError
from ledger.identifiers import consensus_chain_id
from ledger.log.files import replace_file
from ledger.model import KeyRole, format_time
from node.comet.keys import encode_node_key, encode_private_key, encode_public, key_address
from node.comet.settings import NODE_KEY, PRIVATE_KEY, SIGN_STATE, HomeSettings, encode_settings

#: Bytes of all transactions of a consensus height; one message between nodes holds it with room to spare.
MAX_BLOCK_BYTES = 4 << 20
#: Two votes of one key for one height can be shown for as long as a policy trusts the validators.
_EVIDENCE_DAYS = 90


def write_home(home: Path, *, genesis: bytes, settings: HomeSettings) -> None:
    """Write ``config.toml``, ``genesis.json`` and, where there is none, an empty signing state. ``config.toml`` is
    written anew every time; a signing state that is there never is: it keeps a validator from signing twice.

    ``settings.double_sign_check`` counts only until something was signed from this home: from then on its own state
    says what may be signed, and a restarted validator need not wait.
    Raises: InvalidInputError(comet.engine, genesis.*), FatalError(comet.home, comet.sign-state, comet.other-genesis).
    """
    document = encode_document(genesis)
    _check_network(home, document)
    try:
        for folder in (home, home / "config", home / "data"):
            folder.mkdir(mode=0o700, exist_ok=True)
        if signed_before(home):
            settings = replace(settings, double_sign_check=0)
        replace_file(home / "config" / "config.toml", encode_settings(settings))
        replace_file(home / "config" / "genesis.json", document)
        if not (home / SIGN_STATE).exists():
            write_private(home / SIGN_STATE, b'{"height":"0","round":0,"step":0}\n')
    except OSError as error:
        raise FatalError(
            "comet.home", f"{home} cannot be written: {error.strerror}", hint="check the disk and the folder's rights"
        ) from error


def _check_network(home: Path, document: bytes) -> None:
    """CometBFT keeps the document it began with and would go on with it, whatever the file says now."""
    try:
        kept = json.loads((home / "config" / "genesis.json").read_bytes())["chain_id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # damaged or not there: it is written anew, and an empty home knows no other network
    wanted = json.loads(document)["chain_id"]
    if kept != wanted and (home / "data" / "state.db").exists():
        raise FatalError(
            "comet.other-genesis",
            f"{home} belongs to another network",
            hint="restore the genesis.json it began with, or use a fresh folder for the new network",
            expected=wanted,
            actual=kept,
        )


def forget_blocks(home: Path) -> None:
    """Remove CometBFT's data but for the signing state, which is kept in any case. Raises: FatalError(comet.home)."""
    try:
        for path in (home / "data").iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != home / SIGN_STATE:
                path.unlink()
    except OSError as error:
        raise FatalError("comet.home", f"{home} cannot be written: {error.strerror}") from error


def signed_before(home: Path) -> bool:
    """Whether the signing state says that something was signed from here.

    Raises: FatalError(comet.sign-state) when the file is damaged: signing without it could sign twice.
    """
    try:
        state = json.loads((home / SIGN_STATE).read_bytes())
        return int(state["height"]) > 0
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FatalError(
            "comet.sign-state",
            f"{home / SIGN_STATE} cannot be read",
            hint="never restore it from a backup; remove it: the node then waits until its key signed none of the "
            "last blocks before it votes again",
        ) from error


def encode_document(genesis: bytes) -> bytes:
    """CometBFT's genesis document for a genesis file of ours: the file itself is the application's state.

    Raises: InvalidInputError(comet.engine) for a city on another engine, InvalidInputError(genesis.*).
    """
    city = decode_genesis(genesis)
    if city.engine != COMETBFT:
        raise InvalidInputError("comet.engine", "this city is not on CometBFT", expected=COMETBFT, actual=city.engine)
    voters = [(member.handle, member.key(KeyRole.CONSENSUS) or b"") for member in city.validators]
    document = {
        "genesis_time": format_time(city.time_ms),
        "chain_id": consensus_chain_id(city.digest),
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(MAX_BLOCK_BYTES), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "1000000",
                "max_age_duration": str(_EVIDENCE_DAYS * 86_400 * 10**9),
                "max_bytes": "1048576",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "1"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {"address": key_address(key).hex().upper(), "pub_key": encode_public(key), "power": "1", "name": handle}
            for handle, key in voters
        ],
        "app_hash": "",
        "app_state": base64.b64encode(genesis).decode(),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def write_keys(home: Path, *, consensus: bytes, p2p: bytes) -> None:
    """Both key files, 0600, for a CometBFT that is started by hand on this home; a node of ours needs none."""
    write_private(home / PRIVATE_KEY, encode_private_key(consensus))
    write_private(home / NODE_KEY, encode_node_key(p2p))


def write_private(path: Path, data: bytes) -> None:
    """A new file, 0600, durable. Raises FileExistsError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
