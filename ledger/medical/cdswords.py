"""The words of cards and services for order systems, Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.medical.cdsrequest import Hook
from ledger.medical.texts import Language

#: id of a service -> (hook, title and description by language).
SERVICES: Final[Mapping[str, tuple[Hook, Mapping[Language, Mapping[str, str]]]]] = {
    "recognition-order-select": (
        "order-select",
        {
            "zh": {
                "title": "检查检验结果互认：选择医嘱时",
                "description": "所选检查检验项目在其他医院已有可互认的结果时予以提示；是否认可由医师决定。",
            },
            "en": {
                "title": "Mutual recognition, when orders are selected",
                "description": "Tells of the selected examinations that another hospital has a recognisable result; "
                "the physician decides.",
            },
        },
    ),
    "recognition-order-sign": (
        "order-sign",
        {
            "zh": {
                "title": "检查检验结果互认：签署医嘱时",
                "description": "待签署的检查检验项目在其他医院已有可互认的结果时予以提示；是否认可由医师决定。",
            },
            "en": {
                "title": "Mutual recognition, before orders are signed",
                "description": "Tells of the examinations about to be signed that another hospital has a recognisable "
                "result; the physician decides.",
            },
        },
    ),
}

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "zh": {
        "source": "检查检验结果互认（规则第 {rules} 版）",
        "summary": "{item}：已有可互认的结果，{day}，{where}",
        "panel": "{item}等 {n} 项",
        "without": "没有可互认结果的项目：{items}。",
        "day": "{day}（{ago}）",
        "no_day": "时间不明",
        "today": "今天",
        "yesterday": "昨天",
        "ago": "{n} 天前",
        "here": "本院",
        "recognisable": "可互认",
        "not": "不可互认",
        "label": "互认标识 {label}，在互认时限内",
        "and": "；",
        "colon": "：",
        "comma": "，",
        "semicolon": "；",
        "more": "另有 {n} 条。",
        "absent": "询问的 {asked} 家医院中有 {n} 家未及时答复，结果可能不全",
        "todo": "打开报告后可见结果，并由您决定认可或复查：医师工作台，或 `civicledger medical open`。",
    },
    "en": {
        "source": "Mutual recognition of results (rules, version {rules})",
        "summary": "{item}: a recognisable result exists, {day}, {where}",
        "panel": "{item} and {more} more",
        "without": "Nothing to recognise of: {items}.",
        "day": "{day} ({ago})",
        "no_day": "time unknown",
        "today": "today",
        "yesterday": "yesterday",
        "ago": "{n} days ago",
        "here": "this hospital",
        "recognisable": "Recognisable",
        "not": "Not recognisable",
        "label": "label {label}, within the window",
        "and": "; ",
        "colon": ": ",
        "comma": ", ",
        "semicolon": "; ",
        "more": "And {n} more.",
        "absent": "{n} of {asked} hospitals did not answer in time; there may be more results",
        "todo": "Open the report to see the result, then recognise it or test again: the doctor's desk, or "
        "`civicledger medical open`.",
    },
}
