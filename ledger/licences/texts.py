"""The plain words of a verdict, its checks, and of wrong fields, in Chinese and English.

Only codes lead here; what varies comes in as named values that hold no facts about the holder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["zh", "en"]
#: Both languages of one text.
Pair = tuple[str, str]

#: Verdict code -> (title, what to do), each in Chinese and English.
VERDICTS: Final[Mapping[str, tuple[Pair, Pair]]] = {
    "valid": (("有效", "Valid"), ("可以采信。", "It can be relied on.")),
    "valid-when-issued": (
        ("签发时有效", "Valid when issued"),
        (
            "可以采信：签发当时发证机构有权签发，已由链上记录证明。",
            "It can be relied on: the chain proves that it was issued while its issuer was entitled to.",
        ),
    ),
    "malformed": (
        ("无法识别", "Cannot be read"),
        (
            "请持证人重新出示；仍无法识别时，联系发证机构。",
            "Ask the holder to present it again; if it still cannot be read, ask its issuer.",
        ),
    ),
    "forged": (
        ("伪造或被篡改", "Forged or altered"),
        ("不要采信。请向发证机构核实。", "Do not rely on it. Ask the issuer named in it."),
    ),
    "untrusted-issuer": (
        ("发证机构不可信", "Issuer not trusted"),
        (
            "不要采信。链上查不到该机构的这把签发密钥。",
            "Do not rely on it. The chain does not know this key as one of its issuer.",
        ),
    ),
    "unknown-type": (
        ("证照类型未登记", "Unknown type of licence"),
        (
            "不要采信。该证照类型不在本链目录中；外地证照请通过当地平台核验。",
            "Do not rely on it. The chain has no such type; check a licence of another city with that city.",
        ),
    ),
    "not-accredited": (
        ("发证机构无权颁发此类证照", "Issuer not accredited for this type"),
        (
            "不要采信。请向该类证照的主管机构反映。",
            "Do not rely on it. Tell the body that defines this type of licence.",
        ),
    ),
    "key-compromised": (
        ("签发密钥已失窃", "Signed with a compromised key"),
        ("不要采信。请持证人到发证机构换发。", "Do not rely on it. The holder asks the issuer for a new one."),
    ),
    "issue-time-unproven": (
        ("签发时间未获证明", "Time of issue not proven"),
        (
            "暂不采信。请持证人提供证照证明文件（.civic），与证照一并核验；或到发证机构换发。",
            "Do not rely on it yet. Ask for the bundle of the licence (.civic) and check it with that, or for a renewed one.",
        ),
    ),
    "revoked": (
        ("已注销或被替换", "Revoked or replaced"),
        (
            "不要采信。请持证人出示新证，或向发证机构查询。",
            "Do not rely on it. Ask for the new licence, or ask the issuer.",
        ),
    ),
    "suspended": (
        ("已暂停使用", "Suspended"),
        ("目前不要采信。恢复后可重新核验。", "Do not rely on it now. Check again once it is resumed."),
    ),
    "expired": (
        ("已过有效期", "Expired"),
        ("不要采信。请持证人办理延续或换证。", "Do not rely on it. The holder has it renewed."),
    ),
    "not-yet-valid": (("尚未生效", "Not yet valid"), ("生效之日起再采信。", "It can be relied on from its first day.")),
    "status-unknown": (
        ("状态无法确认", "Status unknown"),
        ("稍后再核验；仍无法确认时，向发证机构查询。", "Check again later; if it stays so, ask the issuer."),
    ),
    "slip-expired": (
        ("凭条已过期", "The slip has expired"),
        (
            "不要采信。请持证人重新出示；证照本身可能仍然有效。",
            "Do not rely on it. The holder shows a new one; the licence itself may still be valid.",
        ),
    ),
    "copy-expired": (
        ("加注件已过期", "The copy has expired"),
        ("不要采信。请持证人重新制作加注件。", "Do not rely on it. The holder makes a new copy."),
    ),
    "wrong-recipient": (
        ("加注件不是给本机构的", "The copy is for somebody else"),
        (
            "不要采信。请持证人为本机构、本事项重新制作加注件。",
            "Do not rely on it. The holder makes a copy for you and this matter.",
        ),
    ),
    "recipient-needed": (
        ("加注件：请说明由谁核验", "A copy: say who is checking"),
        ("填写核验机构的统一社会信用代码后再核验。", "Enter the code of the body that is checking, then check again."),
    ),
    "holder-unproven": (
        ("未证明由持证人本人出示", "Not proven to be shown by its holder"),
        ("请持证人用自己的设备当场出示。", "Ask the holder to present it now, from the holder's own device."),
    ),
    "wrong-audience": (
        ("不是向本机构出示的", "Presented to somebody else"),
        ("请持证人向本机构重新出示。", "Ask the holder to present it to you."),
    ),
    "replayed": (
        ("重复使用的出示", "A presentation used before"),
        ("请持证人重新出示。", "Ask the holder to present it again."),
    ),
    "wrong-identifier": (
        ("证照标识有误", "Wrong identifier"),
        ("不要采信。请向发证机构核实证照标识。", "Do not rely on it. Ask the issuer about the identifier."),
    ),
}

CHECKS: Final[Mapping[str, Pair]] = {
    "structure": ("结构完整", "Form"),
    "signature": ("签名", "Signature"),
    "issuer": ("发证机构密钥", "Issuer's key"),
    "accredited": ("发证资格", "Accreditation"),
    "time": ("有效期", "Validity"),
    "status": ("证照状态", "Status"),
    "holder": ("持证人出示", "Shown by its holder"),
    "audience": ("出示对象", "Shown to"),
    "identifier": ("证照标识", "Identifier"),
    "purpose": ("加注用途", "Purpose of the copy"),
}

#: Where a check was not made, because one before it failed.
NOT_REACHED: Final = "not-reached"
NOT_REACHED_TEXT: Final[Pair] = ("未检查：前面的检查没有通过。", "Not checked: a check before it failed.")

#: (check, code) -> its line.
LINES: Final[Mapping[tuple[str, str], Pair]] = {
    ("structure", "ok"): (
        "内容完整，披露的每一项都由发证机构签署。",
        "Whole, and everything shown was signed by the issuer.",
    ),
    ("structure", "slip"): (
        "二维码凭条，内容完整，由发证机构签署。",
        "A slip, whole, and signed by the issuer.",
    ),
    ("structure", "unopened"): (
        "能读出；披露的内容未再比对。",
        "Readable; what it discloses was not compared any further.",
    ),
    ("signature", "ok"): ("签名与内容相符（{alg}）。", "The signature fits the content ({alg})."),
    ("signature", "no-key"): ("未检查：没有可信的密钥。", "Not checked: there is no key to trust."),
    ("issuer", "ok"): ("{issuer} 的签发密钥有效。", "The key of {issuer} is in force."),
    ("issuer", "key-ended"): (
        "密钥已于 {ended} 停用；证照在此之前签发（{proven} 前已入链）。",
        "The key ended at {ended}; the licence was issued before (on the chain by {proven}).",
    ),
    ("accredited", "ok"): ("由 {by} 授权，自 {since} 起。", "Accredited by {by} since {since}."),
    ("accredited", "ended"): (
        "授权已于 {ended} 终止；证照在此之前签发（{proven} 前已入链）。",
        "Accreditation ended at {ended}; the licence was issued before (on the chain by {proven}).",
    ),
    ("time", "ok"): ("在有效期内，至 {until}。", "In its validity, until {until}."),
    ("time", "no-end"): ("在有效期内，长期有效。", "In its validity, which has no end."),
    ("status", "ok"): (
        "未被注销或暂停（状态列表 {time}，版本 {version}）。",
        "Neither revoked nor suspended (list of {time}, version {version}).",
    ),
    ("status", "none"): ("证照没有状态列表，无法注销。", "The licence names no status list: it cannot be revoked."),
    ("status", "as-of"): (
        "{time} 时未被注销或暂停（版本 {version}）；此后的变化未检查。",
        "Neither revoked nor suspended as of {time} (version {version}); what changed since was not checked.",
    ),
    ("status", "not-included"): (
        "证明中没有状态列表，核验人接受：未检查是否已注销或暂停。",
        "The proof has no status list, which the verifier accepts: whether it was revoked or suspended was not checked.",
    ),
    ("holder", "ok"): ("由持证人本人的密钥出示，{time}。", "Shown with the holder's own key, {time}."),
    ("holder", "slip"): (
        "凭条不能证明持证人；请把姓名与本人证件核对。",
        "A slip does not prove its holder: compare the name with the holder's own document.",
    ),
    ("holder", "unbound"): ("证照未绑定持证人密钥。", "The licence is not bound to a key of its holder."),
    ("holder", "unproven"): (
        "证照绑定了持证人密钥，但未要求其证明：任何得到过它的人（包括加注件的接收方）都能这样出示。",
        "The licence is bound to its holder's key, and no proof was asked for: whoever was ever given it, a copy's "
        "recipient too, can show it like this.",
    ),
    ("audience", "ok"): ("向本机构出示。", "Shown to this verifier."),
    ("audience", "any"): ("未限定出示对象。", "Not asked to whom it is shown."),
    ("identifier", "ok"): (
        "证照标识与类型、机构和校验位相符。",
        "The identifier fits type, issuer and check character.",
    ),
    ("identifier", "hidden"): ("持证人未披露证照标识。", "The holder did not show the identifier."),
    ("identifier", "licence.check-widespread"): (
        "校验位按流传的错误算法（字母取 11 至 36）生成，不合 GB/T 36904。",
        "The check character follows the widespread wrong rule (letters as 11 to 36), not GB/T 36904.",
    ),
    ("purpose", "ok"): (
        "加注给 {recipient}，用于“{matter}”，至 {until}。",
        "A copy for {recipient}, for “{matter}”, until {until}.",
    ),
    ("purpose", "none"): ("不是加注件。", "Not a copy for one purpose."),
}

#: Problems of one field: code -> its words, the field's label in front.
PROBLEMS: Final[Mapping[str, Pair]] = {
    "licence.field-missing": ("必填", "is required"),
    "licence.field-unknown": ("不是这类证照的字段", "is no field of this type"),
    "licence.day": ("日期写作 2026-11-22 或 20261122", "is a day, written 2026-11-22 or 20261122"),
    "licence.citizen": ("不是有效的公民身份号码", "is not a citizen's number"),
    "licence.text": ("须为 1 至 1000 个字符，首尾无空格", "is a text of 1 to 1000 characters without blanks around it"),
    "licence.number": (
        "只能含字母、数字、汉字、括号和连字符，至多 64 位",
        "is of up to 64 letters, digits, brackets and dashes",
    ),
    "licence.holder-type": ("须为三位数字代码", "is a code of three digits"),
    "licence.holder-code": ("须为 4 至 32 位大写字母和数字", "is of 4 to 32 capitals and digits"),
    "licence.holder-kind": ("这类证照不能颁发给此种主体", "is not a kind of holder this licence is for"),
    "licence.choice": ("不在可选值之内", "is not one of the values allowed"),
    "licence.days-order": ("早于起始日期", "is before the first day"),
    "identifier.uscc": ("不是有效的统一社会信用代码", "is not a unified social credit code"),
}


def problem(reason: str, language: Language, label: str) -> str:
    """What is wrong with a field, in one language."""
    zh, en = PROBLEMS.get(reason, ("内容有误", "is wrong"))
    return f"{label}{zh}" if language == "zh" else f"{label} {en}"


def title(verdict: str) -> Pair:
    """The heading of a verdict, in Chinese and English."""
    return VERDICTS[verdict][0]


def todo(verdict: str) -> Pair:
    """What to do after a verdict."""
    return VERDICTS[verdict][1]
