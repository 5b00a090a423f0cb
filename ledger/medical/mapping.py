"""What an observation as received is in the rule set: its item, and its value in the item's unit.

What does not map is a state that blocks recognition and that a clerk sees; the report is kept all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.medical.model import State
from ledger.medical.ruleset import Item, Kind, RuleSet
from ledger.medical.units import convert


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """The item (None: the code is unmapped), the state, and the value in the item's unit, where it is a quantity."""

    item: str | None
    state: State
    canonical: str | None


def place(
    rules: RuleSet,
    *,
    institution: str,
    codings: Iterable[tuple[str, str]],
    value: str | None,
    unit: str | None,
    text: str | None,
) -> Mapped:
    """Map one observation. ``codings``: its (system, code) pairs; ``value``, ``unit``, ``text`` as in ``Result``.

    Codes that mean different items map to none: nobody can tell which of them is wrong. A quantity without a value is
    mapped (there is nothing to convert, and nothing to recognise); one whose value is a text is not.
    """
    items = {found for system, code in codings if (found := rules.item_of(institution, system, code)) is not None}
    item = rules.item(next(iter(items))) if len(items) == 1 else None
    if item is None:
        return Mapped(item=None, state="unmapped-code", canonical=None)
    if item.kind is not Kind.QUANTITY:
        # A number where a code is expected is another measurement (a titre, a signal), not the item's result.
        return Mapped(item=item.id, state="unmapped-unit" if value is not None else "mapped", canonical=None)
    return _quantity(item, value, unit, text)


def _quantity(item: Item, value: str | None, unit: str | None, text: str | None) -> Mapped:
    canonical = None
    if value is not None and unit is not None and item.unit is not None:
        canonical = convert(value, unit, item.unit, item.molar_mass)
    nothing = value is None and text is None
    return Mapped(
        item=item.id, state="mapped" if nothing or canonical is not None else "unmapped-unit", canonical=canonical
    )
