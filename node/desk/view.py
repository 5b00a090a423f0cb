"""The page and its JSON, on loopback. Whoever has the secret in its address may look; the browser holds no key.

The secret stands behind the ``#`` of the address, so that no request, log or referrer carries it; the script keeps it
for its tab and sends it in a header, which no other page can do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotAllowedError, NotFoundError
from ledger.identifiers import parse_hex32, parse_uscc
from ledger.medical.model import MAX_ITEMS, MAX_TIME_S
from node.desk.results import Results
from node.desk.words import WORDS
from node.web.statuspage import PAGE_HEADERS
from node.web.statustexts import choose
from node.web.webserver import ERROR_PAGES, bounded_body, endpoint, error_response

MAX_BODY = 64 << 10
KEY_HEADER = "civicledger-desk"
_FOLDER = Path(__file__).parent
_SHARED = _FOLDER.parent / "web" / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_HOSTS = frozenset({"127.0.0.1", "localhost"})
_T = TypeVar("_T")


class _Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    identity: str
    course: str


class _Open(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    institution: str
    report: str
    version: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    course: str
    nonce: str


class _Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: int


class _Decide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    opening: str
    kind: str
    places: Annotated[list[Annotated[int, msgspec.Meta(ge=0, lt=MAX_ITEMS)]], msgspec.Meta(max_length=MAX_ITEMS)]
    reason: str = ""
    nonce: str


class DoctorView:
    """The application. ``secret``: what the address of the page ends in."""

    def __init__(self, results: Results, secret: str) -> None:
        self._results = results
        self._secret = secret
        files = [*(_FOLDER / "static").iterdir(), _SHARED / "seal.svg"]
        self._files = {path.name: path.read_bytes() for path in sorted(files)}
        self._static = {
            name: f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}" for name, data in self._files.items()
        }
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def app(self) -> Starlette:
        """The application."""
        app = Starlette(
            routes=[
                Route("/", endpoint(self._page("doctor.html"))),
                Route("/figures", endpoint(self._page("figures.html"))),
                Route("/static/{name}", endpoint(self._file)),
                self._asked("/search", _Search, self._search),
                self._asked("/open", _Open, self._open),
                self._asked("/decide", _Decide, self._decide),
                self._asked("/statistics", _Figures, self._figures),
            ],
            exception_handlers=ERROR_PAGES,
        )
        app.router.redirect_slashes = False
        return app

    # --- the page -----------------------------------------------------------------------------------------------------

    def _page(self, name: str) -> Callable[[Request], Response]:
        template = self._templates.get_template(name)

        def render(request: Request) -> Response:
            _this_machine(request)
            language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
            words = WORDS[language]
            text = template.render(
                t=words,
                language=language,
                other="en" if language == "zh" else "zh",
                static=self._static,
                script_words=json.dumps(dict(words), ensure_ascii=False),
            )
            return HTMLResponse(text, headers=PAGE_HEADERS | {"Vary": "Accept-Language"})

        return render

    def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            raise NotFoundError("http.path", "there is nothing at this path")
        return Response(self._files[name], headers=PAGE_HEADERS | {"Content-Type": _TYPES[Path(name).suffix]})

    # --- what it asks -------------------------------------------------------------------------------------------------

    def _search(self, asked: _Search) -> dict[str, Any]:
        return self._results.search(asked.identity.strip(), asked.course)

    def _open(self, asked: _Open) -> dict[str, Any]:
        return self._results.open(
            institution=parse_uscc(asked.institution),
            report=parse_hex32(asked.report),
            version=asked.version,
            course=asked.course,
            nonce=parse_hex32(asked.nonce),
        )

    def _figures(self, asked: _Figures) -> dict[str, Any]:
        if not 0 <= asked.since <= MAX_TIME_S:
            raise InvalidInputError("http.number", "since is in Unix seconds", actual=asked.since)
        return self._results.figures(asked.since)

    def _decide(self, asked: _Decide) -> dict[str, Any]:
        return self._results.decide(
            opening=parse_hex32(asked.opening),
            kind=asked.kind,
            places=asked.places,
            reason=asked.reason,
            nonce=parse_hex32(asked.nonce),
        )

    def _asked(self, path: str, kind: type[_T], work: Callable[[_T], dict[str, Any]]) -> Route:
        async def run(request: Request) -> Response:
            try:
                self._known(request)
                asked = _decoded(await bounded_body(request, MAX_BODY), kind)
                return JSONResponse(await run_in_threadpool(work, asked), headers=PAGE_HEADERS)
            except LedgerError as error:
                return error_response(error)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is left to read it
            except Exception:
                # Without its words, which could hold what was asked.
                return error_response(FatalError("node.defect", "this answer could not be made"))

        return Route(path, run, methods=["POST"])

    def _known(self, request: Request) -> None:
        _this_machine(request)
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), self._secret.encode()):
            raise NotAllowedError(
                "desk.key",
                "this page was opened without its secret",
                hint="open the whole address that civicledger medical desk printed",
            )


def _this_machine(request: Request) -> None:
    """Whoever names another host was led here by it. Raises: InvalidInputError(http.foreign-page)."""
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    if host not in _HOSTS:
        raise InvalidInputError("http.foreign-page", "this page is for this machine only", actual=host[:80])


def _decoded(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InvalidInputError("http.body", "the body is not the JSON object that this path takes") from None
