"""Who may call what: every call maps the peer's certificate to an active member at the current head.

One table (``node.rpc.methods``) names the rule of every gRPC method this node serves; a method missing from it is
refused. The interceptor judges the *call*, not the connection: a suspension acts on the next call, and on long streams
through ``Call.recheck``. Identity: the SHA-256 of the certificate's SubjectPublicKeyInfo, an active ``tls`` key in
the Consortium contract (design README, section 7).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog

from ledger.errors import FatalError, InvalidInputError, LedgerError, NotAllowedError, UnavailableError
from ledger.model import KeyRole, MemberInfo, MemberStatus, Roles
from node.identity.tls import spki_of_pem
from node.rpc.errors import abort
from node.rpc.methods import METHODS, Rule

if TYPE_CHECKING:
    from node.context import NodeContext

__all__ = ["METHODS", "Authorisation", "Call", "Caller", "Rule", "active_member", "check_rule", "identify"]

log = structlog.get_logger(__name__)


_READER_ROLES = Roles.SUPERVISOR | Roles.AUDITOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The member behind a call. ``own``: it is this node's member."""

    info: MemberInfo
    own: bool

    @property
    def member(self) -> str:
        """The caller's USCC."""
        return self.info.uscc


class Call:
    """The servicer context of one call, with the judged ``caller`` beside it. Everything else is gRPC's own."""

    def __init__(self, context: grpc.ServicerContext, caller: Caller | None, recheck: Callable[[], None]) -> None:
        self.context = context
        self._caller = caller
        #: Judges the caller again at the present head: for long streams. Raises NotAllowedError(auth.*).
        self.recheck = recheck

    @property
    def judged(self) -> Caller | None:
        """The member that calls; None where the rule judges an envelope."""
        return self._caller

    @property
    def caller(self) -> Caller:
        """The member that calls. Raises NotAllowedError(auth.no-certificate) where the rule judges an envelope."""
        if self._caller is None:
            raise _no_certificate()
        return self._caller

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)


def identify(node: NodeContext, pem: bytes | None) -> Caller:
    """The active member whose ``tls`` key the certificate carries, at the current head.

    Raises NotAllowedError(auth.no-certificate | auth.not-member | auth.key-ended | auth.suspended).
    """
    if not pem:
        raise _no_certificate()
    material = spki_of_pem(pem)
    key = node.contracts.consortium.key(material)
    if key is None or key.role is not KeyRole.TLS:
        raise NotAllowedError(
            "auth.not-member",
            "this certificate belongs to no member of the consortium",
            hint="use the member's own TLS key; a new key counts once its rotation is on chain",
            actual=material,
        )
    now_s = node.clock() // 1000
    if key.status != "active" or now_s < key.valid_from or (key.valid_to and now_s >= key.valid_to):
        raise NotAllowedError(
            "auth.key-ended",
            f"this TLS key of {key.member} is {key.status} or outside its validity",
            hint="use the key that replaced it (civicledger key list)",
            actual=material,
        )
    return active_member(node, key.member)


def active_member(node: NodeContext, uscc: str) -> Caller:
    """The member by its USCC, if active at the current head.

    Raises NotAllowedError(auth.not-member | auth.suspended).
    """
    info = node.contracts.consortium.member(uscc)
    if info is None or info.status is MemberStatus.REMOVED or info.status is MemberStatus.NONE:
        raise NotAllowedError(
            "auth.not-member",
            f"{uscc} is no member of the consortium",
            hint="a member is admitted by vote: civicledger member propose admit",
            actual=uscc,
        )
    if info.status is not MemberStatus.ACTIVE:
        raise NotAllowedError(
            "auth.suspended",
            f"member {uscc} is suspended",
            hint="the other members reinstate it by vote: civicledger member propose reinstate",
            actual=uscc,
        )
    return Caller(info=info, own=info.uscc == node.member)


def check_rule(rule: Rule, caller: Caller, method: str) -> None:
    """Raise NotAllowedError(auth.not-own | auth.role) when the rule does not admit the caller."""
    if caller.own or rule is Rule.MEMBER:
        return
    if rule is Rule.READERS:
        if caller.info.roles & _READER_ROLES:
            return
        raise NotAllowedError(
            "auth.role",
            f"{method} is for this department itself, the supervisor and auditors",
            hint="ask your own node, or ask the supervisor or an auditor",
            actual=caller.member,
        )
    raise NotAllowedError(
        "auth.not-own",
        f"{method} is for this department itself only",
        hint="call your own node: every department writes through its own",
        actual=caller.member,
    )


