"""What a patient is told by message: that something happened and where to look, in Chinese or English.

No name, no hospital, no item, no value and no decision: a message is read over shoulders and kept by carriers, and a
hospital's name alone can tell an illness.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from ledger.days import CST

Kind = Literal["opened", "recognised", "retested", "corrected", "withdrawn", "certified"]
Language = Literal["zh", "en"]
KINDS: Final[tuple[Kind, ...]] = ("opened", "recognised", "retested", "corrected", "withdrawn", "certified")

_SEEN = {
    "zh": "【结果互认】{at}，您的一份检查检验结果被另一家医疗机构查阅。"
    "如非您本人就医，请登录患者页面查看详情或停止共享。",
    "en": "Shared results: at {at} another hospital opened one of your results. If you were not being treated there, "
    "see the patient's page for details or to stop sharing.",
}
_DECIDED = {
    "zh": "【结果互认】{at}，接诊医师已就您的一份共享检查检验结果作出决定，详情请登录患者页面查看。",
    "en": "Shared results: at {at} a physician decided on one of your shared results. See the patient's page.",
}
_CHANGED = {
    "zh": "【结果互认】{at}，您的一份共享检查检验结果有变更，请登录患者页面查看，或咨询就诊医疗机构。",
    "en": "Shared results: at {at} one of your shared results was changed. See the patient's page, or ask "
    "your hospital.",
}
_CERTIFIED = {
    "zh": "【办证】{at}，一个发证机关依授权取得了您的一份体检结论。如非您本人申请办证，请登录患者页面查看详情。",
    "en": "Certificate: at {at} an issuing office was given the finding of one of your examinations. If you did not "
    "apply for a certificate, see the patient's page.",
}
_TEXTS: Final = {
    "opened": _SEEN,
    "recognised": _DECIDED,
    "retested": _DECIDED,
    "corrected": _CHANGED,
    "withdrawn": _CHANGED,
    "certified": _CERTIFIED,
}


def notice_text(kind: Kind, language: Language, at_s: int) -> str:
    """The message of an event at a time (Unix seconds), which is shown as of China."""
    return _TEXTS[kind][language].format(at=datetime.fromtimestamp(at_s, CST).strftime("%Y-%m-%d %H:%M"))
