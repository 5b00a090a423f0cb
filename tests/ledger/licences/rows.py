"""Invented rows of every template: what a clerk would enter. The people and firms in them do not exist."""

from __future__ import annotations

from ledger.licences import templates

#: Numbers of the standard's own examples, and codes of public bodies.
CITIZEN = "11010519491231002X"
COMPANY = "91350100M000100Y43"

_PERSON = {
    "ZZBH": "NO20260001",
    "CZZT": "张三丰",
    "CZZTDMLXDM": "111",
    "CZZTDM": CITIZEN,
    "ZZYXQQSRQ": "20260101",
    "ZZYXQJZRQ": "2031-12-31",
}
_COMPANY = {
    "ZZBH": "JY13501000001",
    "CZZT": "福州某某餐饮有限公司",
    "CZZTDMLXDM": "001",
    "CZZTDM": COMPANY,
    "ZZYXQQSRQ": "2026-01-01",
    "ZZYXQJZRQ": "长期",
}
_SELF = {"KZ_XB": "男", "KZ_CSRQ": "19491231"}
_FINDING = {
    "KZ_TJJL": "合格",
    "KZ_TJRQ": "20251230",
    "KZ_TJJGDM": "12310000425006133Y",
    "KZ_TJBGBS": "5f" * 32,
    "KZ_TJBGBB": "1",
    "KZ_TJBGCN": "a0" * 32,
    "KZ_TJBGXH": "4711",
}

ROWS: dict[str, dict[str, str]] = {
    "business-licence": _COMPANY
    | {
        "KZ_LX": "有限责任公司",
        "KZ_FDDBR": "李四",
        "KZ_ZCZB": "人民币壹佰万元整",
        "KZ_CLRQ": "2015-06-01",
        "KZ_ZS": "福州市鼓楼区某路1号",
        "KZ_JYFW": "餐饮服务",
    },
    "driver-medical": _PERSON
    | _SELF
    | _FINDING
    | {
        "KZ_SQZJCX": "C1",
        "KZ_SG": "172 cm",
        "KZ_ZYSL": "5.0",
        "KZ_YYSL": "4.9",
        "KZ_BSL": "正常",
        "KZ_TL": "正常",
        "KZ_QGZT": "正常",
    },
    "health-certificate": _PERSON | _FINDING | {"KZ_XB": "男", "KZ_CYLB": "餐饮服务"},
    "driving-licence": _PERSON
    | _SELF
    | {"KZ_GJ": "中国", "KZ_ZZ": "北京市朝阳区某路2号", "KZ_ZJCX": "C1", "KZ_CCLZRQ": "2001-05-20"},
    "food-permit": _COMPANY
    | {
        "KZ_FDDBR": "李四",
        "KZ_ZS": "福州市鼓楼区某路1号",
        "KZ_JYCS": "福州市鼓楼区某路1号一层",
        "KZ_ZTYT": "餐饮服务经营者",
        "KZ_JYXM": "热食类食品制售",
    },
    "household-page": _PERSON
    | _SELF
    | {
        "KZ_HB": "非农业家庭户口",
        "KZ_HH": "000123456",
        "KZ_HZXM": "张三丰",
        "KZ_YHZGX": "户主",
        "KZ_MZ": "汉族",
        "KZ_ZZ": "北京市朝阳区某路2号",
    },
    "marriage-certificate": _PERSON
    | _SELF
    | {
        "ZZYXQJZRQ": "长期",
        "KZ_DJRQ": "2026-01-01",
        "KZ_POXM": "王五",
        "KZ_POXB": "女",
        "KZ_POCSRQ": "1950-01-01",
        "KZ_POZJHM": "440524188001010014",
    },
    "physician-licence": _PERSON
    | _SELF
    | {
        "KZ_ZGZSBM": "199911110101",
        "KZ_ZYLB": "临床",
        "KZ_ZYFW": "内科专业",
        "KZ_ZYDD": "北京市",
        "KZ_ZYJG": "北京市某医院",
    },
}


def checked(name: str) -> dict[str, str]:
    """The row of a template in its stored form."""
    return templates.check(templates.TEMPLATES[name], ROWS[name])
