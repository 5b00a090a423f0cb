from ledger.v1 import node_pb2 as _node_pb2
from ledger.v1 import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CityFiguresRequest(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: str
    last: str
    def __init__(self, first: _Optional[str] = ..., last: _Optional[str] = ...) -> None: ...

class CityFiguresResponse(_message.Message):
    __slots__ = ("first", "last", "figures", "reasons", "absent", "asked", "read_ms", "as_of_ms", "differing", "compared")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    READ_MS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_MS_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    first: str
    last: str
    figures: _containers.RepeatedCompositeFieldContainer[CityFigure]
    reasons: _containers.RepeatedCompositeFieldContainer[CityReason]
    absent: _containers.RepeatedCompositeFieldContainer[AbsentFigures]
    asked: int
    read_ms: int
    as_of_ms: int
    differing: int
    compared: int
    def __init__(self, first: _Optional[str] = ..., last: _Optional[str] = ..., figures: _Optional[_Iterable[_Union[CityFigure, _Mapping]]] = ..., reasons: _Optional[_Iterable[_Union[CityReason, _Mapping]]] = ..., absent: _Optional[_Iterable[_Union[AbsentFigures, _Mapping]]] = ..., asked: _Optional[int] = ..., read_ms: _Optional[int] = ..., as_of_ms: _Optional[int] = ..., differing: _Optional[int] = ..., compared: _Optional[int] = ...) -> None: ...

class CityFigure(_message.Message):
    __slots__ = ("by", "key", "offered", "opened", "recognised", "opened_not_recognised", "retested", "saved_cents")
    BY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_FIELD_NUMBER: _ClassVar[int]
    OPENED_NOT_RECOGNISED_FIELD_NUMBER: _ClassVar[int]
    RETESTED_FIELD_NUMBER: _ClassVar[int]
    SAVED_CENTS_FIELD_NUMBER: _ClassVar[int]
    by: str
    key: str
    offered: CitySum
    opened: CitySum
    recognised: CitySum
    opened_not_recognised: CitySum
    retested: CitySum
    saved_cents: CitySum
    def __init__(self, by: _Optional[str] = ..., key: _Optional[str] = ..., offered: _Optional[_Union[CitySum, _Mapping]] = ..., opened: _Optional[_Union[CitySum, _Mapping]] = ..., recognised: _Optional[_Union[CitySum, _Mapping]] = ..., opened_not_recognised: _Optional[_Union[CitySum, _Mapping]] = ..., retested: _Optional[_Union[CitySum, _Mapping]] = ..., saved_cents: _Optional[_Union[CitySum, _Mapping]] = ...) -> None: ...

class CityReason(_message.Message):
    __slots__ = ("reason", "zh", "en", "retested")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ZH_FIELD_NUMBER: _ClassVar[int]
    EN_FIELD_NUMBER: _ClassVar[int]
    RETESTED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    zh: str
    en: str
    retested: CitySum
    def __init__(self, reason: _Optional[str] = ..., zh: _Optional[str] = ..., en: _Optional[str] = ..., retested: _Optional[_Union[CitySum, _Mapping]] = ...) -> None: ...

class CitySum(_message.Message):
    __slots__ = ("least", "withheld")
    LEAST_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    least: int
    withheld: int
    def __init__(self, least: _Optional[int] = ..., withheld: _Optional[int] = ...) -> None: ...

class AbsentFigures(_message.Message):
    __slots__ = ("member", "code", "as_of_ms")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_MS_FIELD_NUMBER: _ClassVar[int]
    member: str
    code: str
    as_of_ms: int
    def __init__(self, member: _Optional[str] = ..., code: _Optional[str] = ..., as_of_ms: _Optional[int] = ...) -> None: ...

class CarriedCalls(_message.Message):
    __slots__ = ("envelopes", "deadline_ms")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedCompositeFieldContainer[_node_pb2.Envelope]
    deadline_ms: int
    def __init__(self, envelopes: _Optional[_Iterable[_Union[_node_pb2.Envelope, _Mapping]]] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class CarriedAnswers(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[CarriedAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[CarriedAnswer, _Mapping]]] = ...) -> None: ...

class CarriedAnswer(_message.Message):
    __slots__ = ("target", "answer", "code", "message", "hint")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    target: str
    answer: bytes
    code: str
    message: str
    hint: str
    def __init__(self, target: _Optional[str] = ..., answer: _Optional[bytes] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class SealedRequest(_message.Message):
    __slots__ = ("message", "reply_key")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REPLY_KEY_FIELD_NUMBER: _ClassVar[int]
    message: bytes
    reply_key: bytes
    def __init__(self, message: _Optional[bytes] = ..., reply_key: _Optional[bytes] = ...) -> None: ...

class SealedAnswer(_message.Message):
    __slots__ = ("sealed", "signature")
    SEALED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    sealed: bytes
    signature: bytes
    def __init__(self, sealed: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SealedContent(_message.Message):
    __slots__ = ("message", "refusal")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    message: bytes
    refusal: _peer_pb2.ExchangeRefusal
    def __init__(self, message: _Optional[bytes] = ..., refusal: _Optional[_Union[_peer_pb2.ExchangeRefusal, _Mapping]] = ...) -> None: ...
