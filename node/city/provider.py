"""A demonstration's identity service (演示身份认证): a small OpenID provider on loopback, in a thread.

It asks nobody for a password: whoever opens it chooses an invented citizen from a list. It is started by
``city up --demo`` and by tests, and by nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ledger.connections import PromptConnection
from ledger.errors import LedgerError, NotFoundError
from ledger.webserver import HttpServer
from node.web.webserver import ERROR_PAGES, bounded_body, error_response

#: The claim that carries a citizen's number.
CLAIM: Final = "id_number"
#: How long a token speaks, a code waits, and how many requests and codes are remembered.
TOKEN_S: Final = 900
_CODE_S: Final = 60
_MOST: Final = 1_000
_MAX_FORM: Final = 8_192
_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who may send citizens here."""

    id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A sign-in that a browser was sent with."""

    state: str
    nonce: str
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    asked: _Asked
    person: dict[str, str]
    until_s: float


class DemoProvider:
    """Serves from its making to :meth:`close`, also as a context manager. ``people``: a JSON file, a list of objects
    with ``name`` and ``number``, read anew each time."""

    def __init__(self, people: Path, client: Client, port: int = 0) -> None:
        """Raises: ConflictError(listen.in-use)."""
        self._people = people
        self._client = client
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._codes: OrderedDict[str, _Code] = OrderedDict()
        self.keys: list[tuple[str, ec.EllipticCurvePrivateKey]] = []
        self.rotate()
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._show_keys),
                Route("/authorize", self._authorize, methods=["GET"]),
                Route("/authorize", self._choose, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
            ],
            exception_handlers=ERROR_PAGES,
        )
        self._server = HttpServer(
            app,
            "127.0.0.1",
            port,
            None,
            name="demo-identity",
            connection=PromptConnection,
            keep_alive_s=5,
            grace_s=1,
            settings="gateway.toml",
        )
        self._server.start()

    @property
    def issuer(self) -> str:
        """Its name, and where it is."""
        return f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> DemoProvider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def rotate(self) -> None:
        """Sign with a fresh key from now on, and publish no other."""
        self.keys = [(secrets.token_hex(8), ec.generate_private_key(ec.SECP256R1()))]

    def id_token(self, person: dict[str, str], nonce: str) -> str:
        """The token that says who signed in."""
        kid, key = self.keys[0]
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            # Not the number: a provider names people to each service by a name of its own.
            "sub": hashlib.sha256(f"{self.issuer}\n{person['number']}".encode()).hexdigest()[:32],
            "aud": self._client.id,
            "exp": now + TOKEN_S,
            "iat": now,
            "nonce": nonce,
            CLAIM: person["number"],
        }
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})

    # --- what it serves -----------------------------------------------------------------------------------------------

    def _describe(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
                "claims_supported": ["sub", CLAIM],
            }
        )

    def _show_keys(self, _request: Request) -> Response:
        rows = []
        for kid, key in self.keys:
            row = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
            rows.append({**row, "kid": kid, "alg": "ES256", "use": "sig"})
        return JSONResponse({"keys": rows})

    def _authorize(self, request: Request) -> Response:
        query = request.query_params
        wanted = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._client.redirect_uri,
            "code_challenge_method": "S256",
        }
        wrong = [name for name, value in wanted.items() if query.get(name) != value]
        missing = [name for name in ("state", "nonce", "code_challenge") if not query.get(name)]
        if wrong or missing or "openid" not in query.get("scope", "").split():
            # Never sent back: the address might be anybody's (RFC 9700, section 4.11).
            return HTMLResponse(_page(f"<p>{', '.join([*wrong, *missing]) or 'scope'}</p>"), status_code=400)
        name = secrets.token_urlsafe(16)
        asked = _Asked(state=query["state"], nonce=query["nonce"], challenge=query["code_challenge"])
        self._remember(self._asked, name, asked)
        people = "".join(
            f'<p><button name="person" value="{place}">{html.escape(one["name"])} · {html.escape(one["number"])}'
            "</button></p>"
            for place, one in enumerate(self._read_people())
        )
        form = (
            f'<form method="post" action="/authorize"><input type="hidden" name="request" value="{name}">'
            f'{people or "<p>还没有人 / nobody yet</p>"}<p><button name="person" value="">取消 / Cancel</button></p></form>'
        )
        return HTMLResponse(_page(form), headers=_NO_STORE)

    async def _choose(self, request: Request) -> Response:
        try:
            form = await _form(request)
        except LedgerError as error:
            return error_response(error)
        with self._lock:
            asked = self._asked.pop(form.get("request", ""), None)
        if asked is None:
            return error_response(NotFoundError("demo.sign-in", "this sign-in was answered already, or never begun"))
        said = {"state": asked.state, "iss": self.issuer}
        people, chosen = self._read_people(), form.get("person", "")
        if chosen.isdecimal() and int(chosen) < len(people):
            said["code"] = secrets.token_urlsafe(32)
            code = _Code(asked=asked, person=people[int(chosen)], until_s=time.monotonic() + _CODE_S)
            self._remember(self._codes, said["code"], code)
        else:
            said["error"] = "access_denied"
        return RedirectResponse(f"{self._client.redirect_uri}?{urlencode(said)}", status_code=303, headers=_NO_STORE)

    async def _token(self, request: Request) -> Response:
        try:
            form = await _form(request)
        except LedgerError as error:
            return error_response(error)
        if not self._is_client(request.headers.get("authorization", "")):
            return JSONResponse({"error": "invalid_client"}, status_code=401, headers=_NO_STORE)
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            code is None
            or code.until_s < time.monotonic()
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != self._client.redirect_uri
            or not hmac.compare_digest(challenge, code.asked.challenge)
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400, headers=_NO_STORE)
        value: dict[str, Any] = {
            "access_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": TOKEN_S,
            "id_token": self.id_token(code.person, code.asked.nonce),
        }
        return JSONResponse(value, headers=_NO_STORE)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _is_client(self, header: str) -> bool:
        try:
            name, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
        except ValueError:
            return False
        good = hmac.compare_digest(unquote_plus(secret).encode(), self._client.secret.encode())
        return good and unquote_plus(name) == self._client.id

    def _remember(self, where: OrderedDict[str, Any], name: str, value: Any) -> None:
        with self._lock:
            where[name] = value
            while len(where) > _MOST:
                where.popitem(last=False)

    def _read_people(self) -> list[dict[str, str]]:
        try:
            found: list[dict[str, str]] = json.loads(self._people.read_text("utf-8"))
        except FileNotFoundError:
            return []
        return found


async def _form(request: Request) -> dict[str, str]:
    data = await bounded_body(request, _MAX_FORM)
    return {
        name: values[0] for name, values in parse_qs(data.decode("utf-8", "replace"), keep_blank_values=True).items()
    }


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        "<title>演示身份认证 / Demonstration sign-in</title></head><body><main>"
        "<h1>演示身份认证</h1><p>仅供演示：不核对任何人的身份，名单中的人均为虚构。<br>"
        "Demonstration only: nobody's identity is checked, and everybody listed is invented.</p>"
        f"{body}</main></body></html>"
    )
