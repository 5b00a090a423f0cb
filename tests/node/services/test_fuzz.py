"""Random messages to every method, from the member with the most rights: each gets an answer or one clear error, and no
node is the worse for it."""

from __future__ import annotations

import random
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from services_city import RUNNING, USCC, City
from test_matrix import AT, DESCRIPTORS

from node.rpc.errors import from_rpc

ROUNDS = 12
#: Left out, since they could do what they are for: replace keys, and cast votes, that the other tests use.
SKIPPED = {"/ledger.v1.KeyService/Rotate", "/ledger.v1.MemberService/Vote"}
TEXTS = [
    "",
    USCC["data"] + "001",
    "driving-licence",
    "x",
    "demand",
    "important",
    "suspend",
    "active",
    "social-aid",
    "\x00",
    "标签" * 300,
    "🏛",
    "../../etc/passwd",
    USCC["plain"],
    USCC["gone"],
    USCC["plain"].lower(),
    "A" * 5_000,
]
SIZES = (0, 1, 16, 20, 31, 32, 33, 64, 65, 5_000)
NUMBERS = (0, 1, 2, 7, 255, 256, 500, 501, 2**31 - 1)
WIDE = (*NUMBERS, 2**32, 2**53, 2**63, 2**64 - 1)
JSON = [b"{}", b"[]", b'{"a":1}', b'{"fields":["code"],"rows":{},"v":1}', b'{"v":1}', b"\xff\xfe", b'{"a":1.5}']


def value(field: FieldDescriptor, draw: random.Random, depth: int) -> Any:
    """A value of a field's type, likely to be at an edge."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return message(field.message_type, draw, depth + 1)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw.choice([*JSON, *(draw.randbytes(size) for size in SIZES)])
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return draw.random() < 0.5
    return draw.choice(WIDE if field.type == FieldDescriptor.TYPE_UINT64 else NUMBERS)


def message(descriptor: Descriptor, draw: random.Random, depth: int = 0) -> Any:
    """A random message of a type."""
    made = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if depth > 2 or draw.random() < 0.25:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            names = ("CZZT", "CZZTDM", "ZZYXQJZRQ", "KZ_XB", *TEXTS)
            getattr(made, field.name).update(
                {draw.choice(names): draw.choice(TEXTS) for _ in range(draw.randint(0, 4))}
            )
        elif field.is_repeated:
            found = [value(field, draw, depth) for _ in range(draw.randint(0, 3))]
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                for one in found:
                    getattr(made, field.name).add().CopyFrom(one)
            else:
                getattr(made, field.name).extend(found)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            getattr(made, field.name).CopyFrom(value(field, draw, depth))
        else:
            setattr(made, field.name, value(field, draw, depth))
    return made


def send(city: City, method: str, draw: random.Random) -> str:
    """The code of the answer's error, or ``ok``."""
    descriptor = DESCRIPTORS[method]
    request_class = GetMessageClass(descriptor.input_type)
    kind = ("stream" if descriptor.client_streaming else "unary") + (
        "_stream" if descriptor.server_streaming else "_unary"
    )
    call = getattr(city.channel(AT, AT), kind)(
        method,
        request_serializer=request_class.SerializeToString,
        response_deserializer=GetMessageClass(descriptor.output_type).FromString,
    )
    messages = [message(descriptor.input_type, draw) for _ in range(draw.randint(1, 3))]
    try:
        answer = call(iter(messages) if descriptor.client_streaming else messages[0], timeout=180)
        if descriptor.server_streaming:
            next(answer, None)
            answer.cancel()
    except grpc.RpcError as error:
        return from_rpc(error).code
    return "ok"


@pytest.mark.parametrize("method", sorted(set(DESCRIPTORS) - SKIPPED))
def test_random_messages_get_a_clear_answer(city: City, method: str) -> None:
    for seed in range(ROUNDS):
        code = send(city, method, random.Random(f"{method}/{seed}"))
        assert not code.startswith(("internal.", "peer.")), f"seed {seed}: {code}"
    for handle in RUNNING:
        assert city.nodes[handle].failure is None
        assert city.nodes[handle].gate.is_open
