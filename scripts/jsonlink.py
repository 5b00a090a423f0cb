"""JSON-RPC over one kept connection, to a TCP port of loopback or a unix socket: for load generators and harnesses,
whose own processor time is part of what they measure."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Any

#: One call: method and parameters (a list for Ethereum's, an object for CometBFT's).
Call = tuple[str, Any]


class LinkError(Exception):
    """Nobody answered, or not with JSON-RPC."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Link:
    """One connection, for one thread. ``address`` is ``unix:/path/of/socket`` or ``host:port``."""

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        self.address = address
        self._http: http.client.HTTPConnection
        if address.startswith("unix:"):
            self._http = _UnixConnection(address.removeprefix("unix:").removeprefix("//"), timeout)
        else:
            self._http = http.client.HTTPConnection(address, timeout=timeout)

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The answers in order, each an object with ``result`` or ``error``. Raises LinkError."""
        body = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": params}
            for place, (method, params) in enumerate(calls)
        ]
        answers = self._post(body[0] if len(body) == 1 else body)
        found = answers if isinstance(answers, list) else [answers]
        by_id = {answer.get("id"): answer for answer in found if isinstance(answer, dict)}
        if set(by_id) != set(range(len(calls))):
            raise LinkError(f"{self.address} did not answer every call: {str(answers)[:300]}")
        return [by_id[place] for place in range(len(calls))]

    def call(self, method: str, params: Any) -> Any:
        """One call's result. Raises LinkError, also for an answer that is an error."""
        answer = self.batch([(method, params)])[0]
        if "error" in answer:
            raise LinkError(f"{self.address} refuses {method}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._http.close()

    def _post(self, body: object) -> Any:
        try:
            self._http.request("POST", "/", json.dumps(body), {"Content-Type": "application/json"})
            return json.loads(self._http.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._http.close()
            raise LinkError(f"{self.address} does not answer: {error!r}") from error
