"""Signing in and out, and what a citizen then sees, over HTTPS."""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, get_args

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.bodies import bounded_body, client_of, whole_number
from gateway.citizens.accesses import Accesses
from gateway.citizens.page import ProblemPage
from gateway.citizens.patientpage import PatientPage
from gateway.citizens.results import Results
from gateway.citizens.sessions import BEGUN_S, LONGEST_S, Begun, Page, Session
from gateway.citizens.signin import CALLBACK, SignInDesk
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.texts import choose
from ledger.errors import STATUS, InvalidInputError, LedgerError, NotAllowedError, UnavailableError

#: ``__Host-``: of this host alone, over TLS alone, for every path (RFC 6265bis, section 4.1.3.2).
SESSION: Final = "__Host-citizen"
BEGUN: Final = "__Host-sign-in"
_NO_STORE: Final = {"Cache-Control": "no-store"}
#: Requests at a time that may wait for the provider or for nodes.
_AT_A_TIME: Final = 8
_MAX_WISH: Final = 512
_AFTER: Final = re.compile("([0-9a-f]{64})?")
_PAGES: Final[dict[Page, str]] = {"wallet": "/wallet", "patient": "/patient"}
#: The part of each page that a sign-in was for.
_PARTS: Final[dict[Page, str]] = {"wallet": "#accesses", "patient": ""}

#: Answers a request: (route, request, behaviour).
Answer = Callable[[str, Request, Callable[[], Awaitable[Response]]], Awaitable[Response]]


