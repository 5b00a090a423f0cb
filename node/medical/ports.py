"""What the dialogue between hospitals asks of the other medical parts of its node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from ledger.medical.model import OfferedReport
    from ledger.medical.rules import RuleSet
    from ledger.medical.standing import Standing

Change = Literal["corrected", "withdrawn"]


class KeptReport(Protocol):
    """A report of this hospital. ``subject``: 32 bytes, the patient; ``data``: the bundle as it came in."""

    @property
    def offer(self) -> OfferedReport:
        """What others see of it."""

    @property
    def subject(self) -> bytes:
        """The patient, as the vault knows him."""

    @property
    def data(self) -> bytes:
        """The bundle as it was received."""

    @property
    def salt(self) -> bytes:
        """The salt of its record's commitment, 32 bytes; those of its openings are derived from it."""

    @property
    def withdrawn(self) -> bool:
        """Whether it was withdrawn (entered in error)."""


class ReportSource(Protocol):
    """The reports of this hospital."""

    def offers(self, subject: bytes) -> Sequence[OfferedReport]:
        """What is offered of a patient."""

    def get(self, report: bytes) -> KeptReport | None:
        """A report by its id; None when unknown or erased."""

    def on_changed(self, told: Callable[[bytes, int, Change], None]) -> None:
        """Tell of every correction and withdrawal (report, version after it, kind), once it is durable."""


class PseudonymSource(Protocol):
    """The patients' pseudonyms: asked of the commission, and found again here."""

    def of(self, identity: str, region: str = "", timeout_s: float = 20.0) -> Sequence[tuple[int, bytes]]:
        """This year's and last year's pseudonym of an identity: (year, 32 bytes); as the commission of another region
        derives them, where one is named. Raises: UnavailableError(pseudonym.away) at the latest after ``timeout_s``."""

    def find(self, pseudonym: bytes) -> bytes | None:
        """The patient of a pseudonym at this hospital."""


class ConsentSource(Protocol):
    """What patients forbade."""

    def allows(self, subject: bytes, asker: str, at_s: int) -> bool:
        """Whether a hospital (USCC) may be offered, and may open, what there is of a patient."""


class NoticeSink(Protocol):
    """Notices to patients."""

    def post(self, event: bytes, subject: bytes, kind: str, report: bytes, at_s: int) -> object:
        """Keep a notice to be sent, once for each ``event`` (32 bytes)."""


class AskedSink(Protocol):
    """Who searched for a patient's results."""

    def note(self, subject: bytes, asker: str, purpose: str, shown: int) -> None:
        """A hospital (USCC) searched, and was shown so many reports."""


class RuleSource(Protocol):
    """The rules in force and what the chain says beside them."""

    def in_force(self, at_s: int, region: str | None = None) -> tuple[int, bytes, RuleSet]:
        """(version, digest of the file, rule set) of a region, by default this hospital's.

        Raises: UnavailableError(medical.rules-…).
        """

    def held(self, digest: bytes) -> bytes:
        """The canonical bytes of a rule set, or none."""

    def standing(self) -> Standing:
        """Labels, quality, agreements and institutions at the newest head."""
