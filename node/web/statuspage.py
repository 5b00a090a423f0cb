"""The operator's page: one template, rendered whole for the browser and its live part for the refresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ledger.errors import NotFoundError
from node.web.statustexts import SCRIPT_KEYS, TEXTS, ago, choose
from node.web.statusview import StatusView

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
#: Nothing from elsewhere, nothing inline, nobody may frame it.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


class StatusPage:
    """Renders what ``read`` gives; the endpoints are synchronous and run in a thread."""

    def __init__(self, read: Callable[[], StatusView]) -> None:
        self._read = read
        self._files = {path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir())}
        self._static = {
            name: f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}" for name, data in self._files.items()
        }
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["number"] = lambda value: f"{value:,}"
        self._environment.filters["short"] = lambda value: f"{value.hex()[:8]}…{value.hex()[-6:]}"

    def page(self, request: Request) -> Response:
        """The whole page."""
        return self._answer("status.html", request)

    def live(self, request: Request) -> Response:
        """The part that changes."""
        return self._answer("status_live.html", request)

    def file(self, request: Request) -> Response:
        """A file of the page, kept by its content's digest. Raises: NotFoundError(http.path)."""
        name = request.path_params["name"]
        data = self._files.get(name)
        if data is None:
            raise NotFoundError("http.path", "there is nothing at this path")
        headers = PAGE_HEADERS | _KEPT | {"Content-Type": _TYPES[Path(name).suffix]}
        return Response(data, headers=headers)

    def _answer(self, template: str, request: Request) -> Response:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language"))
        text = self._environment.get_template(template).render(self._context(language))
        return HTMLResponse(text, headers=PAGE_HEADERS | {"Vary": "Accept-Language"})

    def _context(self, language: str) -> dict[str, Any]:
        texts, view = TEXTS[language], self._read()
        findings = [one for one in view.findings if one.severity != "ok"]
        chinese = language == "zh"
        return {
            "t": texts,
            "language": language,
            "other": "en" if chinese else "zh",
            "static": self._static,
            "script_texts": json.dumps({key: texts[key] for key in SCRIPT_KEYS}, ensure_ascii=False),
            "view": view,
            "findings": [
                {
                    "severity": one.severity,
                    "code": one.code,
                    "message": (chinese and one.message_zh) or one.message,
                    "hint": (chinese and one.hint_zh) or one.hint,
                }
                for one in findings
            ],
            "ailing": [loop for loop in view.loops if loop.code],
            "signed_at": (view.made_at_ms - view.age_ms) // 1_000,
            "ago": lambda seconds: ago(view.made_at_ms // 1_000 - seconds, texts),
        }
