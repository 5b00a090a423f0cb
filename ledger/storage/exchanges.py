"""Exchanges by id, so that a retry is the same exchange and nothing is counted twice.

An entry is begun (the use is counted, under the grant's ceiling and the limit of open half receipts), becomes ``half``
when the payload was released, ``complete`` with both signatures, or is given back when nothing was released.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ledger.errors import ConflictError, FatalError, InvalidInputError, NotAllowedError, NotFoundError
from ledger.storage.store import Batch, Store, u64

Role = Literal["provider", "consumer"]
State = Literal["begun", "half", "complete", "refused"]

#: State -> the states that may follow.
_NEXT: Final[dict[str, frozenset[str]]] = {
    "begun": frozenset({"begun", "half", "complete", "refused"}),
    "half": frozenset({"half", "complete"}),
    "complete": frozenset({"complete"}),
    "refused": frozenset({"refused"}),
}
_ENTRY, _GRANT, _TIME, _COUNT = b"e", b"g", b"t", b"n"


class ExchangeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange as this side knows it.

    Ids are 32 bytes; ``receipt`` is the canonical receipt ("" before there is one); ``request`` the consumer-signed
    request; ``log_index`` the record that closed it, -1 before; ``payload`` the digest of a received payload. ``half``
    is the receipt with the provider's signature alone, so that a repeat releases the same; ``salt`` opens the receipt's
    commitment and is emptied by an erasure (of a patient's examination that was given it is never here); ``closed_ms``
    is the time of the closing record, so that a crash between the log and this store writes the same record again.
    """

    id: bytes
    role: Role
    grant: bytes
    dataset: bytes
    counterpart: str
    state: State
    time_ms: int
    request: bytes = b""
    receipt: bytes = b""
    byte_count: int = 0
    log_index: int = -1
    payload: bytes = b""
    code: str = ""
    half: bytes = b""
    salt: bytes = b""
    closed_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCounts:
    """Uses of a grant as one side counts them: ``used`` = begun + half + complete."""

    used: int
    half: int
    complete: int


class _Counts(msgspec.Struct, frozen=True, array_like=True):
    begun: int = 0
    half: int = 0
    complete: int = 0
    refused: int = 0


