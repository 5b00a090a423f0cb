"""What a node keeps of the licences it fetched: for each nonce whom it was about and why, beside the payloads."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from ledger.errors import ConflictError, FatalError
from ledger.storage.store import Store


class Fetch(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """``salt``, ``cause_salt``: 32 bytes each, open the commitments in requests and records; ``holder``: the holder's
    code; ``cause``: why it was needed, in words."""

    salt: bytes
    holder: str
    cause: str
    cause_salt: bytes


class FetchStore:
    """Fetches by nonce (32 bytes). Thread-safe."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    def keep(self, nonce: bytes, fresh: Fetch) -> Fetch:
        """What a nonce stands for: ``fresh`` from now on, durably, or what it stood for before.

        Raises: ConflictError(exchange.other-content), it was another holder or cause.
        """
        with self._lock:
            known = self.get(nonce)
            if known is None:
                self._store.put(nonce, msgspec.msgpack.encode(fresh))
                return fresh
        if (known.holder, known.cause) != (fresh.holder, fresh.cause):
            raise ConflictError(
                "exchange.other-content",
                "this nonce belongs to another exchange",
                hint="use a fresh nonce (leave it empty)",
                actual=nonce,
            )
        return known

    def get(self, nonce: bytes) -> Fetch | None:
        """What a nonce stands for; None where nothing is kept, or nothing any more."""
        data = self._store.get(nonce)
        try:
            return None if data is None else msgspec.msgpack.decode(data, type=Fetch)
        except msgspec.MsgspecError as error:
            raise FatalError("store.corrupt", f"a fetch in the payload store does not decode: {error}") from error

    def erase(self, nonces: Sequence[bytes]) -> None:
        """Delete what is kept of fetches so that its bytes leave the disk."""
        if nonces:
            self._store.erase_all(nonces, within=b"")
