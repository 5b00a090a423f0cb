"""What is wrong, or worth knowing, about a FHIR resource: a code, where, and words for a clerk in two languages.

No text quotes a value of the resource but codes and element names: what is about a person stays out of messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: ``error``: refused. ``warning``: kept, but something blocks recognition. ``information``: kept.
Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding. ``path``: a FHIRPath expression, empty for the whole input; ``text``, ``zh``: the same in words."""

    code: str
    severity: Severity
    path: str
    text: str
    zh: str


#: code -> (severity, IssueType of OperationOutcome, English, Chinese). Source: FHIR R4 value set issue-type.
PROBLEMS: Final[dict[str, tuple[Severity, str, str, str]]] = {
    # --- the bytes
    "fhir.too-large": (
        "error",
        "too-long",
        "the file is larger than {limit} MiB; send one report a file, without images",
        "文件超过 {limit} MiB；请每个文件只发送一份报告，且不含图像",
    ),
    "fhir.json-text": (
        "error",
        "structure",
        "the file is not UTF-8 text without a byte order mark (byte {byte})",
        "文件不是无 BOM 的 UTF-8 文本（第 {byte} 字节）",
    ),
    "fhir.json-depth": (
        "error",
        "too-long",
        "the JSON nests deeper than {limit} levels",
        "JSON 嵌套超过 {limit} 层",
    ),
    "fhir.json-duplicate": (
        "error",
        "structure",
        "the name {name} stands twice in one JSON object",
        "同一 JSON 对象中名称 {name} 出现两次",
    ),
    "fhir.json-number": (
        "error",
        "value",
        "a number is too long, too large, or not a number",
        "存在过长、过大或无效的数字",
    ),
    "fhir.json": (
        "error",
        "structure",
        "not JSON: line {line}, column {column}; the file was cut off or damaged",
        "不是有效的 JSON：第 {line} 行第 {column} 列；文件可能不完整或已损坏",
    ),
    # --- the resource
    "fhir.resource-type": (
        "error",
        "not-supported",
        "a {type} is not taken here: send a Bundle with one DiagnosticReport, or a DiagnosticReport with its contained "
        "resources",
        "此处不接收 {type}：请发送包含一份 DiagnosticReport 的 Bundle，或带 contained 资源的 DiagnosticReport",
    ),
    "fhir.bundle-type": (
        "error",
        "not-supported",
        "a Bundle of type {type} is not taken: use collection, document, message, transaction or batch",
        "不接收类型为 {type} 的 Bundle：请使用 collection、document、message、transaction 或 batch",
    ),
    "fhir.bundle-request": (
        "error",
        "not-supported",
        "an entry asks for {method}: reports are created or updated here, never deleted or read; withdraw a report by "
        "sending it with the status entered-in-error",
        "条目要求执行 {method}：此处只能新增或更新报告；撤回报告请以状态 entered-in-error 重新发送",
    ),
    "fhir.entry-empty": ("error", "required", "an entry holds no resource", "条目中没有资源"),
    "fhir.entry-twice": (
        "error",
        "duplicate",
        "two entries have the same address or the same type and id",
        "两个条目的地址或“类型/标识”相同",
    ),
    "fhir.too-many": (
        "error",
        "too-long",
        "more than {limit} {what}",
        "{what} 超过 {limit} 个",
    ),
    "fhir.too-costly": (
        "error",
        "too-costly",
        "reading it took more time or memory than a report may take; send one with fewer entries",
        "读取耗费的时间或内存超过一份报告的限度；请减少条目后重新发送",
    ),
    "fhir.r5-shaped": (
        "error",
        "not-supported",
        "the element {element} is of FHIR R5; send FHIR R4 (4.0.1)",
        "元素 {element} 属于 FHIR R5；请发送 FHIR R4（4.0.1）",
    ),
    "fhir.invalid": (
        "error",
        "invalid",
        "not valid by FHIR R4: {reason}",
        "不符合 FHIR R4：{reason}",
    ),
    "fhir.report-missing": (
        "error",
        "required",
        "the Bundle holds no DiagnosticReport",
        "Bundle 中没有 DiagnosticReport",
    ),
    "fhir.report-several": (
        "error",
        "too-many",
        "the Bundle holds more than one DiagnosticReport; send one a Bundle",
        "Bundle 中有多份 DiagnosticReport；请每个 Bundle 只发送一份",
    ),
    "fhir.identifier-missing": (
        "error",
        "required",
        "the report has neither an identifier nor an id: it could not be told from others when it is sent again",
        "报告没有 identifier 也没有 id：再次发送时无法辨认",
    ),
    "fhir.word": (
        "error",
        "too-long",
        "a code, unit or identifier is longer than {limit} characters",
        "代码、单位或标识超过 {limit} 个字符",
    ),
    "fhir.status": (
        "error",
        "code-invalid",
        "{status} is no status of a {type}",
        "{status} 不是 {type} 的有效状态",
    ),
    # --- whom it is about, and who made it
    "fhir.subject-missing": ("error", "required", "the report names no patient", "报告未指明患者"),
    "fhir.subject-type": (
        "error",
        "not-supported",
        "the report is about a {type}, not about a patient",
        "报告的对象是 {type}，而不是患者",
    ),
    "fhir.two-patients": (
        "error",
        "business-rule",
        "the Bundle is about more than one patient; nothing of it was kept. Check the order, then send one patient's "
        "report a Bundle",
        "Bundle 涉及多名患者，未保存任何内容。请核对医嘱，并为每位患者单独发送",
    ),
    "fhir.identity": (
        "error",
        "value",
        "the patient's identity number fails its check digit (GB 11643)",
        "患者的公民身份号码校验位不符（GB 11643）",
    ),
    "fhir.identity-missing": (
        "information",
        "informational",
        "the patient's identity number is not given: other hospitals find this report only once it is known",
        "未提供患者的公民身份号码：在获知之前，其他医疗机构无法检索到本报告",
    ),
    "fhir.institution-other": (
        "error",
        "business-rule",
        "the report was made by {institution}, which hands in its reports itself",
        "报告由 {institution} 出具，应由该机构自行提交",
    ),
    "fhir.reference": (
        "error",
        "not-found",
        "what this refers to is not in the Bundle",
        "引用的资源不在 Bundle 中",
    ),
    "fhir.reference-type": (
        "error",
        "value",
        "this refers to a {type}, not to a {expected}",
        "此处引用的是 {type}，而不是 {expected}",
    ),
    "fhir.images-elsewhere": (
        "information",
        "informational",
        "the images are not in the Bundle; they stay in the hospital's own archive",
        "图像不在 Bundle 中，仍保存在本院影像系统",
    ),
    # --- results
    "fhir.results-missing": (
        "error",
        "required",
        "the report holds no result and no study",
        "报告中没有检验结果，也没有检查",
    ),
    "fhir.code-missing": (
        "error",
        "required",
        "the result has no code",
        "结果没有代码",
    ),
    "fhir.code-unmapped": (
        "warning",
        "code-invalid",
        "the rules in force know no item for the code {code}: kept, but not recognisable until it is mapped",
        "现行规则中没有与代码 {code} 对应的项目：已保存，完成对照之前不能互认",
    ),
    "fhir.unit-unmapped": (
        "warning",
        "code-invalid",
        "the unit {unit} cannot be converted into the item's: kept, but not recognisable",
        "单位 {unit} 无法换算为项目规定的单位：已保存，但不能互认",
    ),
    # --- times
    "fhir.time": (
        "error",
        "value",
        "not a time by FHIR R4 with a time zone, from 1970 on",
        "不是符合 FHIR R4、带时区且不早于 1970 年的时间",
    ),
    "fhir.time-future": (
        "error",
        "business-rule",
        "this time lies in the future; check the clock of the sending system",
        "该时间在未来；请检查发送系统的时钟",
    ),
    "fhir.time-order": (
        "error",
        "business-rule",
        "the report was issued before the specimen was taken or the study made",
        "报告签发时间早于标本采集或检查时间",
    ),
    "fhir.time-missing": (
        "warning",
        "incomplete",
        "no time of specimen or study: held, and not recognisable until the report is sent with it",
        "没有标本采集或检查时间：已暂存，补充时间重新发送之前不能互认",
    ),
    # --- against what is kept already
    "report.older": (
        "error",
        "conflict",
        "a newer version of this report is kept already; nothing was changed",
        "已保存本报告的更新版本；未作任何更改",
    ),
    "report.other-patient": (
        "error",
        "conflict",
        "a report with this number is kept for another patient; check the number and the patient",
        "该编号的报告已归属另一名患者；请核对编号与患者",
    ),
    "report.other-examination": (
        "error",
        "conflict",
        "a report with this number is kept of another examination; a correction has the code of what it corrects",
        "该编号的报告属于另一项检查；更正报告的代码须与原报告一致",
    ),
    "report.patient-conflict": (
        "error",
        "conflict",
        "this record number is kept with another identity number; check whose report it is",
        "该病案号已对应另一公民身份号码；请核对患者",
    ),
    # --- consents
    "fhir.consent-type": (
        "error",
        "not-supported",
        "a {type} is not taken here: send a Consent",
        "此处不接收 {type}：请发送 Consent",
    ),
    "fhir.consent-scope": (
        "error",
        "not-supported",
        "only consents of the scope patient-privacy are taken",
        "只接收范围为 patient-privacy 的知情同意",
    ),
    "fhir.consent-provision": (
        "error",
        "not-supported",
        "the consent has conditions that are not kept here ({element}); say permit or deny, whom it concerns, and for "
        "which time",
        "知情同意含有此处不支持的条件（{element}）；请只说明允许或拒绝、针对谁以及期限",
    ),
    "fhir.consent-actor": (
        "error",
        "not-supported",
        "whom the consent concerns is not named by a unified social credit code",
        "知情同意所针对的机构未以统一社会信用代码标明",
    ),
    "consent.older": (
        "error",
        "conflict",
        "a newer version of this consent is kept already; nothing was changed",
        "已保存该知情同意的更新版本；未作任何更改",
    ),
    "consent.not-active": (
        "information",
        "informational",
        "the consent is not active: what it said before counts no more",
        "该知情同意未生效：其此前的内容不再有效",
    ),
    "consent.over": (
        "warning",
        "informational",
        "the time of the consent is over: it says nothing from now on",
        "该知情同意的期限已过：自即刻起不再有效",
    ),
    "fhir.consent-rule": (
        "error",
        "required",
        "the consent says neither permit nor deny, and names no rule that does",
        "知情同意既未写明允许或拒绝，也未引用相应规则",
    ),
}


def problem(finding: str, path: str = "", /, **values: str) -> Problem:
    """The problem with a code of ``PROBLEMS``, its texts filled in."""
    severity, _, text, zh = PROBLEMS[finding]
    return Problem(code=finding, severity=severity, path=path, text=text.format(**values), zh=zh.format(**values))


def problems_markdown() -> str:
    """The table of codes as it stands in ``docs/fhir.md``."""
    rows = (f"| `{code}` | {severity} | {text} | {zh} |" for code, (severity, _, text, zh) in sorted(PROBLEMS.items()))
    return "\n".join(("| code | | what it says | 中文 |", "| --- | --- | --- | --- |", *rows, ""))