class Authorisation(grpc.ServerInterceptor):
    """Judges every call by ``METHODS`` and turns the library's errors into gRPC's. One per server.

    ``observe(method, code, seconds)`` is told of every call that ended: ``code`` is ``ok`` or the error's.
    """

    def __init__(self, node: NodeContext, observe: Callable[[str, str, float], None]) -> None:
        self._node = node
        self._observe = observe
        # A call holds a worker as long as it lasts, a stream for hours: one member must not be able to take them all.
        self._share = max(4, node.config.workers // 4)
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, bool]] = Counter()

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Wrap the handler of a known method; gRPC answers UNIMPLEMENTED for an unknown one."""
        handler = continuation(details)
        if handler is None:
            return None
        method = details.method
        if handler.response_streaming:
            stream = handler.stream_stream if handler.request_streaming else handler.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else (grpc.unary_stream_rpc_method_handler)
            )
            behaviour = self._streaming(method, stream)
        else:
            unary = handler.stream_unary if handler.request_streaming else handler.unary_unary
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else (grpc.unary_unary_rpc_method_handler)
            )
            behaviour = self._unary(method, unary)
        return make(behaviour, _lenient(handler.request_deserializer), handler.response_serializer)

    def admit(self, method: str, context: grpc.ServicerContext) -> Call:
        """The call with its judged caller. Raises NotAllowedError(auth.*)."""
        rule = METHODS.get(method)
        if rule is None:
            raise NotAllowedError(
                "auth.not-listed",
                f"no rule says who may call {method}, so nobody may",
                hint="add the method to the table of node/rpc/methods.py",
            )
        if rule is Rule.ENVELOPE:
            return Call(context, None, lambda: None)

        def judge() -> Caller:
            caller = identify(self._node, _certificate(context))
            check_rule(rule, caller, method)
            return caller

        def recheck() -> None:
            judge()

        return Call(context, judge(), recheck)

    def _unary(self, method: str, behaviour: Any) -> Any:
        def run(request: Any, context: grpc.ServicerContext) -> Any:
            started = time.perf_counter()
            try:
                call = self.admit(method, context)
                with self._place(call, stream=False):
                    response = behaviour(_well_formed(request), call)
            except Exception as error:
                self._fail(method, context, error, started)
            self._observe(method, "ok", time.perf_counter() - started)
            return response

        return run

    def _streaming(self, method: str, behaviour: Any) -> Any:
        def run(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            started = time.perf_counter()
            try:
                call = self.admit(method, context)
                with self._place(call, stream=True):
                    yield from behaviour(_well_formed(request), call)
            except Exception as error:
                self._fail(method, context, error, started)
            self._observe(method, "ok", time.perf_counter() - started)

        return run

    @contextmanager
    def _place(self, call: Call, *, stream: bool) -> Iterator[None]:
        """A place among the member's calls under way; streams do not take those of short calls.

        Raises UnavailableError(auth.too-many-calls) when the member has its share of the workers.
        """
        if call.judged is None or call.judged.own:
            yield
            return
        place = (call.judged.member, stream)
        with self._lock:
            if self._calls[place] >= self._share:
                raise UnavailableError(
                    "auth.too-many-calls",
                    f"{call.judged.member} has {self._share} {'streams' if stream else 'calls'} under way on this node",
                    hint="wait until some of them ended; keep one stream open, not many",
                    expected=self._share,
                )
            self._calls[place] += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls[place] -= 1

    def _fail(self, method: str, context: grpc.ServicerContext, error: Exception, started: float) -> NoReturn:
        seconds = time.perf_counter() - started
        if isinstance(error, LedgerError):
            self._observe(method, error.code, seconds)
            abort(context, error)
        if not context.is_active() or _aborted(error, context):
            # The caller went away in the middle of a stream, or the behaviour has ended the call itself.
            self._observe(method, "rpc.ended", seconds)
            raise error
        log.exception("rpc.failed", method=method)
        self._observe(method, "internal.error", seconds)
        abort(
            context,
            FatalError("internal.error", "the node failed to answer", hint="the cause is in the node's own log"),
        )


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Bytes that are no message of the method."""

    problem: str


def _lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """gRPC answers INTERNAL for bytes it cannot read, before anybody asked who sent them; we judge the caller first and
    then refuse with a code."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except Exception as error:  # the protobuf runtimes raise errors of their own
            return _Malformed(type(error).__name__)

    return read


def _well_formed(request: Any) -> Any:
    """The request, or the stream of them. Raises InvalidInputError(rpc.message)."""
    if isinstance(request, _Malformed):
        raise InvalidInputError(
            "rpc.message",
            f"the request is no message of this method ({request.problem})",
            hint="compare the versions of client and node",
        )
    return map(_well_formed, request) if hasattr(request, "__next__") else request


def _aborted(error: Exception, context: grpc.ServicerContext) -> bool:
    # grpc's own context.abort raises a bare Exception after it has set the code (health and reflection use it).
    return type(error) is Exception and context.code() not in (None, grpc.StatusCode.OK)


def _certificate(context: grpc.ServicerContext) -> bytes | None:
    values = list(context.auth_context().get("x509_pem_cert", ()))
    return bytes(values[0]) if values else None


def _no_certificate() -> NotAllowedError:
    return NotAllowedError(
        "auth.no-certificate",
        "this call needs a member's TLS certificate",
        hint="give the client the member's certificate and key (civicledger reads them from the member's folder)",
    )