class _Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``asker``: who may be shown results (USCC, ``*``: every hospital); ``hospital``: at which one, "" at all."""

    asker: str
    permit: bool
    hospital: str = ""


class CitizenRoutes:
    """The routes under ``/citizen``. ``limit``: requests of one address that make others work."""

    def __init__(
        self,
        desk: SignInDesk,
        accesses: Accesses,
        results: Results,
        problems: ProblemPage,
        patient: PatientPage,
        metrics: Metrics,
        limit: RateLimit,
    ) -> None:
        self._desk = desk
        self._accesses = accesses
        self._results = results
        self._problems = problems
        self._patient_page = patient
        self._metrics = metrics
        self._limit = limit
        self._places = threading.BoundedSemaphore(_AT_A_TIME)

    def close(self) -> None:
        """Ask no node any more."""
        self._accesses.close()
        self._results.close()

    def routes(self, answer: Answer) -> list[Route]:
        """The routes, each wrapped by ``answer``."""

        def route(path: str, method: str, work: Callable[[Request], Response]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await answer(path, request, lambda: run_in_threadpool(work, request))

            return Route(path, endpoint, methods=[method])

        async def sharing(request: Request) -> Response:
            async def work() -> Response:
                self._own_page(request)
                body = await bounded_body(request, _MAX_WISH, "a wish about sharing is far smaller")
                return await run_in_threadpool(self._share, request, body)

            return await answer("/citizen/sharing", request, work)

        return [
            route("/patient", "GET", self._patient),
            route("/citizen/sign-in", "GET", self._sign_in),
            route(CALLBACK, "GET", self._callback),
            route("/citizen/session", "GET", self._session),
            route("/citizen/accesses", "GET", self._read),
            route("/citizen/results", "GET", self._read_results),
            Route("/citizen/sharing", sharing, methods=["POST"]),
            route("/citizen/sign-out", "POST", self._sign_out),
        ]

    def _sign_in(self, request: Request) -> Response:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        try:
            page = _page(request.query_params.get("page", "wallet"))
            with self._place(request):
                begin = self._desk.begin(page, language)
        except LedgerError as error:
            return self._problem(error, language, "wallet")
        response = RedirectResponse(begin.url, status_code=303, headers=_NO_STORE)
        _set(response, BEGUN, begin.cookie, BEGUN_S)
        return response

    def _callback(self, request: Request) -> Response:
        begun: Begun | None = None
        try:
            begun = self._desk.opened(request.cookies.get(BEGUN, ""))
            said = {name: value for name, value in request.query_params.items() if len(value) < 8_192}
            with self._place(request):
                finished = self._desk.finish(begun, said)
        except LedgerError as error:
            language = choose(None if begun is None else begun.language, request.headers.get("accept-language"))
            response = self._problem(error, language, "wallet" if begun is None else begun.page)
        else:
            self._desk.sessions.end(request.cookies.get(SESSION, ""))
            address = f"{_PAGES[finished.page]}?lang={finished.language}{_PARTS[finished.page]}"
            response = RedirectResponse(address, status_code=303, headers=_NO_STORE)
            _set(response, SESSION, finished.name, LONGEST_S)
        # A sign-in is answered once, whatever came of it.
        _set(response, BEGUN, "", 0)
        return response

    def _session(self, request: Request) -> Response:
        session = self._desk.sessions.get(request.cookies.get(SESSION, ""))
        value = {"signedIn": session is not None, "until": 0 if session is None else session.until_ms}
        return JSONResponse(value, headers=_NO_STORE)

    def _read(self, request: Request) -> Response:
        session = self._signed_in(request)
        before = whole_number(request.query_params.get("before", "0"), "before")
        with self._place(request):
            return JSONResponse(self._accesses.read(session, before), headers=_NO_STORE)

    def _sign_out(self, request: Request) -> Response:
        self._own_page(request)
        self._desk.sessions.end(request.cookies.get(SESSION, ""))
        response = JSONResponse({"signedIn": False}, headers=_NO_STORE)
        _set(response, SESSION, "", 0)
        return response

    def _patient(self, request: Request) -> Response:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        page = self._patient_page.render(language)
        return HTMLResponse(page, headers={"Cache-Control": "no-cache", "Vary": "Accept-Language"})

    def _read_results(self, request: Request) -> Response:
        session = self._signed_in(request)
        hospital, after = (request.query_params.get(name, "") for name in ("hospital", "after"))
        if bool(hospital) != bool(after) or _AFTER.fullmatch(after) is None:
            raise InvalidInputError("citizen.after", "a hospital and the id of its last report, or neither")
        with self._place(request):
            return JSONResponse(self._results.read(session, hospital, after), headers=_NO_STORE)

    def _share(self, request: Request, body: bytes) -> Response:
        session = self._signed_in(request)
        try:
            wish = msgspec.json.decode(body, type=_Wish)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise InvalidInputError(
                "citizen.wish", "this is no wish about sharing", hint='{"asker": "*", "permit": false}'
            ) from None
        with self._place(request):
            done = self._results.wish(session, wish.asker, wish.permit, wish.hospital)
            return JSONResponse(done, headers=_NO_STORE)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _own_page(self, request: Request) -> None:
        """Refuse what another site's page had this browser send. Raises: NotAllowedError(citizen.other-site)."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise NotAllowedError("citizen.other-site", "another site's page asked this, not the reader")

    def _signed_in(self, request: Request) -> Session:
        session = self._desk.sessions.get(request.cookies.get(SESSION, ""))
        if session is None:
            raise NotAllowedError("citizen.signed-out", "nobody is signed in, or no longer", hint="sign in")
        return session

    def _problem(self, error: LedgerError, language: str, page: Page) -> Response:
        self._metrics.refused(error.code)
        status = next((STATUS[base][1] for base in type(error).__mro__ if base in STATUS), 500)
        text = self._problems.render(error, language, f"{_PAGES[page]}?lang={language}", page)
        return HTMLResponse(text, status_code=status, headers=_NO_STORE)

    @contextmanager
    def _place(self, request: Request) -> Iterator[None]:
        self._limit.take(client_of(request))
        if not self._places.acquire(blocking=False):
            raise UnavailableError("citizen.busy", "too many citizens ask at this moment", hint="ask again in a moment")
        try:
            yield
        finally:
            self._places.release()


def _page(text: str) -> Page:
    """One of our own pages, never an address. Raises: InvalidInputError(citizen.page)."""
    for page in get_args(Page):
        if text == page:
            return page
    raise InvalidInputError("citizen.page", "a sign-in leads back to a page of this gateway", expected="wallet")


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
