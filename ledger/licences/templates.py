"""Templates of licence types (证照模板): which fields a licence of a type has, under which labels, as data.

Which type code a template stands for is the issuing body's setting: codes are given by the body that defines a type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.licences import texts
from ledger.licences.fields import (
    CITIZEN_HOLDER,
    COMMON,
    HOLDER_FIELDS,
    USCC_HOLDER,
    Field,
    Kind,
    mask_name,
    read_value,
)

#: Problems named at most: a file of another kind would have hundreds.
MAX_PROBLEMS: Final = 50
_SEXES: Final = ("男", "女")


class Mask(StrEnum):
    """How the holder's name stands where it must not be read in full (slips, lists)."""

    PERSON = "person"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A licence type: ``id`` in settings and commands, titles, its own fields beside the common ones, which kinds of
    holder's code it takes (none: any), how the holder's name is masked. ``examination``: which medical
    examination it is made of (none: of none), for at most ``valid_days`` from its day."""

    id: str
    zh: str
    en: str
    own: tuple[Field, ...]
    holder_types: tuple[str, ...]
    mask: Mask
    examination: str = ""
    valid_days: int = 0

    @property
    def fields(self) -> tuple[Field, ...]:
        """What a row must or may fill in: the holder's fields, then the type's own."""
        return (*HOLDER_FIELDS, *self.own)

    @property
    def examined(self) -> tuple[str, ...]:
        """The fields that come from the examining hospital and from nobody else."""
        return tuple(item.name for item in self.own if item in _EXAMINED) if self.examination else ()

    def masked(self, name: str) -> str:
        """The holder's name as the type's mask shows it."""
        return mask_name(name) if self.mask is Mask.PERSON else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a row, in both languages; no value of the row stands in it."""

    field: str
    code: str
    zh: str
    en: str


def _own(
    name: str, zh: str, en: str, kind: Kind = Kind.TEXT, *, needed: bool = True, one_of: tuple[str, ...] = ()
) -> Field:
    return Field(name=f"KZ_{name}", zh=zh, en=en, kind=kind, required=needed, choices=one_of)


_SEX: Final = _own("XB", "性别", "Sex", one_of=_SEXES)
_BIRTH: Final = _own("CSRQ", "出生日期", "Date of birth", Kind.DAY)
#: What a medical certificate says of its examination: the finding, and which record of which hospital bears it out.
_FINDING: Final = (
    _own("TJJL", "体检结论", "Medical finding", one_of=("合格",)),
    _own("TJRQ", "体检日期", "Examined on", Kind.DAY),
    _own("TJJGDM", "体检机构代码", "Examining hospital's code", Kind.USCC),
    _own("TJBGBS", "体检报告标识", "Medical report", Kind.NUMBER),
    _own("TJBGBB", "体检报告版本", "Version of the report", Kind.NUMBER),
    _own("TJBGCN", "体检报告承诺值", "Commitment to the report", Kind.NUMBER),
    _own("TJBGXH", "体检报告存证序号", "Record in the hospital's log", Kind.NUMBER),
)
#: The measurements on a driver's certificate, as the hospital gives them.
_BODY: Final = (
    _own("SG", "身高", "Height"),
    _own("ZYSL", "左眼视力", "Vision, left eye"),
    _own("YYSL", "右眼视力", "Vision, right eye"),
    _own("BSL", "辨色力", "Colour vision"),
    _own("TL", "听力", "Hearing"),
    _own("QGZT", "躯干四肢", "Limbs and trunk"),
)
_EXAMINED: Final = frozenset({*_FINDING, *_BODY})

