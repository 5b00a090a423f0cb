"""Why a licence was refused, in plain words, and which verdict each reason leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.licences.texts import LINES, NOT_REACHED, NOT_REACHED_TEXT, Pair

_DAMAGED: Final[Pair] = ("内容残缺，或在传递中被改动。", "Parts are missing or were changed on the way.")
_NOT_LICENCE: Final[Pair] = ("这不是电子证照。", "This is not a licence.")
_TOO_LARGE: Final[Pair] = ("内容过大。", "It is too large.")
_BAD_JSON: Final[Pair] = (
    "内容的写法有歧义或有误，不能采信。",
    "Its content is written in a way that can be read differently, or not at all.",
)
_BAD_FORM: Final[Pair] = ("签发方式不被接受。", "It was made in a form that is not accepted.")
_BAD_SD: Final[Pair] = ("可选择披露的部分不合规范（RFC 9901）。", "What it discloses is not in the form of RFC 9901.")
_ALTERED: Final[Pair] = ("出示的内容不是发证机构所签署的。", "What is shown is not what the issuer signed.")
_BAD_CLAIM: Final[Pair] = ("证照缺少必需的内容，或其内容有误。", "A part that every licence has is missing or wrong.")
_BAD_BINDING: Final[Pair] = ("持证人的证明有误。", "The holder's proof is wrong.")
_BAD_LIST: Final[Pair] = ("状态列表有误，不能采信。", "The status list is wrong and says nothing.")
_UNPROVEN: Final[Pair] = (
    "{ended} 已终止；没有入链记录证明证照在此之前签发，证照自己写的时间不能作证。",
    "Ended at {ended}; no record on the chain proves that the licence is from before, and its own dates prove nothing.",
)

#: Reason -> (verdict, words).
REASONS: Final[Mapping[str, tuple[str, Pair]]] = {
    **dict.fromkeys(("licence.no-tilde", "licence.segments", "licence.typ"), ("malformed", _NOT_LICENCE)),
    **dict.fromkeys(("licence.size", "licence.disclosures"), ("malformed", _TOO_LARGE)),
    **dict.fromkeys(("licence.base64", "licence.base64-bits", "licence.empty-disclosure", "licence.signature-length"), ("malformed", _DAMAGED)),
    **dict.fromkeys(
        ("licence.json", "licence.json-text", "licence.json-number", "licence.json-duplicate", "licence.json-depth", "licence.header", "licence.payload"),
        ("malformed", _BAD_JSON),
    ),
    **dict.fromkeys(("licence.alg", "licence.alg-missing", "licence.crit", "licence.kid", "licence.sd-alg", "licence.sd-alg-nested"), ("malformed", _BAD_FORM)),
    "licence.alg-none": ("forged", ("没有签名。", "It is not signed.")),
    **dict.fromkeys(
        (
            "licence.sd-array", "licence.sd-digest", "licence.array-placeholder", "licence.array-digest", "licence.disclosure-form", "licence.disclosure-length",
            "licence.element-length", "licence.salt", "licence.claim-name-type", "licence.claim-name", "licence.claim-name-dots", "licence.hidden-claim",
        ),
        ("malformed", _BAD_SD),
    ),
    **dict.fromkeys(("licence.digest-twice", "licence.disclosure-twice", "licence.unreferenced", "licence.claim-exists"), ("forged", _ALTERED)),
    **dict.fromkeys(
        (
            "licence.vct", "licence.vct-missing", "licence.iss", "licence.time-claim", "licence.time-order", "licence.cnf", "licence.cnf-private",
            "licence.cnf-curve", "licence.cnf-key", "licence.status-reference", "licence.status-place", "licence.status-address",
        ),
        ("malformed", _BAD_CLAIM),
    ),
    "licence.signature": ("forged", ("签名与内容不符。", "The signature does not fit the content.")),
    "licence.unknown-key": ("untrusted-issuer", ("链上查不到该机构的这把密钥。", "The chain does not know this key as one of the issuer.")),
    "licence.key": ("untrusted-issuer", ("密钥不可用。", "The key cannot be used.")),
    "licence.key-mismatch": ("untrusted-issuer", ("密钥与链上登记的摘要不符。", "The key is not the one whose digest is on the chain.")),
    "licence.issuer-mismatch": ("untrusted-issuer", ("密钥属于另一机构。", "The key belongs to another body.")),
    "licence.key-not-yet": ("untrusted-issuer", ("密钥自 {since} 起才生效。", "The key is in force only from {since} on.")),
    "licence.key-compromised": (
        "key-compromised",
        ("密钥自 {ended} 起失窃，没有入链记录证明证照在此之前签发。", "The key was compromised at {ended}, and no record on the chain proves that the licence is from before."),
    ),
    "licence.issue-time-unproven": ("issue-time-unproven", _UNPROVEN),
    "licence.type-unknown": ("unknown-type", ("链上没有这一证照类型。", "The chain has no such type of licence.")),
    "licence.not-accredited": ("not-accredited", ("该机构从未获授权颁发此类证照。", "The body was never accredited for this type.")),
    "licence.not-accredited-then": (
        "not-accredited",
        ("签发时（{issued}）该机构没有颁发此类证照的授权。", "At the time of issue ({issued}) the body was not accredited for this type."),
    ),
    "licence.expired": ("expired", ("有效期已于 {until} 届满。", "Its validity ended at {until}.")),
    "licence.not-yet-valid": ("not-yet-valid", ("自 {since} 起生效。", "It is valid from {since} on.")),
    "licence.revoked": ("revoked", ("已注销或被替换（状态列表 {time}，版本 {version}）。", "Revoked or replaced (list of {time}, version {version}).")),
    "licence.suspended": ("suspended", ("已暂停（状态列表 {time}，版本 {version}）。", "Suspended (list of {time}, version {version}).")),
    "licence.status-unavailable": ("status-unknown", ("取不到状态列表。", "The status list cannot be had.")),
    "licence.status-not-included": (
        "status-unknown",
        (
            "证明中没有状态列表：不知道证照是否已注销或暂停。请向发证机构的节点索取新的证明文件。",
            "The proof has no status list: nobody can tell whether it was revoked or suspended. Ask the issuer's node for a newer bundle.",
        ),
    ),
    "licence.status-stale": ("status-unknown", ("状态列表过旧（{time}）。", "The status list is too old (of {time}).")),
    "licence.status-expired": ("status-unknown", ("状态列表已过期（{time}）。", "The status list has expired (of {time}).")),
    "licence.status-future": ("status-unknown", ("状态列表的时间在将来（{time}）；请核对时钟。", "The status list is from the future (of {time}); compare the clocks.")),
    "licence.status-index": ("status-unknown", ("状态列表中没有这个位置。", "The status list has no such place.")),
    "licence.status-uri": ("status-unknown", ("状态列表的地址与证照所指不同。", "The status list is of another address.")),
    "licence.status-other-issuer": ("status-unknown", ("状态列表由另一机构签署。", "The status list is signed by another body.")),
    "licence.status-reserved": ("status-unknown", ("状态值没有约定的含义。", "The status has no agreed meaning.")),
    **dict.fromkeys(
        ("licence.status-key", "licence.status-claims", "licence.status-bits", "licence.status-size", "licence.status-value", "licence.status-chain", "licence.status-token", "licence.status-behind", "licence.status-digest", "licence.zlib", "licence.zlib-twice", "licence.inflated"),
        ("status-unknown", _BAD_LIST),
    ),
    "licence.binding-missing": ("holder-unproven", ("持证人没有证明这是本人的证照。", "The holder did not prove that the licence is its own.")),
    "licence.binding-unbound": ("holder-unproven", ("证照没有绑定持证人的密钥。", "The licence is not bound to a key of its holder.")),
    **dict.fromkeys(("licence.binding-alg", "licence.binding-typ", "licence.binding-form", "licence.binding-claims"), ("holder-unproven", _BAD_BINDING)),
    "licence.binding-alg-none": ("holder-unproven", ("持证人的证明没有签名。", "The holder's proof is not signed.")),
    "licence.binding-signature": ("holder-unproven", ("不是用持证人的密钥证明的。", "The proof is not by the holder's key.")),
    "licence.binding-hash": ("holder-unproven", ("持证人的证明是对另一次出示作的。", "The holder's proof is of another presentation.")),
    "licence.binding-early": ("holder-unproven", ("出示时间在将来；请核对时钟。", "It was shown in the future; compare the clocks.")),
    "licence.binding-old": ("holder-unproven", ("出示已超过五分钟。", "It was shown more than five minutes ago.")),
    "licence.binding-audience": ("wrong-audience", ("是向 {audience} 出示的。", "It was shown to {audience}.")),
    "licence.binding-nonce": ("replayed", ("不是对本次核验的应答。", "It does not answer this verifier's question.")),
    "licence.identifier": ("wrong-identifier", ("证照标识写法有误。", "The identifier is not written as one.")),
    "licence.check-wrong": ("wrong-identifier", ("证照标识的校验位有误。", "The check character of the identifier is wrong.")),
    "licence.identifier-type": ("wrong-identifier", ("证照标识中的类型与证照类型不符。", "The type in the identifier is not the licence's.")),
    "licence.identifier-issuer": ("wrong-identifier", ("证照标识中的机构与发证机构不符。", "The issuer in the identifier is not the licence's.")),
    "licence.wrong-recipient": ("wrong-recipient", ("加注给 {recipient}，用于“{matter}”，不是本机构。", "It is a copy for {recipient}, for “{matter}”.")),
    "licence.copy-unnamed": ("recipient-needed", ("加注给 {recipient}，用于“{matter}”；请说明由谁核验。", "It is a copy for {recipient}, for “{matter}”; say who is checking.")),
    "licence.copy-expired": ("copy-expired", ("加注件已于 {until} 到期。", "The copy ended at {until}.")),
    "licence.copy-early": ("copy-expired", ("加注件的制作时间在将来；请核对时钟。", "The copy was made in the future; compare the clocks.")),
    "licence.slip-ended": ("slip-expired", ("凭条已于 {until} 到期。", "The slip ended at {until}.")),
    "licence.slip-prefix": ("malformed", ("这不是证照凭条，或是不认识的版本。", "This is no slip of a licence, or one of an unknown version.")),
    "licence.slip-kid": ("untrusted-issuer", ("密钥不是凭条所指的那一把。", "The key is not the one that the slip names.")),
    "licence.slip-alg": ("malformed", _BAD_FORM),
    **dict.fromkeys(("licence.slip-size", "licence.packed-size"), ("malformed", _TOO_LARGE)),
    "licence.packed-prefix": ("malformed", ("这不是加注件的二维码，或是不认识的版本。", "This is no code of a copy, or one of an unknown version.")),
    **dict.fromkeys(("licence.slip-labels", "licence.slip-claims"), ("malformed", _BAD_CLAIM)),
    **dict.fromkeys(
        (
            "licence.base45", "licence.slip-deflated", "licence.slip-cbor", "licence.slip-trailing", "licence.slip-canonical", "licence.slip-form",
            "licence.slip-header", "licence.packed-form",
        ),
        ("malformed", _DAMAGED),
    ),
    "licence.copy-terms": ("malformed", ("加注内容有误。", "What the copy says of its purpose is wrong.")),
}  # fmt: skip

#: What others' reasons (a node that is away, a bound of another part) lead to, by the check that they failed.
_OTHERS: Final[Mapping[str, tuple[str, Pair]]] = {
    "structure": ("malformed", _DAMAGED),
    "signature": ("forged", _ALTERED),
    "issuer": ("untrusted-issuer", ("密钥无法确认。", "The key cannot be confirmed.")),
    "accredited": ("not-accredited", ("发证资格无法确认。", "The accreditation cannot be confirmed.")),
    "time": ("malformed", _BAD_CLAIM),
    "status": ("status-unknown", ("取不到可用的状态列表。", "No status list that can be used is to be had.")),
    "holder": ("holder-unproven", _BAD_BINDING),
    "audience": ("wrong-audience", ("出示对象有误。", "To whom it is shown is wrong.")),
    "identifier": ("wrong-identifier", ("证照标识有误。", "The identifier is wrong.")),
    "purpose": ("malformed", ("加注内容有误。", "What the copy says of its purpose is wrong.")),
}


def verdict_of(name: str, reason: str) -> str:
    """The verdict that a check failed for a reason leads to; a reason without its own words counts by its check."""
    return (REASONS.get(reason) or _OTHERS[name])[0]


def line(name: str, reason: str, detail: Mapping[str, str]) -> Pair:
    """A check's line in Chinese and English."""
    if reason == NOT_REACHED:
        return NOT_REACHED_TEXT
    zh, en = LINES.get((name, reason)) or (REASONS.get(reason) or _OTHERS[name])[1]
    values = _Values(detail)
    return zh.format_map(values), en.format_map(values)


class _Values(dict[str, str]):
    """A text whose value nobody gave is still a text."""

    def __missing__(self, key: str) -> str:
        return "—"
