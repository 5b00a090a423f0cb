"""One side of an exchange by hand, for tests of the other."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from services_city import USCC, City, PeerExchangeStub

from ledger.directory.grants import encode_scope, make_scope
from ledger.evidence.request import ExchangeRequest, exchange_id, sign_acknowledgement, sign_request
from ledger.model import KeyRole
from ledger.v1 import peer_pb2, types_pb2

ROWS = [
    {"code": "310000", "name": "上海市", "level": "province"},
    {"code": "310101", "name": "黄浦区", "level": "county"},
    {"code": "310104", "name": "徐汇区", "level": "county"},
    {"code": "310115", "name": "浦东新区", "level": "county"},
]
CONTENT = json.dumps(ROWS, ensure_ascii=False).encode()
Message = peer_pb2.ExchangeMessage


def scope(*fields: str, **rows: Any) -> bytes:
    return encode_scope(make_scope(fields, rows))


def peer_request(city: City, granted: types_pb2.Grant, **changes: Any) -> bytes:
    """A request signed by the consumer's receipt key, as its node would make it."""
    context = city.context("labour")
    now = context.clock()
    values: dict[str, Any] = {
        "chain": context.genesis_digest,
        "provider": USCC["civil"],
        "consumer": USCC["labour"],
        "grant": granted.id,
        "dataset": granted.dataset,
        "purpose": granted.purpose,
        "matter": context.contracts.grants.grant(granted.id).matter_digest,
        "operator": bytes(32),
        "query": {},
        "nonce": os.urandom(32),
        "time_ms": now,
        "expires_ms": now + 60_000,
    }
    return sign_request(context.signers[KeyRole.RECEIPT], ExchangeRequest(**{**values, **changes}))


def converse(
    city: City, signed: bytes, caller: str = "labour"
) -> tuple[peer_pb2.ExchangeRefusal | None, list[Message]]:
    """Send a request alone; (refusal, messages before it)."""
    stub = city.stub(PeerExchangeStub, "civil", caller)
    seen: list[Message] = []
    stream = stub.Exchange(iter([Message(request=signed)]), timeout=180)
    try:
        for message in stream:
            if message.WhichOneof("part") == "refusal":
                return message.refusal, seen
            seen.append(message)
    finally:
        stream.cancel()
    return None, seen


def in_state(city: City, identity: bytes, state: str) -> Any:
    entry = city.context("civil").exchanges.get(identity, "provider")
    served = city.context("civil")
    return entry if entry is not None and entry.state == state and entry.log_index >= 0 and served else None


def stop_after_release(city: City, signed: bytes) -> bytes:
    """The dialogue up to the release, then silence; the half receipt."""
    outgoing: list[Message] = [Message(request=signed)]
    ready = threading.Semaphore(1)
    done = threading.Event()

    def send() -> Any:
        while True:
            ready.acquire()
            if done.is_set():
                return
            yield outgoing.pop(0)

    stream = city.stub(PeerExchangeStub, "civil", "labour").Exchange(send(), timeout=180)
    for message in stream:
        part = message.WhichOneof("part")
        assert part != "refusal", message.refusal
        if part == "end":
            signer = city.context("labour").signers[KeyRole.RECEIPT]
            signature = sign_acknowledgement(signer, exchange_id(signed), message.end.ciphertext_digest)
            outgoing.append(Message(acknowledgement=peer_pb2.ExchangeAcknowledgement(signature=signature)))
            ready.release()
        if part == "release":
            done.set()
            ready.release()
            stream.cancel()
            return bytes(message.release.receipt)
    raise AssertionError("no release came")


@contextlib.contextmanager
def later(contexts: Sequence[Any], shift_ms: int) -> Iterator[None]:
    """Nodes whose services live some time later; chain, log and heartbeats keep the real time."""
    before = [context.clock for context in contexts]
    for context, clock in zip(contexts, before, strict=True):
        object.__setattr__(context, "clock", lambda clock=clock: clock() + shift_ms)
    try:
        yield
    finally:
        for context, clock in zip(contexts, before, strict=True):
            object.__setattr__(context, "clock", clock)


@contextlib.contextmanager
def exchange_limit(context: Any, limit: int) -> Iterator[None]:
    """A node with another ``exchange.max_bytes`` for a moment: its context is frozen, nothing else does this."""
    before = context.config
    exchange = msgspec.structs.replace(before.exchange, max_bytes=limit)
    object.__setattr__(context, "config", msgspec.structs.replace(before, exchange=exchange))
    try:
        yield
    finally:
        object.__setattr__(context, "config", before)
