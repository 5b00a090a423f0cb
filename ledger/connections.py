"""HTTP connections that must get on: uvicorn itself waits for ever for a request's head and for its body.

Anybody may open a connection to a public port. One that sends nothing, or a byte now and then, would keep its place
among those the server allows at a time, and a few hundred of them would shut everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds a client has for the whole head of a request, and then for the whole body.
HEAD_S = 10.0
BODY_S = 30.0


class PromptConnection(H11Protocol):
    """uvicorn's connection with a deadline for what the client still has to send."""

    head_s = HEAD_S
    body_s = BODY_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._waits_for = ""

    def connection_made(self, transport: Any) -> None:
        """A connection came: its first request has a deadline."""
        super().connection_made(transport)
        self._expect("head")

    def data_received(self, data: bytes) -> None:
        """Bytes came: they may end a head or a body, they never move its deadline."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """A request was answered: uvicorn's own keep-alive time runs until the next one begins."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._expect("")
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect("body" if self.cycle.more_body else "")
        else:
            # Between two requests nothing is expected until the first byte of the next one is here.
            self._expect("" if self.timeout_keep_alive_task is not None else "head")

    def _expect(self, part: str) -> None:
        if part == self._waits_for:
            return
        self._waits_for = part
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if part:
            seconds = self.head_s if part == "head" else self.body_s
            self._deadline = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()
