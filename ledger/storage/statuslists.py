"""The status lists a department published: every version with its bits, and every signed token with its time.

A version is durable before its token leaves the node, and its bits never change: after a crash the same version goes
on its way again. A token is signed anew before it grows old; of these only what differs is kept, because most of a
token is the list.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ledger.errors import FatalError
from ledger.storage.store import Store, u64

_VERSION, _TOKEN, _KEY, _URI = b"v", b"t", b"k", b"u"
T = TypeVar("T")


class ListVersion(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One version of a list. ``list_digest``: SHA-256 of the inflated bytes; ``text``: the list as it stands in tokens
    (base64url); ``token_digest``: of the token that first carried it; ``height``: of the block that holds its head, 0
    before."""

    number: int
    version: int
    list_digest: bytes
    text: str
    inflated: int
    made_ms: int
    token_digest: bytes
    height: int = 0


class StatusToken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A signed token without its list. ``issued_s``, ``expires_s``, ``ttl_s``: its claims; ``kid``: the key that signed
    it; ``before``, ``after``: the JSON text around the list."""

    version: int
    issued_s: int
    expires_s: int
    ttl_s: int
    kid: bytes
    head: str
    before: str
    after: str
    signature: str


class StatusListStore:
    """Versions and tokens of one issuer's lists, and the keys it signed with. Thread-safe."""

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    # --- versions -----------------------------------------------------------------------------------------------------
    def put(self, version: ListVersion, token: StatusToken) -> None:
        """Keep a new version with its first token, or its head's height."""
        with self._lock, self._store.batch() as batch:
            batch.put(_version_key(version.number, version.version), msgspec.msgpack.encode(version))
            batch.put(_token_key(version.number, token), msgspec.msgpack.encode(token))

    def anchored(self, version: ListVersion, height: int) -> ListVersion:
        """The head of a version stands on chain in this block."""
        done = msgspec.structs.replace(version, height=height)
        self._store.put(_version_key(version.number, version.version), msgspec.msgpack.encode(done))
        return done

    def put_token(self, number: int, token: StatusToken) -> None:
        """Keep a token that was signed anew over the bits of its version."""
        self._store.put(_token_key(number, token), msgspec.msgpack.encode(token))

    def put_back(self, version: ListVersion, token: StatusToken) -> None:
        """Take over a version that was published and is not here, with a token for it. What stands here under its
        number or a later one was never published, or is not what was: it goes."""
        with self._lock, self._store.batch() as batch:
            number, first = version.number, version.version
            for key, _ in list(self._store.scan(_VERSION + _u32(number), start=_version_key(number, first))):
                batch.delete(key)
            for key, value in list(self._store.scan(_TOKEN + _u32(number))):
                if _decode(value, StatusToken).version >= first:
                    batch.delete(key)
            batch.put(_version_key(number, first), msgspec.msgpack.encode(version))
            batch.put(_token_key(number, token), msgspec.msgpack.encode(token))

    def name(self, number: int, uri: str) -> None:
        """The address of a list is this one, whatever was thought here."""
        self._store.put(_URI + _u32(number), uri.encode())

    def newest(self, number: int) -> ListVersion | None:
        """The newest version of a list; None before the first."""
        for _, value in self._store.scan(_VERSION + _u32(number), reverse=True):
            return _decode(value, ListVersion)
        return None

    def unanchored(self, number: int) -> list[ListVersion]:
        """The newest versions whose head does not stand on chain yet, oldest first."""
        found: list[ListVersion] = []
        for _, value in self._store.scan(_VERSION + _u32(number), reverse=True):
            version = _decode(value, ListVersion)
            if version.height:
                break
            found.append(version)
        return found[::-1]

    def version(self, number: int, version: int) -> ListVersion | None:
        """One version."""
        data = self._store.get(_version_key(number, version))
        return None if data is None else _decode(data, ListVersion)

    def uri(self, number: int, fresh: Callable[[], str]) -> str:
        """The uri of a list; of one that has none yet it is ``fresh()`` from now on, durably."""
        with self._lock:
            known = self._store.get(_URI + _u32(number))
            if known is None:
                known = fresh().encode()
                self._store.put(_URI + _u32(number), known)
            return known.decode()

    # --- tokens -------------------------------------------------------------------------------------------------------
    def newest_token(self, number: int) -> StatusToken | None:
        """The newest token of a list."""
        return self.token_at(number, (1 << 63) - 1)

    def token_at(self, number: int, time_s: int) -> StatusToken | None:
        """The newest token signed at or before a time; whether it still held then is for the caller to say."""
        prefix = _TOKEN + _u32(number)
        for _, value in self._store.scan(prefix, stop=prefix + u64(time_s + 1), reverse=True):
            return _decode(value, StatusToken)
        return None

    def forget_after(self, number: int, time_s: int) -> None:
        """Drop the tokens that were signed after a time: by a clock that was wrong, nobody accepts them."""
        prefix = _TOKEN + _u32(number)
        with self._lock, self._store.batch() as batch:
            for key, _ in list(self._store.scan(prefix, start=prefix + u64(time_s + 1))):
                batch.delete(key)

    def text(self, number: int, token: StatusToken) -> str:
        """The whole of a kept token."""
        version = self.version(number, token.version)
        if version is None:
            raise FatalError("store.corrupt", "a status token is kept without its list", actual=token.version)
        return whole(token, version.text)

    # --- keys ---------------------------------------------------------------------------------------------------------
    def keep_key(self, kid: bytes, spki: bytes) -> None:
        """Remember a key that signs here: the chain holds its digest only. Durable."""
        if self._store.get(_KEY + kid) is None:
            self._store.put(_KEY + kid, spki)

    def signing_keys(self) -> tuple[tuple[bytes, bytes], ...]:
        """(kid, SubjectPublicKeyInfo) of every key that ever signed here."""
        return tuple((key[1:], value) for key, value in self._store.scan(_KEY))


def thin(token: str, text: str, *, version: int, issued_s: int, expires_s: int, ttl_s: int, kid: bytes) -> StatusToken:
    """What is kept of a compact token whose payload holds the list as ``text``.

    Raises: FatalError(store.corrupt) when it would not come back whole.
    """
    head, payload, signature = token.split(".")
    before, _, after = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode().partition(text)
    kept = StatusToken(
        version=version,
        issued_s=issued_s,
        expires_s=expires_s,
        ttl_s=ttl_s,
        kid=kid,
        head=head,
        before=before,
        after=after,
        signature=signature,
    )
    if whole(kept, text) != token:
        raise FatalError("store.corrupt", "a status token cannot be kept in parts")
    return kept


def whole(token: StatusToken, text: str) -> str:
    """The compact token again."""
    payload = urlsafe_b64encode(f"{token.before}{text}{token.after}".encode()).rstrip(b"=").decode("ascii")
    return f"{token.head}.{payload}.{token.signature}"


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _version_key(number: int, version: int) -> bytes:
    return _VERSION + _u32(number) + _u32(version)


def _token_key(number: int, token: StatusToken) -> bytes:
    # Two tokens of one second differ in their version.
    return _TOKEN + _u32(number) + u64(token.issued_s) + _u32(token.version)


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of the status lists does not decode: {error}") from error
