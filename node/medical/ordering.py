"""What a hospital's own order system is told at order time: that a result exists which may be recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.chain.genesis import decode_genesis
from ledger.errors import NotAllowedError
from ledger.medical.cdscards import Searched, answer, discovery
from ledger.medical.cdsrequest import Hook, Ordered, OrdersAsked, ordered, read_orders
from node.medical.judging import require_own_hospital
from node.medical.searching import search

if TYPE_CHECKING:
    from ledger.medical.texts import Language
    from node.medical.dialogue import Dialogue

PURPOSE = "treatment"


class Ordering:
    """The services of CDS Hooks over the dialogue with other hospitals. ``deadline_ms``: for an answer, all in all."""

    def __init__(self, dialogue: Dialogue, deadline_ms: int) -> None:
        self._dialogue = dialogue
        self.deadline_ms = deadline_ms
        genesis = decode_genesis(dialogue.context.config.genesis_file.read_bytes())
        self._founders = {founder.uscc: founder.name for founder in genesis.members}

    def services(self, language: Language) -> dict[str, Any]:
        """The services of this node: none where its member is no hospital."""
        try:
            require_own_hospital(self._dialogue.context)
        except NotAllowedError:
            return {"services": []}
        return discovery(language)

    def answer(self, data: bytes, hook: Hook, language: Language) -> dict[str, Any]:
        """The cards of a request. The hospitals have four fifths of the deadline, the rest is for judging.

        Raises: as :func:`ledger.medical.cdsrequest.read_orders` and :func:`node.medical.searching.search`.
        """
        context = self._dialogue.context
        require_own_hospital(context)
        asked = read_orders(data, hook)
        rules = self._dialogue.rules.in_force(context.clock() // 1_000)[2]
        found = ordered(asked, rules, context.member)
        return answer(found, self._search(asked, found) if found.orders else None, language)

    def _search(self, asked: OrdersAsked, found: Ordered) -> Searched:
        done = search(self._dialogue, asked.identity, PURPOSE, asked.course, self.deadline_ms * 4 // 5)
        wanted = found.items
        reports = [
            (one.offer, [decision for decision in one.decisions if decision.item in wanted]) for one in done.found
        ]
        members = self._dialogue.context.contracts.consortium.members()
        return Searched(
            member=self._dialogue.context.member,
            found=reports,
            absent=[one.member for one in done.absent],
            asked=done.asked,
            # Who was admitted later has a handle and no name on chain.
            names={info.uscc: self._founders.get(info.uscc) or info.handle for info in members},
            rules=done.rules,
            rules_version=done.rules_version,
            judged_s=done.judged_s,
        )