class ExchangeStore:
    """Exchanges of one node, of both roles. Thread-safe."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    def begin(self, entry: ExchangeEntry, *, ceiling: int, max_half: int) -> ExchangeEntry:
        """Count a use and keep it as ``begun``; a repeat of a known id returns what is known and counts nothing.

        Raises:
            NotAllowedError: ``grant.ceiling`` (used up) or ``exchange.half-receipts`` (too many are open).
            ConflictError: ``exchange.other-content``, the id is known with another grant, dataset or counterpart.
        """
        with self._lock:
            known = self.get(entry.id, entry.role)
            if known is not None:
                _same(known, entry)
                if known.state != "refused":
                    return known
            counts = self._counts(entry.role, entry.grant)
            if counts.begun + counts.half + counts.complete >= ceiling:
                raise NotAllowedError(
                    "grant.ceiling",
                    "every use this grant allows has been made",
                    hint="ask for a new grant with a higher ceiling",
                    expected=ceiling,
                    actual=counts.begun + counts.half + counts.complete,
                )
            if counts.half >= max_half:
                raise NotAllowedError(
                    "exchange.half-receipts",
                    f"{counts.half} exchanges under this grant lack the other side's signature",
                    hint="repeat those exchanges with the same nonce so that their receipts are completed",
                    expected=max_half,
                    actual=counts.half,
                )
            begun = msgspec.structs.replace(entry, state="begun")
            self._write(known, begun)
            return begun

    def put(self, entry: ExchangeEntry) -> None:
        """Keep an entry in its new state.

        Raises:
            ConflictError: ``exchange.state``, the entry cannot go there from where it is (a completed one never
                changes back), or ``exchange.other-content``.
        """
        with self._lock:
            known = self.get(entry.id, entry.role)
            if known is not None:
                _same(known, entry)
                if entry.state not in _NEXT[known.state]:
                    raise ConflictError(
                        "exchange.state",
                        f"an exchange that is {known.state} cannot become {entry.state}",
                        expected=known.state,
                        actual=entry.state,
                    )
            self._write(known, entry)

    def give_back(self, exchange: bytes, role: Role) -> None:
        """Uncount a begun exchange of which nothing was released; no effect in any other state."""
        with self._lock:
            known = self.get(exchange, role)
            if known is not None and known.state == "begun":
                with self._store.batch() as batch:
                    batch.delete(_entry_key(known))
                    batch.delete(_time_key(known))
                    batch.delete(_grant_key(known))
                    self._recount(batch, known, None)

    def get(self, exchange: bytes, role: Role) -> ExchangeEntry | None:
        """The entry; None when unknown."""
        data = self._store.get(_ENTRY + role[0].encode() + exchange)
        return None if data is None else _decode(data, ExchangeEntry)

    def counts(self, role: Role, grant: bytes) -> ExchangeCounts:
        """How often a grant was used, as this side counts."""
        counts = self._counts(role, grant)
        return ExchangeCounts(
            used=counts.begun + counts.half + counts.complete, half=counts.half, complete=counts.complete
        )

    def erase_salts(self, names: Sequence[tuple[bytes, Role]]) -> int:
        """Empty the salts of complete exchanges so that their bytes leave the disk; how many were there.

        Raises: ConflictError(exchange.state), one of them is not complete: its salt is still needed.
        """
        with self._lock:
            entries = [entry for name in names if (entry := self.get(*name)) is not None and entry.salt]
            for entry in entries:
                if entry.state != "complete":
                    raise ConflictError(
                        "exchange.state", f"an exchange that is {entry.state} still needs its salt", actual=entry.id
                    )
            # Twice, and each time compacted: see Store.erase.
            for _ in range(2 if entries else 0):
                with self._store.batch() as batch:
                    for entry in entries:
                        bare = msgspec.structs.replace(entry, salt=b"")
                        batch.put(_entry_key(entry), msgspec.msgpack.encode(bare))
                self._store.compact(_ENTRY)
            return len(entries)

    def page(
        self,
        *,
        grant: bytes | None = None,
        dataset: bytes | None = None,
        state: State | None = None,
        page_size: int = 100,
        token: bytes = b"",
    ) -> tuple[tuple[ExchangeEntry, ...], bytes]:
        """(entries in order of time, token of the next page or ``b""``).

        Raises:
            InvalidInputError: ``page.token``, not a token of this query.
        """
        prefix = _TIME if grant is None else _GRANT + grant
        if token and not token.startswith(prefix):
            raise InvalidInputError("page.token", "this page token belongs to another query")
        found: list[ExchangeEntry] = []
        for key, name in self._store.scan(prefix, start=token or None):
            entry = self.get(name[1:], "provider" if name[:1] == b"p" else "consumer")
            if entry is None:
                raise FatalError("store.corrupt", "an exchange is indexed but missing", actual=name)
            if (dataset is not None and entry.dataset != dataset) or (state is not None and entry.state != state):
                continue
            if len(found) == page_size:
                return tuple(found), key
            found.append(entry)
        return tuple(found), b""

    def half_receipts(self) -> Iterator[ExchangeEntry]:
        """Every exchange that still lacks the other side's signature."""
        for _, data in self._store.scan(_ENTRY):
            entry = _decode(data, ExchangeEntry)
            if entry.state == "half":
                yield entry

    def _write(self, known: ExchangeEntry | None, entry: ExchangeEntry) -> None:
        name = entry.role[0].encode() + entry.id
        with self._store.batch() as batch:
            if known is not None and known.time_ms != entry.time_ms:
                batch.delete(_time_key(known))
                batch.delete(_grant_key(known))
            batch.put(_entry_key(entry), msgspec.msgpack.encode(entry))
            batch.put(_time_key(entry), name)
            batch.put(_grant_key(entry), name)
            self._recount(batch, known, entry)

    def _recount(self, batch: Batch, known: ExchangeEntry | None, entry: ExchangeEntry | None) -> None:
        one = entry or known
        if one is None or (known is not None and entry is not None and known.state == entry.state):
            return
        fields = msgspec.structs.asdict(self._counts(one.role, one.grant))
        if known is not None:
            fields[known.state] -= 1
        if entry is not None:
            fields[entry.state] += 1
        batch.put(_COUNT + one.role[0].encode() + one.grant, msgspec.msgpack.encode(_Counts(**fields)))

    def _counts(self, role: Role, grant: bytes) -> _Counts:
        data = self._store.get(_COUNT + role[0].encode() + grant)
        return _Counts() if data is None else _decode_counts(data)


