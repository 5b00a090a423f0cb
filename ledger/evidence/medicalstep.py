"""Steps of recognition between two hospitals: what the asking one signs (``docs/formats.md``, medical step).

``{"signature": base64, "step": {...}, "v": 1}`` in JCS; the consumer (the asking hospital) signs the domain digest
``medical-step`` of the inner object's bytes with its receipt key. The step's id is the domain digest
``medical-step-id`` of the whole. What grants are to an exchange are the rules in force to a step: their version and
digest stand in it, beside the purpose (the doctor's statement why the patient is treated) and, of a decision, the
opening that it follows.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from enum import StrEnum
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, domain_digest, unb64
from ledger.errors import InvalidInputError, LedgerError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.request import MAX_REQUEST_MS, check_receipt_signer, verify_party
from ledger.evidence.seal import Seal
from ledger.identifiers import parse_purpose, parse_uscc
from ledger.keys import Signer
from ledger.model import format_time, parse_time

MAX_STEP_BYTES: Final = 32_768
#: Items of one report at most.
MAX_PLACES: Final = 1_000
_SEAL: Final = Seal()
_FIELDS: Final = frozenset(
    {
        "chain",
        "consumer",
        "course",
        "expires",
        "kind",
        "nonce",
        "operator",
        "places",
        "provider",
        "purpose",
        "report",
        "rules",
        "time",
        "version",
    }
)


class StepKind(StrEnum):
    """What the asking hospital does: opens a report, recognises items of it, or tests items again."""

    OPEN = "open"
    RECOGNISE = "recognise"
    RETEST = "retest"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """What a hospital asks of another. 32 bytes each: ``chain`` (genesis digest), ``report`` (its id at the provider),
    ``rules`` (digest of the rule set in force), ``operator`` (commitment to the doctor's pseudonym; zeros where none is
    named), ``nonce`` (random), ``opening`` (id of the opening a decision follows; None of an opening).

    ``version``: of the report; ``places``: the items decided on, ascending, none of an opening; ``course``: ``acute``
    or ``chronic``, whose windows counted; ``reason``: code of a re-test, else empty. Times in Unix milliseconds.
    """

    chain: bytes
    provider: str
    consumer: str
    kind: StepKind
    report: bytes
    version: int
    places: tuple[int, ...]
    course: str
    purpose: str
    rules_version: int
    rules: bytes
    operator: bytes
    nonce: bytes
    time_ms: int
    expires_ms: int
    opening: bytes | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedStep:
    """A request whose signature and times hold; made by :func:`verify_step` only. ``step``: its id."""

    request: StepRequest
    step: bytes
    digest: bytes
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def sign_step(signer: Signer, request: StepRequest) -> bytes:
    """The signed request's bytes. Raises: InvalidInputError(key.role | medical.step | json.*)."""
    check_receipt_signer(signer)
    inner = _object(request)
    signature = signer.sign(domain_digest("medical-step", codec.encode(inner)))
    return codec.encode({"signature": b64(signature), "step": inner, "v": 1})


def decode_step(data: bytes) -> StepRequest:
    """The request in signed bytes, its signature not yet checked. Raises: InvalidInputError(medical.step)."""
    return _decode(data)[0]


def verify_step(data: bytes, consumer_key: bytes, now_ms: int) -> VerifiedStep:
    """Check form, times and the consumer's signature (``consumer_key``: its receipt key, 32 bytes).

    Raises: InvalidInputError(medical.step | medical.step-expired), UntrustedError(medical.step-signature).
    """
    request, inner, signature = _decode(data)
    if not now_ms < request.expires_ms <= now_ms + MAX_REQUEST_MS:
        raise InvalidInputError(
            "medical.step-expired",
            "the request has expired, or expires later than in five minutes",
            hint="ask again; if it happens again, compare the clocks of both hospitals",
            expected=now_ms,
            actual=request.expires_ms,
        )
    verify_party(
        consumer_key, domain_digest("medical-step", inner), signature, "medical.step-signature", request.consumer
    )
    return VerifiedStep(request=request, step=step_id(data), digest=step_digest(data), seal=_SEAL)


