"""The gateway of the city as somebody at a counter uses it: over HTTPS, trusting its certificate alone."""

from __future__ import annotations

import http.client
import json
import ssl
import tomllib
from pathlib import Path
from typing import Any

from ledger.errors import FatalError, UnavailableError

_TIMEOUT_S = 30.0


class Counter:
    """Asks the gateway of a folder: to judge licences, for the city's figures."""

    def __init__(self, folder: Path) -> None:
        settings = tomllib.loads((folder / "gateway.toml").read_text("utf-8"))["https"]
        self._host, self._port = settings["host"], settings["port"]
        self._context = ssl.create_default_context(cadata=(folder / "tls.crt").read_text("ascii"))
        # The certificate is the gateway's own, and the only one trusted here.
        self._context.check_hostname = False

    @property
    def audience(self) -> str:
        """Whom a key binding names that answers this gateway's nonce."""
        return f"https://localhost:{self._port}"

    def nonce(self) -> str:
        """A nonce for one presentation."""
        return str(self._ask("GET", "/v1/licence/nonce")["nonce"])

    def judge(self, licence: str, **terms: str) -> dict[str, Any]:
        """The verdict on what was shown; ``terms``: ``nonce``, ``audience``, ``recipient``.

        Raises: UnavailableError(demo.gateway), FatalError(demo.gateway-answer).
        """
        return self._ask("POST", "/v1/licence/verify", {"licence": licence, **terms})

    def figures(self) -> dict[str, Any]:
        """What became of medical results in the whole city, as everybody may know it. Raises: as :meth:`judge`."""
        return self._ask("GET", "/v1/figures")

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._context)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"} if body is not None else {},
            )
            answer = connection.getresponse()
            status, data = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                "demo.gateway", f"the gateway does not answer: {error}", hint="look into gateway/output.log of the city"
            ) from error
        finally:
            connection.close()
        value = json.loads(data)
        if status == 200 and isinstance(value, dict):
            return value
        raise FatalError("demo.gateway-answer", f"the gateway answers {status} at {path}", actual=str(value)[:500])
