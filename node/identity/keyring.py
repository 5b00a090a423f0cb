"""The keys a running node holds, by role, and how one is exchanged for the next without a moment without a key."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ledger.errors import ConflictError, FatalError, LedgerError, NotFoundError
from ledger.keys import Signer, material
from ledger.model import KeyRole
from node.identity.keyfiles import COMET_ROLES, NODE_ROLES, key_file, load_secret, make_signer, write_key
from node.identity.tls import (
    Identity,
    key_pem,
    load_identity,
    make_certificate,
    server_context,
    spki_der,
    spki_of_pem,
)


class KeyRing(Mapping[KeyRole, Signer]):
    """Signers by role, and the TLS ``identity``.

    A rotation is: ``stage`` (the new key is durable beside the old one), the transaction that makes it active on
    chain, ``adopt`` (the new file takes the old one's name, the old one is kept as ``<role>.<material>.ended``; a
    consensus key's is destroyed).
    After a crash in between, ``reconcile`` finishes what the chain says happened. A staged key is never dropped
    because our view of the chain does not have it yet: it may be the only active one. ``changing`` is held by whoever
    reconciles and gives the new signers to the parts that use them.
    """

    def __init__(self, folder: Path, uscc: str, passphrase: bytes, roles: tuple[KeyRole, ...] = NODE_ROLES) -> None:
        self.folder = folder
        self.passphrase = passphrase
        self._uscc = uscc
        self.changing = threading.RLock()
        self._signers: dict[KeyRole, Signer] = {}
        self._materials: dict[KeyRole, bytes] = {}
        #: Opened once: their files are slow to decrypt, and a loop asks for them.
        self._staged: dict[KeyRole, tuple[Signer, bytes]] = {}
        self._staged_identity: Identity | None = None
        self._next_context: tuple[bytes, ssl.SSLContext] | None = None
        for role in roles:
            self._load(role)
        self.identity = Identity(key=b"", certificate=b"")
        self._load_identity()

    def __getitem__(self, role: KeyRole) -> Signer:
        return self._signers[role]

    def __iter__(self) -> Iterator[KeyRole]:
        return iter(self._signers)

    def __len__(self) -> int:
        return len(self._signers)

    @property
    def certificate_file(self) -> Path:
        """The PEM certificate over the ``tls`` key."""
        return self.folder / "tls.crt"

    @property
    def next_certificate_file(self) -> Path:
        """The PEM certificate of a rotation whose end is not known here."""
        return self.folder / "tls.next.crt"

    def material(self, role: KeyRole) -> bytes:
        """The 32-byte material of a role's key, as on chain."""
        return self._materials[role]

    def secret(self, role: KeyRole) -> bytes:
        """The 32-byte secret of a key that another process signs with (``consensus``, ``p2p``).

        Raises: FatalError(key.wrong-kind) for any other role: those never leave their signer.
        """
        if role not in COMET_ROLES:
            raise FatalError("key.wrong-kind", f"the {role.word} key stays in this process")
        return load_secret(key_file(self.folder, role), role, self.passphrase)

    def stage(self, role: KeyRole, secret: bytes, now_ms: int, serial: int = 0) -> tuple[Signer, bytes]:
        """Keep a new key beside the present one: (signer, material). ``serial`` is for a new ``tls`` certificate.

        Raises: ConflictError(key.staged) when an unfinished rotation of this role is there.
        """
        path = self._next(role)
        if path.exists():
            raise ConflictError(
                "key.staged",
                f"a rotation of the {role.word} key is under way",
                hint="wait for it: the node takes the new key up as soon as the chain has it; then rotate again",
            )
        if role is KeyRole.TLS:
            certificate = make_certificate(secret, self._uscc, now_ms, serial)
            _write_durable(self.next_certificate_file, certificate)
        signer = write_key(path, role, secret, self.passphrase)
        return signer, _material(role, signer, secret)

    def adopt(self, role: KeyRole) -> None:
        """Make the staged key the present one.

        Raises: NotFoundError(key.not-staged).
        """
        if not self._next(role).exists():
            raise NotFoundError("key.not-staged", f"no rotation of the {role.word} key was begun")
        current = key_file(self.folder, role)
        if role is not KeyRole.CONSENSUS:
            # A consensus key that ended is destroyed: whoever found it could vote twice in old heights.
            os.replace(current, self.folder / f"{role.word}.{self._materials[role].hex()[:16]}.ended")
        os.replace(self._next(role), current)
        if role is KeyRole.TLS:
            os.replace(self.next_certificate_file, self.certificate_file)
        _sync_folder(self.folder)
        self._staged.pop(role, None)
        self._load(role)
        if role is KeyRole.TLS:
            self._load_identity()

    def drop_staged(self, role: KeyRole) -> None:
        """Forget a staged key that never became active."""
        self._next(role).unlink(missing_ok=True)
        self._staged.pop(role, None)
        if role is KeyRole.TLS:
            self.next_certificate_file.unlink(missing_ok=True)

    def staged(self, role: KeyRole) -> tuple[Signer, bytes] | None:
        """The key of a rotation whose end is not known here: (signer, material)."""
        with self.changing:
            if role not in self._staged and self._next(role).exists():
                secret = load_secret(self._next(role), role, self.passphrase)
                signer = make_signer(role, secret)
                self._staged[role] = signer, _material(role, signer, secret)
                if role is KeyRole.TLS:
                    certificate = self.next_certificate_file.read_bytes()
                    self._staged_identity = Identity(key=key_pem(secret), certificate=certificate)
            return self._staged.get(role)

    def staged_identity(self) -> Identity | None:
        """The TLS identity of a rotation whose end is not known here: the chain may have made it the only active one.
        It is presented where the present one is refused; only the chain makes it the present one."""
        with self.changing:
            return None if self.staged(KeyRole.TLS) is None else self._staged_identity

    def next_context(self) -> ssl.SSLContext | None:
        """A server's context with that identity; None when no rotation of the ``tls`` key is under way."""
        with self.changing:
            try:
                staged = self.staged(KeyRole.TLS)
                if staged is None:
                    return None
                if self._next_context is None or self._next_context[0] != staged[1]:
                    context = server_context()
                    load_identity(context, self.next_certificate_file, self._next(KeyRole.TLS), self.passphrase)
                    self._next_context = staged[1], context
            except (OSError, LedgerError):
                # Adopted or dropped this very moment, or not readable: there is nothing to show.
                return None
            return self._next_context[1]

    def reconcile(self, is_active: Callable[[KeyRole, bytes], bool]) -> tuple[KeyRole, ...]:
        """Take up the staged keys that ``is_active(role, material)``, which asks the chain, knows; the others stay
        staged. Returns the roles of those taken up."""
        adopted = []
        with self.changing:
            for role in tuple(self):
                staged = self.staged(role)
                if staged is not None and is_active(role, staged[1]):
                    self.adopt(role)
                    adopted.append(role)
        return tuple(adopted)

    def _next(self, role: KeyRole) -> Path:
        return self.folder / f"{role.word}.next.pem"

    def _load(self, role: KeyRole) -> None:
        path = key_file(self.folder, role)
        if not path.exists() and self._next(role).exists():
            # Killed between the two renames of adopt: the chain had already made the staged key active.
            os.replace(self._next(role), path)
            _sync_folder(self.folder)
        secret = load_secret(path, role, self.passphrase)
        signer = make_signer(role, secret)
        self._signers[role] = signer
        self._materials[role] = _material(role, signer, secret)

    def _load_identity(self) -> None:
        fresh = self.next_certificate_file
        if fresh.exists() and spki_of_pem(fresh.read_bytes()) == self._materials[KeyRole.TLS]:
            # Killed in adopt between the key and its certificate.
            os.replace(fresh, self.certificate_file)
            _sync_folder(self.folder)
        try:
            certificate = self.certificate_file.read_bytes()
        except OSError as error:
            raise NotFoundError(
                "tls.no-certificate",
                f"{self.certificate_file} cannot be read: {error.strerror}",
                hint="restore it from its backup, or from another member's peers.json: it is public",
            ) from error
        if spki_of_pem(certificate) != self._materials[KeyRole.TLS]:
            raise FatalError(
                "tls.mismatch",
                "tls.crt is not the certificate of tls.pem",
                hint="restore both from the same backup",
            )
        secret = load_secret(key_file(self.folder, KeyRole.TLS), KeyRole.TLS, self.passphrase)
        # In place: servers and channels hold this object.
        self.identity.key, self.identity.certificate = key_pem(secret), certificate


def _material(role: KeyRole, signer: Signer, secret: bytes) -> bytes:
    public = spki_der(secret) if role in (KeyRole.TLS, KeyRole.ISSUER) else signer.public
    return material(role, public)


def _write_durable(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
