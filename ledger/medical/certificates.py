"""What a medical certificate takes from an examination: the finding, a few measurements, the day. Nothing else leaves.

The finding (fit, unfit) is the examining physician's, in ``DiagnosticReport.conclusionCode``. It is never recognised in
place of another hospital's own: a certificate states who found it, and an office relies on that hospital's word.
Source: HL7 FHIR R4, DiagnosticReport.conclusionCode; 食品安全法 article 45 (a year); 机动车驾驶证申领和使用规定
(公安部令162号), physical condition of drivers (six months).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from ledger import codec
from ledger.errors import ConflictError, InvalidInputError, LedgerError
from ledger.medical import fhirfields
from ledger.medical.fhir import read_report
from ledger.medical.fhirbundle import Resources
from ledger.medical.fhirjson import read
from ledger.medical.model import Result
from ledger.medical.recognise import STANDS

Finding = Literal["fit", "unfit"]
#: Codes ``<examination>-fit`` and ``<examination>-unfit`` of a report's conclusion.
FINDING_SYSTEM: Final = "urn:civicledger:medical-finding"
#: Codes of measurements that no LOINC code is agreed for.
MEASURE_SYSTEM: Final = "urn:civicledger:examination"
_MAX_CONTENT: Final = 1_000
_MAX_TEXT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """An examination for a certificate. ``measured``: field of the certificate -> the (system, code) pairs of the
    result it holds."""

    id: str
    zh: str
    en: str
    measured: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a report says for a certificate. ``values``: field -> text as received; ``taken_s``: Unix seconds."""

    finding: Finding
    values: Mapping[str, str]
    taken_s: int


def _measures(**codes: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    return MappingProxyType({name: ((MEASURE_SYSTEM, code),) for name, code in codes.items()})


FOOD_HANDLER: Final = Examination(
    id="food-handler", zh="从业人员预防性健康检查", en="Health examination of food handlers"
)
DRIVER: Final = Examination(
    id="driver",
    zh="机动车驾驶人身体条件检查",
    en="Physical examination of drivers",
    measured=MappingProxyType(
        {
            **_measures(
                KZ_ZYSL="vision-left",
                KZ_YYSL="vision-right",
                KZ_BSL="colour-vision",
                KZ_TL="hearing",
                KZ_QGZT="limbs-trunk",
            ),
            "KZ_SG": ((fhirfields.LOINC, "8302-2"), (MEASURE_SYSTEM, "height")),
        }
    ),
)
EXAMINATIONS: Final[Mapping[str, Examination]] = MappingProxyType({one.id: one for one in (FOOD_HANDLER, DRIVER)})


def encode_content(examination: str) -> bytes:
    """The content of a dataset of examinations: for which certificate. Raises: InvalidInputError(dataset.content)."""
    if examination not in EXAMINATIONS:
        raise _wrong_content()
    return codec.encode({"examination": examination, "v": 1})


def decode_content(data: bytes) -> Examination:
    """The examination that a content names. Raises: InvalidInputError(dataset.content)."""
    try:
        value = codec.decode(data, max_bytes=_MAX_CONTENT)
    except LedgerError:
        raise _wrong_content() from None
    if not isinstance(value, dict) or set(value) != {"examination", "v"} or value["v"] != 1:
        raise _wrong_content()
    found = EXAMINATIONS.get(value["examination"]) if isinstance(value["examination"], str) else None
    if found is None:
        raise _wrong_content()
    return found


def examined(data: bytes, examination: Examination, *, institution: str, now_s: int) -> Examined | None:
    """What a report (as received) says for a certificate; None where it is no finished report of such an examination.

    ``institution``: USCC of the hospital that has it; ``now_s``: when it was taken in, Unix seconds.
    Raises: ConflictError(medical.finding-conflict), it finds both fit and unfit.
    """
    report = read_report(data, institution=institution, now_s=now_s, rules=None).report
    if report is None or report.status not in STANDS:
        return None
    finding = _finding(data, examination)
    taken_s = report.taken_s if report.taken_s is not None else report.issued_s
    if finding is None or taken_s is None:
        return None
    values = {}
    for name, codes in examination.measured.items():
        found = [text for one in report.results if (one.system, one.code) in codes and (text := _text(one)) is not None]
        # Measured twice with two outcomes is for the hospital to settle: the field stays empty.
        if len(set(found)) == 1:
            values[name] = found[0]
    return Examined(finding=finding, values=values, taken_s=taken_s)


def _finding(data: bytes, examination: Examination) -> Finding | None:
    (source,) = Resources(read(data)).of_type("DiagnosticReport")
    concepts = source.resource.get("conclusionCode") or ()
    codes = {code for one in concepts for system, code in fhirfields.codings(one) if system == FINDING_SYSTEM}
    fit, unfit = (f"{examination.id}-{word}" in codes for word in ("fit", "unfit"))
    if fit and unfit:
        raise ConflictError(
            "medical.finding-conflict",
            "the report finds both fit and unfit",
            hint="the hospital corrects the report",
        )
    return "fit" if fit else "unfit" if unfit else None


def _text(result: Result) -> str | None:
    if result.status not in STANDS:
        return None
    if result.value is None:
        text = result.text
    else:
        text = result.value if result.unit in (None, "1") else f"{result.value} {result.unit}"
    return text if text is not None and 0 < len(text) <= _MAX_TEXT else None


def _wrong_content() -> InvalidInputError:
    return InvalidInputError(
        "dataset.content",
        "the content of a dataset of the format examination names one, and this does not",
        hint='{"examination":"' + "|".join(EXAMINATIONS) + '","v":1}',
    )
