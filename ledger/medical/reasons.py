"""Why an item is not recognised, and why a physician examines again: closed lists of codes.

Source of the six national re-test reasons: 国卫医发〔2022〕6号 (检查检验结果互认管理办法).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError
from ledger.medical import texts
from ledger.medical.ruleset import RuleSet

#: What a re-test with each of the six national reasons is, as (Chinese, English).
NATIONAL: Final[Mapping[str, tuple[str, str]]] = {
    "condition-changed": (
        "病情变化，检查检验结果与临床表现、疾病诊断不符",
        "The condition changed, or the result does not fit the clinical picture or the diagnosis",
    ),
    "fast-changing": (
        "检查检验结果在疾病发展演变过程中变化较快",
        "The quantity changes fast as this disease develops",
    ),
    "before-major-procedure": (
        "检查检验项目对于疾病诊疗意义重大（如手术、输血等重大医疗措施前）",
        "The item is of great weight for the treatment, as before surgery, transfusion or another major measure",
    ),
    "emergency": ("患者处于急诊、急救等紧急状态", "Emergency or rescue"),
    "forensic-or-disability": (
        "涉及司法、伤残及病退等鉴定",
        "Forensic, disability or sick-retirement assessment",
    ),
    "other-need": ("其他确有必要复查的情形", "Another case that really needs it"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetestReason:
    """A registered reason to examine again; ``national``: one of the six."""

    code: str
    zh: str
    en: str
    national: bool


def retest_reasons(rules: RuleSet) -> tuple[RetestReason, ...]:
    """The six national reasons, then the local ones of the rule set."""
    national = (RetestReason(code=code, zh=zh, en=en, national=True) for code, (zh, en) in NATIONAL.items())
    local = (RetestReason(code=entry.code, zh=entry.zh, en=entry.en, national=False) for entry in rules.reasons)
    return (*national, *local)


def check_retest(reason: str, rules: RuleSet) -> RetestReason:
    """The registered reason of that code. Raises: InvalidInputError(medical.retest-reason)."""
    known = retest_reasons(rules)
    for entry in known:
        if entry.code == reason:
            return entry
    raise InvalidInputError(
        "medical.retest-reason",
        "a re-test needs one of the registered reasons",
        hint="one of " + ", ".join(entry.code for entry in known),
        actual=ascii(reason)[:60],
    )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is not recognised. ``detail`` is what varies: a label's range, a status, a number of days."""

    code: str
    detail: str = ""

    @property
    def zh(self) -> str:
        """The reason in Chinese."""
        return texts.reason(self.code, "zh", self.detail)

    @property
    def en(self) -> str:
        """The reason in English."""
        return texts.reason(self.code, "en", self.detail)
