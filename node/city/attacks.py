"""Three attacks of the demonstration, each against the real thing, each expected to fail.

None of them touches the running city: the first works on a copy of a log folder, the other two are transactions the chain
itself must turn down.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.chain.account import TransactionSender, sign_transaction
from ledger.chain.bindings import Anchors
from ledger.chain.client import ChainClient
from ledger.chain.genesis import decode_genesis
from ledger.errors import FatalError, LedgerError
from ledger.evidence.merkle import consistency_proof, leaf_hash, root
from ledger.keys import AccountSigner
from ledger.log.check import fsck
from ledger.model import KeyRole
from node.config import NodeConfig, load_config
from node.identity.keyfiles import key_file, load_key, read_passphrase

#: Entries read back to rewrite a small log in memory.
_MAX_REWRITE = 50_000


def rewrite_on_disk(folder: Path, scratch: Path) -> dict[str, Any]:
    """Copy a member's log, change one byte of its first entry, and let fsck find it; the first problem.

    Raises FatalError(demo.not-refused) when fsck calls the copy clean.
    """
    config = load_config(folder)
    if scratch.exists():
        shutil.rmtree(scratch)
    # The log is being written: a "*.new" is renamed to what it becomes at any moment, while this copies.
    shutil.copytree(config.log_folder, scratch, ignore=shutil.ignore_patterns("LOCK", "*.new"))
    entries = scratch / "entries.dat"
    with entries.open("r+b") as file:
        # The entry starts after its u16 length; its last byte but one is inside the JSON.
        length = struct.unpack(">H", file.read(2))[0]
        file.seek(2 + length // 2)
        byte = file.read(1)
        file.seek(2 + length // 2)
        file.write(bytes([byte[0] ^ 0x01]))
    report = fsck(scratch)
    shutil.rmtree(scratch)
    if report.ok:
        raise FatalError("demo.not-refused", "fsck called a rewritten log clean")
    first = report.problems[0]
    return {"file": first.file, "index": first.index, "detail": first.detail}


def anchor_rewritten(folder: Path) -> LedgerError:
    """As the member itself, with its real account key, try to anchor its log with one entry rewritten and one added: a
    real transaction. The contract's refusal."""
    config = load_config(folder)
    signer = _account(config)
    client = ChainClient(f"http://{config.local.host}:{config.local.port}/")
    genesis = decode_genesis(config.genesis_file.read_bytes())
    anchors = Anchors(client.call, genesis.contracts["Anchors"])
    anchored = anchors.anchor(config.member.uscc)
    if anchored is None or anchored.size > _MAX_REWRITE:
        raise FatalError("demo.attack", "this log is not anchored, or too long to be rewritten in the demonstration")
    leaves = [leaf_hash(entry) for entry in _entries(config, anchored.size)]
    leaves[0] = leaf_hash(b'{"rewritten":true}')
    leaves.append(leaf_hash(b'{"added":true}'))
    proof = consistency_proof(leaves, anchored.size, len(leaves))
    calldata = anchors.encode_record(config.member.uscc, len(leaves), root(leaves), proof)
    sender = TransactionSender(
        signer, chain_id=genesis.chain_id, nonce=client.nonce, submit=client.submit, wait=client.wait
    )
    return _refused(lambda: sender.send(genesis.contracts["Anchors"], calldata))


def outsider_transaction(folder: Path) -> LedgerError:
    """Send a well-signed transaction from a key that belongs to no member; the refusal, after checking that the chain
    never counted it."""
    config = load_config(folder)
    secret = bytes([os.urandom(1)[0] & 0x7F]) + os.urandom(31)
    outsider = AccountSigner(secret)
    client = ChainClient(f"http://{config.local.host}:{config.local.port}/")
    genesis = decode_genesis(config.genesis_file.read_bytes())
    raw = sign_transaction(
        outsider, chain_id=genesis.chain_id, nonce=0, to=genesis.contracts["Directory"], data=bytes(4)
    )
    error = _refused(lambda: client.submit(raw))
    if client.nonce(outsider.address) != 0:
        raise FatalError("demo.not-refused", "the outsider's transaction was executed")
    return error


def _refused(action: Callable[[], object]) -> LedgerError:
    try:
        action()
    except LedgerError as error:
        return error
    raise FatalError("demo.not-refused", "the chain took what it must refuse")


def _account(config: NodeConfig) -> AccountSigner:
    passphrase = read_passphrase(config.folder, config.passphrase_file, os.environ)
    signer = load_key(key_file(config.keys_folder, KeyRole.ACCOUNT), KeyRole.ACCOUNT, passphrase)
    if not isinstance(signer, AccountSigner):
        raise FatalError("key.wrong-kind", "the account key is no secp256k1 key")
    return signer


def _entries(config: NodeConfig, count: int) -> list[bytes]:
    data = (config.log_folder / "entries.dat").read_bytes()
    entries: list[bytes] = []
    at = 0
    while len(entries) < count:
        length = struct.unpack_from(">H", data, at)[0]
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return entries
