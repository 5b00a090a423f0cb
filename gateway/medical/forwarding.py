"""Envelopes brought to hospitals' nodes, and what the nodes answered: sealed to who asked, so unread here."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from gateway.defects import report
from gateway.upstream import Answer, Within
from gateway.views import CityView
from ledger.errors import STATUS, FatalError, LedgerError, NotAllowedError, UnavailableError
from ledger.evidence.carried import MAX_ANSWER, Carried, encode_carried
from ledger.model import MemberStatus, Roles

PATH: Final = "/v1/forward"
#: How long a single call, and a round of questions about changes, may take, seconds.
CALL_S: Final = 55.0
#: Calls under way: in all, and to one hospital, so that one which hangs holds few threads.
_TOGETHER: Final = 128
_AT_ONE: Final = 8


class City(Protocol):
    """Where the members' nodes are known."""

    def view(self) -> CityView:
        """The city as last read."""

    def send(self, uscc: str, path: str, body: bytes, within: Within) -> Answer:
        """A node's answer to what is sent to a public path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came back from one hospital. ``answer``: a SealedAnswer; ``error``: why there is none."""

    target: str
    answer: bytes = b""
    error: LedgerError | None = None


class _Refusal(msgspec.Struct, frozen=True):
    code: str = "node.refused"
    message: str = ""
    hint: str = ""


class Forwarding:
    """Brings envelopes. Thread-safe; :meth:`close` when done."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._pool = ThreadPoolExecutor(_TOGETHER, thread_name_prefix="carry")
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def close(self) -> None:
        """Let what is under way end, take nothing new."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def one(self, call: Carried) -> Brought:
        """One call. Raises: the node's refusal of the envelope; UnavailableError(node.* | peer.*)."""
        brought = self._bring(call, time.monotonic() + CALL_S)
        if brought.error is not None:
            raise brought.error
        return brought

    def several(self, calls: Sequence[Carried], seconds: float) -> tuple[Brought, ...]:
        """All at once, in their order; whoever did not answer within so many seconds is named."""
        end = time.monotonic() + seconds
        under_way = [self._pool.submit(self._bring, call, end) for call in calls]
        wait(under_way, max(0.0, end - time.monotonic()))
        return tuple(self._of(call, future) for call, future in zip(calls, under_way, strict=True))

    def as_they_come(self, calls: Sequence[Carried]) -> Iterator[Brought]:
        """All at once, each as soon as it is there; the last ones are named when the time is over."""
        end = time.monotonic() + CALL_S
        under_way = {self._pool.submit(self._bring, call, end): call for call in calls}
        left = dict(under_way)
        try:
            for future in as_completed(under_way, max(0.0, end - time.monotonic())):
                yield self._of(left.pop(future), future)
        except TimeoutError:
            for future, call in left.items():
                yield self._of(call, future)

    # --- inside -------------------------------------------------------------------------------------------------------

    @staticmethod
    def _of(call: Carried, future: Future[Brought]) -> Brought:
        if future.done() and not future.cancelled():
            return future.result()
        future.cancel()
        return Brought(target=call.envelope.target, error=_late(call.envelope.target))

    def _bring(self, call: Carried, end: float) -> Brought:
        target = call.envelope.target
        try:
            self._check(target)
            left = end - time.monotonic()
            if left <= 0:
                raise _late(target)
            with self._place(target):
                within = Within(seconds=left, most=MAX_ANSWER, opaque=True)
                answer = self._city.send(target, PATH, encode_carried(call), within)
            if answer.status != 200:
                raise _refused(target, answer)
        except LedgerError as error:
            return Brought(target=target, error=error)
        except Exception as defect:
            report("carry.defect", defect)
            problem = FatalError("gateway.defect", "this call could not be carried")
            return Brought(target=target, error=problem)
        return Brought(target=target, answer=answer.body)

    def _check(self, target: str) -> None:
        """Only to hospitals: nobody else's node answers, nor is to be troubled."""
        for member in self._city.view().chain.members:
            info = member.info
            if info.uscc == target and info.roles & Roles.HOSPITAL and info.status is MemberStatus.ACTIVE:
                return
        raise NotAllowedError(
            "medical.not-hospital", f"{target} is no active hospital of this city", hint="ask for hospitals only"
        )

    @contextmanager
    def _place(self, target: str) -> Iterator[None]:
        with self._lock:
            if self._under_way[target] >= _AT_ONE:
                raise UnavailableError(
                    "node.busy", f"the node of {target} is slow and asked enough", hint="try again in a few seconds"
                )
            self._under_way[target] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[target] -= 1


def _late(target: str) -> UnavailableError:
    return UnavailableError("peer.timeout", f"the node of {target} did not answer within the deadline")


def _refused(target: str, answer: Answer) -> LedgerError:
    """The error in a node's refusal of an envelope; what is broken there is not broken here."""
    try:
        said = msgspec.json.decode(answer.body[:65_536], type=_Refusal)
    except msgspec.MsgspecError:
        said = _Refusal(message=f"status {answer.status}")
    kinds: dict[int, type[LedgerError]] = {number: kind for kind, (_, number) in STATUS.items()}
    kind = kinds.get(answer.status, UnavailableError)
    if kind is FatalError:
        kind = UnavailableError
    return kind(said.code[:64], f"the node of {target} answered: {said.message[:500]}", hint=said.hint[:500])
