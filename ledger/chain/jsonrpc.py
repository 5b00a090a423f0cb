"""JSON-RPC 2.0 over the embedded chain: the envelope, batches, bounds. Transport is somebody else's."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import msgspec

from ledger.chain.engine import EmbeddedChain
from ledger.chain.rpc.errors import (
    INTERNAL,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    from_ledger_error,
    invalid_params,
)
from ledger.chain.rpc.filters import Filters
from ledger.chain.rpc.methods import Methods
from ledger.errors import LedgerError

_LOG = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
MAX_BATCH = 100
_MAX_ID_CHARS = 128
#: Opening brackets of a body. The decoder's own guard is the interpreter's recursion limit, which a program may have
#: raised beyond what the stack holds.
_MAX_BRACKETS = 10_000


class JsonRpc:
    """Answers requests about one chain. Thread-safe."""

    def __init__(
        self,
        chain: EmbeddedChain | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        methods: Mapping[str, Callable[[list[object]], Any]] | None = None,
    ) -> None:
        """About ``chain``, or, without one, by ``methods``: name -> answer to its parameters."""
        self._methods: Mapping[str, Callable[[list[object]], Any]] = methods or {}
        #: Answers to many calls of one method that follow each other in a batch.
        self._joint: Mapping[str, Callable[[Sequence[list[object]]], Sequence[Any]]] = {}
        if chain is not None:
            table = Methods(chain, Filters(clock), version=_version())
            self._methods, self._joint = table.table, {"eth_sendRawTransaction": table.send_many}

    @property
    def methods(self) -> frozenset[str]:
        """The names answered."""
        return frozenset(self._methods)

    def handle(self, body: bytes) -> bytes:
        """The answer to a request body; empty when nothing is to be answered (notifications only). Never raises."""
        if len(body) > MAX_BODY_BYTES:
            return _encode(_failure(None, RpcError(INVALID_REQUEST, f"a body has at most {MAX_BODY_BYTES} bytes")))
        if body.count(b"[") + body.count(b"{") > _MAX_BRACKETS:
            return _encode(_failure(None, RpcError(INVALID_REQUEST, "the body has too many lists and objects")))
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _encode(_failure(None, RpcError(PARSE_ERROR, "the body is not JSON")))
        if not isinstance(request, list):
            answer = self._answer(request)
            return b"" if answer is None else _encode(answer)
        if not 1 <= len(request) <= MAX_BATCH:
            return _encode(_failure(None, RpcError(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests")))
        answers = [
            answer
            for name, calls in itertools.groupby(request, self._joined)
            for answer in (map(self._answer, calls) if name is None else self._answer_jointly(name, list(calls)))
            if answer is not None
        ]
        return _encode(answers) if answers else b""

    def dispatch(self, method: str, params: object) -> Any:
        """The result of one call, JSON-ready. Raises RpcError."""
        known = self._methods.get(method)
        if known is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method[:64]} does not exist")
        if params is None:
            params = []
        if not isinstance(params, list | tuple):
            raise invalid_params("parameters are a list")
        try:
            return known(list(params))
        except LedgerError as error:
            raise from_ledger_error(error) from error

    def _joined(self, request: object) -> str | None:
        """The method of a call that is answered together with those beside it, None for any other."""
        if not isinstance(request, Mapping) or request.get("jsonrpc") != "2.0" or not _is_id(request.get("id")):
            return None
        method, params = request.get("method"), request.get("params")
        return method if isinstance(method, str) and method in self._joint and isinstance(params, list) else None

    def _answer_jointly(self, method: str, calls: list[dict[str, Any]]) -> Iterator[dict[str, Any] | None]:
        if len(calls) == 1:
            yield self._answer(calls[0])
            return
        results: Sequence[Any]
        try:
            results = self._joint[method]([call["params"] for call in calls])
        except Exception:
            _LOG.exception("%d calls of the method %s failed", len(calls), method)
            results = [RpcError(INTERNAL, "internal error")] * len(calls)
        for call, result in zip(calls, results, strict=True):
            if "id" not in call:
                yield None
            elif isinstance(result, RpcError):
                yield _failure(call["id"], result)
            else:
                yield {"jsonrpc": "2.0", "id": call["id"], "result": result}

    def _answer(self, request: object) -> dict[str, Any] | None:
        if not isinstance(request, Mapping):
            return _failure(None, RpcError(INVALID_REQUEST, "a request is an object"))
        call_id = request.get("id")
        method = request.get("method")
        if request.get("jsonrpc") != "2.0" or not isinstance(method, str) or not _is_id(call_id):
            return _failure(
                call_id if _is_id(call_id) else None,
                RpcError(INVALID_REQUEST, "a request has jsonrpc 2.0, a method and a short id"),
            )
        answer: dict[str, Any] | None
        try:
            answer = {"jsonrpc": "2.0", "id": call_id, "result": self.dispatch(method, request.get("params"))}
        except RpcError as error:
            answer = _failure(call_id, error)
        except Exception:  # one bad request must not take the server down, nor show its insides
            _LOG.exception("the method %s failed", method[:64])
            answer = _failure(call_id, RpcError(INTERNAL, "internal error"))
        return answer if "id" in request else None


def _version() -> str:
    try:
        return f"civicledger/{metadata.version('civicledger')}"
    except metadata.PackageNotFoundError:
        return "civicledger/source"  # run from a source tree


def _is_id(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return len(value) <= _MAX_ID_CHARS
    return value is None or isinstance(value, int | float)


def _failure(call_id: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "error": error.to_dict()}


def _encode(answer: object) -> bytes:
    return msgspec.json.encode(answer)
