"""The public keys by which the files of one's own log are judged."""

from __future__ import annotations

import os

from ledger.errors import LedgerError
from ledger.evidence.note import ED25519_NOTE, VKey
from ledger.identifiers import origin
from ledger.model import KeyRole
from node.cli.audit import load_trust
from node.cli.connect import connect
from node.config import NodeConfig
from node.identity.keyfiles import key_file, load_key, read_passphrase


def keys_of_log(config: NodeConfig, *, ask: bool) -> tuple[VKey, ...]:
    """What the chain says when the node is asked and answers (the witnesses' keys too), else the log's keys in the
    folder, ended ones included; none when they do not open: fsck then says what it did not check."""
    if not ask:
        return _in_folder(config)
    try:
        with connect(config.folder) as connection:
            trust = load_trust(connection)
        witnesses = [key for member, keys in trust.witnesses.items() if member != config.member.uscc for key in keys]
        return (*trust.logs.get(config.member.uscc, ()), *witnesses)
    except LedgerError:
        return _in_folder(config)


def _in_folder(config: NodeConfig) -> tuple[VKey, ...]:
    name = origin(config.member.region, config.member.handle, max(config.log_generations, default=1))
    word = KeyRole.LOG.word
    ended = sorted(config.keys_folder.glob(f"{word}.*.ended"))
    keys = []
    try:
        passphrase = read_passphrase(config.folder, config.passphrase_file, os.environ)
        for path in (key_file(config.keys_folder, KeyRole.LOG), *ended):
            keys.append(VKey(name=name, type=ED25519_NOTE, public=load_key(path, KeyRole.LOG, passphrase).public))
    except LedgerError:
        return ()
    return tuple(keys)
