"""CometBFT's JSON-RPC, over its unix socket or loopback: bounded answers, a deadline for every call, named failures."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError
from node.comet.settings import MAX_BATCH, MAX_BODY_BYTES

#: Largest answer: a thousand answers of a batch, or a commit of some hundred validators.
MAX_ANSWER_BYTES = 8 << 20
_PIECE_BYTES = 1 << 16
_IDLE_CONNECTIONS = 4
_PER_PAGE = 100
_MAX_PAGES = 10
#: CometBFT's words when the bell hangs already, and while it checks it again after a height.
_KNOWN = ("already exists in cache", "mempool is full", "considered as full")


class CometRpc:
    """One CometBFT. ``address`` is ``unix://PATH`` or ``tcp://HOST:PORT``. Thread-safe.

    Every method raises UnavailableError(comet.unreachable) when it does not answer within ``timeout`` seconds, and
    UnavailableError(comet.answer) when its answer is not what it should be.
    """

    def __init__(self, address: str, *, timeout: float = 10.0) -> None:
        self.address = address
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    # --- reading ------------------------------------------------------------------------------------------------------
    def status(self) -> dict[str, Any]:
        """``/status``: node_info, sync_info, validator_info."""
        return self._object(self.call("status"))

    def height(self) -> int:
        """The newest consensus height; 0 before the first, and while it does not answer."""
        with suppress(LedgerError):
            return _number(self._object(self.status().get("sync_info")).get("latest_block_height"))
        return 0

    def net_info(self) -> dict[str, Any]:
        """``/net_info``: the connected peers."""
        return self._object(self.call("net_info"))

    def round_state(self) -> dict[str, Any]:
        """``/consensus_state``: height, round and step under way and who voted in it."""
        return self._object(self._object(self.call("consensus_state")).get("round_state"))

    def commit(self, height: int | None = None) -> bytes:
        """The signed header of a height (newest without), as the JSON of the answer's ``result``.

        Raises: NotFoundError(comet.height) for a height that is not there.
        """
        told = self.call("commit", **_at(height))
        if told is None:
            raise NotFoundError("comet.height", "CometBFT keeps no commit of this height", actual=height)
        return _encode(self._object(told))

    def validators(self, height: int | None = None) -> bytes:
        """The validator set of a height (newest without), all pages in one, as the JSON of the answer's ``result``.

        Raises: NotFoundError(comet.height).
        """
        whole: dict[str, Any] = {}
        for page in range(1, _MAX_PAGES + 1):
            told = self._object(self.call("validators", page=str(page), per_page=str(_PER_PAGE), **_at(height)))
            height = _number(told.get("block_height"))
            found = told.get("validators")
            if not isinstance(found, list) or not found:
                raise _answer("a page of validators is empty")
            whole = {**told, "validators": [*whole.get("validators", []), *found]}
            if len(whole["validators"]) >= _number(told.get("total")):
                break
        whole["count"] = str(len(whole["validators"]))
        return _encode(whole)

    def consensus_params(self, height: int | None = None) -> bytes:
        """The consensus parameters at a height, as the JSON of the answer's ``result``. Raises: NotFoundError."""
        return _encode(self._object(self.call("consensus_params", **_at(height))))

    # --- doing --------------------------------------------------------------------------------------------------------
    def dial(self, peers: Sequence[str]) -> None:
        """Connect to these peers (``<node id>@host:port``), all that there are, and keep trying to."""
        self.call("dial_peers", peers=list(peers), persistent=True, unconditional=True, private=False)

    def ring(self, bell: bytes) -> None:
        """Hand in the one transaction that its mempool takes: something waits for a block. Again the same does no
        harm: it is known, or CometBFT is busy with a height and hears of what waits after it."""
        answer = self.batch([("broadcast_tx_async", {"tx": base64.b64encode(bell).decode()})])[0]
        if isinstance(answer, LedgerError) and not any(word in str(answer.actual) for word in _KNOWN):
            raise answer

    # --- the wire -----------------------------------------------------------------------------------------------------
    def call(self, method: str, **params: Any) -> Any:
        """The result of one method. Raises also NotFoundError(comet.height), UnavailableError(comet.refused)."""
        answer = self.batch([(method, params)])[0]
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    def batch(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """The results of several methods in one request, in order; what CometBFT refused is an error among them."""
        body = json.dumps(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)}
                for number, (method, params) in enumerate(calls)
            ]
        ).encode()
        if len(calls) > MAX_BATCH or len(body) > MAX_BODY_BYTES:
            raise InvalidInputError("comet.batch", f"at most {MAX_BATCH} calls and {MAX_BODY_BYTES} bytes in a request")
        told = self._read(self._post(body))
        answers: dict[int, Any] = {}
        for item in told if isinstance(told, list) else [told]:
            if isinstance(item, dict) and isinstance(item.get("id"), int):
                answers[item["id"]] = _refusal(item["error"]) if item.get("error") else item.get("result")
        if set(answers) != set(range(len(calls))):
            raise _answer(f"{len(answers)} answers to {len(calls)} calls, or to others")
        return [answers[number] for number in range(len(calls))]

    def close(self) -> None:
        """Close what is kept open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _post(self, body: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._once(kept, body, deadline)
            except TimeoutError as error:
                raise self._unreachable(error) from error
            except (OSError, http.client.HTTPException):
                # CometBFT closes a connection that was idle for ten seconds. Whatever is asked may be asked twice.
                kept.close()
        try:
            return self._once(_Connection(self.address, self._timeout), body, deadline)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _once(self, connection: http.client.HTTPConnection, body: bytes, deadline: float) -> bytes:
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(_left(deadline))
            connection.request("POST", "/", body=body, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            pieces: list[bytes] = []
            size = 0
            while piece := response.read1(_PIECE_BYTES):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise http.client.HTTPException(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
                if connection.sock is not None:
                    connection.sock.settimeout(_left(deadline))
            if response.length:
                raise http.client.HTTPException("the answer was cut short")
            # Read to its end: without this the connection would not take another request.
            response.close()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if response.will_close or len(self._idle) >= _IDLE_CONNECTIONS:
                connection.close()
            else:
                self._idle.append(connection)
        return b"".join(pieces)

    def _unreachable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            "comet.unreachable",
            f"CometBFT does not answer at {self.address}: {error}",
            hint="it starts with the node and needs its state machine first; comet/comet.log has its last words",
        )

    def _read(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _answer("it is no JSON") from error

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _answer("a part of it is missing")
        return cast("dict[str, Any]", value)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket, or over TCP."""

    def __init__(self, address: str, timeout: float) -> None:
        scheme, _, self._where = address.partition("://")
        self._unix = scheme == "unix"
        host, _, port = ("localhost", "", "0") if self._unix else self._where.rpartition(":")
        super().__init__(host.strip("[]"), int(port), timeout=timeout)

    def connect(self) -> None:
        """As for TCP, where it is a unix socket."""
        if not self._unix:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._where)


def _refusal(error: Any) -> LedgerError:
    text = f"{error.get('message')}: {error.get('data')}" if isinstance(error, dict) else str(error)
    if "height" in text and (
        "must be less than or equal" in text or "is not available" in text or "could not find" in text
    ):
        return NotFoundError("comet.height", f"CometBFT has no such height: {text[:300]}", actual=text[:300])
    return UnavailableError("comet.refused", f"CometBFT refused: {text[:300]}", actual=text[:300])


def _answer(what: str) -> UnavailableError:
    return UnavailableError("comet.answer", f"CometBFT's answer is not understood: {what}")


def _at(height: int | None) -> dict[str, str]:
    return {} if height is None else {"height": str(height)}


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the answer took too long")
    return seconds


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise _answer("a number is missing") from error


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
