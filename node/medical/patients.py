"""Whose a report is: the patients of the vault by the hospital's record numbers and by identity numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

from ledger.storage.vaultrows import PATIENT
from node.medical.reportrows import identity_name

if TYPE_CHECKING:
    from ledger.storage.vault import Vault
    from ledger.storage.vaultstage import Stage

#: Kinds of links in the vault: from an identity number, from a second record number.
_BY_IDENTITY: Final = b"identity"
_BY_ALIAS: Final = b"record-number"


def of_number(vault: Vault | Stage, patient: bytes) -> tuple[bytes, ...]:
    """The subjects a record number of the hospital leads to, none where nobody is filed under it: the one that what
    comes now is kept of, then the one it had before it was known to be a second number of somebody."""
    links = (vault.linked(_BY_ALIAS, patient), vault.linked(PATIENT, patient))
    return tuple(dict.fromkeys(link.subject for link in links if link is not None))


def whole_persons(vault: Vault, subjects: Iterable[bytes]) -> tuple[bytes, ...]:
    """The same subjects, and those that their second record numbers had of their own; sorted."""
    found = set(subjects)
    second = [link.name for link in vault.links(_BY_ALIAS) if link.subject in found]
    return tuple(sorted(found.union(*(of_number(vault, name) for name in second))))


class JoiningError(Exception):
    """What joins two patients is not staged beside anything else: what was staged has to be written first."""


class Enrolment(Protocol):
    """Lets subjects be found by identity numbers (``Pseudonyms``)."""

    def enrol_in(self, stage: Stage, subject: bytes, identity: str) -> bool:
        """Stage what lets a subject be found; False where that is so already.

        Raises: InvalidInputError(pseudonym.identity).
        """

    def enrolling(self, subjects: Sequence[bytes]) -> AbstractContextManager[object]:
        """Inside, what was staged of these is written."""


class Patients:
    """The patients of one hospital, as a stage of the vault shows them: one thread at a time finds and makes them.

    ``joined``: told, before it is so, that a subject's number is a second one of another subject.
    """

    def __init__(
        self,
        vault: Callable[[], Vault],
        enrolment: Enrolment,
        joined: Callable[[bytes, bytes], None],
    ) -> None:
        self._vault = vault
        self._enrolment = enrolment
        self._joined = joined

    def identified(self, identity: str) -> bytes | None:
        """The patient (32 bytes) of an identity (kind and number) that came with a report; None where none has it."""
        link = self._vault().linked(_BY_IDENTITY, identity.encode())
        return None if link is None else link.subject

    def find(self, stage: Stage, patient: str, identity: str | None) -> tuple[bytes | None, bool] | None:
        """(the patient, None for a new one; whether the record number is a second one of somebody who is known by the
        identity), without making anything; None where number and identity belong to two."""
        local = patient.encode()
        alias = stage.linked(_BY_ALIAS, local)
        mine = alias.subject if alias is not None else stage.find(local)
        link = None if identity is None else stage.linked(_BY_IDENTITY, identity.encode())
        known = None if link is None else link.subject
        if identity is None or (known is not None and mine == known):
            return mine, False
        # Its own identity without a link to it is what a stop in the middle of enrolling left.
        if mine is not None and stage.has(identity_name(mine)) and stage.get(identity_name(mine)) != identity.encode():
            return None
        return (mine, False) if known is None else (known, True)

    def subject(self, stage: Stage, patient: str, identity: str | None) -> tuple[bytes | None, bool]:
        """(the patient, staged where new; whether it is to be enrolled when that is written); None where number and
        identity belong to two.

        Raises: InvalidInputError(vault.name | pseudonym.identity), NotFoundError(vault.no-subject), erased at this
        moment; JoiningError.
        """
        local = patient.encode()
        found = self.find(stage, patient, identity)
        if found is None:
            return None, False
        subject, second = found
        if subject is None:
            subject = stage.subject_of(local)
        elif second:
            # From now on both numbers lead to the same.
            before = of_number(stage, local)
            if before and not stage.empty():
                raise JoiningError
            for one in before:
                self._joined(one, subject)
            stage.link(_BY_ALIAS, local, subject)
        return subject, identity is not None and self._enrolment.enrol_in(stage, subject, identity)
