"""The gateway over HTTPS: the page, JSON, proofs and the tlog-tiles paths of every member's log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway import answers
from gateway.bodies import client_of, timely_body, whole_number
from gateway.chain import page_of
from gateway.citizens.routes import CitizenRoutes
from gateway.city import City
from gateway.defects import report
from gateway.licencepage import LicencePages
from gateway.licences.routes import LicenceRoutes
from gateway.limits import RateLimit
from gateway.medical.figuresroutes import FiguresRoutes
from gateway.medical.routes import HospitalRoutes
from gateway.metrics import Metrics
from gateway.page import Page, StaticFile
from gateway.scanning import MAX_PICTURE, read_codes
from gateway.texts import choose
from gateway.verifying import MAX_BUNDLE, Verifier
from gateway.views import CityView
from ledger.errors import STATUS, FatalError, InvalidInputError, LedgerError, NotFoundError
from ledger.evidence import tilehttp
from ledger.evidence.tiles import parse_tile_path
from ledger.identifiers import parse_uscc
from ledger.licences.qr import symbol
from ledger.licences.reference import make_reference, parse_token

#: Nothing from elsewhere, nothing inline, nobody may frame it.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
#: The one page that asks for a camera, for itself alone.
CAMERA = {"Permissions-Policy": "camera=(self), geolocation=(), microphone=()"}
_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_STORE = {"Cache-Control": "no-store"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_LOOPBACK = ("127.0.0.1", "::1")

Behaviour = Callable[[Request], Response]


class Web:
    """The routes. Every behaviour is synchronous and runs in a thread; ``clock``: Unix milliseconds; ``citizens``: None
    where nobody signs in; ``figures``: the city's figures of recognition."""

    def __init__(
        self,
        city: City,
        verifier: Verifier,
        page: Page,
        static: dict[str, StaticFile],
        metrics: Metrics,
        limit: RateLimit,
        verify_limit: RateLimit,
        clock: Callable[[], int],
        licences: LicenceRoutes,
        citizens: CitizenRoutes | None = None,
        figures: FiguresRoutes | None = None,
        hospitals: HospitalRoutes | None = None,
    ) -> None:
        self._licences = licences
        self._citizens = citizens
        self._figures = figures
        self._hospitals = hospitals
        self._city = city
        self._verifier = verifier
        self._page = page
        self._static = static
        self._licence_pages = LicencePages(static, citizens=citizens is not None)
        self._metrics = metrics
        self._limit = limit
        self._verify_limit = verify_limit
        self._clock = clock

    def app(self) -> Starlette:
        """The application."""
        app = Starlette(
            routes=[
                self._route("/", self._start),
                self._route("/live", self._live),
                self._route("/licence", self._licence),
                # Where a reference URL leads a phone's own camera: the page asks for the verdict by its address.
                self._route("/R/{token}", self._licence),
                self._route("/wallet", self._wallet),
                self._route("/wallet/code/{token}", self._code),
                self._route("/static/{name}", self._file),
                self._route("/healthz", self._healthz),
                self._route("/metrics", self._render_metrics),
                self._route("/v1/city", self._show_city),
                self._route("/v1/datasets", self._show_datasets),
                Route("/v1/verify", self._verify, methods=["POST"]),
                *self._licences.routes(self._answer),
                *(() if self._citizens is None else self._citizens.routes(self._answer)),
                *(() if self._figures is None else self._figures.routes(self._answer)),
                *(() if self._hospitals is None else self._hospitals.routes(self._answer)),
                Route("/v1/licence/scan", self._scan, methods=["POST"]),
                self._route("/{member}/checkpoint", self._checkpoint),
                self._route("/{member}/tile/{rest:path}", self._tile),
                self._route("/{member}/proof/inclusion", self._inclusion),
                self._route("/{member}/proof/consistency", self._consistency),
            ],
            exception_handlers={404: _no_path, 405: _no_method},
        )
        # A redirect would be built from whatever Host the client names.
        app.router.redirect_slashes = False
        return app

    # --- page ---------------------------------------------------------------------------------------------------------

    def _start(self, request: Request) -> Response:
        return HTMLResponse(self._page.render(*self._shown(request)), headers=_NO_CACHE | {"Vary": "Accept-Language"})

    def _live(self, request: Request) -> Response:
        return HTMLResponse(self._page.fragment(*self._shown(request)), headers=_NO_CACHE)

    def _shown(self, request: Request) -> tuple[CityView | None, LedgerError | None, str, int]:
        language = _language(request)
        try:
            return self._city.view(), self._city.problem, language, self._clock()
        except LedgerError as error:
            problem = None if error.code == "gateway.starting" else error
            return None, problem, language, self._clock()

    def _licence(self, request: Request) -> Response:
        page = self._licence_pages.check(_language(request))
        return HTMLResponse(page, headers=_NO_CACHE | CAMERA | {"Vary": "Accept-Language"})

    def _wallet(self, request: Request) -> Response:
        page = self._licence_pages.wallet(_language(request))
        return HTMLResponse(page, headers=_NO_CACHE | {"Vary": "Accept-Language"})

    def _code(self, request: Request) -> Response:
        token = parse_token(request.path_params["token"])
        url = make_reference(request.headers.get("host", ""), token).url
        return Response(symbol(url).svg(), media_type="image/svg+xml", headers=_NO_STORE)

    def _file(self, request: Request) -> Response:
        file = self._static.get(request.path_params["name"])
        if file is None:
            raise NotFoundError("http.path", "there is nothing at this path")
        # What a script imports by its bare name must not be kept beyond the next release.
        kept = _FOR_EVER if request.query_params.get("v") == file.version else _NO_CACHE
        return Response(file.data, headers={"Content-Type": file.media_type, **kept})

    # --- operation ----------------------------------------------------------------------------------------------------

    def _healthz(self, _request: Request) -> Response:
        self._city.view()
        if self._city.problem is not None:
            raise self._city.problem
        return JSONResponse({"status": "serving"}, headers=_NO_CACHE)

    def _render_metrics(self, request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            # Figures of operation are for the operator's own machine.
            raise NotFoundError("http.path", "there is nothing at this path")
        return Response(self._metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # --- the city -----------------------------------------------------------------------------------------------------

    def _show_city(self, _request: Request) -> Response:
        return JSONResponse(answers.city(self._city.view()), headers=_NO_CACHE)

    def _show_datasets(self, request: Request) -> Response:
        query = request.query_params
        provider = query.get("provider", "")
        size = whole_number(query.get("page_size", "100"), "page_size")
        found, token = page_of(
            self._city.chain(), parse_uscc(provider) if provider else "", size, query.get("page_token", "")
        )
        value = {"datasets": [answers.dataset(item) for item in found], "nextPageToken": token}
        return JSONResponse(value, headers=_NO_CACHE)

    async def _verify(self, request: Request) -> Response:
        async def body() -> Response:
            bundle = await self._upload(request, MAX_BUNDLE, "a proof file is at most 1 MiB")
            verdict = await run_in_threadpool(self._verifier.judge, bundle)
            return JSONResponse(verdict, headers=_NO_CACHE)

        return await self._answer("/v1/verify", request, body)

    async def _scan(self, request: Request) -> Response:
        async def body() -> Response:
            picture = await self._upload(request, MAX_PICTURE, "a picture is at most 8 MiB")
            return JSONResponse({"texts": await run_in_threadpool(read_codes, picture)}, headers=_NO_STORE)

        return await self._answer("/v1/licence/scan", request, body)

    async def _upload(self, request: Request, limit: int, hint: str) -> bytes:
        self._verify_limit.take(client_of(request))
        return await timely_body(request, limit, hint)

    # --- logs ---------------------------------------------------------------------------------------------------------

    def _checkpoint(self, request: Request) -> Response:
        member, log = self._city.log(request.path_params["member"])
        return _resource(request, log.checkpoint(member)[0], tilehttp.Kind.CHECKPOINT)

    def _tile(self, request: Request) -> Response:
        member, log = self._city.log(request.path_params["member"])
        tile = parse_tile_path("tile/" + request.path_params["rest"])
        return _resource(request, log.tile(member, tile), tilehttp.Kind.HASHES)

    def _inclusion(self, request: Request) -> Response:
        member, log = self._city.log(request.path_params["member"])
        size = request.query_params.get("size")
        answer = log.inclusion(
            member,
            whole_number(request.query_params.get("index"), "index"),
            None if size is None else whole_number(size, "size"),
        )
        return JSONResponse(answers.inclusion(answer), headers=_NO_CACHE)

    def _consistency(self, request: Request) -> Response:
        member, log = self._city.log(request.path_params["member"])
        size1 = whole_number(request.query_params.get("size1"), "size1")
        size2 = whole_number(request.query_params.get("size2"), "size2")
        hashes = log.consistency(member, size1, size2)
        return JSONResponse(answers.consistency(size1, size2, hashes), headers=_NO_CACHE)

    # --- around every answer ------------------------------------------------------------------------------------------

    def _route(self, path: str, behaviour: Behaviour) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answer(path, request, lambda: run_in_threadpool(behaviour, request))

        return Route(path, endpoint, methods=["GET"])

    async def _answer(self, path: str, request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
        started = time.monotonic()
        try:
            self._limit.take(client_of(request))
            response = await work()
        except LedgerError as error:
            self._metrics.refused(error.code)
            response = error_response(error)
        except Exception as defect:
            report("http.defect", defect, route=path)
            response = error_response(FatalError("gateway.defect", "this answer could not be made"))
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        self._metrics.answered(path, response.status_code, time.monotonic() - started)
        return response


def _language(request: Request) -> str:
    return choose(request.query_params.get("lang"), request.headers.get("accept-language"))


def _resource(request: Request, data: bytes, kind: tilehttp.Kind) -> Response:
    found = tilehttp.answer(data, kind, request.method, request.headers)
    return Response(found.body, status_code=found.status, headers=found.headers)


def error_response(error: LedgerError) -> Response:
    """``{code, message, hint}`` with the status of the error's class; 429 and 413 where HTTP has a word of its own."""
    status = next((STATUS[base][1] for base in type(error).__mro__ if base in STATUS), 500)
    headers = dict(_NO_CACHE)
    if error.code == "gateway.too-many-requests":
        status, headers["Retry-After"] = 429, "1"
    elif error.code == "http.slow":
        status, headers["Connection"] = 408, "close"
    elif error.code in ("http.too-large", "bundle.too-large"):
        status = 413
    return JSONResponse(answers.error(error), status_code=status, headers=headers | SECURITY_HEADERS)


async def _no_path(_request: Request, _error: Exception) -> Response:
    return error_response(NotFoundError("http.path", "there is nothing at this path", hint="/ lists the interfaces"))


async def _no_method(_request: Request, _error: Exception) -> Response:
    response = error_response(InvalidInputError("http.method", "this path does not take that method"))
    response.status_code = 405
    return response
