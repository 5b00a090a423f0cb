"""Rule sets of recognition: loaded, checked, and named by their digest."""

from __future__ import annotations

from importlib.resources import files

from ledger.codec import domain_digest
from ledger.errors import InvalidInputError
from ledger.medical.rulecheck import Problem, check_rules
from ledger.medical.rulefile import parse_rules
from ledger.medical.ruleset import RuleSet

__all__ = ["Problem", "RuleSet", "check_rules", "load_rules", "parse_rules", "rules_digest", "starting_rules"]

_SHOWN = 5


def load_rules(data: bytes, *, units: bool = True) -> RuleSet:
    """The rule set of a file that is right in every part.

    ``units=False`` leaves out whether UCUM knows the units, which loads a large library: for whoever loads a rule set
    that stands on chain and was checked before. Raises: InvalidInputError(medical.rules-size | medical.rules-json |
    medical.rules-field | medical.rules-value), or the code of the first of its problems, naming up to five.
    """
    rules = parse_rules(data)
    problems = check_rules(rules, units=units)
    if problems:
        named = "; ".join(f"{problem.where}: {problem.en}" for problem in problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InvalidInputError(
            problems[0].code, named + more, hint="civicledger medical rules check FILE lists every problem"
        )
    return rules


def rules_digest(rules: RuleSet) -> bytes:
    """32 bytes that name a rule set on chain: of its canonical bytes, so that layout and order of fields do not
    matter."""
    return domain_digest("medical-rules", rules.canonical)


def starting_rules() -> bytes:
    """The file of the rule set that comes with this library: a city replaces it by its own."""
    return files("ledger.medical").joinpath("starting_rules.json").read_bytes()
