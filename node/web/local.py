"""The loopback HTTP surface for this machine: the operator's page, Ethereum JSON-RPC, metrics, health. No TLS."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ledger.errors import InvalidInputError, LedgerError
from node.metrics import Metrics
from node.web.cds import Orders
from node.web.fhir import TakeReport, fhir_routes
from node.web.statuspage import StatusPage
from node.web.webserver import ERROR_PAGES, SECURITY_HEADERS, bounded_body, endpoint, error_response

#: Bodies of JSON-RPC requests, bytes.
MAX_RPC_BODY = 1 << 20
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


def local_app(
    handle: Callable[[bytes], bytes],
    metrics: Metrics,
    healthy: Callable[[], tuple[bool, str]],
    page: StatusPage,
    take: TakeReport | None = None,
    orders: Orders | None = None,
) -> Starlette:
    """The application. ``handle`` answers one JSON-RPC body; ``healthy`` says (serving, why not); ``page`` is what a
    browser on this machine sees; ``take`` takes in FHIR reports of the hospital's own systems; ``orders`` answers
    its order systems."""

    async def rpc(request: Request) -> Response:
        try:
            _own_page_only(request)
            body = await bounded_body(request, MAX_RPC_BODY)
        except LedgerError as error:
            return error_response(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        answer = await run_in_threadpool(handle, body)
        return Response(answer, media_type="application/json", headers=SECURITY_HEADERS)

    def show_metrics(request: Request) -> Response:
        _own_page_only(request)
        return Response(
            metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8", headers=SECURITY_HEADERS
        )

    def health(_request: Request) -> Response:
        serving, reason = healthy()
        if serving:
            return PlainTextResponse("ok\n", headers=SECURITY_HEADERS)
        return JSONResponse({"status": "not serving", "reason": reason}, status_code=503, headers=SECURITY_HEADERS)

    def own(behaviour: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            _own_page_only(request)
            return behaviour(request)

        return answer

    app = Starlette(
        routes=[
            Route("/", rpc, methods=["POST"]),
            Route("/", endpoint(own(page.page))),
            Route("/live", endpoint(own(page.live))),
            Route("/static/{name}", endpoint(own(page.file))),
            Route("/metrics", endpoint(show_metrics)),
            Route("/healthz", endpoint(health)),
            *(fhir_routes(take, _own_page_only) if take is not None else ()),
            *(orders.routes(_own_page_only) if orders is not None else ()),
        ],
        exception_handlers=ERROR_PAGES,
    )
    app.router.redirect_slashes = False
    return app


def _own_page_only(request: Request) -> None:
    """A web page the operator looks at must not drive this port: no foreign Host (DNS rebinding), no Origin at all (the
    operator's own page only reads, and a browser sends none with that).

    Raises: InvalidInputError(http.foreign-page).
    """
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    if host not in _HOSTS or "origin" in request.headers:
        raise InvalidInputError(
            "http.foreign-page", "this port answers programs of this machine only, not web pages", actual=host[:80]
        )
