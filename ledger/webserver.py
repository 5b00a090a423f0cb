"""An HTTP(S) server: uvicorn on a socket of ours, in a thread of its own, for node and gateway alike."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import Any, Final

import uvicorn

from ledger.connections import PromptConnection
from ledger.errors import ConflictError

#: Connections at a time; uvicorn answers 503 beyond it.
_CONNECTIONS: Final = 256
#: Between two looks at the time, seconds.
_LOOK_S: Final = 1.0
#: Longest a close waits for the thread, seconds.
_JOIN_S: Final = 10.0


class _Server(uvicorn.Server):
    """uvicorn that looks around once a second, not ten times, and at once when it is told to end: a node at rest would
    spend a third of its processor time on it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._serving: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def main_loop(self) -> None:
        """Until ``end``."""
        ended = asyncio.Event()
        self._serving = asyncio.get_running_loop(), ended
        # 0: with each look the date in the answers' heads is made anew.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _LOOK_S)

    def end(self) -> None:
        """Called by any thread."""
        self.should_exit = True
        if self._serving is not None:
            loop, ended = self._serving
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(ended.set)


class HttpServer:
    """One listening server for an ASGI application. ``context`` None means plain HTTP: loopback only.

    ``connection``: uvicorn's protocol class; ``keep_alive_s``: seconds an idle connection is kept; ``grace_s``: seconds
    that what is under way has at a close; ``settings``: the file where the port stands, for the refusal.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        *,
        name: str,
        connection: type[PromptConnection],
        keep_alive_s: int,
        grace_s: int,
        settings: str,
    ) -> None:
        """Bind the port. Raises: ConflictError(listen.in-use)."""
        self._socket = _bind(host, port, settings)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            http=connection,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=keep_alive_s,
            timeout_graceful_shutdown=grace_s,
            h11_max_incomplete_event_size=16_384,
            ssl_context_factory=None if context is None else (lambda _config, _default: context),
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve in a thread. Returns at once; connections queue in the socket until the loop runs."""
        self._socket.listen(_CONNECTIONS)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, finish what is under way, free the port."""
        self._server.end()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        self._socket.close()


def _bind(host: str, port: int, settings: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then: else head and body of an answer wait 40 ms for
    # the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConflictError(
            "listen.in-use",
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"another program has the port, or this one runs already; the ports stand in {settings}",
        ) from error
    return bound