BUSINESS_LICENCE: Final = Template(
    id="business-licence",
    zh="营业执照",
    en="Business licence",
    own=(
        _own("LX", "类型", "Kind of company"),
        _own("FDDBR", "法定代表人（负责人）", "Legal representative"),
        _own("ZCZB", "注册资本", "Registered capital", needed=False),
        _own("CLRQ", "成立日期", "Established on", Kind.DAY),
        _own("ZS", "住所", "Seat"),
        _own("JYFW", "经营范围", "Scope of business"),
    ),
    holder_types=(USCC_HOLDER,),
    mask=Mask.NONE,
)
DRIVING_LICENCE: Final = Template(
    id="driving-licence",
    zh="机动车驾驶证",
    en="Driving licence",
    own=(
        _SEX,
        _BIRTH,
        _own("GJ", "国籍", "Nationality"),
        _own("ZZ", "住址", "Address"),
        _own("ZJCX", "准驾车型", "Classes"),
        _own("CCLZRQ", "初次领证日期", "First issued on", Kind.DAY),
        _own("DABH", "档案编号", "File number", Kind.NUMBER, needed=False),
    ),
    holder_types=(),
    mask=Mask.PERSON,
)
FOOD_PERMIT: Final = Template(
    id="food-permit",
    zh="食品经营许可证",
    en="Food operation permit",
    own=(
        _own("FDDBR", "法定代表人（负责人）", "Legal representative"),
        _own("ZS", "住所", "Seat"),
        _own("JYCS", "经营场所", "Place of business"),
        _own("ZTYT", "主体业态", "Kind of business"),
        _own("JYXM", "经营项目", "Permitted operations"),
    ),
    holder_types=(USCC_HOLDER,),
    mask=Mask.NONE,
)
HOUSEHOLD_PAGE: Final = Template(
    id="household-page",
    zh="居民户口簿（页）",
    en="Household register page",
    own=(
        _own("HB", "户别", "Kind of household"),
        _own("HH", "户号", "Household number", Kind.NUMBER),
        _own("HZXM", "户主姓名", "Head of household"),
        _own("YHZGX", "与户主关系", "Relation to the head"),
        _SEX,
        _own("MZ", "民族", "Ethnic group"),
        _BIRTH,
        _own("JG", "籍贯", "Place of origin", needed=False),
        _own("ZZ", "住址", "Address"),
    ),
    holder_types=(CITIZEN_HOLDER,),
    mask=Mask.PERSON,
)
MARRIAGE_CERTIFICATE: Final = Template(
    id="marriage-certificate",
    zh="结婚证",
    en="Marriage certificate",
    own=(
        _own("DJRQ", "登记日期", "Registered on", Kind.DAY),
        _SEX,
        _BIRTH,
        _own("POXM", "配偶姓名", "Spouse"),
        _own("POXB", "配偶性别", "Spouse's sex", one_of=_SEXES),
        _own("POCSRQ", "配偶出生日期", "Spouse's date of birth", Kind.DAY),
        _own("POZJHM", "配偶身份证件号码", "Spouse's number", Kind.NUMBER),
    ),
    holder_types=(),
    mask=Mask.PERSON,
)
PHYSICIAN_LICENCE: Final = Template(
    id="physician-licence",
    zh="医师执业证书",
    en="Practising physician's licence",
    own=(
        _SEX,
        _BIRTH,
        _own("ZGZSBM", "医师资格证书编码", "Qualification number", Kind.NUMBER),
        _own("ZYLB", "执业类别", "Category of practice"),
        _own("ZYFW", "执业范围", "Scope of practice"),
        _own("ZYDD", "执业地点", "Place of practice"),
        _own("ZYJG", "主要执业机构", "Main institution"),
    ),
    holder_types=(CITIZEN_HOLDER,),
    mask=Mask.PERSON,
)
HEALTH_CERTIFICATE: Final = Template(
    id="health-certificate",
    zh="健康证明",
    en="Health certificate",
    own=(_SEX, _own("CYLB", "从业类别", "Kind of work"), *_FINDING),
    holder_types=(CITIZEN_HOLDER,),
    mask=Mask.PERSON,
    examination="food-handler",
    # A year. Source: 食品安全法, article 45.
    valid_days=365,
)
DRIVER_MEDICAL: Final = Template(
    id="driver-medical",
    zh="机动车驾驶人身体条件证明",
    en="Driver's medical certificate",
    own=(_SEX, _BIRTH, _own("SQZJCX", "申请准驾车型", "Classes applied for"), *_BODY, *_FINDING),
    holder_types=(CITIZEN_HOLDER,),
    mask=Mask.PERSON,
    examination="driver",
    # Six months, in days. Source: 机动车驾驶证申领和使用规定 (公安部令162号).
    valid_days=180,
)

