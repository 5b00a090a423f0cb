"""``POST /fhir``: reports and consents of the hospital's own systems, in FHIR R4, on the node's loopback port.

Loopback, because it is the hospital's integration engine that sends, from this machine or through its own reverse
proxy; whoever is on the public port must not write into a hospital's records. Every answer is an OperationOutcome.
Source: HL7 FHIR R4, RESTful API (create, status codes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import STATUS, FatalError, InvalidInputError, LedgerError
from ledger.medical.fhirjson import MAX_BYTES
from ledger.medical.fhirproblems import problem
from ledger.medical.outcome import operation_outcome, outcome_of_error, to_json
from node.medical.incoming import Ingested
from node.web.webserver import SECURITY_HEADERS, bounded_body

logger = structlog.get_logger("node.web.fhir")

TakeReport = Callable[[bytes], Ingested]
MEDIA = "application/fhir+json"
_TAKEN = frozenset({MEDIA, "application/json"})
#: Code of the first problem -> status. Everything else that is refused is 422: understood, and against a rule.
_STATUS = {
    "fhir.too-large": 413,
    "fhir.json": 400,
    "fhir.json-text": 400,
    "fhir.json-depth": 400,
    "fhir.json-duplicate": 400,
    "fhir.json-number": 400,
    "report.older": 409,
    "consent.older": 409,
    "report.other-patient": 409,
    "report.other-examination": 409,
    "report.patient-conflict": 409,
}


def fhir_routes(take: TakeReport, check: Callable[[Request], None]) -> tuple[Route, ...]:
    """The routes. ``check`` refuses requests of foreign web pages."""

    async def post(request: Request) -> Response:
        try:
            check(request)
            media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media not in _TAKEN:
                return _error(InvalidInputError("http.media", f"send {MEDIA}"), 415)
            body = await bounded_body(request, MAX_BYTES)
            return _answer(await run_in_threadpool(take, body))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except InvalidInputError as error:
            if error.code == "http.too-large":
                return _outcome(operation_outcome([problem("fhir.too-large", limit=str(MAX_BYTES >> 20))]), 413)
            return _error(error)
        except LedgerError as error:
            return _error(error)
        except Exception:
            logger.exception("http.defect", method=request.url.path)
            return _error(FatalError("node.defect", "this answer could not be made"))

    return (Route("/fhir", post, methods=["POST"]),)


def _answer(done: Ingested) -> Response:
    outcome = operation_outcome(done.problems)
    if done.refused:
        return _outcome(outcome, _STATUS.get(done.problems[0].code, 422))
    if not done.report:  # a Consent: it has no address of its own here
        return _outcome(outcome, 200)
    where = f"/fhir/DiagnosticReport/{done.report.hex()}/_history/{done.version}"
    return _outcome(outcome, 200 if done.state == "known" else 201, {"Location": where, "ETag": f'W/"{done.version}"'})


def _error(error: LedgerError, status: int = 0) -> Response:
    found = status or next((STATUS[base][1] for base in type(error).__mro__ if base in STATUS), 500)
    return _outcome(outcome_of_error(error), found)


def _outcome(outcome: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        to_json(outcome),
        status_code=status,
        media_type=MEDIA,
        headers={"Cache-Control": "no-store", **SECURITY_HEADERS, **(headers or {})},
    )
