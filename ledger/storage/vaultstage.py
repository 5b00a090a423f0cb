"""What is about to be kept in a vault: seen by whoever stages more of it, and written by ``Vault.write`` in one go.

A stage may stand on another one: what is staged above is seen there only after ``merge``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.storage.keybook import Entry
from ledger.storage.vaultrows import KEY, PATIENT, SUBJECT_BYTES, Link, check_data, check_name, link_entry, read_link

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class StagedData:
    """Data of a subject. ``fresh``: nothing can stand under the name, for it holds random bytes of just now."""

    subject: bytes
    data: bytes
    commitment: bytes
    fresh: bool


class Stage:
    """Changes of a vault that are not written yet. For one thread; nothing of it lasts before ``Vault.write``."""

    __slots__ = ("_under", "_vault", "data", "entries", "made")

    def __init__(self, vault: Vault, under: Stage | None = None) -> None:
        self._vault = vault
        self._under = under
        #: Rows of the key store by (kind, name); subjects made here, with their secrets; data by name.
        self.entries: dict[tuple[bytes, bytes], Entry] = {}
        self.made: dict[bytes, bytes] = {}
        self.data: dict[bytes, StagedData] = {}

    def above(self) -> Stage:
        """A stage on this one."""
        return Stage(self._vault, self)

    def merge(self, above: Stage) -> None:
        """Take over what was staged on this one."""
        self.entries.update(above.entries)
        self.made.update(above.made)
        self.data.update(above.data)

    def linked(self, kind: bytes, name: bytes) -> Link | None:
        """Where a name leads; None when it leads nowhere."""
        wanted, stage = (b"link/" + kind, name), self
        while True:
            entry = stage.entries.get(wanted)
            if entry is not None:
                return read_link(name, entry.value)
            if stage._under is None:
                return self._vault.linked(kind, name)
            stage = stage._under

    def find(self, patient: bytes) -> bytes | None:
        """The subject of a patient of this hospital; None for one who is not known."""
        link = self.linked(PATIENT, patient)
        return None if link is None else link.subject

    def subject_of(self, patient: bytes) -> bytes:
        """The subject of a patient, made where it is new. Raises: InvalidInputError(vault.name)."""
        found = self.find(patient)
        if found is None:
            found, secret = secrets.token_bytes(SUBJECT_BYTES), secrets.token_bytes(32)
            self._add(link_entry(PATIENT, patient, found, 0))
            self._add(Entry(kind=KEY, name=found, value=secret))
            self.made[found] = secret
        return found

    def link(self, kind: bytes, name: bytes, subject: bytes, mark: int = 0) -> None:
        """Let a name lead to a subject, instead of where it led before. Raises: InvalidInputError(vault.name)."""
        self._add(link_entry(kind, name, subject, mark))

    def has(self, name: bytes) -> bool:
        """Whether data stand under a name."""
        stage: Stage | None = self
        while stage is not None:
            if name in stage.data:
                return True
            stage = stage._under
        return self._vault.has(name)

    def get(self, name: bytes) -> bytes:
        """The data of a name. Raises: as ``Vault.get``."""
        stage: Stage | None = self
        while stage is not None:
            if name in stage.data:
                return stage.data[name].data
            stage = stage._under
        return self._vault.get(name)

    def empty(self) -> bool:
        """Whether nothing is staged, here or below."""
        own = not (self.entries or self.data)
        return own and (self._under is None or self._under.empty())

    def put(self, subject: bytes, name: bytes, data: bytes, commitment: bytes = b"", *, fresh: bool = False) -> None:
        """Keep data of a subject under a name, as ``Vault.put``; ``fresh``: the name holds random bytes of just now.

        Raises: InvalidInputError(vault.name | vault.too-large).
        """
        self.data[check_name(name)] = StagedData(subject, check_data(data), commitment, fresh)

    def subjects(self) -> Iterable[bytes]:
        """Whoever has to be known already when this is written."""
        named = {row.subject for row in self.data.values()}
        named |= {entry.value[:SUBJECT_BYTES] for entry in self.entries.values() if entry.kind != KEY}
        return named - self.made.keys()

    def _add(self, entry: Entry) -> None:
        self.entries[entry.kind, entry.name] = entry