TEMPLATES: Final[Mapping[str, Template]] = {
    item.id: item
    for item in (
        BUSINESS_LICENCE,
        DRIVER_MEDICAL,
        DRIVING_LICENCE,
        FOOD_PERMIT,
        HEALTH_CERTIFICATE,
        HOUSEHOLD_PAGE,
        MARRIAGE_CERTIFICATE,
        PHYSICIAN_LICENCE,
    )
}

#: Every field by its claim name, for whoever shows a licence without its template.
LABELS: Final[Mapping[str, Field]] = {
    **{field.name: field for form in TEMPLATES.values() for field in form.own},
    **COMMON,
}


def template(name: str) -> Template:
    """The template of a name. Raises: NotFoundError(licence.template)."""
    found = TEMPLATES.get(name)
    if found is None:
        raise NotFoundError(
            "licence.template",
            f"no template is named {ascii(name)[:40]}",
            hint="there are: " + ", ".join(TEMPLATES),
        )
    return found


def examine(form: Template, row: Mapping[str, str]) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """The values of a row in their stored form, and everything that is wrong with it, each thing once.

    ``row``: field name to text as it was entered; an empty text is none. The values are whole only without problems.
    """
    known = {item.name: item for item in form.fields}
    given = {name: text for name, text in row.items() if text != ""}
    problems = [
        _problem(Field(name=ascii(name)[:40], zh="未知", en="unknown"), "licence.field-unknown")
        for name in given.keys() - known.keys()
    ]
    values: dict[str, str] = {}
    for field in known.values():
        if field.name not in given:
            if field.required:
                problems.append(_problem(field, "licence.field-missing"))
            continue
        try:
            values[field.name] = read_value(field, given[field.name], given)
        except LedgerError as error:
            problems.append(_problem(field, error.code))
    problems += _between(form, values)
    order = [*known, *sorted(given.keys() - known.keys())]
    return values, tuple(sorted(problems, key=lambda item: _place(order, item.field))[:MAX_PROBLEMS])


def check(form: Template, row: Mapping[str, str]) -> dict[str, str]:
    """The values of a row without problems. Raises: InvalidInputError(licence.fields), naming every wrong field."""
    values, problems = examine(form, row)
    if problems:
        raise InvalidInputError(
            "licence.fields",
            "fields are wrong: " + "; ".join(f"{item.field}: {item.en} {item.zh}" for item in problems),
            hint=f"{form.en} ({form.zh}) has the fields {', '.join(item.name for item in form.fields)}",
        )
    return values


def _between(form: Template, values: Mapping[str, str]) -> list[Problem]:
    """What is wrong between two fields."""
    found = []
    kind = values.get("CZZTDMLXDM")
    if kind is not None and form.holder_types and kind not in form.holder_types:
        found.append(_problem(_field(form, "CZZTDMLXDM"), "licence.holder-kind"))
    first, last = values.get("ZZYXQQSRQ", ""), values.get("ZZYXQJZRQ", "")
    # Days in the one stored form sort as texts.
    if first and last and last[0].isdigit() and last < first:
        found.append(_problem(_field(form, "ZZYXQJZRQ"), "licence.days-order"))
    return found


def _field(form: Template, name: str) -> Field:
    return next(item for item in form.fields if item.name == name)


def _problem(field: Field, reason: str) -> Problem:
    return Problem(
        field=field.name,
        code=reason,
        zh=texts.problem(reason, "zh", field.zh),
        en=texts.problem(reason, "en", field.en),
    )


def _place(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
