from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DerivePseudonymsRequest(_message.Message):
    __slots__ = ("identities",)
    IDENTITIES_FIELD_NUMBER: _ClassVar[int]
    identities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, identities: _Optional[_Iterable[str]] = ...) -> None: ...

class PseudonymKey(_message.Message):
    __slots__ = ("year", "number", "fingerprint")
    YEAR_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    year: int
    number: int
    fingerprint: bytes
    def __init__(self, year: _Optional[int] = ..., number: _Optional[int] = ..., fingerprint: _Optional[bytes] = ...) -> None: ...

class PseudonymRow(_message.Message):
    __slots__ = ("pseudonyms",)
    PSEUDONYMS_FIELD_NUMBER: _ClassVar[int]
    pseudonyms: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, pseudonyms: _Optional[_Iterable[bytes]] = ...) -> None: ...

class DerivePseudonymsResponse(_message.Message):
    __slots__ = ("keys", "rows")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[PseudonymKey]
    rows: _containers.RepeatedCompositeFieldContainer[PseudonymRow]
    def __init__(self, keys: _Optional[_Iterable[_Union[PseudonymKey, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[PseudonymRow, _Mapping]]] = ...) -> None: ...
