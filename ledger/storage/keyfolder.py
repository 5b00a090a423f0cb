"""Secret keys in files, each sealed under a passphrase, mode 0600: made durably, destroyed durably.

A file is a magic line, a byte of cost (scrypt's N is 2 to its power), 16 bytes of salt, 12 of nonce and the AES-256-GCM
ciphertext under scrypt(passphrase, salt); its name and the line are authenticated, so that one file cannot stand in for
another. Destroying overwrites before it unlinks. What a disk keeps of an overwritten block is beyond a program: that is
why the bytes are sealed.

Source: RFC 7914 (scrypt), NIST SP 800-38D (GCM).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotFoundError, UnavailableError

SUFFIX: Final = ".key"
_MAGIC: Final = b"civicledger/key-file/v1\n"
_SALT, _NONCE, _TAG = 16, 12, 16
#: Cost of a guess of the passphrase: 16 MiB and some 40 ms.
_COST: Final = 14
_MAX_COST: Final = 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\Z")
_FRESH: Final = ".new"


class KeyFolder:
    """The key files of one folder. The callers see to it that one process writes."""

    __slots__ = ("_passphrase", "path")

    def __init__(self, path: str | os.PathLike[str], passphrase: bytes) -> None:
        """Make the folder where it is missing, close it to others (0700), and destroy what a crash left half-written.

        Raises: UnavailableError(disk.failed).
        """
        self.path = Path(path)
        self._passphrase = passphrase
        with disk_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                self.path.chmod(0o700)
            for left in self.path.glob(f"*{SUFFIX}{_FRESH}"):
                destroy_file(left)

    def names(self) -> tuple[str, ...]:
        """The keys that are there, sorted."""
        with disk_errors(self.path):
            return tuple(sorted(path.name[: -len(SUFFIX)] for path in self.path.glob(f"*{SUFFIX}")))

    def make(self, name: str, secret: bytes) -> None:
        """Seal a secret into a new file, durable on return.

        Raises: ConflictError(key.exists), InvalidInputError(key.name), UnavailableError(disk.*).
        """
        path = self._file(name)
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        head = _MAGIC + bytes([_COST])
        sealed = AESGCM(self._wrapping(salt, _COST)).encrypt(nonce, secret, head + name.encode())
        with disk_errors(path):
            if path.exists():
                raise ConflictError("key.exists", f"{path} exists already", hint="keys are never overwritten")
            write_file(path, head + salt + nonce + sealed)

    def read(self, name: str) -> bytes:
        """The secret of a file.

        Raises: NotFoundError(key.missing), InvalidInputError(key.passphrase), FatalError(key.broken),
        ConflictError(key.mode).
        """
        path = self._file(name)
        data = read_file(path)
        head, body = data[: len(_MAGIC) + 1], data[len(_MAGIC) + 1 :]
        if len(body) < _SALT + _NONCE + _TAG or head[:-1] != _MAGIC or not 1 <= head[-1] <= _MAX_COST:
            raise FatalError("key.broken", f"{path} is not a sealed key file", hint="restore it from its backup")
        salt, rest = body[:_SALT], body[_SALT:]
        try:
            return AESGCM(self._wrapping(salt, head[-1])).decrypt(rest[:_NONCE], rest[_NONCE:], head + name.encode())
        except InvalidTag as error:
            raise InvalidInputError(
                "key.passphrase",
                f"{path.name} does not open: the passphrase is wrong or the file is damaged",
                hint="check CIVICLEDGER_PASSPHRASE or the passphrase file; else restore the key file from its backup",
            ) from error

    def destroy(self, name: str) -> None:
        """Overwrite and remove a key for good; no error where it is gone already. Raises: UnavailableError(disk.*)."""
        path = self._file(name)
        with disk_errors(path):
            destroy_file(path)

    def _file(self, name: str) -> Path:
        if not _NAME.match(name):
            raise InvalidInputError("key.name", "a key has a name of small letters, digits and -", actual=name)
        return self.path / f"{name}{SUFFIX}"

    def _wrapping(self, salt: bytes, cost: int) -> bytes:
        return Scrypt(salt=salt, length=32, n=1 << cost, r=8, p=1).derive(self._passphrase)


def write_file(path: Path, *pieces: bytes, more: Iterable[bytes] = ()) -> None:
    """Put a private file (0600) in its place whole and durable, over an older one; ``more`` is written as it comes.

    Raises: OSError.
    """
    fresh = cut_short(path)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(pieces)
            file.writelines(more)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def cut_short(path: Path) -> Path:
    """Where the bytes of a file lie that a stop kept from its place."""
    return path.with_name(path.name + _FRESH)


def read_file(path: Path, limit: int = 65_536) -> bytes:
    """At most ``limit`` bytes of a private file.

    Raises: NotFoundError(key.missing), ConflictError(key.mode), UnavailableError(disk.failed).
    """
    with disk_errors(path):
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise ConflictError(
                        "key.mode",
                        f"{path} can be read by others",
                        hint=f"chmod 600 {path}",
                        expected="0600",
                        actual=f"{mode:04o}",
                    )
                return file.read(limit)
        except FileNotFoundError as error:
            raise NotFoundError(
                "key.missing", f"there is no {path}", hint="restore it from the backup of the key store"
            ) from error


def destroy_file(path: Path) -> None:
    """Overwrite, sync, unlink, sync the folder; no error where it is gone. Raises: OSError."""
    try:
        with path.open("r+b") as file:
            length = os.fstat(file.fileno()).st_size
            for start in range(0, length, 1 << 20):
                file.write(secrets.token_bytes(min(1 << 20, length - start)))
            file.flush()
            os.fsync(file.fileno())
        os.unlink(path)
    except FileNotFoundError:
        return
    _sync_folder(path.parent)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """The OS's complaint about a key file as one of ours: nothing is lost by trying again."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            "disk.failed", f"{path} cannot be used: {error.strerror or error}", hint="check the disk and its room"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
