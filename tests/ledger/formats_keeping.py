"""Worked examples of what a hospital keeps: key files, epochs, pseudonyms, the statement of an erasure, notices."""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ledger.evidence.erasing import ErasureStatement
from ledger.storage.keyfolder import KeyFolder, write_file
from ledger.storage.pseudonymkeys import derive
from node.medical.notices import notice_key
from tests.ledger.formats_page import Fields, example, raw


@example("key-file")
def key_file(given: Fields) -> Fields:
    """Sealed here by the page's words; that the product opens it shows they are the product's."""
    passphrase, name, secret = given["passphrase"].encode(), given["name"], raw(given["secret"])
    cost, salt, nonce = int(given["cost"]), raw(given["salt"]), raw(given["nonce"])
    head = b"civicledger/key-file/v1\n" + bytes([cost])
    wrapping = Scrypt(salt=salt, length=32, n=1 << cost, r=8, p=1).derive(passphrase)
    sealed = AESGCM(wrapping).encrypt(nonce, secret, head + name.encode())
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFolder(Path(folder), passphrase)
        write_file(Path(folder) / f"{name}.key", head + salt + nonce + sealed)
        assert keys.read(name) == secret
    fingerprint = hashlib.sha256(b"civicledger/epoch-key/v1\n" + secret).hexdigest()
    return {"sealed": sealed.hex(), "fingerprint": fingerprint}


@example("pseudonym")
def pseudonym(given: Fields) -> Fields:
    secret, identity = raw(given["key"]), given["identity"]
    made = derive(secret, identity)
    message = b"civicledger/pseudonym/v1\n" + identity.encode()
    assert made == hmac.new(secret, message, hashlib.sha256).digest()
    return {"pseudonym": made.hex()}


@example("erasure-statement")
def erasure_statement(given: Fields) -> Fields:
    statement = ErasureStatement(
        member=given["member"],
        time_ms=int(given["time"]),
        basis=given["basis"],
        ended=int(given["epoch"]),
        ended_key=raw(given["ended"]),
        begun=int(given["epoch"]) + 1,
        begun_key=raw(given["begun"]),
        commitments=tuple(raw(one) for one in given["commitments"].split()),
    )
    return {"statement": statement.encode().decode(), "digest": statement.digest().hex()}


@example("notice-key")
def notice_key_(given: Fields) -> Fields:
    return {"key": notice_key(raw(given["event"])).hex()}
