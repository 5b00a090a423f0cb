"""Key files: what opens them, what does not, and what each failure is called."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ledger.errors import LedgerError
from ledger.keys import verify
from ledger.model import KeyRole
from node.identity.keyfiles import key_file, load_key, load_secret, read_passphrase, write_key, write_passphrase
from tests.node.core.makers import PASSPHRASE

SECRET = bytes(range(1, 33))


@pytest.mark.parametrize("role", list(KeyRole))
def test_a_written_key_signs_the_same_after_loading(role: KeyRole, tmp_path: Path) -> None:
    path = key_file(tmp_path, role)
    written = write_key(path, role, SECRET, PASSPHRASE)
    loaded = load_key(path, role, PASSPHRASE)
    assert loaded.public == written.public
    assert load_secret(path, role, PASSPHRASE) == SECRET
    verify(loaded.algorithm, written.public, b"message", loaded.sign(b"message"))


def test_the_file_is_private_encrypted_and_opens_with_other_tools(tmp_path: Path) -> None:
    path = key_file(tmp_path, KeyRole.ACCOUNT)
    write_key(path, KeyRole.ACCOUNT, SECRET, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(path.read_bytes(), PASSPHRASE)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256k1"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = key_file(tmp_path, KeyRole.LOG)
    write_key(path, KeyRole.LOG, SECRET, PASSPHRASE)
    before = path.read_bytes()
    assert _code(lambda: write_key(path, KeyRole.LOG, bytes(31) + b"\1", PASSPHRASE)) == "key.exists"
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = key_file(tmp_path, KeyRole.LOG)
    write_key(path, KeyRole.LOG, SECRET, PASSPHRASE)
    path.chmod(mode)
    assert _code(lambda: load_key(path, KeyRole.LOG, PASSPHRASE)) == "key.mode"


def test_each_way_a_file_can_be_wrong_has_its_code(tmp_path: Path) -> None:
    path = key_file(tmp_path, KeyRole.LOG)
    assert _code(lambda: load_key(path, KeyRole.LOG, PASSPHRASE)) == "key.missing"
    write_key(path, KeyRole.LOG, SECRET, PASSPHRASE)
    whole = path.read_bytes()
    assert _code(lambda: load_key(path, KeyRole.LOG, b"another passphrase")) == "key.passphrase"
    assert _code(lambda: load_key(path, KeyRole.ACCOUNT, PASSPHRASE)) == "key.wrong-kind"
    path.write_bytes(whole[:60])
    assert _code(lambda: load_key(path, KeyRole.LOG, PASSPHRASE)) == "key.broken"
    path.write_bytes(b"")
    assert _code(lambda: load_key(path, KeyRole.LOG, PASSPHRASE)) == "key.broken"
    path.write_bytes(_unencrypted())
    assert _code(lambda: load_key(path, KeyRole.LOG, PASSPHRASE)) == "key.unencrypted"


def test_a_p256_file_is_no_account(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    write_key(path, KeyRole.TLS, SECRET, PASSPHRASE)
    assert _code(lambda: load_key(path, KeyRole.ACCOUNT, PASSPHRASE)) == "key.wrong-kind"


@pytest.mark.parametrize("secret", [b"", b"\1" * 31, b"\1" * 33, bytes(32), b"\xff" * 32])
def test_a_secret_that_is_no_key_leaves_no_file(secret: bytes, tmp_path: Path) -> None:
    path = key_file(tmp_path, KeyRole.ACCOUNT)
    with pytest.raises(LedgerError):
        write_key(path, KeyRole.ACCOUNT, secret, PASSPHRASE)
    assert not path.exists()


def test_the_passphrase_is_found_in_order(tmp_path: Path) -> None:
    write_passphrase(tmp_path / "passphrase", b"from the folder itself")
    write_passphrase(tmp_path / "named", b"from the named file")
    write_passphrase(tmp_path / "env", b"from the environment's file")
    variables: dict[str, str] = {}
    assert read_passphrase(tmp_path, "", variables) == b"from the folder itself"
    assert read_passphrase(tmp_path, "named", variables) == b"from the named file"
    variables["CIVICLEDGER_PASSPHRASE_FILE"] = str(tmp_path / "env")
    assert read_passphrase(tmp_path, "named", variables) == b"from the environment's file"
    variables["CIVICLEDGER_PASSPHRASE"] = "from the environment itself"
    assert read_passphrase(tmp_path, "named", variables) == b"from the environment itself"


def test_a_missing_weak_or_open_passphrase_is_named(tmp_path: Path) -> None:
    assert _code(lambda: read_passphrase(tmp_path, "", {})) == "key.no-passphrase"
    assert _code(lambda: read_passphrase(tmp_path, "", {"CIVICLEDGER_PASSPHRASE": "short"})) == "key.weak-passphrase"
    assert _code(lambda: write_passphrase(tmp_path / "passphrase", b"short")) == "key.weak-passphrase"
    write_passphrase(tmp_path / "passphrase", b"long enough for anybody")
    os.chmod(tmp_path / "passphrase", 0o644)
    assert _code(lambda: read_passphrase(tmp_path, "", {})) == "key.mode"


def _unencrypted() -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(SECRET).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _code(act: object) -> str:
    with pytest.raises(LedgerError) as caught:
        act()  # type: ignore[operator]
    assert caught.value.hint
    return caught.value.code
