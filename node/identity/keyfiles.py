"""Private keys at rest: one PKCS#8 PEM file per role, encrypted under a passphrase, mode 0600."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError
from ledger.keys import AccountSigner, Ed25519Signer, P256Signer, Signer
from ledger.model import KeyRole

#: The roles a node of the solo engine holds.
NODE_ROLES: tuple[KeyRole, ...] = (
    KeyRole.ACCOUNT,
    KeyRole.SEQUENCER,
    KeyRole.TLS,
    KeyRole.LOG,
    KeyRole.WITNESS,
    KeyRole.RECEIPT,
    KeyRole.ISSUER,
)
#: The roles whose keys CometBFT signs with, in a process of its own.
COMET_ROLES: tuple[KeyRole, ...] = (KeyRole.CONSENSUS, KeyRole.P2P)
_ED25519 = frozenset({KeyRole.CONSENSUS, KeyRole.SEQUENCER, KeyRole.P2P, KeyRole.LOG, KeyRole.WITNESS, KeyRole.RECEIPT})
MIN_PASSPHRASE = 12


def node_roles(engine: str) -> tuple[KeyRole, ...]:
    """The roles a node holds on an engine: nobody orders alone on a CometBFT network, everybody may come to vote; on a
    network that somebody else runs, no member orders."""
    if engine == "solo":
        return NODE_ROLES
    others = tuple(role for role in NODE_ROLES if role is not KeyRole.SEQUENCER)
    return (*COMET_ROLES, *others) if engine == "cometbft" else others


def key_file(folder: Path, role: KeyRole) -> Path:
    """Where the key of a role is kept."""
    return folder / f"{role.word}.pem"


def read_passphrase(folder: Path, named_file: str, environ: Mapping[str, str]) -> bytes:
    """The passphrase, from ``CIVICLEDGER_PASSPHRASE``, the file named by ``CIVICLEDGER_PASSPHRASE_FILE``, the file
    named in the configuration (relative to the node's folder), or ``<folder>/passphrase``, in this order.

    Raises: NotFoundError(key.no-passphrase), InvalidInputError(key.weak-passphrase), ConflictError(key.mode).
    """
    if text := environ.get("CIVICLEDGER_PASSPHRASE"):
        return _checked(text.encode())
    named = environ.get("CIVICLEDGER_PASSPHRASE_FILE") or named_file or "passphrase"
    return _checked(_read_private(folder / named, "key.no-passphrase", "the passphrase file").rstrip(b"\r\n"))


def write_passphrase(path: Path, passphrase: bytes) -> None:
    """Write a passphrase file, 0600, never over an existing one.

    Raises: ConflictError(key.exists), InvalidInputError(key.weak-passphrase).
    """
    _write_private(path, _checked(passphrase) + b"\n")


def write_key(path: Path, role: KeyRole, secret: bytes, passphrase: bytes) -> Signer:
    """Encrypt a fresh secret (32 random bytes) into a new file and return its signer. The file is durable on return.

    Raises: ConflictError(key.exists), InvalidInputError(key.secret).
    """
    signer = make_signer(role, secret)
    pem = _private_key(role, secret).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(_checked(passphrase)),
    )
    _write_private(path, pem)
    return signer


def load_secret(path: Path, role: KeyRole, passphrase: bytes) -> bytes:
    """The 32-byte secret of a key file.

    Raises: NotFoundError(key.missing), ConflictError(key.mode), FatalError(key.broken),
    InvalidInputError(key.passphrase), FatalError(key.wrong-kind).
    """
    pem = _read_private(path, "key.missing", f"the {role.word} key")
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:
        raise FatalError(
            "key.unencrypted",
            f"{path.name} is not encrypted",
            hint="take this key out of use and rotate it: it lay on disk in clear",
        ) from error
    except ValueError as error:
        if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem and b"-----END ENCRYPTED PRIVATE KEY-----" in pem:
            raise InvalidInputError(
                "key.passphrase",
                f"{path.name} does not open: the passphrase is wrong or the file is damaged",
                hint="check CIVICLEDGER_PASSPHRASE or the passphrase file; else restore the key file from its backup",
            ) from error
        raise FatalError(
            "key.broken", f"{path.name} is not an encrypted PKCS#8 file", hint="restore it from its backup"
        ) from error
    return _secret_of(key, role, path)


def load_key(path: Path, role: KeyRole, passphrase: bytes) -> Signer:
    """The signer of a key file. Raises as ``load_secret``."""
    return make_signer(role, load_secret(path, role, passphrase))


def make_signer(role: KeyRole, secret: bytes) -> Signer:
    """The signer of a role over a 32-byte secret.

    Raises: InvalidInputError(key.secret).
    """
    if len(secret) != 32:
        raise InvalidInputError("key.secret", "a secret key has 32 bytes", expected=32, actual=len(secret))
    if role is KeyRole.ACCOUNT:
        return AccountSigner(secret)
    if role in _ED25519:
        return Ed25519Signer(role, secret)
    return P256Signer(role, secret)


def _private_key(role: KeyRole, secret: bytes) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    if role in _ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    curve = ec.SECP256K1() if role is KeyRole.ACCOUNT else ec.SECP256R1()
    try:
        return ec.derive_private_key(int.from_bytes(secret, "big"), curve)
    except ValueError as error:
        raise InvalidInputError("key.secret", "the secret is outside the curve's order") from error


def _secret_of(key: PrivateKeyTypes, role: KeyRole, path: Path) -> bytes:
    if role in _ED25519 and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw()
    curve = "secp256k1" if role is KeyRole.ACCOUNT else "secp256r1"
    if role not in _ED25519 and isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == curve:
        return key.private_numbers().private_value.to_bytes(32, "big")
    raise FatalError(
        "key.wrong-kind",
        f"{path.name} holds a key of another kind than role {role.word} needs",
        hint="one file was probably copied over another: restore it from its backup",
    )


def _checked(passphrase: bytes) -> bytes:
    if len(passphrase) < MIN_PASSPHRASE:
        raise InvalidInputError(
            "key.weak-passphrase",
            f"the passphrase is shorter than {MIN_PASSPHRASE} bytes",
            hint="use a longer one, e.g. from a password manager",
        )
    return passphrase


def _read_private(path: Path, missing: str, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConflictError(
                    "key.mode",
                    f"{path} can be read by others",
                    hint=f"chmod 600 {path}, and rotate the key if others may have read it",
                    expected="0600",
                    actual=f"{mode:04o}",
                )
            return file.read(65_536)
    except FileNotFoundError as error:
        raise NotFoundError(
            missing, f"{what} is missing: there is no {path}", hint="restore it from its backup"
        ) from error
    except OSError as error:
        raise FatalError("key.unreadable", f"{path} cannot be read: {error.strerror}") from error


def _write_private(path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConflictError(
            "key.exists", f"{path} exists already", hint="keys are never overwritten; move it away first"
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
