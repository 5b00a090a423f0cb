"""Whose a report is: the patients of the vault by the hospital's record numbers and by identity numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ledger.storage.vault import PATIENT
from node.medical.reportrows import identity_name

if TYPE_CHECKING:
    from ledger.storage.vault import Vault

#: Kinds of links in the vault: from an identity number, from a second record number.
_BY_IDENTITY: Final = b"identity"
_BY_ALIAS: Final = b"record-number"


def of_number(vault: Vault, patient: bytes) -> tuple[bytes, ...]:
    """The subjects a record number of the hospital leads to, none where nobody is filed under it: the one that what
    comes now is kept of, then the one it had before it was known to be a second number of somebody."""
    links = (vault.linked(_BY_ALIAS, patient), vault.linked(PATIENT, patient))
    return tuple(dict.fromkeys(link.subject for link in links if link is not None))


def whole_persons(vault: Vault, subjects: Iterable[bytes]) -> tuple[bytes, ...]:
    """The same subjects, and those that their second record numbers had of their own; sorted."""
    found = set(subjects)
    second = [link.name for link in vault.links(_BY_ALIAS) if link.subject in found]
    return tuple(sorted(found.union(*(of_number(vault, name) for name in second))))


class Patients:
    """The patients of one hospital. Thread-safe. ``enrol``: lets a subject be found by an identity; ``joined``: told,
    before it is so, that a subject's number is a second one of another subject."""

    def __init__(
        self,
        vault: Callable[[], Vault],
        enrol: Callable[[bytes, str], None],
        joined: Callable[[bytes, bytes], None],
    ) -> None:
        self._vault = vault
        self._enrol = enrol
        self._joined = joined
        self._lock = threading.Lock()

    def identified(self, identity: str) -> bytes | None:
        """The patient (32 bytes) of an identity (kind and number) that came with a report; None where none has it."""
        link = self._vault().linked(_BY_IDENTITY, identity.encode())
        return None if link is None else link.subject

    def find(self, patient: str, identity: str | None) -> tuple[bytes | None, bool] | None:
        """(the patient, None for a new one; whether the record number is a second one of somebody who is known by the
        identity), without making anything; None where number and identity belong to two."""
        vault, local = self._vault(), patient.encode()
        alias = vault.linked(_BY_ALIAS, local)
        mine = alias.subject if alias is not None else vault.find(local)
        known = None if identity is None else self.identified(identity)
        if identity is None or (known is not None and mine == known):
            return mine, False
        # Its own identity without a link to it is what a stop in the middle of enrolling left.
        if mine is not None and vault.has(identity_name(mine)) and vault.get(identity_name(mine)) != identity.encode():
            return None
        return (mine, False) if known is None else (known, True)

    def subject(self, patient: str, identity: str | None) -> bytes | None:
        """The patient, made where new and let be found by the identity; None where number and identity belong to two.

        Raises: NotFoundError(vault.no-subject), erased at this moment.
        """
        vault, local = self._vault(), patient.encode()
        # Else two first reports of one person, under two numbers, would make two patients of one identity.
        with self._lock:
            found = self.find(patient, identity)
            if found is None:
                return None
            subject, second = found
            if subject is None:
                subject = vault.subject_of(local)
            elif second:
                # From now on both numbers lead to the same.
                for before in of_number(vault, local):
                    self._joined(before, subject)
                vault.link(_BY_ALIAS, local, subject)
            if identity is not None:
                self._enrol(subject, identity)
            return subject
