"""RecognitionService over gRPC: the same answers as over HTTPS."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

import grpc

from gateway.answering import GrpcAnswers
from gateway.medical.carrying import Carrying
from gateway.medical.collecting import FiguresReader
from gateway.medical.figureswire import figures
from gateway.medical.forwarding import Brought
from ledger.errors import UnavailableError
from ledger.evidence.carried import Carried
from ledger.evidence.envelope import Envelope, body_digest
from ledger.v1 import node_pb2, recognition_pb2_grpc
from ledger.v1 import recognition_pb2 as pb

#: Streams of changes at a time: each holds a thread of the server for up to a minute.
_WATCHERS: Final = 4


class RecognitionServicer(recognition_pb2_grpc.RecognitionServiceServicer):
    """Carries calls of hospitals' nodes; the city's figures."""

    def __init__(self, carrying: Carrying, reader: FiguresReader, answers: GrpcAnswers) -> None:
        """``reader``: of what hospitals publish."""
        self._carrying = carrying
        self._reader = reader
        self._answers = answers
        self._watchers = threading.BoundedSemaphore(_WATCHERS)

    def Search(self, request: pb.CarriedCalls, context: grpc.ServicerContext) -> pb.CarriedAnswers:  # noqa: N802
        """All hospitals at once, within the deadline."""

        def work(asked: pb.CarriedCalls) -> pb.CarriedAnswers:
            found = self._carrying.search(_calls(asked.envelopes), asked.deadline_ms)
            return pb.CarriedAnswers(answers=[_shown(one) for one in found])

        return self._answers.answer("Search", request, context, work)

    def Open(self, request: node_pb2.Envelope, context: grpc.ServicerContext) -> pb.CarriedAnswer:  # noqa: N802
        """A turn of an opening."""
        return self._one("Open", request, context)

    def Decide(self, request: node_pb2.Envelope, context: grpc.ServicerContext) -> pb.CarriedAnswer:  # noqa: N802
        """A decision."""
        return self._one("Decide", request, context)

    def Confirm(self, request: node_pb2.Envelope, context: grpc.ServicerContext) -> pb.CarriedAnswer:  # noqa: N802
        """The receipt of a step."""
        return self._one("Confirm", request, context)

    def Tell(self, request: node_pb2.Envelope, context: grpc.ServicerContext) -> pb.CarriedAnswer:  # noqa: N802
        """A change the other hospital is told of."""
        return self._one("Tell", request, context)

    def WatchChanges(  # noqa: N802
        self, request: pb.CarriedCalls, context: grpc.ServicerContext
    ) -> Iterator[pb.CarriedAnswer]:
        """Each hospital's answer as soon as it is there."""
        if not self._watchers.acquire(blocking=False):
            busy = UnavailableError(
                "gateway.too-many-requests", "enough are watching at this moment", hint="open the stream again later"
            )
            raise self._answers.refuse("WatchChanges", context, busy, 0.0)
        try:
            found = self._answers.answer(
                "WatchChanges", request, context, lambda asked: self._carrying.watch(_calls(asked.envelopes))
            )
            for one in found:
                yield _shown(one)
        finally:
            self._watchers.release()

    def Statistics(  # noqa: N802
        self, request: pb.CityFiguresRequest, context: grpc.ServicerContext
    ) -> pb.CityFiguresResponse:
        """What everybody may see of recognition in the city."""

        def work(asked: pb.CityFiguresRequest) -> pb.CityFiguresResponse:
            return figures(self._reader.read(asked.first, asked.last))

        return self._answers.answer("Statistics", request, context, work)

    def _one(self, method: str, request: node_pb2.Envelope, context: grpc.ServicerContext) -> pb.CarriedAnswer:
        def work(asked: node_pb2.Envelope) -> pb.CarriedAnswer:
            return _shown(self._carrying.one(method, _calls([asked])[0]))

        return self._answers.answer(method, request, context, work)


def _calls(envelopes: Sequence[node_pb2.Envelope]) -> list[Carried]:
    """Nothing of them is checked yet: the admission does it."""
    return [
        Carried(
            envelope=Envelope(
                chain=bytes(one.chain),
                caller=one.caller,
                target=one.target,
                method=one.method,
                body_digest=body_digest(bytes(one.body)),
                nonce=bytes(one.nonce),
                expires=one.expires,
            ),
            body=bytes(one.body),
            signature=bytes(one.signature),
        )
        for one in envelopes
    ]


def _shown(one: Brought) -> pb.CarriedAnswer:
    if one.error is None:
        return pb.CarriedAnswer(target=one.target, answer=one.answer)
    error = one.error
    return pb.CarriedAnswer(target=one.target, code=error.code, message=error.message, hint=error.hint)