class NonceStore:
    """Nonces of forwarded envelopes, until they expire."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    def use(self, caller: str, nonce: bytes, expires_ms: int, now_ms: int) -> None:
        """Mark a nonce as used, durably, before anything is done for it.

        Raises:
            ConflictError: ``envelope.replayed``, it was used before.
        """
        key = b"n" + caller.encode() + b"/" + nonce
        with self._lock:
            if self._store.get(key) is not None:
                raise ConflictError(
                    "envelope.replayed",
                    "this envelope was accepted before",
                    hint="sign a new envelope with a fresh nonce",
                    actual=nonce,
                )
            with self._store.batch() as batch:
                for old, name in list(self._store.scan(b"x", stop=b"x" + u64(now_ms))):
                    batch.delete(old)
                    batch.delete(name)
                batch.put(key, b"")
                batch.put(b"x" + u64(expires_ms) + key, key)

    def count(self) -> int:
        """Nonces kept at present."""
        return sum(1 for _ in self._store.scan(b"n"))


class CheckpointStore:
    """Published checkpoints of the own log: size -> note with the cosignatures it had."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, size: int, note: bytes) -> None:
        """Keep a note; a later one of the same size (with more cosignatures) replaces it."""
        self._store.put(u64(size), note)

    def get(self, size: int) -> bytes | None:
        """The note of exactly this size; None when none was published."""
        return self._store.get(u64(size))

    def newest(self) -> tuple[int, bytes] | None:
        """(size, note) of the newest; None before the first."""
        for key, note in self._store.scan(reverse=True):
            return int.from_bytes(key, "big"), note
        return None

    def prune(self, *, newest: int, keep: Container[int] = ()) -> int:
        """Forget all but the ``newest`` checkpoints and the sizes in ``keep`` (the anchored ones); how many went."""
        old = [key for place, (key, _) in enumerate(self._store.scan(reverse=True)) if place >= newest]
        gone = [key for key in old if int.from_bytes(key, "big") not in keep]
        with self._store.batch(sync=False) as batch:
            for key in gone:
                batch.delete(key)
        return len(gone)

    def covering(self, index: int) -> tuple[int, bytes]:
        """(size, note) of the smallest kept checkpoint that covers an entry.

        Raises:
            NotFoundError: ``checkpoint.not-covered``, none does yet.
        """
        for key, note in self._store.scan(start=u64(index + 1)):
            return int.from_bytes(key, "big"), note
        raise NotFoundError(
            "checkpoint.not-covered",
            f"no published checkpoint covers entry {index} yet",
            hint="ask for a fresh checkpoint, or wait for the next one",
            actual=index,
        )


def _entry_key(entry: ExchangeEntry) -> bytes:
    return _ENTRY + entry.role[0].encode() + entry.id


def _time_key(entry: ExchangeEntry) -> bytes:
    return _TIME + u64(entry.time_ms) + entry.role[0].encode() + entry.id


def _grant_key(entry: ExchangeEntry) -> bytes:
    return _GRANT + entry.grant + u64(entry.time_ms) + entry.role[0].encode() + entry.id


def _same(known: ExchangeEntry, entry: ExchangeEntry) -> None:
    before = (known.grant, known.dataset, known.counterpart)
    after = (entry.grant, entry.dataset, entry.counterpart)
    if before != after:
        raise ConflictError(
            "exchange.other-content",
            "this exchange id is known with another grant, dataset or counterpart",
            hint="use a fresh nonce for another exchange",
        )


def _decode(data: bytes, shape: type[ExchangeEntry]) -> ExchangeEntry:
    try:
        return msgspec.msgpack.decode(data, type=shape)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"an exchange entry does not decode: {error}") from error


def _decode_counts(data: bytes) -> _Counts:
    try:
        return msgspec.msgpack.decode(data, type=_Counts)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"an exchange count does not decode: {error}") from error
