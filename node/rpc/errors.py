"""The errors of the library on the wire: one mapping out (a servicer's error) and one back (a client's).

The class decides the gRPC status (``ledger.errors.STATUS``); ``code`` and ``hint`` travel as trailing metadata, which
is ASCII: the hint is percent-encoded like gRPC's own message.
"""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import quote, unquote

import grpc

from ledger.errors import (
    STATUS,
    ConflictError,
    FatalError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from ledger.eventkinds import CODE

CODE_KEY = "civicledger-code"
HINT_KEY = "civicledger-hint"

#: Characters a hint keeps on the wire as they are.
_PLAIN = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"
_MAX_TEXT = 2_000

_CLASSES: dict[grpc.StatusCode, type[LedgerError]] = {
    grpc.StatusCode[status]: error_class for error_class, (status, _) in STATUS.items()
}


#: Class -> beginnings of the codes it has inside an exchange, where no gRPC status tells; all others are NotAllowed.
_REFUSALS: dict[type[LedgerError], tuple[str, ...]] = {
    UnavailableError: (
        "chain.",
        "dataset.no-",
        "disk.",
        "exchange.interrupted",
        "grant.no-agreement",
        "log.",
        "node.",
        "peer.",
    ),
    InvalidInputError: (
        "dataset.content",
        "exchange.chunk",
        "exchange.expired",
        "exchange.order",
        "exchange.request",
        "exchange.too-far",
        "medical.offer",
        "medical.places",
        "medical.retest-reason",
        "medical.step-expired",
        "identifier.",
        "input.",
        "json.",
        "payload.too-large",
        "receipt.format",
        "scope.",
    ),
    UntrustedError: (
        "exchange.acknowledgement",
        "exchange.signature",
        "medical.step-signature",
        "receipt.",
        "signature.",
    ),
    ConflictError: (
        "exchange.in-progress",
        "exchange.other-",
        "exchange.state",
        "medical.changed",
        "medical.decided",
        "medical.in-progress",
        "medical.step-state",
    ),
    NotFoundError: ("medical.not-opened", "medical.report-unknown", "medical.step-unknown"),
}


def status_of(error: LedgerError) -> grpc.StatusCode:
    """The gRPC status of an error's class. ``auth.no-certificate`` alone is UNAUTHENTICATED."""
    if error.code == "auth.no-certificate":
        return grpc.StatusCode.UNAUTHENTICATED
    for error_class in type(error).__mro__:
        if error_class in STATUS:
            return grpc.StatusCode[STATUS[error_class][0]]
    return grpc.StatusCode.INTERNAL


def trailing_metadata(error: LedgerError) -> tuple[tuple[str, str], ...]:
    """Code and hint as gRPC metadata."""
    metadata = [(CODE_KEY, error.code)]
    if error.hint:
        metadata.append((HINT_KEY, quote(error.hint[:_MAX_TEXT], safe=_PLAIN)))
    return tuple(metadata)


def abort(context: grpc.ServicerContext, error: LedgerError) -> NoReturn:
    """End the call with the status, code and hint of the error."""
    context.set_trailing_metadata(trailing_metadata(error))
    context.abort(status_of(error), error.message[:_MAX_TEXT])
    raise AssertionError("grpc abort returned")  # pragma: no cover - abort always raises


def from_rpc(error: grpc.RpcError, peer: str = "the node") -> LedgerError:
    """The library's error of a failed call, for clients. A call that never reached its peer is ``peer.unreachable``."""
    status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() or "") if isinstance(error, grpc.Call) else str(error)
    metadata: dict[str, Any] = dict(error.trailing_metadata() or ()) if isinstance(error, grpc.Call) else {}
    code = _text(metadata.get(CODE_KEY))
    hint = unquote(_text(metadata.get(HINT_KEY)))
    if CODE.accepts(code):
        return _class_of(status)(code, details[:_MAX_TEXT], hint=hint[:_MAX_TEXT])
    if status is grpc.StatusCode.UNAVAILABLE:
        return UnavailableError(
            "peer.unreachable",
            f"{peer} cannot be reached or refused this certificate: {details}",
            hint="check that it runs, that the address is right, and that both certificates are on chain",
        )
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return UnavailableError("peer.timeout", f"{peer} did not answer in time", hint="try again; look at its status")
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return InvalidInputError("peer.too-large", f"{peer} refused the message: {details}", hint="send smaller parts")
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return NotFoundError("peer.no-method", f"{peer} does not offer this method", hint="compare the versions")
    if status is grpc.StatusCode.CANCELLED:
        return UnavailableError("peer.cancelled", f"the call to {peer} was cancelled", hint="try again")
    return FatalError("peer.failed", f"{peer} failed: {details}", hint="look at that node's log")


def from_peer(error: grpc.RpcError, peer: str) -> LedgerError:
    """The same of a call to another member's node, for loops: what is broken there is not broken here, so it is never
    a FatalError, which ends the node that meets it."""
    failure = from_rpc(error, peer)
    if isinstance(failure, FatalError):
        return UnavailableError(failure.code, failure.message, hint=failure.hint)
    return failure


def refusal(code: str, message: str, hint: str = "") -> LedgerError:
    """The error of a refusal another node wrote into an exchange: by the area of its code. What is no code is
    ``exchange.no-code``: codes stand in records and among the metrics."""
    code = code if CODE.accepts(code) else "exchange.no-code"
    message, hint = message[:_MAX_TEXT], hint[:_MAX_TEXT]
    for error_class, codes in _REFUSALS.items():
        if code.startswith(codes):
            return error_class(code, message, hint=hint)
    if code.endswith(".unknown"):
        return NotFoundError(code, message, hint=hint)
    return NotAllowedError(code, message, hint=hint)


def _class_of(status: grpc.StatusCode) -> type[LedgerError]:
    if status is grpc.StatusCode.UNAUTHENTICATED:
        return NotAllowedError
    return _CLASSES.get(status, FatalError)


def _text(value: str | bytes | None) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value or ""
