"""Whether institutions of these levels recognise each other's results."""

from __future__ import annotations

from ledger.medical.reasons import Reason
from ledger.medical.ruleset import RuleSet
from ledger.medical.standing import Institution


def level(issuer: Institution, asker: Institution, rules: RuleSet) -> Reason | None:
    """Why the level rules do not provide for it, None where they do. An institution takes its own results."""
    if issuer.member == asker.member or rules.level_recognised(issuer.level, asker.level):
        return None
    return Reason("level", f"{issuer.level} → {asker.level}")