def step_id(request: bytes) -> bytes:
    """32 bytes: the domain digest ``medical-step-id`` of the signed request's bytes."""
    return domain_digest("medical-step-id", request)


def step_digest(request: bytes) -> bytes:
    """32 bytes: the domain digest ``medical-step-file`` of the signed request's bytes, as logs record it. The random
    nonce inside keeps it from being guessed."""
    return domain_digest("medical-step-file", request)


def _object(request: StepRequest) -> dict[str, Any]:
    decides = request.kind is not StepKind.OPEN
    problem = (
        "a request is good for at most five minutes"
        if not 0 < request.expires_ms - request.time_ms <= MAX_REQUEST_MS
        else "a decision names the opening it follows, and an opening none"
        if decides != (request.opening is not None)
        else "a decision names its items once, in order, and an opening none"
        if decides != bool(request.places) or list(request.places) != sorted(set(request.places))
        else "a re-test names its reason, and nothing else does"
        if (request.kind is StepKind.RETEST) != bool(request.reason)
        else "the course is acute or chronic"
        if request.course not in ("acute", "chronic")
        else "versions count from 1"
        if request.version < 1 or request.rules_version < 1
        else ""
    )
    if problem:
        raise InvalidInputError("medical.step", problem, hint="compare the versions of both nodes")
    value: dict[str, Any] = {
        "chain": hex_of(request.chain),
        "consumer": parse_uscc(request.consumer),
        "course": request.course,
        "expires": format_time(request.expires_ms),
        "kind": request.kind.value,
        "nonce": hex_of(request.nonce),
        "operator": hex_of(request.operator),
        "places": list(request.places),
        "provider": parse_uscc(request.provider),
        "purpose": parse_purpose(request.purpose),
        "report": hex_of(request.report),
        "rules": {"digest": hex_of(request.rules), "version": request.rules_version},
        "time": format_time(request.time_ms),
        "version": request.version,
    }
    if request.opening is not None:
        value["opening"] = hex_of(request.opening)
    if request.reason:
        value["reason"] = reason_code(request.reason)
    return value


def reason_code(code: str) -> str:
    """The code of a reason, in the form a purpose has. Raises: InvalidInputError(medical.step)."""
    try:
        return parse_purpose(code)
    except LedgerError as error:
        raise InvalidInputError("medical.step", f"not the code of a reason: {error}") from None


def _decode(data: bytes) -> tuple[StepRequest, bytes, bytes]:
    try:
        value = codec.decode(data, max_bytes=MAX_STEP_BYTES)
        fields(value, frozenset({"signature", "step", "v"}))
        inner = value["step"]
        fields(inner, _FIELDS, frozenset({"opening", "reason"}))
        rules = fields(inner["rules"], frozenset({"digest", "version"}))
        request = StepRequest(
            chain=unhex(inner["chain"]),
            provider=parse_uscc(text(inner["provider"])),
            consumer=parse_uscc(text(inner["consumer"])),
            kind=_kind(text(inner["kind"])),
            report=unhex(inner["report"]),
            version=integer(inner["version"]),
            places=tuple(integer(place) for place in array(inner["places"], MAX_PLACES)),
            course=text(inner["course"]),
            purpose=parse_purpose(text(inner["purpose"])),
            rules_version=integer(rules["version"]),
            rules=unhex(rules["digest"]),
            operator=unhex(inner["operator"]),
            nonce=unhex(inner["nonce"]),
            time_ms=parse_time(text(inner["time"])),
            expires_ms=parse_time(text(inner["expires"])),
            opening=unhex(inner["opening"]) if "opening" in inner else None,
            reason=text(inner["reason"]) if "reason" in inner else "",
        )
        if "reason" in inner and not request.reason:
            raise InvalidInputError("json.fields", "an empty reason is left out")
        _object(request)
        return request, codec.encode(inner), unb64(text(value["signature"]), 64)
    except LedgerError as error:
        raise InvalidInputError("medical.step", f"not a medical step: {error}") from None


def _kind(word: str) -> StepKind:
    try:
        return StepKind(word)
    except ValueError:
        raise InvalidInputError("json.fields", "a step opens, recognises or tests again", actual=word[:40]) from None
