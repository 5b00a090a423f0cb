"""The plain words of every reason, in Chinese and English. The order of the table is the order reasons are told in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["zh", "en"]

#: Reason code -> (Chinese, English). ``{}`` is the detail.
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "withdrawn": ("报告已撤回或被更正为无效", "The report was withdrawn or entered in error"),
    "report-not-final": ("报告尚未审定（状态：{}）", "The report is not final (status: {})"),
    "item-withdrawn": ("该项结果已撤回", "This result was withdrawn or entered in error"),
    "item-not-final": ("该项结果尚未审定（状态：{}）", "This result is not final (status: {})"),
    "unmapped-code": ("项目代码未与互认项目对照", "Its code is not mapped to an item of mutual recognition"),
    "unmapped-unit": ("计量单位无法换算为互认项目的单位", "Its unit cannot be converted to the item's unit"),
    "item-not-listed": ("现行规则中没有该项目（{}）", "The rules in force do not list the item ({})"),
    "category-other": ("报告类别与该项目的类别不符", "The report's category is not that of the item"),
    "no-result": ("该项没有可供互认的数据或影像", "There is no value or image of this item to recognise"),
    "specimen-other": ("标本与互认项目不符（{}）", "The specimen is not that of the item ({})"),
    "method-unstated": ("未注明检测方法，该项目按方法分组互认", "The method is not stated, and the item is recognised by method group"),
    "method-other": ("检测方法不在互认方法组内（{}）", "The method is not in the item's method group ({})"),
    "no-time": ("没有采样或检查时间", "The time of the specimen or study is missing"),
    "taken-in-future": ("采样或检查时间晚于当前时间", "The time of the specimen or study lies in the future"),
    "too-old": ("超过互认时限（{} 天）", "Older than the window of {} days"),
    "issuer-unknown": ("出具机构未在链上登记为医疗机构", "The chain has no entry of the institution that issued it"),
    "issuer-inactive": ("出具机构的登记已停用", "The entry of the institution that issued it is not active"),
    "asker-inactive": ("接诊机构的登记已停用", "The entry of the institution that asks is not active"),
    "level": ("机构等级规则不予互认（{}）", "The level rules do not provide for it ({})"),
    "eqa-none": ("该机构此项目没有室间质评记录", "The institution has no external quality assessment of the item"),
    "eqa-body": ("室间质评记录不是由该标识范围的质控机构作出（{}）", "The assessment was not recorded by the quality body of the range ({})"),
    "eqa-not-then": ("采样或检查之时没有有效的室间质评（{}）", "No assessment was valid at the time of the specimen or study ({})"),
    "eqa-failed": ("室间质评不合格（{}）", "The external quality assessment was failed ({})"),
    "eqa-revoked": ("室间质评结果已被撤销（{}）", "The external quality assessment was revoked ({})"),
    "range-not-in-force": ("互认标识范围当时未生效或现已终止（{}）", "The range of the label was not in force then, or is not now ({})"),
    "range-not-here": ("互认标识不适用于本地区，且无地区间协议（{}）", "The label does not count in this region, and no agreement lists it ({})"),
    "conclusion-excluded": ("诊断结论不属于互认范围，仅互认数据与影像", "A physician's conclusion is never recognised: only data and images are"),
}  # fmt: skip

#: Place of each code among the reasons of one item.
ORDER: Final[Mapping[str, int]] = {code: place for place, code in enumerate(REASONS)}


def reason(code: str, language: Language, detail: str) -> str:
    """A reason in plain words."""
    zh, en = REASONS[code]
    return (zh if language == "zh" else en).replace("{}", detail)
