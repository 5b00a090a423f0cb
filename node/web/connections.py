"""Connections of a node: deadlines as everywhere, and who the client proved to be."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from ledger.connections import PromptConnection


class MemberConnection(PromptConnection):
    """A connection whose client certificate, if it presented one, goes into the state of its requests."""

    def connection_made(self, transport: Any) -> None:
        """A connection came."""
        super().connection_made(transport)
        # ASGI has no place of its own for it that uvicorn fills; the state is copied into every request's scope.
        self.app_state = {**self.app_state, "client_certificate": _presented(transport)}


def _presented(transport: asyncio.BaseTransport) -> bytes | None:
    """The client's certificate (PEM), which the handshake proved it to hold the key of."""
    tls = transport.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    return ssl.DER_cert_to_PEM_cert(der).encode() if der else None
