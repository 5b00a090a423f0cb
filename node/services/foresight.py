"""What the contract would refuse to carry out anyway is refused before anybody votes on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ledger.chain.bindings import ProposalKind
from ledger.chain.refusals import REFUSALS
from ledger.chain.reverts import error_code

if TYPE_CHECKING:
    from ledger.chain.bindings import Consortium

#: Once there were four validators there are never fewer (ConsortiumValidators.sol, MINIMUM).
MINIMUM_VALIDATORS = 4
_TOO_FEW = "Consortium__TooFewValidators"


def require_enough_validators(consortium: Consortium, kind: ProposalKind, arguments: Mapping[str, Any]) -> None:
    """Refuse a proposal that takes a member out of a validator set of four.

    The contract judges when it is carried out; until then a validator may have been added, so that who knows better may
    propose it all the same. Raises: ConflictError(contract.consortium-too-few-validators), with the numbers.
    """
    leaves = kind in (ProposalKind.SUSPEND, ProposalKind.REMOVE) or (
        kind is ProposalKind.SET_VALIDATOR and arguments.get("validator") is False
    )
    if not leaves:
        return
    members = [member for member, _ in consortium.validators()]
    left = len(members) - 1
    if arguments.get("member") in members and len(members) >= MINIMUM_VALIDATORS > left:
        refusal = REFUSALS[_TOO_FEW]
        raise refusal.kind(
            error_code(_TOO_FEW),
            refusal.message.format(left=left, minimum=MINIMUM_VALIDATORS),
            hint=f"{refusal.hint}: civicledger member propose replace-validator or set-validator; "
            "--anyway puts it to the vote nonetheless",
        )
