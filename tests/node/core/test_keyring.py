"""The key ring: rotation in two steps, and what a crash between them leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, NotFoundError
from ledger.model import KeyRole
from node.identity.keyfiles import NODE_ROLES, key_file
from node.identity.keyring import KeyRing
from tests.node.core.makers import NOW_MS, PASSPHRASE, make_keys, make_uscc

USCC = make_uscc(1)
NEW = b"\x02" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_keys(tmp_path, USCC)
    return tmp_path


def test_it_holds_every_role_with_its_material(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    assert set(ring) == set(NODE_ROLES)
    assert ring.material(KeyRole.LOG) == ring[KeyRole.LOG].public
    assert ring.material(KeyRole.TLS) == ring.identity.spki
    assert ring.material(KeyRole.ACCOUNT) == bytes(12) + ring[KeyRole.ACCOUNT].public


def test_a_rotation_keeps_the_old_key_until_adopted(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    old = ring.material(KeyRole.LOG)
    signer, material = ring.stage(KeyRole.LOG, NEW, NOW_MS)
    assert ring.material(KeyRole.LOG) == old
    ring.adopt(KeyRole.LOG)
    assert ring[KeyRole.LOG].public == signer.public == material
    assert KeyRing(folder, USCC, PASSPHRASE).material(KeyRole.LOG) == material
    assert (folder / f"log.{old.hex()[:16]}.ended").exists()


def test_a_tls_rotation_changes_the_identity_in_place(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    identity, before = ring.identity, ring.identity.certificate
    _, material = ring.stage(KeyRole.TLS, NEW, NOW_MS, serial=5)
    assert identity.certificate == before
    ring.adopt(KeyRole.TLS)
    assert ring.identity is identity
    assert identity.spki == material != KeyRole.TLS
    assert KeyRing(folder, USCC, PASSPHRASE).identity.certificate == identity.certificate


def test_two_rotations_of_a_role_do_not_overlap(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    ring.stage(KeyRole.RECEIPT, NEW, NOW_MS)
    with pytest.raises(ConflictError, match=r"key\.staged"):
        ring.stage(KeyRole.RECEIPT, NEW, NOW_MS)
    ring.drop_staged(KeyRole.RECEIPT)
    with pytest.raises(NotFoundError, match=r"key\.not-staged"):
        ring.adopt(KeyRole.RECEIPT)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("role", [KeyRole.TLS, KeyRole.WITNESS])
def test_after_a_crash_the_chain_decides(folder: Path, role: KeyRole, active: bool) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    old = ring.material(role)
    _, new = ring.stage(role, NEW, NOW_MS, serial=5)
    again = KeyRing(folder, USCC, PASSPHRASE)
    adopted = again.reconcile(lambda asked, material: active and (asked, material) == (role, new))
    assert adopted == ((role,) if active else ())
    assert again.material(role) == (new if active else old)
    assert bool(list(folder.glob("*.next.*"))) is not active


@pytest.mark.parametrize("role", [KeyRole.TLS, KeyRole.WITNESS])
def test_a_key_that_our_view_of_the_chain_does_not_have_yet_is_taken_up_later(folder: Path, role: KeyRole) -> None:
    _, new = KeyRing(folder, USCC, PASSPHRASE).stage(role, NEW, NOW_MS, serial=5)
    again = KeyRing(folder, USCC, PASSPHRASE)
    assert again.reconcile(lambda *_: False) == ()
    staged = again.staged(role)
    assert staged is not None
    assert staged[1] == new
    assert again.reconcile(lambda *_: True) == (role,)
    assert again.material(role) == new
    assert again.staged(role) is None
    assert again.reconcile(lambda *_: True) == ()


def test_killed_between_the_renames_of_adopt(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    _, new = ring.stage(KeyRole.LOG, NEW, NOW_MS)
    key_file(folder, KeyRole.LOG).rename(folder / "log.0000000000000000.ended")
    assert KeyRing(folder, USCC, PASSPHRASE).material(KeyRole.LOG) == new


def test_a_tls_adopt_killed_before_the_certificate_is_finished_by_the_next_start(folder: Path) -> None:
    ring = KeyRing(folder, USCC, PASSPHRASE)
    _, new = ring.stage(KeyRole.TLS, NEW, NOW_MS, serial=5)
    (folder / "tls.next.pem").replace(folder / "tls.pem")
    assert KeyRing(folder, USCC, PASSPHRASE).material(KeyRole.TLS) == new


def test_a_certificate_of_another_key_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    make_keys(other, USCC, seed="other")
    (folder / "tls.crt").write_bytes((other / "tls.crt").read_bytes())
    with pytest.raises(FatalError, match=r"tls\.mismatch"):
        KeyRing(folder, USCC, PASSPHRASE)
    (folder / "tls.crt").unlink()
    with pytest.raises(NotFoundError, match=r"tls\.no-certificate"):
        KeyRing(folder, USCC, PASSPHRASE)
