"""One examination for two certificates, as a hospital's system sends it."""

from __future__ import annotations

from typing import Any

from ledger.medical.certificates import FINDING_SYSTEM, MEASURE_SYSTEM
from tests.ledger.medical.bundles import LOINC, Measured, Person, panel, resource

MEASURED = (
    Measured(code="8302-2", value="172", unit="cm", system=LOINC),
    Measured(code="vision-left", value="5.0", unit="1", system=MEASURE_SYSTEM),
    Measured(code="vision-right", value="4.9", unit="1", system=MEASURE_SYSTEM),
    Measured(code="colour-vision", value="0", unit="1", system=MEASURE_SYSTEM),
    Measured(code="hearing", value="0", unit="1", system=MEASURE_SYSTEM),
    Measured(code="limbs-trunk", value="0", unit="1", system=MEASURE_SYSTEM),
    # Nothing a certificate needs.
    Measured(code="14647-2", value="6.30", unit="mmol/L", high="4.5"),
)
WORDS = {3: "正常", 4: "正常", 5: "正常"}


def examination(person: Person, institution: str, number: str, *findings: str, **changes: Any) -> dict[str, Any]:
    """A Bundle. ``findings``: codes of its conclusion, e.g. ``driver-fit``."""
    made = panel(MEASURED, person=person, institution=institution, number=number, **changes)
    for place, word in WORDS.items():
        result = resource(made, "Observation", place)
        del result["valueQuantity"]
        result["valueString"] = word
    report = resource(made, "DiagnosticReport")
    report["conclusion"] = "血脂偏高，建议复查。"
    report["conclusionCode"] = [{"coding": [{"system": FINDING_SYSTEM, "code": code}]} for code in findings]
    return made
