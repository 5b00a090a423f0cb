from ledger.v1 import pseudonyms_pb2 as _pseudonyms_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErasePatientsRequest(_message.Message):
    __slots__ = ("patients", "basis")
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    patients: _containers.RepeatedScalarFieldContainer[str]
    basis: str
    def __init__(self, patients: _Optional[_Iterable[str]] = ..., basis: _Optional[str] = ...) -> None: ...

class ErasePatientsResponse(_message.Message):
    __slots__ = ("statement", "log_index", "patients", "data", "commitments", "epoch", "backup")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    statement: bytes
    log_index: int
    patients: int
    data: int
    commitments: int
    epoch: int
    backup: bool
    def __init__(self, statement: _Optional[bytes] = ..., log_index: _Optional[int] = ..., patients: _Optional[int] = ..., data: _Optional[int] = ..., commitments: _Optional[int] = ..., epoch: _Optional[int] = ..., backup: _Optional[bool] = ...) -> None: ...

class ProveErasureRequest(_message.Message):
    __slots__ = ("statement", "wait_ms")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    statement: bytes
    wait_ms: int
    def __init__(self, statement: _Optional[bytes] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ProveErasureResponse(_message.Message):
    __slots__ = ("proof",)
    PROOF_FIELD_NUMBER: _ClassVar[int]
    proof: bytes
    def __init__(self, proof: _Optional[bytes] = ...) -> None: ...

class ChangeConsentRequest(_message.Message):
    __slots__ = ("patient", "permit", "asker", "until")
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PERMIT_FIELD_NUMBER: _ClassVar[int]
    ASKER_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    patient: str
    permit: bool
    asker: str
    until: int
    def __init__(self, patient: _Optional[str] = ..., permit: _Optional[bool] = ..., asker: _Optional[str] = ..., until: _Optional[int] = ...) -> None: ...

class ChangeConsentResponse(_message.Message):
    __slots__ = ("log_index",)
    LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    log_index: int
    def __init__(self, log_index: _Optional[int] = ...) -> None: ...

class ShowConsentRequest(_message.Message):
    __slots__ = ("patient",)
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    patient: str
    def __init__(self, patient: _Optional[str] = ...) -> None: ...

class ConsentRule(_message.Message):
    __slots__ = ("asker", "permit", "since", "until", "via")
    ASKER_FIELD_NUMBER: _ClassVar[int]
    PERMIT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    asker: str
    permit: bool
    since: int
    until: int
    via: str
    def __init__(self, asker: _Optional[str] = ..., permit: _Optional[bool] = ..., since: _Optional[int] = ..., until: _Optional[int] = ..., via: _Optional[str] = ...) -> None: ...

class ShowConsentResponse(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[ConsentRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[ConsentRule, _Mapping]]] = ...) -> None: ...

class SetContactRequest(_message.Message):
    __slots__ = ("patient", "phone", "language")
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    PHONE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    patient: str
    phone: str
    language: str
    def __init__(self, patient: _Optional[str] = ..., phone: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class SetContactResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNoticesRequest(_message.Message):
    __slots__ = ("page_size",)
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    def __init__(self, page_size: _Optional[int] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("event", "kind", "report", "time", "attempts", "next", "problem")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    event: bytes
    kind: str
    report: bytes
    time: int
    attempts: int
    next: int
    problem: str
    def __init__(self, event: _Optional[bytes] = ..., kind: _Optional[str] = ..., report: _Optional[bytes] = ..., time: _Optional[int] = ..., attempts: _Optional[int] = ..., next: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class ListNoticesResponse(_message.Message):
    __slots__ = ("waiting", "waiting_count", "delivered_count", "dropped_count")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    waiting: _containers.RepeatedCompositeFieldContainer[Notice]
    waiting_count: int
    delivered_count: int
    dropped_count: int
    def __init__(self, waiting: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ..., waiting_count: _Optional[int] = ..., delivered_count: _Optional[int] = ..., dropped_count: _Optional[int] = ...) -> None: ...

class BackUpKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BackUpKeysResponse(_message.Message):
    __slots__ = ("epoch", "rows", "folder")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    rows: int
    folder: str
    def __init__(self, epoch: _Optional[int] = ..., rows: _Optional[int] = ..., folder: _Optional[str] = ...) -> None: ...

class ListPseudonymKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPseudonymKeysResponse(_message.Message):
    __slots__ = ("keys", "year")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    YEAR_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[_pseudonyms_pb2.PseudonymKey]
    year: int
    def __init__(self, keys: _Optional[_Iterable[_Union[_pseudonyms_pb2.PseudonymKey, _Mapping]]] = ..., year: _Optional[int] = ...) -> None: ...

class RotatePseudonymKeyRequest(_message.Message):
    __slots__ = ("replace",)
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    replace: bool
    def __init__(self, replace: _Optional[bool] = ...) -> None: ...

class RotatePseudonymKeyResponse(_message.Message):
    __slots__ = ("made", "destroyed")
    MADE_FIELD_NUMBER: _ClassVar[int]
    DESTROYED_FIELD_NUMBER: _ClassVar[int]
    made: _containers.RepeatedCompositeFieldContainer[_pseudonyms_pb2.PseudonymKey]
    destroyed: _containers.RepeatedCompositeFieldContainer[_pseudonyms_pb2.PseudonymKey]
    def __init__(self, made: _Optional[_Iterable[_Union[_pseudonyms_pb2.PseudonymKey, _Mapping]]] = ..., destroyed: _Optional[_Iterable[_Union[_pseudonyms_pb2.PseudonymKey, _Mapping]]] = ...) -> None: ...
