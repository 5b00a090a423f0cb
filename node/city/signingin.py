"""The demonstration's citizen at the gateway: settings for its identity service, and a browser's steps over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from ledger.errors import FatalError, UnavailableError
from node.city.found import City
from node.city.ports import free_ports
from node.city.provider import CLAIM, Client, DemoProvider
from node.config import CitizenSection, encode_config, load_config

#: Who can sign in, in the holder's folder of the city.
PEOPLE = Path("wallets", "citizens.json")
_CLIENT = "demo-gateway"
_SECRET = "identity.secret"  # noqa: S105 (a file's name)
_TIMEOUT_S = 30.0


def serve_sign_in(city: City) -> DemoProvider:
    """Start the identity service of a city whose processes are not started yet, and name it in their settings."""
    folder = city.gateway_folder
    file = folder / "gateway.toml"
    text = file.read_text("utf-8")
    url = f"https://localhost:{tomllib.loads(text)['https']['port']}"
    client = Client(id=_CLIENT, secret=secrets.token_urlsafe(24), redirect_uri=f"{url}/citizen/callback")
    provider = DemoProvider(city.folder / PEOPLE, client, free_ports(1)[0])
    with os.fdopen(os.open(folder / _SECRET, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as secret:
        secret.write(client.secret)
    file.write_text(
        f'{text}\n# The demonstration\'s identity service: it checks nobody.\n[citizens]\nissuer = "{provider.issuer}"\n'
        f'client_id = "{client.id}"\nsecret_file = "{_SECRET}"\nclaim = "{CLAIM}"\npublic_url = "{url}"\n',
        "utf-8",
    )
    section = CitizenSection(issuer=provider.issuer, audience=client.id, claim=CLAIM)
    for handle in city.handles:
        config = load_config(city.member_folder(handle))
        data = encode_config(msgspec.structs.replace(config, citizens=section))
        (config.folder / "node.toml").write_bytes(data)
    return provider


class Visitor:
    """A citizen with a browser: keeps the gateway's cookies, and follows where it is sent."""

    def __init__(self, gateway: Path) -> None:
        """``gateway``: its folder."""
        settings = tomllib.loads((gateway / "gateway.toml").read_text("utf-8"))
        self._own = settings["citizens"]["public_url"]
        self._context = ssl.create_default_context(cadata=(gateway / "tls.crt").read_text("ascii"))
        self._cookies: dict[str, str] = {}

    def sign_in(self, name: str, page: str = "wallet") -> None:
        """Choose a person of the list by name. Raises: FatalError(demo.sign-in), UnavailableError(demo.gateway)."""
        place = self._sent("GET", f"{self._own}/citizen/sign-in?page={page}&lang=zh")
        _, _, page = self._ask("GET", place)
        request = re.search(r'name="request" value="([^"]+)"', page)
        person = re.search(rf'name="person" value="(\d+)">{re.escape(name)} ', page)
        if request is None or person is None:
            raise FatalError("demo.sign-in", "the identity service does not list the citizen")
        form = urlencode({"request": request[1], "person": person[1]})
        back = self._sent("POST", f"{place.partition('?')[0]}", form)
        self._sent("GET", back)

    def accesses(self) -> dict[str, Any]:
        """What the citizen sees."""
        return self._told("GET", "/citizen/accesses")

    def results(self) -> list[dict[str, Any]]:
        """What each hospital tells the citizen."""
        found: list[dict[str, Any]] = self._told("GET", "/citizen/results")["hospitals"]
        return found

    def share(self, asker: str, *, permit: bool) -> list[dict[str, Any]]:
        """Forbid or allow a hospital (USCC, ``*`` for all) to be shown results; what each hospital did."""
        done: list[dict[str, Any]] = self._told(
            "POST", "/citizen/sharing", json.dumps({"asker": asker, "permit": permit})
        )["done"]
        return done

    def _told(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        status, _, text = self._ask(method, self._own + path, body)
        value: dict[str, Any] = json.loads(text)
        if status != 200:
            raise FatalError("demo.sign-in", "the gateway does not answer the citizen", actual=value.get("code"))
        return value

    def sign_out(self) -> None:
        """End the session."""
        self._ask("POST", f"{self._own}/citizen/sign-out")

    def _sent(self, method: str, url: str, body: str | None = None) -> str:
        """Where an answer sends the browser. Raises: FatalError(demo.sign-in)."""
        status, headers, _ = self._ask(method, url, body)
        if status != 303:
            raise FatalError("demo.sign-in", f"the sign-in ends with {status} at {urlsplit(url).path}")
        return headers["location"]

    def _ask(self, method: str, url: str, body: str | None = None) -> tuple[int, Mapping[str, str], str]:
        parts = urlsplit(url)
        own = url.startswith(self._own)
        connection = (
            http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S, context=self._context)
            if own
            else http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        )
        headers = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        if own and self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                "demo.gateway", f"the gateway does not answer: {error}", hint="look into gateway/output.log of the city"
            ) from error
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or [] if own else []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
