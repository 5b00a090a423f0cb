"""What a node has of medicine: the parts, made over its stores and completed once the node's context is there.

Every node has a desk; a part that only a hospital or a health commission needs says so when it is used by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.storage.changes import ChangeStore
from ledger.storage.examinations import ExaminationStore
from ledger.storage.steps import StepStore
from ledger.storage.store import Store
from ledger.storage.vault import Vault
from node.loops import Loop
from node.medical import certifying
from node.medical.answering import Answering
from node.medical.asked import Asked
from node.medical.carried import CarriedRoad
from node.medical.changes import Changes
from node.medical.commission import Commission
from node.medical.consents import Consents
from node.medical.conversing import Finishing
from node.medical.dialogue import Dialogue
from node.medical.erasing import Erasing
from node.medical.fetching import Fetching
from node.medical.keeping import Keeping
from node.medical.notices import Outbox
from node.medical.pseudonyms import Pseudonyms
from node.medical.publishing import Publishing
from node.medical.readers import Readers
from node.medical.reports import Reports
from node.medical.road import Direct, Road
from node.medical.rules import Rules
from node.web.medical import MedicalParts

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.core import NodeCore

#: How often what a crash or an absent folder left undone is looked at, seconds.
_UPKEEP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """The dialogue with other hospitals: what both sides work with, changes to tell, steps answered and finished."""

    dialogue: Dialogue
    changes: Changes
    answering: Answering
    finishing: Finishing
    #: Where the calls are carried by a gateway.
    fetching: Fetching | None


class Medical:
    """The medical part of one node. ``open`` completes it, once the node's context is there.

    ``rows``: the node's own rows of medicine, each part under a prefix of its own; nothing of a patient in clear.
    """

    erasing: Erasing
    consents: Consents
    rules: Rules
    commission: Commission
    pseudonyms: Pseudonyms
    notices: Outbox
    reports: Reports
    #: Who searched for a patient's results.
    asked: Asked
    #: The dialogue with other hospitals.
    speaking: Speaking
    #: The figures that everybody may see.
    publishing: Publishing

    def __init__(self, rows: Store, keeping: Keeping, readers: Readers | None = None) -> None:
        self.rows = rows
        self.keeping = keeping
        self.readers = readers
        self.steps = StepStore(rows.sub(b"step/"))
        self.examinations = ExaminationStore(rows.sub(b"examination/"))

    @property
    def public(self) -> MedicalParts:
        """What everybody may see."""
        return MedicalParts(rules=self.rules.public, figures=lambda first, last: self.publishing.file(first, last))

    @property
    def vault(self) -> Vault:
        """What is kept of patients, opened when first asked for."""
        return self.keeping.vault

    @classmethod
    def of_core(cls, core: NodeCore) -> Medical:
        """The desk over a node's stores; folders of its own are added to ``core.closing``."""
        config = core.config
        backup = config.folder / config.medical.key_backup if config.medical.key_backup else None
        keeping = Keeping(config.medical_folder, core.keys.passphrase, core.member, backup, core.closing)
        readers = Readers(config.medical.readers)
        core.closing.add("medical-readers", readers.close)
        return cls(core.stores.medical, keeping, readers)

    def open(self, context: NodeContext, is_open: Callable[[], bool], on_fatal: Callable[[LedgerError], None]) -> None:
        """Make the parts that work with the whole node. ``is_open``: whether its services answer."""
        self.erasing = Erasing(context, self.keeping)
        self.consents = Consents(context, self.keeping)
        self.rules = Rules(context, self.rows.sub(b"rules/"))
        self.commission = Commission(context, self.keeping)
        self.pseudonyms = Pseudonyms(context, self.keeping, is_open, on_fatal)
        self.notices = Outbox(context, self.keeping, is_open, on_fatal)
        self.erasing.on_erase(self.pseudonyms.forget)
        self.erasing.on_erase(self.notices.forget)
        self.reports = Reports(
            context, lambda: self.vault, self.rules, self.pseudonyms, is_open, on_fatal, self.readers
        )
        self.erasing.on_erase(self.reports.erase)
        self.asked = Asked(self.rows.sub(b"asked/"), context.clock, lambda subject: self.vault.knows(subject))
        self.erasing.on_erase(self.asked.forget)
        dialogue = Dialogue(
            context=context,
            steps=self.steps,
            reports=self.reports,
            pseudonyms=self.pseudonyms,
            consents=self.consents,
            notices=self.notices,
            rules=self.rules,
            asked=self.asked,
            road=road_of(context),
        )
        self.converse(dialogue, is_open, on_fatal)
        self.erasing.on_erase(lambda _, names: certifying.forget(context, names))
        self._is_open = is_open
        self._clock = context.clock
        self._upkeep = Loop("medical-upkeep", self._step, metrics=context.metrics, on_fatal=on_fatal)

    def converse(
        self, dialogue: Dialogue, is_open: Callable[[], bool], on_fatal: Callable[[LedgerError], None]
    ) -> None:
        """Make the dialogue with other hospitals over the parts it touches."""
        changes = Changes(dialogue, ChangeStore(self.rows.sub(b"change/")), self.examinations, is_open, on_fatal)
        road = dialogue.road
        self.speaking = Speaking(
            dialogue=dialogue,
            changes=changes,
            answering=Answering(dialogue, changes.look),
            finishing=Finishing(dialogue, is_open, on_fatal),
            fetching=Fetching(dialogue, changes, road, is_open, on_fatal) if isinstance(road, CarriedRoad) else None,
        )
        self.publishing = Publishing(dialogue)

    def loops(self) -> Iterator[Loop]:
        """Every background loop of the parts."""
        yield from (self._upkeep, self.reports.loop)
        yield from (self.speaking.finishing.loop, self.speaking.changes.loop)
        if self.speaking.fetching is not None:
            yield self.speaking.fetching.loop
        yield self.pseudonyms.loop
        yield self.notices.loop

    def _step(self) -> float:
        """Turn the keys of pseudonyms; finish what was begun: erasures, records of consents, keys that a backup still
        holds."""
        if not self._is_open():
            return 1.0
        self.commission.upkeep()
        if self.keeping.exists:
            self.erasing.resume()
            self.consents.resume()
            self.keeping.follow_copies(self._clock())
        return _UPKEEP_S


def road_of(context: NodeContext) -> Road:
    """The way to the other hospitals' nodes that the settings name. Raises: InvalidInputError(medical.gateway-*)."""
    settings = context.config.medical
    if not settings.gateway:
        return Direct()
    ca_file = str(context.config.folder / settings.gateway_ca) if settings.gateway_ca else ""
    return CarriedRoad(settings.gateway, ca_file)
