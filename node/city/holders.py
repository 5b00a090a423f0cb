"""A person who does not exist, and what three licences say of that person.

Names begin with 演示 (demonstration), addresses lie in a 虚构区 (invented district), and who was born in the first years
of the twentieth century is nobody alive. Numbers are well-formed, because issuers check them. Drawn anew for each city.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from stdnum.cn import ric

from ledger.licences.fields import CITIZEN_HOLDER, LONG_TERM

_SYLLABLES = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥金木水火土日月星"
_DIVISION = "310101"
_FIRST_BIRTH = date(1900, 1, 1)
_BIRTH_DAYS = 3_650
#: From birth to what happened to a grown-up, days.
_GROWN_DAYS, _YEARS_DAYS = 25 * 365, 3_650


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An invented person: name, citizen's number (GB 11643), day of birth, sex, address."""

    name: str
    number: str
    birth: date
    sex: str
    address: str


def invented(sex: str) -> Person:
    """A person drawn at random; ``sex``: 男 or 女, which the number's last digit of the sequence repeats."""
    birth = _FIRST_BIRTH + timedelta(days=secrets.randbelow(_BIRTH_DAYS))
    sequence = 2 * secrets.randbelow(500) + (sex == "男")
    body = f"{_DIVISION}{birth:%Y%m%d}{sequence:03d}"
    return Person(
        name="演示" + "".join(secrets.choice(_SYLLABLES) for _ in range(3)),
        number=body + str(ric.calc_check_digit(body + "0")),
        birth=birth,
        sex=sex,
        address=f"演示市虚构区示例路{1_000 + secrets.randbelow(9_000)}号{100 + secrets.randbelow(900)}室",
    )


def driving_licence(holder: Person, today: date) -> Mapping[str, str]:
    """The fields of a driving licence of six years."""
    return {
        **_of(holder, "JZ"),
        "ZZYXQJZRQ": (today + timedelta(days=6 * 365)).isoformat(),
        **_described(holder),
        "KZ_GJ": "中国",
        "KZ_ZZ": holder.address,
        "KZ_ZJCX": "C1",
        "KZ_CCLZRQ": _later(holder),
    }


def household_page(holder: Person) -> Mapping[str, str]:
    """The fields of a page of the household register."""
    return {
        **_of(holder, "HK"),
        "ZZYXQJZRQ": LONG_TERM,
        **_described(holder),
        "KZ_HB": "居民家庭户",
        "KZ_HH": _digits(9),
        "KZ_HZXM": holder.name,
        "KZ_YHZGX": "户主",
        "KZ_MZ": "汉族",
        "KZ_ZZ": holder.address,
    }


def marriage_certificate(holder: Person, spouse: Person) -> Mapping[str, str]:
    """The fields of a marriage certificate."""
    return {
        **_of(holder, "JH"),
        "ZZYXQJZRQ": LONG_TERM,
        **_described(holder),
        "KZ_DJRQ": _later(holder),
        "KZ_POXM": spouse.name,
        "KZ_POXB": spouse.sex,
        "KZ_POCSRQ": spouse.birth.isoformat(),
        "KZ_POZJHM": spouse.number,
    }


def _of(holder: Person, kind: str) -> dict[str, str]:
    return {
        "CZZT": holder.name,
        "CZZTDM": holder.number,
        "CZZTDMLXDM": CITIZEN_HOLDER,
        "ZZBH": f"YS{kind}{_digits(10)}",
    }


def _described(holder: Person) -> dict[str, str]:
    return {"KZ_XB": holder.sex, "KZ_CSRQ": holder.birth.isoformat()}


def _later(holder: Person) -> str:
    """A day in the holder's grown-up life."""
    return (holder.birth + timedelta(days=_GROWN_DAYS + secrets.randbelow(_YEARS_DAYS))).isoformat()


def _digits(count: int) -> str:
    return f"{secrets.randbelow(10**count):0{count}d}"
