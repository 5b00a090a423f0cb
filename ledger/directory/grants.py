"""Judging a use under a grant, and the ODRL 2.2 agreement a grant is written as.

Semantics (published in ``docs/odrl.md``): everything a grant does not say is forbidden; purpose, end of validity,
number of uses and recipient are always said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ledger import codec
from ledger.directory.scope import (
    Scope,
    apply_scope,
    check_scope,
    decode_scope,
    encode_scope,
    make_scope,
    narrow,
    scope_digest,
)
from ledger.errors import InvalidInputError, NotAllowedError
from ledger.identifiers import parse_purpose, parse_uscc
from ledger.model import DatasetInfo, GrantInfo, GrantState, Sharing, format_time, parse_time

__all__ = [
    "REFUSAL_REASONS",
    "Reason",
    "Scope",
    "Terms",
    "agreement",
    "agreement_digest",
    "apply_scope",
    "check_scope",
    "decode_agreement",
    "decode_scope",
    "encode_scope",
    "judge",
    "make_scope",
    "narrow",
    "scope_digest",
    "text_digest",
]


class Reason(NamedTuple):
    """A reason code's word, and what it says in Chinese and English."""

    word: str
    zh: str
    en: str


#: Codes of refusals and revocations; the code and the digest of a text go on chain.
REFUSAL_REASONS: Final[Mapping[int, Reason]] = {
    1: Reason("incomplete", "申请材料不完整", "the request is incomplete"),
    2: Reason("no-duty", "与法定职责无关", "the purpose serves no statutory duty of the consumer"),
    3: Reason("too-wide", "超出办理事项所需范围", "the scope is wider than the matter needs"),
    4: Reason("not-shared", "属于不予共享类，附法律依据", "the data is not shared, by the legal basis named"),
    5: Reason("not-held", "本部门不掌握该数据", "the provider does not hold the data"),
    6: Reason("quality", "数据质量问题，校核中", "the data is being corrected"),
    7: Reason("security", "安全条件不满足", "the consumer's protection does not meet the level's conditions"),
    8: Reason("duplicate", "已有有效授权", "a grant for this already exists"),
    9: Reason("misuse", "违反用途使用", "data was used against its purpose"),
    10: Reason("ended", "事项已办结，不再需要", "the matter has ended"),
    99: Reason("other", "其他，见说明", "another reason, see the text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the two sides agree on. ``dataset``: 32 bytes; ``valid_until``: Unix seconds; ``ceiling``: uses."""

    dataset: bytes
    provider: str
    consumer: str
    purpose: str
    matter: str
    scope: Scope
    ceiling: int
    valid_until: int


def judge(grant: GrantInfo, dataset: DatasetInfo, *, consumer: str, purpose: str, now_s: int, used: int = 0) -> None:
    """Return when ``consumer`` may use ``dataset`` for ``purpose`` at ``now_s``, ``used`` times having been used.

    The same questions in the same order as ``Grants.isActive``, from a view of the chain the caller verified.

    Raises:
        NotAllowedError: ``grant.dataset``, ``grant.consumer``, ``grant.purpose``, ``grant.requested``,
            ``grant.refused``, ``grant.revoked``, ``grant.expired``, ``grant.suspended``, ``grant.ceiling``,
            ``dataset.withdrawn``, ``dataset.not-shared``.
    """
    if grant.dataset != dataset.id:
        raise _refusal("grant.dataset", "the grant is for another dataset", dataset.id, grant.dataset)
    if grant.provider != dataset.provider:
        raise _refusal("grant.dataset", "the grant names another provider", dataset.provider, grant.provider)
    if grant.consumer != consumer:
        raise _refusal("grant.consumer", "the grant is for another member", grant.consumer, consumer)
    if grant.purpose != purpose:
        raise _refusal("grant.purpose", f"the grant is for the purpose {grant.purpose}", grant.purpose, purpose)
    _judge_state(grant)
    if grant.missing_approvals:
        missing = ", ".join(grant.missing_approvals)
        raise _refusal("grant.suspended", f"approvals are missing for the dataset's present level: {missing}")
    if grant.state is GrantState.EXPIRED or now_s >= grant.valid_until:
        raise _refusal("grant.expired", "the grant has expired", grant.valid_until, now_s)
    if dataset.withdrawn:
        raise _refusal("dataset.withdrawn", "the dataset was withdrawn")
    if dataset.sharing is Sharing.NOT_SHARED:
        raise _refusal("dataset.not-shared", "the dataset is not shared")
    if used >= grant.ceiling:
        raise _refusal("grant.ceiling", "every use this grant allows has been made", grant.ceiling, used)


def text_digest(text: str) -> bytes:
    """The digest of an explanation (refusal, revocation, legal basis) as it stands on chain, 32 bytes."""
    return codec.domain_digest("text", text.encode())


def agreement(terms: Terms) -> bytes:
    """The ODRL 2.2 agreement of a grant, canonical JSON-LD; its digest is what both sides put on chain.

    Raises:
        InvalidInputError: ``grant.terms``, a constraint is missing or out of bounds.
    """
    _check_terms(terms)
    target = {
        "@type": "AssetCollection",
        "source": f"urn:civicledger:dataset:{terms.dataset.hex()}",
        "refinement": [
            {"leftOperand": _TERM + "field", "operator": "isAnyOf", "rightOperand": list(terms.scope.fields)},
            *(
                {"leftOperand": f"{_TERM}row:{name}", "operator": "isAnyOf", "rightOperand": list(values)}
                for name, values in terms.scope.rows
            ),
        ],
    }
    constraints = [
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": _TERM + "purpose:" + terms.purpose},
        {"leftOperand": _TERM + "matter", "operator": "eq", "rightOperand": terms.matter},
        {
            "leftOperand": "dateTime",
            "operator": "lt",
            "rightOperand": {"@type": "xsd:dateTime", "@value": format_time(terms.valid_until * 1000)},
        },
        {"leftOperand": "count", "operator": "lteq", "rightOperand": terms.ceiling},
        {"leftOperand": "recipient", "operator": "eq", "rightOperand": _MEMBER + terms.consumer},
    ]
    return codec.encode(
        {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Agreement",
            "assignee": _MEMBER + terms.consumer,
            "assigner": _MEMBER + terms.provider,
            "conflict": "prohibit",
            "permission": [{"action": "use", "constraint": constraints, "target": target}],
            "profile": "urn:civicledger:odrl:v1",
            "uid": f"urn:civicledger:agreement:{_identity(terms)}",
        }
    )


def agreement_digest(data: bytes) -> bytes:
    """The digest of an agreement's exact bytes, 32 bytes."""
    return codec.domain_digest("odrl", data)


def decode_agreement(data: bytes) -> Terms:
    """The terms of an agreement that this profile wrote, and of nothing else.

    Raises:
        InvalidInputError: ``json.*`` or ``grant.agreement``.
    """
    value = codec.decode(data)
    try:
        permission = value["permission"][0]
        constraints = permission["constraint"]
        fields, *rows = permission["target"]["refinement"]
        terms = Terms(
            dataset=bytes.fromhex(_after(permission["target"]["source"], "urn:civicledger:dataset:")),
            provider=_after(value["assigner"], _MEMBER),
            consumer=_after(value["assignee"], _MEMBER),
            purpose=_after(constraints[0]["rightOperand"], _TERM + "purpose:"),
            matter=constraints[1]["rightOperand"],
            scope=make_scope(
                fields["rightOperand"],
                {_after(row["leftOperand"], _TERM + "row:"): row["rightOperand"] for row in rows},
            ),
            ceiling=constraints[3]["rightOperand"],
            valid_until=parse_time(constraints[2]["rightOperand"]["@value"]) // 1000,
        )
        again = agreement(terms)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _not_ours(str(error)) from None
    # Everything that could be written otherwise is compared here, in one place.
    if again != data:
        raise _not_ours("it is not what its terms are written as")
    return terms


_TERM: Final = "urn:civicledger:term:"
_MEMBER: Final = "urn:civicledger:member:"


def _judge_state(grant: GrantInfo) -> None:
    if grant.state is GrantState.REQUESTED:
        missing = ", ".join(grant.missing_approvals) or "an answer"
        raise _refusal("grant.requested", f"the grant is not active yet: it waits for {missing}")
    if grant.state is GrantState.REFUSED:
        reason = REFUSAL_REASONS.get(grant.refusal_reason)
        raise _refusal("grant.refused", f"the request was refused: {reason.en if reason else grant.refusal_reason}")
    if grant.state is GrantState.REVOKED:
        raise _refusal("grant.revoked", "the grant was revoked")
    if grant.state is GrantState.SUSPENDED:
        raise _refusal("grant.suspended", "the grant is suspended until the approvals of the new level are given")
    if grant.state not in (GrantState.ACTIVE, GrantState.EXPIRED):
        raise _refusal("grant.requested", "the grant is not active")


def _check_terms(terms: Terms) -> None:
    parse_uscc(terms.provider)
    parse_uscc(terms.consumer)
    parse_purpose(terms.purpose)
    if len(terms.dataset) != 32:
        raise _wrong_terms("a dataset id has 32 bytes")
    if terms.provider == terms.consumer:
        raise _wrong_terms("provider and consumer are two members")
    if not isinstance(terms.matter, str) or not 1 <= len(terms.matter) <= 64:
        raise _wrong_terms("the matter it serves has 1 to 64 characters")
    if isinstance(terms.ceiling, bool) or not isinstance(terms.ceiling, int) or not 1 <= terms.ceiling <= 2**53 - 1:
        raise _wrong_terms("the number of uses is a positive integer")
    if not isinstance(terms.valid_until, int) or not 0 < terms.valid_until < 2**40:
        raise _wrong_terms("the end of validity is a Unix time in seconds")


def _identity(terms: Terms) -> str:
    """The agreement's name: of its terms, so that the same terms have the same file."""
    value = {
        "ceiling": terms.ceiling,
        "consumer": terms.consumer,
        "dataset": terms.dataset.hex(),
        "matter": terms.matter,
        "provider": terms.provider,
        "purpose": terms.purpose,
        "scope": scope_digest(terms.scope).hex(),
        "validUntil": terms.valid_until,
    }
    return codec.domain_digest("agreement", codec.encode(value)).hex()


def _after(text: Any, prefix: str) -> str:
    if not isinstance(text, str) or not text.startswith(prefix):
        raise ValueError(f"{prefix} expected")
    return text[len(prefix) :]


def _refusal(code: str, message: str, expected: object = None, actual: object = None) -> NotAllowedError:
    return NotAllowedError(code, message, hint=_HINTS[code], expected=expected, actual=actual)


_HINTS: Final[Mapping[str, str]] = {
    "dataset.not-shared": "ask the provider for the legal basis in its negative list",
    "dataset.withdrawn": "look for its successor in the catalogue: civicledger dataset list",
    "grant.ceiling": "request a new grant with a higher ceiling",
    "grant.consumer": "request a grant for your own member",
    "grant.dataset": "use the grant for the dataset it names: civicledger grant show",
    "grant.expired": "request a new grant",
    "grant.purpose": "use the grant for its purpose, or request one for this purpose",
    "grant.refused": "correct the request by the reason given and ask again",
    "grant.requested": "wait for the approvals: civicledger grant show lists the missing ones",
    "grant.revoked": "ask the provider for the reason; request a new grant if the need remains",
    "grant.suspended": "the dataset's level was raised: the missing approvals must be given first",
}


def _wrong_terms(allowed: str) -> InvalidInputError:
    return InvalidInputError("grant.terms", f"not the terms of a grant: {allowed}", hint="see docs/odrl.md")


def _not_ours(detail: str) -> InvalidInputError:
    return InvalidInputError(
        "grant.agreement", f"not an agreement of this profile: {detail[:120]}", hint="see docs/odrl.md"
    )
